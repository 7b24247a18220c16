//! One operation under way, to be waited for by a thread or by an event loop.

use crate::errors::{OrRaise, exception};
use crate::gate;
use crate::mailbox::{Letters, Mailbox};
use pyo3::prelude::*;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use zkhelper::{Code, Error, Result, Zk};

/// How often a wait of the main thread looks for signals, such as Ctrl-C.
const SLICE: Duration = Duration::from_millis(50);

/// What an operation answered, to be shown to Python by whoever takes it. Dropped instead, it undoes what it
/// can: a lock is released, an event is given back.
type Outcome = Box<dyn for<'py> FnOnce(Python<'py>) -> PyResult<Bound<'py, PyAny>> + Send>;

enum Phase {
    Running(Option<(Arc<Letters>, u64)>),
    Done(Outcome),
    Taken,
}

struct Shared {
    phase: Mutex<Phase>,
    changed: Notify,
    process: u32,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at_home(&self) -> Result<()> {
        if self.process == std::process::id() {
            return Ok(());
        }
        Err(Error::new(Code::FORKED).because("the operation was begun in the parent process"))
    }

    fn finish(&self, outcome: Outcome) {
        let mut phase = self.lock();
        let before = match &*phase {
            Phase::Running(_) => std::mem::replace(&mut *phase, Phase::Done(outcome)),
            // Nobody wants it any more.
            Phase::Done(_) | Phase::Taken => return drop(phase),
        };
        drop(phase);
        self.changed.notify_waiters();
        if let Phase::Running(Some((letters, key))) = before {
            letters.push(key);
        }
    }

    /// Ends when the operation has.
    async fn ended(&self) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            if !matches!(*self.lock(), Phase::Running(_)) {
                return;
            }
            changed.await;
        }
    }

    fn take(&self) -> Option<Outcome> {
        let mut phase = self.lock();
        match std::mem::replace(&mut *phase, Phase::Taken) {
            Phase::Done(outcome) => Some(outcome),
            other => {
                *phase = other;
                None
            }
        }
    }
}

/// Completes an operation, also one whose task ended by a panic or never ran.
struct Completer(Option<Arc<Shared>>);

impl Completer {
    fn finish(mut self, outcome: Outcome) {
        if let Some(shared) = self.0.take() {
            shared.finish(outcome);
        }
    }
}

impl Drop for Completer {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            let error = Error::new(Code::PANIC).because("the operation's task ended without an answer");
            shared.finish(Box::new(move |py| Err(exception(py, &error))));
        }
    }
}

/// An operation under way. Dropping it cancels it.
#[pyclass(frozen, generic, module = "zkhelper._zkhelper")]
pub(crate) struct Op {
    zk: Arc<dyn Zk>,
    shared: Arc<Shared>,
    cancel: Mutex<Option<oneshot::Sender<()>>>,
}

/// Starts an operation; `show` makes a Python object of its answer. It is cancelled by dropping `work`.
pub(crate) fn start<T: Send + 'static>(
    zk: &Arc<dyn Zk>,
    work: impl Future<Output = Result<T>> + Send + 'static,
    show: impl for<'py> FnOnce(Python<'py>, T) -> PyResult<Bound<'py, PyAny>> + Send + 'static,
) -> Op {
    let (cancel, cancelled) = oneshot::channel::<()>();
    let phase = Mutex::new(Phase::Running(None));
    let shared = Arc::new(Shared { phase, changed: Notify::new(), process: std::process::id() });
    let completer = Completer(Some(Arc::clone(&shared)));
    zk.begin(Box::pin(async move {
        let answer = tokio::select! {
            biased;
            answer = work => answer,
            _ = cancelled => Err(Code::CANCELLED.into()),
        };
        completer.finish(match answer {
            Ok(value) => Box::new(move |py| show(py, value)),
            Err(error) => Box::new(move |py| Err(exception(py, &error))),
        });
    }));
    Op { zk: Arc::clone(zk), shared, cancel: Mutex::new(Some(cancel)) }
}

impl Op {
    fn give_up(&self) {
        // The answer, if it is there, is dropped outside of the lock.
        let phase = std::mem::replace(&mut *self.shared.lock(), Phase::Taken);
        drop(phase);
        drop(self.cancel.lock().unwrap_or_else(PoisonError::into_inner).take());
        // Another thread may wait for it.
        self.shared.changed.notify_waiters();
    }
}

impl Drop for Op {
    fn drop(&mut self) {
        // In a forked child a lock of it may be held for ever.
        if self.shared.at_home().is_ok() {
            self.give_up();
        } else if let Ok(cancel) = self.cancel.get_mut() {
            std::mem::forget(cancel.take());
        }
    }
}

#[pymethods]
impl Op {
    /// Waits for the answer, and gives it. The main thread looks for signals meanwhile; an exception that
    /// a signal handler raises cancels the operation.
    fn wait<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.shared.at_home().or_raise(py)?;
        let mut slice = Some(SLICE);
        loop {
            let outcome = py.detach(|| {
                self.zk.wait(pin!(self.shared.ended()), slice);
                let mut phase = self.shared.lock();
                match std::mem::replace(&mut *phase, Phase::Taken) {
                    Phase::Done(outcome) => Some(outcome),
                    Phase::Taken => Some(cancelled()),
                    running => {
                        *phase = running;
                        None
                    }
                }
            });
            let _inside = gate::enter(py);
            if let Some(outcome) = outcome {
                return outcome(py);
            }
            if let Err(interrupt) = py.check_signals() {
                self.give_up();
                return Err(interrupt);
            }
            // Python gives signals to the main thread alone: any other sleeps through.
            if !is_main_thread(py)? {
                slice = None;
            }
        }
    }

    /// The answer of an operation that has ended.
    fn result<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.shared.at_home().or_raise(py)?;
        let _inside = gate::enter(py);
        self.shared.take().unwrap_or_else(cancelled)(py)
    }

    /// Puts `key` into the mailbox when the operation has ended; at once if it has.
    fn notify(&self, py: Python<'_>, mailbox: &Mailbox, key: u64) -> PyResult<()> {
        self.shared.at_home().or_raise(py)?;
        let mut phase = self.shared.lock();
        match &mut *phase {
            Phase::Running(to) => {
                *to = Some((Arc::clone(&mailbox.0), key));
                drop(phase);
                self.zk.attend();
            }
            Phase::Done(_) | Phase::Taken => {
                drop(phase);
                mailbox.0.push(key);
            }
        }
        Ok(())
    }

    /// Cancels the operation. What it was granted, if it ended before, is given back.
    fn cancel(&self) {
        if self.shared.at_home().is_ok() {
            self.give_up();
        }
    }
}

fn cancelled() -> Outcome {
    Box::new(|py| Err(exception(py, &Code::CANCELLED.into())))
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    main.eq(threading.call_method0("get_ident")?)
}
