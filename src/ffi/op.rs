//! Calls that wait: one way for the blocking and the asynchronous form. A thread that waits does the work's few steps
//! itself. What has many steps, and what is asynchronous, is a task on the IO thread, whose outcome goes to the thread that
//! waits, or to the callback: on the dispatcher's thread, or on the one that made the call, if that lingers.

use super::boundary::{self, UserData, may_block, status};
use super::codes::zkh_status;
use super::dispatcher::{Dispatcher, Due, Gate, Turn, freed};
use super::error::zkh_error;
use super::handles;
use crate::error::{Code, Error, Result};
use crate::sync::Mutex;
use crate::zk::Zk;
use std::cell::Cell;
use std::ffi::c_void;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;
use tokio::sync::oneshot;

/// An asynchronous operation under way. It is freed by its completion: there is nothing to free.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_op {
    /// Zero is null.
    pub id: u64,
}

/// The completion of an asynchronous call. It is called exactly once if the call returned `ZKH_OK`, and
/// never otherwise, on a thread of the library or, where `zkh_thread_set_linger` asks for it, in the one that made
/// the call; one at a time and in the order of completion for one client. It may be
/// called before the call itself has returned. `value` is what the call says it is. `error` is null when
/// `status` is `ZKH_OK`; it belongs to the library and is gone when the callback returns. Inside it a
/// function that waits answers `ZKH_WOULD_DEADLOCK`; all others, free among them, are allowed. It must
/// not throw.
pub type zkh_done_fn = Option<
    unsafe extern "C" fn(user_data: *mut c_void, status: zkh_status, value: i64, error: *const zkh_error),
>;

/// Destroys the `user_data` of a callback. It is called exactly once: after the last call of the callback,
/// and on the same thread, or before the function that it was given to returns, if that one fails. What
/// waits is refused in it with `ZKH_WOULD_DEADLOCK`. It must not throw.
pub type zkh_destroy_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Asks an operation to end early. It completes all the same, exactly once: with `ZKH_CANCELLED` where the
/// cancel came first, as it otherwise would where it came too late. A cancelled lock leaves no node; a
/// lock that was granted before is granted. A request that was not sent yet never is and has no effect; a
/// read that was sent ends at once; a write that was sent runs to its end, and so does any call that says
/// that it cannot be cancelled.
/// Any thread, also in callbacks. Errors: ZKH_BAD_HANDLE, also when the operation has completed;
/// ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_op_cancel(op: zkh_op, err: *mut *mut zkh_error) -> zkh_status {
    let body = || {
        let op = handles::get::<Op>(op.id)?;
        drop(op.cancel.lock().take());
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_op_cancel", err, body) }
}

thread_local! {
    /// For how long this thread's asynchronous calls linger; `None` for ever.
    static LINGER: Cell<Option<Duration>> = const { Cell::new(Some(Duration::ZERO)) };
}

/// Lets the asynchronous calls that this thread makes from now on linger: each waits for its own completion, for at most
/// `timeout_ms` milliseconds; -1 waits for ever, and 0, as in every thread at first, does not wait. If it completes meanwhile, its
/// callback is called in this thread, before the call returns; otherwise on a thread of the library, as ever. So it is, too,
/// where other callbacks of the client are due before it or run at the moment: the order stays, and no two run at once.
/// It saves changes of threads where an answer is near.
/// `*op` is written before the wait, so that another thread may cancel it. Calls inside callbacks do not linger, and neither
/// does zkh_elector_start. Hold no lock around a call that lingers which a callback of the client takes.
/// Any thread, not in callbacks. Errors: ZKH_BAD_ARGUMENT; ZKH_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_thread_set_linger(timeout_ms: i64, err: *mut *mut zkh_error) -> zkh_status {
    let body = || {
        may_block()?;
        LINGER.set(boundary::timeout(timeout_ms)?);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_thread_set_linger", err, body) }
}

/// For how long a call of this thread lingers here, `None` for ever; or not at all.
fn linger() -> Option<Option<Duration>> {
    let limit = LINGER.try_with(Cell::get).ok()?;
    (limit != Some(Duration::ZERO) && may_block().is_ok()).then_some(limit)
}

/// What a [`zkh_op`] stands for. Dropping what is in it cancels the operation.
pub(super) struct Op {
    cancel: Mutex<Option<oneshot::Sender<()>>>,
}

/// Tells work that it is to end early.
pub(super) struct Cancel(Option<oneshot::Receiver<()>>);

impl Cancel {
    pub(super) async fn cancelled(&mut self) {
        match &mut self.0 {
            Some(cancel) => {
                let _ = cancel.await;
            }
            None => pending().await,
        }
    }
}

/// A callback that takes an outcome of this kind.
pub(super) trait Completion<T>: Send + 'static {
    fn is_null(&self) -> bool;
    /// Called once, when it is its turn.
    fn complete(self, user: UserData, outcome: Result<T>);
}

impl Completion<i64> for zkh_done_fn {
    fn is_null(&self) -> bool {
        self.is_none()
    }

    fn complete(self, user: UserData, outcome: Result<i64>) {
        tell(self, &user, outcome);
    }
}

/// Calls a completion.
pub(super) fn tell(callback: zkh_done_fn, user: &UserData, outcome: Result<i64>) {
    let Some(callback) = callback else { return };
    let (status, value, error) = match outcome {
        Ok(value) => (Code::OK, value, None),
        Err(error) => (error.code(), 0, Some(zkh_error::new(&error))),
    };
    let error = error.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet.
    unsafe { callback(user.as_ptr(), status.number(), value, error) };
}

type Complete<T> = Box<dyn FnOnce(UserData, Result<T>) + Send>;

/// Where an outcome goes.
enum Done<T> {
    Waiter(oneshot::Sender<Result<T>>),
    Callback(Callback<T>),
    Lingerer(Arc<Lingerer<T>>),
}

/// A completion that is owed.
struct Callback<T> {
    complete: Complete<T>,
    user: UserData,
    due: Due,
    op: Option<u64>,
    dispatcher: Arc<Dispatcher>,
}

impl<T: Send + 'static> Callback<T> {
    /// Calls it, whose turn it is. Whoever waits for the handle's last callback goes on once what this gives is dropped.
    fn call(self, outcome: Result<T>) -> Due {
        if let Some(op) = self.op {
            let _ = handles::remove::<Op>(op);
        }
        (self.complete)(self.user, outcome);
        self.due
    }

    /// Lets the dispatcher call it.
    fn push(self, outcome: Result<T>) {
        let dispatcher = Arc::clone(&self.dispatcher);
        dispatcher.push(move || drop(self.call(outcome)));
    }
}

/// A thread that waits for the completion of a call it made, and would call the callback itself.
struct Lingerer<T>(Mutex<Stage<T>>);

enum Stage<T> {
    /// It waits, and this wakes it.
    Waits(Callback<T>, Option<Waker>),
    /// It is to call this.
    Called(Callback<T>, Result<T>, Turn),
    /// It has gone without the outcome.
    Left(Callback<T>),
    /// Nothing is left to be done.
    Over,
}

impl<T: Send + 'static> Lingerer<T> {
    /// Hands the outcome to the thread if it is still there and the turn is its, and otherwise to the dispatcher.
    fn deliver(&self, outcome: Result<T>) {
        let mut stage = self.0.lock();
        let waker = match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::Waits(callback, waker) => {
                match callback.dispatcher.turn() {
                    Some(turn) => *stage = Stage::Called(callback, outcome, turn),
                    None => callback.push(outcome),
                }
                waker
            }
            Stage::Left(callback) => {
                callback.push(outcome);
                None
            }
            // It is delivered once.
            other => {
                *stage = other;
                None
            }
        };
        drop(stage);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits in this thread for at most so long, and calls the callback if it is its turn by then. False if the outcome is
    /// still to come.
    fn linger(&self, zk: &Arc<dyn Zk>, limit: Option<Duration>) -> bool {
        let delivered = poll_fn(|context| match &mut *self.0.lock() {
            Stage::Waits(_, waker) => {
                *waker = Some(context.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        });
        zk.wait(pin!(delivered), limit);
        let mut stage = self.0.lock();
        match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::Waits(callback, _) => {
                *stage = Stage::Left(callback);
                false
            }
            Stage::Called(callback, outcome, turn) => {
                drop(stage);
                turn.run(|| callback.call(outcome));
                true
            }
            _ => true,
        }
    }
}

/// Delivers one outcome, whatever happens to the task that owes it.
struct Delivery<T: Send + 'static>(Option<Done<T>>);

impl<T: Send + 'static> Delivery<T> {
    fn deliver(&mut self, outcome: Result<T>) {
        match self.0.take() {
            // It waits until this comes.
            Some(Done::Waiter(waiter)) => drop(waiter.send(outcome)),
            Some(Done::Callback(callback)) => callback.push(outcome),
            Some(Done::Lingerer(lingerer)) => lingerer.deliver(outcome),
            None => {}
        }
    }
}

impl<T: Send + 'static> Drop for Delivery<T> {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.deliver(Err(broke_off()));
        }
    }
}

fn broke_off() -> Error {
    Error::new(Code::PANIC).because("its task broke off")
}

/// What a call needs to know of the handle it is made on.
#[derive(Clone, Copy)]
pub(super) struct On<'a> {
    pub(super) zk: &'a Arc<dyn Zk>,
    pub(super) gate: &'a Arc<Gate>,
    pub(super) dispatcher: &'a Arc<Dispatcher>,
    /// What the call does, and to which path, for its error.
    pub(super) doing: &'static str,
    pub(super) path: Option<&'a str>,
}

impl On<'_> {
    fn start<T, F>(self, done: Done<T>, cancel: Cancel, work: impl FnOnce(Cancel) -> F)
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let (work, closed) = (work(cancel), self.gate.closed());
        let (doing, path) = (self.doing, self.path.map(str::to_owned));
        let mut delivery = Delivery(Some(done));
        self.zk.begin(Box::pin(async move {
            let outcome = tokio::select! {
                biased;
                () = closed => Err(freed()),
                outcome = work => outcome,
            };
            delivery.deliver(outcome.map_err(|error| error.during(doing, path.as_deref())));
        }));
    }

    /// Does the work in this thread, which waits between its steps.
    pub(super) fn wait<T, F>(self, work: impl FnOnce(Cancel) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        may_block()?;
        let (work, closed) = (work(Cancel(None)), self.gate.closed());
        let mut work = pin!(async {
            tokio::select! {
                biased;
                () = closed => Err(freed()),
                outcome = work => outcome,
            }
        });
        let mut outcome = None;
        // What panics ends as a task that does, and whoever carries bytes in this wait goes on.
        let done = poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(result)) => {
                outcome = Some(result);
                Poll::Ready(())
            }
            Err(_) => Poll::Ready(()),
        });
        self.zk.wait(pin!(done), None);
        outcome.unwrap_or_else(|| Err(broke_off())).map_err(|error| error.during(self.doing, self.path))
    }

    /// The same for work of many steps, which would wake this thread for each of them: it is woken for the outcome alone.
    pub(super) fn wait_apart<T, F>(self, work: impl FnOnce(Cancel) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        may_block()?;
        let (waiter, waited) = oneshot::channel();
        self.start(Done::Waiter(waiter), Cancel(None), work);
        let mut outcome = None;
        let done = async { outcome = waited.await.ok() };
        self.zk.wait(pin!(done), None);
        outcome.unwrap_or_else(|| Err(broke_off()))
    }

    /// Begins the work, and hands its outcome to a callback.
    pub(super) fn call<T, F>(
        self,
        callback: impl Completion<T>,
        user: UserData,
        op: Option<&boundary::Out<zkh_op>>,
        work: impl FnOnce(Cancel) -> F,
    ) -> Result<()>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        if callback.is_null() {
            return Err(boundary::bad_argument("callback is a null pointer"));
        }
        self.dispatcher.start()?;
        let due = self.gate.enter()?;
        let (id, cancel) = match op {
            Some(op) => {
                let (sender, receiver) = oneshot::channel();
                let id = handles::insert(Arc::new(Op { cancel: Mutex::new(Some(sender)) }))?;
                op.set(zkh_op { id });
                (Some(id), Cancel(Some(receiver)))
            }
            None => (None, Cancel(None)),
        };
        let dispatcher = Arc::clone(self.dispatcher);
        let complete = Box::new(move |user, outcome| callback.complete(user, outcome));
        let callback = Callback { complete, user, due, op: id, dispatcher };
        let lingered = if let Some(limit) = linger() {
            let lingerer = Arc::new(Lingerer(Mutex::new(Stage::Waits(callback, None))));
            self.start(Done::Lingerer(Arc::clone(&lingerer)), cancel, work);
            lingerer.linger(self.zk, limit)
        } else {
            self.start(Done::Callback(callback), cancel, work);
            false
        };
        if !lingered {
            self.zk.attend();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_breaks_off_still_delivers() {
        let (waiter, mut waited) = oneshot::channel::<Result<i64>>();
        drop(Delivery(Some(Done::Waiter(waiter))));
        let outcome = waited.try_recv().expect("delivered");
        assert_eq!(outcome.map_err(|error| error.code()), Err(Code::PANIC));
    }
}
