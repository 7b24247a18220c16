//! The conformance scenarios of `conformance.md` in Rust, on Apache ZooKeeper and on the embedded server.

#![allow(clippy::duplicate_mod, reason = "the same scenarios for each server")]

#[path = "conformance/ground.rs"]
mod ground;
mod support;

#[path = "conformance"]
mod zookeeper {
    mod client;
    mod election;
    mod errors;
    mod lent;
    mod mutex;
    mod persistent;
    mod pid_node;
    mod plain;
    mod queue_lock;
    mod strict;
    mod tree;
    mod watch;

    /// The server that the scenarios share.
    pub(crate) fn address() -> String {
        crate::support::zookeeper::shared_single().connect_string()
    }
}

#[path = "conformance"]
mod embedded {
    mod client;
    mod election;
    mod errors;
    mod lent;
    mod mutex;
    mod persistent;
    mod pid_node;
    mod plain;
    mod queue_lock;
    mod strict;
    mod tree;
    mod watch;

    /// The server that the scenarios share.
    pub(crate) fn address() -> String {
        crate::ground::embedded_server().address().to_owned()
    }
}

/// The scenarios with a server of their own run once.
#[path = "conformance/faults.rs"]
mod faults;
