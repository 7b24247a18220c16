//! The recipes: one file each, written over the trait [`crate::Zk`] alone.

// No input may reach a panic.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod claim;
pub mod contender;
mod contents;
pub mod elector;
pub mod glob;
pub mod keeper;
mod marker;
pub mod mutex;
mod node;
mod patience;
pub mod pattern;
mod persistent;
pub mod pid_node;
pub mod queue_lock;
mod revocation;
mod seat;
pub mod tree;
mod window;
