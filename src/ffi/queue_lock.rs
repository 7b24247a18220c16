//! The queue lock: whoever's node has the lowest name in a queue holds it.

use super::acl::{self, zkh_acl};
use super::boundary::{
    self, UserData, copy_text, logged, out, out_or_null, status, text, text_or_null, value,
};
use super::client::{ClientHandle, zkh_client};
use super::codes::zkh_status;
use super::dispatcher::Gate;
use super::error::zkh_error;
use super::handles;
use super::op::{Cancel, On, zkh_destroy_fn, zkh_done_fn, zkh_op};
use crate::error::Result;
use crate::recipes::queue_lock::{self, Obtain, QueueLock};
use crate::sync::Mutex;
use crate::zk::BoxFuture;
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

/// A lock on a queue: of all its children, the one with the lowest name, compared as bytes, holds it. It is
/// for queues whose nodes have another purpose besides; there is no lease, so who has to know how long a lock
/// may be trusted takes a `zkh_mutex`. Any number of threads may use one at once. Made by `zkh_queue_lock_new`,
/// freed by `zkh_queue_lock_free`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_queue_lock {
    /// Zero is null.
    pub id: u64,
}

/// How the nodes are made that a queue lock makes itself. Made by `zkh_queue_lock_options_new`, freed by
/// `zkh_queue_lock_options_free`; a queue lock copies it, so it may be used for several, changed in between,
/// and freed at once.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_queue_lock_options {
    /// Zero is null.
    pub id: u64,
}

#[derive(Default)]
pub(super) struct QueueLockOptions(Mutex<queue_lock::QueueLockOptions>);

/// Changes the options if they are valid afterwards.
fn set(
    options: zkh_queue_lock_options,
    change: impl FnOnce(&mut queue_lock::QueueLockOptions) -> Result<()>,
) -> Result<()> {
    let options = handles::get::<QueueLockOptions>(options.id)?;
    let mut options = options.0.lock();
    let mut changed = options.clone();
    change(&mut changed)?;
    changed.validate()?;
    *options = changed;
    Ok(())
}

/// Makes queue lock options with the defaults. `*options` is null on failure. The caller frees it.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_queue_lock_options_new(
    options: *mut zkh_queue_lock_options,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(options, "options") }?;
        place.set(zkh_queue_lock_options { id: handles::insert(Arc::new(QueueLockOptions::default()))? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_queue_lock_options_new", err, body) }
}

/// Frees queue lock options; null is left alone. Any thread. Errors, logged too: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_queue_lock_options_free(options: zkh_queue_lock_options) -> zkh_status {
    logged("zkh_queue_lock_options_free", || {
        if options.id != 0 {
            handles::remove::<QueueLockOptions>(options.id)?;
        }
        Ok(())
    })
}

/// Sets the access control list of the nodes and of the parents that have to be made; it is copied. Null is
/// the default: anyone may do everything.
/// Any thread. Errors: ZKH_INVALID_ACL where it is empty; ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_queue_lock_options_set_acl(
    options: zkh_queue_lock_options,
    access: *const zkh_acl,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a handle of the caller's.
        let list = unsafe { acl::acl(access) }?;
        set(options, |options| {
            options.acl = list;
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_queue_lock_options_set_acl", err, body) }
}

/// Sets what goes before the number in the nodes' names: the same for all who wait in a queue. Default "lock-".
/// Any thread. Errors: ZKH_BAD_ARGUMENT where it is empty or cannot be in a name; ZKH_BAD_UTF8, ZKH_BAD_HANDLE,
/// ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_queue_lock_options_set_prefix(
    options: zkh_queue_lock_options,
    prefix: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let prefix = unsafe { text(prefix, "prefix") }?.to_owned();
        set(options, |options| {
            options.prefix = prefix;
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_queue_lock_options_set_prefix", err, body) }
}

/// Sets further keys of the JSON object in a node, as the text of a JSON object. The keys hostname, pid,
/// and desc are the library's, and so is id where it is not among these; otherwise its own goes by attempt-id.
/// Any thread. Errors: ZKH_BAD_ARGUMENT unless it is a JSON object; ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_queue_lock_options_set_contents_json(
    options: zkh_queue_lock_options,
    json: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let json = unsafe { text(json, "json") }?;
        set(options, |options| options.contents_json(json))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_queue_lock_options_set_contents_json", err, body) }
}

/// What a [`zkh_queue_lock`] stands for.
pub(super) struct QueueLockHandle {
    lock: QueueLock,
    client: Arc<ClientHandle>,
    gate: Arc<Gate>,
}

impl QueueLockHandle {
    fn on(&self, doing: &'static str) -> On<'_> {
        On {
            zk: self.client.client.zk(),
            gate: &self.gate,
            dispatcher: &self.client.dispatcher,
            doing,
            path: Some(self.lock.path()),
        }
    }

    /// The work of one lock; its value is the czxid of the node that was made.
    fn lock(
        &self,
        timeout: Option<Duration>,
        description: String,
    ) -> impl FnOnce(Cancel) -> BoxFuture<Result<i64>> + use<> {
        let lock = self.lock.clone();
        move |cancel| {
            Box::pin(async move {
                // The handle holds it from here on. Freeing the handle releases it.
                until(lock.lock(timeout, &description), cancel).await.map(|hold| hold.keep())
            })
        }
    }

    /// The work of one wait for a node that exists.
    fn obtain(
        &self,
        timeout: Option<Duration>,
        name: String,
    ) -> impl FnOnce(Cancel) -> BoxFuture<Result<i64>> + use<> {
        let lock = self.lock.clone();
        move |cancel| Box::pin(async move { until(lock.obtain(&name, timeout), cancel).await.map(|()| 0) })
    }
}

/// The outcome of a wait that may be cancelled.
async fn until<T>(mut wait: Obtain<T>, mut cancel: Cancel) -> Result<T> {
    tokio::select! {
        biased;
        outcome = &mut wait => outcome,
        () = cancel.cancelled() => wait.cancel().await,
    }
}

async fn unlock(lock: QueueLock) -> Result<i64> {
    lock.unlock().await.map(|()| 0)
}

/// Makes a lock on `queue`, the parent of the nodes that wait. Nothing is sent. `options` may be null.
/// `*lock` is null on failure; otherwise the caller frees it.
/// Any thread, also in callbacks. Errors: ZKH_BAD_PATH, ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE (the client
/// or the options), ZKH_FORKED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_queue_lock_new(
    client: zkh_client,
    queue: *const c_char,
    options: *const zkh_queue_lock_options,
    lock: *mut zkh_queue_lock,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(lock, "lock") }?;
        let client = handles::get::<ClientHandle>(client.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let queue = unsafe { text(queue, "queue") }?;
        // SAFETY: null, or a handle of the caller's.
        let options = match unsafe { options.as_ref() } {
            Some(options) => handles::get::<QueueLockOptions>(options.id)?.0.lock().clone(),
            None => queue_lock::QueueLockOptions::default(),
        };
        let lock = QueueLock::new(&client.client, queue, options)?;
        let handle = QueueLockHandle { lock, client, gate: Gate::new() };
        place.set(zkh_queue_lock { id: handles::insert(Arc::new(handle))? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_queue_lock_new", err, body) }
}

/// Waits until a node that exists already, `name` below the queue, is the first: at most `timeout_ms` milliseconds;
/// -1 waits for ever, and 0 is a check that does not wait for others. The node stays the caller's, also if
/// this fails: delete it to let the next one in.
/// Any thread, not in callbacks. Errors: ZKH_TIMEOUT; ZKH_INTERRUPTED; ZKH_CLOSED when the client is closed or
/// the handle is freed meanwhile; ZKH_NO_NODE where the node is not in the queue or was deleted meanwhile; what the
/// server says, such as ZKH_NO_AUTH; ZKH_BAD_ARGUMENT, ZKH_BAD_PATH, ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED,
/// ZKH_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_queue_lock_obtain(
    lock: zkh_queue_lock,
    name: *const c_char,
    timeout_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let handle = handles::get::<QueueLockHandle>(lock.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let name = unsafe { text(name, "name") }?.to_owned();
        let work = handle.obtain(boundary::timeout(timeout_ms)?, name);
        handle.on("obtain queue lock").wait(work).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_queue_lock_obtain", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_queue_lock_obtain_async(
    lock: zkh_queue_lock,
    name: *const c_char,
    timeout_ms: i64,
    callback: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or a place for a handle.
        let op = unsafe { out_or_null(op) };
        let handle = handles::get::<QueueLockHandle>(lock.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let name = unsafe { text(name, "name") }?.to_owned();
        let work = handle.obtain(boundary::timeout(timeout_ms)?, name);
        handle.on("obtain queue lock").call(callback, user, op.as_ref(), work)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_queue_lock_obtain_async", err, body) }
}

/// Makes a node at the end of the queue, ephemeral and numbered, and waits until it is the first: at most
/// `timeout_ms` milliseconds; -1 waits for ever, and 0 is a check, which makes a node too and removes it.
/// `description` is for whoever looks at the node; it may be null. On failure the node is gone. A second lock on
/// one handle queues behind the first.
/// Any thread, not in callbacks. Errors: those of `zkh_queue_lock_obtain`; ZKH_SEQUENCE_EXHAUSTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_queue_lock_lock(
    lock: zkh_queue_lock,
    timeout_ms: i64,
    description: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let handle = handles::get::<QueueLockHandle>(lock.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let description = unsafe { text_or_null(description, "description") }?.unwrap_or_default().to_owned();
        let work = handle.lock(boundary::timeout(timeout_ms)?, description);
        handle.on("queue lock").wait(work).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_queue_lock_lock", err, body) }
}

/// The same, without waiting: `callback` gets the outcome, its value is the czxid of the node. `op`, which may
/// be null, takes a handle to cancel it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_queue_lock_lock_async(
    lock: zkh_queue_lock,
    timeout_ms: i64,
    description: *const c_char,
    callback: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or a place for a handle.
        let op = unsafe { out_or_null(op) };
        let handle = handles::get::<QueueLockHandle>(lock.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let description = unsafe { text_or_null(description, "description") }?.unwrap_or_default().to_owned();
        let work = handle.lock(boundary::timeout(timeout_ms)?, description);
        handle.on("queue lock").call(callback, user, op.as_ref(), work)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_queue_lock_lock_async", err, body) }
}

/// Releases what `zkh_queue_lock_lock` took on this handle, whichever thread it was: its node is gone when this
/// returns ZKH_OK. In every case the handle no longer holds the lock.
/// Any thread, not in callbacks. Errors: ZKH_NOT_HELD where it holds none; ZKH_LOCK_LOST where the node was gone
/// before; ZKH_OUTCOME_UNKNOWN when the server did not confirm within the session timeout: the release then goes
/// on by itself; ZKH_CLOSED, ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_queue_lock_unlock(lock: zkh_queue_lock, err: *mut *mut zkh_error) -> zkh_status {
    let body = || {
        let handle = handles::get::<QueueLockHandle>(lock.id)?;
        let lock = handle.lock.clone();
        handle.on("queue unlock").wait(|_| unlock(lock)).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_queue_lock_unlock", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. It cannot be cancelled. `user_data` is destroyed
/// by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_queue_lock_unlock_async(
    lock: zkh_queue_lock,
    callback: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        let handle = handles::get::<QueueLockHandle>(lock.id)?;
        let lock = handle.lock.clone();
        handle.on("queue unlock").call(callback, user, None, |_| unlock(lock))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_queue_lock_unlock_async", err, body) }
}

/// Ends one wait on this handle with ZKH_INTERRUPTED. If none is under way the interrupt is remembered, and ends
/// the next one at its beginning.
/// Any thread, also in callbacks. Errors: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_queue_lock_interrupt(
    lock: zkh_queue_lock,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        handles::get::<QueueLockHandle>(lock.id)?.lock.interrupt();
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_queue_lock_interrupt", err, body) }
}

/// The czxid of the node by which this handle holds the lock, greater than that of every earlier node with the
/// same prefix; 0 where it holds none or is dead. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_queue_lock_token(lock: zkh_queue_lock) -> i64 {
    value(|| Ok(handles::get::<QueueLockHandle>(lock.id)?.lock.token().unwrap_or_default()))
}

/// Writes the queue's path and a NUL into `buffer`, cut off after `size` bytes in all, and answers with the
/// length of the whole path in bytes, without the NUL; 0 where the handle is dead. `buffer` may be null where
/// `size` is 0. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_queue_lock_path(
    lock: zkh_queue_lock,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    value(|| {
        let handle = handles::get::<QueueLockHandle>(lock.id);
        // SAFETY: null, or `size` bytes of the caller's.
        unsafe { copy_text(handle.as_ref().map_or("", |handle| handle.lock.path()), buffer, size) }
    })
}

/// Frees a queue lock; null is left alone. What it holds is released in the background. Calls of other threads
/// that wait on it end with ZKH_CLOSED, and so do its asynchronous ones: their callbacks are over when
/// this returns, except inside a callback, where it does not wait for them. So do not hold a lock meanwhile
/// that a callback takes.
/// Any thread, also in callbacks. Errors, logged too: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_queue_lock_free(lock: zkh_queue_lock) -> zkh_status {
    logged("zkh_queue_lock_free", || {
        if lock.id == 0 {
            return Ok(());
        }
        let handle = handles::remove::<QueueLockHandle>(lock.id)?;
        handle.gate.close();
        handle.lock.close();
        handle.gate.wait_idle();
        Ok(())
    })
}
