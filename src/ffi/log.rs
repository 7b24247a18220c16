//! Log records, handed to a callback on a thread of their own.

use super::boundary::{InCallback, UserData, bad_argument, is_in_callback, status};
use super::codes::zkh_status;
use super::error::{c_text, zkh_error};
use super::handles;
use super::op::zkh_destroy_fn;
use crate::client::process;
use crate::client::runtime::spawn_thread;
use crate::error::{Code, Error, Result};
use crate::sync::{Condvar, Mutex};
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::collections::VecDeque;
use std::ffi::{c_char, c_void};
use std::sync::Arc;

/// No log records.
pub const ZKH_LOG_OFF: i32 = 0;
/// Something went wrong that somebody has to look at.
pub const ZKH_LOG_ERROR: i32 = 1;
/// Something is not as it should be.
pub const ZKH_LOG_WARN: i32 = 2;
/// What happens to sessions and connections.
pub const ZKH_LOG_INFO: i32 = 3;
/// For whoever looks for a fault.
pub const ZKH_LOG_DEBUG: i32 = 4;
/// Everything.
pub const ZKH_LOG_TRACE: i32 = 5;

/// A log record: `level` is one of `ZKH_LOG_…`, `target` names the part of the library, `message` is one line.
/// Both texts are UTF-8 and gone when the callback returns. It is called on a thread of its own, one record at
/// a time and in order; what waits is refused in it with `ZKH_WOULD_DEADLOCK`. It must not throw.
pub type zkh_log_fn = Option<
    unsafe extern "C" fn(user_data: *mut c_void, level: i32, target: *const c_char, message: *const c_char),
>;

type LogFn = unsafe extern "C" fn(*mut c_void, i32, *const c_char, *const c_char);

/// How many records wait for the callback at most.
const ROOM: usize = 4096;

struct Entry {
    level: Level,
    target: String,
    message: String,
}

struct Sink {
    callback: LogFn,
    user: UserData,
}

/// One process's log.
struct Journal {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    sink: Option<Arc<Sink>>,
    level: LevelFilter,
    entries: VecDeque<Entry>,
    /// Records dropped since the last one that was told of, and ever.
    dropped: u64,
    dropped_ever: u64,
    has_thread: bool,
    is_calling: bool,
}

impl Journal {
    const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                sink: None,
                level: LevelFilter::Off,
                entries: VecDeque::new(),
                dropped: 0,
                dropped_ever: 0,
                has_thread: false,
                is_calling: false,
            }),
            changed: Condvar::new(),
        }
    }
}

/// One for each process that shares this memory by forks: a child begins without a callback.
static JOURNALS: [Journal; process::DEPTH] = [const { Journal::new() }; process::DEPTH];

fn journal() -> Result<&'static Journal> {
    JOURNALS.get(handles::process()?).ok_or_else(|| Code::OUT_OF_RESOURCES.into())
}

/// What the facade `log` hands the records to.
struct Logger(#[allow(dead_code)] u8);

static LOGGER: Logger = Logger(0);

/// The name that this crate's targets begin with.
const OURS: &str = env!("CARGO_PKG_NAME");

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(OURS)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let Ok(journal) = journal() else { return };
        let mut state = journal.state.lock();
        if state.sink.is_none() || record.level() > state.level {
            return;
        }
        if state.entries.len() >= ROOM {
            state.dropped += 1;
            state.dropped_ever += 1;
            return;
        }
        let target = record.target().to_owned();
        let message = record.args().to_string().replace(['\n', '\r'], " ");
        state.entries.push_back(Entry { level: record.level(), target, message });
        journal.changed.notify_all();
    }

    fn flush(&self) {}
}

impl Journal {
    /// The thread that calls the callback.
    fn run(&self) {
        let _mark = InCallback::enter();
        let mut state = self.state.lock();
        loop {
            let entry = match state.entries.pop_front() {
                Some(entry) if state.dropped == 0 => entry,
                Some(entry) => {
                    let text =
                        format!("{} log records were dropped: the callback is too slow", state.dropped);
                    state.dropped = 0;
                    state.entries.push_front(entry);
                    Entry { level: Level::Warn, target: OURS.to_owned(), message: text }
                }
                None => {
                    state = self.changed.wait(state);
                    continue;
                }
            };
            let Some(sink) = state.sink.clone() else { continue };
            state.is_calling = true;
            drop(state);
            let (target, message) = (c_text(&entry.target), c_text(&entry.message));
            let level = number(entry.level);
            // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet.
            unsafe { (sink.callback)(sink.user.as_ptr(), level, target.as_ptr(), message.as_ptr()) };
            drop(sink);
            state = self.state.lock();
            state.is_calling = false;
            self.changed.notify_all();
        }
    }
}

fn number(level: Level) -> i32 {
    match level {
        Level::Error => ZKH_LOG_ERROR,
        Level::Warn => ZKH_LOG_WARN,
        Level::Info => ZKH_LOG_INFO,
        Level::Debug => ZKH_LOG_DEBUG,
        Level::Trace => ZKH_LOG_TRACE,
    }
}

fn filter(level: i32) -> Result<LevelFilter> {
    Ok(match level {
        ZKH_LOG_OFF => LevelFilter::Off,
        ZKH_LOG_ERROR => LevelFilter::Error,
        ZKH_LOG_WARN => LevelFilter::Warn,
        ZKH_LOG_INFO => LevelFilter::Info,
        ZKH_LOG_DEBUG => LevelFilter::Debug,
        ZKH_LOG_TRACE => LevelFilter::Trace,
        other => return Err(bad_argument(format!("level is {other}: it must be from 0 to 5"))),
    })
}

/// Makes this library's logger the one of the facade `log`, unless the program has one.
fn install() -> Result<()> {
    if log::set_logger(&LOGGER).is_ok() {
        return Ok(());
    }
    let installed = std::ptr::from_ref(log::logger()).cast::<Logger>();
    if std::ptr::eq(installed, &raw const LOGGER) {
        return Ok(());
    }
    let text = "this program is written in Rust and has a logger already, which gets the records";
    Err(Error::new(Code::UNSUPPORTED).because(text))
}

/// Sets the callback for log records of this level and the graver ones, in place of the one before, which is
/// not called any more when this returns, except inside a callback. A null callback, or ZKH_LOG_OFF, sets none.
/// Records wait in a queue of bounded length; where the callback is too slow some are dropped, and one record
/// says how many. `user_data` is destroyed by `destroy`, which may be null, once the callback is replaced.
/// After a fork the child has no callback until it sets one.
/// Any thread, also in callbacks. Errors: ZKH_BAD_ARGUMENT for another level; ZKH_UNSUPPORTED in a Rust program
/// that has a logger of its own, which then gets the records; ZKH_OUT_OF_RESOURCES.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_log_set_callback(
    level: i32,
    callback: zkh_log_fn,
    user_data: *mut c_void,
    destroy: zkh_destroy_fn,
    err: *mut *mut zkh_error,
) -> zkh_status {
    let body = || {
        let user = UserData::new(user_data, destroy);
        let level = filter(level)?;
        let journal = journal()?;
        let callback = callback.filter(|_| level != LevelFilter::Off);
        if callback.is_some() {
            install()?;
        }
        let mut state = journal.state.lock();
        if callback.is_some() && !state.has_thread {
            spawn_thread("zkhelper-log", || journal.run()).map_err(|error| {
                Error::new(Code::OUT_OF_RESOURCES).because(format!("the log thread did not start: {error}"))
            })?;
            state.has_thread = true;
        }
        let old = state.sink.take();
        state.entries.clear();
        let in_callback = is_in_callback();
        // The thread lets go of the old one before it says that it is no longer calling.
        while state.is_calling && !in_callback {
            state = journal.changed.wait(state);
        }
        // Another one may have come while the lock was given up.
        let new = callback.map(|callback| Arc::new(Sink { callback, user }));
        let other = std::mem::replace(&mut state.sink, new);
        state.level = level;
        if state.has_thread {
            log::set_max_level(if state.sink.is_some() { level } else { LevelFilter::Off });
        }
        drop(state);
        drop((old, other));
        Ok(())
    };
    // SAFETY: `err` is null or a place for a pointer.
    unsafe { status("zkh_log_set_callback", err, body) }
}

/// How many log records were dropped so far because the callback was too slow. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn zkh_log_dropped() -> u64 {
    super::boundary::value(|| Ok(journal()?.state.lock().dropped_ever))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Hosts;

    impl Log for Hosts {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn log(&self, _: &Record<'_>) {}

        fn flush(&self) {}
    }

    #[test]
    fn a_rust_programs_own_logger_stays() {
        log::set_logger(&Hosts).expect("the first one");
        let error = install().expect_err("there is one");
        assert_eq!(error.code(), Code::UNSUPPORTED);
        assert!(error.to_string().contains("has a logger already"), "{error}");
    }
}
