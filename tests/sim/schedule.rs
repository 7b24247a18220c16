//! What decides a schedule: a seed, and what is left out of it to make a failure's story shorter.

use std::collections::BTreeSet;

/// Something that can be left out, with all else as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Every fault of a kind.
    Kind(usize),
    /// A process, from its start.
    Process(usize),
    /// What is done with one handle.
    Handle(usize),
    /// The n-th fault of a kind.
    Fault(usize, u32),
}

/// One schedule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    pub seed: u64,
    /// Another network and other turns, with the same processes and faults.
    pub salt: u64,
    pub without: BTreeSet<Part>,
    /// Which recipes are on the stage, where the seed does not choose them.
    pub cast: Option<u32>,
    /// See `Ensemble::forgives_moves`.
    pub forgives_moves: bool,
}

/// What chance is asked for. Each has numbers of its own, so that leaving one thing out changes no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dice {
    Setup,
    Course,
    Process(usize),
    Interval(usize),
    Fault(usize, u32),
    /// Which handles are persistent; 0 is the setup, the rest the processes.
    Persistent(usize),
    /// Which recipes are on the stage.
    Cast,
    /// An election's numbers: 0 is the setup, the rest the processes. So with the others.
    Election(usize),
    Queue(usize),
    Pid(usize),
}

impl Schedule {
    pub fn of(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Which recipes are on the stage, in percent of all schedules.
    pub fn cast(&self) -> u32 {
        self.cast.unwrap_or_else(|| self.rng(Dice::Cast).u32(0..100))
    }

    #[must_use]
    pub fn without(&self, part: Part) -> Self {
        let mut fewer = self.clone();
        fewer.without.insert(part);
        fewer
    }

    pub fn has(&self, part: Part) -> bool {
        !self.without.contains(&part)
    }

    pub fn rng(&self, dice: Dice) -> fastrand::Rng {
        let (which, a, b) = match dice {
            Dice::Setup => (1, 0, 0),
            Dice::Course => (2, self.salt, 0),
            Dice::Process(process) => (3, process as u64, 0),
            Dice::Interval(kind) => (4, kind as u64, 0),
            Dice::Fault(kind, nth) => (5, kind as u64, u64::from(nth)),
            Dice::Persistent(which) => (6, which as u64, 0),
            Dice::Cast => (7, 0, 0),
            Dice::Election(which) => (8, which as u64, 0),
            Dice::Queue(which) => (9, which as u64, 0),
            Dice::Pid(which) => (10, which as u64, 0),
        };
        let mixed = [which, a, b].into_iter().fold(self.seed, |sum, part| scatter(sum ^ scatter(part)));
        fastrand::Rng::with_seed(mixed)
    }
}

/// A permutation that leaves no bit near its place (the finalizer of splitmix64).
fn scatter(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
