//! The mutex: a distributed lock.

use super::boundary::{
    self, UserData, copy_text, logged, out, out_or_null, status, text, text_or_null, value,
};
use super::client::{ClientHandle, zkh_client};
use super::codes::zkh_status;
use super::dispatcher::{Gate, Listener, listen};
use super::error::{c_text, zkh_error};
use super::handles;
use super::op::{Cancel, On, zkh_destroy_fn, zkh_done_fn, zkh_op};
use super::options::{mutex_options, zkh_mutex_options};
use crate::error::Result;
use crate::recipes::mutex::{LostHold, Mutex, Revocation};
use crate::time::Time;
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

/// A distributed lock on one path. Whoever locks the same path, from any language and any machine, is
/// excluded, other handles of this process too. Any number of threads may use one at once: a second lock on
/// one handle queues behind the first. Made by `zkh_mutex_new`, freed by `zkh_mutex_free`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_mutex {
    /// Zero is null.
    pub id: u64,
}

/// Nothing proved in time that the lock was still held.
pub const ZKH_LOSS_LEASE_RAN_OUT: i32 = 1;
/// The lock's session was over.
pub const ZKH_LOSS_SESSION_OVER: i32 = 2;
/// The lock's node was deleted: by somebody, or with its session before that was heard of.
pub const ZKH_LOSS_NODE_DELETED: i32 = 3;
/// The client was closed.
pub const ZKH_LOSS_CLIENT_CLOSED: i32 = 4;

/// A lock that was held is lost: its fencing token, and why, one of `ZKH_LOSS_…`. It is called on a thread
/// that runs nothing but these; what waits is refused in it with `ZKH_WOULD_DEADLOCK`. It must not throw.
pub type zkh_lost_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, token: i64, reason: i32)>;

/// Somebody asks the holder of a lock, by its fencing token, to give it up; nothing is forced. `reason` is "" where
/// none was given; it belongs to the library and is gone when the callback returns. It is called on a thread of the
/// library, one at a time; what waits is refused in it with `ZKH_WOULD_DEADLOCK`. It must not throw.
pub type zkh_revoke_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, token: i64, reason: *const c_char)>;

/// What a [`zkh_mutex`] stands for.
pub(super) struct MutexHandle {
    pub(super) mutex: Mutex,
    client: Arc<ClientHandle>,
    gate: Arc<Gate>,
    on_lost: Listener,
    on_revoke: Listener,
}

impl MutexHandle {
    pub(super) fn on(&self, doing: &'static str) -> On<'_> {
        On {
            zk: self.client.client.zk(),
            gate: &self.gate,
            dispatcher: &self.client.dispatcher,
            doing,
            path: Some(self.mutex.path()),
        }
    }

    /// The work of one acquire; its value is the fencing token.
    fn acquire(
        self: &Arc<Self>,
        timeout: Option<Duration>,
        description: String,
    ) -> impl FnOnce(Cancel) -> std::pin::Pin<Box<dyn Future<Output = Result<i64>> + Send>> + use<> {
        let mutex = self.mutex.clone();
        move |mut cancel| {
            Box::pin(async move {
                let mut acquire = mutex.lock(timeout, &description);
                let outcome = tokio::select! {
                    biased;
                    outcome = &mut acquire => outcome,
                    () = cancel.cancelled() => acquire.cancel().await,
                };
                // The handle holds it from here on. Freeing the handle releases it.
                outcome.map(|hold| hold.keep())
            })
        }
    }
}

/// Makes a lock on `path`, not yet taken. Nothing is sent. `options` may be null. `*mutex` is null on
/// failure; otherwise the caller frees it.
/// Any thread, also in callbacks. Errors: ZKH_BAD_PATH, which names the rule that the path breaks;
/// ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE (the client or the options), ZKH_FORKED,
/// ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_new(
    client: zkh_client,
    path: *const c_char,
    options: *const zkh_mutex_options,
    mutex: *mut zkh_mutex,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(mutex, "mutex") }?;
        let client = handles::get::<ClientHandle>(client.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let path = unsafe { text(path, "path") }?;
        // SAFETY: null, or a handle of the caller's.
        let options = unsafe { mutex_options(options) }?;
        let mutex = Mutex::new(&client.client, path, options)?;
        let (on_lost, on_revoke) = (Listener::default(), Listener::default());
        let handle = MutexHandle { mutex, client, gate: Gate::new(), on_lost, on_revoke };
        place.set(zkh_mutex { id: handles::insert(Arc::new(handle))? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_new", err, body) }
}

/// Takes the lock: waits at most `timeout_ms` milliseconds; -1 waits for ever, and 0 does not wait: it takes the
/// lock only if nobody holds it or waits for it. `description` is for whoever looks at the lock node; it may
/// be null. On failure no lock node stays behind.
/// Any thread, not in callbacks. Errors: ZKH_TIMEOUT; ZKH_INTERRUPTED; ZKH_CLOSED when the client is
/// closed or the mutex is freed meanwhile; ZKH_SEQUENCE_EXHAUSTED; what the server says, such as
/// ZKH_NO_AUTH; ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_lock(
    mutex: zkh_mutex,
    timeout_ms: i64,
    description: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let description = unsafe { text_or_null(description, "description") }?.unwrap_or_default().to_owned();
        let work = handle.acquire(boundary::timeout(timeout_ms)?, description);
        handle.on("lock").wait(work).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_lock", err, body) }
}

/// The same, without waiting: `callback` gets the outcome, its value is the fencing token. `op`, which may
/// be null, takes a handle to cancel it by. No thread waits: ten thousand locks may wait at once.
/// `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8,
/// ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_CLOSED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_lock_async(
    mutex: zkh_mutex,
    timeout_ms: i64,
    description: *const c_char,
    callback: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let user = UserData::new(user_data, destroy);
        // SAFETY: null, or a place for a handle.
        let op = unsafe { out_or_null(op) };
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let description = unsafe { text_or_null(description, "description") }?.unwrap_or_default().to_owned();
        let work = handle.acquire(boundary::timeout(timeout_ms)?, description);
        handle.on("lock").call(callback, user, op.as_ref(), work)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_lock_async", err, body) }
}

async fn unlock(mutex: Mutex) -> Result<i64> {
    mutex.unlock().await.map(|()| 0)
}

/// Releases the lock that this handle holds, whichever thread took it: its node is gone when this returns
/// ZKH_OK. In every case the handle no longer holds the lock.
/// Any thread, not in callbacks. Errors: ZKH_NOT_HELD where it holds none; ZKH_LOCK_LOST where the lock was
/// lost meanwhile; ZKH_OUTCOME_UNKNOWN when the server did not confirm within the session timeout: the
/// release then goes on by itself; ZKH_CLOSED, ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_unlock(mutex: zkh_mutex, err: *mut *mut zkh_error) -> zkh_status {
    let body = || {
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        let mutex = handle.mutex.clone();
        handle.on("unlock").wait(|_| unlock(mutex)).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_unlock", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. It cannot be cancelled. `user_data` is destroyed
/// by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: ZKH_BAD_ARGUMENT, ZKH_BAD_HANDLE, ZKH_FORKED,
/// ZKH_CLOSED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_unlock_async(
    mutex: zkh_mutex,
    callback: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let user = UserData::new(user_data, destroy);
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        let mutex = handle.mutex.clone();
        handle.on("unlock").call(callback, user, None, |_| unlock(mutex))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_unlock_async", err, body) }
}

async fn reset(mutex: Mutex) -> Result<i64> {
    mutex.reset().await.map(|()| 0)
}

/// Lets the numbers of an idle lock begin at 0 again: the remedy for ZKH_SEQUENCE_EXHAUSTED. The path is
/// deleted, and made anew by the next lock; tokens go on growing. Where strict mode was used and the last holder
/// is not known to have left cleanly, this waits for the path's delay first, and the next strict holder waits for it too.
/// Any thread, not in callbacks. Errors: ZKH_NOT_EMPTY while anybody holds the lock or waits for it, or other
/// nodes are below it: nothing is deleted then; ZKH_NO_AUTH, ZKH_NOT_SENT, ZKH_OUTCOME_UNKNOWN, ZKH_CLOSED,
/// ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_reset(mutex: zkh_mutex, err: *mut *mut zkh_error) -> zkh_status {
    let body = || {
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        let mutex = handle.mutex.clone();
        handle.on("reset").wait(|_| reset(mutex)).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_reset", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. It cannot be cancelled. `user_data` is destroyed
/// by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: ZKH_BAD_ARGUMENT, ZKH_BAD_HANDLE, ZKH_FORKED,
/// ZKH_CLOSED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_reset_async(
    mutex: zkh_mutex,
    callback: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let user = UserData::new(user_data, destroy);
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        let mutex = handle.mutex.clone();
        handle.on("reset").call(callback, user, None, |_| reset(mutex))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_reset_async", err, body) }
}

/// Ends one wait for the lock on this handle with ZKH_INTERRUPTED. If nobody waits, the interrupt is
/// remembered and ends the next wait at its beginning. A lock that is held stays so.
/// Any thread, also in callbacks. Errors: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_interrupt(mutex: zkh_mutex, err: *mut *mut zkh_error) -> zkh_status {
    let body = || {
        handles::get::<MutexHandle>(mutex.id)?.mutex.interrupt();
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_interrupt", err, body) }
}

/// Sets the callback for losses of this handle's locks, in place of the one before; a null callback sets
/// none. It is called once for each hold that is lost, by the time that `zkh_mutex_valid_ms` gave at the
/// latest, also while the server is frozen or cut off. A process that was paused learns it when it goes on.
/// The one before is not called any more when this returns, except inside a callback. `user_data` is
/// destroyed by `destroy`, which may be null, once the callback is replaced or the mutex is freed.
/// Any thread, also in callbacks. Errors: ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_CLOSED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_on_lost(
    mutex: zkh_mutex,
    callback: zkh_lost_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let user = UserData::new(user_data, destroy);
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        let client = &handle.client;
        let new = callback.map(|callback| {
            listen(
                client.client.zk(),
                &client.urgent,
                handle.mutex.losses(),
                user,
                move |user, lost: &LostHold| {
                    // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet.
                    unsafe { callback(user.as_ptr(), lost.token, lost.reason as i32) };
                },
            )
        });
        handle.on_lost.replace(&handle.gate, new.transpose()?);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_on_lost", err, body) }
}

/// Sets the callback for requests to give up a lock that this handle holds (`zkh_mutex_request_revocation`, or
/// Curator's `Revoker`), in place of the one before; a null callback sets none. It is called once for each
/// request that comes from now on, and for one that was made while the handle waited for the lock when it has it.
/// A lock that was not renewed yet is asked after a sixth of the session timeout at the latest. `user_data` is
/// destroyed by `destroy`, which may be null, once the callback is replaced or the mutex is freed.
/// Any thread, also in callbacks. Errors: ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_CLOSED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_on_revoke(
    mutex: zkh_mutex,
    callback: zkh_revoke_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        let client = &handle.client;
        let new = callback.map(|callback| {
            let tell = move |user: &UserData, asked: &Revocation| {
                let reason = c_text(&asked.reason);
                // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet.
                unsafe { callback(user.as_ptr(), asked.token, reason.as_ptr()) };
            };
            listen(client.client.zk(), &client.dispatcher, handle.mutex.revocations(), user, tell)
        });
        handle.on_revoke.replace(&handle.gate, new.transpose()?);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_on_revoke", err, body) }
}

/// How many milliseconds from now the lock that this handle holds is certain to be its own, if nothing renews
/// it further; 0 where `zkh_mutex_is_held` is false. -1 where that cannot be known: over a lent connection without
/// transactions. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_mutex_valid_ms(mutex: zkh_mutex) -> i64 {
    value(|| {
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        let now = handle.client.client.zk().now();
        Ok(match handle.mutex.valid_until() {
            None => 0,
            Some(Time::NEVER) => -1,
            Some(until) => i64::try_from(until.since(now).as_millis()).unwrap_or(i64::MAX),
        })
    })
}

/// Whether this handle holds the lock for certain, at this moment; false where the handle is dead.
/// Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_mutex_is_held(mutex: zkh_mutex) -> bool {
    value(|| Ok(handles::get::<MutexHandle>(mutex.id)?.mutex.is_held()))
}

/// The fencing token of the lock that this handle holds: greater than that of every earlier holder of
/// the path. 0 where `zkh_mutex_is_held` is false. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_mutex_token(mutex: zkh_mutex) -> i64 {
    value(|| Ok(handles::get::<MutexHandle>(mutex.id)?.mutex.token().unwrap_or_default()))
}

/// Writes the lock's path and a NUL into `buffer`, cut off after `size` bytes in all, and answers with the
/// length of the whole path in bytes, without the NUL; 0 where the handle is dead. `buffer` may be null where
/// `size` is 0. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_path(mutex: zkh_mutex, buffer: *mut c_char, size: usize) -> usize {
    value(|| {
        let handle = handles::get::<MutexHandle>(mutex.id);
        // SAFETY: null, or `size` bytes of the caller's.
        unsafe { copy_text(handle.as_ref().map_or("", |handle| handle.mutex.path()), buffer, size) }
    })
}

/// Frees a mutex; null is left alone. A lock that it holds is released in the background. Calls of other
/// threads that wait on it end with ZKH_CLOSED, and so do its asynchronous ones: their callbacks are over
/// when this returns, except inside a callback, where it does not wait for them. So do not hold a lock
/// meanwhile that a callback takes.
/// Any thread, also in callbacks. Errors, logged too: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_mutex_free(mutex: zkh_mutex) -> zkh_status {
    logged("zkh_mutex_free", || {
        if mutex.id == 0 {
            return Ok(());
        }
        let handle = handles::remove::<MutexHandle>(mutex.id)?;
        handle.gate.close();
        handle.mutex.close();
        handle.on_lost.replace(&handle.gate, None);
        handle.on_revoke.replace(&handle.gate, None);
        handle.gate.wait_idle();
        Ok(())
    })
}
