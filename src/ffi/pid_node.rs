//! The pid node: an ephemeral node that says that its owner lives.

use super::acl::{self, zkh_acl};
use super::boundary::{
    UserData, bad_argument, bytes, copy_text, logged, out, out_or_null, status, text, value,
};
use super::client::{ClientHandle, zkh_client};
use super::codes::zkh_status;
use super::dispatcher::{Gate, Listener, listen};
use super::error::zkh_error;
use super::handles;
use super::op::{Cancel, On, zkh_destroy_fn, zkh_done_fn, zkh_op};
use super::options::milliseconds;
use crate::error::{Code, Result};
use crate::recipes::pid_node::{self, PidEvent, PidNode, TakeOver};
use crate::sync::Mutex;
use crate::zk::BoxFuture;
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use tokio::sync::mpsc;

/// A node that says that its owner lives: it is there while the owner's client is connected, is made again
/// after its session's end or if somebody deletes it, and is gone when it is closed or freed. Any
/// number of threads may use one at once. Made by `zkh_pid_node_new`, freed by `zkh_pid_node_free`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_pid_node {
    /// Zero is null.
    pub id: u64,
}

/// How a pid node is made. Made by `zkh_pid_node_options_new`, freed by `zkh_pid_node_options_free`; a pid node
/// copies it, so it may be used for several, changed in between, and freed at once.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_pid_node_options {
    /// Zero is null.
    pub id: u64,
}

/// Nobody's node is replaced.
pub const ZKH_TAKE_OVER_NEVER: i32 = 0;
/// A node is replaced that no session keeps, and that no owner's end would therefore remove: a persistent one without
/// children.
pub const ZKH_TAKE_OVER_DEAD: i32 = 1;
/// Anybody's node is replaced, at once; its owner is told that it lost it.
pub const ZKH_TAKE_OVER_LIVE: i32 = 2;

/// The node is there.
pub const ZKH_PID_MADE: i32 = 1;
/// The node is gone, for the reason `loss`, and is being made again, unless it is ZKH_LOSS_CLIENT_CLOSED.
pub const ZKH_PID_LOST: i32 = 2;
/// The node cannot be made for now: `error` says why. It is made as soon as a node in the way is gone
/// (ZKH_NODE_EXISTS); anything else is tried again after a pause of at most 30 seconds.
pub const ZKH_PID_REFUSED: i32 = 3;

/// What became of a pid node: `event` is one of `ZKH_PID_…`, `loss` one of `ZKH_LOSS_…` with ZKH_PID_LOST and 0
/// otherwise, `error` is null but with ZKH_PID_REFUSED, belongs to the library and is gone when the callback returns.
/// It is called on a thread of the library, one at a time and in order; what waits is refused in it with
/// `ZKH_WOULD_DEADLOCK`. It must not throw.
pub type zkh_pid_fn =
    Option<unsafe extern "C" fn(user_data: *mut c_void, event: i32, loss: i32, error: *const zkh_error)>;

#[derive(Default)]
pub(super) struct PidNodeOptions(Mutex<pid_node::PidNodeOptions>);

fn set(options: zkh_pid_node_options, change: impl FnOnce(&mut pid_node::PidNodeOptions)) -> Result<()> {
    change(&mut handles::get::<PidNodeOptions>(options.id)?.0.lock());
    Ok(())
}

/// Makes pid node options with the defaults. `*options` is null on failure. The caller frees it.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_pid_node_options_new(
    options: *mut zkh_pid_node_options,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(options, "options") }?;
        place.set(zkh_pid_node_options { id: handles::insert(Arc::new(PidNodeOptions::default()))? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_pid_node_options_new", err, body) }
}

/// Frees pid node options; null is left alone. Any thread. Errors, logged too: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_pid_node_options_free(options: zkh_pid_node_options) -> zkh_status {
    logged("zkh_pid_node_options_free", || {
        if options.id != 0 {
            handles::remove::<PidNodeOptions>(options.id)?;
        }
        Ok(())
    })
}

/// Sets the access control list that the node gets each time it is made; it is copied. Default: anyone, as
/// ZKH_ACL_FILE; null lets anyone do everything.
/// Any thread. Errors: ZKH_INVALID_ACL where it is empty; ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_pid_node_options_set_acl(
    options: zkh_pid_node_options,
    access: *const zkh_acl,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a handle of the caller's.
        let list = unsafe { acl::acl(access) }?;
        set(options, |options| options.acl = list)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_pid_node_options_set_acl", err, body) }
}

/// Sets whose node may be replaced when it is first made, one of `ZKH_TAKE_OVER_…`. Default: nobody's. Later a
/// node in the way is never replaced.
/// Any thread. Errors: ZKH_BAD_ARGUMENT, ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_pid_node_options_set_take_over(
    options: zkh_pid_node_options,
    take_over: i32,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let take_over = match take_over {
            ZKH_TAKE_OVER_NEVER => TakeOver::Never,
            ZKH_TAKE_OVER_DEAD => TakeOver::Dead,
            ZKH_TAKE_OVER_LIVE => TakeOver::Live,
            other => {
                return Err(bad_argument(format!("take_over is {other}: it must be one of ZKH_TAKE_OVER_…")));
            }
        };
        set(options, |options| options.take_over = take_over)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_pid_node_options_set_take_over", err, body) }
}

/// Sets how long somebody else's node is waited for, in milliseconds. Default: one and a half session timeouts,
/// after which the owner that left it there is known to live.
/// Any thread. Errors: ZKH_BAD_ARGUMENT where it is negative; ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_pid_node_options_set_wait_ms(
    options: zkh_pid_node_options,
    wait_ms: i64,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let wait = milliseconds(wait_ms)?;
        set(options, |options| options.wait = Some(wait))
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_pid_node_options_set_wait_ms", err, body) }
}

/// What a [`zkh_pid_node`] stands for.
pub(super) struct PidNodeHandle {
    client: Arc<ClientHandle>,
    gate: Arc<Gate>,
    path: String,
    data: Vec<u8>,
    options: pid_node::PidNodeOptions,
    life: Arc<Mutex<Life>>,
    on_event: Listener,
}

/// How far the node has come.
#[derive(Default)]
enum Stage {
    #[default]
    Idle,
    Starting,
    Running(PidNode),
    /// The handle is gone.
    Freed,
}

#[derive(Default)]
struct Life {
    stage: Stage,
    /// Whom to tell what becomes of it.
    listener: Option<mpsc::UnboundedSender<PidEvent>>,
    last: Option<PidEvent>,
}

impl PidNodeHandle {
    fn on(&self, doing: &'static str) -> On<'_> {
        On {
            zk: self.client.client.zk(),
            gate: &self.gate,
            dispatcher: &self.client.dispatcher,
            doing,
            path: Some(&self.path),
        }
    }

    fn start(&self) -> impl FnOnce(Cancel) -> BoxFuture<Result<i64>> + use<> {
        let (client, path, data) = (Arc::clone(&self.client), self.path.clone(), self.data.clone());
        let (options, life) = (self.options.clone(), Arc::clone(&self.life));
        move |mut cancel| {
            Box::pin(async move {
                let starting = Starting::begin(&life)?;
                let node = tokio::select! {
                    biased;
                    node = PidNode::create(&client.client, &path, &data, options) => node?,
                    () = cancel.cancelled() => return Err(Code::CANCELLED.into()),
                };
                let mut events = node.events();
                // The node is in there, and has to go with its handle.
                let told = Arc::downgrade(&life);
                client.client.zk().spawn(Box::pin(async move {
                    while let Some(event) = events.recv().await {
                        let Some(life) = told.upgrade() else { return };
                        let mut life = life.lock();
                        if let Some(listener) = &life.listener {
                            let _ = listener.send(event.clone());
                        }
                        life.last = Some(event);
                    }
                }));
                starting.done(node);
                Ok(0)
            })
        }
    }

    fn close(&self) -> impl FnOnce(Cancel) -> BoxFuture<Result<i64>> + use<> {
        let life = Arc::clone(&self.life);
        move |_| {
            Box::pin(async move {
                let node = {
                    let mut life = life.lock();
                    match std::mem::take(&mut life.stage) {
                        Stage::Running(node) => {
                            life.last = None;
                            node
                        }
                        // It is not made before its start is over.
                        stage => {
                            life.stage = stage;
                            return Ok(0);
                        }
                    }
                };
                node.close().await.map(|()| 0)
            })
        }
    }
}

/// A start under way, which leaves the handle idle if it does not come to its end.
struct Starting(Option<Arc<Mutex<Life>>>);

impl Starting {
    fn begin(life: &Arc<Mutex<Life>>) -> Result<Self> {
        let mut now = life.lock();
        match now.stage {
            Stage::Idle => now.stage = Stage::Starting,
            Stage::Freed => return Err(Code::CLOSED.into()),
            Stage::Starting | Stage::Running(_) => {
                return Err(bad_argument("the pid node is started already"));
            }
        }
        Ok(Self(Some(Arc::clone(life))))
    }

    fn done(mut self, node: PidNode) {
        if let Some(life) = self.0.take() {
            let mut life = life.lock();
            if matches!(life.stage, Stage::Starting) {
                life.stage = Stage::Running(node);
            }
        }
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(life) = self.0.take() {
            let mut life = life.lock();
            if matches!(life.stage, Stage::Starting) {
                life.stage = Stage::Idle;
            }
        }
    }
}

/// Makes a pid node that is not there yet: `zkh_pid_node_start` makes the node on the server. `data` is copied;
/// it may be null where `len` is 0. `options` may be null. `*node` is null on failure; otherwise the caller frees it.
/// Any thread, also in callbacks. Errors: ZKH_BAD_PATH, ZKH_BAD_ARGUMENT, ZKH_BAD_UTF8, ZKH_BAD_HANDLE (the client
/// or the options), ZKH_FORKED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_pid_node_new(
    client: zkh_client,
    path: *const c_char,
    data: *const c_void,
    len: usize,
    options: *const zkh_pid_node_options,
    node: *mut zkh_pid_node,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(node, "node") }?;
        let client = handles::get::<ClientHandle>(client.id)?;
        // SAFETY: null, or what the caller leaves alone meanwhile.
        let (path, data) = unsafe { (text(path, "path")?.to_owned(), bytes(data, len, "data")?.to_owned()) };
        crate::path::validate(&path).map_err(|error| error.during("pid node", Some(&path)))?;
        // SAFETY: null, or a handle of the caller's.
        let options = match unsafe { options.as_ref() } {
            Some(options) => handles::get::<PidNodeOptions>(options.id)?.0.lock().clone(),
            None => pid_node::PidNodeOptions::default(),
        };
        let (life, on_event) = (Arc::default(), Listener::default());
        let handle = PidNodeHandle { client, gate: Gate::new(), path, data, options, life, on_event };
        place.set(zkh_pid_node { id: handles::insert(Arc::new(handle))? });
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_pid_node_new", err, body) }
}

/// Makes the node on the server, whose parent has to exist, and keeps it from then on. Somebody else's node in
/// the way is waited for as the options say; one of a live owner is never taken unless they say so.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NODE_EXISTS where a node was in the way for
/// so long, and the message names the session that keeps it; ZKH_NO_NODE where the parent is missing; ZKH_NO_AUTH;
/// ZKH_NOT_SENT where no server can be reached; ZKH_BAD_ARGUMENT where it is started already.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_pid_node_start(node: zkh_pid_node, err: *mut *mut zkh_error) -> zkh_status {
    let body = || {
        let handle = handles::get::<PidNodeHandle>(node.id)?;
        let work = handle.start();
        handle.on("pid node").wait(work).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_pid_node_start", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. `op`, which may be null, takes a handle to cancel
/// it by: no node stays then. `user_data` is destroyed by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_pid_node_start_async(
    node: zkh_pid_node,
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
        let handle = handles::get::<PidNodeHandle>(node.id)?;
        let work = handle.start();
        handle.on("pid node").call(callback, user, op.as_ref(), work)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_pid_node_start_async", err, body) }
}

/// Sets the callback for what becomes of the node, in place of the one before; a null callback sets none. How it
/// stands now is told first, unless it was not started. The one before is not called any more when this
/// returns, except inside a callback. `user_data` is destroyed by `destroy`, which may be null, once the callback is
/// replaced or the pid node is freed.
/// Any thread, also in callbacks. Errors: ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_CLOSED, ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_pid_node_on_event(
    node: zkh_pid_node,
    callback: zkh_pid_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        let handle = handles::get::<PidNodeHandle>(node.id)?;
        let Some(callback) = callback else {
            handle.life.lock().listener = None;
            handle.on_event.replace(&handle.gate, None);
            return Ok(());
        };
        let (sender, events) = mpsc::unbounded_channel();
        let tell = move |user: &UserData, event: &PidEvent| {
            let (number, loss, error) = match event {
                PidEvent::Made { .. } => (ZKH_PID_MADE, 0, None),
                PidEvent::Lost(loss) => (ZKH_PID_LOST, *loss as i32, None),
                PidEvent::Refused(error) => (ZKH_PID_REFUSED, 0, Some(zkh_error::new(error))),
            };
            let error = error.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
            // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet.
            unsafe { callback(user.as_ptr(), number, loss, error) };
        };
        let client = &handle.client;
        let gate = listen(client.client.zk(), &client.dispatcher, events, user, tell)?;
        {
            let mut life = handle.life.lock();
            if let Some(last) = &life.last {
                let _ = sender.send(last.clone());
            }
            life.listener = Some(sender);
        }
        handle.on_event.replace(&handle.gate, Some(gate));
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_pid_node_on_event", err, body) }
}

/// Whether the node is there, as far as is known; false where the handle is dead. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_pid_node_is_there(node: zkh_pid_node) -> bool {
    value(|| {
        let handle = handles::get::<PidNodeHandle>(node.id)?;
        let life = handle.life.lock();
        Ok(matches!(&life.stage, Stage::Running(node) if node.is_there()))
    })
}

/// Writes the node's path and a NUL into `buffer`, cut off after `size` bytes in all, and answers with the
/// length of the whole path in bytes, without the NUL; 0 where the handle is dead. `buffer` may be null where
/// `size` is 0. Any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_pid_node_path(node: zkh_pid_node, buffer: *mut c_char, size: usize) -> usize {
    value(|| {
        let handle = handles::get::<PidNodeHandle>(node.id);
        // SAFETY: null, or `size` bytes of the caller's.
        unsafe { copy_text(handle.as_ref().map_or("", |handle| handle.path.as_str()), buffer, size) }
    })
}

/// Removes the node: it is gone when this returns ZKH_OK. The pid node may be started again. One that was not
/// started, or whose start is under way, is left alone.
/// Any thread, not in callbacks. Errors: ZKH_OUTCOME_UNKNOWN when the server did not confirm within the session
/// timeout: the removal then goes on until the node or its session is gone; ZKH_NO_AUTH, ZKH_CLOSED,
/// ZKH_BAD_HANDLE, ZKH_FORKED, ZKH_WOULD_DEADLOCK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_pid_node_close(node: zkh_pid_node, err: *mut *mut zkh_error) -> zkh_status {
    let body = || {
        let handle = handles::get::<PidNodeHandle>(node.id)?;
        let work = handle.close();
        handle.on("close pid node").wait(work).map(drop)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_pid_node_close", err, body) }
}

/// The same, without waiting: `callback` gets the outcome. It cannot be cancelled. `user_data` is destroyed
/// by `destroy`, which may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_pid_node_close_async(
    node: zkh_pid_node,
    callback: zkh_done_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        let handle = handles::get::<PidNodeHandle>(node.id)?;
        let work = handle.close();
        handle.on("close pid node").call(callback, user, None, work)
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_pid_node_close_async", err, body) }
}

/// Frees a pid node; null is left alone. Its node is removed in the background. Calls of other threads that wait
/// on it end with ZKH_CLOSED, and so do its asynchronous ones: their callbacks are over when this returns,
/// except inside a callback, where it does not wait for them. So do not hold a lock meanwhile that a callback takes.
/// Any thread, also in callbacks. Errors, logged too: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_pid_node_free(node: zkh_pid_node) -> zkh_status {
    logged("zkh_pid_node_free", || {
        if node.id == 0 {
            return Ok(());
        }
        let handle = handles::remove::<PidNodeHandle>(node.id)?;
        handle.gate.close();
        handle.on_event.replace(&handle.gate, None);
        // Dropped, it removes its node.
        let stage = std::mem::replace(&mut handle.life.lock().stage, Stage::Freed);
        drop(stage);
        handle.gate.wait_idle();
        Ok(())
    })
}
