//! What keeps locks: renewals that a quorum commits, and the news of their loss.
//!
//! One keeper serves all the lock nodes of a client. At every interval it sends one `multi` of `check`
//! on all of them (in frames of bounded size), which proves that the session lives, and before it a
//! read of each node that is not watched on this connection yet. A lock that ends sooner than the first interval costs nothing.
//!
//! A lock is lost when its time has run out, its node is gone or not ours any more, or its session or
//! client is over. That is final, and told once.
//!
//! A persistent lock outlives its session: what is kept are its node and its companion (`persistent.rs`), which
//! is made again on the next session, and only renewals of both count.

use super::mutex::MutexOptions;
use super::node::{LockNode, is_passing, step};
use super::persistent;
use super::revocation;
use super::seat::{Entrance, Seats};
use crate::client::{State, StateEvent};
use crate::error::{Code, Error};
use crate::mutant::{Mutant, mutated};
use crate::proto::{Acl, EventType, MultiOp, Request, Response};
use crate::sync::Mutex as Locked;
use crate::time::Time;
use crate::zk::{BoxFuture, Watch, WatchEventKind, Zk};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How many bytes of checks go into one frame.
const MAX_FRAME: usize = 128 * 1024;
/// The bytes of a check besides its path.
const CHECK_LEN: usize = 24;

/// How much earlier than its end a lease is given up, so that the news of it is not late by a timer's grain.
const SLACK: Duration = Duration::from_millis(5);

/// How many renewals a lease has room for.
const INTERVALS: u32 = 6;

/// Why a lock was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum Loss {
    /// Nothing proved in time that it is still ours.
    LeaseRanOut = 1,
    /// Its session is over.
    SessionOver = 2,
    /// Its node was deleted: by somebody, or with its session before that was heard of.
    NodeDeleted = 3,
    /// The client was closed.
    ClientClosed = 4,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeaseRanOut => "no server confirmed in time that it is still ours",
            Self::SessionOver => "its session is over",
            Self::NodeDeleted => "its node was deleted",
            Self::ClientClosed => "the client was closed",
        })
    }
}

impl From<Loss> for Error {
    fn from(loss: Loss) -> Self {
        Self::new(Code::LOCK_LOST).because(loss.to_string())
    }
}

/// A node that is kept, as its owner and the keeper share it.
pub(super) struct Kept {
    zk: Arc<dyn Zk>,
    pub(super) node: LockNode,
    terms: Terms,
    fate: Locked<Fate>,
    changed: Notify,
    bell: Arc<Bell>,
}

/// Calls the keeper, where it would not look in time by itself. It looks at every node it has, so a lock that is
/// granted, renewed and released between two looks is to cost none.
struct Bell {
    rung: Notify,
    /// When the keeper looks again by itself; never, while it is looking, since it may have passed by already what it
    /// is called for.
    looks_at: Locked<Time>,
}

impl Default for Bell {
    fn default() -> Self {
        Self { rung: Notify::new(), looks_at: Locked::new(Time::NEVER) }
    }
}

impl Bell {
    fn ring(&self) {
        self.rung.notify_one();
    }

    /// Something is to be done at this time, which the keeper did not know of.
    fn ring_for(&self, at: Time) {
        if at < *self.looks_at.lock() {
            self.ring();
        }
    }

    /// The keeper begins to look.
    fn answered(&self) {
        *self.looks_at.lock() = Time::NEVER;
    }

    /// It has looked, and looks again at this time.
    fn rests(&self, until: Time) {
        *self.looks_at.lock() = until;
    }
}

/// How a node is kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Terms {
    /// In strict mode, and if it is persistent, it is believed for so long after each renewal, and no
    /// session's word counts.
    pub(super) lease: Option<Duration>,
    /// The access control list of its companion, if it has one.
    pub(super) acl: Vec<Acl>,
}

/// Who is told what befalls a lock.
pub(super) struct Told {
    /// Once, if it is lost; with the time until when it was believed.
    pub(super) on_lost: Box<dyn FnOnce(Loss, Time) + Send>,
    /// Each time somebody asks for it with another reason.
    pub(super) on_revoke: Box<dyn Fn(String) + Send>,
}

struct Fate {
    lost: Option<Loss>,
    /// When the last renewal that counted was sent.
    renewed: Time,
    /// The connection on which the node was last read as ours while its watch was armed.
    watched_on: Option<u64>,
    /// Whether a watch on the node is in place; a reconnect arms it again by itself.
    watching: bool,
    /// The session on which its companion is known to be ours.
    companion_on: i64,
    /// Whether its owner has given it up: what happens to it now is no loss.
    released: bool,
    /// Why somebody asks for it, by what it held when it was last read.
    asked: Option<String>,
    told: Option<Told>,
}

impl Kept {
    /// Until when it is certain to be ours; a moment that has passed if it is not.
    pub(super) fn valid_until(&self) -> Time {
        let fate = self.fate.lock();
        if fate.lost.is_some() {
            return Time::default();
        }
        self.lease_end(&fate)
    }

    fn lease_end(&self, fate: &Fate) -> Time {
        match self.terms.lease {
            Some(lease) if mutated(Mutant::StrictLeaseFromPings) => self.zk.session().last_heard + lease,
            Some(lease) => fate.renewed + lease,
            None => {
                let view = self.zk.session();
                match view.valid_until {
                    _ if view.id != self.node.session => Time::default(),
                    // Nothing can be proven: it is believed until the connection goes.
                    _ if view.without_lease && view.connected => Time::NEVER,
                    proven => proven.unwrap_or_default(),
                }
            }
        }
    }

    /// Whether it is certain to be ours at this moment. Once it was not, it never is again.
    pub(super) fn is_valid(&self) -> bool {
        let ran_out = {
            let fate = self.fate.lock();
            fate.lost.is_none() && self.zk.now() + SLACK >= self.lease_end(&fate)
        };
        if ran_out {
            let gone = !self.is_persistent() && self.zk.session().id != self.node.session;
            self.lose(if gone { Loss::SessionOver } else { Loss::LeaseRanOut });
        }
        self.fate.lock().lost.is_none()
    }

    /// Whether it is ours for long enough to be of use; why it was lost, if it was.
    pub(super) fn is_fresh(&self) -> Result<bool, Loss> {
        let fate = self.fate.lock();
        match fate.lost {
            Some(loss) => Err(loss),
            None => Ok(self.zk.now() + 4 * SLACK < self.lease_end(&fate)),
        }
    }

    pub(super) fn is_persistent(&self) -> bool {
        self.node.companion.is_some()
    }

    /// Why it was lost, if it was.
    pub(super) fn loss(&self) -> Option<Loss> {
        self.fate.lock().lost
    }

    /// Ends when it is lost.
    pub(super) async fn lost(&self) -> Loss {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(loss) = self.loss() {
                return loss;
            }
            changed.await;
        }
    }

    /// Its owner has it now, and is to be told what befalls it; at once of what did already.
    pub(super) fn tell(&self, told: Told) {
        let mut fate = self.fate.lock();
        match fate.lost {
            None => {
                if let Some(reason) = fate.asked.clone() {
                    (told.on_revoke)(reason);
                }
                fate.told = Some(told);
                // Nobody was to be told of its end so far.
                let end = self.lease_end(&fate) - SLACK;
                drop(fate);
                self.bell.ring_for(end);
            }
            Some(loss) => {
                let believed = self.lease_end(&fate);
                drop(fate);
                (told.on_lost)(loss, believed);
            }
        }
    }

    /// What it holds was read: somebody may have asked for it there.
    fn read(&self, asked: Option<String>) {
        let mut fate = self.fate.lock();
        if asked != fate.asked {
            fate.asked = asked;
            if let (Some(reason), Some(told), false) = (&fate.asked, &fate.told, fate.released) {
                (told.on_revoke)(reason.clone());
            }
        }
    }

    /// Its owner gives it up. Answers why it was lost, if it was lost before.
    pub(super) fn release(&self) -> Option<Loss> {
        let mut fate = self.fate.lock();
        fate.released = true;
        fate.told = None;
        fate.lost
    }

    fn lose(&self, loss: Loss) {
        let (told, believed) = {
            let mut fate = self.fate.lock();
            if fate.lost.is_some() || fate.released {
                return;
            }
            fate.lost = Some(loss);
            (fate.told.take(), self.lease_end(&fate))
        };
        if let Some(told) = told {
            log::warn!("session {:#x}: lock {:?} is lost: {loss}", self.node.session, self.node.path);
            (told.on_lost)(loss, believed);
        }
        self.changed.notify_waiters();
    }

    fn is_over(&self) -> bool {
        let fate = self.fate.lock();
        fate.released || fate.lost.is_some()
    }
}

/// Keeps the lock nodes of one client.
#[derive(Default)]
pub struct Keeper {
    state: Locked<Nodes>,
    /// The client's places in queues.
    pub(super) seats: Arc<Seats>,
    /// Where places are taken.
    pub(super) entrance: Entrance,
    bell: Arc<Bell>,
    interval: Option<Duration>,
    /// What the last lock was made with.
    options: Locked<Weak<MutexOptions>>,
    /// Whether the client is about to end its session.
    closing: watch::Sender<bool>,
    /// How much is under way that has to end before the session does.
    unfinished: watch::Sender<usize>,
}

/// Something under way that would leave a persistent node behind if the client ended now.
pub(super) struct Unfinished(Arc<Keeper>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.unfinished.send_modify(|count| *count -= 1);
    }
}

#[derive(Default)]
struct Nodes {
    kept: BTreeMap<u64, Arc<Kept>>,
    next: u64,
    running: bool,
    /// A renewal is wanted now.
    wanted: bool,
    /// A node has changed, and is to be read at once.
    changed: bool,
    /// The client is being closed: nothing is kept any more.
    closed: bool,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("nodes", &self.state.lock().kept.len()).finish_non_exhaustive()
    }
}

/// A node that is being kept until this is dropped.
pub(super) struct Keeping {
    keeper: Arc<Keeper>,
    id: u64,
    pub(super) kept: Arc<Kept>,
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.kept.release();
        self.keeper.state.lock().kept.remove(&self.id);
    }
}

impl Keeper {
    /// A keeper that renews at this interval; by default at a sixth of the session timeout, or of
    /// the shortest lease.
    pub fn new(interval: Option<Duration>) -> Self {
        Self { interval, ..Self::default() }
    }

    /// The same options for locks that are made alike: there may be thousands, one after the other.
    pub(super) fn share(&self, options: MutexOptions) -> Arc<MutexOptions> {
        let mut last = self.options.lock();
        last.upgrade().filter(|known| **known == options).unwrap_or_else(|| {
            let new = Arc::new(options);
            *last = Arc::downgrade(&new);
            new
        })
    }

    /// Keeps a node whose creation was sent at `renewed`.
    pub(super) fn keep(
        self: &Arc<Self>,
        zk: &Arc<dyn Zk>,
        node: LockNode,
        renewed: Time,
        terms: Terms,
    ) -> Keeping {
        let mut state = self.state.lock();
        let lost = state.closed.then_some(Loss::ClientClosed);
        let fate = Fate {
            lost,
            renewed,
            watched_on: None,
            watching: false,
            // Both were made by one transaction on this session.
            companion_on: node.session,
            released: false,
            asked: None,
            told: None,
        };
        let lease = terms.lease;
        let kept = Arc::new(Kept {
            zk: Arc::clone(zk),
            node,
            terms,
            fate: Locked::new(fate),
            changed: Notify::new(),
            bell: Arc::clone(&self.bell),
        });
        let id = state.next;
        state.next += 1;
        state.kept.insert(id, Arc::clone(&kept));
        if !state.running {
            state.running = true;
            zk.spawn(Box::pin(Arc::clone(self).run(Arc::clone(zk))));
        } else if let Some(lease) = lease {
            // Its interval may be shorter than the others'.
            self.bell.ring_for(zk.now() + lease / INTERVALS);
        }
        Keeping { keeper: Arc::clone(self), id, kept }
    }

    /// The client is about to end its session, and with it every lock: their holders hear of it before
    /// a server does, since the next one in line may have the lock before the client is closed.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.closing.send_replace(true);
        for (_, kept) in self.all() {
            kept.lose(Loss::ClientClosed);
        }
    }

    /// Waits until nothing is under way any more that would leave a persistent node behind.
    pub(crate) async fn finished(&self) {
        // The sender lives as long as this does.
        let _ = self.unfinished.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Whether nothing is under way that would leave a persistent node behind.
    pub(crate) fn is_finished(&self) -> bool {
        *self.unfinished.borrow() == 0
    }

    /// Something begins that would leave a persistent node behind if the client ended before it does.
    pub(super) fn begin(self: &Arc<Self>) -> Unfinished {
        self.unfinished.send_modify(|count| *count += 1);
        Unfinished(Arc::clone(self))
    }

    /// Whether the client is about to end its session.
    pub(super) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Becomes true when the client is about to end its session.
    pub(super) fn closing(&self) -> watch::Receiver<bool> {
        self.closing.subscribe()
    }

    /// The node was read as ours on this connection, with this watch armed; `asked` is why somebody asks for it, by what it
    /// holds.
    pub(super) fn watched(
        self: &Arc<Self>,
        kept: &Arc<Kept>,
        connection: u64,
        asked: Option<String>,
        watch: Watch,
    ) {
        kept.read(asked);
        {
            let mut fate = kept.fate.lock();
            fate.watched_on = Some(connection);
            if std::mem::replace(&mut fate.watching, true) {
                return;
            }
        }
        let weak = Arc::downgrade(kept);
        let keeper = Arc::downgrade(self);
        kept.zk.spawn(Box::pin(async move {
            let event = watch.await;
            let (Some(kept), Some(keeper)) = (weak.upgrade(), keeper.upgrade()) else { return };
            if event.kind == WatchEventKind::Node(EventType::Deleted) {
                kept.lose(Loss::NodeDeleted);
            } else {
                // To be armed again.
                let mut fate = kept.fate.lock();
                fate.watched_on = None;
                fate.watching = false;
            }
            // Somebody may have asked for the lock.
            keeper.state.lock().changed |= event.kind == WatchEventKind::Node(EventType::DataChanged);
            kept.changed.notify_waiters();
            keeper.bell.ring();
        }));
    }

    /// Waits until a node is valid by a renewal or a proof of its session, or is lost.
    pub(super) async fn refresh(&self, kept: &Kept) -> Result<(), Loss> {
        loop {
            let changed = kept.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if kept.is_fresh()? {
                return Ok(());
            }
            self.state.lock().wanted = true;
            self.bell.ring();
            changed.await;
        }
    }

    async fn run(self: Arc<Self>, zk: Arc<dyn Zk>) {
        let mut states = zk.states();
        // The first is the present state, which is no news.
        self.entered(states.recv().await.as_ref());
        let mut renewal: Option<BoxFuture<bool>> = None;
        let mut last = zk.now();
        // Whether what there is must be renewed before the interval is over.
        let mut early = false;
        loop {
            self.bell.answered();
            let Some(first_end) = self.expire(&zk) else { return };
            let interval = self.interval(&zk);
            // Also what is wanted at once is not sent more often than it can help: a proof takes three
            // requests with the servers' pings between them.
            let wanted = {
                let mut state = self.state.lock();
                early |= std::mem::take(&mut state.changed);
                state.wanted
            };
            let due = if early { last } else { last + if wanted { interval / 4 } else { interval } };
            let view = zk.session();
            if renewal.is_none() && view.connected && zk.now() >= due {
                self.state.lock().wanted = false;
                early = false;
                last = zk.now();
                renewal = Some(Box::pin(Arc::clone(&self).renew(Arc::clone(&zk), view.id, view.connection)));
            }
            // While no server is connected nothing can be renewed: the next state wakes us.
            let idle = renewal.is_none() && view.connected;
            let wake = if idle { due.min(first_end) } else { first_end };
            self.bell.rests(wake);
            let renewed = async {
                match &mut renewal {
                    Some(renewal) => renewal.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                event = states.recv() => early |= self.entered(event.as_ref()),
                again = renewed => {
                    renewal = None;
                    early |= again;
                    self.tell_changed();
                }
                () = self.bell.rung.notified() => {}
                () = zk.sleep_until(wake) => {}
            }
        }
    }

    fn interval(&self, zk: &Arc<dyn Zk>) -> Duration {
        self.interval.unwrap_or_else(|| {
            let state = self.state.lock();
            let leases = state.kept.values().filter_map(|kept| kept.terms.lease);
            leases.fold(zk.session().timeout, Duration::min) / INTERVALS
        })
    }

    fn all(&self) -> Vec<(u64, Arc<Kept>)> {
        self.state.lock().kept.iter().map(|(id, kept)| (*id, Arc::clone(kept))).collect()
    }

    fn tell_changed(&self) {
        for (_, kept) in self.all() {
            kept.changed.notify_waiters();
        }
    }

    /// Lets go of what is over, and answers when the next lease ends. `None` if there is nothing to keep
    /// any more, and the keeper's task is to end.
    fn expire(&self, zk: &Arc<dyn Zk>) -> Option<Time> {
        let mut first_end = Time::NEVER;
        for (id, kept) in self.all() {
            // Who waits to be valid for the first time is told by `refresh`, and has no one to tell yet.
            let told = kept.fate.lock().told.is_some() && !mutated(Mutant::LossNotTold);
            if told && kept.is_valid() {
                first_end = first_end.min(kept.valid_until() - SLACK);
            }
            if kept.is_over() {
                self.state.lock().kept.remove(&id);
            }
        }
        let mut state = self.state.lock();
        if state.kept.is_empty() {
            state.running = false;
            return None;
        }
        drop(state);
        Some(first_end.max(zk.now()))
    }

    /// What a change of state means for the locks. True if they are to be renewed at once: a new
    /// connection proves nothing yet, and the first write on it proves most.
    fn entered(&self, event: Option<&StateEvent>) -> bool {
        for (_, kept) in self.all() {
            match event {
                Some(event) if event.state == State::Closed => kept.lose(Loss::ClientClosed),
                None => kept.lose(Loss::ClientClosed),
                Some(event) if event.session != kept.node.session && !kept.is_persistent() => {
                    kept.lose(Loss::SessionOver);
                }
                Some(_) => {}
            }
        }
        event.is_some_and(|event| event.state == State::Connected)
    }

    /// One renewal of all that the session has. True if another one is to follow at once.
    async fn renew(self: Arc<Self>, zk: Arc<dyn Zk>, session: i64, connection: u64) -> bool {
        let nodes: Vec<_> = self
            .all()
            .into_iter()
            .map(|(_, kept)| kept)
            .filter(|kept| (kept.is_persistent() || kept.node.session == session) && !kept.is_over())
            .collect();
        if nodes.is_empty() {
            return false;
        }
        let by_name = mutated(Mutant::RenewsByName);
        let unwatched: Vec<_> = nodes
            .iter()
            .filter(|kept| kept.fate.lock().watched_on != Some(connection) && !by_name)
            .cloned()
            .collect();
        let reads: Vec<_> = unwatched
            .iter()
            .map(|kept| {
                let request = Request::GetData { path: kept.node.path.clone(), watch: true };
                zk.submit_watch(request, step(&zk, session))
            })
            .collect();
        // One whose companion is not there yet on this session cannot be renewed.
        let (whole, alone): (Vec<_>, Vec<_>) =
            nodes.into_iter().partition(|kept| !kept.is_persistent() || kept.has_companion_on(session));
        // A connection without transactions proves nothing; the watches tell of deletions all the same.
        let provable = if zk.session().without_lease { Vec::new() } else { frames(&whole) };
        let frames: Vec<_> = provable
            .into_iter()
            .map(|frame| {
                let mut renewal = Request::Multi(frame.iter().map(|(_, check)| check.clone()).collect());
                if mutated(Mutant::SyncProves) {
                    renewal = Request::Sync { path: "/".to_owned() };
                }
                (zk.submit(renewal, step(&zk, session)), frame)
            })
            .collect();
        for (kept, (read, watch)) in unwatched.iter().zip(reads) {
            match read.await {
                Ok(answer) => match answer.response {
                    Response::Data { data, stat } if stat.czxid == kept.node.czxid => {
                        self.watched(kept, answer.connection, revocation::asked(&data), watch);
                    }
                    _ => kept.lose(Loss::NodeDeleted),
                },
                Err(error) if error.code() == Code::NO_NODE => kept.lose(Loss::NodeDeleted),
                Err(error) if is_passing(&error) => {}
                Err(error) => log::warn!("a lock node could not be read: {error}"),
            }
        }
        let mut again = false;
        for (reply, frame) in frames {
            let answer = match reply.await {
                Ok(answer) => answer,
                Err(error) => {
                    if !is_passing(&error) {
                        log::warn!("locks could not be renewed: {error}");
                    }
                    continue;
                }
            };
            let results = match answer.response {
                Response::Multi(results) => results,
                _ if mutated(Mutant::SyncProves) => Vec::new(),
                _ => continue,
            };
            let failed =
                results.iter().position(|r| r.err() != 0 && r.err() != Code::RUNTIME_INCONSISTENCY.number());
            match failed {
                None => {
                    for (kept, _) in &frame {
                        let mut fate = kept.fate.lock();
                        if fate.lost.is_none() && (fate.watched_on == Some(answer.connection) || by_name) {
                            let renewed =
                                if mutated(Mutant::LeaseFromAnswer) { zk.now() } else { answer.sent_at };
                            fate.renewed = fate.renewed.max(renewed);
                        }
                    }
                }
                Some(at) => {
                    if let Some((kept, check)) = frame.get(at) {
                        if check.path() == kept.node.path {
                            kept.lose(Loss::NodeDeleted);
                        } else {
                            kept.fate.lock().companion_on = 0;
                        }
                    }
                    // Nothing was committed for the others.
                    again = true;
                }
            }
        }
        // Behind the reads: by now it is known whether the lock nodes are still ours.
        for kept in alone.into_iter().filter(|kept| !kept.is_over()) {
            again |= self.accompany(&zk, &kept, session).await;
        }
        again
    }

    /// Makes the companion of a persistent lock again on this session. True if it is there, and ours.
    async fn accompany(&self, zk: &Arc<dyn Zk>, kept: &Kept, session: i64) -> bool {
        let Some(companion) = kept.node.companion.clone() else { return false };
        let ops =
            persistent::make_companion(&kept.node.path, &companion, persistent::THE_OWNER, &kept.terms.acl);
        let ours = match zk.multi(ops, step(zk, session)).await {
            Ok(_) => true,
            Err(error) if error.code() == Code::NODE_EXISTS => {
                let found = zk.get(&companion, step(zk, session)).await;
                let mutant = mutated(Mutant::AnyCompanion);
                matches!(found, Ok((data, stat))
                    if (stat.ephemeral_owner == session && persistent::is_the_owners(&data)) || mutant)
            }
            Err(error) if error.code() == Code::NO_NODE => {
                kept.lose(Loss::NodeDeleted);
                false
            }
            Err(error) => {
                if !is_passing(&error) {
                    log::warn!("a persistent lock could not be kept: {error}");
                }
                false
            }
        };
        if ours {
            kept.fate.lock().companion_on = session;
        } else {
            // An earlier session's, or somebody is releasing the lock: it may go away again.
            self.state.lock().wanted = true;
        }
        ours
    }
}

impl Kept {
    fn has_companion_on(&self, session: i64) -> bool {
        self.fate.lock().companion_on == session
    }
}

/// Cuts the checks of the nodes into frames of bounded size, those of one node into one.
fn frames(nodes: &[Arc<Kept>]) -> Vec<Vec<(Arc<Kept>, MultiOp)>> {
    let mut frames: Vec<Vec<_>> = Vec::new();
    let mut size = MAX_FRAME;
    for kept in nodes {
        let paths = [Some(&kept.node.path), kept.node.companion.as_ref()];
        let checks: Vec<_> = paths
            .into_iter()
            .flatten()
            .map(|path| (Arc::clone(kept), MultiOp::Check { path: path.clone(), version: -1 }))
            .collect();
        let len: usize = checks.iter().map(|(_, check)| CHECK_LEN + check.path().len()).sum();
        match frames.last_mut() {
            Some(frame) if size + len <= MAX_FRAME => frame.extend(checks),
            _ => {
                frames.push(checks);
                size = 0;
            }
        }
        size += len;
    }
    frames
}
