//! A lock that is held: its loss is told, and its release is certain.

use super::Inner;
use super::strict::{Mark, leave};
use crate::error::{Code, Error, Result};
use crate::mutant::{Mutant, mutated};
use crate::proto::{MultiOp, MultiResult};
use crate::recipes::keeper::{Keeping, Kept, Loss, Told, Unfinished};
use crate::recipes::node::{self, Removal};
use crate::recipes::persistent;
use crate::recipes::seat::Seat;
use crate::time::Time;
use crate::zk::{OpOptions, Zk};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// A lock that was held and is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostHold {
    /// Its fencing token.
    pub token: i64,
    /// Why.
    pub reason: Loss,
    /// Until when it was believed to be held; may be later than now, where it was lost before its time.
    pub believed_until: Time,
}

/// Somebody asks the holder of a lock to give it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// The fencing token of the lock.
    pub token: i64,
    /// Why; empty where no reason was given, as by Curator.
    pub reason: String,
}

pub(super) struct Held {
    pub(super) keeping: Keeping,
    /// The marker of the path as last seen, and the parent's version with it; `None` where there is none.
    pub(super) mark: Option<Box<Mark>>,
    /// Its place in the queue, by which those of the same client hear that it left.
    pub(super) seat: Option<Seat>,
    pub(super) _turn: OwnedSemaphorePermit,
}

/// A lock that is held. Dropping it releases the lock in the background.
#[must_use = "dropping it releases the lock"]
pub struct Hold {
    inner: Option<Arc<Inner>>,
    token: i64,
}

impl Hold {
    /// The fencing token: greater than that of every earlier holder of the path. A resource that
    /// refuses tokens smaller than the greatest it has seen is safe from holders that are too late.
    pub fn token(&self) -> i64 {
        self.token
    }

    fn kept(&self) -> Option<Arc<Kept>> {
        self.inner.as_ref()?.kept().filter(|kept| kept.node.czxid == self.token)
    }

    /// The name of the lock node; `None` once it is lost.
    pub fn name(&self) -> Option<String> {
        self.kept().map(|kept| kept.node.name().to_owned())
    }

    /// Whether the lock is still held for certain.
    pub fn is_held(&self) -> bool {
        self.kept().is_some_and(|kept| kept.is_valid())
    }

    /// Until when it is certain to be held, if nothing renews it further; `None` once it is lost.
    pub fn valid_until(&self) -> Option<Time> {
        self.kept().filter(|kept| kept.is_valid()).map(|kept| kept.valid_until())
    }

    /// Why it was lost, if it was; `None` also once it was released.
    pub fn loss(&self) -> Option<Loss> {
        let kept = self.kept()?;
        if kept.is_valid() { None } else { kept.loss() }
    }

    /// Ends when the lock is lost, and says why; never, if it is released before. It does not keep the hold.
    pub fn lost(&self) -> impl Future<Output = Loss> + Send + use<> {
        let kept = self.kept();
        async move {
            match kept {
                Some(kept) => kept.lost().await,
                None => std::future::pending().await,
            }
        }
    }

    /// Changes that are committed only while this very hold lasts; see [`Mutex::guarded`](super::Mutex::guarded).
    pub fn guarded(
        &self,
        ops: Vec<MultiOp>,
    ) -> impl Future<Output = Result<Vec<MultiResult>>> + Send + use<> {
        let kept = self.kept();
        let inner = self.inner.as_ref().map(|inner| (Arc::clone(&inner.zk), inner.path.clone()));
        async move {
            let Some((zk, path)) = inner else { return Err(Code::NOT_HELD.into()) };
            guarded(zk, path, kept, ops).await
        }
    }

    /// Releases the lock; see [`super::Mutex::unlock`].
    pub async fn release(mut self) -> Result<()> {
        let Some(inner) = self.inner.take() else { return Ok(()) };
        match inner.take_held(self.token) {
            Some(held) => inner.release(held).await,
            None => Err(Error::new(Code::NOT_HELD).during("unlock", Some(&inner.path))),
        }
    }

    /// Leaves the lock with its handle, to be released by [`super::Mutex::unlock`].
    pub fn keep(mut self) -> i64 {
        self.inner = None;
        self.token
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take().filter(|_| !mutated(Mutant::DroppedHoldStays))
            && let Some(held) = inner.take_held(self.token)
        {
            inner.release_behind(held);
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("token", &self.token).finish_non_exhaustive()
    }
}

/// Changes in one transaction with a check of the lock's own node.
pub(super) async fn guarded(
    zk: Arc<dyn Zk>,
    path: String,
    kept: Option<Arc<Kept>>,
    ops: Vec<MultiOp>,
) -> Result<Vec<MultiResult>> {
    let context = |error: Error| error.during("guarded multi", Some(&path));
    let Some(kept) = kept else { return Err(context(Code::NOT_HELD.into())) };
    if !kept.is_valid() {
        return Err(context(kept.loss().unwrap_or(Loss::LeaseRanOut).into()));
    }
    let own = kept.node.path.clone();
    let mut guarded = vec![MultiOp::Check { path: own.clone(), version: -1 }];
    if mutated(Mutant::GuardWithoutCheck) {
        guarded = vec![MultiOp::Check { path: "/".to_owned(), version: -1 }];
    }
    guarded.extend(ops);
    let options = match kept.is_persistent() {
        false => OpOptions::default().on(kept.node.session),
        // Its node excludes on any session of ours.
        true => OpOptions::default(),
    };
    match zk.multi(guarded, options).await {
        Ok(mut results) => Ok(results.drain(1..).collect()),
        Err(error) if error.code() == Code::NO_NODE && error.path() == Some(&own) => {
            Err(context(Loss::NodeDeleted.into()))
        }
        Err(error) if error.code() == Code::SESSION_EXPIRED && !kept.is_persistent() => {
            Err(context(Loss::SessionOver.into()))
        }
        Err(error) => Err(error),
    }
}

impl Inner {
    /// The lock is ours: from here on its loss is told.
    pub(super) fn hold(self: &Arc<Self>, held: Box<Held>) -> Hold {
        let kept = Arc::clone(&held.keeping.kept);
        let token = kept.node.czxid;
        *self.held.lock() = Some(held);
        let (losses, revocations) = (Arc::downgrade(self), Arc::downgrade(self));
        let (zk, node) = (Arc::clone(&self.zk), kept.node.clone());
        let on_lost = move |reason, believed_until| {
            if let Some(inner) = losses.upgrade() {
                let lost = LostHold { token, reason, believed_until };
                inner.losses.lock().retain(|told| told.send(lost).is_ok());
            }
            match (reason, node.companion.clone()) {
                // Its session may live on, and the node would keep others out for nothing; also if the
                // handle was dropped at this moment. It may be another's by now, of which nothing was heard yet.
                (Loss::LeaseRanOut, None) => {
                    let removal = node::remove_if_there(Arc::clone(&zk), node, false);
                    zk.spawn(Box::pin(async move { drop(removal.await) }));
                }
                // A persistent one keeps others out until its holder, who may still be at work, lets go of it.
                (Loss::LeaseRanOut, Some(_)) => {}
                (Loss::NodeDeleted, Some(companion)) => {
                    let session = zk.session().id;
                    let data = persistent::THE_OWNER.to_vec();
                    let removal = persistent::remove_companion(Arc::clone(&zk), companion, session, data);
                    zk.spawn(Box::pin(removal));
                }
                _ => {}
            }
        };
        let on_revoke = move |reason: String| {
            if let Some(inner) = revocations.upgrade() {
                let revocation = Revocation { token, reason };
                inner.revocations.lock().retain(|told| told.send(revocation.clone()).is_ok());
            }
        };
        kept.tell(Told { on_lost: Box::new(on_lost), on_revoke: Box::new(on_revoke) });
        Hold { inner: Some(Arc::clone(self)), token }
    }

    pub(super) fn kept(&self) -> Option<Arc<Kept>> {
        self.held.lock().as_ref().map(|held| Arc::clone(&held.keeping.kept))
    }

    fn take_held(&self, token: i64) -> Option<Box<Held>> {
        self.held.lock().take_if(|held| held.keeping.kept.node.czxid == token)
    }

    pub(super) async fn release(&self, held: Box<Held>) -> Result<()> {
        let context = |error: Error| error.during("unlock", Some(&self.path));
        if let Some(loss) = self.let_go(&held) {
            self.release_lost(held, loss);
            return Err(context(loss.into()));
        }
        let deadline = self.zk.now() + self.zk.session().timeout;
        let (done, finished) = oneshot::channel();
        self.zk.begin(Box::pin(self.released(*held, Some(done))));
        let removal = tokio::select! {
            biased;
            removal = finished => removal.unwrap_or(Removal::SessionOver),
            () = self.zk.sleep_until(deadline) => {
                let text = "no confirmation yet; the release goes on until the node or its session is gone";
                return Err(context(Error::new(Code::OUTCOME_UNKNOWN).because(text)));
            }
        };
        match removal {
            Removal::Deleted => Ok(()),
            Removal::Gone => Err(context(Loss::NodeDeleted.into())),
            Removal::SessionOver => Err(context(Loss::SessionOver.into())),
            Removal::Refused(error) => Err(context(error)),
        }
    }

    /// Stops believing, which is what makes the release a clean one. Answers why the lock was lost, if
    /// it was lost before.
    fn let_go(&self, held: &Held) -> Option<Loss> {
        held.keeping.kept.is_valid();
        held.keeping.kept.release()
    }

    fn release_behind(&self, held: Box<Held>) {
        match self.let_go(&held) {
            None => self.zk.spawn(Box::pin(self.released(*held, None))),
            Some(loss) => self.release_lost(held, loss),
        }
    }

    /// The holder lets go of a lock that is lost. A persistent one that nobody has deleted still keeps others
    /// out: now it need not any more. Nobody else can have got in meanwhile, and a node that has another
    /// czxid is left alone.
    fn release_lost(&self, held: Box<Held>, loss: Loss) {
        let node = held.keeping.kept.node.clone();
        if node.companion.is_none() || loss == Loss::NodeDeleted {
            return;
        }
        let unfinished = self.keeper.begin();
        let zk = Arc::clone(&self.zk);
        self.zk.spawn(Box::pin(async move {
            let _held = held;
            node::remove(zk, node, false).await;
            drop(unfinished);
        }));
    }

    /// Removes a released lock's node, and only then gives the handle's turn to the next.
    fn released(
        &self,
        held: Held,
        done: Option<oneshot::Sender<Removal>>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let Held { keeping, mark, seat, _turn } = held;
        if let Some(seat) = &seat {
            seat.leaving();
        }
        let node = keeping.kept.node.clone();
        drop(keeping);
        let sequence = node.sequence;
        let unfinished = self.unfinished();
        let (zk, path) = (Arc::clone(&self.zk), self.path.clone());
        let memory = self.memory.clone();
        let removal = leave(zk, path, node, (mark, false), false, move |marker| marker.released(sequence));
        async move {
            let (removal, mark) = removal.await;
            memory.keep(mark);
            if let Some(seat) = seat.filter(|_| removal == Removal::Deleted) {
                seat.left();
            }
            drop((unfinished, _turn));
            if let Some(done) = done {
                let _ = done.send(removal);
            }
        }
    }

    /// What keeps a closing client waiting, where no session's end takes the node along.
    pub(super) fn unfinished(&self) -> Option<Unfinished> {
        self.options.persistent.map(|_| self.keeper.begin())
    }

    pub(super) fn abandon(&self) {
        let held = self.held.lock().take();
        if let Some(held) = held {
            self.release_behind(held);
        }
    }
}
