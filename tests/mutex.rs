//! The scenarios of the mutex on Apache ZooKeeper.

#[path = "scenarios/elector.rs"]
mod elector;
#[path = "scenarios/lease.rs"]
mod lease;
#[path = "scenarios/mutex.rs"]
mod mutex;
#[path = "scenarios/persistent.rs"]
mod persistent;
#[path = "scenarios/revocation.rs"]
mod revocation;
mod support;

use std::net::SocketAddr;
use support::zookeeper::{Ensemble, Flavor, shared_single};

/// The server that the scenarios share.
fn server() -> SocketAddr {
    shared_single().address(0)
}

/// A server of one's own that removes empty containers at once, and what stops it when it is dropped.
fn server_without_empty_containers() -> (String, Ensemble) {
    let server = Ensemble::build(Flavor::Debian).system_property("znode.container.checkIntervalMs", "100");
    let server = server.start();
    (server.connect_string(), server)
}
