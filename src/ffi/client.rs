//! The client: a connection to ZooKeeper.

use super::boundary::out_or_null;
use super::boundary::{self, UserData, bytes, copy_bytes, logged, may_block, out, status, text, value};
use super::codes::zkh_status;
use super::dispatcher::{Dispatcher, Gate, Listener, listen};
use super::error::zkh_error;
use super::handles;
use super::lent::Lent;
use super::op::{Cancel, On, zkh_destroy_fn, zkh_done_fn, zkh_op};
use super::options::{client_options, zkh_client_options};
use crate::client::{Client, State, StateEvent};
use crate::error::{Code, Result};
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

/// A client: one session with ZooKeeper at a time, a new one after each that is lost. Any number of
/// threads may use one at once, and one is enough for a program. Made by `zkh_client_connect` or
/// `zkh_client_new`, ended at the server by `zkh_client_close`, freed by `zkh_client_free`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_client {
    /// Zero is null.
    pub id: u64,
}

/// There is no session yet; servers are being tried.
pub const ZKH_STATE_CONNECTING: i32 = 1;
/// A server is connected and the session lives.
pub const ZKH_STATE_CONNECTED: i32 = 2;
/// No server is connected; the session may live or be over.
pub const ZKH_STATE_SUSPENDED: i32 = 3;
/// The server says that the session is over: its locks are gone. A new one is being made.
pub const ZKH_STATE_LOST: i32 = 4;
/// The client is over: closed, or its credentials were refused.
pub const ZKH_STATE_CLOSED: i32 = 5;

/// A change of state: `state` is one of `ZKH_STATE_…`. `session_id` is the present session, 0 while there is
/// none; `previous_session_id` the one that was lost last, 0 if none was: when CONNECTED follows LOST they
/// are the new one and the old one. `reason` says why, null where there is no reason; it belongs to the library
/// and is gone when the callback returns. It is called on a thread of the library, one at a time and in
/// order; what waits is refused in it with `ZKH_WOULD_DEADLOCK`. It must not throw.
pub type zkh_state_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        state: i32,
        session_id: i64,
        previous_session_id: i64,
        reason: *const zkh_error,
    ),
>;

/// What a [`zkh_client`] stands for.
pub(super) struct ClientHandle {
    pub(super) client: Client,
    pub(super) dispatcher: Arc<Dispatcher>,
    /// Runs what must not wait behind any other callback.
    pub(super) urgent: Arc<Dispatcher>,
    gate: Arc<Gate>,
    on_state: Listener,
    /// Where the connection is the program's.
    lent: Option<Arc<Lent>>,
}

impl ClientHandle {
    fn new(client: Client) -> Self {
        Self {
            client,
            dispatcher: Arc::new(Dispatcher::new("zkhelper-calls")),
            urgent: Arc::new(Dispatcher::new("zkhelper-lost")),
            gate: Gate::new(),
            on_state: Listener::default(),
            lent: None,
        }
    }

    pub(super) fn lent(client: Client, lent: Arc<Lent>) -> Self {
        Self { lent: Some(lent), ..Self::new(client) }
    }

    pub(super) fn lender(&self) -> Option<&Lent> {
        self.lent.as_deref()
    }

    fn on(&self, doing: &'static str) -> On<'_> {
        self.on_path(doing, None)
    }

    /// A call that is about this path.
    pub(super) fn on_path<'a>(&'a self, doing: &'static str, path: Option<&'a str>) -> On<'a> {
        On { zk: self.client.zk(), gate: &self.gate, dispatcher: &self.dispatcher, doing, path }
    }
}

/// Connects: makes a client and waits for its first session, at most as long as the option
/// `connect_timeout_ms`. `address` is ZooKeeper's connect string, "host:port,host:port/chroot".
/// `options` may be null. `*client` is null on failure; otherwise the caller frees it.
/// Any thread, not in callbacks. Errors: ZKH_CONNECTION_LOSS, which says why the last server tried did not
/// do; ZKH_AUTH_FAILED, ZKH_BAD_ADDRESS, ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE (the options),
/// ZKH_WOULD_DEADLOCK, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_connect(
    address: *const c_char,
    options: *const zkh_client_options,
    client: *mut zkh_client,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(client, "client") }?;
        may_block()?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let address = unsafe { text(address, "address") }?;
        // SAFETY: null, or a handle of the caller's.
        let options = unsafe { client_options(options) }?;
        let timeout = options.connect_timeout;
        let handle = Arc::new(ClientHandle::new(Client::new(address, options)?));
        let client = handle.client.clone();
        handle.on("connect").wait(|_| async move {
            let connected = client.wait_connected(timeout).await;
            if connected.is_err() {
                let _ = client.close(Duration::ZERO).await;
            }
            connected
        })?;
        place.set(zkh_client { id: handles::insert(handle)? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_connect", err, body) }
}

/// Makes a client, which begins to connect, and returns at once. The arguments are those of
/// `zkh_client_connect`. `*client` is null on failure; otherwise the caller frees it.
/// Any thread, also in callbacks. Errors: ZKH_BAD_ADDRESS, ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8,
/// ZKH_BAD_HANDLE (the options), ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_new(
    address: *const c_char,
    options: *const zkh_client_options,
    client: *mut zkh_client,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(client, "client") }?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let address = unsafe { text(address, "address") }?;
        // SAFETY: null, or a handle of the caller's.
        let options = unsafe { client_options(options) }?;
        let handle = ClientHandle::new(Client::new(address, options)?);
        place.set(zkh_client { id: handles::insert(Arc::new(handle))? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_new", err, body) }
}

async fn wait_connected(client: Client, timeout: Option<Duration>, mut cancel: Cancel) -> Result<i64> {
    tokio::select! {
        biased;
        session = client.wait_connected(timeout.unwrap_or(Duration::MAX)) => session,
        () = cancel.cancelled() => Err(Code::CANCELLED.into()),
    }
}

/// Waits until a server is connected: at most `timeout_ms` milliseconds; -1 waits for ever, 0 not at all.
/// Any thread, not in callbacks. Errors: ZKH_CONNECTION_LOSS or ZKH_NOT_SENT after the time;
/// ZKH_AUTH_FAILED; ZKH_CLOSED when the client is closed or freed meanwhile; ZKH_BAD_ARGUMENT,
/// ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_wait_connected(
    client: zkh_client,
    timeout_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let handle = handles::get::<ClientHandle>(client.id)?;
        let (timeout, client) = (boundary::timeout(timeout_ms)?, handle.client.clone());
        handle.on("connect").wait(|cancel| wait_connected(client, timeout, cancel)).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_wait_connected", err, body) }
}

/// The same, without waiting: `callback` gets the outcome, its value is the session's id. `op`, which may be
/// null, takes a handle to cancel it by; `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: ZKH_BAD_ARGUMENT, ZKH_BAD_HANDLE, ZKH_FORKED,
/// ZKH_CLOSED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_wait_connected_async(
    client: zkh_client,
    timeout_ms: i64,
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
        let handle = handles::get::<ClientHandle>(client.id)?;
        let (timeout, client) = (boundary::timeout(timeout_ms)?, handle.client.clone());
        handle
            .on("connect")
            .call(callback, user, op.as_ref(), |cancel| wait_connected(client, timeout, cancel))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_wait_connected_async", err, body) }
}

async fn close(handle: Arc<ClientHandle>, timeout: Option<Duration>) -> Result<i64> {
    let closed = handle.client.close(timeout.unwrap_or(Duration::MAX)).await;
    // A free right behind this one is to find the last state told.
    handle.on_state.told().await;
    closed.map(|()| 0)
}

/// Ends the session at the server, and with it every lock of this client; what waits ends with ZKH_CLOSED.
/// Gives up waiting for the server after `timeout_ms` milliseconds (-1: never, 0: at once); the session then
/// ends by its own timeout. Either way the client is over afterwards, and still to be freed; its state callback has been
/// told CLOSED, so do not hold a lock meanwhile that this callback takes. Closing a client that is closed
/// does nothing.
/// Any thread, not in callbacks. Errors: ZKH_CLOSED when the server did not confirm in time;
/// ZKH_AUTH_FAILED when the client was over because of that; ZKH_BAD_ARGUMENT, ZKH_BAD_HANDLE, ZKH_FORKED,
/// ZKH_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_close(
    client: zkh_client,
    timeout_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let handle = handles::get::<ClientHandle>(client.id)?;
        let timeout = boundary::timeout(timeout_ms)?;
        handle.on("close").wait(|_| close(Arc::clone(&handle), timeout)).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_close", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. It cannot be cancelled. `user_data` is destroyed
/// by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: ZKH_BAD_ARGUMENT, ZKH_BAD_HANDLE, ZKH_FORKED,
/// ZKH_CLOSED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_close_async(
    client: zkh_client,
    timeout_ms: i64,
    callback: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let user = UserData::new(user_data, destroy);
        let handle = handles::get::<ClientHandle>(client.id)?;
        let timeout = boundary::timeout(timeout_ms)?;
        handle.on("close").call(callback, user, None, |_| close(Arc::clone(&handle), timeout))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_close_async", err, body) }
}

/// Frees a client; null is left alone. Calls of other threads that wait on it end with ZKH_CLOSED, and so
/// do its asynchronous ones: their callbacks, and a running state callback, are over when this returns,
/// except inside a callback, where it does not wait for them. So do not hold a lock meanwhile that a callback
/// takes. Its mutexes and watches stay usable, and the session lives until the last of them is freed or the
/// client was closed; it is then ended in the background.
/// Any thread, also in callbacks. Errors, logged too: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_client_free(client: zkh_client) -> zkh_status {
    logged("zkh_client_free", || {
        if client.id == 0 {
            return Ok(());
        }
        let handle = handles::remove::<ClientHandle>(client.id)?;
        handle.gate.close();
        handle.on_state.replace(&handle.gate, None);
        handle.gate.wait_idle();
        Ok(())
    })
}

/// The client's state, one of `ZKH_STATE_…`; 0 where the handle is dead. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_client_state(client: zkh_client) -> i32 {
    value(|| Ok(number(handles::get::<ClientHandle>(client.id)?.client.state())))
}

fn number(state: State) -> i32 {
    match state {
        State::Connecting => ZKH_STATE_CONNECTING,
        State::Connected => ZKH_STATE_CONNECTED,
        State::Suspended => ZKH_STATE_SUSPENDED,
        State::Lost => ZKH_STATE_LOST,
        State::Closed => ZKH_STATE_CLOSED,
    }
}

/// The present session's id; 0 while there is none and where the handle is dead. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_client_session_id(client: zkh_client) -> i64 {
    value(|| Ok(handles::get::<ClientHandle>(client.id)?.client.session().id))
}

/// The session timeout in milliseconds, as the server negotiated it last, or the one that is asked for before the first
/// session; 0 where the handle is dead. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_client_session_timeout_ms(client: zkh_client) -> i64 {
    value(|| {
        let timeout = handles::get::<ClientHandle>(client.id)?.client.session().timeout;
        Ok(i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX))
    })
}

/// Gives what another client, also of another process, needs to attach to the present session
/// (`zkh_client_options_set_reattach`): its id, its password and the last transaction that was seen. `*len`
/// takes the password's length in bytes, which is 16; `*session_id` is 0 while there is no session. The password is a secret. A
/// session has one connection: while two clients use it, each takes it from the other in turn. A client that is closed or
/// freed ends its session; a process that dies leaves it to whoever attaches in time.
/// Any thread. Errors: ZKH_BAD_ARGUMENT where `size` bytes are too few, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_credentials(
    client: zkh_client,
    session_id: *mut i64,
    password: *mut c_void,
    size: usize,
    len: *mut usize,
    last_zxid: *mut i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or places for numbers.
        let places = unsafe { (out(session_id, "session_id"), out(len, "len"), out(last_zxid, "last_zxid")) };
        let (id, len, zxid) = (places.0?, places.1?, places.2?);
        let known = handles::get::<ClientHandle>(client.id)?.client.credentials();
        // SAFETY: null, or `size` bytes of the caller's.
        unsafe { copy_bytes(&known.password, password, size, "password") }?;
        id.set(known.session_id);
        len.set(known.password.len());
        zxid.set(known.last_zxid);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_credentials", err, body) }
}

async fn add_auth(client: Client, scheme: String, data: Vec<u8>) -> Result<i64> {
    client.add_auth(&scheme, &data).await.map(|()| 0)
}

/// Adds credentials, to this connection and every later one, and waits until the server has taken them.
/// For the scheme "digest", `data` is "user:password". `data` is copied. Refused credentials end the client.
/// Any thread, not in callbacks. Errors: ZKH_AUTH_FAILED; ZKH_NOT_SENT after the operation timeout;
/// ZKH_CLOSED, ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_add_auth(
    client: zkh_client,
    scheme: *const c_char,
    data: *const c_void,
    len: usize,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let handle = handles::get::<ClientHandle>(client.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let scheme = unsafe { text(scheme, "scheme") }?.to_owned();
        // SAFETY: null, or `len` bytes that the caller leaves alone meanwhile.
        let data = unsafe { bytes(data, len, "data") }?.to_owned();
        let client = handle.client.clone();
        handle.on("addAuth").wait(|_| add_auth(client, scheme, data)).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_add_auth", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. It cannot be cancelled. `user_data` is destroyed
/// by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE,
/// ZKH_FORKED, ZKH_CLOSED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_add_auth_async(
    client: zkh_client,
    scheme: *const c_char,
    data: *const c_void,
    len: usize,
    callback: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let user = UserData::new(user_data, destroy);
        let handle = handles::get::<ClientHandle>(client.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let scheme = unsafe { text(scheme, "scheme") }?.to_owned();
        // SAFETY: null, or `len` bytes that the caller leaves alone meanwhile.
        let data = unsafe { bytes(data, len, "data") }?.to_owned();
        let client = handle.client.clone();
        handle.on("addAuth").call(callback, user, None, |_| add_auth(client, scheme, data))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_add_auth_async", err, body) }
}

/// Sets the callback for changes of state, in place of the one before; a null callback sets none. It is
/// called for the present state first and misses none after it; the last one is CLOSED. The one before is
/// not called any more when this returns, except inside a callback. `user_data` is destroyed by `destroy`,
/// which may be null, once the callback is replaced or the client is closed or freed.
/// Any thread, also in callbacks. Errors: ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_CLOSED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_on_state(
    client: zkh_client,
    callback: zkh_state_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let user = UserData::new(user_data, destroy);
        let handle = handles::get::<ClientHandle>(client.id)?;
        let zk = handle.client.zk();
        let new = callback.map(|callback| {
            let states = handle.client.states();
            listen(zk, &handle.dispatcher, states, user, move |user, event| tell(callback, user, event))
        });
        handle.on_state.replace(&handle.gate, new.transpose()?);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_on_state", err, body) }
}

type StateFn = unsafe extern "C" fn(*mut c_void, i32, i64, i64, *const zkh_error);

fn tell(callback: StateFn, user: &UserData, event: &StateEvent) {
    let reason = event.reason.as_ref().map(zkh_error::new);
    let reason = reason.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let state = number(event.state);
    // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet.
    unsafe { callback(user.as_ptr(), state, event.session, event.previous_session, reason) };
}
