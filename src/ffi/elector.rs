//! The elector: a part in an election.

use super::boundary::{InCallback, UserData, bad_argument, logged, may_block, out, status, text, value};
use super::client::{ClientHandle, zkh_client};
use super::codes::zkh_status;
use super::dispatcher::{Dispatcher, Gate, Listener, listen};
use super::elector_options::{elector_options, zkh_elector_options};
use super::error::zkh_error;
use super::handles;
use super::op::{On, tell, zkh_destroy_fn, zkh_done_fn};
use crate::error::{Code, Error, Result};
use crate::recipes::elector::{Course, Elector, Leadership, Outcome, Stop, Term};
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A part in an election: one leads among all that take part, from any language and any machine. Any
/// number of threads may use one at once; it leads in one term at a time. Made by `zkh_elector_new`, freed
/// by `zkh_elector_free`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_elector {
    /// Zero is null.
    pub id: u64,
}

/// Nothing proved in time that the lead was still held. The next leader may start when the grace is over.
pub const ZKH_STOP_LEASE_RAN_OUT: i32 = 1;
/// The leader's session was over. The next leader may start when the grace is over.
pub const ZKH_STOP_SESSION_OVER: i32 = 2;
/// The leader's node was deleted. The next leader may start when the grace is over.
pub const ZKH_STOP_NODE_DELETED: i32 = 3;
/// The client was closed. The next leader may start when the grace is over.
pub const ZKH_STOP_CLIENT_CLOSED: i32 = 4;
/// By `zkh_elector_interrupt`. The lead is kept until the task has ended.
pub const ZKH_STOP_INTERRUPTED: i32 = 5;
/// By `zkh_elector_resign`. The lead is kept until the task has ended.
pub const ZKH_STOP_RESIGNED: i32 = 6;
/// By `zkh_elector_close` or `zkh_elector_free`. The lead is kept until the task has ended.
pub const ZKH_STOP_CLOSED: i32 = 7;

/// The task ended well: the elector stands again.
pub const ZKH_TASK_DONE: i32 = 0;
/// The task failed: the elector stands again after a pause that grows from failure to failure.
pub const ZKH_TASK_FAILED: i32 = 1;

/// The task of a leader: works until it is told to stop or has ended by itself, and answers with
/// `ZKH_TASK_DONE`, or any other number for a failure. It is called on the thread that called
/// `zkh_elector_run`, and may wait. It must not throw.
pub type zkh_task_run_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, token: i64) -> i32>;

/// Tells the task to stop, once, with one of `ZKH_STOP_…`; the task has the grace to return from then on.
/// It is called on the library's thread for urgent news while the task still runs, and returns at once: what
/// waits is refused in it with `ZKH_WOULD_DEADLOCK`. It must not throw.
pub type zkh_task_stop_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, token: i64, reason: i32)>;

/// Asked after the task ended, on the same thread: whether it was interrupted, which ends the election for
/// this elector. It must not throw.
pub type zkh_task_interrupted_fn = Option<unsafe extern "C" fn(user_data: *mut c_void) -> bool>;

/// The elector leads: with this fencing token, and for at least so many milliseconds if nothing renews it
/// further. It is called on a thread of the library; what waits is refused in it with
/// `ZKH_WOULD_DEADLOCK`. It must not throw.
pub type zkh_elected_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, token: i64, valid_ms: i64)>;

/// The elector has to stop leading, for one of `ZKH_STOP_…`: the work of the leader has to be over when
/// this returns, at the latest by the end of the grace. It is called on a thread of the elector's own, also while
/// `elected` still runs. What waits is refused in it with `ZKH_WOULD_DEADLOCK`. It must not throw.
pub type zkh_deposed_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, token: i64, reason: i32)>;

/// A task has outlived its grace after the lead was lost: its fencing token. It is called on a thread that
/// runs nothing but such news; what waits is refused in it with `ZKH_WOULD_DEADLOCK`. It must not throw.
pub type zkh_overdue_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, token: i64)>;

/// What a [`zkh_elector`] stands for.
pub(super) struct ElectorHandle {
    pub(super) elector: Elector,
    pub(super) client: Arc<ClientHandle>,
    pub(super) gate: Arc<Gate>,
    pub(super) on_leader: Listener,
    on_overdue: Listener,
    /// Runs `deposed`, which may take its time: nobody else's news waits behind it.
    deposed: Dispatcher,
}

impl ElectorHandle {
    pub(super) fn on(&self, doing: &'static str) -> On<'_> {
        On {
            zk: self.client.client.zk(),
            gate: &self.gate,
            dispatcher: &self.client.dispatcher,
            doing,
            path: Some(self.elector.path()),
        }
    }

    /// Calls `stop` when the term has to end. The callback is over, or will never be, when `due` is dropped.
    pub(super) fn tell_stop(
        &self,
        leadership: &Leadership,
        due: impl Send + 'static,
        stop: impl FnOnce(i64, i32) + Send + 'static,
    ) {
        let (token, stopped) = (leadership.token(), leadership.stopped());
        let dispatcher = Arc::clone(&self.client.urgent);
        self.client.client.zk().spawn(Box::pin(async move {
            if let Some(why) = stopped.await {
                dispatcher.push(move || {
                    stop(token, number(why));
                    drop(due);
                });
            }
        }));
    }
}

fn number(stop: Stop) -> i32 {
    match stop {
        Stop::Lost(loss) => loss as i32,
        Stop::Interrupted => ZKH_STOP_INTERRUPTED,
        Stop::Resigned => ZKH_STOP_RESIGNED,
        Stop::Closed => ZKH_STOP_CLOSED,
    }
}

/// Makes a part in the election at `path`, not yet begun. Nothing is sent. `options` may be null.
/// `*elector` is null on failure; otherwise the caller frees it.
/// Any thread, also in callbacks. Errors: ZKH_BAD_PATH, which names the rule that the path breaks;
/// ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE (the client or the options), ZKH_FORKED,
/// ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_new(
    client: zkh_client,
    path: *const c_char,
    options: *const zkh_elector_options,
    elector: *mut zkh_elector,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(elector, "elector") }?;
        let client = handles::get::<ClientHandle>(client.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let path = unsafe { text(path, "path") }?;
        // SAFETY: null, or a handle of the caller's.
        let options = unsafe { elector_options(options) }?;
        let elector = Elector::new(&client.client, path, options)?;
        let handle = ElectorHandle {
            elector,
            client,
            gate: Gate::new(),
            on_leader: Listener::default(),
            on_overdue: Listener::default(),
            deposed: Dispatcher::new("zkhelper-depose"),
        };
        place.set(zkh_elector { id: handles::insert(Arc::new(handle))? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_new", err, body) }
}

type RunFn = unsafe extern "C" fn(*mut c_void, i64) -> i32;
pub(super) type StopFn = unsafe extern "C" fn(*mut c_void, i64, i32);
type InterruptedFn = unsafe extern "C" fn(*mut c_void) -> bool;

/// A task of three callbacks.
struct Task {
    run: RunFn,
    stop: StopFn,
    interrupted: Option<InterruptedFn>,
    user: Arc<UserData>,
}

/// One term: runs the task in this thread.
fn serve(handle: &Arc<ElectorHandle>, term: &Term, task: &Task, calls: &Arc<Gate>) -> Result<Outcome> {
    // Whoever frees the handle waits for the task's end.
    let _due = handle.gate.enter()?;
    let (stop, user) = (task.stop, Arc::clone(&task.user));
    handle.tell_stop(term, calls.enter()?, move |token, reason| {
        // SAFETY: the caller gave this callback for this pointer, and is told when it is done with.
        unsafe { stop(user.as_ptr(), token, reason) };
    });
    let _mark = InCallback::task();
    // SAFETY: the caller gave this callback for this pointer.
    let ended = unsafe { (task.run)(task.user.as_ptr(), term.token()) };
    let interrupted = task.interrupted.is_some_and(|interrupted| {
        // SAFETY: the caller gave this callback for this pointer.
        unsafe { interrupted(task.user.as_ptr()) }
    });
    Ok(match ended {
        _ if interrupted => Outcome::Interrupted,
        ZKH_TASK_DONE => Outcome::Done,
        _ => Outcome::Failed,
    })
}

fn run_terms(handle: &Arc<ElectorHandle>, task: &Task) -> Result<()> {
    handle.client.urgent.start()?;
    let mut course = handle.elector.course();
    loop {
        let (mut then, term) = handle.on("election").wait(|_| async move {
            let term = course.next().await?;
            Ok((course, term))
        })?;
        let calls = Gate::new();
        let outcome = serve(handle, &term, task, &calls);
        let (outcome, over) = match outcome {
            Ok(outcome) => (outcome, None),
            Err(error) => (Outcome::Failed, Some(error)),
        };
        let ended = handle.on("election").wait(|_| async move {
            then.ended(term, outcome).await?;
            Ok(then)
        });
        // The last call of `stop` is over before this returns or the next term begins.
        calls.wait_idle();
        course = ended?;
        if let Some(over) = over {
            return Err(over);
        }
    }
}

/// Takes part in the election until it is over for this elector: in each term runs the task, in this thread,
/// and stands again after it ended. It is over when `interrupted` says so, or `zkh_elector_interrupt`,
/// `zkh_elector_close` or `zkh_elector_free` is called: then the task is told to stop, and its end awaited; and
/// after an error that does not pass. `interrupted` may be null. None of the callbacks runs any more when
/// this returns. A task that outlives its grace is reported by the log and `zkh_elector_on_overdue`.
/// Any thread, not in callbacks. It never returns ZKH_OK. Errors: ZKH_INTERRUPTED, ZKH_CLOSED; ZKH_BAD_ARGUMENT
/// where the other candidates use another lease and grace; what the server says, such as
/// ZKH_NO_AUTH; ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_WOULD_DEADLOCK, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_run(
    elector: zkh_elector,
    run: zkh_task_run_fn,
    stop: zkh_task_stop_fn,
    interrupted: zkh_task_interrupted_fn,
    user_data: *mut c_void,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let handle = handles::get::<ElectorHandle>(elector.id)?;
        let run = run.ok_or_else(|| bad_argument("run is a null pointer"))?;
        let stop = stop.ok_or_else(|| bad_argument("stop is a null pointer"))?;
        may_block()?;
        let user = Arc::new(UserData::new(user_data, None));
        run_terms(&handle, &Task { run, stop, interrupted, user })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_run", err, body) }
}

type ElectedFn = unsafe extern "C" fn(*mut c_void, i64, i64);

/// Term after term by callbacks; ends with the reason.
async fn lead(
    handle: Arc<ElectorHandle>,
    elected: ElectedFn,
    deposed: Option<StopFn>,
    user: Arc<UserData>,
) -> Error {
    let mut course: Course = handle.elector.course();
    loop {
        let term = match course.next().await {
            Ok(term) => term,
            Err(error) => return error,
        };
        // Whoever cannot be told to stop must not lead.
        if let Err(error) = handle.deposed.start() {
            log::error!("election {:?}: {error}", handle.elector.path());
            match course.ended(term, Outcome::Failed).await {
                Ok(()) => continue,
                Err(error) => return error,
            }
        }
        // Both callbacks are over when the other ends are dropped.
        let ((began, begun), (stopping, stopped)) = (oneshot::channel::<()>(), oneshot::channel::<()>());
        let (told, view) = (Arc::clone(&user), term.leadership());
        let zk = Arc::clone(handle.client.client.zk());
        handle.client.dispatcher.push(move || {
            let left = view.valid_until().map(|until| until.since(zk.now()).as_millis());
            let left = left.map_or(0, |left| i64::try_from(left).unwrap_or(i64::MAX));
            // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet.
            unsafe { elected(told.as_ptr(), view.token(), left) };
            drop(told);
            drop(began);
        });
        let (told, token) = (Arc::clone(&user), term.token());
        let why = term.stopped().await;
        handle.deposed.push(move || {
            if let (Some(deposed), Some(why)) = (deposed, why) {
                // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet.
                unsafe { deposed(told.as_ptr(), token, number(why)) };
            }
            drop(told);
            drop(stopping);
        });
        let _ = stopped.await;
        let _ = begun.await;
        if let Err(error) = course.ended(term, Outcome::Done).await {
            return error;
        }
    }
}

/// The same by callbacks, without waiting: `elected` is called when a term begins, `deposed`, which may be
/// null, when it has to end; the term is over when both have returned. After a term the elector stands again. `over` is
/// called once, when the election is over for this elector, with the reason as its status and error, after the other
/// two; its value is 0. `user_data` is destroyed by `destroy`, which may be null, after that.
/// Any thread, also in callbacks. Errors of the call itself: ZKH_BAD_ARGUMENT, ZKH_BAD_HANDLE, ZKH_FORKED,
/// ZKH_CLOSED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_start(
    elector: zkh_elector,
    elected: zkh_elected_fn,
    deposed: zkh_deposed_fn,
    over: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let user = UserData::new(user_data, destroy);
        let handle = handles::get::<ElectorHandle>(elector.id)?;
        let elected = elected.ok_or_else(|| bad_argument("elected is a null pointer"))?;
        if over.is_none() {
            return Err(bad_argument("over is a null pointer"));
        }
        handle.client.dispatcher.start()?;
        let due = handle.gate.enter()?;
        let (user, zk) = (Arc::new(user), Arc::clone(handle.client.client.zk()));
        zk.spawn(Box::pin(async move {
            let why = lead(Arc::clone(&handle), elected, deposed, Arc::clone(&user)).await;
            handle.client.dispatcher.push(move || {
                tell(over, &user, Err(why));
                drop(user);
                drop(due);
            });
        }));
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_start", err, body) }
}

/// Ends the election for this elector with ZKH_INTERRUPTED: a candidacy at once, a term once its task has ended,
/// which is told to stop. If there is neither, the interrupt is remembered and ends the next candidacy at its
/// beginning.
/// Any thread, also in callbacks. Errors: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_interrupt(elector: zkh_elector, err: *mut *mut zkh_error) -> zkh_status {
    let body = || {
        handles::get::<ElectorHandle>(elector.id)?.elector.interrupt();
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_interrupt", err, body) }
}

/// Gives the lead up: the task is told to stop, and once it has ended somebody else's turn comes; the elector
/// stands again behind them.
/// Any thread, also in callbacks. Errors: ZKH_NOT_HELD where it does not lead, or is stopping already;
/// ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_resign(elector: zkh_elector, err: *mut *mut zkh_error) -> zkh_status {
    let body = || {
        let handle = handles::get::<ElectorHandle>(elector.id)?;
        if handle.elector.resign() {
            return Ok(());
        }
        Err(Error::new(Code::NOT_HELD).during("resign", Some(handle.elector.path())))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_resign", err, body) }
}

/// Ends the election for this elector with ZKH_CLOSED, now and in future: a candidacy at once, a term once its task has
/// ended, which is told to stop. It does not wait for that.
/// Any thread, also in callbacks. Errors: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_close(elector: zkh_elector, err: *mut *mut zkh_error) -> zkh_status {
    let body = || {
        handles::get::<ElectorHandle>(elector.id)?.elector.close();
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_close", err, body) }
}

/// Sets the callback for tasks that outlive their grace after the lead was lost, in place of the one before;
/// a null callback sets none. Two leaders' tasks may overlap from
/// that moment. The one before is not called any more when this returns, except inside a callback. `user_data` is
/// destroyed by `destroy`, which may be null, once the callback is replaced or the elector is freed.
/// Any thread, also in callbacks. Errors: ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_CLOSED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_on_overdue(
    elector: zkh_elector,
    callback: zkh_overdue_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let user = UserData::new(user_data, destroy);
        let handle = handles::get::<ElectorHandle>(elector.id)?;
        let client = &handle.client;
        let new = callback.map(|callback| {
            let overdue = handle.elector.overdue();
            listen(client.client.zk(), &client.urgent, overdue, user, move |user, token: &i64| {
                // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet.
                unsafe { callback(user.as_ptr(), *token) };
            })
        });
        handle.on_overdue.replace(&handle.gate, new.transpose()?);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_on_overdue", err, body) }
}

/// The present term's view, if there is one.
fn leadership(elector: zkh_elector) -> Result<Option<Leadership>> {
    Ok(handles::get::<ElectorHandle>(elector.id)?.elector.leadership())
}

/// Whether this elector leads for certain, at this moment; false where the handle is dead. A process that
/// was paused learns here, at its first look, what happened meanwhile. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_elector_is_leading(elector: zkh_elector) -> bool {
    value(|| Ok(leadership(elector)?.is_some_and(|term| term.is_leading())))
}

/// The fencing token of the present term: greater than that of every earlier leader. 0 where
/// `zkh_elector_is_leading` is false. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_elector_token(elector: zkh_elector) -> i64 {
    value(|| Ok(leadership(elector)?.filter(Leadership::is_leading).map_or(0, |term| term.token())))
}

/// How many milliseconds from now this elector is certain to lead, if nothing renews it further; 0 where
/// `zkh_elector_is_leading` is false. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_elector_valid_ms(elector: zkh_elector) -> i64 {
    value(|| {
        let handle = handles::get::<ElectorHandle>(elector.id)?;
        let until = handle.elector.leadership().and_then(|term| term.valid_until());
        let left = until.map(|until| until.since(handle.client.client.zk().now()).as_millis());
        Ok(left.map_or(0, |left| i64::try_from(left).unwrap_or(i64::MAX)))
    })
}

/// Frees an elector; null is left alone. It is closed: a task under way is told to stop, and this waits for
/// its end and for every callback, except inside a callback, where it does not wait. So do not hold a lock
/// meanwhile that a callback takes. Calls of other threads that wait on it end with ZKH_CLOSED.
/// Any thread, also in callbacks. Errors, logged too: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_elector_free(elector: zkh_elector) -> zkh_status {
    logged("zkh_elector_free", || {
        if elector.id == 0 {
            return Ok(());
        }
        let handle = handles::remove::<ElectorHandle>(elector.id)?;
        handle.elector.close();
        handle.gate.close();
        handle.on_leader.replace(&handle.gate, None);
        handle.on_overdue.replace(&handle.gate, None);
        handle.gate.wait_idle();
        Ok(())
    })
}
