//! What the program is asked to do over a connection that it lends, and how it answers.

use super::boundary::{bad_argument, bytes, status, text};
use super::codes::zkh_status;
use super::error::{c_text, zkh_error};
use super::handles;
use super::lent::{Lent, event};
use super::stat::zkh_stat;
use super::watch::{
    ZKH_EVENT_CHILDREN_CHANGED, ZKH_EVENT_CREATED, ZKH_EVENT_DATA_CHANGED, ZKH_EVENT_DELETED,
    ZKH_EVENT_SESSION_LOST,
};
use crate::client::lease::Weight;
use crate::error::{Code, Error, Result};
use crate::proto::{Acl, EventType, MultiOp, MultiResult, Names, Request, Response, Stat};
use crate::sync::Mutex;
use crate::time::Time;
use crate::zk::{Answer, ReplySender, WatchEvent, WatchEventKind};
use std::ffi::{CString, c_char, c_void};
use std::sync::{Arc, Weak};
use tokio::sync::oneshot;

/// One request that the program was asked to make over the connection that it lends. It is completed by one of
/// `zkh_call_fail`, `zkh_call_done`, `zkh_call_data`, `zkh_call_children` and `zkh_call_multi`, once, and is freed by that.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_call {
    /// Zero is null.
    pub id: u64,
}

/// A watch that the program was asked to arm. It is freed by `zkh_lent_watch_fire`, or by the library when nobody
/// waits for it any more.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_lent_watch {
    /// Zero is null: no watch is wanted.
    pub id: u64,
}

/// A create, in the mode `zkh_request_mode`. Completed by `zkh_call_done` with path and status.
pub const ZKH_REQUEST_CREATE: i32 = 1;
/// A delete. Completed by `zkh_call_done`.
pub const ZKH_REQUEST_DELETE: i32 = 2;
/// An exists. Completed by `zkh_call_done` with a status, or by `zkh_call_fail` with ZKH_NO_NODE.
pub const ZKH_REQUEST_EXISTS: i32 = 3;
/// A getData. Completed by `zkh_call_data`.
pub const ZKH_REQUEST_GET: i32 = 4;
/// A setData. Completed by `zkh_call_done` with a status.
pub const ZKH_REQUEST_SET: i32 = 5;
/// A getChildren with the node's status. Completed by `zkh_call_children`.
pub const ZKH_REQUEST_CHILDREN: i32 = 6;
/// A transaction, which has several parts. Completed by `zkh_call_multi`.
pub const ZKH_REQUEST_MULTI: i32 = 7;
/// A sync. Completed by `zkh_call_done`.
pub const ZKH_REQUEST_SYNC: i32 = 8;
/// A check of a version, which is a part of a transaction only.
pub const ZKH_REQUEST_CHECK: i32 = 9;

/// What is asked of the program: one operation, or the parts of a transaction. It belongs to the library and
/// is gone when the callback returns.
pub struct zkh_request {
    operation: i32,
    watch: u64,
    parts: Vec<Part>,
}

#[derive(Default)]
struct Part {
    operation: i32,
    path: CString,
    data: Vec<u8>,
    version: i32,
    mode: i32,
    ttl_ms: i64,
    acl: Vec<(i32, CString, CString)>,
}

impl Part {
    fn create(path: &str, data: &[u8], acl: &[Acl], mode: i32, ttl_ms: i64) -> Self {
        let acl = acl.iter().map(|entry| (entry.perms, c_text(&entry.scheme), c_text(&entry.id))).collect();
        Self {
            operation: ZKH_REQUEST_CREATE,
            path: c_text(path),
            data: data.to_vec(),
            acl,
            mode,
            ttl_ms,
            version: -1,
        }
    }

    fn on(operation: i32, path: &str, version: i32) -> Self {
        Self { operation, path: c_text(path), version, ..Self::default() }
    }

    fn of(op: &MultiOp) -> Self {
        match op {
            MultiOp::Create { path, data, acl, mode, ttl_ms, .. } => {
                Self::create(path, data, acl, mode.flags(), *ttl_ms)
            }
            MultiOp::Delete { path, version } => Self::on(ZKH_REQUEST_DELETE, path, *version),
            MultiOp::SetData { path, data, version } => {
                Self { data: data.clone(), ..Self::on(ZKH_REQUEST_SET, path, *version) }
            }
            MultiOp::Check { path, version } => Self::on(ZKH_REQUEST_CHECK, path, *version),
            MultiOp::GetData { path } => Self::on(ZKH_REQUEST_GET, path, -1),
            MultiOp::GetChildren { path } => Self::on(ZKH_REQUEST_CHILDREN, path, -1),
        }
    }
}

impl zkh_request {
    /// The number of the callback that does it; `None` for what no lent connection has.
    pub(super) fn operation_of(request: &Request) -> Option<i32> {
        Some(match request {
            Request::Create { .. } => ZKH_REQUEST_CREATE,
            Request::Delete { .. } => ZKH_REQUEST_DELETE,
            Request::Exists { .. } => ZKH_REQUEST_EXISTS,
            Request::GetData { .. } => ZKH_REQUEST_GET,
            Request::SetData { .. } => ZKH_REQUEST_SET,
            Request::GetChildren { .. } | Request::GetChildren2 { .. } => ZKH_REQUEST_CHILDREN,
            Request::Multi(_) => ZKH_REQUEST_MULTI,
            Request::Sync { .. } => ZKH_REQUEST_SYNC,
            _ => return None,
        })
    }

    pub(super) fn new(request: &Request, operation: i32, watch: u64) -> Self {
        let path = request.path().unwrap_or_default();
        let parts = match request {
            Request::Create { path, data, acl, mode, ttl_ms, .. } => {
                vec![Part::create(path, data, acl, mode.flags(), *ttl_ms)]
            }
            Request::Delete { path, version } => vec![Part::on(operation, path, *version)],
            Request::SetData { path, data, version } => {
                vec![Part { data: data.clone(), ..Part::on(operation, path, *version) }]
            }
            Request::Multi(ops) => ops.iter().map(Part::of).collect(),
            _ => vec![Part::on(operation, path, -1)],
        };
        Self { operation, watch, parts }
    }
}

/// Reads something of one part of a request, or answers with `none`.
unsafe fn part<'a, T>(
    request: *const zkh_request,
    index: usize,
    none: T,
    read: impl FnOnce(&'a Part) -> Option<T>,
) -> T {
    // SAFETY: null, or the request that the running callback was given, and that lives as long as it runs.
    unsafe { request.as_ref() }.and_then(|request| request.parts.get(index)).and_then(read).unwrap_or(none)
}

/// What is asked: one of `ZKH_REQUEST_…`. 0 for a null pointer. In the callback that was given it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_request_operation(request: *const zkh_request) -> i32 {
    // SAFETY: null, or the request that the running callback was given.
    unsafe { request.as_ref() }.map_or(0, |request| request.operation)
}

/// The watch that is to be armed if the read is answered, with `exists` also where there is no node; zero if
/// none is wanted. In the callback that was given the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_request_watch(request: *const zkh_request) -> zkh_lent_watch {
    // SAFETY: null, or the request that the running callback was given.
    zkh_lent_watch { id: unsafe { request.as_ref() }.map_or(0, |request| request.watch) }
}

/// The number of its parts: of a transaction as many as it has, otherwise 1. In the callback that was given it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_request_count(request: *const zkh_request) -> usize {
    // SAFETY: null, or the request that the running callback was given.
    unsafe { request.as_ref() }.map_or(0, |request| request.parts.len())
}

/// What the part at `index`, from 0 on, is: one of `ZKH_REQUEST_…`; 0 where there is none. In the callback that
/// was given the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_request_part(request: *const zkh_request, index: usize) -> i32 {
    // SAFETY: null, or the request that the running callback was given.
    unsafe { part(request, index, 0, |part| Some(part.operation)) }
}

/// The path of the part at `index`, from 0 on; null where there is none. It belongs to the request. In the
/// callback that was given the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_request_path(request: *const zkh_request, index: usize) -> *const c_char {
    // SAFETY: null, or the request that the running callback was given.
    unsafe { part(request, index, std::ptr::null(), |part| Some(part.path.as_ptr())) }
}

/// The data of a create or set at `index`, from 0 on; `*len`, unless `len` is null, takes their length in bytes. They
/// belong to the request. Null where there is no such part. In the callback that was given the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_request_data(
    request: *const zkh_request,
    index: usize,
    len: *mut usize,
) -> *const c_void {
    // SAFETY: null, or the request that the running callback was given.
    let data = unsafe { part(request, index, None, |part| Some(Some(part.data.as_slice()))) };
    if !len.is_null() {
        // SAFETY: a place for a length; what is there is not read.
        unsafe { len.write(data.map_or(0, <[u8]>::len)) };
    }
    data.map_or(std::ptr::null(), |data| data.as_ptr().cast())
}

/// The version that a delete, set or check at `index`, from 0 on, asks for; -1 is any. In the callback that was
/// given the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_request_version(request: *const zkh_request, index: usize) -> i32 {
    // SAFETY: null, or the request that the running callback was given.
    unsafe { part(request, index, -1, |part| Some(part.version)) }
}

/// The mode of a create at `index`, from 0 on: one of `ZKH_CREATE_…`. `*ttl_ms`, unless `ttl_ms` is null, takes its
/// time to live in milliseconds, 0 in the modes without. In the callback that was given the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_request_mode(
    request: *const zkh_request,
    index: usize,
    ttl_ms: *mut i64,
) -> i32 {
    // SAFETY: null, or the request that the running callback was given.
    let (mode, ttl) = unsafe { part(request, index, (0, 0), |part| Some((part.mode, part.ttl_ms))) };
    if !ttl_ms.is_null() {
        // SAFETY: a place for a number; what is there is not read.
        unsafe { ttl_ms.write(ttl) };
    }
    mode
}

/// The entry number `entry` of the access control list of a create at `index`, both from 0 on: its permissions, a sum of
/// `ZKH_PERM_…`, or 0 where there is no such entry. `*scheme` and `*id`, unless null, take whom it is for; they
/// belong to the request. In the callback that was given the request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_request_acl(
    request: *const zkh_request,
    index: usize,
    entry: usize,
    scheme: *mut *const c_char,
    id: *mut *const c_char,
) -> i32 {
    // SAFETY: null, or the request that the running callback was given.
    let found = unsafe { part(request, index, None, |part| Some(part.acl.get(entry))) };
    let null = std::ptr::null();
    let (permissions, its_scheme, its_id) =
        found.map_or((0, null, null), |(perms, scheme, id)| (*perms, scheme.as_ptr(), id.as_ptr()));
    for (place, value) in [(scheme, its_scheme), (id, its_id)] {
        if !place.is_null() {
            // SAFETY: a place for a pointer; what is there is not read.
            unsafe { place.write(value) };
        }
    }
    permissions
}

/// What a [`zkh_call`] stands for.
pub(super) struct Call {
    lent: Weak<Lent>,
    request: Request,
    operation: i32,
    reply: Mutex<Option<(ReplySender, oneshot::Sender<()>)>>,
    watch: Option<u64>,
    sent_at: Time,
    session: i64,
    connection: u64,
}

impl Call {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn new(
        lent: &Arc<Lent>,
        request: Request,
        operation: i32,
        reply: ReplySender,
        watch: Option<u64>,
        sent_at: Time,
        session: i64,
        connection: u64,
        done: oneshot::Sender<()>,
    ) -> Self {
        let (lent, reply) = (Arc::downgrade(lent), Mutex::new(Some((reply, done))));
        Self { lent, request, operation, reply, watch, sent_at, session, connection }
    }

    fn weight(&self) -> Weight {
        match self.operation {
            ZKH_REQUEST_SYNC => Weight::Sync,
            _ if self.request.is_write() => Weight::Write,
            _ => Weight::Read,
        }
    }

    /// Delivers the outcome, once.
    pub(super) fn end(&self, outcome: Result<Response>) {
        let Some((reply, done)) = self.reply.lock().take() else { return };
        drop(done);
        let missing = self.operation == ZKH_REQUEST_EXISTS
            && outcome.as_ref().is_err_and(|error| error.code() == Code::NO_NODE);
        let lent = self.lent.upgrade();
        if let Some(lent) = &lent {
            if outcome.is_ok() {
                lent.answered(self.sent_at, self.connection, self.weight());
            } else if let Some(watch) = self.watch.filter(|_| !missing) {
                // It was not armed.
                lent.forget(watch);
            }
        }
        let unsure = |error: Error| match error.code() {
            Code::CONNECTION_LOSS | Code::OPERATION_TIMEOUT if self.request.is_write() => {
                Error::new(Code::OUTCOME_UNKNOWN)
            }
            _ => error,
        };
        let (sent_at, session, connection) = (self.sent_at, self.session, self.connection);
        let answer = |response| Answer { response, zxid: 0, sent_at, session, connection };
        let named = |error| unsure(error).during(self.request.name(), self.request.path());
        reply.send(outcome.map(answer).map_err(named));
    }
}

/// Completes a call with what is made of it, which may find that it is of another kind.
unsafe fn complete(
    function: &'static str,
    call: zkh_call,
    err: *mut *mut zkh_error,
    outcome: impl FnOnce(&Call) -> Result<Result<Response>>,
) -> zkh_status {
    let body = || {
        let outcome = outcome(&*handles::get::<Call>(call.id)?)?;
        // Whoever takes it out completes it.
        handles::remove::<Call>(call.id)?.end(outcome);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status(function, err, body) }
}

fn of_another_kind(call: &Call) -> Error {
    bad_argument(format!("a {} is not completed in this way", call.request.name()))
}

/// Completes a call that failed. `reason` is ZooKeeper's code, such as ZKH_NO_NODE, ZKH_CONNECTION_LOSS,
/// ZKH_OPERATION_TIMEOUT or ZKH_SESSION_EXPIRED.
/// Any thread, also in callbacks. Errors: ZKH_BAD_ARGUMENT where `reason` is not negative; ZKH_BAD_HANDLE, also
/// where it was completed already or given up after its time; ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_call_fail(
    call: zkh_call,
    reason: zkh_status,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let outcome = |_: &Call| {
        if reason >= 0 {
            return Err(bad_argument(format!("reason is {reason}: it must be a code, which are negative")));
        }
        Ok(Err(Code::from_number(reason).into()))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { complete("zkh_call_fail", call, err, outcome) }
}

unsafe fn needed(stat: *const zkh_stat) -> Result<Stat> {
    // SAFETY: null, or a status that the caller leaves alone meanwhile.
    let stat = unsafe { stat.as_ref() }.ok_or_else(|| bad_argument("stat is a null pointer"))?;
    Ok(Stat::from(*stat))
}

/// Completes a create (with the path of the node that was made, and its status), an exists or set (with the node's
/// status), a delete or sync (with neither). What is not needed is ignored and may be null.
/// Any thread, also in callbacks. Errors: ZKH_BAD_ARGUMENT where it is another operation or lacks what is needed,
/// ZKH_BAD_UTF8; ZKH_BAD_HANDLE, also where it was completed already or given up after its time; ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_call_done(
    call: zkh_call,
    path: *const c_char,
    stat: *const zkh_stat,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let outcome = |call: &Call| {
        Ok(Ok(match call.operation {
            ZKH_REQUEST_CREATE => {
                // SAFETY: null, or what the caller leaves alone meanwhile.
                let (path, stat) = unsafe { (text(path, "path")?.to_owned(), needed(stat)?) };
                Response::Create2 { path, stat }
            }
            // SAFETY: null, or a status that the caller leaves alone meanwhile.
            ZKH_REQUEST_EXISTS | ZKH_REQUEST_SET => Response::Stat(unsafe { needed(stat) }?),
            ZKH_REQUEST_DELETE | ZKH_REQUEST_SYNC => Response::Empty,
            _ => return Err(of_another_kind(call)),
        }))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { complete("zkh_call_done", call, err, outcome) }
}

/// Completes a get, with the node's data and status. `data` is copied; it may be null where `len` is 0.
/// Any thread, also in callbacks. Errors: as `zkh_call_done`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_call_data(
    call: zkh_call,
    data: *const c_void,
    len: usize,
    stat: *const zkh_stat,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let outcome = |call: &Call| {
        if call.operation != ZKH_REQUEST_GET {
            return Err(of_another_kind(call));
        }
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let (data, stat) = unsafe { (bytes(data, len, "data")?.to_owned(), needed(stat)?) };
        Ok(Ok(Response::Data { data, stat }))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { complete("zkh_call_data", call, err, outcome) }
}

/// Completes a getChildren, with `count` names and the node's status. The names are copied; `names` may be null
/// where `count` is 0.
/// Any thread, also in callbacks. Errors: as `zkh_call_done`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_call_children(
    call: zkh_call,
    names: *const *const c_char,
    count: usize,
    stat: *const zkh_stat,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let outcome = |call: &Call| {
        if call.operation != ZKH_REQUEST_CHILDREN {
            return Err(of_another_kind(call));
        }
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let (names, stat) = unsafe { (list(names, count, "names")?, needed(stat)?) };
        // SAFETY: null, or texts that the caller leaves alone meanwhile.
        let name = |name: &*const c_char| unsafe { text(*name, "name") };
        let children = names.iter().map(name).collect::<Result<Names>>()?;
        Ok(Ok(match call.request {
            Request::GetChildren { .. } => Response::Children { children },
            _ => Response::Children2 { children, stat },
        }))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { complete("zkh_call_children", call, err, outcome) }
}

/// An array of the caller's.
unsafe fn list<'a, T>(list: *const T, count: usize, name: &'static str) -> Result<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if list.is_null() || count > isize::MAX.unsigned_abs() / size_of::<T>().max(1) {
        return Err(bad_argument(format!("{name} is a null pointer or has no {count} elements")));
    }
    // SAFETY: the caller gives `count` elements that stay as they are for the length of the call, beyond which
    // nothing keeps the borrow.
    Ok(unsafe { std::slice::from_raw_parts(list, count) })
}

/// Completes a transaction, with `count` results, one for each part. `statuses` has a code for each: all are ZKH_OK
/// where it was committed; otherwise the one that failed has its code, and the others ZKH_OK before it and
/// ZKH_RUNTIME_INCONSISTENCY behind it. `paths` has the path of each create, `stats` the status of each create
/// and set; what the others have there is ignored. `paths` and `stats` may be null where it was not committed.
/// A transaction that could not be made at all is completed by `zkh_call_fail`.
/// Any thread, also in callbacks. Errors: as `zkh_call_done`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_call_multi(
    call: zkh_call,
    statuses: *const zkh_status,
    paths: *const *const c_char,
    stats: *const zkh_stat,
    count: usize,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let outcome = |call: &Call| {
        let Request::Multi(ops) = &call.request else { return Err(of_another_kind(call)) };
        if count != ops.len() {
            return Err(bad_argument(format!(
                "count is {count}, and the transaction has {} parts",
                ops.len()
            )));
        }
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let statuses = unsafe { list(statuses, count, "statuses") }?;
        if statuses.iter().any(|status| *status != 0) {
            return Ok(Ok(Response::Multi(statuses.iter().map(|code| MultiResult::Error(*code)).collect())));
        }
        let creates = ops.iter().any(|op| matches!(op, MultiOp::Create { .. }));
        let stats_needed = creates || ops.iter().any(|op| matches!(op, MultiOp::SetData { .. }));
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let paths = unsafe { list(paths, if creates { count } else { 0 }, "paths") }?;
        // SAFETY: as above.
        let stats = unsafe { list(stats, if stats_needed { count } else { 0 }, "stats") }?;
        let stat = |at: usize| stats.get(at).map_or_else(Stat::default, |stat| Stat::from(*stat));
        let result = |(at, op): (usize, &MultiOp)| {
            Ok(match op {
                MultiOp::Create { .. } => {
                    let path = paths.get(at).copied().unwrap_or(std::ptr::null());
                    // SAFETY: null, or a text that the caller leaves alone meanwhile.
                    MultiResult::Create2 { path: unsafe { text(path, "path") }?.to_owned(), stat: stat(at) }
                }
                MultiOp::SetData { .. } => MultiResult::SetData { stat: stat(at) },
                MultiOp::Check { .. } => MultiResult::Check,
                _ => MultiResult::Delete,
            })
        };
        Ok(Ok(Response::Multi(ops.iter().enumerate().map(result).collect::<Result<Vec<_>>>()?)))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { complete("zkh_call_multi", call, err, outcome) }
}

/// What a [`zkh_lent_watch`] stands for.
pub(super) struct LentWatch {
    path: String,
    sink: Mutex<Option<oneshot::Sender<WatchEvent>>>,
}

impl LentWatch {
    pub(super) fn new(path: String, sink: oneshot::Sender<WatchEvent>) -> Self {
        Self { path, sink: Mutex::new(Some(sink)) }
    }

    /// Its session is over.
    pub(super) fn lost(&self) {
        self.fire(WatchEventKind::SessionLost);
    }

    fn fire(&self, kind: WatchEventKind) {
        if let Some(sink) = self.sink.lock().take() {
            // Whoever waited may have gone.
            let _ = sink.send(event(kind, &self.path));
        }
    }
}

/// Tells what a watch saw, `what` being one of `ZKH_EVENT_…` except ZKH_EVENT_MAY_HAVE_MISSED. A watch sees one event,
/// and may see it before the read that armed it is completed.
/// Any thread, also in callbacks. Errors: ZKH_BAD_ARGUMENT; ZKH_BAD_HANDLE, also where nobody waits for it any
/// more, which is no mistake; ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_lent_watch_fire(
    watch: zkh_lent_watch,
    what: i32,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let kind = match what {
            ZKH_EVENT_CREATED => WatchEventKind::Node(EventType::Created),
            ZKH_EVENT_DELETED => WatchEventKind::Node(EventType::Deleted),
            ZKH_EVENT_DATA_CHANGED => WatchEventKind::Node(EventType::DataChanged),
            ZKH_EVENT_CHILDREN_CHANGED => WatchEventKind::Node(EventType::ChildrenChanged),
            ZKH_EVENT_SESSION_LOST => WatchEventKind::SessionLost,
            other => return Err(bad_argument(format!("what is {other}: it must be one of ZKH_EVENT_…"))),
        };
        handles::remove::<LentWatch>(watch.id)?.fire(kind);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_lent_watch_fire", err, body) }
}
