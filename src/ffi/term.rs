//! Terms of an elector whose task is nobody's call: it begins by a callback and ends by a call.

use super::boundary::{UserData, bad_argument, status};
use super::codes::zkh_status;
use super::elector::{ElectorHandle, StopFn, ZKH_TASK_DONE, ZKH_TASK_FAILED, zkh_elector, zkh_task_stop_fn};
use super::error::zkh_error;
use super::handles;
use super::op::{tell, zkh_destroy_fn, zkh_done_fn};
use crate::error::{Error, Result};
use crate::recipes::elector::Outcome;
use crate::sync::Mutex;
use std::ffi::c_void;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A term that an elector serves, from the call of a `zkh_term_fn` to `zkh_term_end`, which frees it.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_term {
    /// Zero is null.
    pub id: u64,
}

/// The task was interrupted: the election is over for this elector.
pub const ZKH_TASK_INTERRUPTED: i32 = 2;

/// The elector leads: with this fencing token, and for at least so many milliseconds if nothing renews it
/// further. The leader's task begins, and goes on after this has returned, until `zkh_term_end` is called
/// with `term`. It is called on a thread of the library; what waits is refused in it with
/// `ZKH_WOULD_DEADLOCK`. It must not throw.
pub type zkh_term_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, term: zkh_term, token: i64, valid_ms: i64)>;

type BeginFn = unsafe extern "C" fn(*mut c_void, zkh_term, i64, i64);

/// What a [`zkh_term`] stands for: the way back to who waits for the task's end.
pub(super) struct Running(Mutex<Option<oneshot::Sender<Outcome>>>);

/// Term after term; ends with the reason.
async fn run(handle: &Arc<ElectorHandle>, begin: BeginFn, stop: StopFn, user: &Arc<UserData>) -> Error {
    let mut course = handle.elector.course();
    loop {
        let term = match course.next().await {
            Ok(term) => term,
            Err(error) => return error,
        };
        let (ended, end) = oneshot::channel();
        let id = match handles::insert(Arc::new(Running(Mutex::new(Some(ended))))) {
            Ok(id) => id,
            Err(error) => return error,
        };
        let (told, view, zk) = (Arc::clone(user), term.leadership(), Arc::clone(handle.client.client.zk()));
        let (began, begun) = oneshot::channel::<()>();
        handle.client.dispatcher.push(move || {
            let left = view.valid_until().map(|until| until.since(zk.now()).as_millis());
            let left = left.map_or(0, |left| i64::try_from(left).unwrap_or(i64::MAX));
            // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet.
            unsafe { begin(told.as_ptr(), zkh_term { id }, view.token(), left) };
            drop(told);
            drop(began);
        });
        let _ = begun.await;
        let (told, (stopping, stopped)) = (Arc::clone(user), oneshot::channel::<()>());
        handle.tell_stop(&term, stopping, move |token, reason| {
            // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet.
            unsafe { stop(told.as_ptr(), token, reason) };
        });
        let outcome = end.await.unwrap_or(Outcome::Failed);
        let ended = course.ended(term, outcome).await;
        // The last call of `stop` is over before the next term begins.
        let _ = stopped.await;
        if let Err(error) = ended {
            return error;
        }
    }
}

/// As `zkh_elector_run`, without a thread that waits: `begin` is called when a term begins, `stop` at most once
/// a term, after it, when the task has to end, and the term is over when `zkh_term_end` is called. `over` is called once, when
/// the election is over for this elector, after all others, with the reason as its status and error; its
/// value is 0. `user_data` is destroyed by `destroy`, which may be null, after that.
/// Any thread, also in callbacks. Errors of the call itself: ZKH_BAD_ARGUMENT, ZKH_BAD_HANDLE, ZKH_FORKED,
/// ZKH_CLOSED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_run_async(
    elector: zkh_elector,
    begin: zkh_term_fn,
    stop: zkh_task_stop_fn,
    over: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let user = UserData::new(user_data, destroy);
        let handle = handles::get::<ElectorHandle>(elector.id)?;
        let begin = begin.ok_or_else(|| bad_argument("begin is a null pointer"))?;
        let stop = stop.ok_or_else(|| bad_argument("stop is a null pointer"))?;
        if over.is_none() {
            return Err(bad_argument("over is a null pointer"));
        }
        handle.client.dispatcher.start()?;
        handle.client.urgent.start()?;
        let due = handle.gate.enter()?;
        let (user, zk) = (Arc::new(user), Arc::clone(handle.client.client.zk()));
        zk.spawn(Box::pin(async move {
            let why = run(&handle, begin, stop, &user).await;
            let dispatcher = Arc::clone(&handle.client.dispatcher);
            drop(handle);
            dispatcher.push(move || {
                tell(over, &user, Err(why));
                drop(user);
                drop(due);
            });
        }));
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_run_async", err, body) }
}

fn outcome(number: i32) -> Result<Outcome> {
    match number {
        ZKH_TASK_DONE => Ok(Outcome::Done),
        ZKH_TASK_FAILED => Ok(Outcome::Failed),
        ZKH_TASK_INTERRUPTED => Ok(Outcome::Interrupted),
        other => Err(bad_argument(format!("outcome is {other}: it must be one of ZKH_TASK_…"))),
    }
}

/// Ends a term: call this once the work of its task is over for certain. `outcome` is one of `ZKH_TASK_…`. The
/// next leader may start at once, and the elector stands again unless the election is over for it. It
/// works also while the elector is being freed, which waits for it.
/// Any thread, also in callbacks. Errors: ZKH_BAD_ARGUMENT; ZKH_BAD_HANDLE, also for a term that was ended
/// before; ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_term_end(
    term: zkh_term,
    task_outcome: i32,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let outcome = outcome(task_outcome)?;
        let running = handles::remove::<Running>(term.id)?;
        if let Some(ended) = running.0.lock().take() {
            // Nobody waits any more only when the process ends.
            let _ = ended.send(outcome);
        }
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_term_end", err, body) }
}
