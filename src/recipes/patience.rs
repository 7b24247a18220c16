//! How long an acquire goes on: until its deadline, a cancel, an interrupt, or the end of its handle.

use crate::error::{Code, Error, Result};
use crate::time::Time;
use crate::zk::{BoxFuture, Zk};
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{Notify, oneshot, watch};

pub(super) struct Patience {
    /// Made once for all the waits of an acquire, which register with nobody anew.
    ends: BoxFuture<Error>,
    over: Option<Error>,
}

impl Patience {
    /// `cancel` fires, or loses its other end, when nobody waits for the outcome any more; `interrupt` keeps one
    /// interrupt until a wait takes it; `closing` is the client's, where something has to be cleaned up before its session
    /// ends.
    pub(super) fn new(
        zk: &Arc<dyn Zk>,
        deadline: Option<Time>,
        cancel: oneshot::Receiver<()>,
        interrupt: Arc<Notify>,
        mut closed: watch::Receiver<bool>,
        closing: Option<watch::Receiver<bool>>,
    ) -> Self {
        let timeout = deadline.map(|at| zk.sleep_until(at));
        let timeout = async move {
            match timeout {
                Some(timeout) => timeout.await,
                None => pending().await,
            }
        };
        let closing = async move {
            let is_closing = match closing {
                Some(mut closing) => closing.wait_for(|closing| *closing).await.is_ok(),
                None => false,
            };
            if !is_closing {
                pending::<()>().await;
            }
        };
        let ends = Box::pin(async move {
            tokio::select! {
                biased;
                _ = closed.wait_for(|closed| *closed) => Code::CLOSED.into(),
                () = closing => Code::CLOSED.into(),
                _ = cancel => Code::CANCELLED.into(),
                () = interrupt.notified() => Code::INTERRUPTED.into(),
                () = timeout => Code::TIMEOUT.into(),
            }
        });
        Self { ends, over: None }
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        if let Some(error) = &self.over {
            return Poll::Ready(error.clone());
        }
        self.ends.as_mut().poll(cx).map(|error| self.over.insert(error).clone())
    }

    /// Ends when it is over, with the reason as an error. Safe to drop and call again.
    pub(super) fn over(&mut self) -> impl Future<Output = Error> {
        poll_fn(|cx| self.poll_over(cx))
    }

    /// Refuses if it is over already. A try has no time at all, and is made nevertheless.
    pub(super) async fn unless_over(&mut self, try_only: bool) -> Result<()> {
        let over = poll_fn(|cx| {
            Poll::Ready(match self.poll_over(cx) {
                Poll::Ready(error) => Some(error),
                Poll::Pending => None,
            })
        });
        match over.await {
            Some(error) if !try_only || error.code() != Code::TIMEOUT => Err(error),
            _ => Ok(()),
        }
    }

    /// What `work` answers, unless patience is over first.
    pub(super) async fn with<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        let mut work = pin!(work);
        poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Ok(result)),
            Poll::Pending => self.poll_over(cx).map(Err),
        })
        .await
    }
}
