//! One term of a leader: its token, until when it is certain, and when it has to end.

use super::Inner;
use crate::error::Result;
use crate::mutant::{Mutant, mutated};
use crate::recipes::keeper::Loss;
use crate::recipes::mutex::{Hold, LostHold};
use crate::sync::Mutex as Locked;
use crate::time::Time;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Why a term has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The lock of the candidates was lost. The next leader may start when the grace is over.
    Lost(Loss),
    /// By [`super::Elector::interrupt`]. The lead is still ours until the term ends.
    Interrupted,
    /// By [`super::Elector::resign`]. The lead is still ours until the term ends.
    Resigned,
    /// By [`super::Elector::close`]. The lead is still ours until the term ends.
    Closed,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(loss) => write!(f, "the lead was lost: {loss}"),
            Self::Interrupted => f.write_str("the election was interrupted"),
            Self::Resigned => f.write_str("the leader resigned"),
            Self::Closed => f.write_str("the elector was closed"),
        }
    }
}

pub(super) struct Shared {
    elector: Arc<Inner>,
    token: i64,
    /// Until the term ends.
    hold: Locked<Option<Hold>>,
    stop: watch::Sender<Option<Stop>>,
    ended: watch::Sender<bool>,
}

impl Shared {
    /// Tells the term to stop; only the first reason is told. True if it was the first.
    pub(super) fn stop(&self, why: Stop) -> bool {
        let first = self.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            if first {
                *stop = Some(why);
            }
            first
        });
        if first {
            log::info!(
                "election {:?}: the term with token {} has to stop: {why}",
                self.elector.path,
                self.token
            );
            if mutated(Mutant::LeadEndsBeforeTask) {
                drop(self.hold.lock().take());
            }
        }
        first
    }

    pub(super) fn is_ended(&self) -> bool {
        *self.ended.borrow()
    }

    fn take_hold(&self) -> Option<Hold> {
        let hold = self.hold.lock().take();
        self.ended.send_replace(true);
        hold
    }

    /// Tells the term to stop when it has to, and tells of it if it does not in time.
    async fn supervise(self: Arc<Self>, mut losses: mpsc::UnboundedReceiver<LostHold>) {
        let mut ended = self.ended.subscribe();
        let lost = loop {
            let stopped = self.stop.borrow().is_some();
            tokio::select! {
                biased;
                _ = ended.wait_for(|ended| *ended) => return,
                lost = losses.recv() => match lost {
                    Some(lost) if lost.token == self.token => break lost,
                    Some(_) => {}
                    None => return,
                },
                over = self.elector.over(), if !stopped => {
                    let closed = over.code() == crate::error::Code::CLOSED;
                    let first = self.stop(if closed { Stop::Closed } else { Stop::Interrupted });
                    if !first && !closed {
                        // The term ends for another reason, such as a resignation: this is for the next campaign.
                        self.elector.interrupt.notify_one();
                    }
                }
            }
        };
        if mutated(Mutant::StopNotTold) {
            return;
        }
        self.stop(Stop::Lost(lost.reason));
        let Some(grace) = self.elector.options.grace else { return };
        tokio::select! {
            biased;
            _ = ended.wait_for(|ended| *ended) => {}
            () = self.elector.zk.sleep_until(lost.believed_until + grace) => self.overdue(),
        }
    }

    fn overdue(&self) {
        let (path, token) = (&self.elector.path, self.token);
        log::error!(
            "election {path:?}: the task of the term with token {token} still runs {:?} after it was to stop: the next leader may have started",
            self.elector.options.grace.unwrap_or_default()
        );
        if self.elector.options.abort_when_overdue {
            std::process::abort();
        }
        self.elector.overdue.lock().retain(|told| told.send(token).is_ok());
    }
}

/// A view of a term, which may outlive it. Clones are the same term.
#[derive(Clone)]
pub struct Leadership {
    shared: Arc<Shared>,
}

impl Leadership {
    pub(super) fn of(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The fencing token: greater than that of every earlier leader.
    pub fn token(&self) -> i64 {
        self.shared.token
    }

    /// Whether the term is certain to be the only one at this moment. A process that was paused learns
    /// here, at its first look, what happened meanwhile.
    pub fn is_leading(&self) -> bool {
        self.shared.hold.lock().as_ref().is_some_and(Hold::is_held)
    }

    /// Until when it is certain, if nothing renews it further; `None` once it is lost or ended.
    pub fn valid_until(&self) -> Option<Time> {
        self.shared.hold.lock().as_ref().and_then(Hold::valid_until)
    }

    /// Why the term has to stop, if it has to.
    pub fn stop(&self) -> Option<Stop> {
        *self.shared.stop.borrow()
    }

    /// Ends when the term has to stop, at the end of its lease at the latest, with the reason: the grace
    /// begins then. Ends with `None` when the term was ended without that.
    pub fn stopped(&self) -> impl Future<Output = Option<Stop>> + Send + use<> {
        let (mut stop, mut ended) = (self.shared.stop.subscribe(), self.shared.ended.subscribe());
        async move {
            tokio::select! {
                biased;
                stop = stop.wait_for(Option::is_some) => stop.ok().and_then(|stop| *stop),
                _ = ended.wait_for(|ended| *ended) => None,
            }
        }
    }

    /// Gives the lead up once the term has ended, which it is told to do. True if it was not told before.
    pub fn resign(&self) -> bool {
        self.shared.stop(Stop::Resigned)
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leadership").field("token", &self.token()).field("stop", &self.stop()).finish()
    }
}

/// A term, to be ended by whoever has it: by [`Term::end`], or by dropping it.
#[must_use = "dropping it ends the term"]
pub struct Term {
    leadership: Leadership,
}

impl Term {
    pub(super) fn begin(elector: &Arc<Inner>, hold: Hold, losses: mpsc::UnboundedReceiver<LostHold>) -> Self {
        let shared = Arc::new(Shared {
            elector: Arc::clone(elector),
            token: hold.token(),
            hold: Locked::new(Some(hold)),
            stop: watch::Sender::new(None),
            ended: watch::Sender::new(false),
        });
        log::info!("election {:?}: leads with token {}", elector.path, shared.token);
        *elector.term.lock() = Arc::downgrade(&shared);
        elector.zk.spawn(Box::pin(Arc::clone(&shared).supervise(losses)));
        Self { leadership: Leadership { shared } }
    }

    /// A view of it.
    pub fn leadership(&self) -> Leadership {
        self.leadership.clone()
    }

    /// Ends it: call this once the work of the term is over for certain. When this returns `Ok` the
    /// candidate is gone, and the next leader starts without delay.
    ///
    /// [`crate::Code::LOCK_LOST`] if the lead was lost before; see [`crate::Mutex::unlock`] for the rest.
    pub async fn end(self) -> Result<()> {
        match self.leadership.shared.take_hold() {
            Some(hold) => hold.release().await,
            None => Ok(()),
        }
    }
}

impl Deref for Term {
    type Target = Leadership;

    fn deref(&self) -> &Leadership {
        &self.leadership
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        // In the background, if the term was not ended before.
        drop(self.leadership.shared.take_hold());
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Term").field("token", &self.token()).finish_non_exhaustive()
    }
}
