//! The life of one lock node: how it is found again when its creation was not answered, and how it
//! is removed for certain. `persistent.rs` has the same for nodes that no session takes along.

use super::{contender, contents, persistent};
use crate::error::{Code, Error, Result};
use crate::mutant::{Mutant, mutated};
use crate::path;
use crate::proto::{MultiOp, MultiResult, Response, Stat};
use crate::zk::{OpOptions, Reply, Zk};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// The first and the longest pause before something that failed is tried again.
const PAUSE: Duration = Duration::from_millis(20);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// A lock node of ours, identified by its path *and* its czxid: a parent that was made anew repeats names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LockNode {
    pub(super) path: String,
    pub(super) sequence: i32,
    pub(super) czxid: i64,
    /// The session that made it, and that an ephemeral one is bound to.
    pub(super) session: i64,
    /// The ephemeral node beside it that says that its owner lives, if it is persistent.
    pub(super) companion: Option<String>,
}

impl LockNode {
    /// The node that a creation on this session answered with.
    pub(super) fn new(
        path: String,
        czxid: i64,
        session: i64,
        companion: Option<String>,
        patterns: &[String],
    ) -> Result<Self> {
        match contender::sequence(path::name(&path), patterns) {
            Some(sequence) => Ok(Self { path, sequence, czxid, session, companion }),
            None => Err(Error::new(Code::PROTOCOL)
                .during("create", Some(&path))
                .because("the server answered with a name without a sequence number")),
        }
    }

    /// A node of this session without a number.
    pub(super) fn plain(path: &str, stat: &Stat, session: i64) -> Self {
        Self { path: path.to_owned(), sequence: 0, czxid: stat.czxid, session, companion: None }
    }

    pub(super) fn name(&self) -> &str {
        path::name(&self.path)
    }

    /// The options of one step with it: a persistent node is bound to no session.
    pub(super) fn step(&self, zk: &Arc<dyn Zk>) -> OpOptions {
        match self.companion {
            None => step(zk, self.session),
            Some(_) => persistent::step(zk),
        }
    }

    /// What deletes it, as operations of a transaction.
    pub(super) fn deletions(&self) -> Vec<MultiOp> {
        let all = [Some(&self.path), self.companion.as_ref()];
        let delete = |path: &String| MultiOp::Delete { path: path.clone(), version: -1 };
        all.into_iter().flatten().map(delete).collect()
    }
}

/// The options of one step on a session: a session's timeout without an answer is long enough to ask again.
pub(super) fn step(zk: &Arc<dyn Zk>, session: i64) -> OpOptions {
    OpOptions::until(zk.now() + zk.session().timeout).on(session)
}

/// Whether an error says nothing about ZooKeeper's nodes and passes by itself.
pub(super) fn is_passing(error: &Error) -> bool {
    matches!(
        error.code(),
        Code::CONNECTION_LOSS
            | Code::OPERATION_TIMEOUT
            | Code::NOT_SENT
            | Code::OUTCOME_UNKNOWN
            | Code::SESSION_MOVED
            | Code::REQUEST_TIMEOUT
            | Code::THROTTLED_OP
            | Code::NOT_READ_ONLY
    )
}

/// Whether an error says that the session, and with it every ephemeral node of it, is over.
pub(super) fn is_session_over(error: &Error) -> bool {
    matches!(error.code(), Code::SESSION_EXPIRED | Code::UNKNOWN_SESSION | Code::CLOSED | Code::AUTH_FAILED)
}

/// A pause that grows from call to call.
#[derive(Debug)]
pub(super) struct Pause {
    next: Duration,
    most: Duration,
}

impl Pause {
    pub(super) fn new() -> Self {
        Self::up_to(MAX_PAUSE)
    }

    pub(super) fn up_to(most: Duration) -> Self {
        Self { next: PAUSE, most }
    }

    pub(super) async fn rest(&mut self, zk: &Arc<dyn Zk>) {
        let until = zk.now() + self.next;
        self.next = (self.next * 2).min(self.most);
        zk.sleep_until(until).await;
    }
}

/// Whether a node with this czxid can be a child of the parent with this `Stat`: not of one that was made after it, which
/// has only the path of the parent that it was made in.
pub(super) fn can_be_below(czxid: i64, parent: &Stat) -> bool {
    czxid >= parent.czxid || mutated(Mutant::ForgetsParent)
}

/// What became of a node that was to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Removal {
    /// We deleted it.
    Deleted,
    /// It was gone before we deleted it.
    Gone,
    /// Its session is over, and took it along.
    SessionOver,
    /// The server will not let us.
    Refused(Error),
}

/// Removes a node of ours, however long that takes: it ends when the node is gone or its session is
/// over. `doubt` says that a deletion was sent before this call and not answered.
///
/// Then the node may be gone, its parent made anew, and the name another's. So a deletion is repeated only after a
/// look at the czxid, behind a barrier that decides about the one before: a follower that lags would still show
/// what is gone already. What is ours then goes by nobody's hand but ours.
pub(super) fn remove(zk: Arc<dyn Zk>, node: LockNode, doubt: bool) -> impl Future<Output = Removal> + Send {
    remove_looking(zk, node, doubt, doubt)
}

/// The same, where something said that the node may be gone, by another's hand: the look comes first.
pub(super) fn remove_if_there(
    zk: Arc<dyn Zk>,
    node: LockNode,
    doubt: bool,
) -> impl Future<Output = Removal> + Send {
    let look = doubt || !mutated(Mutant::LostNodeByName);
    remove_looking(zk, node, doubt, look)
}

async fn remove_looking(zk: Arc<dyn Zk>, node: LockNode, mut doubt: bool, look: bool) -> Removal {
    if let Some(companion) = node.companion.clone() {
        return Box::pin(persistent::remove(zk, node, companion, doubt)).await;
    }
    let mut pause = Pause::new();
    loop {
        let ours = if look || doubt { Box::pin(is_there(&zk, &node)).await } else { Ok(true) };
        let outcome = match ours {
            Ok(true) => zk.delete(&node.path, -1, step(&zk, node.session)).await,
            Ok(false) if doubt => return Removal::Deleted,
            Ok(false) => return Removal::Gone,
            Err(error) => Err(error),
        };
        let error = match outcome {
            Ok(()) => return Removal::Deleted,
            Err(error) => error,
        };
        match error.code() {
            Code::NO_NODE if doubt => return Removal::Deleted,
            Code::NO_NODE => return Removal::Gone,
            _ if is_session_over(&error) => return Removal::SessionOver,
            _ if !is_passing(&error) => {
                log::error!("the node could not be removed and stays while its session lives: {error}");
                return Removal::Refused(error);
            }
            _ if mutated(Mutant::RemovesOnce) => return Removal::Gone,
            code => doubt |= code == Code::OUTCOME_UNKNOWN,
        }
        Box::pin(pause.rest(&zk)).await;
    }
}

/// Whether the node is still there, and not another of its name.
pub(super) async fn is_there(zk: &Arc<dyn Zk>, node: &LockNode) -> Result<bool> {
    if mutated(Mutant::DeletesByName) {
        return Ok(true);
    }
    let parent = path::parent(&node.path).unwrap_or("/");
    let barrier = barrier(zk, parent, node.session);
    let look = zk.exists(&node.path, step(zk, node.session));
    match barrier.await {
        Ok(_) => {}
        Err(error) if error.code() == Code::NO_NODE => return Ok(false),
        Err(error) => return Err(error),
    }
    Ok(look.await?.is_some_and(|stat| stat.czxid == node.czxid || mutated(Mutant::CzxidNotCompared)))
}

/// Finds out whether a creation was applied whose answer did not come, and which node it made.
///
/// A transaction is committed behind the creation first, as a barrier: `multi[check(parent)]` goes
/// through the quorum, so whatever the session wrote before it is decided. (`sync` would not do: a
/// leader that was deposed answers it.) What is then seen on the same session is final.
pub(super) async fn recover(
    zk: &Arc<dyn Zk>,
    parent: &str,
    id: &str,
    session: i64,
) -> Result<Option<(String, Stat)>> {
    if mutated(Mutant::NoLook) {
        return Ok(None);
    }
    let mut pause = Pause::new();
    loop {
        match look(zk, parent, id, session).await {
            Err(error) if is_passing(&error) => pause.rest(zk).await,
            outcome => return outcome,
        }
    }
}

/// Commits a transaction behind everything that the session sent before.
pub(super) fn barrier(
    zk: &Arc<dyn Zk>,
    parent: &str,
    session: i64,
) -> impl Future<Output = Result<Vec<MultiResult>>> + use<> {
    let options = step(zk, session);
    let sync = mutated(Mutant::SyncAsBarrier).then(|| zk.sync(parent, options));
    let checks = vec![MultiOp::Check { path: parent.to_owned(), version: -1 }];
    let multi = (sync.is_none() && !mutated(Mutant::NoBarrier)).then(|| zk.multi(checks, options));
    async move {
        match (sync, multi) {
            (Some(sync), _) => sync.await.map(|()| Vec::new()),
            (_, Some(multi)) => multi.await,
            _ => Ok(Vec::new()),
        }
    }
}

async fn look(zk: &Arc<dyn Zk>, parent: &str, id: &str, session: i64) -> Result<Option<(String, Stat)>> {
    if mutated(Mutant::AdoptsEarlierSession) {
        return look_on_any_session(zk, parent, id).await;
    }
    let barrier = barrier(zk, parent, session);
    let ephemerals = zk.ephemerals(parent, step(zk, session));
    match barrier.await {
        Ok(_) => {}
        Err(error) if error.code() == Code::NO_NODE => return Ok(None),
        // A lent connection without transactions: what is seen next may not be final.
        Err(error) if error.code() == Code::UNSUPPORTED => {}
        Err(error) => return Err(error),
    }
    let mine: Vec<String> = match ephemerals.await {
        Ok(paths) => paths.into_iter().filter(|at| path::parent(at) == Some(parent)).collect(),
        // Servers before 3.6 do not have it, nor do lent connections.
        Err(error) if matches!(error.code(), Code::UNIMPLEMENTED | Code::UNSUPPORTED) => {
            match zk.children(parent, step(zk, session)).await {
                Ok((names, _)) => names.iter().map(|name| path::join(parent, name)).collect(),
                Err(error) if error.code() == Code::NO_NODE => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Err(error) => return Err(error),
    };
    // All at once: these are the locks of one client below one path.
    let reads: Vec<_> = mine.iter().map(|at| zk.get(at, step(zk, session))).collect();
    for (at, read) in mine.iter().zip(reads) {
        match read.await {
            Ok((data, stat))
                if stat.ephemeral_owner == session
                    && (contents::has_id(&data, id) || mutated(Mutant::AnyOwnNode)) =>
            {
                return Ok(Some((at.clone(), stat)));
            }
            Ok(_) => {}
            Err(error) if matches!(error.code(), Code::NO_NODE | Code::NO_AUTH) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// An error put back: the node may be of a session that is over, and go with it.
async fn look_on_any_session(zk: &Arc<dyn Zk>, parent: &str, id: &str) -> Result<Option<(String, Stat)>> {
    let names = match zk.children(parent, OpOptions::default()).await {
        Ok((names, _)) => names,
        Err(error) if error.code() == Code::NO_NODE => return Ok(None),
        Err(error) => return Err(error),
    };
    for at in names.iter().map(|name| path::join(parent, name)) {
        if let Ok((data, stat)) = zk.get(&at, OpOptions::default()).await
            && contents::has_id(&data, id)
        {
            return Ok(Some((at, stat)));
        }
    }
    Ok(None)
}

/// Sees to it that a creation which nobody waits for any more leaves no node behind. `creation` is
/// what its answer comes by, or `None` where it is known already that none will come.
pub(super) async fn forget(
    zk: Arc<dyn Zk>,
    creation: Option<Reply>,
    parent: String,
    id: String,
    session: i64,
    patterns: Vec<String>,
) {
    let answered = match creation {
        Some(creation) => creation.await,
        None => Err(Code::OUTCOME_UNKNOWN.into()),
    };
    let found = match answered {
        Ok(answer) => match answer.response {
            Response::Create2 { path, stat } => Some((path, stat)),
            _ => None,
        },
        Err(error) if error.code() == Code::OUTCOME_UNKNOWN => {
            recover(&zk, &parent, &id, session).await.unwrap_or_else(|error| {
                if !is_session_over(&error) {
                    log::error!("a lock node may have been left behind while its session lives: {error}");
                }
                None
            })
        }
        Err(_) => None,
    };
    if let Some((path, stat)) = found
        && let Ok(node) = LockNode::new(path, stat.czxid, session, None, &patterns)
    {
        remove(zk, node, false).await;
    }
}
