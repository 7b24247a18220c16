//! How long an acquire goes on: until its deadline, a cancel, an interrupt, or the end of its handle.

use crate::error::{Code, Error, Result};
use crate::mutant::{Mutant, mutated};
use crate::time::Time;
use crate::zk::{BoxFuture, Zk};
use pin_project_lite::pin_project;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Notify, oneshot, watch};

/// How long an acquire that fails waits for its own node to be gone before it says so. The removal goes on behind it.
const CLEAN_UP_WAIT: Duration = Duration::from_secs(2);

/// What ends the waits of a handle from outside. A [`watch`] would take ten times the memory, for each of thousands.
#[derive(Default)]
pub(super) struct Interrupter {
    closed: AtomicBool,
    /// Keeps one interrupt until a wait takes it; tells all at once that it was closed.
    rung: Notify,
}

impl Interrupter {
    /// Ends one wait: that which began first, or the next one that begins.
    pub(super) fn interrupt(&self) {
        if mutated(Mutant::LostInterrupt) {
            self.rung.notify_waiters();
            return;
        }
        self.rung.notify_one();
    }

    /// Ends all waits, now and later.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.rung.notify_waiters();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

pin_project! {
    /// A step of an acquire. It holds the step once; an `async fn` would hold what it is given twice.
    #[must_use = "futures do nothing unless they are polled"]
    pub(super) struct With<'a, W> {
        patience: Option<&'a mut Patience>,
        #[pin]
        work: W,
    }
}

impl<W: Future> Future for With<'_, W> {
    type Output = Result<W::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match (this.work.poll(cx), this.patience) {
            (Poll::Ready(result), _) => Poll::Ready(Ok(result)),
            (Poll::Pending, Some(patience)) => patience.poll_over(cx).map(Err),
            (Poll::Pending, None) => Poll::Pending,
        }
    }
}

pub(super) struct Patience {
    /// Made once for all the waits of an acquire, which register with nobody anew.
    ends: BoxFuture<Error>,
    over: Option<Error>,
}

impl Patience {
    /// `cancel` fires, or loses its other end, when nobody waits for the outcome any more; `closing` is the client's, where
    /// something has to be cleaned up before its session ends.
    pub(super) fn new(
        zk: &Arc<dyn Zk>,
        deadline: Option<Time>,
        mut cancel: oneshot::Receiver<()>,
        interrupter: Arc<Interrupter>,
        closing: Option<watch::Receiver<bool>>,
    ) -> Self {
        let mut timeout = deadline.map(|at| zk.sleep_until(at));
        let mut closing: Option<BoxFuture<()>> = closing.map(|mut closing| -> BoxFuture<()> {
            Box::pin(async move {
                if closing.wait_for(|closing| *closing).await.is_err() {
                    pending::<()>().await;
                }
            })
        });
        let ends = Box::pin(async move {
            let mut rung = pin!(interrupter.rung.notified());
            let has_come = |end: &mut Option<BoxFuture<()>>, cx: &mut Context<'_>| {
                end.as_mut().is_some_and(|end| end.as_mut().poll(cx).is_ready())
            };
            poll_fn(|cx| {
                let code = if interrupter.is_closed() || has_come(&mut closing, cx) {
                    Code::CLOSED
                } else if Pin::new(&mut cancel).poll(cx).is_ready() {
                    Code::CANCELLED
                } else if rung.as_mut().poll(cx).is_ready() {
                    // It may have been closed since the look at it.
                    if interrupter.is_closed() { Code::CLOSED } else { Code::INTERRUPTED }
                } else if has_come(&mut timeout, cx) {
                    Code::TIMEOUT
                } else {
                    return Poll::Pending;
                };
                Poll::Ready(code.into())
            })
            .await
        });
        Self { ends, over: None }
    }

    /// Whether it is over, with the reason as an error; if not, `cx` is told when it is.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
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
    pub(super) fn with<W: Future>(&mut self, work: W) -> With<'_, W> {
        With { patience: Some(self), work }
    }

    /// The same; a try sees its steps to their end.
    pub(super) fn with_step<W: Future>(&mut self, try_only: bool, work: W) -> With<'_, W> {
        With { patience: (!try_only).then_some(self), work }
    }

    /// Runs a clean-up that outlives the acquire, and waits for it as long as that is likely to help. Where the acquire
    /// `ends` with it, for whatever reason, an interrupt that comes meanwhile is for another acquire of the handle.
    pub(super) async fn clean_up<T: Send + 'static>(
        &mut self,
        zk: &Arc<dyn Zk>,
        ends: bool,
        work: BoxFuture<T>,
    ) {
        if mutated(Mutant::NoCleanUpSuspended) && !zk.session().connected {
            return;
        }
        if ends {
            self.ends = Box::pin(pending());
        }
        let (done, finished) = oneshot::channel();
        zk.spawn(Box::pin(async move {
            drop(done.send(work.await));
        }));
        if !zk.session().connected {
            return;
        }
        let mut ended = pin!(async {
            tokio::select! {
                biased;
                _ = finished => {}
                () = zk.sleep_until(zk.now() + CLEAN_UP_WAIT) => {}
            }
        });
        poll_fn(|cx| {
            // Who is cancelled by now takes no interrupt any more that another acquire of the handle waits for.
            let _ = self.poll_over(cx);
            ended.as_mut().poll(cx)
        })
        .await;
    }
}
