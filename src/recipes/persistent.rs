//! Persistent lock nodes: made with an ephemeral companion, found again by it, and removed with it.
//!
//! The companion `owner-<id>` says that the owner lives. It is made in the transaction that makes the lock
//! node, and whoever else makes it, as a release tool does, keeps the owner from renewing. Its name comes
//! behind `lock-` in the order of text: the old Go package takes the first name of all for the holder.
//!
//! What is done here is bound to no session, since a persistent node is not.

use super::contender::LOCK_PREFIX;
use super::contents;
use super::node::{LockNode, Pause, Removal, is_passing, is_session_over};
use crate::error::{Code, Error, Result};
use crate::mutant::{Mutant, mutated};
use crate::path;
use crate::proto::{Acl, CreateMode, MultiOp, MultiResult, Request, Response};
use crate::time::Time;
use crate::zk::{Answer, OpOptions, Reply, Zk};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The key in a persistent lock node's contents that tells how long its owner believes after a renewal (ms).
pub(super) const LEASE_KEY: &str = "lease";

/// What an owner's companion holds.
pub(super) const THE_OWNER: &[u8] = b"";

/// What a companion holds that is not the owner's: its lock is about to be released, or was never made. It names
/// the release by a number, and no two of a session are the same: whoever made one does not take another's for it.
pub(super) fn not_the_owner() -> Vec<u8> {
    static RELEASES: AtomicU64 = AtomicU64::new(0);
    let all_alike = mutated(Mutant::CompanionsAlike);
    let release = if all_alike { 0 } else { RELEASES.fetch_add(1, Ordering::Relaxed) % 900_000_000 };
    // Nine digits each time.
    format!(r#"{RELEASE}{}}}"#, 100_000_000 + release).into_bytes()
}

/// What these begin with.
const RELEASE: &str = r#"{"by":"#;

/// Whether a companion with these contents is the owner's.
pub(super) fn is_the_owners(companion: &[u8]) -> bool {
    !companion.starts_with(RELEASE.as_bytes())
}

/// The companion of the attempt with this id.
pub(super) fn companion(parent: &str, id: &str) -> String {
    path::join(parent, &format!("owner-{id}"))
}

/// The options of one step on whatever session there is.
pub(super) fn step(zk: &Arc<dyn Zk>) -> OpOptions {
    OpOptions::until(zk.now() + zk.session().timeout)
}

/// The transaction that makes a companion of a lock that is there. None is made of a lock that is gone: whoever had one
/// before and is about to remove it would meet another's by its name.
pub(super) fn make_companion(lock: &str, path: &str, data: &[u8], acl: &[Acl]) -> Vec<MultiOp> {
    vec![MultiOp::Check { path: lock.to_owned(), version: -1 }, new_companion(path.to_owned(), data, acl)]
}

fn new_companion(path: String, data: &[u8], acl: &[Acl]) -> MultiOp {
    MultiOp::Create {
        path,
        data: data.to_vec(),
        acl: acl.to_vec(),
        mode: CreateMode::Ephemeral,
        ttl_ms: 0,
        with_stat: false,
    }
}

/// The transaction that makes a lock node and its companion.
pub(super) fn creation(parent: &str, data: Vec<u8>, id: &str, acl: &[Acl]) -> Request {
    let lock = MultiOp::Create {
        path: path::join(parent, LOCK_PREFIX),
        data,
        acl: acl.to_vec(),
        mode: CreateMode::PersistentSequential,
        ttl_ms: 0,
        with_stat: false,
    };
    Request::Multi(vec![lock, new_companion(companion(parent, id), THE_OWNER, acl)])
}

/// What that transaction made: the lock node's path and czxid, and when it was asked for.
///
/// No server before 3.9 tells a created node's status in a transaction. Its czxid is the transaction's own
/// number, with which the answer comes: a server answers a write right after it has applied it. A connection
/// that is lent may not tell that number: then it is 0, and [`czxid_of`] asks.
pub(super) fn created(answer: Answer) -> Result<(String, i64, Time)> {
    let Response::Multi(results) = answer.response else {
        return Err(Error::new(Code::PROTOCOL).because("a multi was answered otherwise"));
    };
    let failed = |r: &&MultiResult| r.err() != 0 && r.err() != Code::RUNTIME_INCONSISTENCY.number();
    if let Some(failed) = results.iter().find(failed) {
        return Err(Error::new(Code::from_number(failed.err())));
    }
    match results.into_iter().next() {
        Some(MultiResult::Create { path } | MultiResult::Create2 { path, .. }) => {
            Ok((path, answer.zxid, answer.sent_at))
        }
        _ => Err(Error::new(Code::PROTOCOL).because("a create in a multi was answered otherwise")),
    }
}

/// The czxid of a node that was made a moment ago; `None` if it is gone already.
pub(super) async fn czxid_of(zk: &Arc<dyn Zk>, at: &str) -> Result<Option<i64>> {
    let mut pause = Pause::new();
    loop {
        match zk.exists(at, step(zk)).await {
            Err(error) if passes(&error) => pause.rest(zk).await,
            outcome => return outcome.map(|stat| stat.map(|stat| stat.czxid)),
        }
    }
}

/// Whether this error only says that this session is over: the next one may do.
fn is_between_sessions(error: &Error) -> bool {
    matches!(error.code(), Code::SESSION_EXPIRED | Code::UNKNOWN_SESSION)
}

fn passes(error: &Error) -> bool {
    is_passing(error) || is_between_sessions(error)
}

/// Removes a lock node of ours and its companion, however long that takes and whatever becomes of the session.
pub(super) async fn remove(zk: Arc<dyn Zk>, node: LockNode, companion: String, mut doubt: bool) -> Removal {
    let mut pause = Pause::new();
    loop {
        // While the companion is there the parent was not made anew, so the name is still ours.
        let ops = vec![delete(&node.path), delete(&companion)];
        let error = match zk.multi(ops, step(&zk)).await {
            Ok(_) => return Removal::Deleted,
            Err(error) => error,
        };
        let error = match error.code() {
            Code::NO_NODE if error.path() == Some(&node.path) => {
                let session = zk.session().id;
                remove_companion(zk, companion, session, THE_OWNER.to_vec()).await;
                return if doubt { Removal::Deleted } else { Removal::Gone };
            }
            // The companion went with its session.
            Code::NO_NODE => match remove_alone(&zk, &node, doubt).await {
                Ok(removal) => return removal,
                Err(error) => error,
            },
            _ => error,
        };
        doubt |= error.code() == Code::OUTCOME_UNKNOWN;
        if !passes(&error) && error.code() != Code::BAD_VERSION {
            log::error!("the persistent lock node {:?} could not be removed and stays: {error}", node.path);
            return Removal::Refused(error);
        }
        pause.rest(&zk).await;
    }
}

fn delete(path: &str) -> MultiOp {
    MultiOp::Delete { path: path.to_owned(), version: -1 }
}

/// Removes the lock node if it is still the one with our czxid.
async fn remove_alone(zk: &Arc<dyn Zk>, node: &LockNode, doubt: bool) -> Result<Removal> {
    let gone = if doubt { Removal::Deleted } else { Removal::Gone };
    match zk.exists(&node.path, step(zk)).await? {
        Some(stat) if stat.czxid == node.czxid || mutated(Mutant::CzxidNotCompared) => {
            match zk.delete(&node.path, stat.version, step(zk)).await {
                Err(error) if error.code() == Code::NO_NODE => Ok(gone),
                outcome => outcome.map(|()| Removal::Deleted),
            }
        }
        _ => Ok(gone),
    }
}

/// Removes a companion of this session that nobody needs any more, at the latest with the session. `data` is
/// what it holds: one that says otherwise is another's, also if the session is the same.
///
/// Whoever calls may have sent a deletion that was not answered. Another releaser may have made a companion of
/// this name since; so it is looked for behind a transaction, like a lock node in `node.rs`. Between that look and the
/// deletion only who removes the lock too, or the end of the session, deletes it, and then no other is made.
pub(super) async fn remove_companion(zk: Arc<dyn Zk>, companion: String, session: i64, data: Vec<u8>) {
    let mut pause = Pause::new();
    loop {
        match try_remove_companion(&zk, &companion, session, &data).await {
            Err(error) if is_passing(&error) => pause.rest(&zk).await,
            _ => return,
        }
    }
}

async fn try_remove_companion(zk: &Arc<dyn Zk>, companion: &str, session: i64, data: &[u8]) -> Result<()> {
    let parent = path::parent(companion).unwrap_or("/");
    let barrier = (!mutated(Mutant::CompanionByOldLook)).then(|| super::node::barrier(zk, parent, session));
    let look = zk.get(companion, super::node::step(zk, session));
    if let Some(barrier) = barrier {
        match barrier.await {
            // A lent connection without transactions: what is seen next may be old.
            Err(error) if error.code() != Code::UNSUPPORTED => return Err(error),
            _ => {}
        }
    }
    match look.await? {
        (found, stat) if stat.ephemeral_owner == session && found == data => {
            zk.delete(companion, stat.version, super::node::step(zk, session)).await
        }
        _ => Ok(()),
    }
}

/// Sees to it that a creation whose answer nobody waits for leaves no lock node, now or later.
///
/// Whoever has made the companion knows: the creation was applied before, and then the lock node is found by
/// its id, or it never will be, since a late copy of it finds the companion there. So the companion is a fence,
/// and making it is the transaction behind which a look is final. It stays for two session timeouts, by which
/// time no late copy is carried on the session of the creation.
pub(super) async fn forget(
    zk: Arc<dyn Zk>,
    creation: Option<Reply>,
    parent: String,
    id: String,
    acl: Vec<Acl>,
    patterns: Vec<String>,
) {
    let answered = match creation {
        Some(creation) => creation.await,
        None => Err(Code::OUTCOME_UNKNOWN.into()),
    };
    let fence = companion(&parent, &id);
    let data = not_the_owner();
    let found = match answered {
        Ok(answer) => match created(answer) {
            Ok((path, 0, _)) => czxid_of(&zk, &path).await.map(|czxid| czxid.map(|czxid| (path, czxid))),
            Ok((path, czxid, _)) => Ok(Some((path, czxid))),
            // Refused: nothing was made.
            Err(_) => return,
        },
        Err(error) if error.code() == Code::OUTCOME_UNKNOWN => {
            find(&zk, &parent, &id, &fence, &data, &acl).await
        }
        Err(_) => return,
    };
    match found {
        Ok(Some((path, czxid))) => {
            // The session does not matter for a persistent node.
            if let Ok(node) = LockNode::new(path, czxid, 0, Some(fence.clone()), &patterns) {
                remove(zk, node, fence, false).await;
            }
        }
        Ok(None) => {
            let session = zk.session().id;
            let until = zk.now() + zk.session().timeout * 2;
            let later = Arc::clone(&zk);
            zk.spawn(Box::pin(async move {
                later.sleep_until(until).await;
                remove_companion(later, fence, session, data).await;
            }));
        }
        Err(error) => log::error!("a persistent lock node may have been left below {parent:?}: {error}"),
    }
}

/// Makes the companion, and looks for the lock node with this id behind that. What it answers is final.
async fn find(
    zk: &Arc<dyn Zk>,
    parent: &str,
    id: &str,
    fence: &str,
    data: &[u8],
    acl: &[Acl],
) -> Result<Option<(String, i64)>> {
    let mut pause = Pause::new();
    loop {
        let made = if mutated(Mutant::NoFence) {
            Ok(())
        } else {
            zk.create(fence, data, acl, CreateMode::Ephemeral, step(zk)).await.map(drop)
        };
        let outcome = match made {
            Ok(()) => by_id(zk, parent, id).await,
            // The creation's own, or ours from a try that was not answered.
            Err(error) if error.code() == Code::NODE_EXISTS => by_id(zk, parent, id).await,
            Err(error) if error.code() == Code::NO_NODE => Ok(None),
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if passes(&error) && !is_over(&error) => pause.rest(zk).await,
            outcome => return outcome,
        }
    }
}

/// Whether no session of this client comes any more.
fn is_over(error: &Error) -> bool {
    is_session_over(error) && !is_between_sessions(error)
}

async fn by_id(zk: &Arc<dyn Zk>, parent: &str, id: &str) -> Result<Option<(String, i64)>> {
    let names = match zk.children(parent, step(zk)).await {
        Ok((names, _)) => names,
        Err(error) if error.code() == Code::NO_NODE => return Ok(None),
        Err(error) => return Err(error),
    };
    let ours = names.iter().filter(|name| name.starts_with(LOCK_PREFIX));
    let reads: Vec<_> = ours
        .map(|name| path::join(parent, name))
        .map(|at| {
            let read = zk.get(&at, step(zk));
            (at, read)
        })
        .collect();
    for (at, read) in reads {
        match read.await {
            Ok((data, stat)) if contents::has_id(&data, id) => return Ok(Some((at, stat.czxid))),
            Ok(_) => {}
            Err(error) if matches!(error.code(), Code::NO_NODE | Code::NO_AUTH) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
