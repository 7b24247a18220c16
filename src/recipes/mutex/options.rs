//! How a mutex is made, and what cannot work.

use crate::error::{Code, Error, Result};
use crate::proto::{Acl, permissions};
use crate::recipes::{contents, revocation};
use serde_json::{Map, Value};
use std::ops::RangeInclusive;
use std::time::Duration;

/// How a mutex is made.
#[derive(Debug, Clone, PartialEq)]
pub struct MutexOptions {
    /// The access control list of the lock nodes and of the parents that have to be made. Whoever is
    /// to contend needs CREATE, DELETE and READ on the parent, and in strict mode WRITE; whoever is to ask for
    /// the lock needs READ and WRITE on the lock nodes. Default: anyone, everything.
    pub acl: Vec<Acl>,
    /// Further keys of the JSON object in the lock node; `hostname`, `pid`, `desc` and `id` are added.
    pub contents: Map<String, Value>,
    /// What goes before the sequence number in the names of other contenders, besides `lock-` (ours,
    /// Curator's, go-zookeeper's) and `__lock__` (kazoo's).
    pub extra_lock_patterns: Vec<String>,
    /// Exclusion that counts on nothing of the servers. Every client of the path has to use the same.
    pub strict: Option<Strict>,
    /// A lock that outlasts its owner's session, until the owner or [`super::Mutex::release_dead`] releases it.
    /// Not together with strict mode. Both kinds contend with each other on one path.
    pub persistent: Option<Persistent>,
    /// How much faster or slower than another client's this machine's clock may run, as a fraction;
    /// counts in strict mode and when a persistent lock is released. Default 0.01.
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

/// A persistent lock: its node stays when its owner's session ends, and keeps everybody else out.
///
/// That costs who crashes: nobody has the lock until somebody has released it. The owner's node has an
/// ephemeral companion `owner-<id>`, which says whether the owner lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Persistent {
    /// How long the owner believes after it sent the last renewal that a quorum committed, and how long
    /// therefore a release of the lock waits. Default 10 s.
    pub lease: Duration,
}

impl Persistent {
    /// What a lease may be.
    pub(super) const LEASES: RangeInclusive<Duration> =
        Duration::from_millis(100)..=Duration::from_secs(86_400);
}

impl Default for Persistent {
    fn default() -> Self {
        Self { lease: Duration::from_secs(10) }
    }
}

impl Default for MutexOptions {
    fn default() -> Self {
        Self {
            acl: vec![Acl::world(permissions::ALL)],
            contents: Map::new(),
            extra_lock_patterns: Vec::new(),
            strict: None,
            persistent: None,
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
        if self.contents.contains_key(revocation::REVOKE_KEY) {
            return refuse(format!("the key {:?} of the contents asks for the lock", revocation::REVOKE_KEY));
        }
        if let Some(persistent) = self.persistent {
            if self.strict.is_some() {
                return refuse(
                    "a lock is either strict or persistent: each has a lease of its own".to_owned(),
                );
            }
            if !Persistent::LEASES.contains(&persistent.lease)
                || persistent.lease.subsec_nanos() % 1_000_000 != 0
            {
                return refuse(format!(
                    "a lease of whole milliseconds, at least 100 ms and at most a day, not {persistent:?}"
                ));
            }
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
