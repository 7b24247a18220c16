//! Watches: callbacks for what happens to nodes.

use super::boundary::{
    UserData, bad_argument, logged, may_block, out, out_object, out_or_null, status, text,
};
use super::client::{ClientHandle, zkh_client};
use super::codes::zkh_status;
use super::dispatcher::{Due, Gate, Source, freed, hand_on};
use super::error::{c_text, zkh_error};
use super::handles;
use super::op::{Cancel, Completion, zkh_destroy_fn, zkh_op};
use super::request::{object, object_or_none, outcome};
use super::result::{zkh_result, zkh_result_fn};
use crate::client::{Client, WatchStream};
use crate::error::{Code, Result};
use crate::proto::{EventType, Request, WatchMode};
use crate::zk::{BoxFuture, OpOptions, Reply, Watch, WatchEvent, WatchEventKind};
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// A watch. Made by `zkh_client_watch`, ended by `zkh_watch_free`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct zkh_watch {
    /// Zero is null.
    pub id: u64,
}

/// Once: the node's data are set, or it is deleted. There must be a node.
pub const ZKH_WATCH_DATA: i32 = 1;
/// Once: the node is created, its data are set, or it is deleted. There need be no node.
pub const ZKH_WATCH_EXISTS: i32 = 2;
/// Once: a child of the node is created or deleted, or the node itself is deleted. There must be a node.
pub const ZKH_WATCH_CHILDREN: i32 = 3;
/// Until it is freed: everything that the three others see. There need be no node. Servers from 3.6 on know it.
pub const ZKH_WATCH_PERSISTENT: i32 = 4;
/// Until it is freed: a node is created, set or deleted, at the path or anywhere below it. There need be no
/// node. Servers from 3.6 on know it.
pub const ZKH_WATCH_RECURSIVE: i32 = 5;

/// The node was created.
pub const ZKH_EVENT_CREATED: i32 = 1;
/// The node was deleted.
pub const ZKH_EVENT_DELETED: i32 = 2;
/// The node's data were set.
pub const ZKH_EVENT_DATA_CHANGED: i32 = 3;
/// A child of the node was created or deleted.
pub const ZKH_EVENT_CHILDREN_CHANGED: i32 = 4;
/// The watch's session is over, or the server would not arm it again: nothing more comes of a watch for one event.
pub const ZKH_EVENT_SESSION_LOST: i32 = 101;
/// The connection was away: a watch that stays is armed again, but events may have been missed. Read again what
/// you rely on.
pub const ZKH_EVENT_MAY_HAVE_MISSED: i32 = 102;

/// Something happened: `event` is one of `ZKH_EVENT_…`, `path` the node it happened to, or the watch's own where
/// it is about none. `path` belongs to the library and is gone when the callback returns. It is called on a
/// thread of the library, one at a time and in order; what waits is refused in it with `ZKH_WOULD_DEADLOCK`. It
/// must not throw.
pub type zkh_watch_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, event: i32, path: *const c_char)>;

type WatchFn = unsafe extern "C" fn(*mut c_void, i32, *const c_char);

/// What a [`zkh_watch`] stands for.
pub(super) struct WatchHandle {
    gate: Arc<Gate>,
    /// It lives as long as its watches.
    _client: Arc<ClientHandle>,
}

#[derive(Clone, Copy)]
enum Kind {
    Data,
    Exists,
    Children,
    Stays(WatchMode),
}

fn kind(number: i32) -> Result<Kind> {
    Ok(match number {
        ZKH_WATCH_DATA => Kind::Data,
        ZKH_WATCH_EXISTS => Kind::Exists,
        ZKH_WATCH_CHILDREN => Kind::Children,
        ZKH_WATCH_PERSISTENT => Kind::Stays(WatchMode::Persistent),
        ZKH_WATCH_RECURSIVE => Kind::Stays(WatchMode::PersistentRecursive),
        other => return Err(bad_argument(format!("kind is {other}: it must be one of ZKH_WATCH_…"))),
    })
}

fn number(kind: WatchEventKind) -> i32 {
    match kind {
        WatchEventKind::Node(EventType::Created) => ZKH_EVENT_CREATED,
        WatchEventKind::Node(EventType::Deleted) => ZKH_EVENT_DELETED,
        WatchEventKind::Node(EventType::DataChanged) => ZKH_EVENT_DATA_CHANGED,
        WatchEventKind::Node(EventType::ChildrenChanged) => ZKH_EVENT_CHILDREN_CHANGED,
        // That a server removed a watch is told to nobody: whoever had it removed it.
        WatchEventKind::Node(_) | WatchEventKind::SessionLost => ZKH_EVENT_SESSION_LOST,
        WatchEventKind::MayHaveMissed => ZKH_EVENT_MAY_HAVE_MISSED,
    }
}

/// The events of one watch.
enum Events {
    Once { path: String, watch: Option<Watch> },
    Stays(WatchStream),
}

impl Source for Events {
    type Event = WatchEvent;

    async fn next(&mut self) -> Option<WatchEvent> {
        match self {
            Self::Once { path, watch } => {
                let mut event = watch.as_mut()?.await;
                *watch = None;
                if event.path.is_empty() {
                    event.path = std::mem::take(path);
                }
                Some(event)
            }
            Self::Stays(stream) => stream.next().await,
        }
    }
}

/// A watch that is armed, and what the read that armed it answered.
struct Armed {
    result: zkh_result,
    events: Events,
}

/// The request that arms a watch, on its way.
enum Arming {
    Read { reply: Reply, watch: Watch, path: String, answer: Answer },
    Stays(BoxFuture<Result<WatchStream>>),
}

type Answer = fn(Result<crate::proto::Response>) -> Result<zkh_result>;

impl Arming {
    /// It is submitted here and now, so that the requests of one thread leave in their order.
    fn submit(client: &Client, kind: Kind, path: &str) -> Self {
        let (path, watch) = (path.to_owned(), true);
        let (request, answer): (_, Answer) = match kind {
            Kind::Data => (Request::GetData { path: path.clone(), watch }, object),
            Kind::Exists => (Request::Exists { path: path.clone(), watch }, object_or_none),
            Kind::Children => (Request::GetChildren2 { path: path.clone(), watch }, object),
            Kind::Stays(mode) => return Self::Stays(Box::pin(client.add_watch(&path, mode))),
        };
        let (reply, watch) = client.zk().submit_watch(request, OpOptions::default());
        Self::Read { reply, watch, path, answer }
    }

    async fn armed(self, mut cancel: Cancel) -> Result<Armed> {
        match self {
            Self::Read { reply, watch, path, answer } => {
                let answered = outcome(reply, false, &mut cancel).await;
                let result = answer(answered.map(|answer| answer.response))?;
                Ok(Armed { result, events: Events::Once { path, watch: Some(watch) } })
            }
            Self::Stays(added) => {
                let stream = tokio::select! {
                    biased;
                    stream = added => stream?,
                    () = cancel.cancelled() => return Err(Code::CANCELLED.into()),
                };
                Ok(Armed { result: zkh_result::empty(), events: Events::Stays(stream) })
            }
        }
    }
}

/// Who is told what a watch sees, once it is armed. Dropping it destroys the caller's pointer.
struct Told {
    client: Arc<ClientHandle>,
    callback: WatchFn,
    user: UserData,
    due: Due,
}

impl Told {
    /// Nothing is told before this, so whatever comes first does.
    fn by(self, events: Events) {
        let callback = self.callback;
        let tell = move |user: &UserData, event: &WatchEvent| {
            let path = c_text(&event.path);
            // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet.
            unsafe { callback(user.as_ptr(), number(event.kind), path.as_ptr()) };
        };
        let client = &self.client;
        hand_on(client.client.zk(), &client.dispatcher, events, self.user, self.due, tell);
    }
}

/// A watch that is being made.
struct New {
    handle: WatchHandle,
    told: Told,
    kind: Kind,
    path: String,
}

impl New {
    unsafe fn checked(
        client: zkh_client,
        path: *const c_char,
        kind_number: i32,
        callback: zkh_watch_fn,
        user: UserData,
    ) -> Result<Self> {
        let client = handles::get::<ClientHandle>(client.id)?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let path = unsafe { text(path, "path") }?.to_owned();
        let kind = kind(kind_number)?;
        let callback = callback.ok_or_else(|| bad_argument("callback is a null pointer"))?;
        client.dispatcher.start()?;
        let gate = Gate::new();
        let due = gate.enter()?;
        let told = Told { client: Arc::clone(&client), callback, user, due };
        Ok(Self { handle: WatchHandle { gate, _client: client }, told, kind, path })
    }
}

/// An asynchronous completion, behind which the watch's events come.
struct Completed {
    callback: zkh_result_fn,
    told: Told,
}

impl Completion<Armed> for Completed {
    fn is_null(&self) -> bool {
        self.callback.is_none()
    }

    fn complete(self, user: UserData, outcome: Result<Armed>) {
        match outcome {
            Ok(Armed { result, events }) => {
                self.callback.complete(user, Ok(result));
                self.told.by(events);
            }
            Err(error) => self.callback.complete(user, Err(error)),
        }
    }
}

/// Watches a node, and reads it in the same request, so that no change is missed in between. `kind` is one of
/// `ZKH_WATCH_…`. The result is that of `zkh_client_get`, `zkh_client_exists` or `zkh_client_children`; with a
/// watch that stays it has nothing in it. `result` may be null; `*result` and `*watch` are null on failure;
/// otherwise the caller frees both.
/// `callback` may be called before this has returned. A watch for one event is over after it; it survives
/// reconnects, and ends with its session, which is told (`ZKH_EVENT_SESSION_LOST`). A watch that stays survives
/// new sessions too; after each reconnect it tells that it may have missed events
/// (`ZKH_EVENT_MAY_HAVE_MISSED`). It ends without a word when the client is closed.
/// `user_data` is destroyed by `destroy`, which may be null, after the last event or when the watch is freed.
/// Servers before 3.9 keep only the later of a persistent and a recursive watch of one client on one path.
/// Any thread, not in callbacks. Errors: those of every request; ZKH_NO_NODE, ZKH_NO_AUTH, ZKH_UNIMPLEMENTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_watch(
    client: zkh_client,
    path: *const c_char,
    kind: i32,
    callback: zkh_watch_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    watch: *mut zkh_watch,
    result: *mut *mut zkh_result,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let body = || {
        // SAFETY: null, or a place for a pointer.
        let result = unsafe { out_object(result) };
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(watch, "watch") }?;
        may_block()?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let New { handle, told, kind, path } = unsafe { New::checked(client, path, kind, callback, user) }?;
        let client = Arc::clone(&told.client);
        let arming = |cancel| Arming::submit(&client.client, kind, &path).armed(cancel);
        let armed = client.on_path("watch", Some(&path)).wait(arming)?;
        place.set(zkh_watch { id: handles::insert(Arc::new(handle))? });
        if let Some(result) = result {
            result.set(armed.result.boxed());
        }
        told.by(armed.events);
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_watch", err, body) }
}

/// The same, without waiting: `armed` gets the outcome, and is over before `callback` is called
/// for the first time; `armed_data` is destroyed by `armed_destroy`. `*watch` is there at once, and null if the
/// call itself fails; otherwise the caller frees it, also where the watch could not be armed. Freeing it before
/// it is armed ends the call with ZKH_CLOSED. `op`, which may be null, takes a handle to cancel it by.
/// `destroy` and `armed_destroy` may be null.
/// Any thread, also in callbacks. Errors of the call itself: those of every asynchronous call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_client_watch_async(
    client: zkh_client,
    path: *const c_char,
    kind: i32,
    callback: zkh_watch_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    watch: *mut zkh_watch,
    armed: zkh_result_fn,
    armed_data: *mut c_void,
    armed_destroy: zkh_destroy_fn,
    op: *mut zkh_op,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let user = UserData::new(user_data, destroy);
    let armed_user = UserData::new(armed_data, armed_destroy);
    let body = || {
        // SAFETY: null, or a place for a handle.
        let op = unsafe { out_or_null(op) };
        // SAFETY: null, or a place for a handle.
        let place = unsafe { out(watch, "watch") }?;
        // SAFETY: null, or a text that the caller leaves alone meanwhile.
        let New { handle, told, kind, path } = unsafe { New::checked(client, path, kind, callback, user) }?;
        let (client, closed) = (Arc::clone(&told.client), handle.gate.closed());
        let id = handles::insert(Arc::new(handle))?;
        // It may be freed in a callback, before this has returned.
        place.set(zkh_watch { id });
        let arming = |cancel| {
            let arming = Arming::submit(&client.client, kind, &path);
            async move {
                tokio::select! {
                    biased;
                    () = closed => Err(freed()),
                    armed = arming.armed(cancel) => armed,
                }
            }
        };
        let completed = Completed { callback: armed, told };
        let begun = client.on_path("watch", Some(&path)).call(completed, armed_user, op.as_ref(), arming);
        if begun.is_err() {
            let _ = handles::remove::<WatchHandle>(id);
            place.set(zkh_watch::default());
        }
        begun
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_client_watch_async", err, body) }
}

/// Ends and frees a watch; null is left alone. Its callbacks are over when this returns, and its `user_data`
/// is destroyed, except inside a callback, where it does not wait for them: none is begun any more, and the
/// destruction follows. So do not hold a lock meanwhile that a callback takes. The server forgets it in the background.
/// Any thread, also in callbacks. Errors, logged too: ZKH_BAD_HANDLE, ZKH_FORKED.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_watch_free(watch: zkh_watch) -> zkh_status {
    logged("zkh_watch_free", || {
        if watch.id == 0 {
            return Ok(());
        }
        let handle = handles::remove::<WatchHandle>(watch.id)?;
        handle.gate.close();
        handle.gate.wait_idle();
        Ok(())
    })
}
