//! Several operations in one request.

use super::acl::{acl, zkh_acl};
use super::boundary::{UserData, bad_argument, bytes, logged, out, status, text};
use super::client::zkh_client;
use super::codes::zkh_status;
use super::error::zkh_error;
use super::handles;
use super::nodes::create_mode;
use super::op::{zkh_destroy_fn, zkh_op};
use super::request::{call, object, wait_result};
use super::result::{zkh_result, zkh_result_fn};
use crate::error::Result;
use crate::path;
use crate::proto::{MultiOp, Request, Response};
use crate::sync::Mutex;
use crate::zk::multi_results;
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// Operations that are to go in one request, in the order in which they are added: changes and checks as one
/// transaction, or reads. Made by `zkh_multi_new`, freed by `zkh_multi_free`; it is copied when it is used, so it
/// may be used again, added to, and freed at once.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_multi {
    /// Zero is null.
    pub id: u64,
}

/// What a [`zkh_multi`] stands for.
#[derive(Default)]
pub(super) struct Multi(Mutex<Vec<MultiOp>>);

fn is_read(op: &MultiOp) -> bool {
    matches!(op, MultiOp::GetData { .. } | MultiOp::GetChildren { .. })
}

/// A copy of the operations of a transaction: changes and checks only.
pub(super) fn changes(multi: zkh_multi) -> Result<Vec<MultiOp>> {
    ops(multi, false)
}

/// A copy of the operations, refused unless all or none of them are reads.
fn ops(multi: zkh_multi, reads: bool) -> Result<Vec<MultiOp>> {
    let ops = handles::get::<Multi>(multi.id)?.0.lock().clone();
    if let Some(at) = ops.iter().position(|op| is_read(op) != reads) {
        let (is, belongs) = if reads {
            ("is none", "zkh_multi_read takes reads only")
        } else {
            ("is a read", "a transaction takes changes and checks only")
        };
        return Err(bad_argument(format!("operation {} of {} {is}: {belongs}", at + 1, ops.len())));
    }
    Ok(ops)
}

/// Makes an empty one. `*multi` is null on failure; otherwise the caller frees it.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_multi_new(multi: *mut zkh_multi, err: *mut *mut zkh_error) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(multi, "multi") }?;
        place.set(zkh_multi { id: handles::insert(Arc::new(Multi::default()))? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_multi_new", err, body) }
}

/// Frees one; null is left alone. Any thread. Errors, logged too: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_multi_free(multi: zkh_multi) -> zkh_status {
    logged("zkh_multi_free", || {
        if multi.id != 0 {
            handles::remove::<Multi>(multi.id)?;
        }
        Ok(())
    })
}

fn add(multi: zkh_multi, op: impl FnOnce() -> Result<MultiOp>) -> Result<()> {
    let handle = handles::get::<Multi>(multi.id)?;
    let op = op()?;
    match &op {
        MultiOp::Create { path, mode, .. } if mode.is_sequential() => path::validate_sequential(path),
        op => path::validate(op.path()),
    }?;
    handle.0.lock().push(op);
    Ok(())
}

unsafe fn owned(path: *const c_char) -> Result<String> {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    Ok(unsafe { text(path, "path") }?.to_owned())
}

/// Adds a create; the arguments are those of `zkh_client_create`. Its result has the path, and from servers
/// from 3.9 on the node's status.
/// Any thread. Errors: ZKH_BAD_PATH, ZKH_BAD_ARGUMENT, ZKH_INVALID_ACL, ZKH_BAD_UTF8, ZKH_BAD_HANDLE,
/// ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_multi_create(
    multi: zkh_multi,
    path: *const c_char,
    data: *const c_void,
    len: usize,
    mode: i32,
    ttl_ms: i64,
    access: *const zkh_acl,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        add(multi, || {
            // SAFETY: null, or what the caller leaves alone meanwhile.
            let (path, data) = unsafe { (owned(path)?, bytes(data, len, "data")?.to_owned()) };
            // SAFETY: null, or a handle of the caller's.
            let acl = unsafe { acl(access) }?;
            let mode = create_mode(mode, ttl_ms)?;
            Ok(MultiOp::Create { path, data, acl, mode, ttl_ms, with_stat: true })
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_multi_create", err, body) }
}

/// Adds a delete, at this version of the data unless it is -1. Its result has nothing but its status.
/// Any thread. Errors: ZKH_BAD_PATH, ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_multi_delete(
    multi: zkh_multi,
    path: *const c_char,
    version: i32,
    err: *mut *mut zkh_error,
) -> zkh_status {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    let body = || add(multi, || Ok(MultiOp::Delete { path: unsafe { owned(path) }?, version }));
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_multi_delete", err, body) }
}

/// Adds a set of a node's data, at this version unless it is -1. `data` is copied. Its result has the node's
/// new status.
/// Any thread. Errors: ZKH_BAD_PATH, ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_multi_set(
    multi: zkh_multi,
    path: *const c_char,
    data: *const c_void,
    len: usize,
    version: i32,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        add(multi, || {
            // SAFETY: null, or what the caller leaves alone meanwhile.
            let (path, data) = unsafe { (owned(path)?, bytes(data, len, "data")?.to_owned()) };
            Ok(MultiOp::SetData { path, data, version })
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_multi_set", err, body) }
}

/// Adds a check: the transaction fails unless the node exists, at this version of the data unless it is -1.
/// Its result has nothing but its status.
/// Any thread. Errors: ZKH_BAD_PATH, ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_multi_check(
    multi: zkh_multi,
    path: *const c_char,
    version: i32,
    err: *mut *mut zkh_error,
) -> zkh_status {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    let body = || add(multi, || Ok(MultiOp::Check { path: unsafe { owned(path) }?, version }));
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_multi_check", err, body) }
}

/// Adds a read of a node's data, for `zkh_multi_read`. Its result has data and status.
/// Any thread. Errors: ZKH_BAD_PATH, ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_multi_get(
    multi: zkh_multi,
    path: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    let body = || add(multi, || Ok(MultiOp::GetData { path: unsafe { owned(path) }? }));
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_multi_get", err, body) }
}

/// Adds a read of the names of a node's children, for `zkh_multi_read`. Its result has the names.
/// Any thread. Errors: ZKH_BAD_PATH, ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_multi_children(
    multi: zkh_multi,
    path: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    let body = || add(multi, || Ok(MultiOp::GetChildren { path: unsafe { owned(path) }? }));
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_multi_children", err, body) }
}

/// The request of a transaction, and how its answer is read: the first operation that failed is its error.
fn transaction(
    multi: zkh_multi,
) -> Result<(Request, impl FnOnce(Result<Response>) -> Result<zkh_result> + Send + 'static)> {
    let ops = changes(multi)?;
    let paths: Vec<_> = ops.iter().map(|op| op.path().to_owned()).collect();
    let answer = move |outcome: Result<Response>| multi_results(outcome?, &paths).map(zkh_result::of_multi);
    Ok((Request::Multi(ops), answer))
}

/// Does the operations as one transaction: all of them or, where one fails, none. The result has one for each
/// operation, in their order (`zkh_result_at`). `result` may be null; `*result` is null on failure;
/// otherwise the caller frees it.
/// Any thread, not in callbacks. Errors: those of every request; that of the first operation that failed, with
/// its path, and its place in the message; ZKH_BAD_ARGUMENT where there are reads in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_multi_commit(
    client: zkh_client,
    multi: zkh_multi,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let (request, answer) = transaction(multi)?;
        // SAFETY: null, or a place for a pointer.
        unsafe { wait_result(client, result, || Ok(request), answer) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_multi_commit", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel it
/// by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_multi_commit_async(
    client: zkh_client,
    multi: zkh_multi,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        let (request, answer) = transaction(multi)?;
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, || Ok(request), answer) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_multi_commit_async", err, body) }
}

/// Does the reads in one request. The result has one for each, in their order (`zkh_result_at`), with a status
/// of its own: one may fail without the others. `result` may be null; `*result` is null on failure;
/// otherwise the caller frees it. Servers from 3.6 on know it.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_BAD_ARGUMENT where there is anything but
/// reads in it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_multi_read(
    client: zkh_client,
    multi: zkh_multi,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let request = || ops(multi, true).map(Request::MultiRead);
        // SAFETY: null, or a place for a pointer.
        unsafe { wait_result(client, result, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_multi_read", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel it
/// by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_multi_read_async(
    client: zkh_client,
    multi: zkh_multi,
    callback: zkh_result_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        let request = || ops(multi, true).map(Request::MultiRead);
        // SAFETY: null, or a place for a handle.
        unsafe { call(client, callback, user, op, request, object) }
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_multi_read_async", err, body) }
}
