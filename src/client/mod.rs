//! The client: a session with ZooKeeper that survives what can be survived and says what cannot.
//!
//! **Sessions.** A client has one session at a time. When a connection breaks, or nothing was heard on it
//! for two thirds of the session timeout, it is [`State::Suspended`] and connects to the next server; the
//! session, its ephemeral nodes and its watches are kept if that succeeds before the servers give the
//! session up. Only a server's word ends it: then the client is [`State::Lost`], and makes a new one by
//! itself.
//!
//! **Outcomes.** Every operation has a deadline and ends in one of four ways: done; refused by the server,
//! with its code; *not sent* ([`Code::NOT_SENT`]: it had no effect, and may be made again); or *unknown*
//! ([`Code::OUTCOME_UNKNOWN`]: at least its first byte was written and no answer came, so that it may have
//! had its effect, or may have it yet). Reads, and what was not sent, are sent again on the next connection
//! within their deadline; a write that was sent never is. A read that was sent and whose deadline passes
//! ends with [`Code::OPERATION_TIMEOUT`].
//!
//! **Watches.** They survive reconnects, however many there are: they are armed again by `setWatches` in
//! frames of at most 128 KiB, and a one-shot watch whose event came meanwhile fires from the server's
//! answer. A one-shot watch ends with its session, and says so
//! ([`crate::zk::WatchEventKind::SessionLost`]); one that stays is armed on the next one too. It has no
//! memory at the server: after each reconnect it tells that events may have been missed
//! ([`crate::zk::WatchEventKind::MayHaveMissed`]).
//!
//! **Threads.** One thread of ours carries the bytes of all clients of a process; all its signals are
//! blocked. Everything here may be called from any thread and any executor, and none of it blocks: what
//! waits is a future. A process that was forked connects anew; its parent's clients answer
//! [`Code::FORKED`].

// No input may reach a panic.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod driver;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod fuzz;
pub(crate) mod helm;
mod hosts;
pub(crate) mod lease;
pub(crate) mod logical;
mod options;
pub(crate) mod process;
pub(crate) mod runtime;
mod session;
#[cfg(feature = "simulation")]
pub mod simulation;
mod state;
mod tls;
mod watches;

pub use hosts::{ConnectString, Host};
pub use options::{Auth, Options, Reattach, WhileSuspended};
pub use state::{State, StateEvent};
pub use tls::Tls;

use crate::error::{Code, Error, Result};
use crate::path;
use crate::proto::{ClientInfo, Request, Response, WatchMode};
use crate::recipes::keeper::Keeper;
use crate::sync::Mutex;
use crate::time::Time;
use crate::zk::{Answer, BoxFuture, OpOptions, Reply, SessionView, Watch, WatchEvent, Withdraw, Zk};
use driver::Driver;
use logical::{Finished, Logical, NewWatch};
use runtime::{IoThread, Runtime};
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;
use tls::Connector;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{mpsc, oneshot};

/// A connection to ZooKeeper: one session at a time, a new one after each that is lost.
///
/// Clones share it. The session ends at the server with [`Client::close`]; when the last clone, and the last
/// lock that uses it, is dropped without it, it is closed in the background, for at most 5 s.
#[derive(Clone)]
pub struct Client {
    /// Its own connection; none where it was lent one.
    shared: Option<Arc<Shared>>,
    zk: Arc<dyn Zk>,
    keeper: Arc<Keeper>,
}

/// What closes the client when the last clone, and the last recipe that uses it, is dropped. The
/// driver holds the inside only.
struct Shared {
    inner: Arc<Inner>,
}

/// What the driver and the recipes share.
pub(crate) struct Inner {
    logical: Mutex<Logical>,
    runtime: Box<dyn Runtime>,
    driver: Mutex<Option<Waker>>,
    /// Where others than the driver may write, with `logical` locked; it belongs to the present connection.
    wire: Mutex<Option<Arc<OwnedWriteHalf>>>,
    /// When the driver looks again by itself; changed with `logical` locked.
    sleeps_until: Mutex<Time>,
    me: Weak<Inner>,
    chroot: String,
    /// The process that made it. In a child that was forked from it no thread drives it, and a lock may
    /// have been held at the fork for ever: nothing of it is touched there.
    process: Option<usize>,
}

impl Inner {
    fn new(address: &str, options: Options, runtime: Box<dyn Runtime>) -> Result<Arc<Self>> {
        Self::of(process::index(), address, options, runtime)
    }

    fn of(
        process: Option<usize>,
        address: &str,
        options: Options,
        runtime: Box<dyn Runtime>,
    ) -> Result<Arc<Self>> {
        options.validate()?;
        let address = ConnectString::parse(address)?;
        let mut options = options;
        options.seed = Some(options.seed.unwrap_or_else(|| runtime.random()));
        let logical = Logical::new(address.hosts, &address.chroot, options, runtime.now());
        Ok(Arc::new_cyclic(|me| Self {
            logical: Mutex::new(logical),
            runtime,
            driver: Mutex::new(None),
            wire: Mutex::new(None),
            sleeps_until: Mutex::new(Time::default()),
            me: me.clone(),
            chroot: address.chroot,
            process,
        }))
    }

    /// Refuses to work in a child of the process that made it.
    fn at_home(&self) -> Result<()> {
        if process::index() == self.process {
            return Ok(());
        }
        Err(Error::new(Code::FORKED).because("connect anew in this process"))
    }

    /// Works on the logical client, and delivers the outcomes once it is unlocked.
    fn with<R>(&self, work: impl FnOnce(&mut Logical, Time) -> R) -> R {
        let room = DELIVERED.try_with(Cell::take).unwrap_or_default();
        let (result, mut finished) = {
            let mut logical = self.logical.lock();
            // Read under the lock: time must not run backwards for the session.
            let now = self.runtime.now();
            let result = work(&mut logical, now);
            (result, logical.take_finished(room))
        };
        for (reply, outcome) in finished.drain(..) {
            reply.send(outcome);
        }
        if finished.capacity() <= MANY {
            // A thread that ends keeps nothing.
            let _ = DELIVERED.try_with(|delivered| delivered.set(finished));
        }
        result
    }

    /// The same, from outside the driver, which then looks at what is to be done.
    fn with_driver<R>(&self, work: impl FnOnce(&mut Logical, Time) -> R) -> R {
        let result = self.with(work);
        if !self.is_corked() {
            self.stir();
        }
        result
    }

    /// Sees to it that what is due is done.
    fn stir(&self) {
        if !runtime::is_io_thread() && self.write_here() {
            return;
        }
        // Whoever is woken takes that lock first.
        let driver = self.driver.lock().clone();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Writes in this thread what is to be written, where that is little: waking the IO thread for it would take
    /// longer. On a busy connection that thread is up anyway, and sends what comes from many in one piece. True if
    /// nothing is left for the driver to do.
    fn write_here(&self) -> bool {
        self.with(|logical, now| {
            let wire = self.wire.lock();
            let Some(wire) = wire.as_ref().filter(|_| logical.is_quiet()) else { return false };
            while !logical.output().is_empty() {
                match wire.try_write(logical.output()) {
                    Ok(n) if n > 0 => logical.wrote(now, n),
                    // Also what is wrong with it is for the driver to find.
                    _ => return false,
                }
            }
            logical.next_deadline() >= *self.sleeps_until.lock()
        })
    }

    /// Whether this thread is about to submit more: see [`Shared::begin`].
    fn is_corked(&self) -> bool {
        CORKED.try_with(|corked| corked.get() == Some(self.number())).unwrap_or(false)
    }

    fn number(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn driven_by(&self, waker: &Waker) {
        let mut driver = self.driver.lock();
        if !driver.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *driver = Some(waker.clone());
        }
    }

    fn take(&self, request: Request, options: OpOptions, watch: Option<NewWatch>) -> (Reply, Option<u64>) {
        let (sender, reply) = Reply::channel();
        if let Err(error) = self.at_home() {
            sender.send(Err(error.during(request.name(), request.path())));
            return (reply, None);
        }
        match self.with_driver(|logical, now| logical.submit(now, request, options, Some(sender), watch)) {
            Ok(tag) => match self.me.upgrade() {
                Some(me) => (reply.withdrawn_by(me, tag), Some(tag)),
                None => (reply, Some(tag)),
            },
            Err((sender, error)) => {
                if let Some(sender) = sender {
                    sender.send(Err(error));
                }
                (reply, None)
            }
        }
    }
}

/// How many outcomes' room a thread keeps.
const MANY: usize = 64;

thread_local! {
    /// Room for outcomes, which are delivered with each answer; empty.
    static DELIVERED: Cell<Vec<Finished>> = const { Cell::new(Vec::new()) };

    /// The client to which this thread is about to submit more requests, which are to leave together.
    static CORKED: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Holds back what this thread submits to a client until this is dropped.
struct Cork<'a> {
    inner: &'a Inner,
    before: Option<usize>,
}

impl<'a> Cork<'a> {
    fn new(inner: &'a Inner) -> Self {
        Self { inner, before: CORKED.replace(Some(inner.number())) }
    }
}

impl Drop for Cork<'_> {
    fn drop(&mut self) {
        CORKED.set(self.before);
        if !self.inner.is_corked() {
            self.inner.stir();
        }
    }
}

impl Withdraw for Inner {
    fn withdraw(&self, tag: u64) -> bool {
        self.at_home().is_ok() && self.with(|logical, _| logical.withdraw(tag))
    }
}

/// Removes a watch with whoever waited for it.
struct Registration {
    inner: Weak<Inner>,
    path: String,
    /// None where the request was refused.
    id: Option<u64>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let (Some(inner), Some(id)) = (self.inner.upgrade(), self.id)
            && inner.at_home().is_ok()
        {
            inner.with_driver(|logical, now| logical.unwatch(now, &self.path, id));
        }
    }
}

impl Inner {
    fn registration(&self, path: Option<&str>) -> Registration {
        let path = match path {
            Some("/") if !self.chroot.is_empty() => self.chroot.clone(),
            Some(path) => format!("{}{path}", self.chroot),
            None => String::new(),
        };
        Registration { inner: self.me.clone(), path, id: None }
    }
}

impl Zk for Shared {
    fn submit(&self, request: Request, options: OpOptions) -> Reply {
        self.inner.take(request, options, None).0
    }

    fn submit_watch(&self, request: Request, options: OpOptions) -> (Reply, Watch) {
        let mut registration = Box::new(self.inner.registration(request.path()));
        let (sink, event) = oneshot::channel();
        let (reply, tag) = self.inner.take(request, options, Some(NewWatch::Once(sink)));
        registration.id = tag;
        (reply, Watch::over(event, Some(registration)))
    }

    fn session(&self) -> SessionView {
        if self.inner.at_home().is_err() {
            return SessionView::default();
        }
        self.inner.logical.lock().view()
    }

    fn states(&self) -> mpsc::UnboundedReceiver<StateEvent> {
        if let Err(error) = self.inner.at_home() {
            let (sender, receiver) = mpsc::unbounded_channel();
            let reason = Some(error);
            let _ = sender.send(StateEvent { state: State::Closed, session: 0, previous_session: 0, reason });
            return receiver;
        }
        self.inner.logical.lock().subscribe()
    }

    fn now(&self) -> Time {
        self.inner.runtime.now()
    }

    fn sleep_until(&self, until: Time) -> BoxFuture<()> {
        self.inner.runtime.sleep_until(until)
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.inner.runtime.spawn(task);
    }

    fn begin(&self, task: BoxFuture<()>) {
        let _cork = Cork::new(&self.inner);
        self.inner.runtime.begin(task);
    }

    fn random(&self) -> u64 {
        self.inner.runtime.random()
    }

    fn wait(&self, done: Pin<&mut dyn Future<Output = ()>>, at_most: Option<Duration>) -> bool {
        self.inner.runtime.wait(done, at_most)
    }

    fn attend(&self) {
        self.inner.runtime.attend();
    }
}

/// A watch that stays until it is dropped, across reconnects and sessions.
///
/// Its events wait in memory until they are taken: whoever holds it should take them.
#[must_use = "dropping it removes the watch"]
pub struct WatchStream {
    events: mpsc::UnboundedReceiver<WatchEvent>,
    _registration: Registration,
}

impl WatchStream {
    /// The next event; `None` when the client is closed. The future may be dropped and asked for again: no
    /// event is lost by that.
    pub async fn next(&mut self) -> Option<WatchEvent> {
        self.events.recv().await
    }
}

impl std::fmt::Debug for WatchStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchStream").finish_non_exhaustive()
    }
}

impl Client {
    /// Begins to connect, and returns at once. `address` is ZooKeeper's connect string:
    /// `host:port,host:port/chroot`; the port is 2181 where none is given, an IPv6 address stands in
    /// brackets. The servers are tried in a random order; a name is resolved at each attempt, and all its
    /// addresses tried. The one word `embedded` starts or joins this process's own server, which is for
    /// development and tests and keeps everything in memory.
    ///
    /// Fails with [`Code::BAD_ADDRESS`], with [`Code::BAD_ARGUMENT`] for options that cannot work, with
    /// [`Code::UNSUPPORTED`] for TLS in a build without it, and with [`Code::OUT_OF_RESOURCES`] where no thread
    /// can be started.
    pub fn new(address: &str, options: Options) -> Result<Self> {
        let connector = options.tls.as_ref().map(|tls| connector(tls, address)).transpose()?;
        let io = IoThread::get()?;
        let embedded = (address == EMBEDDED).then(embedded_address).transpose()?;
        let address = embedded.as_deref().unwrap_or(address);
        let interval = options.renew_interval;
        let inner = Inner::new(address, options, Box::new(io.clone()))?;
        io.spawn(Box::pin(Driver::new(Arc::clone(&inner), connector)));
        let keeper = Arc::new(Keeper::new(interval));
        let shared = Arc::new(Shared { inner });
        Ok(Self { zk: shared.clone(), shared: Some(shared), keeper })
    }

    /// A client over a connection that is somebody else's. Locks and elections run over it; what needs a
    /// session of our own ends with [`Code::UNSUPPORTED`]: credentials, watches that stay, whom the server takes it for.
    /// `renew_interval` is as in [`Options`]. For a connection that has no transactions see [`crate::Stepwise`].
    pub fn lent(zk: Arc<dyn Zk>, renew_interval: Option<Duration>) -> Self {
        Self { zk, shared: None, keeper: Arc::new(Keeper::new(renew_interval)) }
    }

    /// Begins to connect and waits for the first session, at most as long as `connect_timeout`; on
    /// failure says why the last server tried did not do: [`Code::CONNECTION_LOSS`], or
    /// [`Code::AUTH_FAILED`] for credentials that a server refused. Fails as [`Client::new`] does too.
    pub async fn connect(address: &str, options: Options) -> Result<Self> {
        let timeout = options.connect_timeout;
        let client = Self::new(address, options)?;
        match client.wait_connected(timeout).await {
            Ok(_) => Ok(client),
            Err(error) => {
                let _ = client.close(Duration::ZERO).await;
                Err(error)
            }
        }
    }

    /// The inside of its own connection, in the process that made it.
    fn inner(&self) -> Result<&Inner> {
        match &self.shared {
            Some(shared) => shared.inner.at_home().map(|()| &*shared.inner),
            None => Err(Error::new(Code::UNSUPPORTED).because("the connection is lent")),
        }
    }

    /// What keeps the locks of this client.
    pub fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    /// ZooKeeper as recipes see it.
    pub fn zk(&self) -> &Arc<dyn Zk> {
        &self.zk
    }

    /// Waits until a server is connected, at most as long as `timeout`, and answers with the session's id.
    /// Fails with [`Code::CONNECTION_LOSS`], naming the server tried last and what was wrong with it; once
    /// the client is over with [`Code::CLOSED`] or [`Code::AUTH_FAILED`].
    pub async fn wait_connected(&self, timeout: Duration) -> Result<i64> {
        if self.shared.is_some() {
            self.inner()?;
        }
        let zk = self.zk();
        let deadline = zk.now() + timeout;
        zk.connected(deadline).await.map_err(|error| {
            let reason = self.inner().ok().and_then(|inner| inner.logical.lock().last_reason());
            match reason {
                Some(reason) if error.code() == Code::NOT_SENT => {
                    Error::new(Code::CONNECTION_LOSS).during("connect", None).because(format!(
                        "no server connected within {} ms: {}",
                        timeout.as_millis(),
                        reason.detail()
                    ))
                }
                _ => error,
            }
        })
    }

    /// The present state; [`State::Closed`] in a forked child.
    pub fn state(&self) -> State {
        match (self.inner(), &self.shared) {
            (Ok(inner), _) => inner.logical.lock().state(),
            (Err(_), Some(_)) => State::Closed,
            // The first that it tells is the present one.
            (Err(_), None) => self.states().try_recv().map_or(State::Closed, |event| event.state),
        }
    }

    /// Every change of state, the present state first, in order and without gaps. It ends behind
    /// [`State::Closed`].
    pub fn states(&self) -> mpsc::UnboundedReceiver<StateEvent> {
        self.zk().states()
    }

    /// The session at this moment.
    pub fn session(&self) -> SessionView {
        self.zk().session()
    }

    /// What another client, also of another process, needs to attach to this session. It is a secret. A
    /// session has one connection: when another client attaches to it while this one lives, each takes it
    /// from the other in turn.
    pub fn credentials(&self) -> Reattach {
        let Ok(inner) = self.inner() else {
            return Reattach { session_id: 0, password: Vec::new(), last_zxid: 0 };
        };
        let (session_id, password, last_zxid) = inner.logical.lock().credentials();
        Reattach { session_id, password, last_zxid }
    }

    /// The smallest timeout that the session ever negotiated: a new leader goes back to that of the creation.
    pub fn least_session_timeout(&self) -> Duration {
        self.inner().map_or(Duration::ZERO, |inner| inner.logical.lock().least_timeout())
    }

    /// The number of watches in this client.
    pub fn watch_count(&self) -> usize {
        self.inner().map_or(0, |inner| inner.logical.lock().watch_count())
    }

    /// Adds credentials for this connection and every later one; returns when the server has taken them.
    /// Credentials that it refuses end the client: [`Code::AUTH_FAILED`] is final, as with Apache
    /// ZooKeeper's own clients, and the server closes the connection after it. For `digest` they are
    /// `user:password`, and no server refuses them: a wrong password makes another user.
    pub async fn add_auth(&self, scheme: &str, credentials: &[u8]) -> Result<()> {
        let auth = Auth { scheme: scheme.to_owned(), credentials: credentials.to_vec() };
        let request = self.inner()?.with(|logical, _| logical.add_auth(auth));
        self.zk().submit(request, OpOptions::default()).await.map(drop)
    }

    /// Who the server takes this client for (servers from 3.7 on).
    pub async fn who_am_i(&self) -> Result<Vec<ClientInfo>> {
        match self.zk().submit(Request::WhoAmI, OpOptions::default()).await?.response {
            Response::Identities(list) => Ok(list),
            _ => Err(Error::new(Code::PROTOCOL).during("whoAmI", None)),
        }
    }

    /// Sends any request and answers with all that is known of its answer; its paths are below the chroot.
    /// Pings, `setWatches`, `closeSession` and a `check` outside a multi are refused with
    /// [`Code::BAD_ARGUMENT`]; a path that breaks ZooKeeper's rules with [`Code::BAD_PATH`]; a request
    /// longer than [`Options::max_frame`] with [`Code::TOO_LARGE`], and the connection lives on.
    pub async fn request(&self, request: Request, options: OpOptions) -> Result<Answer> {
        self.zk().submit(request, options).await
    }

    /// Adds a watch that stays: on a node and its list of children, or on everything below it
    /// (servers from 3.6 on; older ones answer [`Code::UNIMPLEMENTED`]). It needs no node at the path. It is
    /// submitted when this is called.
    ///
    /// Servers before 3.9 keep one kind of watch for each path and session (ZOOKEEPER-4466). One-shot watches
    /// beside one that stays are looked after here; of both modes on one path only the later one works there.
    pub fn add_watch(
        &self,
        path: &str,
        mode: WatchMode,
    ) -> impl Future<Output = Result<WatchStream>> + Send + use<> {
        let submitted = self.inner().map(|inner| {
            let (sink, events) = mpsc::unbounded_channel();
            let mut registration = inner.registration(Some(path));
            let request = <dyn Zk>::add_watch_request(path, mode);
            let (reply, tag) = inner.take(request, OpOptions::default(), Some(NewWatch::Stream(sink)));
            registration.id = tag;
            (reply, WatchStream { events, _registration: registration })
        });
        async move {
            let (reply, stream) = submitted?;
            reply.await?;
            Ok(stream)
        }
    }

    /// Ends the session at the server: its ephemeral nodes are gone when this returns `Ok`, or, where the
    /// server says that the session had expired already, as soon as its leader has written that down. After `timeout`
    /// it gives up waiting, and the session ends by its own timeout. Either way nothing of this client goes
    /// on: what was not sent has ended with [`Code::CLOSED`], a write that was sent and not answered with
    /// [`Code::OUTCOME_UNKNOWN`]. While no server is connected, it tries for as long to reach one. Fails
    /// with [`Code::CLOSED`] where the server did not confirm in time. A lent connection, and its session, stay
    /// as they are.
    pub async fn close(&self, timeout: Duration) -> Result<()> {
        if self.shared.is_some() {
            self.inner()?;
        }
        let mut states = self.states();
        let deadline = self.zk.now() + timeout;
        self.keeper.close();
        if !self.keeper.is_finished() {
            // A persistent lock node that is not held must not outlive us, and no session takes it along.
            let timeout = self.zk.sleep_until(deadline);
            tokio::select! {
                biased;
                () = self.keeper.finished() => {}
                () = timeout => {}
            }
        }
        let Some(shared) = &self.shared else {
            // Whoever lent it need not tell that it is closed.
            self.zk.close();
            return Ok(());
        };
        shared.inner.with_driver(|logical, now| logical.close(now, deadline.max(now)));
        while let Some(event) = states.recv().await {
            if event.state == State::Closed {
                return event.reason.map_or(Ok(()), |reason| Err(reason.during("close", None)));
            }
        }
        Ok(())
    }
}

/// The address of this process's own server; nothing else is, least of all an empty one: a replica with
/// an unset variable must not lead a world of its own.
const EMBEDDED: &str = "embedded";

/// What makes the connections to these servers secure.
fn connector(tls: &Tls, address: &str) -> Result<Connector> {
    if address == EMBEDDED {
        let text = "the embedded server speaks no TLS: leave the option tls out";
        return Err(Error::new(Code::BAD_ARGUMENT).during("connect", None).because(text));
    }
    Connector::new(tls, &ConnectString::parse(address)?.hosts)
}

#[cfg(feature = "embedded")]
fn embedded_address() -> Result<String> {
    Ok(crate::embedded::shared()?.address().to_owned())
}

#[cfg(not(feature = "embedded"))]
fn embedded_address() -> Result<String> {
    let text = "this build has no embedded server (feature \"embedded\")";
    Err(Error::new(Code::UNSUPPORTED).during("connect", None).because(text))
}

/// How long a client that was dropped without being closed tries to end its session.
const DROP_GRACE: Duration = Duration::from_secs(5);

impl Drop for Shared {
    fn drop(&mut self) {
        if self.inner.at_home().is_ok() {
            self.inner.with_driver(|logical, now| logical.close(now, now + DROP_GRACE));
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let view = self.session();
        write!(f, "Client(session {:#x}, {:?})", view.id, self.state())
    }
}

/// Refuses a path that no server would take.
pub fn validate_path(path: &str) -> Result<()> {
    path::validate(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zk::ReplySender;

    /// A client as it is found after a fork: of another process, and locked for ever.
    struct Elsewhere;

    impl Runtime for Elsewhere {
        fn now(&self) -> Time {
            Time::from_origin(Duration::from_secs(1))
        }

        fn sleep_until(&self, _: Time) -> BoxFuture<()> {
            Box::pin(std::future::pending())
        }

        fn spawn(&self, _: BoxFuture<()>) {}

        fn random(&self) -> u64 {
            1
        }
    }

    #[test]
    fn in_a_forked_child_every_entry_says_so_and_nothing_waits_for_a_lock() {
        let inner = Inner::of(None, "a:1", Options::default(), Box::new(Elsewhere)).expect("a client");
        std::mem::forget(inner.logical.lock());
        std::mem::forget(inner.driver.lock());
        let shared = Arc::new(Shared { inner: Arc::clone(&inner) });
        let keeper = Arc::new(Keeper::new(Options::default().renew_interval));
        let client = Client { zk: shared.clone(), shared: Some(shared), keeper };

        let done = |future: BoxFuture<Error>| fake::ready(&mut { future }).expect("it ends at once");
        let (asked, again) = (client.clone(), client.clone());
        let sync = Request::Sync { path: "/".to_owned() };
        for error in [
            done(Box::pin(
                async move { asked.request(sync, OpOptions::default()).await.expect_err("refused") },
            )),
            done(Box::pin(async move { again.add_auth("digest", b"a:b").await.expect_err("refused") })),
            fake::ready(&mut Box::pin(client.wait_connected(Duration::ZERO)))
                .expect("ended")
                .expect_err("refused"),
            fake::ready(&mut Box::pin(client.close(Duration::ZERO))).expect("ended").expect_err("refused"),
            fake::ready(&mut Box::pin(client.add_watch("/", WatchMode::Persistent)))
                .expect("ended")
                .expect_err("no"),
        ] {
            assert_eq!(error.code(), Code::FORKED, "{error}");
        }
        assert_eq!((client.state(), client.session().id, client.watch_count()), (State::Closed, 0, 0));
        let event = client.states().try_recv().expect("a state");
        assert_eq!(event.reason.map(|error| error.code()), Some(Code::FORKED));
        assert!(format!("{client:?}").contains("Closed"));
        assert_eq!(client.credentials().session_id, 0);
        let (_sender, reply): (ReplySender, _) = Reply::channel();
        drop(reply.withdrawn_by(inner.clone(), 1));
        let mut registration = inner.registration(Some("/"));
        registration.id = Some(1);
        drop(registration);
        drop(client);
    }
}
