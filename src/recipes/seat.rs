//! The places of one client in the queues of its locks: whoever waits behind a holder of the same client hears from
//! that holder itself that the lock is free.
//!
//! A holder was the lowest, so when its node is gone everybody before it is, too. The server's event alone does not say
//! *how* it went: the end of the session, which is also the session of the one that waits, deletes both nodes in any
//! order. The answer to the holder's own deletion says it: that was a write of a session that lived.

use crate::mutant::{Mutant, mutated};
use crate::sync::Mutex as Locked;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How far a place's owner has come; the last two are for ever.
mod stage {
    /// Its node is in the queue, or holds the lock.
    pub(super) const TAKEN: u8 = 0;
    /// It held, has stopped believing, and its node is being deleted.
    pub(super) const LEAVING: u8 = 1;
    /// It held, and the deletion of its node was answered.
    pub(super) const LEFT: u8 = 2;
    /// It went in any other way.
    pub(super) const GONE: u8 = 3;
}

/// All the places of one client, by the paths of their nodes.
#[derive(Default)]
pub(super) struct Seats(Locked<HashMap<Arc<str>, Arc<Neighbour>>>);

/// A place as others see it. A channel would take several times the memory, for each of thousands.
pub(super) struct Neighbour {
    pub(super) czxid: i64,
    stage: AtomicU8,
    changed: Notify,
}

/// How many take places at once. Getting into a queue takes twice the memory of waiting there, which leaves holes if thousands
/// do it side by side; this many keep a connection busy.
const ENTRANCE: usize = 256;

/// Where those who are to get into a queue wait for those before them.
pub(super) struct Entrance(Arc<Semaphore>);

impl Default for Entrance {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ENTRANCE)))
    }
}

impl Entrance {
    /// Ends when one may get into a queue, in the order in which this is called.
    pub(super) async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        // It is never closed.
        Arc::clone(&self.0).acquire_owned().await.ok()
    }

    /// The same without a wait.
    pub(super) fn try_enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// One's own place, until this is dropped.
pub(super) struct Seat {
    seats: Arc<Seats>,
    path: Arc<str>,
    own: Arc<Neighbour>,
}

impl Seats {
    /// Takes the place of a node that was created.
    pub(super) fn take(self: &Arc<Self>, path: &str, czxid: i64) -> Seat {
        let own = Neighbour { czxid, stage: AtomicU8::new(stage::TAKEN), changed: Notify::new() };
        let (path, own) = (Arc::<str>::from(path), Arc::new(own));
        self.0.lock().insert(Arc::clone(&path), Arc::clone(&own));
        Seat { seats: Arc::clone(self), path, own }
    }

    /// The place of a node, if it is one of this client's.
    pub(super) fn find(&self, path: &str) -> Option<Arc<Neighbour>> {
        self.0.lock().get(path).cloned()
    }
}

impl Neighbour {
    fn stage(&self) -> u8 {
        self.stage.load(Ordering::Acquire)
    }

    fn enter(&self, stage: u8) {
        self.stage.store(stage, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Ends when it held the lock and its deletion was answered, with true; with false when it went in any other way.
    pub(super) async fn left(&self) -> bool {
        loop {
            // Before the look: what changes from here on is heard of.
            let changed = self.changed.notified();
            match self.stage() {
                stage::LEFT => return true,
                stage::GONE => return mutated(Mutant::NeighbourGaveUp),
                _ => changed.await,
            }
        }
    }

    /// Whether it is about to leave, or has left.
    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.stage(), stage::LEAVING | stage::LEFT)
    }
}

impl Seat {
    /// It held, does not believe any more, and its node is about to be deleted.
    pub(super) fn leaving(&self) {
        self.own.enter(stage::LEAVING);
    }

    /// It held, and the deletion of its node was answered.
    pub(super) fn left(self) {
        self.own.enter(stage::LEFT);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        {
            let mut all = self.seats.0.lock();
            // A parent that was made anew repeats names.
            if all.get(&self.path).is_some_and(|there| Arc::ptr_eq(there, &self.own)) {
                all.remove(&self.path);
            }
        }
        // Only its owner changes it.
        if self.own.stage() != stage::LEFT {
            self.own.enter(stage::GONE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn now<T>(work: impl Future<Output = T>) -> Poll<T> {
        pin!(work).poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn so_many_get_in_at_once_and_the_others_in_order() {
        let entrance = Entrance::default();
        let mut inside: Vec<_> = (0..ENTRANCE).map(|_| entrance.try_enter().expect("room")).collect();
        assert!(entrance.try_enter().is_none());
        let (mut first, mut second) = (Box::pin(entrance.enter()), Box::pin(entrance.enter()));
        assert!(now(first.as_mut()).is_pending() && now(second.as_mut()).is_pending());
        inside.pop();
        assert!(entrance.try_enter().is_none(), "nobody goes before who waits");
        assert!(now(second.as_mut()).is_pending() && now(first.as_mut()).is_ready());
    }

    #[test]
    fn only_a_holder_whose_deletion_was_answered_has_left() {
        let seats = Arc::new(Seats::default());
        let holder = seats.take("/lock/lock-0000000001", 7);
        let seen = seats.find("/lock/lock-0000000001").expect("a neighbour");
        assert!(seen.czxid == 7 && !seen.is_leaving() && now(seen.left()).is_pending());
        holder.leaving();
        assert!(seen.is_leaving() && now(seen.left()).is_pending());
        holder.left();
        assert_eq!(now(seen.left()), Poll::Ready(true));
        assert!(seats.find("/lock/lock-0000000001").is_none());
    }

    #[test]
    fn whoever_gives_up_or_is_not_answered_is_gone_and_a_name_that_is_repeated_stays() {
        let seats = Arc::new(Seats::default());
        let first = seats.take("/lock/lock-0000000001", 7);
        let seen = seats.find("/lock/lock-0000000001").expect("a neighbour");
        first.leaving();
        let second = seats.take("/lock/lock-0000000001", 9);
        drop(first);
        assert_eq!(now(seen.left()), Poll::Ready(false));
        assert_eq!(seats.find("/lock/lock-0000000001").map(|there| there.czxid), Some(9));
        drop(second);
        assert!(seats.find("/lock/lock-0000000001").is_none());
    }
}
