//! The mutex: `PATH/lock-<sequence>`, ephemeral; whoever has the lowest sequence number holds it.
//!
//! Kept here: the order of holders by fencing token (the czxid of their node: ZooKeeper's own write
//! order), service in the order of arrival, and no lost wake-up: a waiter watches the one node before
//! its own, and looks again after every event and every reconnect.
//!
//! An acquire runs as a task of its own. Whoever asked for it may stop waiting at any moment; the task
//! then removes what it made, however long that takes, so that a cancelled acquire leaves no node.

use super::contender::{self, Contender, LAST_SEQUENCE, LOCK_PREFIX};
use super::contents;
use super::node::{self, LockNode, Pause, Removal, is_passing, step};
use super::patience::Patience;
use crate::client::Client;
use crate::error::{Code, Error, Result};
use crate::mutant::{Mutant, mutated};
use crate::path;
use crate::proto::{Acl, CreateMode, EventType, Request, Response, permissions};
use crate::time::Time;
use crate::zk::{Reply, WatchEventKind, Zk};
use parking_lot::Mutex as Locked;
use serde_json::{Map, Value};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};

/// How long an acquire that fails waits for its own node to be gone before it says so. The removal
/// goes on behind it.
const CLEAN_UP_WAIT: Duration = Duration::from_secs(2);

/// How a mutex is made.
#[derive(Debug, Clone)]
pub struct MutexOptions {
    /// The access control list of the lock nodes and of the parents that have to be made. Whoever is
    /// to contend needs CREATE, DELETE and READ on the parent. Default: anyone, everything.
    pub acl: Vec<Acl>,
    /// Further keys of the JSON object in the lock node; `hostname`, `pid`, `desc` and `id` are added.
    pub contents: Map<String, Value>,
    /// What goes before the sequence number in the names of other contenders, besides `lock-` (ours,
    /// Curator's, go-zookeeper's) and `__lock__` (kazoo's).
    pub extra_lock_patterns: Vec<String>,
}

impl Default for MutexOptions {
    fn default() -> Self {
        Self {
            acl: vec![Acl::world(permissions::ALL)],
            contents: Map::new(),
            extra_lock_patterns: Vec::new(),
        }
    }
}

impl MutexOptions {
    /// Sets the further keys from the text of a JSON object.
    pub fn contents_json(&mut self, text: &str) -> Result<()> {
        self.contents = contents::parse(text)?;
        Ok(())
    }

    fn validate(&self) -> Result<()> {
        let refuse = |why: &str| Err(Error::new(Code::BAD_ARGUMENT).because(why.to_owned()));
        if self.acl.is_empty() {
            return refuse("the access control list is empty: nobody could use the lock");
        }
        if self.extra_lock_patterns.iter().any(|p| p.is_empty() || p.contains('/')) {
            return refuse("a lock pattern must not be empty or contain \"/\"");
        }
        Ok(())
    }
}

/// A distributed lock. Clones are the same lock: at most one of them holds it at a time, and a second
/// acquire queues behind the first.
#[derive(Clone)]
pub struct Mutex {
    inner: Arc<Inner>,
}

struct Inner {
    zk: Arc<dyn Zk>,
    path: String,
    options: MutexOptions,
    /// One at a time within this handle, in order of arrival.
    turn: Arc<Semaphore>,
    held: Locked<Option<Held>>,
    /// Keeps one interrupt until a wait takes it.
    interrupt: Arc<Notify>,
    closed: watch::Sender<bool>,
}

struct Held {
    node: LockNode,
    _turn: OwnedSemaphorePermit,
}

impl Mutex {
    /// A lock on this path, not yet taken. Nothing is sent.
    pub fn new(client: &Client, path: &str, options: MutexOptions) -> Result<Self> {
        Self::over(Arc::clone(client.zk()), path, options)
    }

    /// The same, over anything that carries requests to ZooKeeper.
    pub fn over(zk: Arc<dyn Zk>, path: &str, options: MutexOptions) -> Result<Self> {
        path::validate(path).map_err(|e| e.during("mutex", Some(path)))?;
        options.validate().map_err(|e| e.during("mutex", Some(path)))?;
        if path == "/" {
            let text = "the root cannot be a lock: its children belong to everyone";
            return Err(Error::new(Code::BAD_PATH).during("mutex", Some(path)).because(text));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                zk,
                path: path.to_owned(),
                options,
                turn: Arc::new(Semaphore::new(1)),
                held: Locked::new(None),
                interrupt: Arc::new(Notify::new()),
                closed: watch::Sender::new(false),
            }),
        })
    }

    /// The path contended for.
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    /// Acquires the lock; `description` goes into the lock node as `desc`.
    ///
    /// `None` waits for ever, zero does not wait. Errors: [`Code::TIMEOUT`], [`Code::INTERRUPTED`],
    /// [`Code::CLOSED`], [`Code::SEQUENCE_EXHAUSTED`], and the server's own, such as [`Code::NO_AUTH`].
    /// Dropping the future cancels the acquire, and no lock node stays behind.
    pub fn lock(&self, timeout: Option<Duration>, description: &str) -> Acquire {
        let (cancel, cancelled) = oneshot::channel();
        let (done, outcome) = oneshot::channel();
        let inner = Arc::clone(&self.inner);
        let deadline = timeout.map(|timeout| inner.zk.now() + timeout);
        let patience = Patience::new(
            &inner.zk,
            deadline,
            cancelled,
            Arc::clone(&inner.interrupt),
            inner.closed.subscribe(),
        );
        let description = description.to_owned();
        let zk = Arc::clone(&inner.zk);
        zk.spawn(Box::pin(async move {
            let try_only = timeout.is_some_and(|timeout| timeout.is_zero());
            let acquired = inner.acquire(patience, &description, try_only).await;
            let outcome = match acquired {
                Ok(held) => {
                    let token = held.node.czxid;
                    *inner.held.lock() = Some(held);
                    Ok(Hold { inner: Some(Arc::clone(&inner)), token })
                }
                Err(error) => Err(error.during("lock", Some(&inner.path))),
            };
            // If nobody waits any more, the hold is dropped here, which releases the lock.
            drop(done.send(outcome));
        }));
        Acquire { outcome, _cancel: cancel }
    }

    /// Releases the lock that this handle holds. When this returns `Ok` its node is gone.
    ///
    /// [`Code::NOT_HELD`] if it holds none; [`Code::LOCK_LOST`] if the lock was lost meanwhile: the
    /// session ended, or somebody deleted the node. [`Code::OUTCOME_UNKNOWN`] if the server did not
    /// confirm within the session timeout: the release then goes on by itself until the node or its
    /// session is gone. In each case the handle no longer holds the lock.
    pub async fn unlock(&self) -> Result<()> {
        let held = self.inner.held.lock().take();
        match held {
            Some(held) => self.inner.release(held).await,
            None => Err(Error::new(Code::NOT_HELD).during("unlock", Some(&self.inner.path))),
        }
    }

    /// Whether this handle holds the lock, as far as can be known without asking a server: its session
    /// is not over, and a server was heard within the session's timeout.
    pub fn is_held(&self) -> bool {
        self.token().is_some()
    }

    /// The fencing token of the lock that this handle holds: greater than that of every earlier
    /// holder of the path. `None` where [`Mutex::is_held`] is false.
    pub fn token(&self) -> Option<i64> {
        let held = self.inner.held.lock();
        let node = &held.as_ref()?.node;
        self.inner.is_trusted(node).then_some(node.czxid)
    }

    /// Ends the wait of one acquire on this handle with [`Code::INTERRUPTED`]. If none is waiting the
    /// interrupt is remembered, and ends the next one at its beginning. A lock that is held stays so.
    pub fn interrupt(&self) {
        if mutated(Mutant::LostInterrupt) {
            self.inner.interrupt.notify_waiters();
            return;
        }
        self.inner.interrupt.notify_one();
    }

    /// Ends this handle and its clones: acquires under way end with [`Code::CLOSED`], and a lock that
    /// is held is released in the background.
    pub fn close(&self) {
        self.inner.closed.send_replace(true);
        self.inner.abandon();
    }
}

impl fmt::Debug for Mutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("path", &self.inner.path).field("token", &self.token()).finish()
    }
}

/// An acquire under way. Dropping it cancels the acquire.
#[must_use = "dropping it cancels the acquire"]
pub struct Acquire {
    outcome: oneshot::Receiver<Result<Hold>>,
    _cancel: oneshot::Sender<()>,
}

impl Acquire {
    /// Cancels the acquire, and waits for what became of it: [`Code::CANCELLED`], or the lock, if it
    /// was granted before.
    pub fn cancel(self) -> impl Future<Output = Result<Hold>> {
        drop(self._cancel);
        async move { self.outcome.await.unwrap_or_else(|_| Err(Code::CLOSED.into())) }
    }
}

impl Future for Acquire {
    type Output = Result<Hold>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = std::task::ready!(Pin::new(&mut self.outcome).poll(cx));
        Poll::Ready(outcome.unwrap_or_else(|_| Err(Code::CLOSED.into())))
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").finish_non_exhaustive()
    }
}

/// A lock that is held. Dropping it releases the lock in the background.
#[must_use = "dropping it releases the lock"]
pub struct Hold {
    inner: Option<Arc<Inner>>,
    token: i64,
}

impl Hold {
    /// The fencing token: greater than that of every earlier holder of the path. A resource that
    /// refuses tokens smaller than the greatest it has seen is safe from holders that are too late.
    pub fn token(&self) -> i64 {
        self.token
    }

    /// Whether the lock is still held, as [`Mutex::is_held`] knows it.
    pub fn is_held(&self) -> bool {
        self.inner.as_ref().is_some_and(|inner| {
            inner
                .held
                .lock()
                .as_ref()
                .is_some_and(|held| held.node.czxid == self.token && inner.is_trusted(&held.node))
        })
    }

    /// Releases the lock; see [`Mutex::unlock`].
    pub async fn release(mut self) -> Result<()> {
        let Some(inner) = self.inner.take() else { return Ok(()) };
        match inner.take_held(self.token) {
            Some(held) => inner.release(held).await,
            None => Err(Error::new(Code::NOT_HELD).during("unlock", Some(&inner.path))),
        }
    }

    /// Leaves the lock with its handle, to be released by [`Mutex::unlock`].
    pub fn keep(mut self) -> i64 {
        self.inner = None;
        self.token
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take()
            && let Some(held) = inner.take_held(self.token)
        {
            inner.release_behind(held);
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("token", &self.token).finish_non_exhaustive()
    }
}

/// How one try to get into the queue, or through it, ended without the lock.
enum Setback {
    /// Our node is gone, with its session or by another's hand: begin again.
    Again,
    /// No further try.
    Fail(Error),
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        Self::Fail(error)
    }
}

impl Inner {
    // ---- acquire ----

    async fn acquire(&self, mut patience: Patience, description: &str, try_only: bool) -> Result<Held> {
        let turn = match Arc::clone(&self.turn).try_acquire_owned() {
            // An interrupt or a close that came before is heeded before anything is sent.
            Ok(turn) => self.unless_over(&mut patience, turn, try_only).await?,
            Err(_) if try_only => return Err(Code::TIMEOUT.into()),
            Err(_) => patience
                .with(Arc::clone(&self.turn).acquire_owned())
                .await?
                .map_err(|_| Error::new(Code::CLOSED))?,
        };
        loop {
            let connected = patience.with(self.zk.connected(Time::NEVER)).await;
            let session = connected.map_err(|over| match over.code() {
                Code::TIMEOUT if try_only => Error::new(Code::NOT_SENT).because("no server is connected"),
                Code::TIMEOUT => over.because("no server is connected"),
                _ => over,
            })??;
            match self.contend(&mut patience, description, try_only, session).await {
                Ok(node) => return Ok(Held { node, _turn: turn }),
                Err(Setback::Again) => {}
                Err(Setback::Fail(error)) if error.code() == Code::SESSION_EXPIRED => {}
                Err(Setback::Fail(error)) => return Err(error),
            }
        }
    }

    async fn unless_over<T>(&self, patience: &mut Patience, value: T, try_only: bool) -> Result<T> {
        tokio::select! {
            biased;
            error = patience.over() => match error.code() {
                // A try has no time at all, and is made nevertheless.
                Code::TIMEOUT if try_only => Ok(value),
                _ => Err(error),
            },
            () = std::future::ready(()) => Ok(value),
        }
    }

    /// One try on one session: creates a node, and waits until it is the lowest.
    async fn contend(
        &self,
        patience: &mut Patience,
        description: &str,
        try_only: bool,
        session: i64,
    ) -> Result<LockNode, Setback> {
        if try_only && self.is_contended(session).await? {
            return Err(Error::new(Code::TIMEOUT).because("somebody else holds it or waits for it").into());
        }
        let id = contents::uuid(self.zk.random(), self.zk.random());
        let data = contents::render(&self.options.contents, description, &id);
        // One flight: the node, and who else is there.
        let options = step(&self.zk, session);
        let mut creation = self.zk.submit(self.creation(data), options);
        let list = self.zk.children(&self.path, options);
        let answered = tokio::select! {
            biased;
            outcome = &mut creation => outcome,
            error = patience.over(), if !try_only => {
                if let Some(creation) = creation.withdraw().filter(|_| !mutated(Mutant::CancelLeaksNode)) {
                    self.clean_up(self.forget(Some(creation), id, session)).await;
                }
                return Err(error.into());
            }
        };
        let created = match answered {
            Ok(answer) => match answer.response {
                Response::Create2 { path, stat } => Some((path, stat)),
                _ => return Err(Error::new(Code::PROTOCOL).because("create was answered otherwise").into()),
            },
            Err(error) if error.code() == Code::NO_NODE => {
                let parents = self.zk.create_parents(&self.path, &self.options.acl, step(&self.zk, session));
                return match self.patiently(patience, try_only, parents).await? {
                    Err(error) if !is_passing(&error) => Err(error.into()),
                    _ => Err(Setback::Again),
                };
            }
            Err(error) if error.code() == Code::OUTCOME_UNKNOWN => {
                let recovery = node::recover(&self.zk, &self.path, &id, session);
                match self.patiently(patience, try_only, recovery).await {
                    Ok(found) => found?,
                    Err(over) => {
                        self.clean_up(self.forget(None, id, session)).await;
                        return Err(over.into());
                    }
                }
            }
            Err(error) if is_passing(&error) => {
                self.patiently(patience, try_only, Pause::new().rest(&self.zk)).await?;
                return Err(if try_only { Setback::Fail(error) } else { Setback::Again });
            }
            Err(error) => return Err(error.into()),
        };
        let Some((path, stat)) = created else { return Err(Setback::Again) };
        let node = LockNode::new(path, &stat, session, &self.options.extra_lock_patterns)?;
        match self.wait_turn(patience, &node, try_only, list).await {
            Ok(()) => Ok(node),
            Err(setback) => {
                self.clean_up(node::remove(Arc::clone(&self.zk), node)).await;
                Err(setback)
            }
        }
    }

    fn creation(&self, data: Vec<u8>) -> Request {
        Request::Create {
            path: path::join(&self.path, LOCK_PREFIX),
            data,
            acl: self.options.acl.clone(),
            mode: CreateMode::EphemeralSequential,
            ttl_ms: 0,
            with_stat: true,
        }
    }

    /// The clean-up after a creation whose outcome we do not wait for.
    fn forget(
        &self,
        creation: Option<Reply>,
        id: String,
        session: i64,
    ) -> impl Future<Output = ()> + Send + use<> {
        let patterns = self.options.extra_lock_patterns.clone();
        node::forget(Arc::clone(&self.zk), creation, self.path.clone(), id, session, patterns)
    }

    /// A try looks before it creates: it costs no write where somebody else is there.
    async fn is_contended(&self, session: i64) -> Result<bool> {
        match self.zk.children(&self.path, step(&self.zk, session)).await {
            Ok((names, _)) => Ok(!self.contenders(names).is_empty()),
            Err(error) if error.code() == Code::NO_NODE => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn contenders(&self, names: Vec<String>) -> Vec<Contender> {
        contender::contenders(names, &self.options.extra_lock_patterns)
    }

    /// Work that a try sees to its end, and any other acquire only while its patience lasts.
    async fn patiently<T>(
        &self,
        patience: &mut Patience,
        try_only: bool,
        work: impl Future<Output = T>,
    ) -> Result<T> {
        if try_only { Ok(work.await) } else { patience.with(work).await }
    }

    /// Waits until our node is the lowest. `list` was asked for behind the node's creation, so it
    /// shows the node: a session reads its own writes.
    async fn wait_turn(
        &self,
        patience: &mut Patience,
        own: &LockNode,
        try_only: bool,
        list: impl Future<Output = Result<(Vec<String>, crate::proto::Stat)>>,
    ) -> Result<(), Setback> {
        if !(0..=LAST_SEQUENCE).contains(&own.sequence) {
            return Err(self.exhausted(own).into());
        }
        let mut listed = self.patiently(patience, try_only, list).await?;
        let mut pause = Pause::new();
        loop {
            let names = match listed {
                Ok((names, _)) => names,
                Err(error) if error.code() == Code::NO_NODE => return Err(Setback::Again),
                Err(error) if is_passing(&error) && !try_only => {
                    patience.with(pause.rest(&self.zk)).await?;
                    listed = patience.with(self.zk.children(&self.path, step(&self.zk, own.session))).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let all = self.contenders(names);
            let Some(position) = all.iter().position(|c| c.name == own.name()) else {
                return Err(Setback::Again);
            };
            let before = match position.checked_sub(1).and_then(|at| all.get(at)) {
                None => return Ok(()),
                Some(before) if before.sequence == own.sequence => return Err(self.exhausted(own).into()),
                Some(before) => before,
            };
            if try_only {
                return Err(Error::new(Code::TIMEOUT).because("somebody else was first").into());
            }
            self.wait_for(patience, own, before).await?;
            if mutated(Mutant::EventIsTurn) {
                return Ok(());
            }
            listed = patience.with(self.zk.children(&self.path, step(&self.zk, own.session))).await?;
        }
    }

    /// Waits until the contender before us is gone, or until it is worth looking again.
    async fn wait_for(
        &self,
        patience: &mut Patience,
        own: &LockNode,
        before: &Contender,
    ) -> Result<(), Setback> {
        let at = path::join(&self.path, &before.name);
        let mut pause = Pause::new();
        loop {
            // `get`, not `exists`: that would leave a watch at a node that is gone.
            let (read, watch) = self.zk.get_watch(&at, step(&self.zk, own.session));
            match patience.with(read).await? {
                Ok(_) => {}
                Err(error) if error.code() == Code::NO_NODE && mutated(Mutant::WaitsForGone) => {
                    patience.with(std::future::pending::<()>()).await?;
                }
                Err(error) if error.code() == Code::NO_NODE => return Ok(()),
                Err(error) if is_passing(&error) => {
                    patience.with(pause.rest(&self.zk)).await?;
                    continue;
                }
                // Its contents are not for us to read; its existence is.
                Err(error) if error.code() == Code::NO_AUTH => {
                    let (exists, watch) = self.zk.exists_watch(&at, step(&self.zk, own.session));
                    match patience.with(exists).await? {
                        Ok(None) => return Ok(()),
                        Ok(Some(_)) => {
                            patience.with(watch).await?;
                            return Ok(());
                        }
                        Err(error) if is_passing(&error) => continue,
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            }
            match patience.with(watch).await?.kind {
                WatchEventKind::Node(EventType::DataChanged) => {}
                // Also after a session's end: the next request on it says so.
                _ => return Ok(()),
            }
        }
    }

    fn exhausted(&self, own: &LockNode) -> Error {
        Error::new(Code::SEQUENCE_EXHAUSTED).because(format!(
            "the server gave out {:?}; delete {:?} while nobody uses the lock, and it is made anew with numbers from 0",
            own.name(),
            self.path
        ))
    }

    /// Runs a clean-up that outlives us, and waits for it as long as that is likely to help.
    async fn clean_up<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        if mutated(Mutant::NoCleanUpSuspended) && !self.zk.session().connected {
            return None;
        }
        let (done, finished) = oneshot::channel();
        self.zk.spawn(Box::pin(async move {
            let _ = done.send(work.await);
        }));
        if !self.zk.session().connected {
            return None;
        }
        tokio::select! {
            biased;
            result = finished => result.ok(),
            () = self.zk.sleep_until(self.zk.now() + CLEAN_UP_WAIT) => None,
        }
    }

    // ---- hold ----

    /// Whether the session that owns the node may still be believed in.
    fn is_trusted(&self, node: &LockNode) -> bool {
        let view = self.zk.session();
        view.id == node.session && (view.connected || self.zk.now() < view.last_heard + view.timeout)
    }

    fn take_held(&self, token: i64) -> Option<Held> {
        self.held.lock().take_if(|held| held.node.czxid == token)
    }

    // ---- release ----

    async fn release(&self, held: Held) -> Result<()> {
        let session = held.node.session;
        let deadline = self.zk.now() + self.zk.session().timeout;
        let (done, finished) = oneshot::channel();
        self.zk.spawn(Box::pin(removed(Arc::clone(&self.zk), held, Some(done))));
        let context = |error: Error| error.during("unlock", Some(&self.path));
        let removal = tokio::select! {
            biased;
            removal = finished => removal.unwrap_or(Removal::SessionOver),
            () = self.zk.sleep_until(deadline) => {
                let text = "no confirmation yet; the release goes on until the node or its session is gone";
                return Err(context(Error::new(Code::OUTCOME_UNKNOWN).because(text)));
            }
        };
        match removal {
            Removal::Deleted => Ok(()),
            Removal::Gone => {
                Err(context(Error::new(Code::LOCK_LOST).because("somebody else deleted its node")))
            }
            Removal::SessionOver => {
                let text = format!("session {session:#x}, which held it, is over");
                Err(context(Error::new(Code::LOCK_LOST).because(text)))
            }
            Removal::Refused(error) => Err(context(error)),
        }
    }

    fn release_behind(&self, held: Held) {
        self.zk.spawn(Box::pin(removed(Arc::clone(&self.zk), held, None)));
    }

    fn abandon(&self) {
        let held = self.held.lock().take();
        if let Some(held) = held {
            self.release_behind(held);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// Removes the node, and only then gives the handle's turn to the next.
async fn removed(zk: Arc<dyn Zk>, held: Held, done: Option<oneshot::Sender<Removal>>) {
    let Held { node, _turn } = held;
    let removal = node::remove(zk, node).await;
    if let Some(done) = done {
        let _ = done.send(removal);
    }
}

/// Acquires move to the IO thread, and handles are shared by threads.
const _: fn() = || {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Mutex>();
    shared::<Hold>();
};
