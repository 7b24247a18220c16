//! The scenarios of the mutex that rest on what ZooKeeper 3.9 does otherwise than 3.8, on 3.9: transactions that
//! create.

#[path = "scenarios/persistent.rs"]
mod persistent;
#[path = "scenarios/revocation.rs"]
mod revocation;
mod support;

use std::net::SocketAddr;
use std::sync::LazyLock;
use support::zookeeper::{Ensemble, Flavor};

/// The server that the scenarios share.
fn server() -> SocketAddr {
    static SERVER: LazyLock<Ensemble> = LazyLock::new(|| Ensemble::single(Flavor::Maven39));
    SERVER.address(0)
}
