//! Log records on their way to Python's `logging`.
//!
//! They are made by the IO thread too, which must not wait for the interpreter: they are queued, and a thread of
//! Python's takes them. A child of a fork has a queue of its own, since that of its parent may be locked.

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How many records wait at most; later ones are dropped and counted.
const ROOM: usize = 4096;
/// How deep processes may fork with a log each.
const DEPTH: usize = 64;

struct Journal {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    records: VecDeque<(i32, String, String)>,
    dropped: u64,
}

static JOURNALS: [Journal; DEPTH] = [const {
    Journal { state: Mutex::new(State { records: VecDeque::new(), dropped: 0 }), changed: Condvar::new() }
}; DEPTH];

/// How many forks lie between the process that loaded this module and this one.
static GENERATION: AtomicUsize = AtomicUsize::new(0);

fn journal() -> Option<&'static Journal> {
    JOURNALS.get(GENERATION.load(Ordering::Relaxed))
}

struct Queue;

impl Log for Queue {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("zkhelper")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let Some(journal) = journal() else { return };
        // The numbers of Python's levels; TRACE has none there, and is below DEBUG.
        let level = match record.level() {
            Level::Error => 40,
            Level::Warn => 30,
            Level::Info => 20,
            Level::Debug => 10,
            Level::Trace => 5,
        };
        let entry = (level, record.target().replace("::", "."), record.args().to_string());
        let mut state = journal.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.records.len() < ROOM {
            state.records.push_back(entry);
            drop(state);
            journal.changed.notify_one();
        } else {
            state.dropped += 1;
        }
    }

    fn flush(&self) {}
}

pub(crate) fn install() {
    // Nothing else in this library can have installed one; should it be imported a second time by another
    // interpreter of the process, the first one's stays.
    let _ = log::set_logger(&Queue);
}

/// Records of at least this level (a number of `logging`'s) are made from now on.
#[pyfunction]
pub(crate) fn log_level(level: i32) {
    log::set_max_level(match level {
        41.. => LevelFilter::Off,
        31.. => LevelFilter::Error,
        21.. => LevelFilter::Warn,
        11.. => LevelFilter::Info,
        6.. => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    });
}

/// The next record (level, target, text) and how many were dropped before it; waits at most `timeout` seconds.
#[pyfunction]
pub(crate) fn next_record(py: Python<'_>, timeout: f64) -> Option<((i32, String, String), u64)> {
    let journal = journal()?;
    let timeout = Duration::try_from_secs_f64(timeout).unwrap_or(Duration::ZERO);
    py.detach(|| {
        let state = journal.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = journal.changed.wait_timeout_while(state, timeout, |state| state.records.is_empty());
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let record = state.records.pop_front()?;
        Some((record, std::mem::take(&mut state.dropped)))
    })
}

/// To be called in the child of a fork before anything else.
#[pyfunction]
pub(crate) fn forked() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    crate::gate::forked();
}
