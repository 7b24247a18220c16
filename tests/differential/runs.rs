//! Seed after seed, as `ZKHELPER_SEED`, `ZKHELPER_OPERATIONS` and `ZKHELPER_FUZZ_SECONDS` ask for.

use crate::comparison::Totals;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

/// How many times running the same seed has to come to a difference, each time on new servers.
///
/// What a server answers is given by what it is asked, and by time: a session that should be kept alive expires if the
/// machine stands still, one of two that are left alone is kept by a follower that does. And Apache ZooKeeper forgets which
/// connection a session has if it sees the end of the connection before only after the session was attached to
/// anew: at the next attachment it leaves the second one open, until it was idle for a session timeout. An
/// error of ours is there whenever it is asked for.
const TRIES: usize = 4;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// Compares, with servers that `start` gives, until there were `usual` operations, or as many as are asked for.
pub(crate) fn run<S>(name: &str, usual: u64, start: impl Fn() -> S, compare: impl Fn(&S, u64, &mut Totals)) {
    let began = Instant::now();
    let mut totals = Totals::default();
    let mut servers = start();
    let mut one = |seed: u64, totals: &mut Totals| {
        let _shown = ShowSeed(seed);
        for left in (0..TRIES).rev() {
            match catch_unwind(AssertUnwindSafe(|| compare(&servers, seed, totals))) {
                Ok(()) => return,
                Err(difference) if left == 0 => resume_unwind(difference),
                Err(_) => eprintln!("seed {seed} again, on new servers, up to {left} times"),
            }
            totals.again += 1;
            servers = start();
        }
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
