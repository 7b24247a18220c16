//! Term after term: when an elector stands again, and when it does not.

use super::{Elector, Stop, Term};
use crate::error::{Code, Error, Result};
use crate::recipes::node::is_passing;
use crate::time::Time;
use std::time::Duration;

/// How the task of a term ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Well: the elector stands again.
    Done,
    /// Badly: the elector stands again, after a pause that grows.
    Failed,
    /// It was interrupted: the election ends for this elector.
    Interrupted,
}

/// An elector's terms, one after the other: [`Course::next`] and [`Course::ended`] in turn.
#[derive(Debug)]
pub struct Course {
    elector: Elector,
    /// The pause after the next failure.
    backoff: Duration,
    /// Before this no campaign begins.
    rest_until: Option<Time>,
    began: Time,
}

impl Course {
    pub(super) fn new(elector: Elector) -> Self {
        let backoff = elector.inner.options.min_backoff;
        Self { elector, backoff, rest_until: None, began: Time::default() }
    }

    /// The next term, after the pause that is due. The errors are those of [`Elector::campaign`], but for
    /// those that pass, after which it tries again.
    pub async fn next(&mut self) -> Result<Term> {
        loop {
            let inner = &self.elector.inner;
            if let Some(until) = self.rest_until.take() {
                inner.unless_over(inner.zk.sleep_until(until)).await?;
            }
            match self.elector.campaign().await {
                Ok(term) => {
                    self.began = inner.zk.now();
                    return Ok(term);
                }
                Err(error) if is_passing(&error) => {
                    log::warn!("election {:?}: tried again later: {error}", inner.path);
                    self.rest_longer();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends a term whose task has ended. [`Code::INTERRUPTED`] or [`Code::CLOSED`] if the election is over
    /// for this elector.
    pub async fn ended(&mut self, term: Term, outcome: Outcome) -> Result<()> {
        let stop = term.stop();
        let inner = &self.elector.inner;
        log::info!("election {:?}: the task of token {} ended: {outcome:?}", inner.path, term.token());
        if let Err(error) = term.end().await
            && error.code() != Code::LOCK_LOST
        {
            log::warn!("election {:?}: {error}", inner.path);
        }
        let over = match (stop, outcome) {
            (Some(Stop::Closed), _) => Some(Code::CLOSED),
            (Some(Stop::Interrupted), _) | (_, Outcome::Interrupted) => Some(Code::INTERRUPTED),
            _ => None,
        };
        if let Some(code) = over {
            return Err(Error::new(code).during("election", Some(&inner.path)));
        }
        // What lasted was no failure at the start.
        if outcome == Outcome::Done || inner.zk.now().since(self.began) > inner.options.max_backoff {
            self.backoff = inner.options.min_backoff;
        }
        self.rest_longer();
        Ok(())
    }

    fn rest_longer(&mut self) {
        let inner = &self.elector.inner;
        // Between a half and the whole.
        let jitter = f64::from((inner.zk.random() % 1024) as u16) / 2048.0;
        self.rest_until = Some(inner.zk.now() + self.backoff.mul_f64(0.5 + jitter));
        self.backoff = (self.backoff * 2).min(inner.options.max_backoff);
    }
}
