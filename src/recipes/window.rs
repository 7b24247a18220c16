//! Bounded pipelining: many requests under way at once, but neither too many nor too much.

use crate::error::{Code, Error, Result};
use crate::zk::Zk;
use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::oneshot;

/// How many requests may be under way at once.
const REQUESTS: usize = 256;
/// How many bytes of requests may be under way at once; a single request may be longer.
const BYTES: usize = 256 * 1024;

/// Requests under way, each with what it was sent for. A session's requests are answered in the order in
/// which they were sent, so the oldest one is the next to be answered.
pub(super) struct Window<C, F> {
    pending: VecDeque<(C, usize, F)>,
    bytes: usize,
}

impl<C, F: Future + Unpin> Window<C, F> {
    pub(super) fn new() -> Self {
        Self { pending: VecDeque::new(), bytes: 0 }
    }

    /// Whether it is time to send more. It is at the half, so that requests leave in flights of many, and
    /// the other half keeps the server busy meanwhile.
    pub(super) fn wants_more(&self) -> bool {
        self.pending.len() <= REQUESTS / 2 && self.bytes <= BYTES / 2
    }

    pub(super) fn is_full(&self) -> bool {
        self.pending.len() >= REQUESTS || self.bytes >= BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Adds a request of about so many bytes.
    pub(super) fn push(&mut self, context: C, bytes: usize, reply: F) {
        self.bytes += bytes;
        self.pending.push_back((context, bytes, reply));
    }

    /// The next outcome; `None` if nothing is under way.
    pub(super) async fn next(&mut self) -> Option<(C, F::Output)> {
        let outcome = (&mut self.pending.front_mut()?.2).await;
        let (context, bytes, _) = self.pending.pop_front()?;
        self.bytes -= bytes;
        Some((context, outcome))
    }
}

/// Runs work as a task beside the connection, where what is sent in one go leaves as one flight. Dropping
/// the future ends the work: what was not sent yet is not sent any more.
pub(super) async fn run<T: Send + 'static>(
    zk: &Arc<dyn Zk>,
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let (mut done, outcome) = oneshot::channel();
    zk.spawn(Box::pin(async move {
        let result = tokio::select! {
            biased;
            () = done.closed() => return,
            result = work => result,
        };
        // Nobody may wait any more.
        let _ = done.send(result);
    }));
    outcome.await.unwrap_or_else(|_| Err(Error::new(Code::CLOSED)))
}
