//! Distributed locks and leader elections on Apache ZooKeeper.

#[cfg(feature = "embedded")]
pub mod embedded;
pub mod error;
pub mod proto;

pub use error::{Code, Error, Result};
