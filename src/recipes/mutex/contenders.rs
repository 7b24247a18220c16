//! Who holds the lock and who waits for it; and the reset of an idle one.

use super::persistence::{Claim, Owner, drifted};
use super::{Inner, Mutex};
use crate::error::{Code, Error, Result};
use crate::path;
use crate::proto::{Names, Stat};
use crate::recipes::contender::{self, Contender, LAST_SEQUENCE};
use crate::recipes::marker::{ParentData, Ranges};
use crate::recipes::{contents, persistent, revocation};
use crate::zk::OpOptions;

/// Somebody who holds the lock or waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContenderInfo {
    /// The name of its node.
    pub name: String,
    /// Its sequence number; the lowest holds the lock.
    pub sequence: i32,
    /// What its node holds.
    pub data: Vec<u8>,
    /// Its node's status: `czxid` is the fencing token, `ephemeral_owner` the session, or 0 if it is
    /// persistent, and `ctime` since when it is there, in ms since 1970 by the server's clock.
    pub stat: Stat,
    /// The host it runs on, if its node says so.
    pub hostname: Option<String>,
    /// Its process there.
    pub pid: Option<u64>,
    /// What it wants the lock for.
    pub description: Option<String>,
    /// Whether it lives.
    pub owner: Owner,
    /// Why it was asked to give the lock up, if it was.
    pub asked: Option<String>,
}

impl ContenderInfo {
    fn new(contender: Contender, data: Vec<u8>, stat: Stat, owner: Owner) -> Self {
        let object = contents::object(&data).unwrap_or_default();
        let text = |key: &str| object.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        Self {
            name: contender.name,
            sequence: contender.sequence,
            hostname: text("hostname"),
            pid: object.get("pid").and_then(serde_json::Value::as_u64),
            description: text("desc"),
            owner,
            asked: revocation::asked(&data),
            data,
            stat,
        }
    }
}

impl Mutex {
    /// Everybody who holds the lock or waits for it, in the order of service.
    pub async fn contenders(&self) -> Result<Vec<ContenderInfo>> {
        let (zk, path) = (&self.inner.zk, &self.inner.path);
        let names = match zk.names(path, OpOptions::default()).await {
            Ok((names, _)) => names,
            Err(error) if error.code() == Code::NO_NODE => Names::default(),
            Err(error) => return Err(error),
        };
        let all = contender::contenders(&names, &self.inner.options.extra_lock_patterns);
        let reads: Vec<_> =
            all.iter().map(|c| zk.get(&path::join(path, &c.name), OpOptions::default())).collect();
        let mut found = Vec::new();
        for (contender, read) in all.into_iter().zip(reads) {
            match read.await {
                Ok((data, stat)) => {
                    let owner = self.owner(&data, &stat).await?;
                    found.push(ContenderInfo::new(contender, data, stat, owner));
                }
                Err(error) if error.code() == Code::NO_NODE => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Whether the owner of a node lives. Only a persistent one has to be asked about.
    async fn owner(&self, data: &[u8], stat: &Stat) -> Result<Owner> {
        if stat.ephemeral_owner != 0 {
            return Ok(Owner::Living);
        }
        let Some(claim) = Claim::of(data) else { return Ok(Owner::Unknown) };
        let companion = persistent::companion(&self.inner.path, &claim.id);
        match self.inner.zk.get(&companion, OpOptions::default()).await {
            Ok((data, _)) if persistent::is_the_owners(&data) => Ok(Owner::Living),
            Ok(_) => Ok(Owner::Gone),
            Err(error) if error.code() == Code::NO_NODE => Ok(Owner::Gone),
            Err(error) => Err(error),
        }
    }

    /// Asks a contender to give the lock up, by the name of its node. Its holder is told the reason
    /// ([`Mutex::revocations`]), or as soon as it holds the lock, and decides; nothing is forced. Locks of this
    /// library and of Curator understand it.
    ///
    /// [`Code::NO_NODE`] where there is no such node; [`Code::NO_AUTH`] where its access control list lets us
    /// not write; [`Code::UNSUPPORTED`] for the node of a library that knows no such request.
    pub async fn request_revocation(&self, name: &str, reason: &str) -> Result<()> {
        let context = |error: Error| error.during("request revocation", Some(&self.inner.path));
        let at = self.contender_path(name).map_err(context)?;
        let zk = &self.inner.zk;
        loop {
            let (data, stat) = zk.get(&at, OpOptions::default()).await.map_err(context)?;
            let Some(changed) = revocation::request(name, &data, reason) else {
                let text = format!("the library of {name} knows no request to give the lock up");
                return Err(context(Error::new(Code::UNSUPPORTED).because(text)));
            };
            match zk.set(&at, &changed, stat.version, OpOptions::default()).await {
                // Somebody else asked meanwhile.
                Err(error) if error.code() == Code::BAD_VERSION => {}
                outcome => return outcome.map(drop).map_err(context),
            }
        }
    }

    /// Lets the numbers of an idle lock begin at 0 again: the remedy for [`Code::SEQUENCE_EXHAUSTED`]. The
    /// path is deleted, and made anew by the next acquire; tokens go on growing. Where strict mode was used and
    /// the last holder is not known to have left cleanly, this waits for the path's delay first, and the
    /// next strict holder waits for it too.
    ///
    /// [`Code::NOT_EMPTY`] while anybody holds the lock or waits for it, or other nodes are below it: then
    /// nothing is deleted.
    pub async fn reset(&self) -> Result<()> {
        let context = |error: Error| error.during("reset", Some(&self.inner.path));
        // The parent as it was before a wait, in which nobody may have come and gone.
        let mut outlived = None;
        loop {
            match self.start_again(&mut outlived).await {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                // Somebody took the lock and gave it back meanwhile.
                Err(error) if error.code() == Code::BAD_VERSION => {}
                Err(error) if error.code() == Code::NO_NODE => return Ok(()),
                Err(error) if error.code() == Code::NOT_EMPTY => {
                    let text = "somebody holds the lock or waits for it, or there are other nodes below it";
                    return Err(context(Error::new(Code::NOT_EMPTY).because(text)));
                }
                Err(error) => return Err(context(error)),
            }
        }
    }

    /// Deletes the path, if whoever held it last cannot believe so any more; false if it is to be tried again.
    async fn start_again(&self, outlived: &mut Option<(i64, i32)>) -> Result<bool> {
        let Inner { zk, path, options, .. } = &*self.inner;
        let (data, stat) = zk.get(path, OpOptions::default()).await?;
        if stat.num_children > 0 {
            return Err(Code::NOT_EMPTY.into());
        }
        if let ParentData::Marker(marker) = ParentData::parse(&data, stat.czxid) {
            // The number that the next node would get.
            let next = i32::try_from((i64::from(stat.cversion) + i64::from(stat.num_children)) >> 1);
            let is_clean = next.is_ok_and(|next| {
                (0..=LAST_SEQUENCE).contains(&next) && marker.is_clean_before(next, &Ranges::default())
            });
            let seen = Some((stat.czxid, stat.cversion));
            if !is_clean && *outlived != seen {
                zk.sleep_until(zk.now() + drifted(marker.delay, options.clock_drift)).await;
                *outlived = seen;
                return Ok(false);
            }
        }
        zk.delete(path, stat.version, OpOptions::default()).await.map(|()| true)
    }
}
