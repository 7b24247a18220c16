//! Who holds the lock and who waits for it; and the reset of an idle one.

use super::Mutex;
use crate::error::{Code, Error, Result};
use crate::path;
use crate::proto::Stat;
use crate::recipes::contender::Contender;
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
    /// Its node's status: `czxid` is the fencing token, `ephemeral_owner` the session.
    pub stat: Stat,
}

impl Mutex {
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
}
