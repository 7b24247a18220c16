//! Strict mode: the path's marker of who left cleanly, and the wait for those who may not have.

use super::Inner;
use super::acquire::{Setback, Waiting};
use super::persistence::drifted;
use crate::error::{Code, Error};
use crate::mutant::{Mutant, mutated};
use crate::path;
use crate::proto::{MultiOp, MultiResult, Stat};
use crate::recipes::marker::{Marker, ParentData, Ranges};
use crate::recipes::node::{self, LockNode, Removal, is_passing, step};
use crate::sync::Mutex as Locked;
use crate::time::Time;
use crate::zk::Zk;
use std::future::Future;
use std::sync::Arc;

/// How often a clean mark is tried against others who write the same marker.
const MARK_TRIES: u32 = 4;

/// The key in a lock node's contents that tells its delay (ms), in strict mode.
pub(super) const STRICT_KEY: &str = "delay";

/// A marker and when it was written: as the parent's data version and, for as long as the parent lives and beyond, as the
/// transaction that wrote it.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) marker: Marker,
    pub(super) version: i32,
    mzxid: i64,
}

impl Mark {
    fn new(marker: Marker, written: &Stat) -> Box<Self> {
        Box::new(Self { marker, version: written.version, mzxid: written.mzxid })
    }
}

/// The marker that the last release of a strict handle wrote. As long as a list's `Stat` says that nobody has written since, the
/// handle's next acquire need not read it.
#[derive(Clone)]
pub(super) struct Memory(Option<Arc<Locked<Option<Box<Mark>>>>>);

impl Memory {
    pub(super) fn new(strict: bool) -> Self {
        Self(strict.then(Arc::default))
    }

    pub(super) fn keep(&self, mark: Option<Box<Mark>>) {
        if let Some(kept) = &self.0 {
            *kept.lock() = mark;
        }
    }

    pub(super) fn recall(&self) -> Option<Box<Mark>> {
        self.0.as_ref()?.lock().take()
    }
}

/// What was read of a node.
pub(super) type Data = (Vec<u8>, Stat);

/// What a waiter knows of the path's marker, and of those who can have held before it.
#[derive(Default)]
pub(super) struct Knowledge {
    pub(super) mark: Option<Box<Mark>>,
    /// Numbers below ours that were absent while a lower one was still there: they never held.
    pub(super) outlived: Ranges,
}

impl Inner {
    /// Takes note of what a list says of the path's marker by itself, beside the marker as this handle left it. False if
    /// the parent's data have to be looked at.
    pub(super) fn learn_from_list(
        &self,
        listed: &Stat,
        recalled: Option<Box<Mark>>,
        is_behind: bool,
        knowledge: &mut Knowledge,
    ) -> bool {
        let unchanged = |mark: &Mark| {
            (mark.mzxid, mark.marker.parent()) == (listed.mzxid, listed.czxid)
                || mutated(Mutant::RecallsAnyMarker)
        };
        match recalled {
            Some(mark) if unchanged(&mark) => knowledge.mark = Some(mark),
            // Others have written since. What it says matters when those before us are gone, and is read then.
            Some(_) if is_behind => knowledge.mark = None,
            // The list says how long the parent's data is: without any there is no marker.
            None if self.options.strict.is_none() && listed.data_length == 0 => knowledge.mark = None,
            _ => return false,
        }
        true
    }

    /// Takes note of the path's marker. In strict mode one is made where there is none, and what is
    /// not ours to overwrite is refused. False if it is to be looked at again.
    pub(super) async fn learn(
        &self,
        waiting: &mut Waiting,
        own: &LockNode,
        read: Option<Data>,
        knowledge: &mut Knowledge,
    ) -> Result<bool, Setback> {
        let (data, stat) = match read {
            Some(read) => read,
            None => {
                let parent = self.zk.get(&self.path, step(&self.zk, own.session));
                match waiting.with(parent).await? {
                    Ok(read) => read,
                    // Whether there is a marker is not for us to see, nor was it for anybody like us.
                    Err(error) if error.code() == Code::NO_AUTH => return Ok(true),
                    // The parent went, and our node with it.
                    Err(error) if error.code() == Code::NO_NODE => return Err(Setback::Again),
                    Err(error) if is_passing(&error) => return Ok(false),
                    Err(error) => return Err(error.into()),
                }
            }
        };
        knowledge.mark = None;
        if !node::can_be_below(own.czxid, &stat) {
            return Err(Setback::Again);
        }
        let context = |error: Error| Setback::Fail(error.during("lock", Some(&self.path)));
        let refuse = |why: String| Err(context(Error::new(Code::BAD_ARGUMENT).because(why)));
        match (ParentData::parse(&data, stat.czxid), self.options.strict) {
            (ParentData::Marker(marker), Some(strict))
                if marker.delay != strict.delay && !mutated(Mutant::DelayNotCompared) =>
            {
                refuse(format!(
                    "the delay of this path is {} ms, not {} ms",
                    marker.delay.as_millis(),
                    strict.delay.as_millis()
                ))
            }
            (ParentData::Marker(marker), _) => {
                knowledge.mark = Some(Mark::new(marker, &stat));
                Ok(true)
            }
            (ParentData::Foreign, Some(_)) => refuse(
                "strict mode keeps its marker in the parent's data, and there is other data".to_owned(),
            ),
            (ParentData::None, Some(_)) if mutated(Mutant::UnmarkedIsClean) => Ok(true),
            (ParentData::None, Some(strict)) => {
                let Some(is_first) = self.is_first_parent(waiting, own.session).await? else {
                    return Ok(false);
                };
                let fresh = Marker::new(stat.czxid, strict.delay, is_first).render();
                let set = self.zk.set(&self.path, &fresh, stat.version, step(&self.zk, own.session));
                match waiting.with(set).await? {
                    Err(error) if error.code() == Code::NO_NODE => Err(Setback::Again),
                    Err(error) if error.code() != Code::BAD_VERSION && !is_passing(&error) => {
                        Err(error.into())
                    }
                    // Whoever's it is now: read again.
                    _ => Ok(false),
                }
            }
            (ParentData::None | ParentData::Foreign, None) => Ok(true),
        }
    }

    /// Whether the path was never deleted, as far as the node above it can tell: nothing below that one ever
    /// was. `None` if it is to be asked again. The answer is no older than our own node.
    async fn is_first_parent(&self, waiting: &mut Waiting, session: i64) -> Result<Option<bool>, Setback> {
        let above = path::parent(&self.path).unwrap_or("/");
        match waiting.with(self.zk.exists(above, step(&self.zk, session))).await? {
            Ok(Some(_)) if mutated(Mutant::ParentAlwaysFirst) => Ok(Some(true)),
            Ok(Some(stat)) => {
                // `cversion` counts what was created and what was deleted; a server begins with
                // `/zookeeper`, which it did not count.
                let counted = i64::from(stat.num_children) - i64::from(above == "/");
                Ok(Some(i64::from(stat.cversion) <= counted))
            }
            Ok(None) => Err(Setback::Again),
            Err(error) if is_passing(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Until when a holder may still believe that did not leave cleanly, if there may be one.
    pub(super) fn delayed_until(&self, own: &LockNode, seen: Time, knowledge: &Knowledge) -> Option<Time> {
        let mark = knowledge.mark.as_ref().filter(|_| !mutated(Mutant::NoWaitOut))?;
        if mark.marker.is_clean_before(own.sequence, &knowledge.outlived) {
            return None;
        }
        let drift = if mutated(Mutant::DriftIgnored) { 0.0 } else { self.options.clock_drift };
        Some(seen + drifted(mark.marker.delay, drift))
    }

    /// Waits until then.
    pub(super) async fn wait_out(
        &self,
        waiting: &mut Waiting,
        own: &LockNode,
        until: Time,
    ) -> Result<(), Setback> {
        log::info!(
            "lock {:?}: not every holder before {} is known to have left cleanly: waiting {} ms",
            self.path,
            own.name(),
            until.since(self.zk.now()).as_millis()
        );
        if waiting.try_only {
            let text = "nobody holds it, but whoever held it last may still believe so";
            return Err(Error::new(Code::TIMEOUT).because(text).into());
        }
        waiting.with(self.zk.sleep_until(until)).await?;
        Ok(())
    }

    /// The going of a waiter that never held.
    pub(super) fn give_up(
        &self,
        node: LockNode,
        mark: Option<Box<Mark>>,
        may_be_gone: bool,
    ) -> impl Future<Output = Removal> + Send + use<> {
        let sequence = node.sequence;
        let unfinished = self.unfinished();
        let (zk, path) = (Arc::clone(&self.zk), self.path.clone());
        // A strict waiter has not read the marker yet where somebody was before it all the time.
        let reads = self.options.strict.is_some();
        let left = leave(zk, path, node, (mark, reads), may_be_gone, move |marker| {
            if mutated(Mutant::GiveUpMarksClean) {
                return marker.released(sequence);
            }
            marker.given_up(sequence)
        });
        async move {
            let (removal, _) = left.await;
            drop(unfinished);
            removal
        }
    }
}

/// Removes a node, and where the path has a marker says in the same transaction what that means; with the marker as
/// it is then. Where none is known it is looked for only if it `reads`.
/// What cannot be marked is removed all the same: an absent mark costs a delay, an absent removal the lock. `failed` says that
/// the node may be gone already, by another's hand.
pub(super) async fn leave(
    zk: Arc<dyn Zk>,
    parent: String,
    node: LockNode,
    (mark, reads): (Option<Box<Mark>>, bool),
    failed: bool,
    change: impl Fn(Marker) -> Marker + Send,
) -> (Removal, Option<Box<Mark>>) {
    let mut unmarked = Unmarked { failed, doubt: false };
    if mark.is_some() || reads || failed {
        let leaving = leave_marked(&zk, &parent, &node, (mark, reads), failed, change);
        unmarked = match Box::pin(leaving).await {
            Ok(left) => return left,
            Err(unmarked) => unmarked,
        };
    }
    let removal = if unmarked.failed && !mutated(Mutant::DeletesWhatIsGone) {
        Box::pin(node::remove_if_there(zk, node, unmarked.doubt)).await
    } else {
        node::remove(zk, node, unmarked.doubt).await
    };
    (removal, None)
}

/// A node that could not be removed together with a mark.
struct Unmarked {
    /// Whether it may be gone already.
    failed: bool,
    /// Whether that may be by our own hand.
    doubt: bool,
}

/// The part of [`leave`] that marks.
async fn leave_marked(
    zk: &Arc<dyn Zk>,
    parent: &str,
    node: &LockNode,
    (mut mark, reads): (Option<Box<Mark>>, bool),
    mut failed: bool,
    change: impl Fn(Marker) -> Marker + Send,
) -> Result<(Removal, Option<Box<Mark>>), Unmarked> {
    let mut reads = reads && mark.is_none();
    let mut doubt = false;
    let gone = |doubt| Ok((if doubt { Removal::Deleted } else { Removal::Gone }, None));
    // The transaction knows the node by its name alone.
    if failed && node.companion.is_none() && !mutated(Mutant::LostNodeByName) {
        match node::is_there(zk, node).await {
            Ok(true) => {}
            Ok(false) => return gone(false),
            Err(_) => return Err(Unmarked { failed, doubt }),
        }
    }
    for _ in 0..MARK_TRIES {
        if reads && let Ok((data, stat)) = zk.get(parent, node.step(zk)).await {
            // The parent was made anew, without our node.
            let anew = !node::can_be_below(node.czxid, &stat) && !mutated(Mutant::LostNodeByName);
            if anew && node.companion.is_none() {
                return gone(doubt);
            }
            if let ParentData::Marker(marker) = ParentData::parse(&data, stat.czxid) {
                mark = Some(Mark::new(marker, &stat));
            }
        }
        let Some(Mark { marker, version, .. }) = mark.take().map(|mark| *mark) else { break };
        let marker = change(marker);
        let mut ops = node.deletions();
        ops.push(MultiOp::SetData { path: parent.to_owned(), data: marker.render(), version });
        match zk.multi(ops, node.step(zk)).await {
            Ok(results) => {
                let written = match results.last() {
                    Some(MultiResult::SetData { stat }) => Some(Mark::new(marker, stat)),
                    _ => None,
                };
                return Ok((Removal::Deleted, written));
            }
            // Somebody else wrote the marker: once more with what they wrote.
            Err(error) if error.code() == Code::BAD_VERSION => (failed, reads) = (true, true),
            // Gone already. What is there by this name from now on is another's, where the parent was made anew.
            Err(error)
                if error.code() == Code::NO_NODE
                    && error.path() == Some(&node.path)
                    && node.companion.is_none()
                    && !mutated(Mutant::DeletesWhatIsGone) =>
            {
                return gone(doubt);
            }
            Err(error) => {
                failed = true;
                doubt |= error.code() == Code::OUTCOME_UNKNOWN;
            }
        }
    }
    Err(Unmarked { failed, doubt })
}
