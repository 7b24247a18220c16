//! Distributed locks and leader elections on Apache ZooKeeper.

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
pub use recipes::keeper::Loss;
pub use recipes::mutex::{Hold, LostHold, Mutex, MutexOptions, Strict};
pub use time::Time;
pub use zk::Zk;
