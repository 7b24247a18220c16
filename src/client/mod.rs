//! The client: a session with ZooKeeper that survives what can be survived and says what cannot.

mod driver;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod fuzz;
mod hosts;
mod lease;
mod logical;
mod options;
pub(crate) mod process;
pub(crate) mod runtime;
mod session;
mod state;
mod watches;

pub use hosts::{ConnectString, Host};
pub use options::{Auth, Options, Reattach, WhileSuspended};
pub use state::{State, StateEvent};

use crate::error::{Code, Error, Result};
use crate::path;
use crate::proto::{ClientInfo, Request, Response, WatchMode};
use crate::recipes::keeper::Keeper;
use crate::sync::Mutex;
use crate::time::Time;
use crate::zk::{Answer, BoxFuture, OpOptions, Reply, SessionView, Watch, WatchEvent, Withdraw, Zk};
use driver::Driver;
use logical::{Logical, NewWatch};
use runtime::{IoThread, Runtime};
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;
use tokio::sync::mpsc;

/// A connection to ZooKeeper: one session at a time, a new one after each that is lost.
///
/// Clones share it. The session ends at the server with [`Client::close`]; when the last clone, lock
/// and watch is dropped without it, it is closed in the background.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
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
    me: Weak<Inner>,
    chroot: String,
}

impl Inner {
    fn new(address: &str, options: Options, runtime: Box<dyn Runtime>) -> Result<Arc<Self>> {
        options.validate()?;
        let address = ConnectString::parse(address)?;
        let mut options = options;
        options.seed = Some(options.seed.unwrap_or_else(|| runtime.random()));
        let logical = Logical::new(address.hosts, &address.chroot, options, runtime.now());
        Ok(Arc::new_cyclic(|me| Self {
            logical: Mutex::new(logical),
            runtime,
            driver: Mutex::new(None),
            me: me.clone(),
            chroot: address.chroot,
        }))
    }

    /// Works on the logical client, and delivers the outcomes once it is unlocked.
    fn with<R>(&self, work: impl FnOnce(&mut Logical, Time) -> R) -> R {
        let (result, finished) = {
            let mut logical = self.logical.lock();
            // Read under the lock: time must not run backwards for the session.
            let now = self.runtime.now();
            let result = work(&mut logical, now);
            (result, logical.take_finished())
        };
        for (reply, outcome) in finished {
            reply.send(outcome);
        }
        result
    }

    /// The same, from outside the driver, which then looks at what is to be done.
    fn with_driver<R>(&self, work: impl FnOnce(&mut Logical, Time) -> R) -> R {
        let result = self.with(work);
        if let Some(waker) = self.driver.lock().as_ref() {
            waker.wake_by_ref();
        }
        result
    }

    fn driven_by(&self, waker: &Waker) {
        let mut driver = self.driver.lock();
        if !driver.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *driver = Some(waker.clone());
        }
    }

    fn take(&self, request: Request, options: OpOptions, watch: Option<NewWatch>) -> (Reply, Option<u64>) {
        let (sender, reply) = Reply::channel();
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

impl Withdraw for Inner {
    fn withdraw(&self, tag: u64) -> bool {
        self.with(|logical, _| logical.withdraw(tag))
    }
}

/// Removes a watch with whoever waited for it.
struct Registration {
    inner: Weak<Inner>,
    path: String,
    id: std::sync::OnceLock<u64>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let (Some(inner), Some(id)) = (self.inner.upgrade(), self.id.get()) {
            inner.with_driver(|logical, now| logical.unwatch(now, &self.path, *id));
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
        Registration { inner: self.me.clone(), path, id: std::sync::OnceLock::new() }
    }
}

impl Zk for Shared {
    fn submit(&self, request: Request, options: OpOptions) -> Reply {
        self.inner.take(request, options, None).0
    }

    fn submit_watch(&self, request: Request, options: OpOptions) -> (Reply, Watch) {
        let registration = Arc::new(self.inner.registration(request.path()));
        let (sink, watch) = Watch::channel(Some(Box::new(Arc::clone(&registration))));
        let (reply, tag) = self.inner.take(request, options, Some(NewWatch::Once(sink)));
        if let Some(tag) = tag {
            let _ = registration.id.set(tag);
        }
        (reply, watch)
    }

    fn session(&self) -> SessionView {
        self.inner.logical.lock().view()
    }

    fn states(&self) -> mpsc::UnboundedReceiver<StateEvent> {
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

    fn random(&self) -> u64 {
        self.inner.runtime.random()
    }
}

/// A watch that stays until it is dropped, across reconnects and sessions.
#[must_use = "dropping it removes the watch"]
pub struct WatchStream {
    events: mpsc::UnboundedReceiver<WatchEvent>,
    _registration: Registration,
}

impl WatchStream {
    /// The next event; `None` when the client is closed. Safe to drop and call again.
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
    /// `host:port,host:port/chroot`. The one word `embedded` starts or joins this process's own
    /// server, which is for development and tests and keeps everything in memory.
    pub fn new(address: &str, options: Options) -> Result<Self> {
        let io = IoThread::get()?;
        let embedded = (address == EMBEDDED).then(embedded_address).transpose()?;
        let address = embedded.as_deref().unwrap_or(address);
        let interval = options.renew_interval;
        let inner = Inner::new(address, options, Box::new(io.clone()))?;
        io.spawn(Box::pin(Driver::new(Arc::clone(&inner))));
        let keeper = Arc::new(Keeper::new(interval));
        let shared = Arc::new(Shared { inner });
        Ok(Self { zk: shared.clone(), shared, keeper })
    }

    /// Begins to connect and waits for the first session, at most as long as `connect_timeout`; on
    /// failure says why the last server tried did not do.
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

    fn inner(&self) -> &Inner {
        &self.shared.inner
    }

    /// What keeps the locks of this client.
    pub fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    /// ZooKeeper as recipes see it.
    pub fn zk(&self) -> &Arc<dyn Zk> {
        &self.zk
    }

    /// Waits until a server is connected, and answers with the session's id.
    pub async fn wait_connected(&self, timeout: Duration) -> Result<i64> {
        let zk = self.zk();
        let deadline = zk.now() + timeout;
        zk.connected(deadline).await.map_err(|error| {
            let reason = self.inner().logical.lock().last_reason();
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

    /// The present state.
    pub fn state(&self) -> State {
        self.inner().logical.lock().state()
    }

    /// Every change of state, the present state first.
    pub fn states(&self) -> mpsc::UnboundedReceiver<StateEvent> {
        self.zk().states()
    }

    /// The session at this moment.
    pub fn session(&self) -> SessionView {
        self.zk().session()
    }

    /// What another client needs to attach to this session.
    pub fn credentials(&self) -> Reattach {
        let (session_id, password, last_zxid) = self.inner().logical.lock().credentials();
        Reattach { session_id, password, last_zxid }
    }

    /// The smallest timeout that the session ever negotiated.
    pub fn least_session_timeout(&self) -> Duration {
        self.inner().logical.lock().least_timeout()
    }

    /// The number of watches in this client.
    pub fn watch_count(&self) -> usize {
        self.inner().logical.lock().watch_count()
    }

    /// Adds credentials for this connection and every later one. Credentials that the server refuses
    /// end the client: [`Code::AUTH_FAILED`] is final.
    pub async fn add_auth(&self, scheme: &str, credentials: &[u8]) -> Result<()> {
        let auth = Auth { scheme: scheme.to_owned(), credentials: credentials.to_vec() };
        let request = self.inner().with(|logical, _| logical.add_auth(auth));
        self.zk().submit(request, OpOptions::default()).await.map(drop)
    }

    /// Who the server takes this client for (servers from 3.7 on).
    pub async fn who_am_i(&self) -> Result<Vec<ClientInfo>> {
        match self.zk().submit(Request::WhoAmI, OpOptions::default()).await?.response {
            Response::Identities(list) => Ok(list),
            _ => Err(Error::new(Code::PROTOCOL).during("whoAmI", None)),
        }
    }

    /// Sends any request and answers with all that is known of its answer.
    pub async fn request(&self, request: Request, options: OpOptions) -> Result<Answer> {
        self.zk().submit(request, options).await
    }

    /// Adds a watch that stays: on a node and its list of children, or on everything below it
    /// (servers from 3.6 on; older ones answer [`Code::UNIMPLEMENTED`]).
    pub async fn add_watch(&self, path: &str, mode: WatchMode) -> Result<WatchStream> {
        let (sink, events) = mpsc::unbounded_channel();
        let registration = self.inner().registration(Some(path));
        let request = <dyn Zk>::add_watch_request(path, mode);
        let watch = Some(NewWatch::Stream(sink));
        let (reply, tag) = self.inner().take(request, OpOptions::default(), watch);
        if let Some(tag) = tag {
            let _ = registration.id.set(tag);
        }
        reply.await?;
        Ok(WatchStream { events, _registration: registration })
    }

    /// Ends the session at the server: its ephemeral nodes are gone when this returns `Ok`. After
    /// `timeout` it gives up waiting, and the session ends by its own timeout. Either way nothing of
    /// this client goes on, and what was still waiting has ended with [`Code::CLOSED`].
    pub async fn close(&self, timeout: Duration) -> Result<()> {
        let mut states = self.states();
        self.inner().with_driver(|logical, now| logical.close(now, now + timeout));
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
        self.inner.with_driver(|logical, now| logical.close(now, now + DROP_GRACE));
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
