//! What belongs to the process that made it.

use zkhelper::{Code, Error, Result};

/// A value of this process. In the child of a fork it is neither used nor dropped: its threads are not there,
/// and a lock of it may have been held at the fork for ever.
pub(crate) struct AtHome<T> {
    value: Option<T>,
    process: u32,
}

impl<T> AtHome<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Some(value), process: std::process::id() }
    }

    /// The value, or an error in a child.
    pub(crate) fn get(&self) -> Result<&T> {
        match &self.value {
            Some(value) if self.process == std::process::id() => Ok(value),
            _ => Err(Error::new(Code::FORKED).because("connect anew in this process")),
        }
    }
}

impl<T> Drop for AtHome<T> {
    fn drop(&mut self) {
        if self.process != std::process::id() {
            std::mem::forget(self.value.take());
        }
    }
}
