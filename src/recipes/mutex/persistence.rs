//! Persistent locks whose owner is gone: who owns them, and how they are released.

use super::{Mutex, Persistent};
use crate::error::{Code, Error, Result};
use crate::mutant::{Mutant, mutated};
use crate::path;
use crate::proto::{CreateMode, Stat};
use crate::recipes::node::{LockNode, Removal, step};
use crate::recipes::{contender, contents, persistent};
use crate::zk::{OpOptions, Zk};
use std::sync::Arc;
use std::time::Duration;

/// Whether the owner of a lock node lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Owner {
    /// Its session does: the node is ephemeral, or has its companion.
    Living = 1,
    /// The node is persistent, and its companion is gone, or somebody's who releases the lock.
    Gone = 2,
    /// The node is persistent and says nothing of its owner, as those of the old Go package.
    Unknown = 3,
}

/// What a persistent node made by this library says of itself.
pub(super) struct Claim {
    pub(super) id: String,
    pub(super) lease: Duration,
}

impl Claim {
    pub(super) fn of(data: &[u8]) -> Option<Self> {
        let object = contents::object(data)?;
        let lease = Duration::from_millis(object.get(persistent::LEASE_KEY)?.as_u64()?);
        let id = contents::id_in(&object)?.to_owned();
        // What somebody wrote there must make neither a path of its own nor a release that waits too short.
        let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (plain && Persistent::LEASES.contains(&lease)).then_some(Self { id, lease })
    }
}

/// Removes a companion of a release when that ends, also if nobody waits for it any more.
struct Companion {
    zk: Arc<dyn Zk>,
    path: String,
    session: i64,
    data: Vec<u8>,
}

impl Drop for Companion {
    fn drop(&mut self) {
        let (path, data) = (std::mem::take(&mut self.path), std::mem::take(&mut self.data));
        let removal = persistent::remove_companion(Arc::clone(&self.zk), path, self.session, data);
        self.zk.spawn(Box::pin(removal));
    }
}

impl Mutex {
    /// Releases the persistent lock node `name` of this path if its owner is gone, so that the next in line has
    /// the lock. It waits for as long as the owner may still believe, which stands in the node: its lease and a
    /// little more. Dropping the future leaves the lock as it was, and so does any failure but an unknown outcome.
    ///
    /// [`Code::NODE_EXISTS`] while the owner lives, or somebody else is releasing the lock; [`Code::NO_NODE`]
    /// where there is no such node; [`Code::UNSUPPORTED`] where the node does not say who owns it, which only
    /// [`Mutex::release_by_force`] can release; [`Code::BAD_ARGUMENT`] for an ephemeral node, which ends with its
    /// session; [`Code::SESSION_EXPIRED`] if ours was over meanwhile: begin again.
    pub async fn release_dead(&self, name: &str) -> Result<()> {
        let context = |error: Error| error.during("release", Some(&self.inner.path));
        let (at, data, stat) = self.persistent_node(name).await.map_err(context)?;
        let Some(Claim { id, lease }) = Claim::of(&data) else {
            let text = format!("{name} does not say who owns it; whoever knows may release it by force");
            return Err(context(Error::new(Code::UNSUPPORTED).because(text)));
        };
        let zk = &self.inner.zk;
        let session = zk.connected(zk.now() + zk.session().timeout).await.map_err(context)?;
        let companion = persistent::companion(&self.inner.path, &id);
        // If the owner's session had not ended, its companion were there; from here on it cannot renew.
        let data = persistent::not_the_owner();
        let _ours = Companion { zk: Arc::clone(zk), path: companion.clone(), session, data: data.clone() };
        let acl = &self.inner.options.acl;
        let made = if mutated(Mutant::CompanionWithoutLock) {
            zk.create(&companion, &data, acl, CreateMode::Ephemeral, step(zk, session)).await.map(drop)
        } else {
            zk.multi(persistent::make_companion(&at, &companion, &data, acl), step(zk, session))
                .await
                .map(drop)
        };
        match made {
            Ok(()) => {}
            Err(error) if error.code() == Code::NODE_EXISTS => {
                let text = format!("the owner of {name} lives, or somebody else is releasing it");
                return Err(context(Error::new(Code::NODE_EXISTS).because(text)));
            }
            Err(error) => return Err(context(error)),
        }
        if !mutated(Mutant::ReleasesAtOnce) {
            let until = zk.now() + drifted(lease, self.inner.options.clock_drift);
            log::info!(
                "lock {at:?}: its owner is gone, or has {} ms to believe",
                until.since(zk.now()).as_millis()
            );
            zk.sleep_until(until).await;
        }
        self.still_there(&at, &stat, session).await.map_err(context)?;
        // The companion is checked by being deleted, on the session that made it.
        let patterns = &self.inner.options.extra_lock_patterns;
        let node = LockNode::new(at, stat.czxid, session, Some(companion), patterns).map_err(context)?;
        match zk.multi(node.deletions(), step(zk, session)).await {
            Ok(_) => {}
            Err(error) if error.code() == Code::NO_NODE && error.path() == Some(&node.path) => {}
            Err(error) => return Err(context(error)),
        }
        log::warn!("lock {:?}: released, since its owner is gone", node.path);
        Ok(())
    }

    /// Releases the persistent lock node `name` of this path, whether its owner lives or not: for a human who
    /// knows that nobody relies on it any more. `czxid` names which one is meant, as [`Mutex::contenders`] shows it.
    ///
    /// [`Code::BAD_VERSION`] where the node has another czxid: nothing is deleted then; [`Code::NO_NODE`] where
    /// there is none; [`Code::BAD_ARGUMENT`] for an ephemeral node, which ends with its session.
    pub async fn release_by_force(&self, name: &str, czxid: i64) -> Result<()> {
        let context = |error: Error| error.during("release by force", Some(&self.inner.path));
        let (at, data, stat) = self.persistent_node(name).await.map_err(context)?;
        if stat.czxid != czxid {
            let text = format!("the czxid of {name} is {}, not {czxid}", stat.czxid);
            return Err(context(Error::new(Code::BAD_VERSION).because(text)));
        }
        let companion = Claim::of(&data).map(|claim| persistent::companion(&self.inner.path, &claim.id));
        let patterns = &self.inner.options.extra_lock_patterns;
        let zk = Arc::clone(&self.inner.zk);
        log::warn!("lock {at:?}: released by force, czxid {czxid}");
        // Without a claim the companion is one that never was: the node is deleted alone.
        let companion = companion.unwrap_or_else(|| persistent::companion(&self.inner.path, "none"));
        let node = LockNode::new(at, czxid, 0, Some(companion.clone()), patterns).map_err(context)?;
        match persistent::remove(zk, node, companion, false).await {
            Removal::Refused(error) => Err(context(error)),
            _ => Ok(()),
        }
    }

    /// A node of this path by its name, if it is a contender's and persistent.
    async fn persistent_node(&self, name: &str) -> Result<(String, Vec<u8>, Stat)> {
        let at = self.contender_path(name)?;
        let (data, stat) = self.inner.zk.get(&at, OpOptions::default()).await?;
        if stat.ephemeral_owner != 0 {
            let text = format!("{name} is ephemeral, and ends with session {:#x}", stat.ephemeral_owner);
            return Err(Error::new(Code::BAD_ARGUMENT).because(text));
        }
        Ok((at, data, stat))
    }

    /// The path of a contender's node by its name.
    pub(super) fn contender_path(&self, name: &str) -> Result<String> {
        if name.contains('/') || contender::sequence(name, &self.inner.options.extra_lock_patterns).is_none()
        {
            let text = format!("{name:?} is not a contender's name, such as lock-0000000007");
            return Err(Error::new(Code::BAD_ARGUMENT).because(text));
        }
        Ok(path::join(&self.inner.path, name))
    }

    async fn still_there(&self, at: &str, seen: &Stat, session: i64) -> Result<()> {
        let zk = &self.inner.zk;
        match zk.exists(at, step(zk, session)).await? {
            Some(stat) if stat.czxid == seen.czxid => Ok(()),
            Some(stat) => {
                let text = format!("{at} is another node now, with czxid {}", stat.czxid);
                Err(Error::new(Code::BAD_VERSION).because(text))
            }
            None => Err(Error::new(Code::NO_NODE).because("somebody else has released it")),
        }
    }
}

/// How long another clock's time may take by ours.
pub(super) fn drifted(time: Duration, drift: f64) -> Duration {
    time.mul_f64((1.0 + drift) / (1.0 - drift))
}
