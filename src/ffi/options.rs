//! Options: objects with typed setters, copied when they are used.

use super::acl;
use super::boundary::{bad_argument, bytes, logged, out, status, text};
use super::codes::zkh_status;
use super::error::zkh_error;
use super::handles;
use crate::client::{Auth, Options, Reattach, WhileSuspended};
use crate::error::Result;
use crate::recipes::mutex;
use crate::sync::Mutex;
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

/// How a client behaves. Made by `zkh_client_options_new`, freed by `zkh_client_options_free`; a client
/// copies it, so it may be used for several, changed in between, and freed at once.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_client_options {
    /// Zero is null.
    pub id: u64,
}

/// How a mutex behaves. Made by `zkh_mutex_options_new`, freed by `zkh_mutex_options_free`; a mutex
/// copies it, so it may be used for several, changed in between, and freed at once.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_mutex_options {
    /// Zero is null.
    pub id: u64,
}

/// While no server is connected, operations wait for one until their deadline. The default.
pub const ZKH_WHILE_SUSPENDED_WAIT: i32 = 1;
/// While no server is connected, operations are refused at once with `ZKH_NOT_SENT`.
pub const ZKH_WHILE_SUSPENDED_REFUSE: i32 = 2;

/// Permission to read a node's data and list its children.
pub const ZKH_PERM_READ: i32 = 1;
/// Permission to set a node's data.
pub const ZKH_PERM_WRITE: i32 = 2;
/// Permission to create children.
pub const ZKH_PERM_CREATE: i32 = 4;
/// Permission to delete children.
pub const ZKH_PERM_DELETE: i32 = 8;
/// Permission to set the access control list.
pub const ZKH_PERM_ADMIN: i32 = 16;
/// Every permission.
pub const ZKH_PERM_ALL: i32 = 31;

#[derive(Default)]
pub(super) struct ClientOptions(Mutex<Options>);

#[derive(Default)]
pub(super) struct MutexOptions(Mutex<MutexSettings>);

#[derive(Default)]
struct MutexSettings {
    options: mutex::MutexOptions,
    has_acl: bool,
}

/// A copy of the options, or the defaults where the pointer is null.
pub(super) unsafe fn client_options(options: *const zkh_client_options) -> Result<Options> {
    // SAFETY: null, or a handle of the caller's.
    match unsafe { options.as_ref() } {
        Some(options) => Ok(handles::get::<ClientOptions>(options.id)?.0.lock().clone()),
        None => Ok(Options::default()),
    }
}

/// A copy of the options, or the defaults where the pointer is null.
pub(super) unsafe fn mutex_options(options: *const zkh_mutex_options) -> Result<mutex::MutexOptions> {
    // SAFETY: null, or a handle of the caller's.
    match unsafe { options.as_ref() } {
        Some(options) => Ok(handles::get::<MutexOptions>(options.id)?.0.lock().options.clone()),
        None => Ok(mutex::MutexOptions::default()),
    }
}

/// Makes client options with the defaults. `*options` is null on failure. The caller frees it.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_new(
    options: *mut zkh_client_options,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(options, "options") }?;
        place.set(zkh_client_options { id: handles::insert(Arc::new(ClientOptions::default()))? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_new", err, body) }
}

/// Frees client options; null is left alone. Any thread. Errors, logged too: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_client_options_free(options: zkh_client_options) -> zkh_status {
    logged("zkh_client_options_free", || {
        if options.id != 0 {
            handles::remove::<ClientOptions>(options.id)?;
        }
        Ok(())
    })
}

pub(super) fn set_client(
    options: zkh_client_options,
    set: impl FnOnce(&mut Options) -> Result<()>,
) -> Result<()> {
    let options = handles::get::<ClientOptions>(options.id)?;
    let mut options = options.0.lock();
    let mut changed = options.clone();
    set(&mut changed)?;
    changed.validate()?;
    *options = changed;
    Ok(())
}

pub(super) fn milliseconds(ms: i64) -> Result<Duration> {
    let ms = u64::try_from(ms).map_err(|_| bad_argument(format!("the time is negative: {ms} ms")))?;
    Ok(Duration::from_millis(ms))
}

/// Sets the session timeout to ask for, in milliseconds; the server may negotiate another. It is how
/// long a lock outlives a program that crashed. Default 10000.
/// Any thread. Errors: ZKH_BAD_ARGUMENT unless it is from 1 to 2147483647; ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_set_session_timeout_ms(
    options: zkh_client_options,
    session_timeout_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        set_client(options, |options| {
            options.session_timeout = milliseconds(session_timeout_ms)?;
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_set_session_timeout_ms", err, body) }
}

/// Sets how long one round over all the servers may take, and how long `zkh_client_connect` waits, in
/// milliseconds. Default 10000.
/// Any thread. Errors: ZKH_BAD_ARGUMENT unless it is from 1 to 2147483647; ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_set_connect_timeout_ms(
    options: zkh_client_options,
    connect_timeout_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        set_client(options, |options| {
            options.connect_timeout = milliseconds(connect_timeout_ms)?;
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_set_connect_timeout_ms", err, body) }
}

/// Sets how long a connection may be silent before it is given up and another one is made, in milliseconds; it is
/// never more than two thirds of the session timeout, which is the default.
/// Any thread. Errors: ZKH_BAD_ARGUMENT unless it is from 10 to 2147483647; ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_set_max_silence_ms(
    options: zkh_client_options,
    max_silence_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        set_client(options, |options| {
            options.max_silence = Some(milliseconds(max_silence_ms)?);
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_set_max_silence_ms", err, body) }
}

/// Sets the deadline of operations that are given none, in milliseconds. Default 15000.
/// Any thread. Errors: ZKH_BAD_ARGUMENT unless it is from 1 to 2147483647; ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_set_operation_timeout_ms(
    options: zkh_client_options,
    operation_timeout_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        set_client(options, |options| {
            options.operation_timeout = milliseconds(operation_timeout_ms)?;
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_set_operation_timeout_ms", err, body) }
}

/// Sets what operations do while no server is connected: one of `ZKH_WHILE_SUSPENDED_…`.
/// Any thread. Errors: ZKH_BAD_ARGUMENT for another number; ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_set_while_suspended(
    options: zkh_client_options,
    while_suspended: i32,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        set_client(options, |options| {
            options.while_suspended = match while_suspended {
                ZKH_WHILE_SUSPENDED_WAIT => WhileSuspended::Wait,
                ZKH_WHILE_SUSPENDED_REFUSE => WhileSuspended::Refuse,
                other => {
                    return Err(bad_argument(format!("while_suspended is {other}: it must be 1 or 2")));
                }
            };
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_set_while_suspended", err, body) }
}

/// Sets the longest pause between two rounds over the servers, in milliseconds. Default 1000.
/// Any thread. Errors: ZKH_BAD_ARGUMENT unless it is from 1 to 3600000; ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_set_max_backoff_ms(
    options: zkh_client_options,
    max_backoff_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        set_client(options, |options| {
            options.max_backoff = milliseconds(max_backoff_ms)?;
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_set_max_backoff_ms", err, body) }
}

/// Sets the longest request and answer, in bytes: the servers' `jute.maxbuffer`. Default 1048575.
/// Any thread. Errors: ZKH_BAD_ARGUMENT unless it is from 1024 to 1073741824; ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_set_max_frame_bytes(
    options: zkh_client_options,
    max_frame_bytes: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        set_client(options, |options| {
            options.max_frame = usize::try_from(max_frame_bytes)
                .map_err(|_| bad_argument(format!("max_frame_bytes is {max_frame_bytes}")))?;
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_set_max_frame_bytes", err, body) }
}

/// Sets how often the locks of the client are renewed, in milliseconds: one write for all of them. 0, the
/// default, is a sixth of the session timeout, or of the shortest lease in strict mode.
/// Any thread. Errors: ZKH_BAD_ARGUMENT unless it is from 0 to 2147483647; ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_set_renew_interval_ms(
    options: zkh_client_options,
    renew_interval_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        set_client(options, |options| {
            let interval = milliseconds(renew_interval_ms)?;
            options.renew_interval = (!interval.is_zero()).then_some(interval);
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_set_renew_interval_ms", err, body) }
}

/// Adds credentials, which are sent first on every connection. For the scheme "digest", `data` is
/// "user:password". `data` is copied; it may be null where `len` is 0.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_add_auth(
    options: zkh_client_options,
    scheme: *const c_char,
    data: *const c_void,
    len: usize,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let scheme = unsafe { text(scheme, "scheme") }?.to_owned();
        // SAFETY: null, or `len` bytes that the caller leaves alone meanwhile.
        let credentials = unsafe { bytes(data, len, "data") }?.to_owned();
        set_client(options, |options| {
            options.auth.push(Auth { scheme, credentials });
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_add_auth", err, body) }
}

/// Lets the client attach to a session that another client has or had, instead of asking for a new one: what
/// `zkh_client_credentials` gave there. `last_zxid` is 0 if it is not known. Where the session is over, that is
/// told as a loss (`ZKH_STATE_LOST`), and a new one is made. `password` is copied.
/// Any thread. Errors: ZKH_BAD_ARGUMENT where `session_id` is 0 or `last_zxid` is negative; ZKH_BAD_HANDLE,
/// ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_options_set_reattach(
    options: zkh_client_options,
    session_id: i64,
    password: *const c_void,
    len: usize,
    last_zxid: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or `len` bytes that the caller leaves alone meanwhile.
        let password = unsafe { bytes(password, len, "password") }?.to_owned();
        if session_id == 0 || last_zxid < 0 {
            let why = format!("session_id is {session_id} and last_zxid {last_zxid}: no session has these");
            return Err(bad_argument(why));
        }
        set_client(options, |options| {
            options.reattach = Some(Reattach { session_id, password, last_zxid });
            Ok(())
        })
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_options_set_reattach", err, body) }
}

/// Makes mutex options with the defaults. `*options` is null on failure. The caller frees it.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_options_new(
    options: *mut zkh_mutex_options,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(options, "options") }?;
        place.set(zkh_mutex_options { id: handles::insert(Arc::new(MutexOptions::default()))? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_options_new", err, body) }
}

/// Frees mutex options; null is left alone. Any thread. Errors, logged too: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_mutex_options_free(options: zkh_mutex_options) -> zkh_status {
    logged("zkh_mutex_options_free", || {
        if options.id != 0 {
            handles::remove::<MutexOptions>(options.id)?;
        }
        Ok(())
    })
}

/// Adds an entry to the access control list of the lock nodes and of the parents that have to be made;
/// the first one takes the place of the default, which lets anyone do everything. `permissions` is a sum
/// of `ZKH_PERM_…`. Whoever is to contend needs CREATE, DELETE and READ.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_options_add_acl(
    options: zkh_mutex_options,
    permissions: i32,
    scheme: *const c_char,
    id: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or texts that the caller leaves alone meanwhile.
        let entry = unsafe { acl::entry(permissions, scheme, id) }?;
        let handle = handles::get::<MutexOptions>(options.id)?;
        let mut settings = handle.0.lock();
        if !settings.has_acl {
            settings.options.acl.clear();
            settings.has_acl = true;
        }
        settings.options.acl.push(entry);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_options_add_acl", err, body) }
}

/// Sets further keys of the JSON object in the lock node, as the text of a JSON object. The keys
/// hostname, pid and desc are the library's, and so is id where it is not among these; otherwise its own goes
/// by attempt-id.
/// Any thread. Errors: ZKH_BAD_ARGUMENT unless it is a JSON object; ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_options_set_contents_json(
    options: zkh_mutex_options,
    json: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let json = unsafe { text(json, "json") }?;
        handles::get::<MutexOptions>(options.id)?.0.lock().options.contents_json(json)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_options_set_contents_json", err, body) }
}

/// Adds what goes before the sequence number in the names of another library's lock nodes, which are
/// then contenders too. Known already: "lock-" (this library, Curator, go-zookeeper), "__lock__" (kazoo).
/// Any thread. Errors: ZKH_BAD_ARGUMENT where it is empty or has a "/"; ZKH_BAD_UTF8, ZKH_BAD_HANDLE,
/// ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_options_add_extra_lock_pattern(
    options: zkh_mutex_options,
    pattern: *const c_char,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let pattern = unsafe { text(pattern, "pattern") }?.to_owned();
        if pattern.is_empty() || pattern.contains('/') {
            return Err(bad_argument(format!(
                "pattern is {pattern:?}: it must not be empty or have a \"/\""
            )));
        }
        let handle = handles::get::<MutexOptions>(options.id)?;
        handle.0.lock().options.extra_lock_patterns.push(pattern);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_options_add_extra_lock_pattern", err, body) }
}

/// Turns strict mode on: exclusion whatever the servers' clocks, stalls or partitions do, as long as the
/// clients' clocks run at about the same rate. A holder believes no longer than `lease_ms` after the last
/// renewal that a quorum committed; a successor waits `delay_ms` for a holder that did not leave cleanly.
/// Both in milliseconds. The delay belongs to the path: every client of it has to use the same.
/// Any thread. Errors: ZKH_BAD_ARGUMENT unless 100 <= lease_ms <= delay_ms <= 86400000; ZKH_BAD_HANDLE,
/// ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_options_set_strict(
    options: zkh_mutex_options,
    lease_ms: i64,
    delay_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let strict = mutex::Strict { lease: milliseconds(lease_ms)?, delay: milliseconds(delay_ms)? };
        let handle = handles::get::<MutexOptions>(options.id)?;
        let mut settings = handle.0.lock();
        let mut changed = settings.options.clone();
        changed.strict = Some(strict);
        changed.validate()?;
        settings.options = changed;
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_options_set_strict", err, body) }
}

/// Makes the lock persistent: its node stays when its owner's session ends, and keeps everybody else out until the
/// owner releases it, or `zkh_mutex_release_dead` does. The owner believes no longer than `lease_ms` milliseconds
/// after the last renewal that a quorum committed, and a release waits that long. A lock is either strict or
/// persistent. A client waits in `zkh_client_close` for the persistent locks that are being released.
/// Any thread. Errors: ZKH_BAD_ARGUMENT unless 100 <= lease_ms <= 86400000, or in strict mode; ZKH_BAD_HANDLE,
/// ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_mutex_options_set_persistent(
    options: zkh_mutex_options,
    lease_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let persistent = mutex::Persistent { lease: milliseconds(lease_ms)? };
        let handle = handles::get::<MutexOptions>(options.id)?;
        let mut settings = handle.0.lock();
        let mut changed = settings.options.clone();
        changed.persistent = Some(persistent);
        changed.validate()?;
        settings.options = changed;
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_mutex_options_set_persistent", err, body) }
}
