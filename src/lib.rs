//! Distributed locks and leader elections on Apache ZooKeeper.

pub mod acl;
pub mod client;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod error;
#[cfg(feature = "capi")]
pub mod ffi;
mod mutant;
pub mod path;
pub mod proto;
pub mod recipes;
mod stepwise;
mod sync;
pub mod time;
pub mod zk;

#[cfg(feature = "simulation")]
pub use client::simulation;
pub use client::{Client, Options, State, StateEvent};
pub use error::{Code, Error, Result};
pub use recipes::elector::{
    Course, Elector, ElectorOptions, Leader, Leadership, Outcome, Standing, Stop, Term,
};
pub use recipes::glob::Matches;
pub use recipes::keeper::Loss;
pub use recipes::mutex::{
    ContenderInfo, Hold, LostHold, Mutex, MutexOptions, Owner, Persistent, Revocation, Strict,
};
pub use recipes::pattern::has_wildcard;
pub use recipes::pid_node::{PidEvent, PidNode, PidNodeOptions, TakeOver};
pub use recipes::queue_lock::{Obtain, QueueHold, QueueLock, QueueLockOptions};
pub use recipes::tree::Tree;
pub use stepwise::Stepwise;
pub use time::Time;
pub use zk::Zk;
