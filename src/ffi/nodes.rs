//! The plain operations on nodes.

use super::acl::{acl, zkh_acl};
use super::boundary::{UserData, bad_argument, bytes, out, status, text};
use super::client::zkh_client;
use super::codes::zkh_status;
use super::error::zkh_error;
use super::op::{zkh_destroy_fn, zkh_done_fn, zkh_op};
use super::request::{call, done, number as answer_number, object, object_or_none, wait, wait_result};
use super::result::{zkh_result, zkh_result_fn};
use crate::error::Result;
use crate::proto::{CreateMode, Request};
use std::ffi::{c_char, c_void};

/// The node stays until it is deleted.
pub const ZKH_CREATE_PERSISTENT: i32 = 0;
/// The node is deleted when the session ends. It cannot have children.
pub const ZKH_CREATE_EPHEMERAL: i32 = 1;
/// Persistent, with a sequence number of ten digits behind its name, which its parent counts up.
pub const ZKH_CREATE_PERSISTENT_SEQUENTIAL: i32 = 2;
/// Ephemeral, with a sequence number.
pub const ZKH_CREATE_EPHEMERAL_SEQUENTIAL: i32 = 3;
/// The server deletes the node some time after its last child was deleted.
pub const ZKH_CREATE_CONTAINER: i32 = 4;
/// The server deletes the node when it was not changed and had no child for `ttl_ms`. Only servers that are
/// told to (`extendedTypesEnabled`) have such nodes.
pub const ZKH_CREATE_PERSISTENT_TTL: i32 = 5;
/// The same, with a sequence number.
pub const ZKH_CREATE_PERSISTENT_SEQUENTIAL_TTL: i32 = 6;

/// The mode of this number, and whether this time to live goes with it.
pub(super) fn create_mode(number: i32, ttl_ms: i64) -> Result<CreateMode> {
    let mode = CreateMode::from_flags(number)
        .ok_or_else(|| bad_argument(format!("mode is {number}: it must be one of ZKH_CREATE_…")))?;
    if mode.has_ttl() != (ttl_ms > 0) || ttl_ms < 0 {
        let must = if mode.has_ttl() {
            "it must be positive in this mode"
        } else {
            "only the modes …_TTL have one"
        };
        return Err(bad_argument(format!("ttl_ms is {ttl_ms}: {must}")));
    }
    Ok(mode)
}

/// The path of a request.
unsafe fn owned(path: *const c_char) -> Result<String> {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    Ok(unsafe { text(path, "path") }?.to_owned())
}

unsafe fn create(
    path: *const c_char,
    data: *const c_void,
    len: usize,
    mode: i32,
    ttl_ms: i64,
    access: *const zkh_acl,
) -> Result<Request> {
    // SAFETY: null, or what the caller leaves alone meanwhile.
    let (path, data) = unsafe { (owned(path)?, bytes(data, len, "data")?.to_owned()) };
    // SAFETY: null, or a handle of the caller's.
    let acl = unsafe { acl(access) }?;
    let mode = create_mode(mode, ttl_ms)?;
    Ok(Request::Create { path, data, acl, mode, ttl_ms, with_stat: true })
}

/// Creates a node. `mode` is one of `ZKH_CREATE_…`; `ttl_ms` is its time to live in milliseconds in the modes
/// that have one, and 0 in all others. A null pointer for `access` lets anyone do everything. `data` is
/// copied; it may be null where `len` is 0. Its parent must exist. The result has the node's path, which
/// differs from the one asked for where it is sequential, and its status. `result` may be null; `*result` is
/// null on failure; otherwise the caller frees it.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NODE_EXISTS, ZKH_NO_NODE where the
/// parent is missing, ZKH_NO_CHILDREN_FOR_EPHEMERALS, ZKH_NO_AUTH, ZKH_INVALID_ACL, ZKH_UNIMPLEMENTED for a
/// mode that the server does not know.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_create(
    client: zkh_client,
    path: *const c_char,
    data: *const c_void,
    len: usize,
    mode: i32,
    ttl_ms: i64,
    access: *const zkh_acl,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { create(path, data, len, mode, ttl_ms, access) };
        // SAFETY: null, or a place for a pointer.
        unsafe { wait_result(client, result, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_create", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_create_async(
    client: zkh_client,
    path: *const c_char,
    data: *const c_void,
    len: usize,
    mode: i32,
    ttl_ms: i64,
    access: *const zkh_acl,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { create(path, data, len, mode, ttl_ms, access) };
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_create_async", err, body) }
}

unsafe fn get(path: *const c_char) -> Result<Request> {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    Ok(Request::GetData { path: unsafe { owned(path) }?, watch: false })
}

/// Reads a node's data. The result has data and status. `result` may be null; `*result` is null on failure;
/// otherwise the caller frees it.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NO_NODE, ZKH_NO_AUTH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_get(
    client: zkh_client,
    path: *const c_char,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { get(path) };
        // SAFETY: null, or a place for a pointer.
        unsafe { wait_result(client, result, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_get", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_get_async(
    client: zkh_client,
    path: *const c_char,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { get(path) };
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_get_async", err, body) }
}

unsafe fn set(path: *const c_char, data: *const c_void, len: usize, version: i32) -> Result<Request> {
    // SAFETY: null, or what the caller leaves alone meanwhile.
    let (path, data) = unsafe { (owned(path)?, bytes(data, len, "data")?.to_owned()) };
    Ok(Request::SetData { path, data, version })
}

/// Sets a node's data, if they have this version; -1 is any. `data` is copied; it may be null where `len` is
/// 0. The result has the node's new status. `result` may be null; `*result` is null on failure; otherwise the
/// caller frees it.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NO_NODE, ZKH_BAD_VERSION, ZKH_NO_AUTH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_set(
    client: zkh_client,
    path: *const c_char,
    data: *const c_void,
    len: usize,
    version: i32,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { set(path, data, len, version) };
        // SAFETY: null, or a place for a pointer.
        unsafe { wait_result(client, result, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_set", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_set_async(
    client: zkh_client,
    path: *const c_char,
    data: *const c_void,
    len: usize,
    version: i32,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { set(path, data, len, version) };
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_set_async", err, body) }
}

unsafe fn delete(path: *const c_char, version: i32) -> Result<Request> {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    Ok(Request::Delete { path: unsafe { owned(path) }?, version })
}

/// Deletes a node without children, if its data have this version; -1 is any.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NO_NODE, ZKH_BAD_VERSION, ZKH_NOT_EMPTY,
/// ZKH_NO_AUTH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_delete(
    client: zkh_client,
    path: *const c_char,
    version: i32,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        wait(client, || unsafe { delete(path, version) }, done).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_delete", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_delete_async(
    client: zkh_client,
    path: *const c_char,
    version: i32,
    callback: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { delete(path, version) };
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, request, done) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_delete_async", err, body) }
}

unsafe fn exists(path: *const c_char) -> Result<Request> {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    Ok(Request::Exists { path: unsafe { owned(path) }?, watch: false })
}

/// Asks whether there is a node. That there is none is no error: `zkh_result_exists` tells. The result has
/// the node's status if there is one. `result` may be null; `*result` is null on failure; otherwise the
/// caller frees it.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NO_AUTH (servers from 3.9 on).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_exists(
    client: zkh_client,
    path: *const c_char,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { exists(path) };
        // SAFETY: null, or a place for a pointer.
        unsafe { wait_result(client, result, request, object_or_none) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_exists", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_exists_async(
    client: zkh_client,
    path: *const c_char,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { exists(path) };
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, request, object_or_none) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_exists_async", err, body) }
}

unsafe fn children(path: *const c_char) -> Result<Request> {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    Ok(Request::GetChildren2 { path: unsafe { owned(path) }?, watch: false })
}

/// Lists a node's children. The result has their names, without the path of the node, and the node's status.
/// `result` may be null; `*result` is null on failure; otherwise the caller frees it.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NO_NODE, ZKH_NO_AUTH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_children(
    client: zkh_client,
    path: *const c_char,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { children(path) };
        // SAFETY: null, or a place for a pointer.
        unsafe { wait_result(client, result, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_children", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_children_async(
    client: zkh_client,
    path: *const c_char,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { children(path) };
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_children_async", err, body) }
}

unsafe fn get_acl(path: *const c_char) -> Result<Request> {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    Ok(Request::GetAcl { path: unsafe { owned(path) }? })
}

/// Reads a node's access control list. The result has its entries (`zkh_result_permissions`,
/// `zkh_result_scheme`, `zkh_result_id`) and the node's status. `result` may be null; `*result` is null on
/// failure; otherwise the caller frees it.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NO_NODE, ZKH_NO_AUTH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_get_acl(
    client: zkh_client,
    path: *const c_char,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { get_acl(path) };
        // SAFETY: null, or a place for a pointer.
        unsafe { wait_result(client, result, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_get_acl", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_get_acl_async(
    client: zkh_client,
    path: *const c_char,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { get_acl(path) };
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_get_acl_async", err, body) }
}

unsafe fn set_acl(path: *const c_char, access: *const zkh_acl, aversion: i32) -> Result<Request> {
    // SAFETY: null, or a text that the caller leaves alone meanwhile, and a handle of the caller's.
    let (path, acl) = unsafe { (owned(path)?, acl(access)?) };
    Ok(Request::SetAcl { path, acl, version: aversion })
}

/// Sets a node's access control list, if that has this version (`aversion` of its status); -1 is any. A null
/// pointer for `access` lets anyone do everything. The result has the node's new status. `result` may be
/// null; `*result` is null on failure; otherwise the caller frees it.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NO_NODE, ZKH_BAD_VERSION, ZKH_NO_AUTH,
/// ZKH_INVALID_ACL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_set_acl(
    client: zkh_client,
    path: *const c_char,
    access: *const zkh_acl,
    aversion: i32,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { set_acl(path, access, aversion) };
        // SAFETY: null, or a place for a pointer.
        unsafe { wait_result(client, result, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_set_acl", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_set_acl_async(
    client: zkh_client,
    path: *const c_char,
    access: *const zkh_acl,
    aversion: i32,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { set_acl(path, access, aversion) };
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_set_acl_async", err, body) }
}

unsafe fn sync(path: *const c_char) -> Result<Request> {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    Ok(Request::Sync { path: unsafe { owned(path) }? })
}

/// Lets the server catch up with its leader, so that reads that follow on this client see what was written
/// before anywhere. It proves no quorum.
/// Any thread, not in callbacks. Errors: those of every request.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_sync(
    client: zkh_client,
    path: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        wait(client, || unsafe { sync(path) }, done).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_sync", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_sync_async(
    client: zkh_client,
    path: *const c_char,
    callback: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { sync(path) };
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, request, done) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_sync_async", err, body) }
}

unsafe fn ephemerals(prefix: *const c_char) -> Result<Request> {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    Ok(Request::GetEphemerals { prefix: unsafe { text(prefix, "prefix") }?.to_owned() })
}

/// Lists the ephemeral nodes of the present session whose paths begin with the path `prefix`; "/" is all. The
/// result has their paths (`zkh_result_name`). Servers from 3.6 on know it. `result` may be null; `*result`
/// is null on failure; otherwise the caller frees it.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_UNIMPLEMENTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_ephemerals(
    client: zkh_client,
    prefix: *const c_char,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { ephemerals(prefix) };
        // SAFETY: null, or a place for a pointer.
        unsafe { wait_result(client, result, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_ephemerals", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_ephemerals_async(
    client: zkh_client,
    prefix: *const c_char,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { ephemerals(prefix) };
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_ephemerals_async", err, body) }
}

unsafe fn all_children_number(path: *const c_char) -> Result<Request> {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    Ok(Request::GetAllChildrenNumber { path: unsafe { owned(path) }? })
}

/// Counts the nodes below a node, at any depth. Servers from 3.6 on know it. `*number` is 0 on failure.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NO_NODE, ZKH_NO_AUTH, ZKH_UNIMPLEMENTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_all_children_number(
    client: zkh_client,
    path: *const c_char,
    number: *mut i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a number.
        let place = unsafe { out(number, "number") }?;
        // SAFETY: null, or what the caller leaves alone meanwhile.
        place.set(wait(client, || unsafe { all_children_number(path) }, answer_number)?);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_all_children_number", err, body) }
}

/// The same, without waiting: `callback` gets the outcome, its value is the number. `op`, which may be null,
/// takes a handle to cancel it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_all_children_number_async(
    client: zkh_client,
    path: *const c_char,
    callback: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let request = || unsafe { all_children_number(path) };
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, request, answer_number) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_all_children_number_async", err, body) }
}

/// Asks whom the server takes this client for. The result has an entry for each identity
/// (`zkh_result_scheme`, `zkh_result_id`). Servers from 3.7 on know it. `result` may be null; `*result` is
/// null on failure; otherwise the caller frees it.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_UNIMPLEMENTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_who_am_i(
    client: zkh_client,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let request = || Ok(Request::WhoAmI);
        // SAFETY: null, or a place for a pointer.
        unsafe { wait_result(client, result, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_who_am_i", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_who_am_i_async(
    client: zkh_client,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        let request = || Ok(Request::WhoAmI);
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_who_am_i_async", err, body) }
}
