//! The mutex: `PATH/lock-<sequence>`, ephemeral; whoever has the lowest sequence number holds it.
//!
//! Kept here: the order of holders by fencing token (the czxid of their node: ZooKeeper's own write
//! order); service in the order of arrival; no lost wake-up: a waiter watches the one node before its
//! own, and looks again after every event and every reconnect; exclusion until `valid_until`, and the
//! news of a loss by then ([`Keeper`]).
//!
//! In default mode `valid_until` counts on the servers' session timeout. In strict mode ([`Strict`]) it counts on
//! nothing of the servers: a holder believes no longer than its lease after the last renewal
//! that a quorum committed, and a successor that cannot see that everybody before it left cleanly waits that
//! long. Who left cleanly is written in the parent's data (`marker.rs`), in the transaction that
//! deletes the node, so a clean hand-over costs no delay.
//!
//! An acquire runs as a task of its own. Whoever asked for it may stop waiting at any moment; the task
//! then removes what it made, however long that takes, so that a cancelled acquire leaves no node.

use super::contender::{self, Contender, LAST_SEQUENCE, LOCK_PREFIX};
use super::contents;
use super::keeper::{Keeper, Keeping, Kept, Loss};
use super::marker::{Marker, ParentData, Ranges};
use super::node::{self, LockNode, Pause, Removal, is_passing, step};
use super::patience::Patience;
use crate::client::Client;
use crate::error::{Code, Error, Result};
use crate::mutant::{Mutant, mutated};
use crate::path;
use crate::proto::{Acl, CreateMode, EventType, MultiOp, MultiResult, Request, Response, Stat, permissions};
use crate::sync::Mutex as Locked;
use crate::time::Time;
use crate::zk::{OpOptions, Reply, WatchEventKind, Zk};
use serde_json::{Map, Value};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

/// How long an acquire that fails waits for its own node to be gone before it says so. The removal
/// goes on behind it.
const CLEAN_UP_WAIT: Duration = Duration::from_secs(2);
/// How often a clean mark is tried against others who write the same marker.
const MARK_TRIES: u32 = 4;

/// How a mutex is made.
#[derive(Debug, Clone)]
pub struct MutexOptions {
    /// The access control list of the lock nodes and of the parents that have to be made. Whoever is
    /// to contend needs CREATE, DELETE and READ on the parent, and in strict mode WRITE. Default: anyone, everything.
    pub acl: Vec<Acl>,
    /// Further keys of the JSON object in the lock node; `hostname`, `pid`, `desc` and `id` are added.
    pub contents: Map<String, Value>,
    /// What goes before the sequence number in the names of other contenders, besides `lock-` (ours,
    /// Curator's, go-zookeeper's) and `__lock__` (kazoo's).
    pub extra_lock_patterns: Vec<String>,
    /// Exclusion that counts on nothing of the servers. Every client of the path has to use the same.
    pub strict: Option<Strict>,
    /// How much faster or slower than another client's this machine's clock may run, as a fraction;
    /// counts in strict mode. Default 0.01.
    pub clock_drift: f64,
}

/// Strict mode: exclusion whatever the servers' clocks, stalls or partitions do, as long as the
/// clients' clocks run at about the same rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strict {
    /// How long a holder believes after it sent the last renewal that a quorum committed. Default 10 s.
    pub lease: Duration,
    /// How long a successor waits for a holder that did not leave cleanly: at least the lease. It
    /// belongs to the path, and an acquire with another delay than the path's is refused. Default 10 s.
    pub delay: Duration,
}

impl Default for Strict {
    fn default() -> Self {
        Self { lease: Duration::from_secs(10), delay: Duration::from_secs(10) }
    }
}

impl Default for MutexOptions {
    fn default() -> Self {
        Self {
            acl: vec![Acl::world(permissions::ALL)],
            contents: Map::new(),
            extra_lock_patterns: Vec::new(),
            strict: None,
            clock_drift: 0.01,
        }
    }
}

impl MutexOptions {
    /// Sets the further keys from the text of a JSON object.
    pub fn contents_json(&mut self, text: &str) -> Result<()> {
        self.contents = contents::parse(text)?;
        Ok(())
    }

    /// Refuses values that cannot work.
    pub fn validate(&self) -> Result<()> {
        let refuse = |why: String| Err(Error::new(Code::BAD_ARGUMENT).because(why));
        if self.acl.is_empty() {
            return refuse("the access control list is empty: nobody could use the lock".to_owned());
        }
        if self.extra_lock_patterns.iter().any(|p| p.is_empty() || p.contains('/')) {
            return refuse("a lock pattern must not be empty or contain \"/\"".to_owned());
        }
        if !(0.0..=0.5).contains(&self.clock_drift) {
            return refuse(format!("clock_drift is {}, it must be within 0 and 0.5", self.clock_drift));
        }
        if let Some(strict) = self.strict {
            if strict.lease < Duration::from_millis(100) || strict.delay > Duration::from_secs(86_400) {
                return refuse(format!(
                    "a lease of at least 100 ms and a delay of at most a day, not {strict:?}"
                ));
            }
            if strict.delay < strict.lease {
                return refuse(format!("the delay must not be shorter than the lease: {strict:?}"));
            }
            if strict.delay.subsec_nanos() % 1_000_000 != 0 {
                return refuse(format!("the delay must be whole milliseconds: {strict:?}"));
            }
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
    keeper: Arc<Keeper>,
    path: String,
    options: MutexOptions,
    /// One at a time within this handle, in order of arrival.
    turn: Arc<Semaphore>,
    held: Locked<Option<Held>>,
    /// Keeps one interrupt until a wait takes it.
    interrupt: Arc<Notify>,
    closed: watch::Sender<bool>,
    losses: Locked<Vec<mpsc::UnboundedSender<LostHold>>>,
}

/// A lock that was held and is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostHold {
    /// Its fencing token.
    pub token: i64,
    /// Why.
    pub reason: Loss,
}

struct Held {
    keeping: Keeping,
    /// The marker of the path as last seen, and the parent's version with it; `None` where there is none.
    mark: Option<Mark>,
    _turn: OwnedSemaphorePermit,
}

/// A marker and the parent's data version that it was read with.
#[derive(Debug, Clone)]
struct Mark {
    marker: Marker,
    version: i32,
}

/// Somebody who holds the lock or waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContenderInfo {
    /// The name of its node.
    pub name: String,
    /// Its sequence number; the lowest holds the lock.
    pub sequence: i32,
    /// What its node holds.
    pub data: Vec<u8>,
    /// Its node's status: `czxid` is the fencing token, `ephemeral_owner` the session.
    pub stat: Stat,
}

impl Mutex {
    /// A lock on this path, not yet taken. Nothing is sent.
    pub fn new(client: &Client, path: &str, options: MutexOptions) -> Result<Self> {
        Self::over(Arc::clone(client.zk()), Arc::clone(client.keeper()), path, options)
    }

    /// The same, over anything that carries requests to ZooKeeper. One keeper serves all the locks of
    /// a connection.
    pub fn over(zk: Arc<dyn Zk>, keeper: Arc<Keeper>, path: &str, options: MutexOptions) -> Result<Self> {
        path::validate(path).map_err(|e| e.during("mutex", Some(path)))?;
        options.validate().map_err(|e| e.during("mutex", Some(path)))?;
        if path == "/" {
            let text = "the root cannot be a lock: its children belong to everyone";
            return Err(Error::new(Code::BAD_PATH).during("mutex", Some(path)).because(text));
        }
        Ok(Self {
            inner: Arc::new(Inner {
                zk,
                keeper,
                path: path.to_owned(),
                options,
                turn: Arc::new(Semaphore::new(1)),
                held: Locked::new(None),
                interrupt: Arc::new(Notify::new()),
                closed: watch::Sender::new(false),
                losses: Locked::new(Vec::new()),
            }),
        })
    }

    /// The path contended for.
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    /// Acquires the lock; `description` goes into the lock node as `desc`.
    ///
    /// `None` waits for ever, zero does not wait for others. Errors: [`Code::TIMEOUT`], [`Code::INTERRUPTED`],
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
                Ok(held) => Ok(inner.hold(held)),
                Err(error) => Err(error.during("lock", Some(&inner.path))),
            };
            // If nobody waits any more, the hold is dropped here, which releases the lock.
            drop(done.send(outcome));
        }));
        Acquire { outcome, _cancel: cancel }
    }

    /// Releases the lock that this handle holds. When this returns `Ok` its node is gone.
    ///
    /// [`Code::NOT_HELD`] if it holds none; [`Code::LOCK_LOST`], with the reason, if the lock was lost
    /// meanwhile. [`Code::OUTCOME_UNKNOWN`] if the server did not
    /// confirm within the session timeout: the release then goes on by itself until the node or its
    /// session is gone. In each case the handle no longer holds the lock.
    pub async fn unlock(&self) -> Result<()> {
        let held = self.inner.held.lock().take();
        match held {
            Some(held) => self.inner.release(held).await,
            None => Err(Error::new(Code::NOT_HELD).during("unlock", Some(&self.inner.path))),
        }
    }

    /// Whether this handle holds the lock for certain, at this moment.
    pub fn is_held(&self) -> bool {
        self.token().is_some()
    }

    /// The fencing token of the lock that this handle holds: greater than that of every earlier
    /// holder of the path. `None` where [`Mutex::is_held`] is false.
    pub fn token(&self) -> Option<i64> {
        self.inner.kept().filter(|kept| kept.is_valid()).map(|kept| kept.node.czxid)
    }

    /// Until when the lock that this handle holds is certain to be its own, if nothing renews it
    /// further; `None` where [`Mutex::is_held`] is false.
    pub fn valid_until(&self) -> Option<Time> {
        self.inner.kept().filter(|kept| kept.is_valid()).map(|kept| kept.valid_until())
    }

    /// The token and [`Mutex::valid_until`] as they stand, without the look that makes a loss final.
    #[cfg(feature = "simulation")]
    pub fn peek(&self) -> Option<(i64, Time)> {
        self.inner.kept().map(|kept| (kept.node.czxid, kept.valid_until()))
    }

    /// The locks that this handle held and lost, each once, from now on.
    pub fn losses(&self) -> mpsc::UnboundedReceiver<LostHold> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.inner.losses.lock().push(sender);
        receiver
    }

    /// Changes that are committed only while this handle holds the lock: all of them or none.
    ///
    /// [`Code::LOCK_LOST`] if the lock is not held any more; then nothing was changed. This holds as
    /// long as nobody but the clients of the lock deletes lock nodes or their parent.
    pub async fn guarded(&self, ops: Vec<MultiOp>) -> Result<Vec<MultiResult>> {
        guarded(Arc::clone(&self.inner.zk), self.inner.path.clone(), self.inner.kept(), ops).await
    }

    /// Everybody who holds the lock or waits for it, in the order of service.
    pub async fn contenders(&self) -> Result<Vec<ContenderInfo>> {
        let (zk, path) = (&self.inner.zk, &self.inner.path);
        let names = match zk.children(path, OpOptions::default()).await {
            Ok((names, _)) => names,
            Err(error) if error.code() == Code::NO_NODE => Vec::new(),
            Err(error) => return Err(error),
        };
        let all = self.inner.contenders(names);
        let reads: Vec<_> =
            all.iter().map(|c| zk.get(&path::join(path, &c.name), OpOptions::default())).collect();
        let mut found = Vec::new();
        for (Contender { sequence, name }, read) in all.into_iter().zip(reads) {
            match read.await {
                Ok((data, stat)) => found.push(ContenderInfo { name, sequence, data, stat }),
                Err(error) if error.code() == Code::NO_NODE => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Lets the numbers of an idle lock begin at 0 again: the remedy for [`Code::SEQUENCE_EXHAUSTED`]. The
    /// path is deleted, and made anew by the next acquire; tokens go on growing.
    ///
    /// [`Code::NOT_EMPTY`] while anybody holds the lock or waits for it, or other nodes are below it: the
    /// server deletes nothing then. In strict mode the next holder waits for the delay once.
    pub async fn reset(&self) -> Result<()> {
        let context = |error: Error| error.during("reset", Some(&self.inner.path));
        match self.inner.zk.delete(&self.inner.path, -1, OpOptions::default()).await {
            Err(error) if error.code() == Code::NO_NODE => Ok(()),
            Err(error) if error.code() == Code::NOT_EMPTY => {
                let text = "somebody holds the lock or waits for it, or there are other nodes below it";
                Err(context(Error::new(Code::NOT_EMPTY).because(text)))
            }
            outcome => outcome.map_err(context),
        }
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

    fn kept(&self) -> Option<Arc<Kept>> {
        self.inner.as_ref()?.kept().filter(|kept| kept.node.czxid == self.token)
    }

    /// Whether the lock is still held for certain.
    pub fn is_held(&self) -> bool {
        self.kept().is_some_and(|kept| kept.is_valid())
    }

    /// Until when it is certain to be held, if nothing renews it further; `None` once it is lost.
    pub fn valid_until(&self) -> Option<Time> {
        self.kept().filter(|kept| kept.is_valid()).map(|kept| kept.valid_until())
    }

    /// Why it was lost, if it was; `None` also once it was released.
    pub fn loss(&self) -> Option<Loss> {
        let kept = self.kept()?;
        if kept.is_valid() { None } else { kept.loss() }
    }

    /// Ends when the lock is lost, and says why. It never ends once the lock is released; it may outlive the
    /// hold, which it does not keep.
    pub fn lost(&self) -> impl Future<Output = Loss> + Send + use<> {
        let kept = self.kept();
        async move {
            match kept {
                Some(kept) => kept.lost().await,
                None => std::future::pending().await,
            }
        }
    }

    /// Changes that are committed only while this very hold lasts; see [`Mutex::guarded`].
    pub fn guarded(
        &self,
        ops: Vec<MultiOp>,
    ) -> impl Future<Output = Result<Vec<MultiResult>>> + Send + use<> {
        let kept = self.kept();
        let inner = self.inner.as_ref().map(|inner| (Arc::clone(&inner.zk), inner.path.clone()));
        async move {
            let Some((zk, path)) = inner else { return Err(Code::NOT_HELD.into()) };
            guarded(zk, path, kept, ops).await
        }
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

/// Changes in one transaction with a check of the lock's own node.
async fn guarded(
    zk: Arc<dyn Zk>,
    path: String,
    kept: Option<Arc<Kept>>,
    ops: Vec<MultiOp>,
) -> Result<Vec<MultiResult>> {
    let context = |error: Error| error.during("guarded multi", Some(&path));
    let Some(kept) = kept else { return Err(context(Code::NOT_HELD.into())) };
    if !kept.is_valid() {
        return Err(context(kept.loss().unwrap_or(Loss::LeaseRanOut).into()));
    }
    let own = kept.node.path.clone();
    let mut guarded = vec![MultiOp::Check { path: own.clone(), version: -1 }];
    guarded.extend(ops);
    match zk.multi(guarded, OpOptions::default().on(kept.node.session)).await {
        Ok(mut results) => Ok(results.drain(1..).collect()),
        Err(error) if error.code() == Code::NO_NODE && error.path() == Some(&own) => {
            Err(context(Loss::NodeDeleted.into()))
        }
        Err(error) if error.code() == Code::SESSION_EXPIRED => Err(context(Loss::SessionOver.into())),
        Err(error) => Err(error),
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

impl From<Loss> for Setback {
    fn from(_: Loss) -> Self {
        Self::Again
    }
}

/// How an acquire is to wait.
struct Waiting {
    patience: Patience,
    /// It is to see its steps to their end, and not to wait for anybody.
    try_only: bool,
}

impl Waiting {
    /// What `work` answers; anything but a try goes on only while its patience lasts.
    async fn with<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        if self.try_only { Ok(work.await) } else { self.patience.with(work).await }
    }
}

/// What a waiter knows of the path's marker, and of those who can have held before it.
#[derive(Default)]
struct Knowledge {
    mark: Option<Mark>,
    /// Numbers below ours that were absent while a lower one was still there: they never held.
    outlived: Ranges,
}

/// A place in the queue.
struct Place {
    /// Who is right before us, if anybody is.
    before: Option<Contender>,
    /// How many are before us.
    count: usize,
}

/// How a list that shows who is before us ends the wait, or goes on.
enum Turn {
    /// Nobody is before us, as of this moment.
    Ours(Time),
    /// Look again.
    Look,
}

/// One flight's answers: the list of children, and the parent's data where it was asked for.
type Seen = ((Vec<String>, Stat), Option<(Vec<u8>, Stat)>);

async fn both(
    list: impl Future<Output = Result<(Vec<String>, Stat)>>,
    parent: Option<impl Future<Output = Result<(Vec<u8>, Stat)>>>,
) -> Result<Seen> {
    let list = list.await?;
    Ok(match parent {
        Some(parent) => (list, Some(parent.await?)),
        None => (list, None),
    })
}

impl Inner {
    // ---- acquire ----

    async fn acquire(&self, patience: Patience, description: &str, try_only: bool) -> Result<Held> {
        let mut waiting = Waiting { patience, try_only };
        let turn = match Arc::clone(&self.turn).try_acquire_owned() {
            Ok(turn) => {
                // An interrupt or a close that came before is heeded before anything is sent.
                waiting.patience.unless_over(try_only).await?;
                turn
            }
            Err(_) if try_only => return Err(Code::TIMEOUT.into()),
            Err(_) => {
                let turn = waiting.patience.with(Arc::clone(&self.turn).acquire_owned()).await?;
                turn.map_err(|_| Error::new(Code::CLOSED))?
            }
        };
        loop {
            let connected = waiting.patience.with(self.zk.connected(Time::NEVER)).await;
            let session = connected.map_err(|over| match over.code() {
                Code::TIMEOUT if try_only => Error::new(Code::NOT_SENT).because("no server is connected"),
                Code::TIMEOUT => over.because("no server is connected"),
                _ => over,
            })??;
            match self.contend(&mut waiting, description, session).await {
                Ok((keeping, mark)) => return Ok(Held { keeping, mark, _turn: turn }),
                Err(Setback::Again) => {}
                Err(Setback::Fail(error)) if error.code() == Code::SESSION_EXPIRED => {}
                Err(Setback::Fail(error)) => return Err(error),
            }
        }
    }

    /// One try on one session: creates a node, and waits until it is the lowest.
    async fn contend(
        &self,
        waiting: &mut Waiting,
        description: &str,
        session: i64,
    ) -> Result<(Keeping, Option<Mark>), Setback> {
        if waiting.try_only && self.is_contended(session).await? {
            return Err(Error::new(Code::TIMEOUT).because("somebody else holds it or waits for it").into());
        }
        let id = contents::uuid(self.zk.random(), self.zk.random());
        let data = self.contents(description, &id);
        // One flight: the node, who else is there, and in strict mode who left cleanly.
        let options = step(&self.zk, session);
        let mut creation = self.zk.submit(self.creation(data), options);
        let list = self.zk.children(&self.path, options);
        let parent = self.options.strict.map(|_| self.zk.get(&self.path, options));
        let answered = tokio::select! {
            biased;
            outcome = &mut creation => outcome,
            error = waiting.patience.over(), if !waiting.try_only => {
                if let Some(creation) = creation.withdraw().filter(|_| !mutated(Mutant::CancelLeaksNode)) {
                    self.clean_up(self.forget(Some(creation), id, session)).await;
                }
                return Err(error.into());
            }
        };
        let created = match answered {
            Ok(answer) => match answer.response {
                Response::Create2 { path, stat } => Some((path, stat, answer.sent_at)),
                _ => return Err(Error::new(Code::PROTOCOL).because("create was answered otherwise").into()),
            },
            Err(error) if error.code() == Code::NO_NODE => {
                let parents = self.zk.create_parents(&self.path, &self.options.acl, step(&self.zk, session));
                return match waiting.with(parents).await? {
                    Err(error) if !is_passing(&error) => Err(error.into()),
                    _ => Err(Setback::Again),
                };
            }
            Err(error) if error.code() == Code::OUTCOME_UNKNOWN => {
                // It is not safe to go on before this is known: the node may be there.
                let recovery = node::recover(&self.zk, &self.path, &id, session);
                match waiting.with(recovery).await {
                    // Found without its own answer, it was renewed at no moment that we know.
                    Ok(found) => found?.map(|(path, stat)| (path, stat, Time::default())),
                    Err(over) => {
                        self.clean_up(self.forget(None, id, session)).await;
                        return Err(over.into());
                    }
                }
            }
            Err(error) if is_passing(&error) => {
                if waiting.try_only {
                    return Err(error.into());
                }
                waiting.with(Pause::new().rest(&self.zk)).await?;
                return Err(Setback::Again);
            }
            Err(error) => return Err(error.into()),
        };
        let Some((path, stat, sent)) = created else { return Err(Setback::Again) };
        let node = LockNode::new(path, &stat, session, &self.options.extra_lock_patterns)?;
        let mut knowledge = Knowledge::default();
        match self.wait_turn(waiting, &node, sent, list, parent, &mut knowledge).await {
            Ok(keeping) => Ok((keeping, knowledge.mark)),
            Err(setback) => {
                // A waiter that goes away says that it never held; it makes nobody else wait.
                self.clean_up(self.give_up(node, knowledge.mark)).await;
                Err(setback)
            }
        }
    }

    fn contents(&self, description: &str, id: &str) -> Vec<u8> {
        let mut extra = self.options.contents.clone();
        if let Some(strict) = self.options.strict {
            // For waiters in default mode: this holder's going away is no hand-over by itself.
            let delay = u64::try_from(strict.delay.as_millis()).unwrap_or(u64::MAX);
            extra.insert(STRICT_KEY.to_owned(), delay.into());
        }
        contents::render(&extra, description, id)
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

    /// Waits until our node is the lowest, and the lock ours. `list` and `parent` were asked for behind
    /// the node's creation, so the list shows the node: a session reads its own writes.
    async fn wait_turn(
        &self,
        waiting: &mut Waiting,
        own: &LockNode,
        sent: Time,
        list: impl Future<Output = Result<(Vec<String>, Stat)>>,
        parent: Option<impl Future<Output = Result<(Vec<u8>, Stat)>>>,
        knowledge: &mut Knowledge,
    ) -> Result<Keeping, Setback> {
        if !(0..=LAST_SEQUENCE).contains(&own.sequence) {
            return Err(self.exhausted(own).into());
        }
        let mut keeping = None;
        let mut seen = waiting.with(both(list, parent)).await?;
        let mut pause = Pause::new();
        let gone = loop {
            let ((names, listed), read) = match seen {
                Ok(seen) => seen,
                Err(error) if error.code() == Code::NO_NODE => return Err(Setback::Again),
                Err(error) if is_passing(&error) && !waiting.try_only => {
                    waiting.with(pause.rest(&self.zk)).await?;
                    seen = self.look(waiting, own.session, knowledge).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let now = self.zk.now();
            if !self.learn(waiting, own.session, read, Some(&listed), knowledge).await? {
                seen = self.look(waiting, own.session, knowledge).await?;
                continue;
            }
            let Some(Place { before, count }) = self.place(names, own, knowledge) else {
                return Err(Setback::Again);
            };
            let Some(before) = before else { break now };
            if before.sequence == own.sequence {
                return Err(self.exhausted(own).into());
            }
            if waiting.try_only {
                return Err(Error::new(Code::TIMEOUT).because("somebody else was first").into());
            }
            if count == 1 {
                let keeping = keeping.get_or_insert_with(|| self.keep(own, sent));
                match self.wait_next(waiting, keeping, &before, knowledge).await? {
                    Turn::Ours(since) => break since,
                    Turn::Look => {}
                }
            } else {
                self.wait_for(waiting, own, &before).await?;
                if mutated(Mutant::EventIsTurn) {
                    break self.zk.now();
                }
            }
            seen = self.look(waiting, own.session, knowledge).await?;
        };
        let keeping = keeping.unwrap_or_else(|| self.keep(own, sent));
        let gone = if mutated(Mutant::DelayFromOwnCreation) { sent } else { gone };
        self.wait_out(waiting, own, gone, knowledge).await?;
        loop {
            waiting.with(self.keeper.refresh(&keeping.kept)).await??;
            if keeping.kept.is_valid() {
                return Ok(keeping);
            }
            // It ran out between two looks, which is final for a node.
            if keeping.kept.loss().is_some() {
                return Err(Setback::Again);
            }
        }
    }

    /// Where our node is among the children of the path; `None` if it is not there. The list itself is
    /// let go: ten thousand that wait on one path each had one.
    fn place(&self, names: Vec<String>, own: &LockNode, knowledge: &mut Knowledge) -> Option<Place> {
        let mut all = self.contenders(names);
        let count = all.iter().position(|c| c.name == own.name())?;
        all.truncate(count);
        let numbers = all.iter().map(|c| c.sequence).chain([own.sequence]);
        knowledge.outlived.add_gaps(numbers);
        Some(Place { before: all.pop(), count })
    }

    fn keep(&self, own: &LockNode, sent: Time) -> Keeping {
        self.keeper.keep(&self.zk, own.clone(), sent, self.options.strict.map(|strict| strict.lease))
    }

    /// One flight: who is there, and in strict mode or under a marker who left cleanly.
    async fn look(
        &self,
        waiting: &mut Waiting,
        session: i64,
        knowledge: &Knowledge,
    ) -> Result<Result<Seen>, Setback> {
        let options = step(&self.zk, session);
        let list = self.zk.children(&self.path, options);
        let wanted = self.options.strict.is_some() || knowledge.mark.is_some();
        let parent = wanted.then(|| self.zk.get(&self.path, options));
        Ok(waiting.with(both(list, parent)).await?)
    }

    /// Takes note of the path's marker. In strict mode one is made where there is none, and what is
    /// not ours to overwrite is refused. False if it is to be looked at again.
    async fn learn(
        &self,
        waiting: &mut Waiting,
        session: i64,
        read: Option<(Vec<u8>, Stat)>,
        listed: Option<&Stat>,
        knowledge: &mut Knowledge,
    ) -> Result<bool, Setback> {
        let (data, stat) = match read {
            Some(read) => read,
            // The list says how long the parent's data is: without any there is no marker.
            None if listed.is_some_and(|listed| listed.data_length == 0) => {
                knowledge.mark = None;
                return Ok(true);
            }
            None => {
                let parent = self.zk.get(&self.path, step(&self.zk, session));
                match waiting.with(parent).await? {
                    Ok(read) => read,
                    // Whether there is a marker is not for us to see, nor was it for anybody like us.
                    Err(error) if error.code() == Code::NO_AUTH => return Ok(true),
                    // The parent went, and our node with it.
                    Err(error) if error.code() == Code::NO_NODE => return Err(Setback::Again),
                    Err(error) if is_passing(&error) => return Ok(false),
                    Err(error) => return Err(error.into()),
                }
            }
        };
        knowledge.mark = None;
        let context = |error: Error| Setback::Fail(error.during("lock", Some(&self.path)));
        let refuse = |why: String| Err(context(Error::new(Code::BAD_ARGUMENT).because(why)));
        match (ParentData::parse(&data, stat.czxid), self.options.strict) {
            (ParentData::Marker(marker), Some(strict)) if marker.delay != strict.delay => refuse(format!(
                "the delay of this path is {} ms, not {} ms",
                marker.delay.as_millis(),
                strict.delay.as_millis()
            )),
            (ParentData::Marker(marker), _) => {
                knowledge.mark = Some(Mark { marker, version: stat.version });
                Ok(true)
            }
            (ParentData::Foreign, Some(_)) => refuse(
                "strict mode keeps its marker in the parent's data, and there is other data".to_owned(),
            ),
            (ParentData::None, Some(_)) if mutated(Mutant::UnmarkedIsClean) => Ok(true),
            (ParentData::None, Some(strict)) => {
                let fresh = Marker::new(stat.czxid, strict.delay).render();
                let set = self.zk.set(&self.path, &fresh, stat.version, step(&self.zk, session));
                match waiting.with(set).await? {
                    Err(error) if error.code() == Code::NO_NODE => Err(Setback::Again),
                    Err(error) if error.code() != Code::BAD_VERSION && !is_passing(&error) => {
                        Err(error.into())
                    }
                    // Whoever's it is now: read again.
                    _ => Ok(false),
                }
            }
            (ParentData::None | ParentData::Foreign, None) => Ok(true),
        }
    }

    /// Waits as long as a holder may still believe that did not leave cleanly.
    async fn wait_out(
        &self,
        waiting: &mut Waiting,
        own: &LockNode,
        seen: Time,
        knowledge: &Knowledge,
    ) -> Result<(), Setback> {
        if mutated(Mutant::NoWaitOut) {
            return Ok(());
        }
        let Some(mark) = &knowledge.mark else { return Ok(()) };
        if mark.marker.is_clean_before(own.sequence, &knowledge.outlived) {
            return Ok(());
        }
        let drift = self.options.clock_drift;
        let until = seen + mark.marker.delay.mul_f64((1.0 + drift) / (1.0 - drift));
        log::info!(
            "lock {:?}: not every holder before {} is known to have left cleanly: waiting {} ms",
            self.path,
            own.name(),
            until.since(self.zk.now()).as_millis()
        );
        if waiting.try_only {
            let text = "nobody holds it, but whoever held it last may still believe so";
            return Err(Error::new(Code::TIMEOUT).because(text).into());
        }
        waiting.with(self.zk.sleep_until(until)).await?;
        Ok(())
    }

    /// Waits until the contender before us is gone, or until it is worth looking again.
    async fn wait_for(
        &self,
        waiting: &mut Waiting,
        own: &LockNode,
        before: &Contender,
    ) -> Result<(), Setback> {
        let at = path::join(&self.path, &before.name);
        let mut pause = Pause::new();
        loop {
            // `get`, not `exists`: that would leave a watch at a node that is gone.
            let (read, watch) = self.zk.get_watch(&at, step(&self.zk, own.session));
            match waiting.with(read).await? {
                Ok(_) => {}
                Err(error) if error.code() == Code::NO_NODE && mutated(Mutant::WaitsForGone) => {
                    waiting.with(std::future::pending::<()>()).await?;
                }
                Err(error) if error.code() == Code::NO_NODE => return Ok(()),
                Err(error) if is_passing(&error) => {
                    waiting.with(pause.rest(&self.zk)).await?;
                    continue;
                }
                // Its contents are not for us to read; its existence is.
                Err(error) if error.code() == Code::NO_AUTH => {
                    let (exists, watch) = self.zk.exists_watch(&at, step(&self.zk, own.session));
                    match waiting.with(exists).await? {
                        Ok(None) => return Ok(()),
                        Ok(Some(_)) => {
                            waiting.with(watch).await?;
                            return Ok(());
                        }
                        Err(error) if is_passing(&error) => continue,
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            }
            match waiting.with(watch).await?.kind {
                WatchEventKind::Node(EventType::DataChanged) => {}
                // Also after a session's end: the next request on it says so.
                _ => return Ok(()),
            }
        }
    }

    /// Waits as the next in line: the one contender before us is all there is. Where it is certain that
    /// its going away leaves nobody before us, the event alone is our turn.
    async fn wait_next(
        &self,
        waiting: &mut Waiting,
        keeping: &Keeping,
        before: &Contender,
        knowledge: &mut Knowledge,
    ) -> Result<Turn, Setback> {
        let own = &keeping.kept.node;
        let at = path::join(&self.path, &before.name);
        let options = step(&self.zk, own.session);
        // One flight: our own node, so that its end is not missed, and the one before it.
        let request = |path: &str| Request::GetData { path: path.to_owned(), watch: true };
        let (own_read, own_watch) = self.zk.submit_watch(request(&own.path), options);
        let (read, watch) = self.zk.submit_watch(request(&at), options);
        let own_answer = match waiting.with(own_read).await? {
            Ok(answer) => answer,
            Err(error) if error.code() == Code::NO_NODE => return Err(Setback::Again),
            Err(error) => return self.wait_plainly(waiting, own, before, error).await,
        };
        let Response::Data { stat: own_stat, .. } = &own_answer.response else { return Ok(Turn::Look) };
        if own_stat.czxid != own.czxid {
            return Err(Setback::Again);
        }
        self.keeper.watched(&keeping.kept, own_answer.connection, own_watch);
        let answer = match waiting.with(read).await? {
            Ok(answer) => answer,
            Err(error) if error.code() == Code::NO_NODE => return Ok(Turn::Look),
            Err(error) => return self.wait_plainly(waiting, own, before, error).await,
        };
        let Response::Data { data, stat } = &answer.response else { return Ok(Turn::Look) };
        // The end of one session may delete two nodes of it in any order, so the other must not be ours.
        let mut plain = stat.ephemeral_owner != own.session && answer.connection == own_answer.connection;
        let marked =
            self.options.strict.is_some() || knowledge.mark.is_some() || contents::has_key(data, STRICT_KEY);
        let mut watch = watch;
        loop {
            let event = tokio::select! {
                biased;
                event = waiting.patience.with(watch) => event?,
                // Our own node's end comes by the keeper.
                _ = keeping.kept.lost() => return Err(Setback::Again),
            };
            match event.kind {
                WatchEventKind::Node(EventType::DataChanged) => {}
                WatchEventKind::Node(EventType::Deleted) => break,
                _ => return Ok(Turn::Look),
            }
            // Its contents do not matter; arm the watch again.
            plain = false;
            let (read, next) = self.zk.submit_watch(request(&at), step(&self.zk, own.session));
            match waiting.with(read).await? {
                Ok(_) => watch = next,
                Err(_) => return Ok(Turn::Look),
            }
        }
        let view = self.zk.session();
        let certain = plain
            && view.connected
            && view.connection == answer.connection
            && keeping.kept.loss().is_none()
            && self.zk.now() < keeping.kept.valid_until();
        if !certain {
            return Ok(Turn::Look);
        }
        let gone = self.zk.now();
        // How the one before us left stands in the marker, if there is one.
        if marked && !self.learn(waiting, own.session, None, None, knowledge).await? {
            return Ok(Turn::Look);
        }
        Ok(Turn::Ours(gone))
    }

    /// The way of a waiter that is not next, where something stands against the shorter one.
    async fn wait_plainly(
        &self,
        waiting: &mut Waiting,
        own: &LockNode,
        before: &Contender,
        error: Error,
    ) -> Result<Turn, Setback> {
        if !is_passing(&error) && error.code() != Code::NO_AUTH {
            return Err(error.into());
        }
        self.wait_for(waiting, own, before).await?;
        Ok(Turn::Look)
    }

    fn exhausted(&self, own: &LockNode) -> Error {
        Error::new(Code::SEQUENCE_EXHAUSTED).because(format!(
            "the server gave out {:?}; reset the lock, or delete {:?}, while nobody uses it: it is made anew with numbers from 0",
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

    /// The lock is ours: from here on its loss is told.
    fn hold(self: &Arc<Self>, held: Held) -> Hold {
        let kept = Arc::clone(&held.keeping.kept);
        let token = kept.node.czxid;
        *self.held.lock() = Some(held);
        let weak = Arc::downgrade(self);
        let (zk, node) = (Arc::clone(&self.zk), kept.node.clone());
        kept.tell(Box::new(move |reason| {
            if let Some(inner) = weak.upgrade() {
                inner.losses.lock().retain(|told| told.send(LostHold { token, reason }).is_ok());
            }
            if reason == Loss::LeaseRanOut {
                // Its session may live on, and the node would keep others out for nothing; also if the
                // handle was dropped at this moment.
                let removal = node::remove(Arc::clone(&zk), node, false);
                zk.spawn(Box::pin(async move { drop(removal.await) }));
            }
        }));
        Hold { inner: Some(Arc::clone(self)), token }
    }

    fn kept(&self) -> Option<Arc<Kept>> {
        self.held.lock().as_ref().map(|held| Arc::clone(&held.keeping.kept))
    }

    fn take_held(&self, token: i64) -> Option<Held> {
        self.held.lock().take_if(|held| held.keeping.kept.node.czxid == token)
    }

    // ---- release ----

    async fn release(&self, held: Held) -> Result<()> {
        let context = |error: Error| error.during("unlock", Some(&self.path));
        if let Some(loss) = self.let_go(&held) {
            return Err(context(loss.into()));
        }
        let deadline = self.zk.now() + self.zk.session().timeout;
        let (done, finished) = oneshot::channel();
        self.zk.spawn(Box::pin(released(Arc::clone(&self.zk), self.path.clone(), held, Some(done))));
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
            Removal::Gone => Err(context(Loss::NodeDeleted.into())),
            Removal::SessionOver => Err(context(Loss::SessionOver.into())),
            Removal::Refused(error) => Err(context(error)),
        }
    }

    /// Stops believing, which is what makes the release a clean one. Answers why the lock was lost, if
    /// it was lost before.
    fn let_go(&self, held: &Held) -> Option<Loss> {
        held.keeping.kept.is_valid();
        held.keeping.kept.release()
    }

    fn release_behind(&self, held: Held) {
        if self.let_go(&held).is_none() {
            self.zk.spawn(Box::pin(released(Arc::clone(&self.zk), self.path.clone(), held, None)));
        }
    }

    fn abandon(&self) {
        let held = self.held.lock().take();
        if let Some(held) = held {
            self.release_behind(held);
        }
    }

    /// The going of a waiter that never held.
    fn give_up(&self, node: LockNode, mark: Option<Mark>) -> impl Future<Output = Removal> + Send + use<> {
        let sequence = node.sequence;
        leave(Arc::clone(&self.zk), self.path.clone(), node, mark, move |marker| {
            if mutated(Mutant::GiveUpMarksClean) {
                return marker.released(sequence);
            }
            marker.given_up(sequence)
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// The key in a lock node's contents that tells its delay (ms), in strict mode.
const STRICT_KEY: &str = "delay";

/// Removes a released lock's node, and only then gives the handle's turn to the next.
async fn released(zk: Arc<dyn Zk>, path: String, held: Held, done: Option<oneshot::Sender<Removal>>) {
    let Held { keeping, mark, _turn } = held;
    let node = keeping.kept.node.clone();
    drop(keeping);
    let sequence = node.sequence;
    let removal = leave(zk, path, node, mark, move |marker| marker.released(sequence)).await;
    if let Some(done) = done {
        let _ = done.send(removal);
    }
}

/// Removes a node, and where the path has a marker says in the same transaction what that means.
/// What cannot be marked is removed all the same: an absent mark costs a delay, an absent removal the lock.
async fn leave(
    zk: Arc<dyn Zk>,
    parent: String,
    node: LockNode,
    mark: Option<Mark>,
    change: impl Fn(Marker) -> Marker + Send,
) -> Removal {
    let mut mark = mark;
    let mut doubt = false;
    for _ in 0..MARK_TRIES {
        let Some(Mark { marker, version }) = mark.take() else { break };
        let data = change(marker).render();
        let ops = vec![
            MultiOp::Delete { path: node.path.clone(), version: -1 },
            MultiOp::SetData { path: parent.clone(), data, version },
        ];
        match zk.multi(ops, step(&zk, node.session)).await {
            Ok(_) => return Removal::Deleted,
            // Somebody else wrote the marker: once more with what they wrote.
            Err(error) if error.code() == Code::BAD_VERSION => {
                if let Ok((data, stat)) = zk.get(&parent, step(&zk, node.session)).await
                    && let ParentData::Marker(marker) = ParentData::parse(&data, stat.czxid)
                {
                    mark = Some(Mark { marker, version: stat.version });
                }
            }
            Err(error) => doubt |= error.code() == Code::OUTCOME_UNKNOWN,
        }
    }
    node::remove(zk, node, doubt).await
}

/// Acquires move to the IO thread, and handles are shared by threads.
const _: fn() = || {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Mutex>();
    shared::<Hold>();
};
