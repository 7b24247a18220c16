//! Who of this process may delete a node by its name.
//!
//! A deletion cannot name the node that is meant, only its path. Whoever has looked and seen its own there may be sure
//! that it still is only if nobody else deletes it in between; other sessions do not, and those of one client take turns.

use crate::client::process;
use crate::mutant::{Mutant, mutated};
use crate::sync::Mutex;
use crate::zk::Zk;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// By connection and path there.
type Turns = HashMap<(usize, String), Weak<Turn<()>>>;

/// By process: in a forked child the parent's may be locked for ever.
static TURNS: [OnceLock<Mutex<Turns>>; process::DEPTH] = [const { OnceLock::new() }; process::DEPTH];

/// Waits until no one else deletes this node over this connection, until what this answers is dropped. `None` in a
/// process that can do nothing there anyway.
pub(super) async fn take(zk: &Arc<dyn Zk>, path: &str) -> Option<OwnedMutexGuard<()>> {
    if mutated(Mutant::CompanionsDeletedAtOnce) || mutated(Mutant::CompanionByOldLook) {
        return None;
    }
    let turn = {
        let mut turns = TURNS.get(process::index()?)?.get_or_init(Mutex::default).lock();
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = turns.entry((Arc::as_ptr(zk).addr(), path.to_owned())).or_default();
        turn.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Turn::new(()));
            *turn = Arc::downgrade(&new);
            new
        })
    };
    Some(turn.lock_owned().await)
}
