//! How long an acquire goes on: until its deadline, a cancel, an interrupt, or the end of its handle.

use crate::error::{Code, Error, Result};
use crate::time::Time;
use crate::zk::{BoxFuture, Zk};
use std::future::{Future, pending};
use std::sync::Arc;
use tokio::sync::{Notify, oneshot, watch};

pub(super) struct Patience {
    timeout: Option<BoxFuture<()>>,
    /// Fires, or loses its other end, when nobody waits for the outcome any more.
    cancel: oneshot::Receiver<()>,
    /// Keeps one interrupt until a wait takes it.
    interrupt: Arc<Notify>,
    closed: watch::Receiver<bool>,
    /// The same of the client, where something has to be cleaned up before its session ends.
    closing: Option<watch::Receiver<bool>>,
    over: Option<Error>,
}

impl Patience {
    pub(super) fn new(
        zk: &Arc<dyn Zk>,
        deadline: Option<Time>,
        cancel: oneshot::Receiver<()>,
        interrupt: Arc<Notify>,
        closed: watch::Receiver<bool>,
        closing: Option<watch::Receiver<bool>>,
    ) -> Self {
        let timeout = deadline.map(|at| zk.sleep_until(at));
        Self { timeout, cancel, interrupt, closed, closing, over: None }
    }

    /// Ends when it is over, with the reason as an error. Safe to drop and call again.
    pub(super) async fn over(&mut self) -> Error {
        if let Some(error) = &self.over {
            return error.clone();
        }
        let timeout = async {
            match &mut self.timeout {
                Some(timeout) => timeout.await,
                None => pending().await,
            }
        };
        let closing = async {
            let is_closing = match &mut self.closing {
                Some(closing) => closing.wait_for(|closing| *closing).await.is_ok(),
                None => false,
            };
            if !is_closing {
                pending::<()>().await;
            }
        };
        let error: Error = tokio::select! {
            biased;
            _ = self.closed.wait_for(|closed| *closed) => Code::CLOSED.into(),
            () = closing => Code::CLOSED.into(),
            _ = &mut self.cancel => Code::CANCELLED.into(),
            () = self.interrupt.notified() => Code::INTERRUPTED.into(),
            () = timeout => Code::TIMEOUT.into(),
        };
        self.over.insert(error).clone()
    }

    /// Refuses if it is over already. A try has no time at all, and is made nevertheless.
    pub(super) async fn unless_over(&mut self, try_only: bool) -> Result<()> {
        tokio::select! {
            biased;
            error = self.over() => if try_only && error.code() == Code::TIMEOUT { Ok(()) } else { Err(error) },
            () = std::future::ready(()) => Ok(()),
        }
    }

    /// What `work` answers, unless patience is over first.
    pub(super) async fn with<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            result = work => Ok(result),
            error = self.over() => Err(error),
        }
    }
}
