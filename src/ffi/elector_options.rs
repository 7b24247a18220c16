//! How an elector behaves.

use super::acl::{self, zkh_acl};
use super::boundary::{bad_argument, logged, out, status, text};
use super::codes::zkh_status;
use super::error::zkh_error;
use super::handles;
use super::options::milliseconds;
use crate::error::Result;
use crate::recipes::elector;
use crate::sync::Mutex;
use std::ffi::c_char;
use std::sync::Arc;

/// How an elector behaves. Made by `zkh_elector_options_new`, freed by `zkh_elector_options_free`; an
/// elector copies it, so it may be used for several, changed in between, and freed at once.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_elector_options {
    /// Zero is null.
    pub id: u64,
}

#[derive(Default)]
pub(super) struct ElectorOptions(Mutex<elector::ElectorOptions>);

/// A copy of the options, or the defaults where the pointer is null.
pub(super) unsafe fn elector_options(options: *const zkh_elector_options) -> Result<elector::ElectorOptions> {
    // SAFETY: null, or a handle of the caller's.
    match unsafe { options.as_ref() } {
        Some(options) => Ok(handles::get::<ElectorOptions>(options.id)?.0.lock().clone()),
        None => Ok(elector::ElectorOptions::default()),
    }
}

/// Makes elector options with the defaults. `*options` is null on failure. The caller frees it.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_options_new(
    options: *mut zkh_elector_options,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(options, "options") }?;
        place.set(zkh_elector_options { id: handles::insert(Arc::new(ElectorOptions::default()))? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_options_new", err, body) }
}

/// Frees elector options; null is left alone. Any thread. Errors, logged too: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_elector_options_free(options: zkh_elector_options) -> zkh_status {
    logged("zkh_elector_options_free", || {
        if options.id != 0 {
            handles::remove::<ElectorOptions>(options.id)?;
        }
        Ok(())
    })
}

/// Changes the options if they are valid afterwards.
fn set(
    options: zkh_elector_options,
    change: impl FnOnce(&mut elector::ElectorOptions) -> Result<()>,
) -> Result<()> {
    let options = handles::get::<ElectorOptions>(options.id)?;
    let mut options = options.0.lock();
    let mut changed = options.clone();
    change(&mut changed)?;
    changed.validate()?;
    *options = changed;
    Ok(())
}

/// Sets the access control list of the candidates' nodes, of the leader's record and of the parents that
/// have to be made; it is copied. Null is the default: anyone may do everything. Candidates need CREATE,
/// DELETE, READ and WRITE.
/// Any thread. Errors: ZKH_BAD_ARGUMENT where the list is empty; ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_options_set_acl(
    options: zkh_elector_options,
    acl: *const zkh_acl,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a handle of the caller's.
        let acl = unsafe { acl::acl(acl) }?;
        set(options, |options| {
            options.acl = acl;
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_options_set_acl", err, body) }
}

/// Sets further keys of the JSON object in the candidate's node and the leader's record, as the text of a
/// JSON object. The keys hostname, pid, desc, token and candidate are the library's, and so is id where it is
/// not among these; otherwise its own goes by attempt-id.
/// Any thread. Errors: ZKH_BAD_ARGUMENT unless it is a JSON object; ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_options_set_contents_json(
    options: zkh_elector_options,
    json: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let json = unsafe { text(json, "json") }?;
        set(options, |options| options.contents_json(json))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_options_set_contents_json", err, body) }
}

/// Sets the `desc` of the candidate's node and the leader's record. Default "election".
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_options_set_description(
    options: zkh_elector_options,
    description: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let description = unsafe { text(description, "description") }?.to_owned();
        set(options, |options| {
            options.description = description;
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_options_set_description", err, body) }
}

/// Adds what goes before the sequence number in the names of another library's candidates; see
/// `zkh_mutex_options_add_extra_lock_pattern`.
/// Any thread. Errors: ZKH_BAD_ARGUMENT where it is empty or has a "/"; ZKH_BAD_UTF8, ZKH_BAD_HANDLE,
/// ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_options_add_extra_lock_pattern(
    options: zkh_elector_options,
    pattern: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let pattern = unsafe { text(pattern, "pattern") }?.to_owned();
        set(options, |options| {
            options.extra_lock_patterns.push(pattern);
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_options_add_extra_lock_pattern", err, body) }
}

/// Sets, in milliseconds, how long a leader believes after it sent the last renewal that a quorum committed,
/// and how long its task may take to end after it was told to stop; -1 as the grace is for ever, and
/// gives up the promise that two leaders' tasks never overlap. After a leader that did not leave cleanly the next one
/// waits for both together, so every candidate of an election has to use the same. Default 10000 and
/// 5000.
/// Any thread. Errors: ZKH_BAD_ARGUMENT unless lease_ms is at least 100 and both together are at most
/// 86400000; ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_options_set_lease_ms(
    options: zkh_elector_options,
    lease_ms: i64,
    grace_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let lease = milliseconds(lease_ms)?;
        let grace = if grace_ms == -1 { None } else { Some(milliseconds(grace_ms)?) };
        set(options, |options| {
            (options.lease, options.grace) = (lease, grace);
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_options_set_lease_ms", err, body) }
}

/// Sets whether the process is aborted when a task outlives its grace after the lead was lost, which is when
/// the next leader may have started: 1 aborts it, 0 only reports it. Default 0.
/// Any thread. Errors: ZKH_BAD_ARGUMENT for another number, or where the grace is for ever; ZKH_BAD_HANDLE,
/// ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_options_set_abort_when_overdue(
    options: zkh_elector_options,
    abort: i32,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let abort = match abort {
            0 => false,
            1 => true,
            other => return Err(bad_argument(format!("abort is {other}: it must be 0 or 1"))),
        };
        set(options, |options| {
            options.abort_when_overdue = abort;
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_options_set_abort_when_overdue", err, body) }
}

/// Sets, in milliseconds, the pause before the next candidacy after a term that failed: it begins with
/// `min_ms` and doubles up to `max_ms`, each time shortened at random by up to a half. Default 100 and
/// 60000.
/// Any thread. Errors: ZKH_BAD_ARGUMENT unless 1 <= min_ms <= max_ms; ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_elector_options_set_backoff_ms(
    options: zkh_elector_options,
    min_ms: i64,
    max_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let (min, max) = (milliseconds(min_ms)?, milliseconds(max_ms)?);
        set(options, |options| {
            (options.min_backoff, options.max_backoff) = (min, max);
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_elector_options_set_backoff_ms", err, body) }
}
