//! Seeds by which the simulator found an error of ours, and that error as it can be put back.
//!
//! Each holds as long as the schedule plays as it did; when the model is changed so that another is dealt, the test says
//! so. `ZKHELPER_COURSES=n` looks for each among n courses of its seed, with the same processes and faults, and
//! `ZKHELPER_MUTANT` finds a new seed.

use crate::schedule::Schedule;
use zkhelper::simulation::Mutant;

pub struct Regression {
    pub seed: u64,
    /// Which course of the seed's: see `Schedule::salt`.
    pub salt: u64,
    /// Where the error was found when the stage had these alone: see `cast` in `sim.rs`.
    pub cast: Option<u32>,
    /// It was dealt by the model as it was before: see `Ensemble::forgives_moves`.
    pub forgives_moves: bool,
    pub what: &'static str,
    pub mutant: Mutant,
    pub promise: &'static str,
}

impl Regression {
    pub fn schedule(&self) -> Schedule {
        Schedule {
            salt: self.salt,
            cast: self.cast,
            forgives_moves: self.forgives_moves,
            ..Schedule::of(self.seed)
        }
    }
}

const fn found(
    seed: u64,
    cast: Option<u32>,
    what: &'static str,
    mutant: Mutant,
    promise: &'static str,
) -> Regression {
    Regression { seed, salt: 0, cast, forgives_moves: false, what, mutant, promise }
}

impl Regression {
    /// In another course than the seed's first.
    const fn in_course(mut self, salt: u64) -> Self {
        self.salt = salt;
        self
    }

    const fn dealt_before(mut self) -> Self {
        self.forgives_moves = true;
        self
    }
}

pub const ALL: &[Regression] = &[
    found(
        63_629,
        None,
        "a releaser of a dead persistent lock removed the companion that another one had made since",
        Mutant::CompanionByOldLook,
        "M5",
    ),
    found(
        1_003_779,
        None,
        "a release removed its companion by name when the owner had, with the lock, and another release had made one since",
        Mutant::CompanionWithoutLock,
        "M2",
    ),
    found(
        20_235_133,
        None,
        "the node of a lock whose lease had run out was another's by then, and deleted by its name",
        Mutant::LostNodeByName,
        "M2",
    )
    .in_course(1),
    found(
        697,
        None,
        "a term began whose lease had run out while the process was paused",
        Mutant::BeginsTermBlindly,
        "overdue",
    )
    .in_course(23),
    found(
        6798,
        Some(90),
        "a pid node that took a dead owner's place deleted a living one's",
        Mutant::TakesOverByVersion,
        "P1",
    ),
    found(
        138_587,
        Some(90),
        "two handles of one client removed one node, and the second removal met another owner's",
        Mutant::AnyPidNodeOfSession,
        "P1",
    ),
    found(
        987_597,
        None,
        "a release that was told that its node is gone deleted it by name all the same",
        Mutant::DeletesWhatIsGone,
        "M2",
    )
    .in_course(424)
    .dealt_before(),
];
