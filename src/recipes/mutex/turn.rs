//! The wait in the queue: who is before us, and when it is our turn.

use super::acquire::{Setback, Waiting};
use super::strict::{Knowledge, STRICT_KEY};
use super::{Inner, MutexOptions};
use crate::error::{Code, Error, Result};
use crate::mutant::{Mutant, mutated};
use crate::path;
use crate::proto::{EventType, Request, Response, Stat};
use crate::recipes::contender::{Contender, LAST_SEQUENCE};
use crate::recipes::keeper::{Keeping, Terms};
use crate::recipes::node::{LockNode, Pause, is_passing, step};
use crate::recipes::seat::Neighbour;
use crate::recipes::{contents, revocation};
use crate::time::Time;
use crate::zk::{BoxFuture, Watch, WatchEventKind};
use std::future::Future;

/// A place in the queue.
struct Place {
    /// Who is right before us, if anybody is.
    before: Option<Contender>,
    /// How many are before us.
    count: usize,
}

/// How a list that shows who is before us ends the wait, or goes on.
enum Turn {
    /// Nobody is before us, as of this moment.
    Ours(Time),
    /// Look again.
    Look,
}

/// One flight's answers: the list of children, and the parent's data where it was asked for.
pub(super) type Seen = ((Vec<String>, Stat), Option<(Vec<u8>, Stat)>);

pub(super) async fn both(
    list: impl Future<Output = Result<(Vec<String>, Stat)>>,
    parent: Option<impl Future<Output = Result<(Vec<u8>, Stat)>>>,
) -> Result<Seen> {
    let list = list.await?;
    Ok(match parent {
        Some(parent) => (list, Some(parent.await?)),
        None => (list, None),
    })
}

/// What a waiter behind a neighbour sees them both by.
struct Eyes {
    /// Whether the neighbour's going away may be our turn, by itself.
    plain: bool,
    /// Whether how it left stands in the marker, if there is one.
    marked: bool,
    /// Where both were read.
    connection: u64,
    own_data: Vec<u8>,
    own: Watch,
    neighbours: Watch,
}

impl Inner {
    /// Waits until our node is the lowest, and the lock ours. What comes `first` was asked for behind
    /// the node's creation, so the list shows the node: a session reads its own writes.
    pub(super) async fn wait_turn(
        &self,
        waiting: &mut Waiting,
        own: &LockNode,
        sent: Time,
        first: BoxFuture<Result<Seen>>,
        knowledge: &mut Knowledge,
    ) -> Result<Keeping, Setback> {
        if !(0..=LAST_SEQUENCE).contains(&own.sequence) && !mutated(Mutant::SequenceNotRefused) {
            return Err(self.exhausted(own.name()).into());
        }
        let mut keeping = None;
        let mut seen = waiting.with(first).await?;
        let mut pause = Pause::new();
        let gone = loop {
            let ((names, listed), read) = match seen {
                Ok(seen) => seen,
                Err(error) if error.code() == Code::NO_NODE => return Err(Setback::Again),
                Err(error) if is_passing(&error) && !waiting.try_only => {
                    waiting.with(Box::pin(pause.rest(&self.zk))).await?;
                    seen = Box::pin(self.look(waiting, own.session, knowledge)).await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let now = self.zk.now();
            if !Box::pin(self.learn(waiting, own.session, read, Some(&listed), knowledge)).await? {
                seen = Box::pin(self.look(waiting, own.session, knowledge)).await?;
                continue;
            }
            let Some(Place { before, count }) = self.place(names, own, knowledge) else {
                return Err(Setback::Again);
            };
            let Some(before) = before else { break now };
            if before.sequence == own.sequence {
                return Err(self.exhausted(own.name()).into());
            }
            if waiting.try_only {
                return Err(Error::new(Code::TIMEOUT).because("somebody else was first").into());
            }
            let neighbour = match &keeping {
                // Next in line already.
                Some(_) => None,
                None => self.keeper.seats.find(&path::join(&self.path, &before.name)),
            };
            if let Some(neighbour) = neighbour.filter(|_| self.options.persistent.is_none()) {
                if let Some((ours, since)) =
                    Box::pin(self.wait_behind(waiting, own, sent, &before, &neighbour, knowledge)).await?
                {
                    keeping = Some(ours);
                    break since;
                }
            } else if count == 1 {
                let keeping = keeping.get_or_insert_with(|| self.keep(own, sent));
                match Box::pin(self.wait_next(waiting, keeping, &before, knowledge)).await? {
                    Turn::Ours(since) => break since,
                    Turn::Look => {}
                }
            } else {
                Box::pin(self.wait_for(waiting, own, &before)).await?;
                if mutated(Mutant::EventIsTurn) {
                    break self.zk.now();
                }
            }
            seen = Box::pin(self.look(waiting, own.session, knowledge)).await?;
        };
        let keeping = keeping.unwrap_or_else(|| self.keep(own, sent));
        let gone = if mutated(Mutant::DelayFromOwnCreation) { sent } else { gone };
        Box::pin(self.wait_out(waiting, own, gone, knowledge)).await?;
        loop {
            waiting.with(Box::pin(self.keeper.refresh(&keeping.kept))).await??;
            if keeping.kept.is_valid() {
                return Ok(keeping);
            }
            // It ran out between two looks, which is final for a node.
            if keeping.kept.loss().is_some() {
                return Err(Setback::Again);
            }
        }
    }

    /// Where our node is among the children of the path; `None` if it is not there. The list itself is
    /// let go: ten thousand that wait on one path each had one.
    fn place(&self, names: Vec<String>, own: &LockNode, knowledge: &mut Knowledge) -> Option<Place> {
        let mut all = self.contenders(names);
        let count = all.iter().position(|c| c.name == own.name())?;
        all.truncate(count);
        if mutated(Mutant::AbsentIsOutlived) {
            knowledge.outlived.add(0, own.sequence.saturating_sub(1));
        }
        let numbers = all.iter().map(|c| c.sequence).chain([own.sequence]);
        knowledge.outlived.add_gaps(numbers);
        Some(Place { before: all.pop(), count })
    }

    fn keep(&self, own: &LockNode, sent: Time) -> Keeping {
        let MutexOptions { strict, persistent, acl, .. } = &self.options;
        let terms = match persistent {
            Some(persistent) => Terms { lease: Some(persistent.lease), acl: acl.clone() },
            None => Terms { lease: strict.map(|strict| strict.lease), acl: Vec::new() },
        };
        self.keeper.keep(&self.zk, own.clone(), sent, terms)
    }

    /// One flight: who is there, and in strict mode or under a marker who left cleanly.
    async fn look(
        &self,
        waiting: &mut Waiting,
        session: i64,
        knowledge: &Knowledge,
    ) -> Result<Result<Seen>, Setback> {
        let options = step(&self.zk, session);
        let list = self.zk.children(&self.path, options);
        let wanted = self.options.strict.is_some() || knowledge.mark.is_some();
        let parent = wanted.then(|| self.zk.get(&self.path, options));
        Ok(waiting.with(both(list, parent)).await?)
    }

    /// Waits until the contender before us is gone, or until it is worth looking again.
    async fn wait_for(
        &self,
        waiting: &mut Waiting,
        own: &LockNode,
        before: &Contender,
    ) -> Result<(), Setback> {
        let at = path::join(&self.path, &before.name);
        let mut pause = Pause::new();
        loop {
            // `get`, not `exists`: that would leave a watch at a node that is gone.
            let (read, watch) = self.zk.get_watch(&at, step(&self.zk, own.session));
            match waiting.with(read).await? {
                Ok(_) => {}
                Err(error) if error.code() == Code::NO_NODE && mutated(Mutant::WaitsForGone) => {
                    waiting.with(std::future::pending::<()>()).await?;
                }
                Err(error) if error.code() == Code::NO_NODE => return Ok(()),
                Err(error) if is_passing(&error) => {
                    waiting.with(pause.rest(&self.zk)).await?;
                    continue;
                }
                // Its contents are not for us to read; its existence is.
                Err(error) if error.code() == Code::NO_AUTH => {
                    let (exists, watch) = self.zk.exists_watch(&at, step(&self.zk, own.session));
                    match waiting.with(exists).await? {
                        Ok(None) => return Ok(()),
                        Ok(Some(_)) => {
                            waiting.with(watch).await?;
                            return Ok(());
                        }
                        Err(error) if is_passing(&error) => continue,
                        Err(error) => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            }
            match waiting.with(watch).await?.kind {
                WatchEventKind::Node(EventType::DataChanged) => {}
                // Also after a session's end: the next request on it says so.
                _ => return Ok(()),
            }
        }
    }

    /// Waits as the next in line: the one contender before us is all there is. Where it is certain that
    /// its going away leaves nobody before us, the event alone is our turn.
    async fn wait_next(
        &self,
        waiting: &mut Waiting,
        keeping: &Keeping,
        before: &Contender,
        knowledge: &mut Knowledge,
    ) -> Result<Turn, Setback> {
        let own = &keeping.kept.node;
        let at = path::join(&self.path, &before.name);
        let options = step(&self.zk, own.session);
        // One flight: our own node, so that its end is not missed, and the one before it.
        let request = |path: &str| Request::GetData { path: path.to_owned(), watch: true };
        let (own_read, own_watch) = self.zk.submit_watch(request(&own.path), options);
        let (read, watch) = self.zk.submit_watch(request(&at), options);
        let own_answer = match waiting.with(own_read).await? {
            Ok(answer) => answer,
            Err(error) if error.code() == Code::NO_NODE => return Err(Setback::Again),
            Err(error) => return Box::pin(self.wait_plainly(waiting, own, before, error)).await,
        };
        let Response::Data { data: own_data, stat: own_stat } = &own_answer.response else {
            return Ok(Turn::Look);
        };
        if own_stat.czxid != own.czxid {
            return Err(Setback::Again);
        }
        self.keeper.watched(&keeping.kept, own_answer.connection, own_data, own_watch);
        let answer = match waiting.with(read).await? {
            Ok(answer) => answer,
            Err(error) if error.code() == Code::NO_NODE => return Ok(Turn::Look),
            Err(error) => return Box::pin(self.wait_plainly(waiting, own, before, error)).await,
        };
        let Response::Data { data, stat } = &answer.response else { return Ok(Turn::Look) };
        // The end of one session may delete two nodes of it in any order, so the other must not be ours.
        let mut plain = stat.ephemeral_owner != own.session && answer.connection == own_answer.connection;
        let marked = self.options.strict.is_some() || knowledge.mark.is_some() || contents::has_key(data, STRICT_KEY)
            // It may have been a strict one, before Curator asked for it.
            || data == revocation::CURATORS;
        let mut watch = watch;
        loop {
            let event = tokio::select! {
                biased;
                event = waiting.patience.with(watch) => event?,
                // Our own node's end comes by the keeper.
                _ = keeping.kept.lost() => return Err(Setback::Again),
            };
            match event.kind {
                WatchEventKind::Node(EventType::DataChanged) => {}
                WatchEventKind::Node(EventType::Deleted) => break,
                _ => return Ok(Turn::Look),
            }
            // Its contents do not matter; arm the watch again.
            plain = false;
            let (read, next) = self.zk.submit_watch(request(&at), step(&self.zk, own.session));
            match waiting.with(read).await? {
                Ok(_) => watch = next,
                Err(_) => return Ok(Turn::Look),
            }
        }
        let view = self.zk.session();
        let certain = plain
            && view.connected
            && view.connection == answer.connection
            && keeping.kept.loss().is_none()
            && self.zk.now() < keeping.kept.valid_until();
        if !certain {
            return Ok(Turn::Look);
        }
        let gone = self.zk.now();
        // How the one before us left stands in the marker, if there is one.
        if marked && !Box::pin(self.learn(waiting, own.session, None, None, knowledge)).await? {
            return Ok(Turn::Look);
        }
        Ok(Turn::Ours(gone))
    }

    /// Waits behind a neighbour, which is of the same client, however many are before it. If it held and the deletion of
    /// its node was answered, nobody is before us any more: what this node is kept by, and since when. Otherwise it is
    /// time to look again.
    async fn wait_behind(
        &self,
        waiting: &mut Waiting,
        own: &LockNode,
        sent: Time,
        before: &Contender,
        neighbour: &Neighbour,
        knowledge: &mut Knowledge,
    ) -> Result<Option<(Keeping, Time)>, Setback> {
        let Some(mut eyes) =
            Box::pin(self.watch_neighbour(waiting, own, before, neighbour, knowledge)).await?
        else {
            return Ok(None);
        };
        let left = tokio::select! {
            biased;
            left = waiting.patience.with(neighbour.left()) => left?,
            // The event comes before the answer to the deletion that caused it.
            event = &mut eyes.neighbours => {
                let deleted = event.kind == WatchEventKind::Node(EventType::Deleted);
                deleted
                    && (mutated(Mutant::NeighbourEventIsTurn)
                        || neighbour.is_leaving() && Box::pin(waiting.with(neighbour.left())).await?)
            }
            _ = &mut eyes.own => false,
        };
        let Eyes { plain, marked, connection, own_data, own: own_watch, .. } = eyes;
        let view = self.zk.session();
        let certain =
            left && plain && view.connected && view.id == own.session && view.connection == connection;
        if !certain {
            return Ok(None);
        }
        let gone = self.zk.now();
        let keeping = self.keep(own, sent);
        self.keeper.watched(&keeping.kept, connection, &own_data, own_watch);
        if marked && !Box::pin(self.learn(waiting, own.session, None, None, knowledge)).await? {
            return Ok(None);
        }
        Ok(Some((keeping, gone)))
    }

    /// One flight, as of the next in line: by the watches on both nodes we hear of what goes in any other way.
    async fn watch_neighbour(
        &self,
        waiting: &mut Waiting,
        own: &LockNode,
        before: &Contender,
        neighbour: &Neighbour,
        knowledge: &Knowledge,
    ) -> Result<Option<Eyes>, Setback> {
        let at = path::join(&self.path, &before.name);
        let options = step(&self.zk, own.session);
        let request = |path: &str| Request::GetData { path: path.to_owned(), watch: true };
        let (own_read, own_watch) = self.zk.submit_watch(request(&own.path), options);
        let (read, watch) = self.zk.submit_watch(request(&at), options);
        let (own_answer, answer) = match (waiting.with(own_read).await?, waiting.with(read).await?) {
            (Ok(own_answer), Ok(answer)) => (own_answer, answer),
            (Err(error), _) if error.code() == Code::NO_NODE => return Err(Setback::Again),
            (_, Err(error)) if error.code() == Code::NO_NODE => return Ok(None),
            (Err(error), _) | (_, Err(error)) => {
                Box::pin(self.wait_plainly(waiting, own, before, error)).await?;
                return Ok(None);
            }
        };
        let connection = own_answer.connection;
        let plain = answer.connection == connection;
        let (Response::Data { data: own_data, stat: own_stat }, Response::Data { data, stat }) =
            (own_answer.response, answer.response)
        else {
            return Ok(None);
        };
        if own_stat.czxid != own.czxid {
            return Err(Setback::Again);
        }
        let same_node = stat.czxid == neighbour.czxid || mutated(Mutant::NeighbourByName);
        let marked = self.options.strict.is_some()
            || knowledge.mark.is_some()
            || contents::has_key(&data, STRICT_KEY)
            || data == revocation::CURATORS;
        let plain = same_node && plain;
        Ok(Some(Eyes { plain, marked, connection, own_data, own: own_watch, neighbours: watch }))
    }

    /// The way of a waiter that is not next, where something stands against the shorter one.
    async fn wait_plainly(
        &self,
        waiting: &mut Waiting,
        own: &LockNode,
        before: &Contender,
        error: Error,
    ) -> Result<Turn, Setback> {
        if !is_passing(&error) && error.code() != Code::NO_AUTH {
            return Err(error.into());
        }
        self.wait_for(waiting, own, before).await?;
        Ok(Turn::Look)
    }
}
