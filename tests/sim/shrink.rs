//! Makes a failing schedule shorter: leaves out whole kinds of fault, processes, handles and single faults as
//! long as the same promise is still broken.

use super::schedule::{Part, Schedule};
use super::sim;
use super::stage::Outcome;

/// How many other courses are tried for each part left out: with one fault less, the rest falls otherwise.
const COURSES: u64 = 12;

/// The shortest failing schedule found from this one, and what it comes to.
pub fn shrink(schedule: &Schedule) -> (Schedule, Outcome) {
    let mut least = schedule.clone();
    let mut outcome = sim::run(&least, false);
    let Some(promise) = outcome.violations.first().map(|violation| violation.promise) else {
        return (least, outcome);
    };
    loop {
        let before = least.clone();
        for part in parts(&outcome) {
            if !least.has(part) {
                continue;
            }
            let fewer = least.without(part);
            let failing = (0..COURSES).find_map(|course| {
                let salt = if course == 0 { fewer.salt } else { course };
                let candidate = Schedule { salt, ..fewer.clone() };
                let outcome = sim::run(&candidate, false);
                let same = outcome.violations.first().is_some_and(|violation| violation.promise == promise);
                same.then_some((candidate, outcome))
            });
            if let Some(found) = failing {
                (least, outcome) = found;
            }
        }
        if least == before {
            return (least, outcome);
        }
    }
}

/// What can be left out, the largest parts first.
fn parts(outcome: &Outcome) -> Vec<Part> {
    let kinds = outcome.struck.iter().filter(|(_, struck)| *struck > 0);
    let mut parts: Vec<_> = kinds.clone().map(|(kind, _)| Part::Kind(*kind)).collect();
    parts.extend((0..outcome.processes).rev().map(Part::Process));
    parts.extend((0..outcome.handles).rev().map(Part::Handle));
    parts.extend(kinds.flat_map(|(kind, struck)| (1..=*struck).rev().map(|nth| Part::Fault(*kind, nth))));
    parts
}
