//! What belongs to one process only: after a fork the child has memory like its parent's, but none
//! of its threads. Whatever is bound to threads is kept in an array by this index.

use std::sync::atomic::{AtomicU32, Ordering};

/// How deep processes may fork that all use this library, each in its parent's memory.
pub(crate) const DEPTH: usize = 64;

static OWNERS: [AtomicU32; DEPTH] = [const { AtomicU32::new(0) }; DEPTH];

/// This process's place; `None` once [`DEPTH`] ancestors have used this library.
///
/// Nothing here is ever locked, so a fork at any moment leaves it usable.
pub(crate) fn index() -> Option<usize> {
    let pid = std::process::id();
    OWNERS.iter().position(|owner| match owner.load(Ordering::Acquire) {
        0 => match owner.compare_exchange(0, pid, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            // Another thread of this process was quicker.
            Err(winner) => winner == pid,
        },
        owner => owner == pid,
    })
}
