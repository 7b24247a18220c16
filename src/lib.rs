//! Distributed locks and leader elections on Apache ZooKeeper.

pub mod error;
pub mod proto;

pub use error::{Code, Error, Result};
