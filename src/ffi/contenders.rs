//! Who contends for a lock: the list of them, and what one of them can be asked or made to do.

use super::boundary::{UserData, bad_argument, out_object, out_or_null, status, text, text_or_null};
use super::codes::zkh_status;
use super::elector::{ElectorHandle, zkh_elector};
use super::error::{c_text, zkh_error};
use super::handles;
use super::mutex::{MutexHandle, zkh_mutex};
use super::op::{Cancel, Completion, zkh_destroy_fn, zkh_done_fn, zkh_op};
use crate::error::{Code, Result};
use crate::recipes::mutex::{ContenderInfo, Mutex};
use std::ffi::{CString, c_char, c_void};
use std::sync::Arc;

/// The contender lives: its node is ephemeral, or has its companion.
pub const ZKH_OWNER_LIVING: i32 = 1;
/// The node is persistent, and its owner's session is over. `zkh_mutex_release_dead` releases it.
pub const ZKH_OWNER_GONE: i32 = 2;
/// The node is persistent and says nothing of its owner, as those of the old Go package.
pub const ZKH_OWNER_UNKNOWN: i32 = 3;

/// Who holds a lock and who waits for it, in the order of service: the one at 0 holds it, or is about to. It is
/// not changed once it is made, so any thread may read it. Whoever received it through a `contenders`
/// parameter frees it with `zkh_contenders_free`; one that a callback is shown belongs to the library.
pub struct zkh_contenders(Vec<Entry>);

struct Entry {
    info: ContenderInfo,
    name: CString,
    hostname: Option<CString>,
    description: Option<CString>,
    asked: Option<CString>,
}

impl zkh_contenders {
    fn new(list: Vec<ContenderInfo>) -> Self {
        let text = |text: &Option<String>| text.as_deref().map(c_text);
        let entry = |info: ContenderInfo| Entry {
            name: c_text(&info.name),
            hostname: text(&info.hostname),
            description: text(&info.description),
            asked: text(&info.asked),
            info,
        };
        Self(list.into_iter().map(entry).collect())
    }
}

/// The completion of `zkh_mutex_contenders_async`. `contenders` is null unless `status` is `ZKH_OK`, `error` is
/// null if it is; both belong to the library and are gone when the callback returns. It is called as
/// `zkh_done_fn` is.
pub type zkh_contenders_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        status: zkh_status,
        contenders: *const zkh_contenders,
        error: *const zkh_error,
    ),
>;

impl Completion<zkh_contenders> for zkh_contenders_fn {
    fn is_null(&self) -> bool {
        self.is_none()
    }

    fn complete(self, user: UserData, outcome: Result<zkh_contenders>) {
        let Some(callback) = self else { return };
        let (list, error) = match outcome {
            Ok(list) => (Some(list), None),
            Err(error) => (None, Some(zkh_error::new(&error))),
        };
        let status = error.as_ref().map_or(Code::OK, zkh_error::code).number();
        let list = list.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let error = error.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet.
        unsafe { callback(user.as_ptr(), status, list, error) };
    }
}

async fn list(mutex: Mutex) -> Result<zkh_contenders> {
    mutex.contenders().await.map(zkh_contenders::new)
}

/// Lists who holds the lock of this handle's path and who waits for it. `*contenders` is null on failure;
/// otherwise the caller frees it. It costs one request for each of them.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NO_AUTH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_contenders(
    mutex: zkh_mutex,
    contenders: *mut *mut zkh_contenders,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a pointer.
        let place = unsafe { out_object(contenders) };
        let place = place.ok_or_else(|| bad_argument("contenders is a null pointer"))?;
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        let mutex = handle.mutex.clone();
        place.set(Box::into_raw(Box::new(handle.on("list contenders").wait_apart(|_| list(mutex))?)));
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_contenders", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. It cannot be cancelled. `user_data` is destroyed
/// by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_contenders_async(
    mutex: zkh_mutex,
    callback: zkh_contenders_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        let mutex = handle.mutex.clone();
        handle.on("list contenders").call(callback, user, None, |_| list(mutex))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_contenders_async", err, body) }
}

/// Lists who leads and who stands for it, in the order of service. `*candidates` is null on failure; otherwise the
/// caller frees it with `zkh_contenders_free`. It costs one request for each of them.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NO_AUTH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_candidates(
    elector: zkh_elector,
    candidates: *mut *mut zkh_contenders,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a pointer.
        let place = unsafe { out_object(candidates) };
        let place = place.ok_or_else(|| bad_argument("candidates is a null pointer"))?;
        let handle = handles::get::<ElectorHandle>(elector.id)?;
        let mutex = handle.elector.candidates_lock().clone();
        place.set(Box::into_raw(Box::new(handle.on("list candidates").wait_apart(|_| list(mutex))?)));
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_candidates", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. It cannot be cancelled. `user_data` is destroyed
/// by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_candidates_async(
    elector: zkh_elector,
    callback: zkh_contenders_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        let handle = handles::get::<ElectorHandle>(elector.id)?;
        let mutex = handle.elector.candidates_lock().clone();
        handle.on("list candidates").call(callback, user, None, |_| list(mutex))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_candidates_async", err, body) }
}

/// Reads a part of one contender, or answers with `none` where there is none.
unsafe fn part<'a, T>(
    contenders: *const zkh_contenders,
    index: usize,
    none: T,
    part: impl FnOnce(&'a Entry) -> Option<T>,
) -> T {
    // SAFETY: null, or a list that the caller has not freed yet, and that lives as long as what is lent of it.
    let list = unsafe { contenders.as_ref() };
    list.and_then(|list| list.0.get(index)).and_then(part).unwrap_or(none)
}

/// The number of contenders. Any thread. It cannot fail; 0 for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_contenders_count(contenders: *const zkh_contenders) -> usize {
    // SAFETY: null, or a list that the caller has not freed yet.
    unsafe { contenders.as_ref() }.map_or(0, |list| list.0.len())
}

/// The name of the contender's node, such as "lock-0000000007"; null where there is none at `index`, which counts
/// from 0. UTF-8; it belongs to the list and lives as long. Any thread. It cannot fail; null for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_contenders_name(
    contenders: *const zkh_contenders,
    index: usize,
) -> *const c_char {
    // SAFETY: null, or a list that the caller has not freed yet.
    unsafe { part(contenders, index, std::ptr::null(), |entry| Some(entry.name.as_ptr())) }
}

/// The czxid of the contender's node, which is its fencing token once it holds the lock; 0 where there is no
/// contender. Any thread. It cannot fail; 0 for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_contenders_token(contenders: *const zkh_contenders, index: usize) -> i64 {
    // SAFETY: null, or a list that the caller has not freed yet.
    unsafe { part(contenders, index, 0, |entry| Some(entry.info.stat.czxid)) }
}

/// The session that the contender's node ends with; 0 if it is persistent, or where there is no contender. Any
/// thread. It cannot fail; 0 for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_contenders_session_id(contenders: *const zkh_contenders, index: usize) -> i64 {
    // SAFETY: null, or a list that the caller has not freed yet.
    unsafe { part(contenders, index, 0, |entry| Some(entry.info.stat.ephemeral_owner)) }
}

/// Since when the contender is there, in milliseconds since 1970 by the servers' clock; 0 where there is no
/// contender. Any thread. It cannot fail; 0 for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_contenders_since_ms(contenders: *const zkh_contenders, index: usize) -> i64 {
    // SAFETY: null, or a list that the caller has not freed yet.
    unsafe { part(contenders, index, 0, |entry| Some(entry.info.stat.ctime)) }
}

/// Whether the contender lives: one of `ZKH_OWNER_…`; 0 where there is no contender. Any thread. It cannot fail;
/// 0 for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_contenders_owner(contenders: *const zkh_contenders, index: usize) -> i32 {
    // SAFETY: null, or a list that the caller has not freed yet.
    unsafe { part(contenders, index, 0, |entry| Some(entry.info.owner as i32)) }
}

/// The host that the contender runs on, null where its node does not say. UTF-8; it belongs to the list and lives
/// as long. Any thread. It cannot fail; null for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_contenders_hostname(
    contenders: *const zkh_contenders,
    index: usize,
) -> *const c_char {
    let hostname = |entry: &Entry| entry.hostname.as_ref().map(|text| text.as_ptr());
    // SAFETY: null, or a list that the caller has not freed yet.
    unsafe { part(contenders, index, std::ptr::null(), hostname) }
}

/// The contender's process on its host, 0 where its node does not say. Any thread. It cannot fail; 0 for a null
/// pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_contenders_pid(contenders: *const zkh_contenders, index: usize) -> i64 {
    let pid = |entry: &Entry| entry.info.pid.and_then(|pid| i64::try_from(pid).ok());
    // SAFETY: null, or a list that the caller has not freed yet.
    unsafe { part(contenders, index, 0, pid) }
}

/// What the contender wants the lock for, as it said when it locked; null where its node does not say. UTF-8; it
/// belongs to the list and lives as long. Any thread. It cannot fail; null for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_contenders_description(
    contenders: *const zkh_contenders,
    index: usize,
) -> *const c_char {
    let description = |entry: &Entry| entry.description.as_ref().map(|text| text.as_ptr());
    // SAFETY: null, or a list that the caller has not freed yet.
    unsafe { part(contenders, index, std::ptr::null(), description) }
}

/// Why the contender was asked to give the lock up, null where it was not; "" where no reason was given. UTF-8; it
/// belongs to the list and lives as long. Any thread. It cannot fail; null for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_contenders_asked(
    contenders: *const zkh_contenders,
    index: usize,
) -> *const c_char {
    let asked = |entry: &Entry| entry.asked.as_ref().map(|text| text.as_ptr());
    // SAFETY: null, or a list that the caller has not freed yet.
    unsafe { part(contenders, index, std::ptr::null(), asked) }
}

/// What the contender's node holds: of this library's locks a JSON object. `*len`, unless `len` is null, takes its
/// length in bytes. Null where there is no contender. It belongs to the list and lives as long. Any thread. It
/// cannot fail; null for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_contenders_data(
    contenders: *const zkh_contenders,
    index: usize,
    len: *mut usize,
) -> *const c_void {
    // SAFETY: null, or a list that the caller has not freed yet.
    let data = unsafe { part(contenders, index, None, |entry| Some(Some(entry.info.data.as_slice()))) };
    if !len.is_null() {
        // SAFETY: a place for a length; what is there is not read.
        unsafe { len.write(data.map_or(0, <[u8]>::len)) };
    }
    data.map_or(std::ptr::null(), |data| data.as_ptr().cast())
}

/// Frees a list that came through a `contenders` parameter; a null pointer is left alone. Any thread. It cannot
/// fail.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_contenders_free(contenders: *mut zkh_contenders) {
    if !contenders.is_null() {
        // SAFETY: it was made by `zkh_mutex_contenders`, and the caller frees it once.
        drop(unsafe { Box::from_raw(contenders) });
    }
}

impl MutexHandle {
    /// The work of releasing a lock whose owner is gone.
    fn release_dead(
        self: &Arc<Self>,
        name: String,
    ) -> impl FnOnce(Cancel) -> std::pin::Pin<Box<dyn Future<Output = Result<i64>> + Send>> + use<> {
        let mutex = self.mutex.clone();
        move |mut cancel| {
            Box::pin(async move {
                tokio::select! {
                    biased;
                    outcome = mutex.release_dead(&name) => outcome.map(|()| 0),
                    () = cancel.cancelled() => Err(Code::CANCELLED.into()),
                }
            })
        }
    }
}

/// Releases the persistent lock node `name` of this handle's path if its owner is gone, so that the next in line
/// has the lock. It waits for as long as the owner may still believe: the lease that stands in the node and a
/// little more.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NODE_EXISTS while the owner lives, or somebody
/// else is releasing the lock; ZKH_NO_NODE where there is no such node; ZKH_UNSUPPORTED where the node does not say
/// who owns it: `zkh_mutex_release_by_force` is left then; ZKH_BAD_ARGUMENT for an ephemeral node, which ends with
/// its session; ZKH_SESSION_EXPIRED if this client's session was over meanwhile: begin again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_release_dead(
    mutex: zkh_mutex,
    name: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let name = unsafe { text(name, "name") }?.to_owned();
        handle.on("release").wait(handle.release_dead(name)).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_release_dead", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel it
/// by, which leaves the lock as it was; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_release_dead_async(
    mutex: zkh_mutex,
    name: *const c_char,
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
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let name = unsafe { text(name, "name") }?.to_owned();
        let work = handle.release_dead(name);
        handle.on("release").call(callback, user, op.as_ref(), work)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_release_dead_async", err, body) }
}

async fn by_force(mutex: Mutex, name: String, czxid: i64) -> Result<i64> {
    mutex.release_by_force(&name, czxid).await.map(|()| 0)
}

/// Releases the persistent lock node `name` of this handle's path, whether its owner lives or not: for a human who
/// knows that nobody relies on it any more. `czxid` names which one is meant, as `zkh_contenders_token` shows it.
/// An owner that lives hears of it as of a loss.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_BAD_VERSION where the node has another czxid:
/// nothing is deleted then; ZKH_NO_NODE where there is no such node; ZKH_BAD_ARGUMENT for an ephemeral node.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_release_by_force(
    mutex: zkh_mutex,
    name: *const c_char,
    czxid: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let name = unsafe { text(name, "name") }?.to_owned();
        let mutex = handle.mutex.clone();
        handle.on("release by force").wait(|_| by_force(mutex, name, czxid)).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_release_by_force", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. It cannot be cancelled. `user_data` is destroyed
/// by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_release_by_force_async(
    mutex: zkh_mutex,
    name: *const c_char,
    czxid: i64,
    callback: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let name = unsafe { text(name, "name") }?.to_owned();
        let mutex = handle.mutex.clone();
        handle.on("release by force").call(callback, user, None, |_| by_force(mutex, name, czxid))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_release_by_force_async", err, body) }
}

async fn ask(mutex: Mutex, name: String, reason: String) -> Result<i64> {
    mutex.request_revocation(&name, &reason).await.map(|()| 0)
}

/// Asks the contender with the node `name` of this handle's path to give the lock up. Its holder is told the
/// reason (`zkh_mutex_on_revoke`), or as soon as it holds the lock, and decides; nothing is forced. Locks of this
/// library and of Curator understand it. `reason` may be null.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NO_NODE where there is no such node;
/// ZKH_NO_AUTH where its access control list lets this client not write it; ZKH_UNSUPPORTED for the node of a
/// library that knows no such request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_request_revocation(
    mutex: zkh_mutex,
    name: *const c_char,
    reason: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let name = unsafe { text(name, "name") }?.to_owned();
        // SAFETY: the same.
        let reason = unsafe { text_or_null(reason, "reason") }?.unwrap_or_default().to_owned();
        let mutex = handle.mutex.clone();
        handle.on("request revocation").wait(|_| ask(mutex, name, reason)).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_request_revocation", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. It cannot be cancelled. `user_data` is destroyed
/// by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_request_revocation_async(
    mutex: zkh_mutex,
    name: *const c_char,
    reason: *const c_char,
    callback: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        let handle = handles::get::<MutexHandle>(mutex.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let name = unsafe { text(name, "name") }?.to_owned();
        // SAFETY: the same.
        let reason = unsafe { text_or_null(reason, "reason") }?.unwrap_or_default().to_owned();
        let mutex = handle.mutex.clone();
        handle.on("request revocation").call(callback, user, None, |_| ask(mutex, name, reason))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_request_revocation_async", err, body) }
}
