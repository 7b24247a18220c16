//! The error object.

use super::codes::zkh_status;
use crate::error::{Code, Error};
use std::ffi::{CString, c_char};

/// What went wrong, made by the function that failed. It is not changed once it is made, so any
/// thread may read it; whoever received it through an `err` parameter frees it with `zkh_error_free`.
pub struct zkh_error {
    code: Code,
    message: CString,
    path: Option<CString>,
}

impl zkh_error {
    pub(super) fn new(error: &Error) -> Self {
        Self { code: error.code(), message: c_text(&error.to_string()), path: error.path().map(c_text) }
    }

    pub(super) fn code(&self) -> Code {
        self.code
    }

    pub(super) fn boxed(error: &Error) -> *mut Self {
        Box::into_raw(Box::new(Self::new(error)))
    }
}

/// A text for C, which ends at a NUL: one in its midst is shown.
pub(super) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\\0")).unwrap_or_default()
}

/// The error's code: one of the constants `ZKH_…`. `ZKH_OK` for a null pointer.
/// Any thread. It cannot fail.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_error_code(error: *const zkh_error) -> zkh_status {
    // SAFETY: null, or an error object that the caller has not freed yet.
    unsafe { error.as_ref() }.map_or(Code::OK, |error| error.code).number()
}

/// The name of the error's code without a prefix, such as "NO_NODE". Static: not to be freed.
/// Any thread. It cannot fail; "OK" for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_error_name(error: *const zkh_error) -> *const c_char {
    // SAFETY: null, or an error object that the caller has not freed yet.
    unsafe { error.as_ref() }.map_or(Code::OK, |error| error.code).c_name().as_ptr()
}

/// One line for a person: what was being done, to which path, what went wrong and why, and the code.
/// UTF-8; it belongs to the error and lives as long. Any thread. It cannot fail; "" for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_error_message(error: *const zkh_error) -> *const c_char {
    // SAFETY: null, or an error object that the caller has not freed yet.
    unsafe { error.as_ref() }.map_or(c"".as_ptr(), |error| error.message.as_ptr())
}

/// The path that the error is about, or null where it is about none. UTF-8; it belongs to the error
/// and lives as long. Any thread. It cannot fail; null for a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_error_path(error: *const zkh_error) -> *const c_char {
    // SAFETY: null, or an error object that the caller has not freed yet.
    let path = unsafe { error.as_ref() }.and_then(|error| error.path.as_ref());
    path.map_or(std::ptr::null(), |path| path.as_ptr())
}

/// Whether the same call may succeed if it is made again later. Any thread. It cannot fail; false for
/// a null pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_error_is_retriable(error: *const zkh_error) -> bool {
    // SAFETY: null, or an error object that the caller has not freed yet.
    unsafe { error.as_ref() }.is_some_and(|error| error.code.is_retriable())
}

/// Frees an error that came through an `err` parameter; a null pointer is left alone. An error that a
/// callback is shown belongs to the library and is not to be freed. Any thread. It cannot fail.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn zkh_error_free(error: *mut zkh_error) {
    if !error.is_null() {
        // SAFETY: it was made by `boxed`, and the caller frees it once.
        drop(unsafe { Box::from_raw(error) });
    }
}
