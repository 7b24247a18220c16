//! Clients over a connection that the program has already.

use super::boundary::{UserData, bad_argument, logged, out, status};
use super::call::{
    ZKH_REQUEST_CHILDREN, ZKH_REQUEST_CREATE, ZKH_REQUEST_DELETE, ZKH_REQUEST_EXISTS, ZKH_REQUEST_GET,
    ZKH_REQUEST_MULTI, ZKH_REQUEST_SYNC, zkh_call, zkh_request,
};
use super::client::{
    ClientHandle, ZKH_STATE_CLOSED, ZKH_STATE_CONNECTED, ZKH_STATE_LOST, ZKH_STATE_SUSPENDED, zkh_client,
};
use super::codes::zkh_status;
use super::error::zkh_error;
use super::handles;
use super::lent::{Lent, Table};
use super::op::zkh_destroy_fn;
use super::options::{client_options, zkh_client_options};
use crate::client::{Client, State};
use crate::error::Result;
use crate::stepwise::Stepwise;
use crate::sync::Mutex;
use crate::zk::Zk;
use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

/// What a connection of the program's can do: a table of callbacks, which are set one by one. Made by `zkh_lend_new`,
/// freed by `zkh_lend_free`; a client copies it.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_lend {
    /// Zero is null.
    pub id: u64,
}

/// Makes a request over the program's connection. It must not block: it begins the request and returns, and
/// `call` is completed when the answer is there, before or after it has returned, on any thread. `request`
/// belongs to the library and is gone when it returns. Requests are handed over in the order in which they
/// are to leave, one at a time, on a thread of the library. It must not throw.
pub type zkh_lend_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, call: zkh_call, request: *const zkh_request)>;

#[derive(Default)]
pub(super) struct Lend(Mutex<Offer>);

/// What the program offers.
#[derive(Default, Clone)]
struct Offer {
    table: Table,
    stepwise: bool,
}

/// Makes an empty table. `*lend` is null on failure; otherwise the caller frees it.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_lend_new(lend: *mut zkh_lend, err: *mut *mut zkh_error) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(lend, "lend") }?;
        place.set(zkh_lend { id: handles::insert(Arc::new(Lend::default()))? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_lend_new", err, body) }
}

/// Sets the callback for an operation, one of `ZKH_REQUEST_…` except ZKH_REQUEST_CHECK; null sets none. The
/// same one may serve several.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_lend_set(
    lend: zkh_lend,
    operation: i32,
    callback: zkh_lend_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let handle = handles::get::<Lend>(lend.id)?;
        if !(ZKH_REQUEST_CREATE..=ZKH_REQUEST_SYNC).contains(&operation) {
            return Err(bad_argument(format!("operation is {operation}: it must be one of ZKH_REQUEST_…")));
        }
        let mut offer = handle.0.lock();
        match callback {
            Some(callback) => drop(offer.table.insert(operation, callback)),
            None => drop(offer.table.remove(&operation)),
        }
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_lend_set", err, body) }
}

/// Whether transactions are done step by step (`stepwise` is true) where ZKH_REQUEST_MULTI is not set, so that elections,
/// strict and persistent locks run too: their checks become reads, and their changes follow one by one. That is weaker than
/// a transaction, since others may come in between: a lock is then as certain as the reads of the program's
/// connection are, and what docs/lent.md says of it. Default: false, which refuses them.
/// Any thread. Errors: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_lend_set_stepwise(
    lend: zkh_lend,
    stepwise: bool,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        handles::get::<Lend>(lend.id)?.0.lock().stepwise = stepwise;
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_lend_set_stepwise", err, body) }
}

/// Frees a table; null is left alone. Any thread. Errors, logged too: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_lend_free(lend: zkh_lend) -> zkh_status {
    logged("zkh_lend_free", || {
        if lend.id != 0 {
            handles::remove::<Lend>(lend.id)?;
        }
        Ok(())
    })
}

/// Makes a client over a connection that the program has already; it is connected once the program says so
/// (`zkh_client_lent_state`). Of `options`, which may be null, count the operation timeout and how often locks are
/// renewed. `*client` is null on failure; otherwise the caller frees it. Closing or freeing it leaves the
/// program's connection and its session as they are; a lock that is held when it is closed is not released, since
/// nothing more is asked of the program then.
/// Create, delete, exists, get and children must be set. Without ZKH_REQUEST_MULTI nothing can be proven of
/// locks: they are believed until the connection goes, `zkh_mutex_valid_ms` is -1, and strict and persistent locks
/// are refused, unless `zkh_lend_set_stepwise` asked for a stand-in. What needs an operation that is not set ends with ZKH_UNSUPPORTED, which is logged once; so do
/// credentials, access control lists of nodes that are there, persistent watches and several reads in one request.
/// `user_data` is destroyed by `destroy`, which may be null, on the callbacks' thread and behind the last of them, once
/// the client and its mutexes are freed.
/// Any thread, also in callbacks. Errors: ZKH_BAD_ARGUMENT, ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_lend(
    lend: zkh_lend,
    options: *const zkh_client_options,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    client: *mut zkh_client,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(client, "client") }?;
        let Offer { table, stepwise } = handles::get::<Lend>(lend.id)?.0.lock().clone();
        // SAFETY: null, or a handle of the caller's.
        let options = unsafe { client_options(options) }?;
        for (operation, name) in [
            (ZKH_REQUEST_CREATE, "ZKH_REQUEST_CREATE"),
            (ZKH_REQUEST_DELETE, "ZKH_REQUEST_DELETE"),
            (ZKH_REQUEST_EXISTS, "ZKH_REQUEST_EXISTS"),
            (ZKH_REQUEST_GET, "ZKH_REQUEST_GET"),
            (ZKH_REQUEST_CHILDREN, "ZKH_REQUEST_CHILDREN"),
        ] {
            if !table.contains_key(&operation) {
                return Err(bad_argument(format!("the callback of {name} is not set")));
            }
        }
        let interval = options.renew_interval;
        let stepwise = stepwise && !table.contains_key(&ZKH_REQUEST_MULTI);
        let lent = Lent::new(table, user, options)?;
        let zk: Arc<dyn Zk> = if stepwise { Arc::new(Stepwise::over(lent.clone())) } else { lent.clone() };
        let handle = ClientHandle::lent(Client::lent(zk, interval), lent);
        place.set(zkh_client { id: handles::insert(Arc::new(handle))? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_lend", err, body) }
}

/// Says what became of the connection that was lent: `state` is ZKH_STATE_CONNECTED (with the session's id and its
/// negotiated timeout in milliseconds), ZKH_STATE_SUSPENDED (the connection is away, the session may live),
/// ZKH_STATE_LOST (the session is over) or ZKH_STATE_CLOSED (for ever). The other two arguments are ignored unless
/// it is connected. Call it for each change, before completing what was answered behind it: what locks may trust
/// rests on that.
/// Any thread, also in callbacks. Errors: ZKH_BAD_ARGUMENT, also where the client is not a lent one; ZKH_CLOSED,
/// ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_lent_state(
    client: zkh_client,
    state: i32,
    session_id: i64,
    session_timeout_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let handle = handles::get::<ClientHandle>(client.id)?;
        let lent = handle.lender().ok_or_else(|| bad_argument("this client has a connection of its own"))?;
        let (state, timeout) = lent_state(state, session_id, session_timeout_ms)?;
        lent.entered(state, session_id, timeout)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_lent_state", err, body) }
}

fn lent_state(state: i32, session_id: i64, timeout_ms: i64) -> Result<(State, Duration)> {
    match state {
        ZKH_STATE_CONNECTED => match i32::try_from(timeout_ms).ok().and_then(|ms| u64::try_from(ms).ok()) {
            Some(ms) if ms > 0 && session_id != 0 => Ok((State::Connected, Duration::from_millis(ms))),
            _ => Err(bad_argument(format!(
                "session_id is {session_id} and session_timeout_ms {timeout_ms}: no session has these"
            ))),
        },
        ZKH_STATE_SUSPENDED => Ok((State::Suspended, Duration::ZERO)),
        ZKH_STATE_LOST => Ok((State::Lost, Duration::ZERO)),
        ZKH_STATE_CLOSED => Ok((State::Closed, Duration::ZERO)),
        other => Err(bad_argument(format!("state is {other}: it must be one of ZKH_STATE_…"))),
    }
}
