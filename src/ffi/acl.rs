//! Access control lists.

use super::boundary::{bad_argument, logged, out, status, text, value};
use super::codes::zkh_status;
use super::error::zkh_error;
use super::handles;
use crate::acl as presets;
use crate::error::{Code, Error, Result};
use crate::proto::{Acl, permissions};
use crate::sync::Mutex;
use std::ffi::c_char;
use std::sync::Arc;

/// An access control list: who may do what with a node. It says nothing of the node's children. Made by
/// `zkh_acl_new`, freed by `zkh_acl_free`; whatever takes one copies it, so it may be used for several nodes,
/// changed in between, and freed at once.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_acl {
    /// Zero is null.
    pub id: u64,
}

/// No entry.
pub const ZKH_ACL_EMPTY: i32 = 0;
/// Anyone may do everything. What a null pointer to a list stands for.
pub const ZKH_ACL_OPEN: i32 = 1;
/// Whoever is authenticated on the connection that sets it may do everything, and nobody else anything.
pub const ZKH_ACL_CREATOR: i32 = 2;
/// Anyone may read.
pub const ZKH_ACL_READ_ONLY: i32 = 3;
/// Anyone may do everything: what the Go package has for directories.
pub const ZKH_ACL_DIRECTORY: i32 = 4;
/// Anyone may do everything but create and delete children: what the Go package has for files.
pub const ZKH_ACL_FILE: i32 = 5;

/// What a [`zkh_acl`] stands for.
#[derive(Default)]
pub(super) struct AclList(Mutex<Vec<Acl>>);

/// A copy of the list, or the one that lets anyone do everything where the pointer is null. An empty one is
/// refused: no server takes it.
pub(super) unsafe fn acl(acl: *const zkh_acl) -> Result<Vec<Acl>> {
    // SAFETY: null, or a handle of the caller's.
    let Some(acl) = (unsafe { acl.as_ref() }) else { return Ok(presets::default()) };
    let list = handles::get::<AclList>(acl.id)?.0.lock().clone();
    if list.is_empty() {
        return Err(Error::new(Code::INVALID_ACL).because("it has no entry"));
    }
    Ok(list)
}

/// One entry of a list.
pub(super) unsafe fn entry(permissions: i32, scheme: *const c_char, id: *const c_char) -> Result<Acl> {
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    let scheme = unsafe { text(scheme, "scheme") }?.to_owned();
    // SAFETY: null, or a text that the caller leaves alone meanwhile.
    let id = unsafe { text(id, "id") }?.to_owned();
    if permissions <= 0 || permissions & !permissions::ALL != 0 {
        let why = format!("permissions is {permissions}: it must be a sum of ZKH_PERM_…, not 0");
        return Err(bad_argument(why));
    }
    Ok(Acl { perms: permissions, scheme, id })
}

fn preset(number: i32) -> Result<Vec<Acl>> {
    Ok(match number {
        ZKH_ACL_EMPTY => Vec::new(),
        ZKH_ACL_OPEN => presets::default(),
        ZKH_ACL_DIRECTORY => presets::directory(),
        ZKH_ACL_CREATOR => vec![Acl::creator(permissions::ALL)],
        ZKH_ACL_READ_ONLY => vec![Acl::world(permissions::READ)],
        ZKH_ACL_FILE => presets::file(),
        other => return Err(bad_argument(format!("preset is {other}: it must be one of ZKH_ACL_…"))),
    })
}

/// Makes a list with what `preset`, one of `ZKH_ACL_…`, stands for. `*acl` is null on failure; otherwise the
/// caller frees it.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_acl_new(
    acl_preset: i32,
    acl: *mut zkh_acl,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(acl, "acl") }?;
        let list = AclList(Mutex::new(preset(acl_preset)?));
        place.set(zkh_acl { id: handles::insert(Arc::new(list))? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_acl_new", err, body) }
}

/// Adds an entry: `permissions` is a sum of `ZKH_PERM_…`; `scheme` and `id` say whom they are for, such as
/// "world" and "anyone", "auth" and "", "digest" and "user:" with the SHA-1 of "user:password" in base64, "ip" and
/// "10.0.0.0/8".
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_acl_add(
    acl: zkh_acl,
    permissions: i32,
    scheme: *const c_char,
    id: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or texts that the caller leaves alone meanwhile.
        let entry = unsafe { entry(permissions, scheme, id) }?;
        handles::get::<AclList>(acl.id)?.0.lock().push(entry);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_acl_add", err, body) }
}

/// Whether it is a directory's list: each entry has all permissions. False where the handle is dead. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_acl_is_directory(acl: zkh_acl) -> bool {
    value(|| Ok(presets::is_directory(&handles::get::<AclList>(acl.id)?.0.lock())))
}

/// Frees a list; null is left alone. Any thread. Errors, logged too: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_acl_free(acl: zkh_acl) -> zkh_status {
    logged("zkh_acl_free", || {
        if acl.id != 0 {
            handles::remove::<AclList>(acl.id)?;
        }
        Ok(())
    })
}
