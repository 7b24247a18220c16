//! The simulator: the real recipes on the real client, against a model of a ZooKeeper ensemble, in
//! virtual time, with everything chosen by a seed.
//!
//! `ZKHELPER_SEEDS=n` sets how many schedules are run (from `ZKHELPER_FROM`), `ZKHELPER_SEED=s` runs one and
//! tells its story. `ZKHELPER_MUTANT_SEEDS=n` puts every known error back for up to n schedules each,
//! `ZKHELPER_MUTANT=name` only that one.

#![allow(unreachable_pub, reason = "the modules of one test binary")]

mod agenda;
mod elections;
mod ensemble;
mod faults;
mod locked;
mod locks;
mod many;
mod network;
mod pids;
mod queues;
mod recipe;
mod regressions;
mod schedule;
mod shrink;
mod sim;
mod stage;
mod strikes;
mod tree;
mod world;

use locked::Mutex;
use schedule::Schedule;
use stage::Outcome;
use std::cell::RefCell;
use std::time::{Duration, Instant};
use zkhelper::simulation::{Mutant, mutate};

/// A schedule is made of many small pieces of memory, and a sixth of its time is theirs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

thread_local! {
    static LOG: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// The library's own log, as part of the story.
struct StoryLog;

impl log::Log for StoryLog {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LOG.with_borrow_mut(|lines| lines.push(record.args().to_string()));
    }

    fn flush(&self) {}
}

fn log_lines() -> Vec<String> {
    LOG.take()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The story of a schedule.
fn story(schedule: &Schedule) -> Outcome {
    let _ = log::set_logger(&StoryLog);
    log::set_max_level(log::LevelFilter::Info);
    drop(log_lines());
    let outcome = sim::run(schedule, true);
    log::set_max_level(log::LevelFilter::Off);
    outcome
}

/// Tells what a failing seed comes to at the shortest, and fails.
fn fail(seed: u64, outcome: &Outcome) -> ! {
    let (least, _) = shrink::shrink(&Schedule::of(seed));
    let told = story(&least);
    let skip = if number("ZKHELPER_SEED").is_some() { 0 } else { told.story.len().saturating_sub(300) };
    println!("seed {seed}, shrunk (turns {}):", least.salt);
    for line in &told.story[skip..] {
        println!("{line}");
    }
    panic!(
        "seed {seed}: {}\nshrunk: {}\nagain, with the whole story: ZKHELPER_SEED={seed} cargo test --profile sim \
         --features simulation --test sim promises -- --nocapture",
        outcome.violations[0], told.violations[0],
    );
}

/// What many schedules came to.
#[derive(Default)]
struct Sums {
    all: Outcome,
    /// Schedules with anybody in strict mode.
    strict: u64,
    /// Schedules in which two believed, excused by a server's clock, and the one where they did for longest.
    overlaps: u64,
    longest: (u64, u64),
    /// Of all histories together, in whatever order they were played: a change that is to change none can be held against it.
    histories: u64,
}

impl Sums {
    fn add(&mut self, seed: u64, outcome: &Outcome) {
        let all = &mut self.all;
        all.steps += outcome.steps;
        all.virtual_time += outcome.virtual_time;
        all.grants += outcome.grants;
        all.faults += outcome.faults;
        all.writes += outcome.writes;
        all.late_grants += outcome.late_grants;
        all.foreign_deletes += outcome.foreign_deletes;
        all.namesakes += outcome.namesakes;
        self.strict += u64::from(outcome.strict);
        self.histories = self.histories.wrapping_add(outcome.hash);
        self.overlaps += u64::from(outcome.overlaps > 0);
        self.longest = self.longest.max((outcome.longest_overlap, seed));
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all = &self.all;
        writeln!(
            f,
            "{} steps, {} s of virtual time, {} faults, {} grants, {} guarded writes; histories {:016x}",
            all.steps,
            all.virtual_time / 1_000_000,
            all.faults,
            all.grants,
            all.writes,
            self.histories,
        )?;
        write!(
            f,
            "{} schedules with strict mode; in default mode {} late grants, {} deletions of another's node after a \
             parent was deleted, {} guarded writes that a namesake passed; {} schedules with early expiry in which two believed, at most for {} ms (seed {})",
            self.strict,
            all.late_grants,
            all.foreign_deletes,
            all.namesakes,
            self.overlaps,
            self.longest.0 / 1000,
            self.longest.1,
        )
    }
}

#[test]
fn promises_hold_under_every_schedule() {
    if let Some(seed) = number("ZKHELPER_SEED") {
        let outcome = story(&Schedule::of(seed));
        if outcome.violations.is_empty() {
            outcome.story.iter().for_each(|line| println!("{line}"));
            println!("seed {seed}: no violation, {} steps", outcome.steps);
        } else {
            fail(seed, &outcome);
        }
        return;
    }
    let from = number("ZKHELPER_FROM").unwrap_or(1);
    let seeds = number("ZKHELPER_SEEDS").unwrap_or(2000);
    let began = Instant::now();
    let sums = Mutex::new(Sums::default());
    let failed = many::least(from..from + seeds, |seed| {
        let outcome = sim::run(&Schedule::of(seed), false);
        sums.lock().add(seed, &outcome);
        (!outcome.violations.is_empty()).then_some(outcome)
    });
    if let Some((seed, outcome)) = failed {
        fail(seed, &outcome);
    }
    let took = began.elapsed();
    println!(
        "{seeds} schedules from {from} in {:.1} s: {:.0} a minute",
        took.as_secs_f64(),
        seeds as f64 * 60.0 / took.as_secs_f64()
    );
    println!("{}", sums.into_inner());
}

#[test]
fn a_seed_gives_the_same_history_twice() {
    for seed in 1..=50 {
        let schedule = Schedule::of(seed);
        let (a, b) = (sim::run(&schedule, false), sim::run(&schedule, true));
        assert_eq!((a.hash, a.steps), (b.hash, b.steps), "seed {seed}");
    }
}

#[test]
fn a_failing_seed_is_shrunk_and_its_promise_stays_broken() {
    mutate(Some(Mutant::WaitsForGone));
    let broken = |seed| sim::run(&Schedule::of(seed), false);
    let found = (1..100).map(|seed| (seed, broken(seed))).find(|(_, outcome)| !outcome.violations.is_empty());
    let (seed, whole) = found.expect("a seed that finds it");
    let (least, shrunk) = shrink::shrink(&Schedule::of(seed));
    let again = sim::run(&least, true);
    mutate(None);
    assert_eq!(shrunk.violations[0].promise, whole.violations[0].promise);
    assert_eq!(again.violations, shrunk.violations, "the story is that of what was found");
    assert!(shrunk.faults <= whole.faults && !least.without.is_empty(), "{least:?}");
}

#[test]
fn what_was_mended_stays_mended() {
    let broken = |it: &regressions::Regression, salt, mutant| {
        mutate(mutant);
        let outcome = sim::run(&Schedule { salt, ..it.schedule() }, false);
        mutate(None);
        outcome.violations.first().map(|violation| violation.promise)
    };
    if let Some(courses) = number("ZKHELPER_COURSES") {
        for it in regressions::ALL {
            let found = many::least(0..courses, |salt| {
                (broken(it, salt, Some(it.mutant)) == Some(it.promise)).then_some(())
            });
            println!("seed {}: course {:?}", it.seed, found.map(|(salt, ())| salt));
        }
        return;
    }
    for it in regressions::ALL {
        assert_eq!(broken(it, it.salt, None), None, "seed {}: {}", it.seed, it.what);
        assert_eq!(
            broken(it, it.salt, Some(it.mutant)),
            Some(it.promise),
            "seed {} with the error back: {}",
            it.seed,
            it.what
        );
    }
}

/// What is not on the stage: a parent that a server removes because it is an empty container
/// (tests/scenarios/lease.rs has that); a reset waits by itself.
const ELSEWHERE: [Mutant; 1] = [Mutant::ParentAlwaysFirst];

/// Those that take more schedules than there is time for each time; `ZKHELPER_MUTANT_SEEDS` tries them too, and
/// `regressions.rs` has a seed for some.
const RARE: [Mutant; 12] = [
    Mutant::DeletesByName,
    Mutant::NeighbourByName,
    Mutant::SyncProves,
    Mutant::AnyCompanion,
    Mutant::CompanionByOldLook,
    Mutant::CompanionsAlike,
    Mutant::CompanionWithoutLock,
    Mutant::AnyPidNodeOfSession,
    Mutant::DeletesWhatIsGone,
    Mutant::LostNodeByName,
    Mutant::ForgetsParent,
    Mutant::RecallsAnyMarker,
];

#[test]
fn every_mutant_is_found() {
    let asked = number("ZKHELPER_MUTANT_SEEDS");
    let most = asked.unwrap_or(10_000);
    let mut left = Vec::new();
    for mutant in Mutant::ALL {
        if std::env::var("ZKHELPER_MUTANT").is_ok_and(|name| name != format!("{mutant:?}")) {
            continue;
        }
        if ELSEWHERE.contains(&mutant) || (asked.is_none() && RARE.contains(&mutant)) {
            continue;
        }
        let began = Instant::now();
        let found = many::least(1..most + 1, |seed| {
            mutate(Some(mutant));
            let outcome = sim::run(&Schedule::of(seed), false);
            (!outcome.violations.is_empty()).then_some(outcome)
        });
        let took: Duration = began.elapsed();
        match found {
            Some((seed, outcome)) => {
                println!("{mutant:?}: seed {seed}, {:.1} s: {}", took.as_secs_f64(), outcome.violations[0]);
            }
            None => {
                println!("{mutant:?}: not found in {most} seeds, {:.1} s", took.as_secs_f64());
                left.push(mutant);
            }
        }
    }
    assert!(left.is_empty(), "not found: {left:?}");
}
