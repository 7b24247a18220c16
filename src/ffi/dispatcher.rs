//! The thread that runs a client's callbacks, in the order in which they came due, and what a handle
//! needs so that none of its callbacks runs any more once it was freed. A callback may have its turn in another thread,
//! which the dispatcher waits for.

use super::boundary::{InCallback, UserData, is_in_callback, panicked};
use crate::client::runtime::spawn_thread;
use crate::error::{Code, Error, Result};
use crate::sync::{Condvar, Mutex};
use crate::zk::Zk;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, watch};

type Job = Box<dyn FnOnce() + Send>;

/// A queue of callbacks and the thread that runs them, which is started when it is first needed and
/// ends, with the queue empty, once nobody can give it more.
pub(super) struct Dispatcher {
    queue: Arc<Queue>,
    name: &'static str,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    is_running: bool,
    is_over: bool,
    /// Whether it is somebody's turn: a job runs, here or elsewhere.
    is_taken: bool,
}

impl Dispatcher {
    pub(super) fn new(name: &'static str) -> Self {
        Self { queue: Arc::default(), name }
    }

    /// Sees to it that the thread runs. Without it no job may be pushed.
    pub(super) fn start(&self) -> Result<()> {
        let mut state = self.queue.state.lock();
        if !state.is_running {
            let queue = Arc::clone(&self.queue);
            spawn_thread(self.name, move || queue.run()).map_err(|error| {
                Error::new(Code::OUT_OF_RESOURCES)
                    .because(format!("the callback thread did not start: {error}"))
            })?;
            state.is_running = true;
        }
        Ok(())
    }

    pub(super) fn push(&self, job: impl FnOnce() + Send + 'static) {
        self.queue.state.lock().jobs.push_back(Box::new(job));
        self.queue.changed.notify_one();
    }

    /// The turn of a callback that came due now, to be run in another thread: none if others are before it.
    pub(super) fn turn(&self) -> Option<Turn> {
        let mut state = self.queue.state.lock();
        if state.is_taken || !state.jobs.is_empty() {
            return None;
        }
        state.is_taken = true;
        Some(Turn(Arc::clone(&self.queue)))
    }
}

/// Whoever has it runs a callback, and nobody else of this dispatcher's does. It ends when this is dropped.
pub(super) struct Turn(Arc<Queue>);

impl Turn {
    /// Runs a callback, which leaves what is due.
    pub(super) fn run(self, callback: impl FnOnce() -> Due) {
        let _mark = InCallback::enter();
        let due = caught(callback);
        if !is_in_callback() {
            // The child of a fork that the callback made: another thread of the parent's may have held a lock of theirs.
            std::mem::forget((self, due));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.is_taken = false;
        if !state.jobs.is_empty() || state.is_over {
            self.0.changed.notify_one();
        }
    }
}

fn caught<R>(callback: impl FnOnce() -> R) -> Option<R> {
    catch_unwind(AssertUnwindSafe(callback))
        .map_err(|panic| log::error!("while a callback was run: {}", panicked(&*panic)))
        .ok()
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.queue.state.lock().is_over = true;
        self.queue.changed.notify_one();
    }
}

impl Queue {
    fn run(&self) {
        let _mark = InCallback::enter();
        let mut state = self.state.lock();
        loop {
            if state.is_taken {
                state = self.changed.wait(state);
            } else if let Some(job) = state.jobs.pop_front() {
                state.is_taken = true;
                drop(state);
                caught(job);
                state = self.state.lock();
                state.is_taken = false;
            } else if state.is_over {
                return;
            } else {
                state = self.changed.wait(state);
            }
        }
    }
}

/// A handle's end, and the callbacks that are due until then.
pub(super) struct Gate {
    closed: watch::Sender<bool>,
    due: Mutex<Count>,
    idle: Condvar,
    /// The same news as `idle`, for tasks.
    none_due: Notify,
}

#[derive(Default)]
struct Count {
    due: usize,
    /// Threads that wait for the last one. Nobody else is woken: that takes a call of the kernel.
    waiting: usize,
}

/// A callback that is due: it is over when this is dropped.
pub(super) struct Due(Arc<Gate>);

impl Gate {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            closed: watch::Sender::new(false),
            due: Mutex::default(),
            idle: Condvar::new(),
            none_due: Notify::new(),
        })
    }

    /// Promises a callback.
    pub(super) fn enter(self: &Arc<Self>) -> Result<Due> {
        let mut count = self.due.lock();
        if *self.closed.borrow() {
            return Err(freed());
        }
        count.due += 1;
        Ok(Due(Arc::clone(self)))
    }

    /// No callback is promised from now on, and what waits ends.
    pub(super) fn close(&self) {
        let _count = self.due.lock();
        self.closed.send_replace(true);
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Ends when the gate is closed.
    pub(super) fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut closed = self.closed.subscribe();
        async move {
            let _ = closed.wait_for(|closed| *closed).await;
        }
    }

    /// Waits until every callback that was promised is over, except inside a callback, which might be
    /// one of them, or be what one of them waits for.
    pub(super) fn wait_idle(&self) {
        if is_in_callback() {
            return;
        }
        let mut count = self.due.lock();
        count.waiting += 1;
        while count.due > 0 {
            count = self.idle.wait(count);
        }
        count.waiting -= 1;
    }

    /// Ends when every callback that was promised is over.
    async fn idle(&self) {
        loop {
            let none_due = self.none_due.notified();
            tokio::pin!(none_due);
            none_due.as_mut().enable();
            if self.due.lock().due == 0 {
                return;
            }
            none_due.await;
        }
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        let mut count = self.0.due.lock();
        count.due = count.due.saturating_sub(1);
        if count.due == 0 {
            if count.waiting > 0 {
                self.0.idle.notify_all();
            }
            self.0.none_due.notify_waiters();
        }
    }
}

/// Where events come from, one after the other.
pub(super) trait Source: Send + 'static {
    type Event: Send + 'static;
    /// `None` behind the last one.
    fn next(&mut self) -> impl Future<Output = Option<Self::Event>> + Send;
}

impl<T: Send + 'static> Source for mpsc::UnboundedReceiver<T> {
    type Event = T;

    async fn next(&mut self) -> Option<T> {
        self.recv().await
    }
}

/// Hands every event to `tell`, until the gate that is returned is closed.
pub(super) fn listen<S: Source>(
    zk: &Arc<dyn Zk>,
    dispatcher: &Arc<Dispatcher>,
    events: S,
    user: UserData,
    tell: impl Fn(&UserData, &S::Event) + Copy + Send + 'static,
) -> Result<Arc<Gate>> {
    dispatcher.start()?;
    let gate = Gate::new();
    let due = gate.enter()?;
    hand_on(zk, dispatcher, events, user, due, tell);
    Ok(gate)
}

/// Hands every event to `tell`, until the gate of `due` is closed. `user` is destroyed after the last one,
/// on the thread that runs the callbacks, which was started.
pub(super) fn hand_on<S: Source>(
    zk: &Arc<dyn Zk>,
    dispatcher: &Arc<Dispatcher>,
    mut events: S,
    user: UserData,
    due: Due,
    tell: impl Fn(&UserData, &S::Event) + Copy + Send + 'static,
) {
    let (dispatcher, closed) = (Arc::clone(dispatcher), due.0.closed());
    let user = Arc::new(user);
    zk.spawn(Box::pin(async move {
        tokio::pin!(closed);
        loop {
            let event = tokio::select! {
                biased;
                () = &mut closed => break,
                event = events.next() => event,
            };
            let Some(event) = event else { break };
            let (user, gate) = (Arc::clone(&user), Arc::clone(&due.0));
            dispatcher.push(move || {
                if !gate.is_closed() {
                    tell(&user, &event);
                }
            });
        }
        drop(events);
        // The last one that has it, and in the thread that may destroy it.
        dispatcher.push(move || {
            drop(user);
            drop(due);
        });
    }));
}

/// The one callback of a kind that a handle has, or none.
#[derive(Default)]
pub(super) struct Listener(Mutex<Option<Arc<Gate>>>);

impl Listener {
    /// Puts another one in the place of the one before, which does not run any more when this returns,
    /// except inside a callback. `owner` is the handle's own end.
    pub(super) fn replace(&self, owner: &Gate, new: Option<Arc<Gate>>) {
        let old = std::mem::replace(&mut *self.0.lock(), new.clone());
        // Freed meanwhile by another thread, which may have looked before this one was here.
        if let (true, Some(new)) = (owner.is_closed(), &new) {
            new.close();
        }
        if let Some(old) = old {
            old.close();
            old.wait_idle();
        }
    }

    /// Ends when everything that the callback is to be told has been told, the stream of it being over.
    pub(super) fn told(&self) -> impl Future<Output = ()> + Send + use<> {
        let gate = self.0.lock().clone();
        async move {
            if let Some(gate) = gate {
                gate.idle().await;
            }
        }
    }
}

/// Why a call ends whose handle was freed.
pub(super) fn freed() -> Error {
    Error::new(Code::CLOSED).because("the handle was freed meanwhile")
}
