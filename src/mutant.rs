//! Known errors of lock libraries, put back one at a time to see that the simulator finds them.
//!
//! Without the feature `simulation`, [`mutated`] is the constant `false` and nothing of this is compiled in.

/// An error that can be put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(not(feature = "simulation"), allow(unreachable_pub, reason = "it is public with the feature"))]
pub enum Mutant {
    /// After a creation that was not answered, looks at once, with no transaction committed before.
    NoBarrier,
    /// After a creation that was not answered, looks behind a `sync` in place of a transaction.
    SyncAsBarrier,
    /// Takes any node of its own session for the one whose creation was not answered.
    AnyOwnNode,
    /// Believes that a creation which was not answered was not applied.
    NoLook,
    /// Sends a creation again after a reconnect.
    CreateAgain,
    /// Takes the deletion of the node before its own as its turn, without listing again.
    EventIsTurn,
    /// Orders contenders by their whole names.
    NameOrder,
    /// Does not clean up while no server is connected.
    NoCleanUpSuspended,
    /// Leaves the node of an acquire that was cancelled before its creation was answered.
    CancelLeaksNode,
    /// Forgets an interrupt when nobody waits for it at that moment.
    LostInterrupt,
    /// Does not arm one-shot watches again after a reconnect.
    WatchesNotRearmed,
    /// Waits for the deletion of a node that is gone already.
    WaitsForGone,
    /// Behind a neighbour of its own client: takes one that gave up for one that held and left.
    NeighbourGaveUp,
    /// Behind a neighbour: takes the deletion of the node before its own as its turn, however it went.
    NeighbourEventIsTurn,
    /// Behind a neighbour: knows the node before its own by its name alone.
    NeighbourByName,
    /// Repeats a deletion after a look that does not tell its own node from another of that name.
    CzxidNotCompared,
    /// Takes a node of its own node's name for its own, though the parent was made after it.
    ForgetsParent,
    /// Repeats a deletion without a look.
    DeletesByName,
    /// Believes in its session for a timeout after any byte from a server.
    LeaseFromPings,
    /// Counts a renewal from its answer, not from its sending.
    LeaseFromAnswer,
    /// Tells nobody that a lease has run out.
    LossNotTold,
    /// Strict mode: never waits for a holder that did not leave cleanly.
    NoWaitOut,
    /// Strict mode: waits from its own creation, not from when it saw its predecessor gone.
    DelayFromOwnCreation,
    /// Strict mode: a waiter that goes away says that it left as a holder does.
    GiveUpMarksClean,
    /// Strict mode: takes a path without a marker as one that everybody left cleanly.
    UnmarkedIsClean,
    /// Strict mode: takes every parent for the first one of its path.
    ParentAlwaysFirst,
    /// Strict mode: takes part in a path whose delay is not its own.
    DelayNotCompared,
    /// Strict mode: takes what its handle last wrote for the path's marker, whatever was written since.
    RecallsAnyMarker,
    /// Strict mode: takes every number that is absent for one that never held.
    AbsentIsOutlived,
    /// Strict mode: waits for the delay as if no clock ran faster than another.
    DriftIgnored,
    /// Strict mode: counts a lease from whatever a server last said.
    StrictLeaseFromPings,
    /// Renews a node by its name, without a look whose it is.
    RenewsByName,
    /// Renews with a `sync`, and takes it for a proof that the session lives.
    SyncProves,
    /// Takes one write's answer for a proof that the leader began the session's time anew.
    OneAnswerProves,
    /// Takes a node that an earlier session of its own made for its own.
    AdoptsEarlierSession,
    /// Tries to remove its node once, and leaves it there if that fails.
    RemovesOnce,
    /// Leaves its node in the queue when it goes away without the lock.
    TimeoutLeavesNode,
    /// Does not release a lock whose holder was dropped.
    DroppedHoldStays,
    /// Goes on waiting for the watches of a session that is over.
    WatchesSurviveExpiry,
    /// Uses the numbers at the end of the sequence as any other.
    SequenceNotRefused,
    /// Writes on behalf of a holder without a check that it still holds.
    GuardWithoutCheck,
    /// Deletes its node by name where something said that it may be gone: its lease has run out, or a transaction that
    /// was to delete it failed.
    LostNodeByName,
    /// Strict mode: deletes its node by name after a transaction that said that it is gone.
    DeletesWhatIsGone,
    /// Persistent locks: looks for a creation that was not answered without making its companion first.
    NoFence,
    /// Persistent locks: renews without knowing that the companion is its own.
    AnyCompanion,
    /// Persistent locks: removes a companion after a look that may be old.
    CompanionByOldLook,
    /// Persistent locks: tells a companion of its own release from another release's by the session alone.
    CompanionsAlike,
    /// Persistent locks: a release makes its companion without a check that the lock is still there.
    CompanionWithoutLock,
    /// Persistent locks: releases what has no owner without waiting for the lease.
    ReleasesAtOnce,
    /// Pid node: takes a dead owner's node over by its version alone, which another's may have too.
    TakesOverByVersion,
    /// Pid node: takes every node of its session for the one whose creation was not answered.
    AnyPidNodeOfSession,
    /// Election: writes the leader's record without a check that the candidate is there.
    LeaderUnchecked,
    /// Election: begins a term without a look whether its lease still runs.
    BeginsTermBlindly,
    /// Election: gives the lead up when a task is told to stop, not when it has ended.
    LeadEndsBeforeTask,
    /// Election: does not tell a task to stop when its lease has run out.
    StopNotTold,
}

#[cfg(feature = "simulation")]
impl Mutant {
    /// All of them.
    pub const ALL: [Self; 55] = [
        Self::NoBarrier,
        Self::SyncAsBarrier,
        Self::AnyOwnNode,
        Self::NoLook,
        Self::CreateAgain,
        Self::EventIsTurn,
        Self::NameOrder,
        Self::NoCleanUpSuspended,
        Self::CancelLeaksNode,
        Self::LostInterrupt,
        Self::WatchesNotRearmed,
        Self::WaitsForGone,
        Self::NeighbourGaveUp,
        Self::NeighbourEventIsTurn,
        Self::NeighbourByName,
        Self::CzxidNotCompared,
        Self::ForgetsParent,
        Self::DeletesByName,
        Self::LeaseFromPings,
        Self::LeaseFromAnswer,
        Self::LossNotTold,
        Self::NoWaitOut,
        Self::DelayFromOwnCreation,
        Self::GiveUpMarksClean,
        Self::UnmarkedIsClean,
        Self::ParentAlwaysFirst,
        Self::DeletesWhatIsGone,
        Self::LostNodeByName,
        Self::NoFence,
        Self::AnyCompanion,
        Self::CompanionByOldLook,
        Self::CompanionsAlike,
        Self::CompanionWithoutLock,
        Self::ReleasesAtOnce,
        Self::DelayNotCompared,
        Self::AbsentIsOutlived,
        Self::RecallsAnyMarker,
        Self::DriftIgnored,
        Self::StrictLeaseFromPings,
        Self::RenewsByName,
        Self::SyncProves,
        Self::OneAnswerProves,
        Self::AdoptsEarlierSession,
        Self::RemovesOnce,
        Self::TimeoutLeavesNode,
        Self::DroppedHoldStays,
        Self::WatchesSurviveExpiry,
        Self::SequenceNotRefused,
        Self::GuardWithoutCheck,
        Self::TakesOverByVersion,
        Self::AnyPidNodeOfSession,
        Self::LeaderUnchecked,
        Self::BeginsTermBlindly,
        Self::LeadEndsBeforeTask,
        Self::StopNotTold,
    ];
}

#[cfg(feature = "simulation")]
mod switch {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Puts an error back, on this thread only; `None` takes it away again.
    pub fn mutate(mutant: Option<Mutant>) {
        ON.set(mutant);
    }

    pub(crate) fn mutated(mutant: Mutant) -> bool {
        ON.get() == Some(mutant)
    }
}

#[cfg(feature = "simulation")]
pub use switch::mutate;
#[cfg(feature = "simulation")]
pub(crate) use switch::mutated;

/// Whether this error is put back.
#[cfg(not(feature = "simulation"))]
pub(crate) const fn mutated(_: Mutant) -> bool {
    false
}
