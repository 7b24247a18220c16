//! The mutex: `PATH/lock-<sequence>`, ephemeral by default; whoever has the lowest sequence number holds it.
//!
//! Kept here: the order of holders by fencing token (the czxid of their node: ZooKeeper's own write
//! order); service in the order of arrival; no lost wake-up: a waiter watches the one node before its
//! own, and looks again after every event and every reconnect; exclusion until `valid_until`, and the
//! news of a loss by then ([`Keeper`]).
//!
//! In default mode `valid_until` counts on the servers' session timeout. In strict mode ([`Strict`]) it counts on
//! nothing of the servers: a holder believes no longer than its lease after the last renewal
//! that a quorum committed, and a successor that cannot see that everybody before it left cleanly waits that
//! long. Who left cleanly is written in the parent's data (`marker.rs`), in the transaction that
//! deletes the node, so a clean hand-over costs no delay.
//!
//! A persistent lock ([`Persistent`]) outlasts its owner's session: it is held until the owner, or a release
//! that has waited for the owner's lease, deletes its node. Nothing of the servers' clocks counts there either.
//!
//! An acquire runs as a task of its own. Whoever asked for it may stop waiting at any moment; the task
//! then removes what it made, however long that takes, so that a cancelled acquire leaves no node.

mod acquire;
mod contenders;
mod hold;
mod options;
mod persistence;
mod strict;
mod turn;

pub use acquire::Acquire;
pub use contenders::ContenderInfo;
pub use hold::{Hold, LostHold, Revocation};
pub use options::{MutexOptions, Persistent, Strict};
pub use persistence::Owner;

use super::keeper::Keeper;
use super::patience::{Interrupter, Patience};
use crate::client::Client;
use crate::error::{Code, Error, Result};
use crate::path;
use crate::proto::{MultiOp, MultiResult};
use crate::sync::Mutex as Locked;
use crate::time::Time;
use crate::zk::Zk;
use hold::Held;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use strict::Memory;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// A distributed lock. Clones are the same lock: at most one of them holds it at a time, and a second
/// acquire queues behind the first.
#[derive(Clone)]
pub struct Mutex {
    inner: Arc<Inner>,
}

struct Inner {
    zk: Arc<dyn Zk>,
    keeper: Arc<Keeper>,
    path: String,
    /// As those of other handles that were made alike.
    options: Arc<MutexOptions>,
    /// One at a time within this handle, in order of arrival.
    turn: Arc<Semaphore>,
    held: Locked<Option<Box<Held>>>,
    interrupter: Arc<Interrupter>,
    memory: Memory,
    losses: Locked<Vec<mpsc::UnboundedSender<LostHold>>>,
    revocations: Locked<Vec<mpsc::UnboundedSender<Revocation>>>,
}

impl Mutex {
    /// A lock on this path, not yet taken. Nothing is sent.
    pub fn new(client: &Client, path: &str, options: MutexOptions) -> Result<Self> {
        Self::over(Arc::clone(client.zk()), Arc::clone(client.keeper()), path, options)
    }

    /// The same, over anything that carries requests to ZooKeeper. One keeper serves all the locks of
    /// a connection.
    pub fn over(zk: Arc<dyn Zk>, keeper: Arc<Keeper>, path: &str, options: MutexOptions) -> Result<Self> {
        path::validate(path).map_err(|e| e.during("mutex", Some(path)))?;
        options.validate().map_err(|e| e.during("mutex", Some(path)))?;
        if (options.strict.is_some() || options.persistent.is_some()) && zk.session().without_lease {
            let text =
                "strict and persistent locks need transactions, which the lent connection does not have";
            return Err(Error::new(Code::UNSUPPORTED).during("mutex", Some(path)).because(text));
        }
        if path == "/" {
            let text = "the root cannot be a lock: its children belong to everyone";
            return Err(Error::new(Code::BAD_PATH).during("mutex", Some(path)).because(text));
        }
        let memory = Memory::new(options.strict.is_some());
        let options = keeper.share(options);
        Ok(Self {
            inner: Arc::new(Inner {
                zk,
                keeper,
                path: path.to_owned(),
                options,
                turn: Arc::new(Semaphore::new(1)),
                held: Locked::new(None),
                interrupter: Arc::default(),
                memory,
                losses: Locked::new(Vec::new()),
                revocations: Locked::new(Vec::new()),
            }),
        })
    }

    /// The path contended for.
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    /// Acquires the lock; `description` goes into the lock node as `desc`.
    ///
    /// `None` waits for ever, zero does not wait for others. Errors: [`Code::TIMEOUT`], [`Code::INTERRUPTED`],
    /// [`Code::CLOSED`], [`Code::SEQUENCE_EXHAUSTED`], and the server's own, such as [`Code::NO_AUTH`].
    /// Dropping the future cancels the acquire, and no lock node stays behind.
    pub fn lock(&self, timeout: Option<Duration>, description: &str) -> Acquire {
        let (cancel, cancelled) = oneshot::channel();
        let (done, outcome) = oneshot::channel();
        let inner = Arc::clone(&self.inner);
        let deadline = timeout.map(|timeout| inner.zk.now() + timeout);
        let patience = Patience::new(
            &inner.zk,
            deadline,
            cancelled,
            Arc::clone(&inner.interrupter),
            inner.options.persistent.map(|_| inner.keeper.closing()),
        );
        let description = description.to_owned();
        let zk = Arc::clone(&inner.zk);
        zk.begin(Box::pin(async move {
            let try_only = timeout.is_some_and(|timeout| timeout.is_zero());
            let acquired = inner.acquire(patience, &description, try_only).await;
            let outcome = match acquired {
                Ok(held) => Ok(inner.hold(held)),
                Err(error) => Err(error.during("lock", Some(&inner.path))),
            };
            // If nobody waits any more, the hold is dropped here, which releases the lock.
            drop(done.send(outcome));
        }));
        Acquire { outcome, _cancel: cancel }
    }

    /// Releases the lock that this handle holds. When this returns `Ok` its node is gone.
    ///
    /// [`Code::NOT_HELD`] if it holds none; [`Code::LOCK_LOST`], with the reason, if the lock was lost
    /// meanwhile; a persistent one is removed then all the same, in the background. [`Code::OUTCOME_UNKNOWN`] if the server did not
    /// confirm within the session timeout: the release then goes on by itself until the node or its
    /// session is gone. In each case the handle no longer holds the lock.
    pub async fn unlock(&self) -> Result<()> {
        let held = self.inner.held.lock().take();
        match held {
            Some(held) => self.inner.release(held).await,
            None => Err(Error::new(Code::NOT_HELD).during("unlock", Some(&self.inner.path))),
        }
    }

    /// Whether this handle holds the lock for certain, at this moment.
    pub fn is_held(&self) -> bool {
        self.token().is_some()
    }

    /// The fencing token of the lock that this handle holds: greater than that of every earlier
    /// holder of the path. `None` where [`Mutex::is_held`] is false.
    pub fn token(&self) -> Option<i64> {
        self.inner.kept().filter(|kept| kept.is_valid()).map(|kept| kept.node.czxid)
    }

    /// Until when the lock that this handle holds is certain to be its own, if nothing renews it
    /// further; `None` where [`Mutex::is_held`] is false.
    pub fn valid_until(&self) -> Option<Time> {
        self.inner.kept().filter(|kept| kept.is_valid()).map(|kept| kept.valid_until())
    }

    /// The token and [`Mutex::valid_until`] as they stand, without the look that makes a loss final.
    #[cfg(feature = "simulation")]
    pub fn peek(&self) -> Option<(i64, Time)> {
        self.inner.kept().map(|kept| (kept.node.czxid, kept.valid_until()))
    }

    /// The locks that this handle held and lost, each once, from now on.
    pub fn losses(&self) -> mpsc::UnboundedReceiver<LostHold> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut losses = self.inner.losses.lock();
        losses.retain(|told| !told.is_closed());
        losses.push(sender);
        receiver
    }

    /// The requests to give up a lock that this handle holds, from now on; the holder decides what to do.
    /// Each is told once, also one that was made while the holder still waited.
    pub fn revocations(&self) -> mpsc::UnboundedReceiver<Revocation> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut revocations = self.inner.revocations.lock();
        revocations.retain(|told| !told.is_closed());
        revocations.push(sender);
        receiver
    }

    /// Changes that are committed only while this handle holds the lock: all of them or none.
    ///
    /// [`Code::LOCK_LOST`] if the lock is not held any more; then nothing was changed. This holds as
    /// long as nobody but the clients of the lock deletes lock nodes or their parent.
    pub async fn guarded(&self, ops: Vec<MultiOp>) -> Result<Vec<MultiResult>> {
        hold::guarded(Arc::clone(&self.inner.zk), self.inner.path.clone(), self.inner.kept(), ops).await
    }

    /// Ends the wait of one acquire on this handle with [`Code::INTERRUPTED`]. If none is waiting the
    /// interrupt is remembered, and ends the next one at its beginning. A lock that is held stays so.
    pub fn interrupt(&self) {
        self.inner.interrupter.interrupt();
    }

    /// Ends this handle and its clones: acquires under way end with [`Code::CLOSED`], and a lock that
    /// is held is released in the background.
    pub fn close(&self) {
        self.inner.interrupter.close();
        self.inner.abandon();
    }
}

impl fmt::Debug for Mutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").field("path", &self.inner.path).field("token", &self.token()).finish()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// Acquires move to the IO thread, and handles are shared by threads.
const _: fn() = || {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Mutex>();
    shared::<Hold>();
};
