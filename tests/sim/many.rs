//! Many schedules on all cores.

use crate::locked::Mutex;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

struct SeedOnPanic(u64);

impl Drop for SeedOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("that was seed {}", self.0);
        }
    }
}

/// The least seed for which `run` answers something. It is asked of every seed before that one, and of none long
/// after it.
pub fn least<T: Send>(seeds: Range<u64>, run: impl Fn(u64) -> Option<T> + Sync) -> Option<(u64, T)> {
    let next = AtomicU64::new(seeds.start);
    let end = AtomicU64::new(seeds.end);
    let found = Mutex::new(None);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end.load(Ordering::Relaxed) {
                return;
            }
            let named = SeedOnPanic(seed);
            let outcome = run(seed);
            drop(named);
            if let Some(outcome) = outcome
                && seed < end.fetch_min(seed, Ordering::Relaxed)
            {
                let mut found = found.lock();
                if found.as_ref().is_none_or(|(earlier, _)| seed < *earlier) {
                    *found = Some((seed, outcome));
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    found.into_inner()
}
