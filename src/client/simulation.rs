//! The door for the simulator: a client whose time, tasks, chance and bytes all come from outside.
//!
//! It is the client of every program, but for the thread and the sockets. Not for programs: feature
//! `simulation`, with no promise of stability.

use super::runtime::Runtime;
use super::{Client, Inner, Options, Shared};
use crate::error::Result;
use crate::recipes::keeper::Keeper;
use crate::time::Time;
use crate::zk::BoxFuture;
use std::sync::Arc;
use std::task::Waker;

pub use crate::mutant::{Mutant, mutate};

/// Time, timers, tasks and chance for one process.
pub trait World: Send + Sync {
    /// The process's clock.
    fn now(&self) -> Time;
    /// Ends at the given time.
    fn sleep_until(&self, until: Time) -> BoxFuture<()>;
    /// Runs a task to its end.
    fn spawn(&self, task: BoxFuture<()>);
    /// Random bits.
    fn random(&self) -> u64;
}

struct Outside<W>(W);

impl<W: World> Runtime for Outside<W> {
    fn now(&self) -> Time {
        self.0.now()
    }

    fn sleep_until(&self, until: Time) -> BoxFuture<()> {
        self.0.sleep_until(until)
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.0.spawn(task);
    }

    fn random(&self) -> u64 {
        self.0.random()
    }
}

/// What drives a client in a simulation, in the place of its IO task.
#[derive(Clone)]
pub struct Link {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

/// A client in the given world, and what carries its bytes.
pub fn client<W: World + 'static>(address: &str, options: Options, world: W) -> Result<(Client, Link)> {
    let keeper = Arc::new(Keeper::new(options.renew_interval));
    let inner = Inner::new(address, options, Box::new(Outside(world)))?;
    let shared = Arc::new(Shared { inner: Arc::clone(&inner) });
    Ok((Client { zk: shared.clone(), shared: Some(shared), keeper }, Link { inner }))
}

impl Link {
    /// Whom to wake when there is something to be done.
    pub fn driven_by(&self, waker: &Waker) {
        self.inner.driven_by(waker);
    }

    /// Begins an attempt to connect if one is due: the host and port to dial.
    pub fn poll_dial(&self) -> Option<(String, u16)> {
        let attempt = self.inner.with(|logical, now| logical.poll_dial(now))?;
        Some((attempt.host.name, attempt.host.port))
    }

    /// Whether the attempt under way is still wanted.
    pub fn is_trying(&self) -> bool {
        self.inner.with(|logical, _| logical.is_trying())
    }

    /// The connection that was dialled is open.
    pub fn opened(&self) {
        self.inner.with(|logical, now| logical.opened(now));
    }

    /// The connection that was dialled did not open.
    pub fn not_opened(&self, why: &str) {
        self.inner.with(|logical, now| logical.not_opened(now, why, true));
    }

    /// Bytes came from the server.
    pub fn received(&self, bytes: &[u8]) {
        self.inner.with(|logical, now| logical.received(now, bytes));
    }

    /// Takes the bytes to be written; all of them count as written.
    pub fn take_output(&self) -> Vec<u8> {
        self.inner.with(|logical, now| {
            let mut bytes = Vec::new();
            while !logical.output().is_empty() {
                bytes.extend_from_slice(logical.output());
                let n = logical.output().len();
                logical.wrote(now, n);
            }
            bytes
        })
    }

    /// The bytes to be written.
    pub fn output(&self) -> Vec<u8> {
        self.inner.with(|logical, _| logical.output().to_vec())
    }

    /// So many of them were written.
    pub fn wrote(&self, n: usize) {
        self.inner.with(|logical, now| logical.wrote(now, n));
    }

    /// The connection broke.
    pub fn transport_lost(&self, why: &str) {
        self.inner.with(|logical, now| logical.transport_lost(now, why));
    }

    /// Whether the connection is to be kept.
    pub fn wants_transport(&self) -> bool {
        self.inner.with(|logical, _| logical.wants_transport())
    }

    /// Does what is due.
    pub fn tick(&self) {
        self.inner.with(super::logical::Logical::tick);
    }

    /// When [`Link::tick`] is to be called at the latest.
    pub fn next_deadline(&self) -> Time {
        self.inner.with(|logical, _| logical.next_deadline())
    }

    /// Whether the client has ended.
    pub fn is_over(&self) -> bool {
        self.inner.with(|logical, _| logical.is_over())
    }
}
