//! The library's errors as Python's exceptions.

use crate::gate;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use zkhelper::{Code, Error};

/// The exception for an error; its class is looked up by its code in `zkhelper.errors`.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let _inside = gate::enter(py);
    static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let made = MAKE.import(py, "zkhelper.errors", "from_code").and_then(|make| {
        make.call1((
            error.code().number(),
            error.to_string(),
            error.path(),
            error.operation(),
            error.is_retriable(),
        ))
    });
    match made {
        Ok(exception) => PyErr::from_value(exception),
        // The interpreter ends, or the package is not whole: that is the news then.
        Err(error) => error,
    }
}

/// A bad argument, as an exception that names it.
pub(crate) fn refuse(py: Python<'_>, why: String) -> PyErr {
    exception(py, &Error::new(Code::BAD_ARGUMENT).because(why))
}

/// Turns the library's results into Python's.
pub(crate) trait OrRaise<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for zkhelper::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| exception(py, &error))
    }
}
