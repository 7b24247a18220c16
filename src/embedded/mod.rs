//! An in-memory ZooKeeper server inside the process, **for development and tests**: nothing is kept on disk,
//! nobody but this machine can connect, one process is the whole ensemble.
//!
//! It speaks ZooKeeper's own protocol on a loopback port, so that other programs and other clients can use it
//! too, and answers what Apache ZooKeeper 3.9 answers. A test can spoil it at will: see the methods of
//! [`Server`] that begin with [`Server::cut`].
//!
//! ```
//! let server = zkhelper::embedded::Server::start(0)?;
//! assert!(server.address().starts_with("127.0.0.1:"));
//! # Ok::<(), zkhelper::Error>(())
//! ```
//!
//! What differs from Apache ZooKeeper: data that a transaction sets to null reads as empty, quotas are
//! kept nowhere, SASL, TLS
//! and reconfiguration are refused, and a container check deletes all it finds at once.

// No input may reach a panic.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod acl;
mod core;
mod faults;
mod frames;
mod machine;
mod outbox;
mod path;
mod prepare;
mod reads;
mod sessions;
mod tree;
mod watches;
mod wire;
mod words;

pub use faults::{Moment, Operation, SessionInfo};

use crate::client::{process, runtime};
use crate::error::{Code, Error, Result};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// The tick of a server that is asked for nothing else; session timeouts lie between 2 and 20 ticks.
pub const DEFAULT_TICK: Duration = Duration::from_secs(2);

/// A running server. It stops when it is dropped, and its state is gone.
pub struct Server {
    core: Arc<core::Core>,
    address: String,
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    process: u32,
}

impl Server {
    /// Starts a server on a port of the loopback interface; 0 takes a free one.
    ///
    /// # Errors
    ///
    /// `BAD_ADDRESS` if the port cannot be had, `OUT_OF_RESOURCES` if a thread cannot.
    pub fn start(port: u16) -> Result<Self> {
        Self::start_with_tick(port, DEFAULT_TICK)
    }

    /// The same with another tick: a short one lets sessions have short timeouts.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start), and `BAD_ARGUMENT` for a tick shorter than 1 ms or longer than an hour.
    pub fn start_with_tick(port: u16, tick: Duration) -> Result<Self> {
        const OPERATION: &str = "start the embedded server";
        let tick_ms = i64::try_from(tick.as_millis()).unwrap_or(i64::MAX);
        if !(1..=3_600_000).contains(&tick_ms) {
            let detail = "a tick takes from 1 ms to one hour";
            return Err(Error::new(Code::BAD_ARGUMENT).because(detail).during(OPERATION, None));
        }
        let no_port = |e: std::io::Error| {
            let detail = format!("cannot listen on 127.0.0.1:{port}: {e}");
            Error::new(Code::BAD_ADDRESS).because(detail).during(OPERATION, None)
        };
        let no_thread = |e: std::io::Error| {
            Error::new(Code::OUT_OF_RESOURCES).because(e.to_string()).during(OPERATION, None)
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(no_port)?;
        listener.set_nonblocking(true).map_err(no_port)?;
        let port = listener.local_addr().map_err(no_port)?.port();
        let tokio_runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(no_thread)?;
        let core = Arc::new(core::Core::new(port, tick_ms));
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&core);
        let thread = runtime::spawn_thread("zkhelper-server", move || {
            tokio_runtime.block_on(wire::serve(served, listener, stopped))
        })
        .map_err(no_thread)?;
        Ok(Self {
            core,
            address: format!("127.0.0.1:{port}"),
            port,
            stop: Some(stop),
            thread: Some(thread),
            process: std::process::id(),
        })
    }

    /// Whether it answers as the in-memory connections of Go packages do that tests were written against,
    /// and no longer as Apache ZooKeeper does: an empty access control list lets anyone do everything, and a node's
    /// sequential children are numbered from 1 on, whatever other children it has. Default: no.
    pub fn set_lenient(&self, lenient: bool) {
        self.core.set_lenient(lenient);
    }

    /// What a client connects to: `127.0.0.1:` and the port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        // After a fork the thread is the parent's.
        if let Some(thread) = self.thread.take()
            && self.process == std::process::id()
        {
            // A server thread that panicked has been reported by the panic itself.
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The process's own server, which the literal address `embedded` stands for. The first call starts it; it
/// runs as long as the process. A child after fork has one of its own.
///
/// # Errors
///
/// As [`Server::start`].
pub fn shared() -> Result<Arc<Server>> {
    // One for each process: a forked child has its parent's memory, but none of its threads.
    static SHARED: [OnceLock<Result<Arc<Server>>>; process::DEPTH] =
        [const { OnceLock::new() }; process::DEPTH];
    let slot = process::index().and_then(|index| SHARED.get(index));
    let slot = slot.ok_or_else(|| {
        Error::new(Code::OUT_OF_RESOURCES).because(format!("more than {} nested forks", process::DEPTH))
    })?;
    slot.get_or_init(|| Server::start(0).map(Arc::new)).clone()
}
