//! How operations that ended are told to whoever waits for many of them: a thread that runs callbacks, or an
//! event loop.

use pyo3::prelude::*;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// The keys of operations that ended.
#[pyclass(frozen, module = "zkhelper._zkhelper")]
pub(crate) struct Mailbox(pub(crate) Arc<Letters>);

#[derive(Default)]
pub(crate) struct Letters {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    keys: Vec<u64>,
    /// What an event loop listens to: it can be read when there are keys. The first end is the loop's.
    bell: Option<(UnixStream, UnixStream)>,
}

impl Letters {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, key: u64) {
        let mut state = self.lock();
        state.keys.push(key);
        if let (1, Some((_, ring))) = (state.keys.len(), &mut state.bell) {
            // A pipe that is full rings already; one that is closed has no listener.
            let _ = ring.write(&[0]);
        }
        drop(state);
        self.changed.notify_one();
    }
}

#[pymethods]
impl Mailbox {
    #[new]
    fn new() -> Self {
        Self(Arc::default())
    }

    /// A descriptor that can be read when `drain` has something to give; it lives as long as the mailbox.
    fn fileno(&self) -> PyResult<i32> {
        let mut state = self.0.lock();
        if state.bell.is_none() {
            let (listen, mut ring) = UnixStream::pair()?;
            listen.set_nonblocking(true)?;
            ring.set_nonblocking(true)?;
            if !state.keys.is_empty() {
                let _ = ring.write(&[0]);
            }
            state.bell = Some((listen, ring));
        }
        Ok(state.bell.as_ref().map_or(-1, |(listen, _)| listen.as_raw_fd()))
    }

    /// The keys of the operations that ended since the last call; does not wait.
    fn drain(&self) -> Vec<u64> {
        let mut state = self.0.lock();
        if let Some((listen, _)) = &mut state.bell {
            let mut rung = [0; 16];
            while matches!(listen.read(&mut rung), Ok(16)) {}
        }
        std::mem::take(&mut state.keys)
    }

    /// The same, but waits for one, at most as long as `timeout` in seconds.
    fn wait(&self, py: Python<'_>, timeout: f64) -> Vec<u64> {
        let timeout = Duration::try_from_secs_f64(timeout).unwrap_or(Duration::MAX);
        py.detach(|| {
            let state = self.0.lock();
            let state = self.0.changed.wait_timeout_while(state, timeout, |state| state.keys.is_empty());
            std::mem::take(&mut state.unwrap_or_else(PoisonError::into_inner).0.keys)
        })
    }
}
