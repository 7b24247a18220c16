//! A claim: an ephemeral node by which one of several does something first, while it has it.

use super::contents;
use super::node::{self, LockNode, Pause, is_passing, step};
use crate::error::{Code, Result};
use crate::proto::{Acl, CreateMode, MultiOp};
use crate::zk::Zk;
use std::sync::Arc;

/// A claim that is ours. Dropping it removes it in the background.
pub(super) struct Claim {
    zk: Arc<dyn Zk>,
    node: Option<LockNode>,
}

impl Claim {
    /// Makes the node at this path on this session; `None` if somebody else's is there.
    pub(super) async fn take(zk: &Arc<dyn Zk>, at: &str, acl: &[Acl], session: i64) -> Result<Option<Self>> {
        // By this it is known again when an answer was lost.
        let id = contents::uuid(zk.random(), zk.random()).into_bytes();
        let ours = |stat| {
            let node = LockNode::plain(at, &stat, session);
            Some(Self { zk: Arc::clone(zk), node: Some(node) })
        };
        let mut pause = Pause::new();
        loop {
            let error = match zk.create(at, &id, acl, CreateMode::Ephemeral, step(zk, session)).await {
                Ok((_, stat)) => return Ok(ours(stat)),
                Err(error) => error,
            };
            let error = match error.code() {
                Code::NODE_EXISTS => match zk.get(at, step(zk, session)).await {
                    Ok((data, stat)) if data == id => return Ok(ours(stat)),
                    Ok(_) => return Ok(None),
                    Err(error) => error,
                },
                _ => error,
            };
            if !is_passing(&error) && error.code() != Code::NO_NODE {
                return Err(error);
            }
            pause.rest(zk).await;
        }
    }

    /// Its deletion, for the transaction that does what was claimed.
    pub(super) fn deletion(&self) -> Option<MultiOp> {
        let path = self.node.as_ref()?.path.clone();
        Some(MultiOp::Delete { path, version: -1 })
    }

    /// The transaction was answered: it is gone.
    pub(super) fn spent(mut self) {
        self.node = None;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(node) = self.node.take() {
            let zk = Arc::clone(&self.zk);
            // Another's may be there by now, if ours went with what we did and were not told of.
            self.zk.spawn(Box::pin(async move { drop(node::remove(zk, node, true).await) }));
        }
    }
}
