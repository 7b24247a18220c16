//! Frames: a 32-bit length, then that many bytes.

use std::fmt;

/// The bytes of a frame's length.
pub const HEADER_LEN: usize = 4;

/// A length no peer may claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameError {
    /// The claimed length.
    pub claimed: i32,
    /// The greatest length accepted.
    pub cap: usize,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a frame claims {} bytes, at most {} are accepted", self.claimed, self.cap)
    }
}

impl std::error::Error for FrameError {}

/// Cuts a byte stream into frames. The buffer grows with the bytes that came, never with what a length claims.
#[derive(Debug)]
pub struct FrameReader {
    buffer: Vec<u8>,
    start: usize,
    cap: usize,
}

impl FrameReader {
    /// Frames longer than `cap` bytes are refused.
    pub fn new(cap: usize) -> Self {
        Self { buffer: Vec::new(), start: 0, cap }
    }

    /// From here on frames of up to `cap` bytes are accepted.
    pub fn set_cap(&mut self, cap: usize) {
        self.cap = cap;
    }

    /// Adds bytes as they came from the peer.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        } else if self.start > 64 * 1024 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame's body, or `None` until more bytes come.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let pending = self.buffer.get(self.start..).unwrap_or_default();
        let Some((prefix, rest)) = pending.split_first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let claimed = i32::from_be_bytes(*prefix);
        let len = match usize::try_from(claimed) {
            Ok(len) if len <= self.cap => len,
            _ => return Err(FrameError { claimed, cap: self.cap }),
        };
        if rest.len() < len {
            return Ok(None);
        }
        let from = self.start + HEADER_LEN;
        self.start = from + len;
        Ok(self.buffer.get(from..from + len))
    }

    /// Forgets what is buffered, for a new connection.
    pub fn clear(&mut self) {
        self.buffer = Vec::new();
        self.start = 0;
    }
}
