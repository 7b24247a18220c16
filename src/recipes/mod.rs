//! The recipes: one file each, written over the trait [`crate::Zk`] alone.

pub mod contender;
mod contents;
pub mod keeper;
mod marker;
pub mod mutex;
mod node;
mod patience;
