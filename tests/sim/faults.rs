//! What may go wrong. Each seed chooses which kinds there are, and how often.

use super::agenda::{Agenda, MS, Micros};

/// A fault that is due, or the end of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A foreign contender leaves.
    ForeignLeaves(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    CutConnection,
    EndConnection,
    HalfOpen,
    BlockClient,
    FreezeServer,
    KillServer,
    BlockServers,
    StallDisks,
    PauseProcess,
    KillProcess,
    StartProcess,
    Interrupt,
    AbortTask,
    CloseClient,
    CloseHandle,
    AdminDeletes,
    AdminResets,
    ForeignContender,
    ExpireSession,
}

use Kind::*;

/// Each with how likely a seed has it, in percent, and its mean interval in ms.
const KINDS: [(Kind, u32, u64); 19] = [
    (CutConnection, 60, 300),
    (EndConnection, 30, 900),
    (HalfOpen, 30, 1500),
    (BlockClient, 40, 1200),
    (FreezeServer, 30, 1500),
    (KillServer, 35, 2000),
    (BlockServers, 30, 2000),
    (StallDisks, 40, 900),
    (PauseProcess, 40, 1000),
    (KillProcess, 20, 4000),
    (StartProcess, 20, 3000),
    (Interrupt, 35, 500),
    (AbortTask, 30, 2000),
    (CloseClient, 15, 4000),
    (CloseHandle, 15, 4000),
    (AdminDeletes, 12, 1500),
    (AdminResets, 12, 1500),
    (ForeignContender, 25, 700),
    // A leader whose clock jumps.
    (ExpireSession, 25, 1000),
];

/// The kinds of fault of one seed.
pub struct Plan {
    intervals: Vec<Option<Micros>>,
}

impl Plan {
    pub fn new(agenda: &mut Agenda) -> Self {
        // One seed in twenty has no fault at all, so that plain errors are not hidden by hard ones.
        let quiet = agenda.chance(5);
        let intervals = KINDS
            .iter()
            .map(|&(_, percent, mean)| {
                let has = agenda.chance(percent) && !quiet;
                let scale = agenda.between(1, 3);
                has.then_some(mean * MS * scale)
            })
            .collect();
        Self { intervals }
    }

    pub fn has(&self, kind: Kind) -> bool {
        KINDS.iter().zip(&self.intervals).any(|((k, ..), interval)| *k == kind && interval.is_some())
    }

    pub fn kind(index: usize) -> Kind {
        KINDS[index].0
    }

    /// When the next one of a kind comes.
    pub fn pause(&self, agenda: &mut Agenda, index: usize) -> Option<Micros> {
        let interval = self.intervals[index]?;
        Some(agenda.between(1, 2 * interval))
    }

    pub fn len(&self) -> usize {
        self.intervals.len()
    }
}
