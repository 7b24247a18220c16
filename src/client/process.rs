//! What belongs to one process only: after a fork the child has memory like its parent's, but none
//! of its threads. Whatever is bound to threads is kept in an array by this index.

use std::ffi::c_int;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

/// How deep processes may fork that all use this library, each in its parent's memory.
pub(crate) const DEPTH: usize = 64;

static OWNERS: [AtomicU32; DEPTH] = [const { AtomicU32::new(0) }; DEPTH];

/// This process's place and one, where the C library tells us of forks: asking for the process's number is a call of
/// the kernel, and every operation asks several times.
static KNOWN: AtomicUsize = AtomicUsize::new(0);

/// This process's place; `None` once [`DEPTH`] ancestors have used this library.
///
/// Nothing here is ever locked, so a fork at any moment leaves it usable.
pub(crate) fn index() -> Option<usize> {
    match KNOWN.load(Ordering::Relaxed) {
        0 => look_up(),
        known => Some(known - 1),
    }
}

/// This process's number.
pub(crate) fn id() -> u32 {
    let known = index().and_then(|index| OWNERS.get(index));
    known.map_or_else(std::process::id, |owner| owner.load(Ordering::Relaxed))
}

#[cold]
fn look_up() -> Option<usize> {
    let pid = std::process::id();
    let index = OWNERS.iter().position(|owner| match owner.load(Ordering::Acquire) {
        0 => match owner.compare_exchange(0, pid, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            // Another thread of this process was quicker.
            Err(winner) => winner == pid,
        },
        owner => owner == pid,
    })?;
    if hears_of_forks() {
        KNOWN.store(index + 1, Ordering::Relaxed);
    }
    Some(index)
}

/// In the child, before `fork` returns there.
extern "C" fn forked() {
    KNOWN.store(0, Ordering::Relaxed);
}

/// Whether [`forked`] is called in every child.
fn hears_of_forks() -> bool {
    const NOT_ASKED: u8 = 0;
    const ASKING: u8 = 1;
    const GRANTED: u8 = 2;
    const REFUSED: u8 = 3;
    static STAGE: AtomicU8 = AtomicU8::new(NOT_ASKED);
    let before = STAGE.compare_exchange(NOT_ASKED, ASKING, Ordering::AcqRel, Ordering::Acquire);
    match before {
        Ok(_) => {
            let granted = call_in_children();
            STAGE.store(if granted { GRANTED } else { REFUSED }, Ordering::Release);
            granted
        }
        // The child of a fork at that moment finds it asking for ever, and asks the kernel each time.
        Err(stage) => stage == GRANTED,
    }
}

#[allow(unsafe_code, reason = "the one call of the core's that the standard library does not have")]
fn call_in_children() -> bool {
    unsafe extern "C" {
        // POSIX.1-2001; what is registered by a library that is unloaded is forgotten with it.
        fn pthread_atfork(
            prepare: Option<extern "C" fn()>,
            parent: Option<extern "C" fn()>,
            child: Option<extern "C" fn()>,
        ) -> c_int;
    }
    // SAFETY: the function is there for as long as this library is, and does nothing that is not allowed in a child: it
    // stores one atomic number.
    unsafe { pthread_atfork(None, None, Some(forked)) == 0 }
}
