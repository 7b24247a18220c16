//! The queue lock: of all the children of a queue, the one whose *name* is the lowest holds the lock.
//!
//! It is for queues whose nodes have another purpose besides: who made a node waits until it is the first
//! ([`QueueLock::obtain`]), and lets the next one in by deleting it. Names are compared as bytes, and every child
//! counts, whatever it is. So a node that is made later with a lower name goes before one that holds the lock already:
//! names have to grow, as those do that the server numbers.
//!
//! [`QueueLock::lock`] makes such a node itself: ephemeral, numbered, and gone whatever becomes of the wait.
//!
//! A waiter watches the one node before its own, and its own; it looks again after each event, each reconnect
//! and each node that went before it could be watched. So no turn is missed. There is no lease: who has to know how long the
//! lock may be trusted takes a [`crate::Mutex`].

use super::contender::{LAST_SEQUENCE, LOCK_PREFIX};
use super::contents;
use super::keeper::Loss;
use super::node::{self, LockNode, Pause, Removal, is_passing, step};
use super::patience::{Interrupter, Patience, With};
use crate::acl;
use crate::client::Client;
use crate::error::{Code, Error, Result};
use crate::path;
use crate::proto::{Acl, CreateMode, Request, Response, Stat};
use crate::sync::Mutex as Locked;
use crate::time::Time;
use crate::zk::{BoxFuture, OpOptions, Zk};
use serde_json::{Map, Value};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How the nodes are made that a queue lock makes itself.
#[derive(Debug, Clone)]
pub struct QueueLockOptions {
    /// The access control list of the nodes and of the parents that have to be made. Default: anyone, everything.
    pub acl: Vec<Acl>,
    /// What goes before the number in their names; the same for all who wait in a queue. Default `lock-`.
    pub prefix: String,
    /// Further keys of the JSON object in a node; `hostname`, `pid`, `desc` and `id` are added.
    pub contents: Map<String, Value>,
}

impl Default for QueueLockOptions {
    fn default() -> Self {
        Self { acl: acl::default(), prefix: LOCK_PREFIX.to_owned(), contents: Map::new() }
    }
}

impl QueueLockOptions {
    /// Sets the further keys from the text of a JSON object.
    pub fn contents_json(&mut self, text: &str) -> Result<()> {
        self.contents = contents::parse(text)?;
        Ok(())
    }

    /// Refuses values that cannot work.
    pub fn validate(&self) -> Result<()> {
        let refuse = |why: &'static str| Err(Error::new(Code::BAD_ARGUMENT).because(why));
        if self.acl.is_empty() {
            return refuse("the access control list is empty");
        }
        if self.prefix.is_empty() || self.prefix.contains('/') {
            return refuse("the prefix of names must not be empty or contain \"/\"");
        }
        path::validate(&format!("/{}", self.prefix))
            .map_err(|e| Error::new(Code::BAD_ARGUMENT).because(e.detail().to_owned()))
    }
}

/// A lock whose holder is the lowest name in a queue. Clones are the same lock: at most one of them holds it
/// at a time by [`QueueLock::lock`], and a second call queues behind the first.
#[derive(Clone)]
pub struct QueueLock {
    inner: Arc<Inner>,
}

struct Inner {
    zk: Arc<dyn Zk>,
    queue: String,
    options: QueueLockOptions,
    /// One at a time within this handle, in order of arrival.
    turn: Arc<Semaphore>,
    held: Locked<Option<Held>>,
    interrupter: Arc<Interrupter>,
}

struct Held {
    node: LockNode,
    _turn: OwnedSemaphorePermit,
}

impl QueueLock {
    /// A lock on this queue, the parent of the nodes that wait. Nothing is sent.
    pub fn new(client: &Client, queue: &str, options: QueueLockOptions) -> Result<Self> {
        Self::over(Arc::clone(client.zk()), queue, options)
    }

    /// The same, over anything that carries requests to ZooKeeper.
    pub fn over(zk: Arc<dyn Zk>, queue: &str, options: QueueLockOptions) -> Result<Self> {
        let context = |error: Error| error.during("queue lock", Some(queue));
        path::validate(queue).map_err(context)?;
        options.validate().map_err(context)?;
        let (turn, interrupter) = (Arc::new(Semaphore::new(1)), Arc::default());
        let (queue, held) = (queue.to_owned(), Locked::new(None));
        Ok(Self { inner: Arc::new(Inner { zk, queue, options, turn, held, interrupter }) })
    }

    /// The queue.
    pub fn path(&self) -> &str {
        &self.inner.queue
    }

    /// Waits until a node that exists already, `name` below the queue, is the first. Whoever made it keeps it,
    /// also if this fails, and deletes it to let the next one in.
    ///
    /// `None` waits for ever; zero is a check that does not wait for others. Errors: [`Code::TIMEOUT`],
    /// [`Code::INTERRUPTED`], [`Code::CLOSED`]; [`Code::NO_NODE`] if the node is not in the queue, or was
    /// deleted meanwhile, and the server's own. Dropping the future ends the wait.
    ///
    /// ```no_run
    /// # async fn example(client: &zkhelper::Client) -> zkhelper::Result<()> {
    /// use std::time::Duration;
    /// use zkhelper::{QueueLock, Tree, acl, path, proto::CreateMode};
    ///
    /// let mode = CreateMode::EphemeralSequential;
    /// let job = Tree::new(client).create("/zk/queue/job-", b"", &acl::file(), mode).await?;
    /// let queue = QueueLock::new(client, "/zk/queue", Default::default())?;
    /// queue.obtain(path::name(&job), Some(Duration::from_secs(5))).await?;
    /// // It is our turn until the node is deleted.
    /// Tree::new(client).delete(&job, -1).await
    /// # }
    /// ```
    pub fn obtain(&self, name: &str, timeout: Option<Duration>) -> Obtain<()> {
        let name = name.to_owned();
        self.wait(timeout, |inner, mut waiting| async move {
            let node = path::join(&inner.queue, &name);
            let context = |error: Error| error.during("obtain queue lock", Some(&node));
            inner.obtain(&mut waiting, &name, &node).await.map_err(context)
        })
    }

    /// Makes a node at the end of the queue, with `description` in it as `desc`, and waits until it is the first.
    ///
    /// Whatever becomes of the wait, the node is gone if this fails. Where it goes meanwhile, with its session or by another's
    /// hand, another is made, at the end of the queue. Errors as with [`QueueLock::obtain`], and
    /// [`Code::SEQUENCE_EXHAUSTED`] near the end of the server's numbers. A check (zero) makes a node too,
    /// and removes it.
    pub fn lock(&self, timeout: Option<Duration>, description: &str) -> Obtain<QueueHold> {
        let description = description.to_owned();
        self.wait(timeout, |inner, mut waiting| async move {
            match inner.lock(&mut waiting, &description).await {
                Ok(held) => {
                    let token = held.node.czxid;
                    *inner.held.lock() = Some(held);
                    Ok(QueueHold { inner: Some(inner), token })
                }
                Err(error) => Err(error.during("queue lock", Some(&inner.queue))),
            }
        })
    }

    /// Runs a wait as a task of its own, which cleans up when nobody waits for it any more.
    fn wait<T: Send + 'static, W: Future<Output = Result<T>> + Send + 'static>(
        &self,
        timeout: Option<Duration>,
        work: impl FnOnce(Arc<Inner>, Waiting) -> W,
    ) -> Obtain<T> {
        let inner = Arc::clone(&self.inner);
        let (cancel, cancelled) = oneshot::channel();
        let (done, outcome) = oneshot::channel();
        let deadline = timeout.map(|timeout| inner.zk.now() + timeout);
        let patience = Patience::new(&inner.zk, deadline, cancelled, Arc::clone(&inner.interrupter), None);
        let try_only = timeout.is_some_and(|timeout| timeout.is_zero());
        let work = work(inner, Waiting { patience, try_only });
        self.inner.zk.spawn(Box::pin(async move {
            // If nobody waits any more, a hold is dropped here, which releases it.
            drop(done.send(work.await));
        }));
        Obtain { outcome, _cancel: cancel }
    }

    /// Releases what [`QueueLock::lock`] obtained on this handle. When this returns `Ok` the node is gone.
    ///
    /// [`Code::NOT_HELD`] if it holds nothing; [`Code::LOCK_LOST`] if the node was gone before;
    /// [`Code::OUTCOME_UNKNOWN`] if the server did not confirm within the session timeout: the release then goes
    /// on by itself. In each case the handle no longer holds the lock.
    pub async fn unlock(&self) -> Result<()> {
        let held = self.inner.held.lock().take();
        match held {
            Some(held) => self.inner.release(held).await,
            None => Err(Error::new(Code::NOT_HELD).during("queue unlock", Some(&self.inner.queue))),
        }
    }

    /// The czxid of the node by which this handle holds the lock, greater than that of every earlier one
    /// with the same prefix; `None` if it holds none.
    pub fn token(&self) -> Option<i64> {
        self.inner.held.lock().as_ref().map(|held| held.node.czxid)
    }

    /// Ends one wait on this handle with [`Code::INTERRUPTED`]. If none is under way the interrupt is remembered,
    /// and ends the next one at its beginning.
    pub fn interrupt(&self) {
        self.inner.interrupter.interrupt();
    }

    /// Ends this handle and its clones: waits end with [`Code::CLOSED`], and what is held is released in the
    /// background.
    pub fn close(&self) {
        self.inner.interrupter.close();
        self.inner.abandon();
    }
}

impl fmt::Debug for QueueLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueLock").field("queue", &self.inner.queue).field("token", &self.token()).finish()
    }
}

/// A wait under way. Dropping it cancels the wait.
#[must_use = "dropping it cancels the wait"]
pub struct Obtain<T> {
    outcome: oneshot::Receiver<Result<T>>,
    _cancel: oneshot::Sender<()>,
}

impl<T> Obtain<T> {
    /// Cancels the wait, and waits for what became of it: [`Code::CANCELLED`], or the lock, if it was
    /// granted before.
    pub fn cancel(self) -> impl Future<Output = Result<T>> {
        drop(self._cancel);
        async move { self.outcome.await.unwrap_or_else(|_| Err(Code::CLOSED.into())) }
    }
}

impl<T> Future for Obtain<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = std::task::ready!(Pin::new(&mut self.outcome).poll(cx));
        Poll::Ready(outcome.unwrap_or_else(|_| Err(Code::CLOSED.into())))
    }
}

impl<T> fmt::Debug for Obtain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Obtain").finish_non_exhaustive()
    }
}

/// A queue lock that is held. Dropping it releases the lock in the background.
#[must_use = "dropping it releases the lock"]
pub struct QueueHold {
    inner: Option<Arc<Inner>>,
    token: i64,
}

impl QueueHold {
    /// The czxid of its node: greater than that of every earlier one with the same prefix.
    pub fn token(&self) -> i64 {
        self.token
    }

    /// Releases the lock; see [`QueueLock::unlock`].
    pub async fn release(mut self) -> Result<()> {
        let Some(inner) = self.inner.take() else { return Ok(()) };
        match inner.take_held(self.token) {
            Some(held) => inner.release(held).await,
            None => Err(Error::new(Code::NOT_HELD).during("queue unlock", Some(&inner.queue))),
        }
    }

    /// Leaves the lock with its handle, to be released by [`QueueLock::unlock`].
    pub fn keep(mut self) -> i64 {
        self.inner = None;
        self.token
    }
}

impl Drop for QueueHold {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take()
            && let Some(held) = inner.take_held(self.token)
        {
            inner.release_behind(held);
        }
    }
}

impl fmt::Debug for QueueHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueHold").field("token", &self.token).finish_non_exhaustive()
    }
}

/// How to wait.
struct Waiting {
    patience: Patience,
    /// It sees its steps to their end, and waits for nobody.
    try_only: bool,
}

impl Waiting {
    fn with<W: Future>(&mut self, work: W) -> With<'_, W> {
        self.patience.with_step(self.try_only, work)
    }
}

/// How a wait ended without the lock.
enum Setback {
    /// The node is not there, or another is there by its name.
    Gone,
    Fail(Error),
}

impl Setback {
    /// Whether the lock is not tried for again.
    fn is_final(&self) -> bool {
        matches!(self, Self::Fail(error) if error.code() != Code::SESSION_EXPIRED)
    }
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        Self::Fail(error)
    }
}

/// Where a name stands in a queue.
enum Place {
    First,
    Behind(String),
    Nowhere,
}

fn place(names: &[String], name: &str) -> Place {
    if !names.iter().any(|other| other == name) {
        return Place::Nowhere;
    }
    names
        .iter()
        .filter(|other| other.as_str() < name)
        .max()
        .map_or(Place::First, |before| Place::Behind(before.clone()))
}

impl Inner {
    /// The session that is connected.
    async fn session(&self, waiting: &mut Waiting) -> Result<i64> {
        let connected = waiting.patience.with(self.zk.connected(Time::NEVER)).await;
        connected.map_err(|over| match over.code() {
            Code::TIMEOUT if waiting.try_only => Error::new(Code::NOT_SENT).because("no server is connected"),
            Code::TIMEOUT => over.because("no server is connected"),
            _ => over,
        })?
    }

    // ---- a node of somebody else's making ----

    async fn obtain(&self, waiting: &mut Waiting, name: &str, node: &str) -> Result<()> {
        path::validate(node)?;
        if name.is_empty() || name.contains('/') {
            return Err(
                Error::new(Code::BAD_ARGUMENT).because("the name of a child of the queue is asked for")
            );
        }
        waiting.patience.unless_over(waiting.try_only).await?;
        self.session(waiting).await?;
        let mut synced = false;
        let mut czxid = None;
        let mut pause = Pause::new();
        loop {
            match self.wait_turn(waiting, name, &mut czxid, None).await {
                Ok(()) => return Ok(()),
                Err(Setback::Fail(error)) => return Err(error),
                // Another connection may have made it, of which our server has not heard yet.
                Err(Setback::Gone) if !synced && czxid.is_none() => {
                    match waiting.with(self.zk.sync(&self.queue, self.options(None))).await? {
                        Err(error) if !is_passing(&error) => return Err(error),
                        Err(error) if waiting.try_only => return Err(error),
                        Err(_) => waiting.with(pause.rest(&self.zk)).await?,
                        Ok(()) => synced = true,
                    }
                }
                Err(Setback::Gone) => {
                    let text =
                        if czxid.is_some() { "it was deleted meanwhile" } else { "it is not in the queue" };
                    return Err(Error::new(Code::NO_NODE).because(text));
                }
            }
        }
    }

    // ---- a node of our own ----

    async fn lock(&self, waiting: &mut Waiting, description: &str) -> Result<Held> {
        let turn = match Arc::clone(&self.turn).try_acquire_owned() {
            Ok(turn) => {
                // An interrupt or a close that came before is heeded before anything is sent.
                waiting.patience.unless_over(waiting.try_only).await?;
                turn
            }
            Err(_) if waiting.try_only => return Err(Code::TIMEOUT.into()),
            Err(_) => {
                let turn = waiting.patience.with(Arc::clone(&self.turn).acquire_owned()).await?;
                turn.map_err(|_| Error::new(Code::CLOSED))?
            }
        };
        loop {
            let session = self.session(waiting).await?;
            match self.enqueue(waiting, description, session).await {
                Ok(node) => return Ok(Held { node, _turn: turn }),
                Err(Setback::Fail(error)) if error.code() != Code::SESSION_EXPIRED => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// One try on one session.
    async fn enqueue(
        &self,
        waiting: &mut Waiting,
        description: &str,
        session: i64,
    ) -> Result<LockNode, Setback> {
        let Some((path, stat)) = self.create(waiting, description, session).await? else {
            return Err(Setback::Gone);
        };
        let patterns = std::slice::from_ref(&self.options.prefix);
        let node = LockNode::new(path, stat.czxid, session, None, patterns)?;
        let outcome = if (0..=LAST_SEQUENCE).contains(&node.sequence) {
            let mut czxid = Some(node.czxid);
            self.wait_turn(waiting, node.name(), &mut czxid, Some(session)).await
        } else {
            let text =
                format!("the server gave out {:?}; delete the queue while nobody uses it", node.name());
            Err(Error::new(Code::SEQUENCE_EXHAUSTED).because(text).into())
        };
        match outcome {
            Ok(()) => Ok(node),
            Err(setback) => {
                let is_final = setback.is_final();
                let zk = Arc::clone(&self.zk);
                let removal: BoxFuture<Removal> = match setback {
                    Setback::Gone => Box::pin(node::remove_if_there(zk, node, false)),
                    Setback::Fail(_) => Box::pin(node::remove(zk, node, false)),
                };
                waiting.patience.clean_up(&self.zk, is_final, removal).await;
                Err(setback)
            }
        }
    }

    /// Makes a node; `None` if it is to be tried again.
    async fn create(
        &self,
        waiting: &mut Waiting,
        description: &str,
        session: i64,
    ) -> Result<Option<(String, Stat)>, Setback> {
        let id = contents::uuid(self.zk.random(), self.zk.random());
        let request = Request::Create {
            path: path::join(&self.queue, &self.options.prefix),
            data: contents::render(&self.options.contents, &[], description, &id),
            acl: self.options.acl.clone(),
            mode: CreateMode::EphemeralSequential,
            ttl_ms: 0,
            with_stat: true,
        };
        let mut creation = self.zk.submit(request, step(&self.zk, session));
        let forget = |creation| {
            let patterns = vec![self.options.prefix.clone()];
            let (zk, queue) = (Arc::clone(&self.zk), self.queue.clone());
            Box::pin(node::forget(zk, creation, queue, id.clone(), session, patterns))
        };
        let answered = tokio::select! {
            biased;
            outcome = &mut creation => outcome,
            error = waiting.patience.over(), if !waiting.try_only => {
                if let Some(creation) = creation.withdraw() {
                    waiting.patience.clean_up(&self.zk, true, forget(Some(creation))).await;
                }
                return Err(error.into());
            }
        };
        match answered {
            Ok(answer) => match answer.response {
                Response::Create2 { path, stat } => Ok(Some((path, stat))),
                _ => Err(Error::new(Code::PROTOCOL).because("create was answered otherwise").into()),
            },
            Err(error) if error.code() == Code::NO_NODE => {
                let parents = self.zk.create_parents(
                    &self.queue,
                    &acl::of_parents(&self.options.acl),
                    step(&self.zk, session),
                );
                match waiting.with(parents).await? {
                    Err(error) if !is_passing(&error) => Err(error.into()),
                    _ => Ok(None),
                }
            }
            // It is not safe to go on before this is known: the node may be there.
            Err(error) if error.code() == Code::OUTCOME_UNKNOWN => {
                match waiting.with(node::recover(&self.zk, &self.queue, &id, session)).await {
                    Ok(found) => Ok(found?),
                    Err(over) => {
                        waiting.patience.clean_up(&self.zk, true, forget(None)).await;
                        Err(over.into())
                    }
                }
            }
            Err(error) if is_passing(&error) && !waiting.try_only => {
                waiting.with(Pause::new().rest(&self.zk)).await?;
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    // ---- wait ----

    fn options(&self, session: Option<i64>) -> OpOptions {
        match session {
            Some(session) => step(&self.zk, session),
            None => OpOptions::until(self.zk.now() + self.zk.session().timeout),
        }
    }

    /// Waits until a node is the first. `czxid` is that of the node that is meant, once it is known.
    async fn wait_turn(
        &self,
        waiting: &mut Waiting,
        name: &str,
        czxid: &mut Option<i64>,
        session: Option<i64>,
    ) -> Result<(), Setback> {
        let own = path::join(&self.queue, name);
        let mut pause = Pause::new();
        loop {
            let list = self.zk.children(&self.queue, self.options(session));
            let before = match waiting.with(list).await? {
                // The queue was made anew, without the node.
                Ok((_, listed)) if czxid.is_some_and(|czxid| !node::can_be_below(czxid, &listed)) => {
                    return Err(Setback::Gone);
                }
                Ok((names, _)) => match place(&names, name) {
                    Place::First => return Ok(()),
                    Place::Behind(before) => before,
                    Place::Nowhere => return Err(Setback::Gone),
                },
                Err(error) if error.code() == Code::NO_NODE => return Err(Setback::Gone),
                Err(error) if is_passing(&error) && !waiting.try_only => {
                    waiting.with(pause.rest(&self.zk)).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if waiting.try_only {
                return Err(Error::new(Code::TIMEOUT).because(format!("{before:?} is before it")).into());
            }
            // One flight: our own node, so that its end is not missed, and the one before it.
            let (own_read, own_watch) = self.zk.exists_watch(&own, self.options(session));
            let (read, watch) =
                self.zk.exists_watch(&path::join(&self.queue, &before), self.options(session));
            match waiting.with(async move { (own_read.await, read.await) }).await? {
                (Ok(Some(stat)), Ok(before)) => {
                    if *czxid.get_or_insert(stat.czxid) != stat.czxid {
                        return Err(Setback::Gone);
                    }
                    pause = Pause::new();
                    if before.is_none() {
                        // It went in between: look again.
                        continue;
                    }
                }
                (Ok(None), Ok(_)) => return Err(Setback::Gone),
                (Err(error), _) | (_, Err(error)) if is_passing(&error) => {
                    waiting.with(pause.rest(&self.zk)).await?;
                    continue;
                }
                // The session is over that the watches were for: look again on the next one.
                (Err(error), _) | (_, Err(error))
                    if session.is_none() && error.code() == Code::SESSION_EXPIRED =>
                {
                    continue;
                }
                (Err(error), _) | (_, Err(error)) => return Err(error.into()),
            }
            // Whatever it is, it is worth looking again.
            let either = async {
                tokio::select! {
                    biased;
                    event = watch => event,
                    event = own_watch => event,
                }
            };
            waiting.with(either).await?;
        }
    }

    // ---- release ----

    fn take_held(&self, token: i64) -> Option<Held> {
        self.held.lock().take_if(|held| held.node.czxid == token)
    }

    async fn release(&self, held: Held) -> Result<()> {
        let context = |error: Error| error.during("queue unlock", Some(&self.queue));
        let deadline = self.zk.now() + self.zk.session().timeout;
        let (done, finished) = oneshot::channel();
        self.release_to(held, Some(done));
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

    /// Removes the node, and only then gives the handle's turn to the next.
    fn release_to(&self, held: Held, done: Option<oneshot::Sender<Removal>>) {
        let zk = Arc::clone(&self.zk);
        self.zk.spawn(Box::pin(async move {
            let Held { node, _turn } = held;
            let removal = node::remove(zk, node, false).await;
            if let Some(done) = done {
                drop(done.send(removal));
            }
        }));
    }

    fn release_behind(&self, held: Held) {
        self.release_to(held, None);
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

/// Waits move to the IO thread, and handles are shared by threads.
const _: fn() = || {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<QueueLock>();
    shared::<QueueHold>();
};
