//! The pid node: one ephemeral node that says that its owner lives.
//!
//! It exists while its owner lives and is connected. Where it goes, with its session or by somebody's
//! hand, it is made again with the same data and permissions. Dropping or closing the handle removes it.
//!
//! **A node in the way** is never taken from a live owner. Whether an owner lives cannot be seen: the node of
//! one that died stays for its session timeout. So it is waited for, by default for one and a half of our own session timeouts
//! (the servers expire sessions by their tick, which is at most half of it), and then the creation is refused
//! with [`Code::NODE_EXISTS`] and names the owner. [`TakeOver`] says otherwise.
//!
//! **Answers that were lost.** A creation that was not answered is made again on the same session; a node of this
//! session that is found then is ours. A deletion is made again while the node with our czxid is there. ZooKeeper
//! cannot delete by czxid, so the node is looked at right before it is deleted; somebody who deletes it and makes
//! another in between those two requests loses that one.

use super::claim::Claim;
use super::keeper::Loss;
use super::node::{self, LockNode, Pause, Removal, is_passing, is_session_over, step};
use crate::acl;
use crate::client::Client;
use crate::error::{Code, Error, Result};
use crate::mutant::{Mutant, mutated};
use crate::path;
use crate::proto::{Acl, CreateMode, MultiOp, Request, Response, Stat};
use crate::sync::Mutex as Locked;
use crate::time::Time;
use crate::zk::Zk;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// The longest pause between two tries to make the node again.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// How often a node in the way is replaced that comes again at once.
const TAKE_OVERS: u32 = 3;

/// Whose node may be replaced when the pid node is first made. Later a node in the way is never replaced: two owners
/// who both may would take it from each other for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(i32)]
pub enum TakeOver {
    /// Nobody's.
    #[default]
    Never = 0,
    /// One that no session keeps, and that no owner's end would therefore remove: a persistent one without children.
    /// While it is replaced an ephemeral node of the same name with `-takeover` behind it is there.
    Dead = 1,
    /// Anybody's, at once; its owner is told that it lost it.
    Live = 2,
}

/// How a pid node is made.
#[derive(Debug, Clone)]
pub struct PidNodeOptions {
    /// The access control list, each time it is made. Default: anyone, as a file.
    pub acl: Vec<Acl>,
    /// Whose node may be replaced. Default: nobody's.
    pub take_over: TakeOver,
    /// How long another's node is waited for. Default: one and a half session timeouts.
    pub wait: Option<Duration>,
}

impl Default for PidNodeOptions {
    fn default() -> Self {
        Self { acl: acl::file(), take_over: TakeOver::Never, wait: None }
    }
}

/// What became of a pid node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PidEvent {
    /// It is there.
    Made {
        /// Its czxid.
        czxid: i64,
        /// The session that keeps it.
        session: i64,
    },
    /// It is gone, and is being made again; after [`Loss::ClientClosed`] it is not.
    Lost(Loss),
    /// It cannot be made for now: somebody's node stands in the way ([`Code::NODE_EXISTS`]), or the server
    /// refuses. It is made as soon as that node is gone, or tried again after a pause of at most 30 s.
    Refused(Error),
}

/// A node that says that its owner lives. Dropping it removes the node in the background.
#[must_use = "dropping it removes the node"]
pub struct PidNode {
    inner: Arc<Inner>,
    finished: oneshot::Receiver<Removal>,
    closed: watch::Sender<bool>,
}

struct Inner {
    zk: Arc<dyn Zk>,
    path: String,
    data: Vec<u8>,
    options: PidNodeOptions,
    status: Locked<Status>,
}

#[derive(Default)]
struct Status {
    last: Option<PidEvent>,
    listeners: Vec<mpsc::UnboundedSender<PidEvent>>,
}

impl PidNode {
    /// Makes the node, whose parent has to exist, and keeps it from then on.
    ///
    /// [`Code::NODE_EXISTS`] if somebody else's node stood in the way for as long as [`PidNodeOptions::wait`], or one of this very session
    /// that is another handle's; [`Code::NOT_SENT`] if no server can be reached, and the server's own, such as
    /// [`Code::NO_NODE`]. Dropping the future ends it, and no node stays. Whoever drops one, or its
    /// creation, and at once makes another of the same path by the same client, may find the first in the way.
    ///
    /// ```no_run
    /// # async fn example(client: &zkhelper::Client) -> zkhelper::Result<()> {
    /// use zkhelper::{PidNode, PidNodeOptions};
    ///
    /// let pid = std::process::id().to_string();
    /// let node = PidNode::create(client, "/zk/app/pid", pid.as_bytes(), PidNodeOptions::default()).await?;
    /// // … it is there while the program runs …
    /// node.close().await
    /// # }
    /// ```
    pub async fn create(client: &Client, path: &str, data: &[u8], options: PidNodeOptions) -> Result<Self> {
        Self::over(Arc::clone(client.zk()), path, data, options).await
    }

    /// The same, over anything that carries requests to ZooKeeper.
    pub async fn over(zk: Arc<dyn Zk>, path: &str, data: &[u8], options: PidNodeOptions) -> Result<Self> {
        let context = |error: Error| error.during("pid node", Some(path));
        path::validate(path).map_err(context)?;
        if options.acl.is_empty() {
            return Err(context(Error::new(Code::BAD_ARGUMENT).because("the access control list is empty")));
        }
        let (path, data) = (path.to_owned(), data.to_vec());
        let inner = Arc::new(Inner { zk, path, data, options, status: Locked::default() });
        let (closed, hears) = watch::channel(false);
        let (made, first) = oneshot::channel();
        let (done, finished) = oneshot::channel();
        let keeping = Arc::clone(&inner);
        inner.zk.spawn(Box::pin(async move {
            let removal = keeping.keep(Closed(hears), made).await;
            drop(done.send(removal));
        }));
        let node = Self { inner, finished, closed };
        match first.await {
            Ok(Ok(())) => Ok(node),
            Ok(Err(error)) => Err(error.during("pid node", Some(&node.inner.path))),
            Err(_) => Err(Code::CLOSED.into()),
        }
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    /// Whether it is there, as far as is known: what happened last was [`PidEvent::Made`].
    pub fn is_there(&self) -> bool {
        matches!(self.inner.status.lock().last, Some(PidEvent::Made { .. }))
    }

    /// What becomes of it, and first of all how it stands now.
    pub fn events(&self) -> mpsc::UnboundedReceiver<PidEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut status = self.inner.status.lock();
        if let Some(last) = &status.last {
            drop(sender.send(last.clone()));
        }
        status.listeners.push(sender);
        receiver
    }

    /// Removes the node. When this returns `Ok` it is gone, or its client was closed, with whose session it goes. [`Code::OUTCOME_UNKNOWN`] if the server did not
    /// confirm within the session timeout: the removal then goes on until the node or its session is gone.
    pub async fn close(mut self) -> Result<()> {
        self.closed.send_replace(true);
        let deadline = self.inner.zk.now() + self.inner.zk.session().timeout;
        let removal = tokio::select! {
            biased;
            removal = &mut self.finished => removal.unwrap_or(Removal::SessionOver),
            () = self.inner.zk.sleep_until(deadline) => {
                let text = "no confirmation yet; the removal goes on until the node or its session is gone";
                let error = Error::new(Code::OUTCOME_UNKNOWN).because(text);
                return Err(error.during("close pid node", Some(&self.inner.path)));
            }
        };
        match removal {
            Removal::Refused(error) => Err(error.during("close pid node", Some(&self.inner.path))),
            Removal::Deleted | Removal::Gone | Removal::SessionOver => Ok(()),
        }
    }
}

impl fmt::Debug for PidNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PidNode").field("path", &self.inner.path).field("there", &self.is_there()).finish()
    }
}

/// Our node may be there: made by a request that was not answered.
#[derive(Clone, Copy)]
struct Doubt {
    session: i64,
    /// It got a greater number than this. What has a lesser one is an earlier handle's, which is about to remove it.
    since: i64,
}

impl Doubt {
    fn covers(self, stat: &Stat, session: i64) -> bool {
        let after = stat.czxid > self.since || mutated(Mutant::AnyPidNodeOfSession);
        self.session == session && stat.ephemeral_owner == session && after
    }
}

/// How an attempt stands that found somebody's node in the way.
struct Standing {
    /// Whether it is the first one, which may take that node's place.
    first: bool,
    /// Until when to wait for it.
    until: Option<Time>,
    /// How often it was tried to replace it.
    replaced: u32,
}

/// Whether the handle was closed or dropped.
struct Closed(watch::Receiver<bool>);

impl Closed {
    /// What `work` answers; `None` if the handle ends first.
    async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            // Also where its other end is gone.
            _ = self.0.wait_for(|closed| *closed) => None,
            result = work => Some(result),
        }
    }
}

/// How an attempt to make the node ended otherwise.
enum Setback {
    /// The handle was closed.
    Closed,
    Fail(Error),
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        Self::Fail(error)
    }
}

impl Inner {
    /// The whole life of the node; answers with how it went in the end.
    async fn keep(&self, mut closed: Closed, made: oneshot::Sender<Result<()>>) -> Removal {
        let mut made = Some(made);
        let mut doubt = None;
        let mut pause = Pause::up_to(MAX_PAUSE);
        loop {
            let first = made.is_some();
            match self.make(&mut closed, &mut doubt, first).await {
                Ok(node) => {
                    pause = Pause::up_to(MAX_PAUSE);
                    self.tell(PidEvent::Made { czxid: node.czxid, session: node.session });
                    if let Some(made) = made.take() {
                        // If nobody waits any more, the handle is gone too, and that is heard next.
                        drop(made.send(Ok(())));
                    }
                    let Some(loss) = self.watch(&mut closed, &node).await else {
                        return self.remove(node).await;
                    };
                    log::warn!("pid node {:?}: lost on session {:#x}: {loss}", self.path, node.session);
                    self.tell(PidEvent::Lost(loss));
                    if loss == Loss::ClientClosed {
                        return Removal::SessionOver;
                    }
                }
                Err(Setback::Closed) => return self.forget(doubt).await,
                Err(Setback::Fail(error)) => {
                    if let Some(made) = made.take() {
                        let removal = self.forget(doubt).await;
                        drop(made.send(Err(error)));
                        return removal;
                    }
                    if is_session_over(&error) && error.code() != Code::SESSION_EXPIRED {
                        self.tell(PidEvent::Lost(Loss::ClientClosed));
                        return Removal::SessionOver;
                    }
                    log::warn!("pid node {:?}: not made again: {error}", self.path);
                    let in_the_way = error.code() == Code::NODE_EXISTS;
                    self.tell(PidEvent::Refused(error));
                    let waited = closed.or(async {
                        if !in_the_way || self.until_gone().await.is_err() {
                            pause.rest(&self.zk).await;
                        }
                    });
                    if waited.await.is_none() {
                        return self.forget(doubt).await;
                    }
                }
            }
        }
    }

    fn tell(&self, event: PidEvent) {
        let mut status = self.status.lock();
        status.listeners.retain(|listener| listener.send(event.clone()).is_ok());
        status.last = Some(event);
    }

    /// Makes the node. `doubt` says whether it may have been made without an answer. Only the `first` time
    /// may it take the place of another's.
    async fn make(
        &self,
        closed: &mut Closed,
        doubt: &mut Option<Doubt>,
        first: bool,
    ) -> Result<LockNode, Setback> {
        let mut standing = Standing { first, until: None, replaced: 0 };
        let mut pause = Pause::up_to(MAX_PAUSE);
        loop {
            // The first time somebody waits for the answer.
            let patience = if first { self.zk.now() + self.zk.session().timeout * 2 } else { Time::NEVER };
            let session = closed.or(self.zk.connected(patience)).await.ok_or(Setback::Closed)??;
            if doubt.is_some_and(|doubt| doubt.session != session) {
                // It went with its session.
                *doubt = None;
            }
            let since = self.zk.session().zxid;
            let mut creation = self.zk.submit(self.creation(), step(&self.zk, session));
            let outcome = match closed.or(&mut creation).await {
                Some(outcome) => outcome,
                // Once it was sent it is not left alone before its outcome is known.
                None => match creation.withdraw() {
                    Some(creation) => creation.await,
                    None => return Err(Setback::Closed),
                },
            };
            let error = match outcome.map(|answer| answer.response) {
                Ok(Response::Create2 { stat, .. }) => return Ok(LockNode::plain(&self.path, &stat, session)),
                Ok(_) => return Err(Error::new(Code::PROTOCOL).during("create", Some(&self.path)).into()),
                Err(error) => error,
            };
            match error.code() {
                Code::OUTCOME_UNKNOWN => _ = doubt.get_or_insert(Doubt { session, since }),
                Code::SESSION_EXPIRED => {}
                Code::NODE_EXISTS => {
                    let found = self.make_way(closed, doubt, session, &mut standing).await?;
                    if let Some(stat) = found {
                        return Ok(LockNode::plain(&self.path, &stat, session));
                    }
                }
                _ if is_passing(&error) => {
                    closed.or(pause.rest(&self.zk)).await.ok_or(Setback::Closed)?;
                }
                _ => return Err(error.into()),
            }
        }
    }

    fn creation(&self) -> Request {
        Request::Create {
            path: self.path.clone(),
            data: self.data.clone(),
            acl: self.options.acl.clone(),
            mode: CreateMode::Ephemeral,
            ttl_ms: 0,
            with_stat: true,
        }
    }

    /// Deals with the node that is there: it is ours after all, or goes, or is refused after a while.
    async fn make_way(
        &self,
        closed: &mut Closed,
        doubt: &mut Option<Doubt>,
        session: i64,
        standing: &mut Standing,
    ) -> Result<Option<Stat>, Setback> {
        let (read, watch) = self.zk.exists_watch(&self.path, step(&self.zk, session));
        let stat = match closed.or(read).await.ok_or(Setback::Closed)? {
            Ok(Some(stat)) => stat,
            Ok(None) => return Ok(None),
            Err(error) if is_passing(&error) || error.code() == Code::SESSION_EXPIRED => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let owner = stat.ephemeral_owner;
        if doubt.is_some_and(|doubt| doubt.covers(&stat, session)) {
            *doubt = None;
            return Ok(Some(stat));
        }
        let taken = match self.options.take_over {
            TakeOver::Never => false,
            TakeOver::Dead => owner == 0,
            TakeOver::Live => true,
        };
        let refuse = |why: String| Err(Error::new(Code::NODE_EXISTS).because(why).into());
        if taken && standing.first && standing.replaced < TAKE_OVERS {
            return self.replace(closed, &stat, session, doubt, standing).await.map(|()| None);
        }
        if owner == 0 {
            return refuse("it is persistent, so nobody's end removes it".to_owned());
        }
        if owner == session {
            return refuse("this session has made it already, by another handle".to_owned());
        }
        let wait = self.options.wait.unwrap_or_else(|| self.zk.session().timeout.mul_f64(1.5));
        let until = *standing.until.get_or_insert(self.zk.now() + wait);
        let gone = closed.or(async {
            tokio::select! {
                biased;
                _ = watch => true,
                () = self.zk.sleep_until(until) => false,
            }
        });
        match gone.await {
            None => Err(Setback::Closed),
            Some(true) => Ok(None),
            Some(false) => refuse(format!("session {owner:#x} has kept it for {} ms", wait.as_millis())),
        }
    }

    /// Puts our node in the place of another, at one stroke. What comes of it the next creation tells.
    ///
    /// The transaction names a version, but not a czxid, and every node begins with version 0: somebody else may have
    /// replaced the dead owner's node by its own since we looked. So who may not replace a live owner's claims
    /// the path first, and looks again: while it has the claim nobody else replaces anything.
    async fn replace(
        &self,
        closed: &mut Closed,
        stat: &Stat,
        session: i64,
        doubt: &mut Option<Doubt>,
        standing: &mut Standing,
    ) -> Result<(), Setback> {
        let mut claim = None;
        if self.options.take_over == TakeOver::Dead && !mutated(Mutant::TakesOverByVersion) {
            let at = format!("{}-takeover", self.path);
            claim = match Claim::take(&self.zk, &at, &self.options.acl, session).await {
                Err(error) if error.code() == Code::SESSION_EXPIRED => return Ok(()),
                Err(error) => return Err(error.into()),
                Ok(None) => {
                    let (read, watch) = self.zk.exists_watch(&at, step(&self.zk, session));
                    if let Ok(Some(_)) = closed.or(read).await.ok_or(Setback::Closed)? {
                        closed.or(watch).await.ok_or(Setback::Closed)?;
                    }
                    return Ok(());
                }
                Ok(claim) => claim,
            };
            match self.zk.exists(&self.path, step(&self.zk, session)).await {
                Ok(Some(now)) if now.czxid == stat.czxid => {}
                Ok(_) => return Ok(()),
                Err(error) if is_passing(&error) || error.code() == Code::SESSION_EXPIRED => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        standing.replaced += 1;
        let mut ops = vec![
            MultiOp::Delete { path: self.path.clone(), version: stat.version },
            MultiOp::Create {
                path: self.path.clone(),
                data: self.data.clone(),
                acl: self.options.acl.clone(),
                mode: CreateMode::Ephemeral,
                ttl_ms: 0,
                with_stat: false,
            },
        ];
        ops.extend(claim.as_ref().and_then(Claim::deletion));
        let since = self.zk.session().zxid;
        let mut doubted = || _ = doubt.get_or_insert(Doubt { session, since });
        log::warn!("pid node {:?}: taken over from session {:#x}", self.path, stat.ephemeral_owner);
        match self.zk.multi(ops, step(&self.zk, session)).await {
            // Without its status: the creation that follows finds it, and it is known to be ours.
            Ok(_) => {
                doubted();
                if let Some(claim) = claim {
                    claim.spent();
                }
            }
            Err(error) if error.code() == Code::OUTCOME_UNKNOWN => doubted(),
            Err(error) if is_passing(&error) => {}
            Err(error)
                if matches!(
                    error.code(),
                    Code::NO_NODE | Code::BAD_VERSION | Code::NODE_EXISTS | Code::SESSION_EXPIRED
                ) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Waits until the node is lost, and says why; `None` if the handle is closed before.
    async fn watch(&self, closed: &mut Closed, node: &LockNode) -> Option<Loss> {
        let mut pause = Pause::up_to(MAX_PAUSE);
        loop {
            let (read, watch) = self.zk.exists_watch(&self.path, step(&self.zk, node.session));
            match closed.or(read).await? {
                Ok(Some(stat)) if stat.czxid == node.czxid => {
                    pause = Pause::up_to(MAX_PAUSE);
                    // Whatever it is, the next look tells.
                    closed.or(watch).await?;
                }
                Ok(_) => return Some(Loss::NodeDeleted),
                Err(error) if error.code() == Code::SESSION_EXPIRED => return Some(Loss::SessionOver),
                Err(error) if is_session_over(&error) => return Some(Loss::ClientClosed),
                Err(_) => closed.or(pause.rest(&self.zk)).await?,
            }
        }
    }

    /// Waits until no node is there.
    async fn until_gone(&self) -> Result<()> {
        loop {
            let session = self.zk.connected(Time::NEVER).await?;
            let (read, watch) = self.zk.exists_watch(&self.path, step(&self.zk, session));
            match read.await {
                Ok(None) => return Ok(()),
                Ok(Some(_)) => drop(watch.await),
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes our node, and nobody else's.
    async fn remove(&self, node: LockNode) -> Removal {
        match self.zk.exists(&self.path, step(&self.zk, node.session)).await {
            Ok(Some(stat)) if stat.czxid == node.czxid => {}
            Ok(_) => return Removal::Gone,
            Err(error) if is_session_over(&error) => return Removal::SessionOver,
            // As far as is known it is ours, and an orphan would be worse.
            Err(_) => {}
        }
        node::remove(Arc::clone(&self.zk), node, false).await
    }

    /// Removes the node that may have been made without an answer.
    async fn forget(&self, doubt: Option<Doubt>) -> Removal {
        let Some(doubt) = doubt else { return Removal::Gone };
        let session = doubt.session;
        let mut pause = Pause::up_to(MAX_PAUSE);
        loop {
            // Whether it was made is decided only behind a transaction of the same session.
            let barrier = node::barrier(&self.zk, path::parent(&self.path).unwrap_or("/"), session);
            let look = self.zk.exists(&self.path, step(&self.zk, session));
            let seen = match barrier.await {
                Ok(_) => look.await,
                Err(error) => Err(error),
            };
            match seen {
                Ok(Some(stat)) if doubt.covers(&stat, session) => {
                    let node = LockNode::plain(&self.path, &stat, session);
                    return node::remove(Arc::clone(&self.zk), node, false).await;
                }
                Ok(_) => return Removal::Gone,
                Err(error) if error.code() == Code::NO_NODE => return Removal::Gone,
                Err(error) if is_session_over(&error) => return Removal::SessionOver,
                Err(error) if !is_passing(&error) => return Removal::Refused(error),
                Err(_) => pause.rest(&self.zk).await,
            }
        }
    }
}
