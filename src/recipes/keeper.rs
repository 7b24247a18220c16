//! What keeps locks: renewals that a quorum commits, and the news of their loss.
//!
//! One keeper serves all the lock nodes of a client. At every interval it sends one `multi` of `check`
//! on all of them (in frames of bounded size), which proves that the session lives, and before it a
//! read of each node that is not watched on this connection yet. A lock that ends sooner than the first interval costs nothing.
//!
//! A lock is lost when its time has run out, its node is gone or not ours any more, or its session or
//! client is over. That is final, and told once.

use super::node::{LockNode, is_passing, step};
use crate::client::{State, StateEvent};
use crate::error::{Code, Error};
use crate::mutant::{Mutant, mutated};
use crate::proto::{EventType, MultiOp, Request, Response};
use crate::sync::Mutex as Locked;
use crate::time::Time;
use crate::zk::{BoxFuture, Watch, WatchEventKind, Zk};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How many bytes of checks go into one frame.
const MAX_FRAME: usize = 128 * 1024;
/// The bytes of a check besides its path.
const CHECK_LEN: usize = 24;

/// How much earlier than its end a lease is given up, so that the news of it is not late by a timer's grain.
const SLACK: Duration = Duration::from_millis(5);

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
    /// In strict mode it is believed for so long after each renewal, and no session's word counts.
    lease: Option<Duration>,
    fate: Locked<Fate>,
    changed: Notify,
    /// Wakes the keeper.
    urgent: Arc<Notify>,
}

/// Is told why a node was lost, and until when it was believed.
type OnLost = Box<dyn FnOnce(Loss, Time) + Send>;

struct Fate {
    lost: Option<Loss>,
    /// When the last renewal that counted was sent.
    renewed: Time,
    /// The connection on which the node was last read as ours while its watch was armed.
    watched_on: Option<u64>,
    /// Whether a watch on the node is in place; a reconnect arms it again by itself.
    watching: bool,
    /// Whether its owner has given it up: what happens to it now is no loss.
    released: bool,
    on_lost: Option<OnLost>,
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
        match self.lease {
            Some(lease) if mutated(Mutant::StrictLeaseFromPings) => self.zk.session().last_heard + lease,
            Some(lease) => fate.renewed + lease,
            None => {
                let view = self.zk.session();
                if view.id == self.node.session {
                    view.valid_until.unwrap_or_default()
                } else {
                    Time::default()
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
            let gone = self.zk.session().id != self.node.session;
            self.lose(if gone { Loss::SessionOver } else { Loss::LeaseRanOut });
        }
        self.fate.lock().lost.is_none()
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

    /// Its owner has it now, and is to be told if it is lost; at once if it is lost already.
    pub(super) fn tell(&self, on_lost: OnLost) {
        let mut fate = self.fate.lock();
        match fate.lost {
            None => {
                fate.on_lost = Some(on_lost);
                drop(fate);
                // The keeper may sleep past the end of a lease that nobody was to be told of so far.
                self.urgent.notify_one();
            }
            Some(loss) => {
                let believed = self.lease_end(&fate);
                drop(fate);
                on_lost(loss, believed);
            }
        }
    }

    /// Its owner gives it up. Answers why it was lost, if it was lost before.
    pub(super) fn release(&self) -> Option<Loss> {
        let mut fate = self.fate.lock();
        fate.released = true;
        fate.on_lost = None;
        fate.lost
    }

    fn lose(&self, loss: Loss) {
        let (on_lost, believed) = {
            let mut fate = self.fate.lock();
            if fate.lost.is_some() || fate.released {
                return;
            }
            fate.lost = Some(loss);
            (fate.on_lost.take(), self.lease_end(&fate))
        };
        if let Some(on_lost) = on_lost {
            log::warn!("session {:#x}: lock {:?} is lost: {loss}", self.node.session, self.node.path);
            on_lost(loss, believed);
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
    /// Something is to be done before the keeper wakes by itself.
    urgent: Arc<Notify>,
    interval: Option<Duration>,
}

#[derive(Default)]
struct Nodes {
    kept: BTreeMap<u64, Arc<Kept>>,
    next: u64,
    running: bool,
    /// A renewal is wanted now.
    wanted: bool,
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

    /// Keeps a node whose creation was sent at `renewed`.
    pub(super) fn keep(
        self: &Arc<Self>,
        zk: &Arc<dyn Zk>,
        node: LockNode,
        renewed: Time,
        lease: Option<Duration>,
    ) -> Keeping {
        let mut state = self.state.lock();
        let lost = state.closed.then_some(Loss::ClientClosed);
        let fate = Fate { lost, renewed, watched_on: None, watching: false, released: false, on_lost: None };
        let kept = Arc::new(Kept {
            zk: Arc::clone(zk),
            node,
            lease,
            fate: Locked::new(fate),
            changed: Notify::new(),
            urgent: Arc::clone(&self.urgent),
        });
        let id = state.next;
        state.next += 1;
        state.kept.insert(id, Arc::clone(&kept));
        if !state.running {
            state.running = true;
            zk.spawn(Box::pin(Arc::clone(self).run(Arc::clone(zk))));
        } else if lease.is_some() {
            // Its interval may be shorter than what the keeper sleeps for.
            self.urgent.notify_one();
        }
        Keeping { keeper: Arc::clone(self), id, kept }
    }

    /// The client is about to end its session, and with it every lock: their holders hear of it before
    /// a server does, since the next one in line may have the lock before the client is closed.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        for (_, kept) in self.all() {
            kept.lose(Loss::ClientClosed);
        }
    }

    /// The node was read as ours on this connection, with this watch armed.
    pub(super) fn watched(self: &Arc<Self>, kept: &Arc<Kept>, connection: u64, watch: Watch) {
        {
            let mut fate = kept.fate.lock();
            fate.watched_on = Some(connection);
            if std::mem::replace(&mut fate.watching, true) {
                return;
            }
        }
        let weak = Arc::downgrade(kept);
        let urgent = Arc::clone(&self.urgent);
        kept.zk.spawn(Box::pin(async move {
            let event = watch.await;
            let Some(kept) = weak.upgrade() else { return };
            match event.kind {
                WatchEventKind::Node(EventType::Deleted) => kept.lose(Loss::NodeDeleted),
                // To be armed again.
                _ => {
                    let mut fate = kept.fate.lock();
                    fate.watched_on = None;
                    fate.watching = false;
                }
            }
            kept.changed.notify_waiters();
            urgent.notify_one();
        }));
    }

    /// Waits until a node is valid by a renewal or a proof of its session, or is lost.
    pub(super) async fn refresh(&self, kept: &Kept) -> Result<(), Loss> {
        loop {
            let changed = kept.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(loss) = kept.loss() {
                return Err(loss);
            }
            // With enough left to be of use.
            if kept.zk.now() + 4 * SLACK < kept.valid_until() {
                return Ok(());
            }
            self.state.lock().wanted = true;
            self.urgent.notify_one();
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
        while let Some(first_end) = self.expire(&zk) {
            let interval = self.interval(&zk);
            // Also what is wanted at once is not sent more often than it can help: a proof takes three
            // requests with the servers' pings between them.
            let wanted = self.state.lock().wanted;
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
                () = self.urgent.notified() => {}
                () = zk.sleep_until(wake) => {}
            }
        }
    }

    fn interval(&self, zk: &Arc<dyn Zk>) -> Duration {
        self.interval.unwrap_or_else(|| {
            let state = self.state.lock();
            let leases = state.kept.values().filter_map(|kept| kept.lease);
            leases.fold(zk.session().timeout, Duration::min) / 6
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
            let told = kept.fate.lock().on_lost.is_some() && !mutated(Mutant::LossNotTold);
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
                Some(event) if event.session != kept.node.session => kept.lose(Loss::SessionOver),
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
            .filter(|kept| kept.node.session == session && !kept.is_over())
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
        let frames: Vec<_> = frames(&nodes)
            .into_iter()
            .map(|frame| {
                let mut renewal = Request::Multi(frame.iter().map(check).collect());
                if mutated(Mutant::SyncProves) {
                    renewal = Request::Sync { path: "/".to_owned() };
                }
                (zk.submit(renewal, step(&zk, session)), frame)
            })
            .collect();
        for (kept, (read, watch)) in unwatched.iter().zip(reads) {
            match read.await {
                Ok(answer) => match answer.response {
                    Response::Data { stat, .. } if stat.czxid == kept.node.czxid => {
                        self.watched(kept, answer.connection, watch);
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
                    for kept in &frame {
                        let mut fate = kept.fate.lock();
                        if fate.lost.is_none() && (fate.watched_on == Some(answer.connection) || by_name) {
                            let renewed =
                                if mutated(Mutant::LeaseFromAnswer) { zk.now() } else { answer.sent_at };
                            fate.renewed = fate.renewed.max(renewed);
                        }
                    }
                }
                Some(at) => {
                    if let Some(kept) = frame.get(at) {
                        kept.lose(Loss::NodeDeleted);
                    }
                    // Nothing was committed for the others.
                    again = true;
                }
            }
        }
        again
    }
}

fn check(kept: &Arc<Kept>) -> MultiOp {
    MultiOp::Check { path: kept.node.path.clone(), version: -1 }
}

/// Cuts the nodes into frames of bounded size.
fn frames(nodes: &[Arc<Kept>]) -> Vec<Vec<Arc<Kept>>> {
    let mut frames: Vec<Vec<Arc<Kept>>> = Vec::new();
    let mut size = MAX_FRAME;
    for kept in nodes {
        let len = CHECK_LEN + kept.node.path.len();
        match frames.last_mut() {
            Some(frame) if size + len <= MAX_FRAME => frame.push(Arc::clone(kept)),
            _ => {
                frames.push(vec![Arc::clone(kept)]);
                size = 0;
            }
        }
        size += len;
    }
    frames
}
