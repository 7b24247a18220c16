//! What every entry from C goes through: panics are caught, arguments are checked, and an error object
//! is handed out only on failure.

use super::codes::zkh_status;
use super::error::zkh_error;
use super::handles;
use super::op::zkh_destroy_fn;
use crate::error::{Code, Error, Result};
use std::any::Any;
use std::borrow::Cow;
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::time::Duration;

/// Runs the body of the entry `function` and answers with its status. On failure, `*err` is
/// overwritten with an error object, unless `err` is null.
pub(super) unsafe fn status(
    function: &'static str,
    err: *mut *mut zkh_error,
    body: impl FnOnce() -> Result<()>,
) -> zkh_status {
    let Err(error) = guarded(body) else { return Code::OK.number() };
    let error = error.during(function, None);
    let code = error.code().number();
    if !err.is_null() {
        let object = catch_unwind(|| zkh_error::boxed(&error)).unwrap_or(std::ptr::null_mut());
        // SAFETY: the caller gives null or a place for a pointer; what is there is not read.
        unsafe { err.write(object) };
    }
    code
}

/// The same for an entry that has no error object to hand out: what went wrong is logged.
pub(super) fn logged(function: &'static str, body: impl FnOnce() -> Result<()>) -> zkh_status {
    match guarded(body) {
        Ok(()) => Code::OK.number(),
        Err(error) => {
            let _ = catch_unwind(AssertUnwindSafe(|| log::warn!("{function}: {error}")));
            error.code().number()
        }
    }
}

/// Copies a text and a NUL into a buffer of the caller's, cut off after `size` bytes in all, and answers
/// with the length of the whole text.
pub(super) unsafe fn copy_text(text: &str, buffer: *mut c_char, size: usize) -> Result<usize> {
    if buffer.is_null() && size > 0 {
        return Err(bad_argument("buffer is a null pointer"));
    }
    if let Some(room) = size.checked_sub(1) {
        let length = text.len().min(room);
        // SAFETY: the buffer is the caller's and has `size` bytes, of which `length` + 1 are written; the
        // text is ours, so they do not overlap.
        unsafe {
            buffer.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), length);
            buffer.add(length).write(0);
        }
    }
    Ok(text.len())
}

/// Copies bytes into a buffer of the caller's, which must have room for all of them.
pub(super) unsafe fn copy_bytes(
    bytes: &[u8],
    buffer: *mut c_void,
    size: usize,
    name: &'static str,
) -> Result<()> {
    if buffer.is_null() {
        return Err(bad_argument(format!("{name} is a null pointer")));
    }
    if size < bytes.len() {
        return Err(bad_argument(format!(
            "{name} takes {} bytes, and there is room for {size}",
            bytes.len()
        )));
    }
    // SAFETY: the buffer is the caller's and has `size` bytes, no fewer than are written; the bytes are ours,
    // so they do not overlap.
    unsafe { buffer.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    Ok(())
}

/// The value of a getter; its zero when anything goes wrong.
pub(super) fn value<T: Default>(body: impl FnOnce() -> Result<T>) -> T {
    guarded(body).unwrap_or_default()
}

/// Until it is dropped nobody's `pthread_cancel` ends this thread: it would be unwound by force, and may be carrying what
/// others wait for.
struct Uncancelled(c_int);

impl Uncancelled {
    fn new() -> Self {
        /// `PTHREAD_CANCEL_DISABLE` on Linux.
        const DISABLE: c_int = 1;
        Self(Self::set(DISABLE))
    }

    /// Sets whether this thread may be cancelled, and says whether it might.
    fn set(state: c_int) -> c_int {
        // Here, or it would be in the header.
        unsafe extern "C" {
            fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
        }
        let mut before = 0;
        // SAFETY: a state that there is, and a place for the one before.
        unsafe { pthread_setcancelstate(state, &raw mut before) };
        before
    }
}

impl Drop for Uncancelled {
    fn drop(&mut self) {
        Self::set(self.0);
    }
}

fn guarded<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    let _whole = Uncancelled::new();
    // What a panic leaves behind is only reached again through locks that do not poison and handles
    // that stay consistent step by step.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// What was thrown, as an error.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| Cow::Borrowed(*text))
        .or_else(|| panic.downcast_ref::<String>().map(|text| Cow::Owned(text.clone())));
    let error = Error::new(Code::PANIC);
    match text {
        Some(text) => error.because(text),
        None => error,
    }
}

pub(super) fn bad_argument(why: impl Into<Cow<'static, str>>) -> Error {
    Error::new(Code::BAD_ARGUMENT).because(why)
}

/// A place of the caller's that takes a result.
pub(super) struct Out<T>(NonNull<T>);

impl<T> Out<T> {
    pub(super) fn set(&self, value: T) {
        // SAFETY: `out` was given a place for a T that is the caller's for the length of the call. What
        // it holds, which may never have been written, is not read.
        unsafe { self.0.write(value) };
    }
}

/// The place for a result, with zero in it for the case of failure. Null is refused.
pub(super) unsafe fn out<T: Default>(place: *mut T, name: &'static str) -> Result<Out<T>> {
    let out = NonNull::new(place).map(Out);
    let out = out.ok_or_else(|| bad_argument(format!("{name} is a null pointer")))?;
    out.set(T::default());
    Ok(out)
}

/// The same, where null says that the result is not wanted.
pub(super) unsafe fn out_or_null<T: Default>(place: *mut T) -> Option<Out<T>> {
    // SAFETY: as our caller's.
    unsafe { out(place, "") }.ok()
}

/// The place for an object that the caller is to free, with null in it for the case of failure. Null says
/// that the object is not wanted.
pub(super) unsafe fn out_object<T>(place: *mut *mut T) -> Option<Out<*mut T>> {
    let out = NonNull::new(place).map(Out);
    if let Some(out) = &out {
        out.set(std::ptr::null_mut());
    }
    out
}

/// A text that must be there.
pub(super) unsafe fn text<'a>(text: *const c_char, name: &'static str) -> Result<&'a str> {
    // SAFETY: as our caller's.
    unsafe { text_or_null(text, name) }?.ok_or_else(|| bad_argument(format!("{name} is a null pointer")))
}

/// A text that may be null.
pub(super) unsafe fn text_or_null<'a>(text: *const c_char, name: &'static str) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller gives a NUL-terminated text that stays as it is for the length of the call,
    // beyond which nothing keeps the borrow.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map(Some).map_err(|e| {
        Error::new(Code::BAD_UTF8).because(format!("{name} is wrong from byte {} on", e.valid_up_to()))
    })
}

/// Bytes: null is taken where there are none.
pub(super) unsafe fn bytes<'a>(data: *const c_void, len: usize, name: &'static str) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(bad_argument(format!("{name} is a null pointer and its length is {len}")));
    }
    if len > isize::MAX.unsigned_abs() {
        return Err(bad_argument(format!("the length of {name} is {len}")));
    }
    // SAFETY: the caller gives `len` bytes that stay as they are for the length of the call, beyond
    // which nothing keeps the borrow.
    Ok(unsafe { std::slice::from_raw_parts(data.cast::<u8>(), len) })
}

/// How long to wait: `None` for ever.
pub(super) fn timeout(ms: i64) -> Result<Option<Duration>> {
    match u64::try_from(ms) {
        Ok(ms) => Ok(Some(Duration::from_millis(ms))),
        Err(_) if ms == -1 => Ok(None),
        Err(_) => Err(bad_argument(format!(
            "timeout_ms is {ms}: it must be -1 (for ever), 0 (do not wait) or a number of milliseconds"
        ))),
    }
}

/// Whose thread a callback runs on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Thread {
    /// Ours: what waits there may wait for what is behind it in the queue.
    Library,
    /// The caller's, who is in one of our functions.
    Caller,
}

thread_local! {
    /// The process in whose callback this thread is: a fork inside a callback makes a child whose only
    /// thread is no longer in one.
    static IN_CALLBACK: Cell<Option<(usize, Thread)>> = const { Cell::new(None) };
}

/// Whether this thread runs a callback at the moment.
pub(super) fn is_in_callback() -> bool {
    in_callback().is_some()
}

fn in_callback() -> Option<Thread> {
    let (process, thread) = IN_CALLBACK.try_with(Cell::get).ok().flatten()?;
    (handles::process().ok() == Some(process)).then_some(thread)
}

/// Marks this thread as one that runs a callback, until the mark is dropped.
pub(super) struct InCallback(Option<(usize, Thread)>);

impl InCallback {
    pub(super) fn enter() -> Self {
        Self::mark(Thread::Library)
    }

    /// The callback runs in the caller's own thread, and may wait.
    pub(super) fn task() -> Self {
        Self::mark(Thread::Caller)
    }

    fn mark(thread: Thread) -> Self {
        let here = handles::process().ok().map(|process| (process, thread));
        Self(IN_CALLBACK.try_with(|cell| cell.replace(here)).ok().flatten())
    }
}

impl Drop for InCallback {
    fn drop(&mut self) {
        let _ = IN_CALLBACK.try_with(|cell| cell.set(self.0));
    }
}

/// Refuses a call that waits, where what it waits for may be behind it in the queue.
pub(super) fn may_block() -> Result<()> {
    if in_callback() == Some(Thread::Library) {
        let text = "use the asynchronous form here, or call it from a thread of your own";
        return Err(Error::new(Code::WOULD_DEADLOCK).because(text));
    }
    Ok(())
}

/// A caller's pointer for its callback, and how it is destroyed: exactly once, when this is dropped.
pub(super) struct UserData {
    data: *mut c_void,
    destroy: zkh_destroy_fn,
}

// SAFETY: the header says that callbacks and `destroy` run on another thread; the pointer itself is only handed on.
unsafe impl Send for UserData {}
// SAFETY: as above; nothing here reads through it.
unsafe impl Sync for UserData {}

impl UserData {
    pub(super) fn new(data: *mut c_void, destroy: zkh_destroy_fn) -> Self {
        Self { data, destroy }
    }

    pub(super) fn as_ptr(&self) -> *mut c_void {
        self.data
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy.take() {
            let _mark = InCallback::enter();
            // SAFETY: the caller gave this function for this pointer, and it was taken: it runs once.
            unsafe { destroy(self.data) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::{zkh_error_code, zkh_error_free, zkh_error_message};
    use super::*;

    #[test]
    fn a_panic_becomes_a_status_and_a_message() {
        let mut err = std::ptr::null_mut();
        // SAFETY: a place for a pointer.
        let status = unsafe { status("zkh_test", &raw mut err, || panic!("by {}", "accident")) };
        assert_eq!(status, Code::PANIC.number());
        // SAFETY: an error object that is freed once, at the end.
        unsafe {
            assert_eq!(zkh_error_code(err), status);
            let message = CStr::from_ptr(zkh_error_message(err)).to_string_lossy();
            assert!(message.contains("zkh_test") && message.contains("by accident"), "{message}");
            zkh_error_free(err);
        }
        assert_eq!(value(|| -> Result<i64> { panic!("in a getter") }), 0);
    }

    #[test]
    fn the_error_is_written_on_failure_only() {
        let untouched = std::ptr::without_provenance_mut(8);
        let mut err = untouched;
        // SAFETY: a place for a pointer, and null.
        unsafe {
            assert_eq!(status("zkh_test", &raw mut err, || Ok(())), 0);
            assert_eq!(err, untouched);
            assert_eq!(status("zkh_test", std::ptr::null_mut(), || Err(Code::TIMEOUT.into())), -1009);
        }
    }
}
