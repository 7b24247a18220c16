//! An acquire: into the queue by one creation, and out of it again whatever happens.
//!
//! A future is as large as the largest of its steps, and thousands may wait: what a step takes is on the heap for as long
//! as the step takes.

use super::hold::{Held, Hold};
use super::strict::{Knowledge, Mark, STRICT_KEY};
use super::turn::Asked;
use super::{Inner, MutexOptions};
use crate::client::State;
use crate::error::{Code, Error, Result};
use crate::mutant::{Mutant, mutated};
use crate::path;
use crate::proto::{CreateMode, Request, Response};
use crate::recipes::contender::{self, LOCK_PREFIX};
use crate::recipes::keeper::{Keeping, Loss, Unfinished};
use crate::recipes::node::{self, LockNode, Pause, is_passing, step};
use crate::recipes::patience::{Patience, With};
use crate::recipes::seat::Seat;
use crate::recipes::{contents, persistent};
use crate::time::Time;
use crate::zk::{Answer, Reply, Zk};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// An acquire under way. Dropping it cancels the acquire.
#[must_use = "dropping it cancels the acquire"]
pub struct Acquire {
    pub(super) outcome: oneshot::Receiver<Result<Hold>>,
    pub(super) _cancel: oneshot::Sender<()>,
}

impl Acquire {
    /// Cancels the acquire, and waits for what became of it: [`Code::CANCELLED`], or the lock, if it
    /// was granted before.
    pub fn cancel(self) -> impl Future<Output = Result<Hold>> {
        drop(self._cancel);
        async move { self.outcome.await.unwrap_or_else(|_| Err(Code::CLOSED.into())) }
    }
}

impl Future for Acquire {
    type Output = Result<Hold>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = std::task::ready!(Pin::new(&mut self.outcome).poll(cx));
        Poll::Ready(outcome.unwrap_or_else(|_| Err(Code::CLOSED.into())))
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").finish_non_exhaustive()
    }
}

/// How one try to get into the queue, or through it, ended without the lock.
pub(super) enum Setback {
    /// Our node is gone, with its session or by another's hand: begin again.
    Again,
    /// No further try.
    Fail(Error),
}

impl Setback {
    /// Whether it ends the acquire: what another session may bring is tried on that one.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Fail(error) if error.code() != Code::SESSION_EXPIRED)
    }
}

impl From<Error> for Setback {
    fn from(error: Error) -> Self {
        Self::Fail(error)
    }
}

impl From<Loss> for Setback {
    fn from(_: Loss) -> Self {
        Self::Again
    }
}

/// How an acquire is to wait.
pub(super) struct Waiting {
    pub(super) patience: Patience,
    /// It is to see its steps to their end, and not to wait for anybody.
    pub(super) try_only: bool,
    /// Until it waits for others than the server.
    pub(super) entering: Option<OwnedSemaphorePermit>,
}

impl Waiting {
    /// What `work` answers; anything but a try goes on only while its patience lasts.
    pub(super) fn with<W: Future>(&mut self, work: W) -> With<'_, W> {
        self.patience.with_step(self.try_only, work)
    }
}

/// Ends when the client does, with the reason.
async fn client_over(zk: &Arc<dyn Zk>) -> Error {
    let mut states = zk.states();
    while let Some(event) = states.recv().await {
        if event.state == State::Closed {
            return event.reason.unwrap_or_else(|| Code::CLOSED.into());
        }
    }
    Code::CLOSED.into()
}

/// A place in the queue.
pub(super) struct Entered {
    pub(super) node: LockNode,
    /// When its creation was sent, as far as that is known.
    pub(super) sent: Time,
    /// What was asked for in the same flight, until it is looked at.
    pub(super) first: Option<Box<Asked>>,
    /// A client that closes waits until this is dropped: it outlives the wait, and what removes the node then.
    _unfinished: Option<Unfinished>,
}

impl Inner {
    pub(super) async fn acquire(
        &self,
        patience: Patience,
        description: &str,
        try_only: bool,
    ) -> Result<Box<Held>> {
        let mut waiting = Waiting { patience, try_only, entering: None };
        let turn = match Arc::clone(&self.turn).try_acquire_owned() {
            Ok(turn) => {
                // An interrupt or a close that came before is heeded before anything is sent.
                waiting.patience.unless_over(try_only).await?;
                turn
            }
            Err(_) if try_only => return Err(Code::TIMEOUT.into()),
            Err(_) => {
                // Whoever holds it may never release it once the client is over.
                let turn = async {
                    tokio::select! {
                        biased;
                        turn = Arc::clone(&self.turn).acquire_owned() => turn.map_err(|_| Error::new(Code::CLOSED)),
                        error = client_over(&self.zk) => Err(error),
                    }
                };
                Box::pin(waiting.patience.with(turn)).await??
            }
        };
        loop {
            let connected = Box::pin(waiting.patience.with(self.zk.connected(Time::NEVER))).await;
            let session = connected.map_err(|over| match over.code() {
                Code::TIMEOUT if try_only => Error::new(Code::NOT_SENT).because("no server is connected"),
                Code::TIMEOUT => over.because("no server is connected"),
                _ => over,
            })??;
            match self.contend(&mut waiting, description, session).await {
                Ok((keeping, mark, seat)) => return Ok(Box::new(Held { keeping, mark, seat, _turn: turn })),
                Err(Setback::Fail(error)) if error.code() != Code::SESSION_EXPIRED => return Err(error),
                Err(_) => {}
            }
        }
    }

    /// One try on one session: creates a node, and waits until it is the lowest.
    async fn contend(
        &self,
        waiting: &mut Waiting,
        description: &str,
        session: i64,
    ) -> Result<(Keeping, Option<Box<Mark>>, Option<Seat>), Setback> {
        // A try waits for nobody.
        waiting.entering = self.keeper.entrance.try_enter();
        if waiting.entering.is_none() && !waiting.try_only {
            let enter = pin!(self.keeper.entrance.enter());
            waiting.entering = waiting.patience.with(enter).await?;
        }
        let mut entered = Box::pin(self.enter(waiting, description, session)).await?;
        // A persistent lock's owner may have another session by the time that it lets go.
        let ephemeral = self.options.persistent.is_none();
        let seat = ephemeral.then(|| self.keeper.seats.take(&entered.node.path, entered.node.czxid));
        let mut knowledge = Knowledge::default();
        match Box::pin(self.wait_turn(waiting, &mut entered, &mut knowledge)).await {
            Ok(keeping) => Ok((keeping, knowledge.mark, seat)),
            Err(setback) => {
                waiting.entering = None;
                if mutated(Mutant::TimeoutLeavesNode) {
                    return Err(setback);
                }
                // A waiter that goes away says that it never held; it makes nobody else wait.
                let may_be_gone = matches!(setback, Setback::Again);
                let given_up = Box::pin(self.give_up(entered.node, knowledge.mark, may_be_gone));
                Box::pin(waiting.patience.clean_up(&self.zk, setback.is_final(), given_up)).await;
                Err(setback)
            }
        }
    }

    /// Gets into the queue by one creation.
    async fn enter(
        &self,
        waiting: &mut Waiting,
        description: &str,
        session: i64,
    ) -> Result<Entered, Setback> {
        if waiting.try_only && Box::pin(self.is_contended(session)).await? {
            return Err(Error::new(Code::TIMEOUT).because("somebody else holds it or waits for it").into());
        }
        // Asked behind the beginning: a client that closes either waits for us, or we hear of it.
        let unfinished = self.unfinished();
        if unfinished.is_some() && self.keeper.is_closing() {
            return Err(Error::new(Code::CLOSED).into());
        }
        let id = contents::uuid(self.zk.random(), self.zk.random());
        let data = self.contents(description, &id);
        // One flight: the node, who else is there, and in strict mode who left cleanly.
        let mut creation = self.zk.submit(self.creation(data, &id), step(&self.zk, session));
        let first = self.ask_first(session);
        let answered = poll_fn(|cx| {
            if let Poll::Ready(answered) = Pin::new(&mut creation).poll(cx) {
                return Poll::Ready(Ok(self.created(answered)));
            }
            if waiting.try_only { Poll::Pending } else { waiting.patience.poll_over(cx).map(Err) }
        });
        let created = match answered.await {
            Ok(created) => created,
            Err(over) => {
                return Err(match creation.withdraw().filter(|_| !mutated(Mutant::CancelLeaksNode)) {
                    Some(creation) => self.forgotten(waiting, Some(creation), id, session, over.into()).await,
                    None => over.into(),
                });
            }
        };
        let (path, mut czxid, sent) = match created {
            Ok(created) => created,
            Err(error) if error.code() == Code::NO_NODE => {
                let parents = self.zk.create_parents(&self.path, &self.options.acl, step(&self.zk, session));
                return match waiting.with(Box::pin(parents)).await? {
                    Err(error) if !is_passing(&error) => Err(error.into()),
                    _ => Err(Setback::Again),
                };
            }
            // The count of creations stays at its end, and the name made of it is taken.
            Err(error) if error.code() == Code::NODE_EXISTS => {
                return Err(self.exhausted(&format!("{LOCK_PREFIX}{}", i32::MAX)).into());
            }
            Err(error) if error.code() == Code::OUTCOME_UNKNOWN && self.options.persistent.is_some() => {
                // What is found is not taken up: it is removed, and the next try queues again.
                return Err(self.forgotten(waiting, None, id, session, Setback::Again).await);
            }
            Err(error) if error.code() == Code::OUTCOME_UNKNOWN => {
                // It is not safe to go on before this is known: the node may be there.
                let recovery = node::recover(&self.zk, &self.path, &id, session);
                match waiting.with(Box::pin(recovery)).await {
                    Ok(found) => match found? {
                        // Found without its own answer, it was renewed at no moment that we know.
                        Some((path, stat)) => (path, stat.czxid, Time::default()),
                        None => return Err(Setback::Again),
                    },
                    Err(over) => return Err(self.forgotten(waiting, None, id, session, over.into()).await),
                }
            }
            Err(error) if is_passing(&error) => {
                if waiting.try_only {
                    return Err(error.into());
                }
                waiting.with(Box::pin(Pause::new().rest(&self.zk))).await?;
                return Err(Setback::Again);
            }
            Err(error) => return Err(error.into()),
        };
        if czxid == 0 {
            let found = waiting.with(Box::pin(persistent::czxid_of(&self.zk, &path))).await;
            czxid = match found {
                Ok(Ok(Some(czxid))) => czxid,
                Ok(Ok(None)) => {
                    return Err(self.forgotten(waiting, None, id, session, Setback::Again).await);
                }
                Ok(Err(error)) | Err(error) => {
                    return Err(self.forgotten(waiting, None, id, session, error.into()).await);
                }
            };
        }
        let session = if mutated(Mutant::AdoptsEarlierSession) { self.zk.session().id } else { session };
        let companion = self.options.persistent.map(|_| persistent::companion(&self.path, &id));
        let patterns = &self.options.extra_lock_patterns;
        let node = LockNode::new(path, czxid, session, companion, patterns)?;
        Ok(Entered { node, sent, first: Some(Box::new(first)), _unfinished: unfinished })
    }

    /// What a creation was answered with: the path, the czxid if that is known, and when it was sent.
    fn created(&self, answered: Result<Answer>) -> Result<(String, i64, Time)> {
        let answer = answered?;
        if self.options.persistent.is_some() {
            return persistent::created(answer);
        }
        match answer.response {
            Response::Create2 { path, stat } => Ok((path, stat.czxid, answer.sent_at)),
            _ => Err(Error::new(Code::PROTOCOL).because("create was answered otherwise")),
        }
    }

    fn contents(&self, description: &str, id: &str) -> Vec<u8> {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let own = match &*self.options {
            // For whoever releases it: so long its owner may believe.
            MutexOptions { persistent: Some(persistent), .. } => {
                Some((persistent::LEASE_KEY, ms(persistent.lease)))
            }
            // For waiters in default mode: this holder's going away is no hand-over by itself.
            MutexOptions { strict: Some(strict), .. } => Some((STRICT_KEY, ms(strict.delay))),
            _ => None,
        };
        contents::render(&self.options.contents, own.as_slice(), description, id)
    }

    fn creation(&self, data: Vec<u8>, id: &str) -> Request {
        if self.options.persistent.is_some() {
            return persistent::creation(&self.path, data, id, &self.options.acl);
        }
        Request::Create {
            path: path::join(&self.path, LOCK_PREFIX),
            data,
            acl: self.options.acl.clone(),
            mode: CreateMode::EphemeralSequential,
            ttl_ms: 0,
            with_stat: true,
        }
    }

    /// The end of a try whose creation we do not wait for: `setback`, once that is cleaned up.
    async fn forgotten(
        &self,
        waiting: &mut Waiting,
        creation: Option<Reply>,
        id: String,
        session: i64,
        setback: Setback,
    ) -> Setback {
        let forgotten = Box::pin(self.forget(creation, id, session));
        waiting.patience.clean_up(&self.zk, setback.is_final(), forgotten).await;
        setback
    }

    /// The clean-up after a creation whose outcome we do not wait for.
    fn forget(
        &self,
        creation: Option<Reply>,
        id: String,
        session: i64,
    ) -> impl Future<Output = ()> + Send + use<> {
        let patterns = self.options.extra_lock_patterns.clone();
        let (zk, path, acl) = (Arc::clone(&self.zk), self.path.clone(), self.options.acl.clone());
        let unfinished = self.unfinished();
        async move {
            if unfinished.is_some() {
                persistent::forget(zk, creation, path, id, acl, patterns).await;
            } else {
                node::forget(zk, creation, path, id, session, patterns).await;
            }
            drop(unfinished);
        }
    }

    /// A try looks before it creates: it costs no write where somebody else is there.
    async fn is_contended(&self, session: i64) -> Result<bool> {
        match self.zk.names(&self.path, step(&self.zk, session)).await {
            Ok((names, _)) => Ok(contender::is_any(&names, &self.options.extra_lock_patterns)),
            Err(error) if error.code() == Code::NO_NODE => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn exhausted(&self, name: &str) -> Error {
        Error::new(Code::SEQUENCE_EXHAUSTED).because(format!(
            "the server gave out {name:?}; reset the lock, or delete {:?}, while nobody uses it: it is made anew with numbers from 0",
            self.path
        ))
    }
}
