//! What may go wrong. Each seed chooses which kinds there are, and how often.

use super::agenda::{Agenda, MS, Micros};
use super::schedule::{Dice, Part, Schedule};

/// What a fault left to be done at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// A foreign contender leaves; at the end all do.
    ForeignLeaves { all: bool },
    /// The leader ends this session.
    Expire { session: i64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    CutConnection,
    EndConnection,
    HalfOpen,
    LateAnswers,
    BlockClient,
    FreezeServer,
    KillServer,
    BlockServers,
    Depose,
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
    /// Somebody resets a lock, which the server refuses unless it is idle.
    ResetIdle,
    ExpireSession,
}

use Kind::*;

/// Each with how likely a seed has it, in percent, and its mean interval in ms.
pub const KINDS: [(Kind, u32, u64); 22] = [
    (CutConnection, 60, 300),
    (EndConnection, 30, 900),
    (HalfOpen, 30, 1500),
    (LateAnswers, 30, 900),
    (BlockClient, 40, 1200),
    (FreezeServer, 30, 1500),
    (KillServer, 35, 2000),
    (BlockServers, 30, 2000),
    (Depose, 20, 2500),
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
    (ResetIdle, 20, 300),
    // A leader whose clock jumps.
    (ExpireSession, 25, 1000),
];

struct Stream {
    interval: Option<Micros>,
    rng: fastrand::Rng,
    struck: u32,
}

/// The kinds of fault of one seed.
pub struct Plan {
    streams: Vec<Stream>,
}

impl Plan {
    pub fn new(schedule: &Schedule, agenda: &mut Agenda) -> Self {
        // One seed in twenty has no fault at all, so that plain errors are not hidden by hard ones.
        let quiet = agenda.chance(5);
        let streams = KINDS
            .iter()
            .enumerate()
            .map(|(index, &(_, percent, mean))| {
                let has = agenda.chance(percent) && !quiet && schedule.has(Part::Kind(index));
                let scale = agenda.between(1, 3);
                let rng = schedule.rng(Dice::Interval(index));
                Stream { interval: has.then_some(mean * MS * scale), rng, struck: 0 }
            })
            .collect();
        Self { streams }
    }

    pub fn has(&self, kind: Kind) -> bool {
        KINDS.iter().zip(&self.streams).any(|((k, ..), stream)| *k == kind && stream.interval.is_some())
    }

    /// How long until the next one of a kind.
    pub fn pause(&mut self, index: usize) -> Option<Micros> {
        let stream = &mut self.streams[index];
        let interval = stream.interval?;
        Some(stream.rng.u64(1..=2 * interval))
    }

    /// Counts the faults of a kind.
    pub fn next(&mut self, index: usize) -> u32 {
        self.streams[index].struck += 1;
        self.streams[index].struck
    }

    /// How many faults of each kind there were.
    pub fn struck(&self) -> impl Iterator<Item = (usize, u32)> {
        self.streams.iter().map(|stream| stream.struck).enumerate()
    }
}
