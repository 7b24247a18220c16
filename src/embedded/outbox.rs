//! What waits to be written to one connection.

use crate::proto::Writer;
use crate::sync::Mutex;
use std::io::ErrorKind;
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// A peer that does not read is dropped when so much waits for it.
const CAP: usize = 64 << 20;

/// See the module.
#[derive(Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    /// Wakes the connection's task.
    pub(super) wake: Notify,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    written: usize,
    closing: bool,
}

/// How far writing came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Nothing waits.
    All,
    /// The peer has to read first.
    Part,
    /// The connection is at its end.
    Closed,
}

impl Outbox {
    /// Adds a frame.
    pub(super) fn push(&self, body: impl FnOnce(&mut Writer)) {
        let mut w = Writer::new();
        w.frame(body);
        self.push_bytes(&w.into_bytes());
    }

    /// Adds bytes as they are.
    pub(super) fn push_bytes(&self, bytes: &[u8]) {
        let mut state = self.state.lock();
        if !state.closing {
            state.waiting.extend_from_slice(bytes);
            if state.waiting.len() - state.written > CAP {
                *state = State { closing: true, ..State::default() };
            }
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Closes the connection after what waits.
    pub(super) fn close(&self) {
        self.state.lock().closing = true;
        self.wake.notify_one();
    }

    /// Writes what the peer takes.
    pub(super) fn flush(&self, stream: &TcpStream) -> Flushed {
        let mut state = self.state.lock();
        let State { waiting, written, closing } = &mut *state;
        while let Some(rest) = waiting.get(*written..).filter(|rest| !rest.is_empty()) {
            match stream.try_write(rest) {
                Ok(0) => return Flushed::Closed,
                Ok(n) => *written += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Flushed::Part,
                Err(_) => return Flushed::Closed,
            }
        }
        waiting.clear();
        *written = 0;
        // One large answer shall not hold its memory for ever.
        waiting.shrink_to(64 << 10);
        if *closing { Flushed::Closed } else { Flushed::All }
    }
}
