//! Seed after seed, as `ZKHELPER_SEED`, `ZKHELPER_OPERATIONS` and `ZKHELPER_FUZZ_SECONDS` ask for.

use crate::comparison::{Pace, Totals};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// How long nothing may go on: sessions that should be kept alive live for 9 s at least.
///
/// A machine may stand still for longer. And Apache ZooKeeper forgets which connection a session has if it sees
/// the end of the connection before only after the session was attached to anew: at the next attachment it then
/// leaves the second one open, until it was idle for a session timeout.
const STALL: Duration = Duration::from_secs(4);
/// How often in one comparison.
const STALLS: usize = 5;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// Compares, with servers that `start` gives, until there were `usual` operations, or as many as are asked for.
pub(crate) fn run<S>(
    name: &str,
    usual: u64,
    start: impl Fn() -> S,
    compare: impl Fn(&S, u64, &Pace, &mut Totals),
) {
    let began = Instant::now();
    let mut totals = Totals::default();
    let mut servers = start();
    let mut one = |seed: u64, totals: &mut Totals| {
        let _shown = ShowSeed(seed);
        for _ in 0..STALLS {
            let pace = Pace::new();
            let Err(difference) = catch_unwind(AssertUnwindSafe(|| compare(&servers, seed, &pace, totals)))
            else {
                return;
            };
            if pace.longest() <= STALL {
                resume_unwind(difference);
            }
            // Sessions that were to live have expired, on both sides, each at its own moment.
            eprintln!("nothing went on for {:?}: that seed again, on new servers", pace.longest());
            servers = start();
        }
        panic!("{STALLS} times running, nothing went on for longer than {STALL:?}");
    };
    if let Some(seed) = setting("ZKHELPER_SEED") {
        one(seed, &mut totals);
    } else if let Some(seconds) = setting("ZKHELPER_FUZZ_SECONDS") {
        let mut seed = fastrand::u64(..);
        while began.elapsed() < Duration::from_secs(seconds) {
            one(seed, &mut totals);
            seed = seed.wrapping_add(1);
        }
    } else {
        let wanted = setting("ZKHELPER_OPERATIONS").unwrap_or(usual);
        for seed in 0.. {
            one(seed, &mut totals);
            if totals.operations >= wanted {
                break;
            }
        }
    }
    println!("{name}: {totals:?} in {:?}", began.elapsed());
}

/// Says which seed it was when a comparison fails.
struct ShowSeed(u64);

impl Drop for ShowSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay with ZKHELPER_SEED={}", self.0);
        }
    }
}
