//! Locks under faults, on Apache ZooKeeper: servers cut off and frozen, clients paused, connections half
//! open, exchanges cut. Who believes to hold a lock, and when, is judged across processes by one clock.
//!
//! Each schedule runs twice, and twenty times with `ZKHELPER_PROVE`.

#[path = "../support/mod.rs"]
mod support;

mod contender;
mod costs;
mod cut_off;
mod elections;
mod frozen;
mod ground;
mod keeping;
mod stalled;
