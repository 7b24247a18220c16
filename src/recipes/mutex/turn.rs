//! The wait in the queue: who is before us, and when it is our turn.

use super::acquire::{Entered, Setback, Waiting};
use super::strict::{Data, Knowledge, Mark, STRICT_KEY};
use super::{Inner, MutexOptions};
use crate::error::{Code, Error, Result};
use crate::mutant::{Mutant, mutated};
use crate::path;
use crate::proto::{EventType, Names, Request, Response, Stat};
use crate::recipes::contender::{self, Contender, LAST_SEQUENCE};
use crate::recipes::keeper::{Keeping, Terms};
use crate::recipes::node::{self, LockNode, Pause, is_passing, step};
use crate::recipes::seat::Neighbour;
use crate::recipes::{contents, revocation};
use crate::time::Time;
use crate::zk::{self, Reply, Watch, WatchEventKind};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

/// A place in the queue.
struct Place {
    /// Who is right before us, if anybody is.
    before: Option<Contender>,
    /// How many are before us.
    count: usize,
    /// As of when.
    seen: Time,
}

/// How a list that shows who is before us ends the wait, or goes on.
enum Turn {
    /// Nobody is before us, as of this moment.
    Ours(Time),
    /// Look again.
    Look,
}

/// One flight's answers: the list of children, and the parent's data where it was asked for.
type Seen = ((Names, Stat), Option<Data>);

/// One flight: who is there, and the parent's data where that is wanted.
pub(super) struct Asked {
    list: Reply,
    parent: Option<Reply>,
    /// The marker as this handle left it, in place of the parent's data.
    recalled: Option<Box<Mark>>,
}

impl Asked {
    async fn seen(self) -> Result<Seen> {
        let list = zk::names(self.list).await?;
        Ok(match self.parent {
            Some(parent) => (list, Some(zk::data(parent).await?)),
            None => (list, None),
        })
    }
}

/// What a waiter behind a neighbour sees them both by.
struct Eyes {
    /// Whether the neighbour's going away may be our turn, by itself.
    plain: bool,
    /// Whether how it left stands in the marker, if there is one.
    marked: bool,
    /// Where both were read.
    connection: u64,
    /// Why somebody asks for the lock already.
    asked: Option<String>,
    own: Watch,
    neighbours: Watch,
}

/// What a waiter behind a neighbour hears first.
enum News {
    /// The neighbour went: whether it held the lock, and its deletion was answered.
    Left(bool),
    /// An event of its node.
    Neighbours(WatchEventKind),
    /// An event of our own node.
    Own,
}

impl Inner {
    /// Waits until our node is the lowest, and the lock ours. What was asked for first went behind
    /// the node's creation, so the list shows the node: a session reads its own writes.
    pub(super) async fn wait_turn(
        &self,
        waiting: &mut Waiting,
        entered: &mut Entered,
        knowledge: &mut Knowledge,
    ) -> Result<Keeping, Setback> {
        // Where it is not looked at, it is withdrawn before anything else is asked for.
        let mut first = entered.first.take();
        let (own, sent) = (&entered.node, entered.sent);
        if !(0..=LAST_SEQUENCE).contains(&own.sequence) && !mutated(Mutant::SequenceNotRefused) {
            return Err(self.exhausted(own.name()).into());
        }
        let (mut keeping, mut pause) = (None, Pause::new());
        let gone = loop {
            let place = Box::pin(self.find_place(waiting, own, first.take(), &mut pause, knowledge)).await?;
            let Some(before) = &place.before else { break place.seen };
            let neighbour = match &keeping {
                // Next in line already.
                Some(_) => None,
                None => self.keeper.seats.find(&path::join(&self.path, &before.name)),
            };
            if let Some(neighbour) = neighbour.filter(|_| self.options.persistent.is_none()) {
                let wait = self.wait_behind(waiting, own, sent, before, &neighbour, knowledge);
                if let Some((ours, since)) = Box::pin(wait).await? {
                    keeping = Some(ours);
                    break since;
                }
            } else if place.count == 1 {
                waiting.entering = None;
                let keeping = keeping.get_or_insert_with(|| self.keep(own, sent));
                match Box::pin(self.wait_next(waiting, keeping, before, knowledge)).await? {
                    Turn::Ours(since) => break since,
                    Turn::Look => {}
                }
            } else {
                Box::pin(self.wait_for(waiting, own, before)).await?;
                if mutated(Mutant::EventIsTurn) {
                    break self.zk.now();
                }
            }
        };
        waiting.entering = None;
        let keeping = keeping.unwrap_or_else(|| self.keep(own, sent));
        let gone = if mutated(Mutant::DelayFromOwnCreation) { sent } else { gone };
        if let Some(until) = self.delayed_until(own, gone, knowledge) {
            Box::pin(self.wait_out(waiting, own, until)).await?;
        }
        loop {
            if !keeping.kept.is_fresh()? {
                Box::pin(waiting.with(self.keeper.refresh(&keeping.kept))).await??;
            }
            if keeping.kept.is_valid() {
                return Ok(keeping);
            }
            // It ran out between two looks, which is final for a node.
            if keeping.kept.loss().is_some() {
                return Err(Setback::Again);
            }
        }
    }

    /// Looks until it is certain who is before us. What was seen, which may be a list of ten thousand, is let go before the
    /// wait for them.
    async fn find_place(
        &self,
        waiting: &mut Waiting,
        own: &LockNode,
        first: Option<Box<Asked>>,
        pause: &mut Pause,
        knowledge: &mut Knowledge,
    ) -> Result<Place, Setback> {
        let mut asked = first.map_or_else(|| self.look(own.session, knowledge), |first| *first);
        loop {
            let recalled = asked.recalled.take();
            let seen = Box::pin(waiting.with(asked.seen())).await?;
            match seen {
                Ok(((names, listed), read)) => {
                    if !node::can_be_below(own.czxid, &listed) {
                        knowledge.mark = None;
                        return Err(Setback::Again);
                    }
                    let place = self.place(&names, own, self.zk.now(), waiting.try_only, knowledge);
                    let is_behind = matches!(&place, Ok(place) if place.before.is_some());
                    if read.is_none() && self.learn_from_list(&listed, recalled, is_behind, knowledge)
                        || Box::pin(self.learn(waiting, own, read, knowledge)).await?
                    {
                        return place;
                    }
                }
                Err(error) if error.code() == Code::NO_NODE => return Err(Setback::Again),
                Err(error) if is_passing(&error) && !waiting.try_only => {
                    waiting.with(Box::pin(pause.rest(&self.zk))).await?;
                }
                Err(error) => return Err(error.into()),
            }
            asked = self.look(own.session, knowledge);
        }
    }

    /// Where our node is among the children of the path.
    fn place(
        &self,
        names: &Names,
        own: &LockNode,
        seen: Time,
        try_only: bool,
        knowledge: &mut Knowledge,
    ) -> Result<Place, Setback> {
        let place = contender::place(names, own.name(), &self.options.extra_lock_patterns);
        let Some(contender::Place { before, numbers }) = place else { return Err(Setback::Again) };
        if mutated(Mutant::AbsentIsOutlived) {
            knowledge.outlived.add(0, own.sequence.saturating_sub(1));
        }
        let count = numbers.len();
        knowledge.outlived.add_gaps(numbers.into_iter().chain([own.sequence]));
        match &before {
            Some(before) if before.sequence == own.sequence => Err(self.exhausted(own.name()).into()),
            Some(_) if try_only => Err(Error::new(Code::TIMEOUT).because("somebody else was first").into()),
            _ => Ok(Place { before, count, seen }),
        }
    }

    fn keep(&self, own: &LockNode, sent: Time) -> Keeping {
        let MutexOptions { strict, persistent, acl, .. } = &*self.options;
        let terms = match persistent {
            Some(persistent) => Terms { lease: Some(persistent.lease), acl: acl.clone() },
            None => Terms { lease: strict.map(|strict| strict.lease), acl: Vec::new() },
        };
        self.keeper.keep(&self.zk, own.clone(), sent, terms)
    }

    /// Asks who is there, and in strict mode or under a marker who left cleanly.
    fn look(&self, session: i64, knowledge: &Knowledge) -> Asked {
        self.ask(session, self.options.strict.is_some() || knowledge.mark.is_some())
    }

    /// The same in the flight that gets into the queue, where the handle may know how it left the marker.
    pub(super) fn ask_first(&self, session: i64) -> Asked {
        let recalled = self.memory.recall();
        let with_parent = self.options.strict.is_some() && recalled.is_none();
        Asked { recalled, ..self.ask(session, with_parent) }
    }

    fn ask(&self, session: i64, with_parent: bool) -> Asked {
        let options = step(&self.zk, session);
        let list = Request::GetChildren2 { path: self.path.clone(), watch: false };
        let parent = with_parent.then(|| Request::GetData { path: self.path.clone(), watch: false });
        Asked {
            list: self.zk.submit(list, options),
            parent: parent.map(|parent| self.zk.submit(parent, options)),
            recalled: None,
        }
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
            let read = Box::pin(waiting.with(read)).await?;
            waiting.entering = None;
            match read {
                Ok(_) => {}
                Err(error) if error.code() == Code::NO_NODE && mutated(Mutant::WaitsForGone) => {
                    waiting.with(std::future::pending::<()>()).await?;
                }
                Err(error) if error.code() == Code::NO_NODE => return Ok(()),
                Err(error) if is_passing(&error) => {
                    Box::pin(waiting.with(pause.rest(&self.zk))).await?;
                    continue;
                }
                // Its contents are not for us to read; its existence is.
                Err(error) if error.code() == Code::NO_AUTH => {
                    let (exists, watch) = self.zk.exists_watch(&at, step(&self.zk, own.session));
                    match Box::pin(waiting.with(exists)).await? {
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
        self.keeper.watched(&keeping.kept, own_answer.connection, revocation::asked(own_data), own_watch);
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
        if marked && !Box::pin(self.learn(waiting, own, None, knowledge)).await? {
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
        let watch = self.watch_neighbour(waiting, own, before, neighbour, knowledge);
        let Some(mut eyes) = Box::pin(watch).await? else { return Ok(None) };
        waiting.entering = None;
        let news = {
            let mut left = pin!(neighbour.left());
            poll_fn(|cx| {
                if let Poll::Ready(left) = left.as_mut().poll(cx) {
                    return Poll::Ready(Ok(News::Left(left)));
                }
                if let Poll::Ready(over) = waiting.patience.poll_over(cx) {
                    return Poll::Ready(Err(over));
                }
                if let Poll::Ready(event) = Pin::new(&mut eyes.neighbours).poll(cx) {
                    return Poll::Ready(Ok(News::Neighbours(event.kind)));
                }
                Pin::new(&mut eyes.own).poll(cx).map(|_| Ok(News::Own))
            })
            .await?
        };
        let left = match news {
            News::Left(left) => left,
            // The event comes before the answer to the deletion that caused it.
            News::Neighbours(WatchEventKind::Node(EventType::Deleted)) => {
                mutated(Mutant::NeighbourEventIsTurn)
                    || neighbour.is_leaving() && Box::pin(waiting.with(neighbour.left())).await?
            }
            News::Neighbours(_) | News::Own => false,
        };
        let Eyes { plain, marked, connection, asked, own: own_watch, .. } = eyes;
        let view = self.zk.session();
        let certain =
            left && plain && view.connected && view.id == own.session && view.connection == connection;
        if !certain {
            return Ok(None);
        }
        let gone = self.zk.now();
        let keeping = self.keep(own, sent);
        self.keeper.watched(&keeping.kept, connection, asked, own_watch);
        if marked && !Box::pin(self.learn(waiting, own, None, knowledge)).await? {
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
        let (plain, asked) = (same_node && plain, revocation::asked(&own_data));
        Ok(Some(Eyes { plain, marked, connection, asked, own: own_watch, neighbours: watch }))
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
