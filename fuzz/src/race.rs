//! Wrong on purpose: two threads write one word, and nothing says who is first. ThreadSanitizer must say so.

use std::ptr;

static mut WORD: u64 = 0;

fn main() {
    let write = |value: u64| {
        // SAFETY: there is none: it is a race.
        unsafe { ptr::write_volatile(&raw mut WORD, value) };
    };
    let other = std::thread::spawn(move || write(1));
    write(2);
    other.join().expect("the other thread");
}
