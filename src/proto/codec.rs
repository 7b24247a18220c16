//! Jute, ZooKeeper's serialisation: big-endian integers, length-prefixed strings, buffers and vectors.

use super::names::Names;
use std::fmt;

/// Why bytes could not be read as a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// The field that was being read.
    pub field: &'static str,
    /// What was wrong with it.
    pub problem: &'static str,
}

impl DecodeError {
    /// The problem of a field that is not there, or not to its end.
    pub(crate) const SHORT: &'static str = "record ends early";
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

impl std::error::Error for DecodeError {}

/// Reads records from a byte slice. Nothing is allocated beyond what the slice really holds.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The number of bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Refuses bytes left over after the last field.
    pub fn finish(self, field: &'static str) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError { field, problem: "bytes left over" }) }
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(*head)
            }
            None => Err(DecodeError { field, problem: DecodeError::SHORT }),
        }
    }

    /// One byte; whatever is not 0 is true, as Java's streams have it.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        Ok(self.array::<1>(field)? != [0])
    }

    /// A 32-bit integer.
    pub fn i32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array(field)?))
    }

    /// A 64-bit integer.
    pub fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array(field)?))
    }

    /// A length; the format's "null" (−1) counts as empty.
    fn len(&mut self, field: &'static str) -> Result<usize, DecodeError> {
        match self.i32(field)? {
            -1 => Ok(0),
            n => usize::try_from(n).map_err(|_| DecodeError { field, problem: "negative length" }),
        }
    }

    /// A buffer, borrowed. A null buffer reads as empty; a server keeps them apart, no recipe does.
    pub fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.len(field)?;
        match self.rest.split_at_checked(len) {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(DecodeError { field, problem: "longer than the record" }),
        }
    }

    /// A UTF-8 string, borrowed.
    fn text(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let bytes = self.bytes(field)?;
        std::str::from_utf8(bytes).map_err(|_| DecodeError { field, problem: "not UTF-8" })
    }

    /// A UTF-8 string.
    pub fn string(&mut self, field: &'static str) -> Result<String, DecodeError> {
        self.text(field).map(str::to_owned)
    }

    /// The count of a vector whose elements take at least `min_size` bytes each, which bounds what is allocated.
    fn count(&mut self, field: &'static str, min_size: usize) -> Result<usize, DecodeError> {
        let len = self.len(field)?;
        if len > self.remaining() / min_size.max(1) {
            return Err(DecodeError { field, problem: "more elements than the record can hold" });
        }
        Ok(len)
    }

    /// A vector whose elements take at least `min_size` bytes each, which bounds what is allocated.
    pub fn vector<T>(
        &mut self,
        field: &'static str,
        min_size: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let len = self.count(field, min_size)?;
        let mut items = Vec::with_capacity(len);
        for _ in 0..len {
            items.push(element(self)?);
        }
        Ok(items)
    }

    /// A vector of strings.
    pub fn strings(&mut self, field: &'static str) -> Result<Vec<String>, DecodeError> {
        self.vector(field, 4, |r| r.string(field))
    }

    /// The same in one piece.
    pub fn names(&mut self, field: &'static str) -> Result<Names, DecodeError> {
        let len = self.count(field, 4)?;
        let mut names = Names::with_capacity(len, self.remaining() - 4 * len);
        for _ in 0..len {
            names.push(self.text(field)?);
        }
        Ok(names)
    }
}

/// Appends records to a byte vector.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on after what `bytes` holds already.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The number of bytes written so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// One byte, 0 or 1.
    pub fn bool(&mut self, value: bool) {
        self.bytes.push(u8::from(value));
    }

    /// A 32-bit integer.
    pub fn i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// A 64-bit integer.
    pub fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    fn len_prefix(&mut self, len: usize) {
        // Frames are capped far below 2 GiB before they are sent, so this never saturates there.
        self.i32(i32::try_from(len).unwrap_or(i32::MAX));
    }

    /// A buffer with its length before it.
    pub fn bytes(&mut self, value: &[u8]) {
        self.len_prefix(value.len());
        self.bytes.extend_from_slice(value);
    }

    /// A string with its length before it.
    pub fn string(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// A vector with its count before it.
    pub fn vector<T>(&mut self, items: &[T], mut element: impl FnMut(&mut Self, &T)) {
        self.len_prefix(items.len());
        for item in items {
            element(self, item);
        }
    }

    /// A vector of strings.
    pub fn strings<S: AsRef<str>>(&mut self, items: &[S]) {
        self.vector(items, |w, s| w.string(s.as_ref()));
    }

    /// The same of what is in one piece.
    pub fn names(&mut self, names: &Names) {
        self.len_prefix(names.len());
        names.iter().for_each(|name| self.string(name));
    }

    /// Writes one whole frame: the length, then what `body` writes.
    pub fn frame(&mut self, body: impl FnOnce(&mut Self)) {
        let start = self.bytes.len();
        self.i32(0);
        body(self);
        let len = i32::try_from(self.bytes.len() - start - 4).unwrap_or(i32::MAX);
        if let Some(prefix) = self.bytes.get_mut(start..start + 4) {
            prefix.copy_from_slice(&len.to_be_bytes());
        }
    }
}
