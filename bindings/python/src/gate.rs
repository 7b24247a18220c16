//! The end of the interpreter, as threads other than the main one meet it.
//!
//! Up to Python 3.13 a thread that asks for the interpreter's lock while the interpreter ends is ended by
//! `pthread_exit`. Where Python code runs inside a function of Rust's, that would unwind through it, and abort the
//! process. So such functions are entered here; once the interpreter is about to end no other thread gets in any more,
//! and those inside are waited for.

use pyo3::prelude::*;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// The thread that ends the interpreter, once it does.
static ENDING: OnceLock<ThreadId> = OnceLock::new();
/// How many are inside.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
/// How long those inside are waited for: what they do takes microseconds.
const LIMIT: Duration = Duration::from_secs(1);

/// Somebody inside.
pub(crate) struct Inside(());

impl Drop for Inside {
    fn drop(&mut self) {
        // Another process's count may have begun anew.
        let _ = INSIDE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |inside| inside.checked_sub(1));
    }
}

/// Lets a thread in that is about to run Python code. Any but the main one stays here for ever once the interpreter ends.
pub(crate) fn enter(py: Python<'_>) -> Inside {
    if ENDING.get().is_some_and(|main| *main != thread::current().id()) {
        py.detach(|| {
            loop {
                thread::park();
            }
        })
    }
    INSIDE.fetch_add(1, Ordering::Relaxed);
    Inside(())
}

/// To be called at the end of the interpreter by the thread that ends it.
#[pyfunction]
pub(crate) fn ending(py: Python<'_>) {
    let _ = ENDING.set(thread::current().id());
    py.detach(|| {
        let until = Instant::now() + LIMIT;
        while INSIDE.load(Ordering::Relaxed) > 0 && Instant::now() < until {
            thread::sleep(Duration::from_micros(100));
        }
    });
}

/// In the child of a fork none of the others goes on.
pub(crate) fn forked() {
    INSIDE.store(0, Ordering::Relaxed);
}
