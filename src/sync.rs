//! Locks for data that several threads share.
//!
//! They are the standard library's: each is a word of its own. `parking_lot` keeps its waiting threads in one
//! table for the whole process, in which the child of a fork finds the threads of its parent. Their memory is
//! used again for the child's own threads, and wake-ups get lost.

#[cfg(not(zkhelper_tsan))]
mod plain;
#[cfg(not(zkhelper_tsan))]
pub(crate) use plain::*;

#[cfg(zkhelper_tsan)]
mod told;
#[cfg(zkhelper_tsan)]
pub(crate) use told::*;
