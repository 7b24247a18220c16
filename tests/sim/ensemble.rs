//! A model of a ZooKeeper ensemble: a leader and followers that lag, writes committed by a quorum,
//! sessions kept by the leader. Each rule is Apache ZooKeeper's; the comments name the place.

use super::agenda::{Agenda, Event, MS, Micros};
use super::network::{Network, Way};
use super::tree::{Change, Happened, Tree, Txn, code, name, parent};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use zkhelper::proto::{
    ConnectRequest, ConnectResponse, FrameReader, MultiResult, Reader, ReplyHeader, Request, RequestHeader,
    Response, WatcherEvent, WatcherType, Writer, xid,
};

/// The session of those who are no client of ours: an administrator, other libraries.
pub const ADMIN: i64 = 0xad;

/// Where a write came in, and which it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    server: usize,
    conn: u64,
    seq: u64,
}

/// A transaction in a server's log.
#[derive(Debug, PartialEq, Eq)]
pub struct Logged {
    zxid: i64,
    session: i64,
    txn: Txn,
    origin: Option<Origin>,
}

/// What a server sends to another.
#[derive(Clone)]
pub enum Peer {
    Forward {
        origin: Origin,
        session: i64,
        request: Rc<Request>,
    },
    NewSession {
        origin: Origin,
        session: i64,
        timeout_ms: i32,
    },
    Propose(Rc<Logged>),
    Ack(usize),
    Commit(usize),
    Ping,
    /// With the sessions that were heard since the last one.
    Pong(Vec<(i64, i32)>),
    Revalidate {
        conn: u64,
        session: i64,
        timeout_ms: i32,
    },
    Revalidated {
        conn: u64,
        session: i64,
        valid: bool,
    },
    Sync {
        conn: u64,
        seq: u64,
    },
    Synced {
        conn: u64,
        seq: u64,
    },
}

enum Waiting {
    Read(Request),
    /// A write or a sync, with its answer once that has come.
    Away(Option<(i64, Result<Response, i32>)>),
}

struct Pending {
    seq: u64,
    xid: i32,
    op: i32,
    waiting: Waiting,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Handshake,
    /// The leader is asked, or a quorum, whether the session lives.
    Attaching,
    Up,
}

struct ServerConn {
    stage: Stage,
    session: i64,
    timeout_ms: i32,
    frames: FrameReader,
    queue: VecDeque<Pending>,
    next_seq: u64,
}

struct Tracked {
    timeout_ms: i32,
    expires: Micros,
    /// The server through which it came last.
    owner: Option<usize>,
    closing: bool,
}

struct Follower {
    join: u64,
    acked: usize,
    heard: Micros,
}

struct Lead {
    epoch: i64,
    counter: i64,
    /// The tree after all that is proposed.
    prepared: Tree,
    own_acked: usize,
    followers: BTreeMap<usize, Follower>,
    tracked: BTreeMap<i64, Tracked>,
    syncs: Vec<(usize, usize, u64, u64)>,
}

enum Role {
    Looking,
    Following { leader: usize, join: u64, heard: Micros },
    Leading(Box<Lead>),
}

pub struct Server {
    pub up: bool,
    pub frozen: bool,
    boot: u64,
    role: Role,
    log: Vec<Rc<Logged>>,
    applied: usize,
    tree: Tree,
    conns: BTreeMap<u64, ServerConn>,
    touched: BTreeMap<i64, i32>,
    data_watches: BTreeMap<String, BTreeSet<u64>>,
    child_watches: BTreeMap<String, BTreeSet<u64>>,
    disk_stalls_until: Micros,
    inbox: Vec<Event>,
    /// The last epoch whose leader it followed, or led.
    epoch: i64,
    /// How much slower its clock runs, in millionths.
    drift: i64,
    lag: Micros,
}

/// Something about a lock node that the checks want to know.
#[derive(Debug)]
pub enum Seen {
    /// A session deleted a node although it had been told that another session made the one there.
    DeletedThoughTold { session: i64, path: String },
    /// A session deleted a node of another session.
    DeletedForeign { session: i64, path: String },
    /// A node is gone: with its session, or by a deletion.
    Removed { czxid: i64, with_session: bool },
    /// Data that a lock guards were written, while the lowest contender for that lock was this one.
    Wrote { path: String, session: i64, before: Rc<[u8]>, after: Rc<[u8]>, lowest: Option<i64> },
}

pub struct Ensemble {
    pub servers: Vec<Server>,
    /// What the quorum has committed, whoever knows it by now.
    pub truth: Tree,
    truth_log: Vec<Rc<Logged>>,
    pub tick: Micros,
    sync_limit: u64,
    /// Servers that do not know `getEphemerals`.
    old: bool,
    next_session: i64,
    next_join: u64,
    next_boot: u64,
    epoch: i64,
    blocked: BTreeMap<(usize, usize), Micros>,
    last: BTreeMap<(usize, usize, bool), Micros>,
    electing: bool,
    /// What a session was last told about a path: czxid and owner.
    told: BTreeMap<(i64, String), (i64, i64)>,
    pub seen: Vec<Seen>,
    /// What each lock guards.
    guards: BTreeMap<String, String>,
    calm: bool,
}

impl Server {
    fn is_looking(&self) -> bool {
        matches!(self.role, Role::Looking)
    }

    fn last_zxid(&self) -> i64 {
        self.log.last().map_or(0, |logged| logged.zxid)
    }
}

impl Ensemble {
    pub fn new(agenda: &mut Agenda) -> Self {
        let count = match agenda.rng.u32(0..100) {
            0..20 => 1,
            20..95 => 3,
            _ => 5,
        };
        let tick = agenda.between(2, 5) * 100 * MS;
        let servers: Vec<_> = (0..count)
            .map(|index| Server {
                up: true,
                frozen: false,
                boot: index,
                role: Role::Looking,
                log: Vec::new(),
                applied: 0,
                tree: Tree::new(),
                conns: BTreeMap::new(),
                touched: BTreeMap::new(),
                data_watches: BTreeMap::new(),
                child_watches: BTreeMap::new(),
                disk_stalls_until: 0,
                inbox: Vec::new(),
                epoch: 0,
                drift: agenda.rng.i64(-5000..=5000),
                lag: *agenda.rng.choice(&[MS, 10 * MS, 200 * MS]).unwrap_or(&MS),
            })
            .collect();
        let this = Self {
            servers,
            truth: Tree::new(),
            truth_log: Vec::new(),
            tick,
            sync_limit: agenda.between(3, 6),
            old: agenda.chance(15),
            next_session: 1,
            next_join: 1,
            next_boot: count,
            epoch: 0,
            blocked: BTreeMap::new(),
            last: BTreeMap::new(),
            electing: false,
            told: BTreeMap::new(),
            seen: Vec::new(),
            guards: BTreeMap::new(),
            calm: false,
        };
        for server in 0..this.servers.len() {
            let boot = this.servers[server].boot;
            let at = agenda.between(1, tick / 2);
            agenda.at(at, Event::Tick { server, boot });
        }
        this
    }

    /// What lies there before anybody comes.
    pub fn plant(&mut self, plant: impl Fn(&mut Tree)) {
        plant(&mut self.truth);
        self.servers.iter_mut().for_each(|server| plant(&mut server.tree));
    }

    /// The data of a node that the lock on `lock` guards.
    pub fn guard(&mut self, path: String, lock: &str) {
        self.guards.insert(path, lock.to_owned());
    }

    pub fn quorum(&self) -> usize {
        self.servers.len() / 2 + 1
    }

    /// No faults from here on.
    pub fn calm(&mut self, agenda: &mut Agenda) {
        self.calm = true;
        self.blocked.clear();
        for server in &mut self.servers {
            server.disk_stalls_until = 0;
            server.lag = server.lag.min(10 * MS);
        }
        self.want_election(agenda);
    }

    // ---- between servers ----

    fn connected(&self, now: Micros, a: usize, b: usize) -> bool {
        let open = |a, b| self.blocked.get(&(a, b)).is_none_or(|until| *until <= now);
        open(a, b) && open(b, a)
    }

    pub fn block(&mut self, from: usize, to: usize, until: Micros) {
        let blocked = self.blocked.entry((from, to)).or_default();
        *blocked = (*blocked).max(until);
    }

    fn post(&mut self, agenda: &mut Agenda, from: usize, to: usize, join: u64, message: Peer) {
        let (is_ack, mut at) = match message {
            Peer::Ack(_) => (true, agenda.now.max(self.servers[from].disk_stalls_until)),
            _ => (false, agenda.now),
        };
        if from != to {
            let blocked = self.blocked.get(&(from, to)).copied().unwrap_or(0);
            let lag = self.servers[to].lag;
            let slowest = if agenda.chance(10) { lag } else { 2 * MS };
            at = at.max(blocked) + agenda.between(100, slowest);
        } else if is_ack {
            at += agenda.between(50, 3 * MS);
        }
        let last = self.last.entry((from, to, is_ack)).or_default();
        at = at.max(*last);
        *last = at;
        agenda.at(at, Event::Peer { from, to, join, message });
    }

    /// To the followers, with the join that each belongs to the leader by.
    fn post_all(&mut self, agenda: &mut Agenda, from: usize, message: &Peer) {
        let Role::Leading(lead) = &self.servers[from].role else { return };
        let followers: Vec<_> = lead.followers.iter().map(|(to, f)| (*to, f.join)).collect();
        for (to, join) in followers {
            self.post(agenda, from, to, join, message.clone());
        }
    }

    // ---- faults ----

    pub fn freeze(&mut self, agenda: &mut Agenda, server: usize, until: Micros) {
        let it = &mut self.servers[server];
        if it.up && !it.frozen {
            it.frozen = true;
            agenda.tell(|| format!("server {server} freezes"));
            agenda.at(until, Event::Thaw { server });
        }
    }

    pub fn thaw(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize) {
        if !std::mem::take(&mut self.servers[server].frozen) {
            return;
        }
        agenda.tell(|| format!("server {server} thaws"));
        for event in std::mem::take(&mut self.servers[server].inbox) {
            match event {
                // The thread that notices how much time has passed need not be the first to run.
                Event::Tick { .. } => {
                    let pause = agenda.between(0, self.tick / 2);
                    agenda.after(pause, event);
                }
                event => self.handle(agenda, net, event),
            }
        }
        self.want_election(agenda);
    }

    pub fn kill(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize, until: Micros) {
        if !self.servers[server].up {
            return;
        }
        agenda.tell(|| format!("server {server} dies"));
        self.look(agenda, net, server);
        let it = &mut self.servers[server];
        it.up = false;
        it.frozen = false;
        it.inbox.clear();
        agenda.at(until, Event::Restart { server });
    }

    pub fn restart(&mut self, agenda: &mut Agenda, server: usize) {
        if self.servers[server].up {
            return;
        }
        agenda.tell(|| format!("server {server} starts"));
        self.servers[server].up = true;
        self.servers[server].boot = self.next_boot;
        self.next_boot += 1;
        let boot = self.servers[server].boot;
        agenda.after(self.tick / 2, Event::Tick { server, boot });
        self.want_election(agenda);
    }

    pub fn stall_disk(&mut self, server: usize, until: Micros) {
        self.servers[server].disk_stalls_until = until;
    }

    // ---- leadership ----

    /// The server knows no leader: its clients are sent away.
    fn look(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize) {
        if !self.servers[server].is_looking() {
            agenda.tell(|| format!("server {server} looks for a leader"));
        }
        let it = &mut self.servers[server];
        it.role = Role::Looking;
        it.touched.clear();
        let conns: Vec<_> = it.conns.keys().copied().collect();
        for conn in conns {
            self.close(agenda, net, server, conn);
        }
        self.want_election(agenda);
    }

    fn want_election(&mut self, agenda: &mut Agenda) {
        if !std::mem::replace(&mut self.electing, true) {
            let pause = agenda.between(20 * MS, 200 * MS);
            agenda.after(pause, Event::Elect);
        }
    }

    /// Fast leader election and the synchronisation after it, in one step.
    pub fn elect(&mut self, agenda: &mut Agenda) {
        self.electing = false;
        let now = agenda.now;
        let free: Vec<_> = (0..self.servers.len())
            .filter(|&s| self.servers[s].up && !self.servers[s].frozen && self.servers[s].is_looking())
            .collect();
        if free.is_empty() {
            return;
        }
        for &server in &free {
            let leader = (0..self.servers.len()).find(|&l| {
                let it = &self.servers[l];
                let leads = matches!(&it.role, Role::Leading(lead) if lead.epoch == self.epoch);
                leads && it.up && !it.frozen && self.connected(now, server, l)
            });
            if let Some(leader) = leader {
                self.join(agenda, server, leader);
            }
        }
        let free: Vec<_> = free.into_iter().filter(|&s| self.servers[s].is_looking()).collect();
        let best = free
            .iter()
            .copied()
            .filter(|&s| {
                1 + free.iter().filter(|&&o| o != s && self.connected(now, s, o)).count() >= self.quorum()
            })
            // A log of a later epoch wins over a longer one of an earlier epoch.
            .max_by_key(|&s| (self.servers[s].epoch, self.servers[s].last_zxid(), s));
        if let Some(leader) = best {
            self.crown(agenda, leader, &free);
        }
        if self.servers.iter().any(|s| s.up && !s.frozen && s.is_looking()) {
            self.want_election(agenda);
        }
    }

    fn crown(&mut self, agenda: &mut Agenda, leader: usize, free: &[usize]) {
        self.epoch += 1;
        let epoch = self.epoch;
        agenda.tell(|| format!("server {leader} leads, epoch {epoch}"));
        self.next_join += 1;
        let it = &mut self.servers[leader];
        it.epoch = epoch;
        it.role = Role::Leading(Box::new(Lead {
            epoch,
            counter: 0,
            prepared: it.tree.clone(),
            own_acked: it.log.len(),
            followers: BTreeMap::new(),
            tracked: BTreeMap::new(),
            syncs: Vec::new(),
        }));
        let log = it.log.clone();
        // The new leader's whole log is committed once a quorum has it.
        for logged in log.iter().skip(it.applied) {
            let _ = it.tree.apply(logged.zxid, logged.session, &logged.txn);
        }
        it.applied = log.len();
        it.tree.zxid = it.tree.zxid.max(epoch << 32);
        self.commit_truth(agenda, &log, log.len());
        let it = &mut self.servers[leader];
        let sessions: Vec<_> = it.tree.sessions.iter().map(|(id, timeout)| (*id, *timeout)).collect();
        let expiries: Vec<_> =
            sessions.iter().map(|(_, timeout)| bucket(agenda.now, *timeout, self.tick, it.drift)).collect();
        if let Role::Leading(lead) = &mut it.role {
            lead.prepared = it.tree.clone();
            // SessionTrackerImpl: every session's clock begins anew, with the timeout of its creation.
            for ((id, timeout_ms), expires) in sessions.into_iter().zip(expires_of(expiries)) {
                lead.tracked.insert(id, Tracked { timeout_ms, expires, owner: None, closing: false });
            }
        }
        for &server in free {
            if server != leader && self.connected(agenda.now, server, leader) {
                self.join(agenda, server, leader);
            }
        }
    }

    /// A server follows a leader, with the leader's log in place of its own.
    fn join(&mut self, agenda: &mut Agenda, server: usize, leader: usize) {
        agenda.tell(|| format!("server {server} follows {leader}"));
        let join = self.next_join;
        self.next_join += 1;
        let (log, applied, epoch) = {
            let it = &self.servers[leader];
            let Role::Leading(lead) = &it.role else { return };
            (it.log.clone(), it.applied, lead.epoch)
        };
        let it = &mut self.servers[server];
        it.epoch = epoch;
        it.role = Role::Following { leader, join, heard: agenda.now };
        for logged in log.iter().take(applied).skip(it.applied) {
            let _ = it.tree.apply(logged.zxid, logged.session, &logged.txn);
        }
        it.applied = it.applied.max(applied);
        it.tree.zxid = it.tree.zxid.max(epoch << 32);
        let acked = log.len();
        it.log = log;
        if let Role::Leading(lead) = &mut self.servers[leader].role {
            lead.followers.insert(server, Follower { join, acked: 0, heard: agenda.now });
        }
        // What was in flight on an earlier link is gone.
        self.post(agenda, server, leader, join, Peer::Ack(acked));
    }

    fn commit_truth(&mut self, agenda: &mut Agenda, log: &[Rc<Logged>], len: usize) {
        for (at, logged) in log.iter().enumerate().take(len).skip(self.truth_log.len().min(len)) {
            assert_eq!(at, self.truth_log.len());
            if let Txn::One(Change::Delete { path }) = &logged.txn
                && logged.session != ADMIN
                && !self.is_lock(path)
                && self.truth.nodes.get(path).is_some_and(|node| node.owner != logged.session)
                && !self.is_persistent_lock(path)
            {
                self.seen.push(Seen::DeletedForeign { session: logged.session, path: path.clone() });
            }
            self.see(logged);
            let _ = self.truth.apply(logged.zxid, logged.session, &logged.txn);
            self.truth_log.push(Rc::clone(logged));
            agenda.mix(logged.zxid as u64);
            agenda.tell(|| {
                format!(
                    "commit {:x} of {}: {}",
                    logged.zxid,
                    session_name(logged.session),
                    describe(&logged.txn)
                )
            });
        }
        if let (Some(a), Some(b)) = (log.get(len.wrapping_sub(1)), self.truth_log.get(len.wrapping_sub(1))) {
            assert!(Rc::ptr_eq(a, b), "the model commits two histories");
        }
    }

    /// A persistent lock node of ours: no session owns it, and each may delete it whose client made it.
    fn is_persistent_lock(&self, path: &str) -> bool {
        path.rsplit('/').next().is_some_and(|name| name.starts_with("lock-"))
            && self.truth.nodes.get(path).is_some_and(|node| node.owner == 0)
    }

    /// Whether it is a lock's path, which belongs to all.
    fn is_lock(&self, path: &str) -> bool {
        self.guards.values().any(|lock| lock == path)
    }

    /// What of a transaction about to be committed the checks want to know.
    fn see(&mut self, logged: &Logged) {
        let one;
        let changes = match &logged.txn {
            Txn::One(change) => {
                one = [change.clone()];
                &one[..]
            }
            Txn::Multi(changes) => changes,
            Txn::CloseSession => {
                let locks = self.truth.ephemerals(logged.session).filter(|path| !is_companion(path));
                let owned = locks.map(|path| self.truth.nodes[path].czxid);
                self.seen.extend(owned.map(|czxid| Seen::Removed { czxid, with_session: true }));
                return;
            }
            Txn::Error(_) | Txn::CreateSession { .. } => return,
        };
        for change in changes {
            match change {
                Change::Delete { path } if !is_companion(path) => {
                    if let Some(node) = self.truth.nodes.get(path) {
                        self.seen.push(Seen::Removed { czxid: node.czxid, with_session: false });
                    }
                }
                Change::Set { path, data, .. } | Change::Create { path, data, .. } => {
                    if let Some(lock) = self.guards.get(path) {
                        let before =
                            self.truth.nodes.get(path).map_or_else(|| Rc::from([]), |n| Rc::clone(&n.data));
                        let lowest = self.contenders(lock).first().map(|found| found.2);
                        let (path, after) = (path.clone(), Rc::clone(data));
                        self.seen.push(Seen::Wrote { path, session: logged.session, before, after, lowest });
                    }
                }
                _ => {}
            }
        }
    }

    /// The leader of the last election, if it is up and runs.
    pub fn leader(&self) -> Option<usize> {
        (0..self.servers.len()).find(|&s| {
            let it = &self.servers[s];
            it.up && !it.frozen && matches!(&it.role, Role::Leading(lead) if lead.epoch == self.epoch)
        })
    }

    /// A leader that was deposed and does not know it yet: it may be frozen.
    pub fn deposed(&self) -> Option<usize> {
        (0..self.servers.len()).find(|&s| {
            let it = &self.servers[s];
            it.up && matches!(&it.role, Role::Leading(lead) if lead.epoch < self.epoch)
        })
    }

    /// How long a follower bears its leader's silence.
    pub fn silence(&self) -> Micros {
        self.tick * self.sync_limit
    }

    fn tick(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize) {
        let boot = self.servers[server].boot;
        let silence = self.tick * self.sync_limit;
        let now = agenda.now;
        agenda.after(self.tick / 2, Event::Tick { server, boot });
        let quorum = self.quorum();
        let mut lonely = false;
        let mut due = Vec::new();
        match &mut self.servers[server].role {
            Role::Looking => {}
            Role::Following { heard, .. } => lonely = now - *heard > silence,
            Role::Leading(lead) => {
                // Leader.lead looks once in a tick, and a learner is given that long more.
                let silence = silence + self.tick;
                let heard = lead.followers.values().filter(|f| now - f.heard <= silence).count();
                lonely = heard + 1 < quorum;
                if !lonely {
                    for (session, tracked) in &mut lead.tracked {
                        if !tracked.closing && tracked.expires <= now {
                            tracked.closing = true;
                            due.push(*session);
                        }
                    }
                }
            }
        }
        if lonely {
            self.look(agenda, net, server);
            return;
        }
        for session in due {
            agenda.tell(|| format!("server {server} expires {}", session_name(session)));
            self.propose(agenda, server, None, session, Txn::CloseSession);
        }
        self.post_all(agenda, server, &Peer::Ping);
    }

    // ---- events ----

    pub fn handle(&mut self, agenda: &mut Agenda, net: &mut Network, event: Event) {
        let server = match &event {
            Event::Peer { to, .. } => *to,
            Event::Tick { server, .. } => *server,
            Event::ToServer { conn, .. } | Event::ServerSeesEnd { conn } => match net.conns.get(conn) {
                Some(conn) => conn.server,
                None => return,
            },
            _ => return,
        };
        let it = &mut self.servers[server];
        if !it.up {
            return;
        }
        if it.frozen {
            it.inbox.push(event);
            return;
        }
        match event {
            Event::Tick { boot, .. } if boot == it.boot => self.tick(agenda, net, server),
            Event::Peer { from, join, message, .. } => self.peer(agenda, net, server, from, join, message),
            Event::ToServer { conn, bytes } => self.received(agenda, net, server, conn, &bytes),
            Event::ServerSeesEnd { conn } => {
                self.forget(server, conn);
                if let Some(c) = net.conns.get_mut(&conn) {
                    c.server_open = false;
                }
                net.sweep(conn);
            }
            _ => {}
        }
    }

    fn peer(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        from: usize,
        join: u64,
        message: Peer,
    ) {
        let now = agenda.now;
        match &mut self.servers[server].role {
            Role::Looking => return,
            Role::Following { leader, join: mine, heard } => {
                if *leader != from || *mine != join {
                    return;
                }
                *heard = now;
            }
            Role::Leading(lead) => {
                if from != server {
                    match lead.followers.get_mut(&from) {
                        Some(follower) if follower.join == join => follower.heard = now,
                        _ => return,
                    }
                } else if join != lead.epoch as u64 {
                    return;
                }
            }
        }
        match message {
            Peer::Forward { origin, session, request } => {
                self.write(agenda, server, origin, session, &request);
            }
            Peer::NewSession { origin, session, timeout_ms } => {
                self.new_session(agenda, server, origin, session, timeout_ms);
            }
            Peer::Propose(logged) => {
                self.servers[server].log.push(logged);
                let len = self.servers[server].log.len();
                self.post(agenda, server, from, join, Peer::Ack(len));
            }
            Peer::Ack(len) => self.acked(agenda, net, server, from, len),
            Peer::Commit(len) => self.apply(agenda, net, server, len),
            Peer::Ping => {
                let touched = std::mem::take(&mut self.servers[server].touched);
                self.post(agenda, server, from, join, Peer::Pong(touched.into_iter().collect()));
            }
            Peer::Pong(touched) => {
                for (session, timeout_ms) in touched {
                    self.touch(now, server, session, timeout_ms);
                }
            }
            Peer::Revalidate { conn, session, timeout_ms } => {
                // LearnerHandler: touches the session, and makes that follower its owner.
                let valid = self.touch(now, server, session, timeout_ms);
                if valid {
                    self.own(server, session, from);
                }
                self.post(agenda, server, from, join, Peer::Revalidated { conn, session, valid });
            }
            Peer::Revalidated { conn, session, valid } => {
                self.attached(agenda, net, server, conn, session, valid);
            }
            Peer::Sync { conn, seq } => self.sync(agenda, net, server, from, conn, seq),
            Peer::Synced { conn, seq } => {
                let zxid = self.servers[server].tree.zxid;
                self.complete(agenda, net, server, conn, seq, (zxid, Ok(Response::Path("/".to_owned()))));
            }
        }
    }

    // ---- the leader ----

    fn lead(&mut self, server: usize) -> Option<&mut Lead> {
        match &mut self.servers[server].role {
            Role::Leading(lead) => Some(lead),
            _ => None,
        }
    }

    fn touch(&mut self, now: Micros, server: usize, session: i64, timeout_ms: i32) -> bool {
        let (tick, drift) = (self.tick, self.servers[server].drift);
        match self.lead(server).and_then(|lead| lead.tracked.get_mut(&session)) {
            Some(tracked) if !tracked.closing => {
                tracked.timeout_ms = timeout_ms;
                tracked.expires = bucket(now, timeout_ms, tick, drift);
                true
            }
            _ => false,
        }
    }

    fn own(&mut self, server: usize, session: i64, owner: usize) {
        if let Some(tracked) = self.lead(server).and_then(|lead| lead.tracked.get_mut(&session)) {
            tracked.owner = Some(owner);
        }
    }

    fn new_session(
        &mut self,
        agenda: &mut Agenda,
        server: usize,
        origin: Origin,
        session: i64,
        timeout_ms: i32,
    ) {
        let expires = bucket(agenda.now, timeout_ms, self.tick, self.servers[server].drift);
        if let Some(lead) = self.lead(server) {
            let owner = Some(origin.server);
            lead.tracked.insert(session, Tracked { timeout_ms, expires, owner, closing: false });
            self.propose(agenda, server, Some(origin), session, Txn::CreateSession { timeout_ms });
        }
    }

    /// PrepRequestProcessor: decides on a write, against everything that is proposed already.
    fn write(&mut self, agenda: &mut Agenda, server: usize, origin: Origin, session: i64, request: &Request) {
        let epoch = self.epoch;
        let Some(lead) = self.lead(server) else { return };
        // What a deposed leader proposes is committed by nobody.
        let counts = lead.epoch == epoch;
        let refused = match lead.tracked.get_mut(&session) {
            _ if session == ADMIN => None,
            None => Some(code::SESSION_EXPIRED),
            Some(tracked) if tracked.closing => Some(code::SESSION_EXPIRED),
            Some(tracked) => match tracked.owner {
                Some(owner) if owner != origin.server => Some(code::SESSION_MOVED),
                _ => {
                    tracked.owner = Some(origin.server);
                    None
                }
            },
        };
        let txn = lead.prepared.transaction(session, request, refused);
        let one_of_others = |path: &String| {
            let told = self.told.get(&(session, path.clone()));
            // A late copy from an earlier connection is refused, and proves nothing. A persistent node has no
            // owner among the sessions.
            let another = |owner: i64| owner != session && owner != 0;
            counts && refused.is_none() && told.is_some_and(|(_, owner)| another(*owner))
        };
        if let Request::Delete { path, .. } = request
            && one_of_others(path)
            && !self.is_lock(path)
            && !self.is_persistent_lock(path)
        {
            self.seen.push(Seen::DeletedThoughTold { session, path: path.clone() });
        }
        if txn == Txn::CloseSession
            && let Some(tracked) = self.lead(server).and_then(|lead| lead.tracked.get_mut(&session))
        {
            tracked.closing = true;
        }
        self.propose(agenda, server, Some(origin), session, txn);
    }

    fn propose(
        &mut self,
        agenda: &mut Agenda,
        server: usize,
        origin: Option<Origin>,
        session: i64,
        txn: Txn,
    ) {
        let Some(lead) = self.lead(server) else { return };
        lead.counter += 1;
        let zxid = lead.epoch << 32 | lead.counter;
        let _ = lead.prepared.apply(zxid, session, &txn);
        let epoch = lead.epoch as u64;
        let logged = Rc::new(Logged { zxid, session, txn, origin });
        self.servers[server].log.push(Rc::clone(&logged));
        let len = self.servers[server].log.len();
        self.post_all(agenda, server, &Peer::Propose(logged));
        self.post(agenda, server, server, epoch, Peer::Ack(len));
    }

    fn acked(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize, from: usize, len: usize) {
        let quorum = self.quorum();
        let Some(lead) = self.lead(server) else { return };
        if from == server {
            lead.own_acked = lead.own_acked.max(len);
        } else if let Some(follower) = lead.followers.get_mut(&from) {
            follower.acked = follower.acked.max(len);
        }
        let mut acked: Vec<_> = lead.followers.values().map(|f| f.acked).chain([lead.own_acked]).collect();
        acked.sort_unstable_by(|a, b| b.cmp(a));
        let committed = acked.get(quorum - 1).copied().unwrap_or(0);
        if committed <= self.servers[server].applied {
            return;
        }
        let log = self.servers[server].log.clone();
        self.commit_truth(agenda, &log, committed);
        self.post_all(agenda, server, &Peer::Commit(committed));
        self.apply(agenda, net, server, committed);
        let Some(lead) = self.lead(server) else { return };
        let (due, rest) = std::mem::take(&mut lead.syncs).into_iter().partition(|sync| sync.0 <= committed);
        lead.syncs = rest;
        let due: Vec<(usize, usize, u64, u64)> = due;
        for (_, to, conn, seq) in due {
            self.synced(agenda, net, server, to, conn, seq);
        }
    }

    /// Leader.processSync: answered at once if nothing is proposed, whoever leads by now.
    fn sync(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        from: usize,
        conn: u64,
        seq: u64,
    ) {
        let (len, applied) = (self.servers[server].log.len(), self.servers[server].applied);
        if applied >= len {
            self.synced(agenda, net, server, from, conn, seq);
        } else if let Some(lead) = self.lead(server) {
            lead.syncs.push((len, from, conn, seq));
        }
    }

    fn synced(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        to: usize,
        conn: u64,
        seq: u64,
    ) {
        if to == server {
            let zxid = self.servers[server].tree.zxid;
            self.complete(agenda, net, server, conn, seq, (zxid, Ok(Response::Path("/".to_owned()))));
        } else if let Some(join) = self.lead(server).and_then(|l| l.followers.get(&to)).map(|f| f.join) {
            self.post(agenda, server, to, join, Peer::Synced { conn, seq });
        }
    }

    // ---- every server ----

    fn apply(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize, upto: usize) {
        while self.servers[server].applied < upto {
            let it = &mut self.servers[server];
            let Some(logged) = it.log.get(it.applied).cloned() else { return };
            it.applied += 1;
            let (happened, response) = it.tree.apply(logged.zxid, logged.session, &logged.txn);
            for (path, what) in happened {
                self.fire(agenda, net, server, &path, what);
            }
            if logged.txn == Txn::CloseSession
                && let Some(lead) = self.lead(server)
            {
                lead.tracked.remove(&logged.session);
            }
            if let Some(origin) = logged.origin.filter(|origin| origin.server == server) {
                match &logged.txn {
                    Txn::CreateSession { .. } => {
                        self.attached(agenda, net, server, origin.conn, logged.session, true);
                    }
                    _ => {
                        self.complete(agenda, net, server, origin.conn, origin.seq, (logged.zxid, response));
                    }
                }
            }
            if logged.txn == Txn::CloseSession {
                let it = &self.servers[server];
                let gone: Vec<_> = it
                    .conns
                    .iter()
                    .filter(|(_, conn)| conn.session == logged.session)
                    .map(|(id, _)| *id)
                    .collect();
                for conn in gone {
                    self.close(agenda, net, server, conn);
                }
            }
        }
    }

    fn fire(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize, path: &str, what: Happened) {
        let it = &mut self.servers[server];
        let kind = match what {
            Happened::Created => 1,
            Happened::Deleted => 2,
            Happened::Changed => 3,
        };
        let mut told = it.data_watches.remove(path).unwrap_or_default();
        if what == Happened::Deleted {
            // WatchManager: a connection that watches both is told once.
            told.extend(it.child_watches.remove(path).unwrap_or_default());
        }
        let above = match what {
            Happened::Changed => BTreeSet::new(),
            _ => it.child_watches.remove(parent(path)).unwrap_or_default(),
        };
        for conn in told {
            notify(agenda, net, conn, kind, path);
        }
        for conn in above {
            notify(agenda, net, conn, 4, parent(path));
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn complete(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        id: u64,
        seq: u64,
        answer: (i64, Result<Response, i32>),
    ) {
        let Some(conn) = self.servers[server].conns.get_mut(&id) else { return };
        if let Some(pending) = conn.queue.iter_mut().find(|pending| pending.seq == seq) {
            pending.waiting = Waiting::Away(Some(answer));
        }
        self.advance(agenda, net, server, id);
    }

    /// CommitProcessor: the answers of one session in the order of its requests.
    fn advance(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize, id: u64) {
        loop {
            let it = &mut self.servers[server];
            let Some(conn) = it.conns.get_mut(&id) else { return };
            match conn.queue.front() {
                None | Some(Pending { waiting: Waiting::Away(None), .. }) => return,
                Some(_) => {}
            }
            let Some(pending) = conn.queue.pop_front() else { return };
            let (session, op, xid) = (conn.session, pending.op, pending.xid);
            let (zxid, outcome) = match pending.waiting {
                Waiting::Away(Some(answer)) => answer,
                Waiting::Away(None) => return,
                Waiting::Read(request) => {
                    let outcome = self.read(agenda, net, server, id, session, &request);
                    (self.servers[server].tree.zxid, outcome)
                }
            };
            let moved = |result: &MultiResult| result.err() == code::SESSION_MOVED;
            let in_multi = matches!(&outcome, Ok(Response::Multi(results)) if results.iter().any(moved));
            if in_multi || outcome == Err(code::SESSION_MOVED) {
                // FinalRequestProcessor: an error of the connection.
                agenda.tell(|| format!("server {server}: {} has moved", session_name(session)));
                self.close(agenda, net, server, id);
                return;
            }
            if let Ok(Response::Create2 { path, stat }) = &outcome {
                self.told.insert((session, path.clone()), (stat.czxid, stat.ephemeral_owner));
            }
            let err = outcome.as_ref().err().copied().unwrap_or(0);
            reply(agenda, net, id, ReplyHeader { xid, zxid, err }, outcome.ok());
            if op == zxid_close() && err == 0 {
                self.close(agenda, net, server, id);
                return;
            }
        }
    }

    fn read(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        id: u64,
        session: i64,
        request: &Request,
    ) -> Result<Response, i32> {
        let old = self.old;
        let it = &mut self.servers[server];
        match request {
            Request::Ping | Request::Auth { .. } => Ok(Response::Empty),
            Request::Exists { path, watch } | Request::GetData { path, watch } => {
                let exists = matches!(request, Request::Exists { .. });
                let node = it.tree.nodes.get(path);
                if *watch && (exists || node.is_some()) {
                    it.data_watches.entry(path.clone()).or_default().insert(id);
                }
                let Some(node) = node else {
                    self.told.remove(&(session, path.clone()));
                    return Err(code::NO_NODE);
                };
                let (stat, data) = (node.stat(), node.data.to_vec());
                // Whoever asks whether it exists wants to know whose it is.
                if exists || stat.ephemeral_owner == session {
                    self.told.insert((session, path.clone()), (stat.czxid, stat.ephemeral_owner));
                }
                Ok(if exists { Response::Stat(stat) } else { Response::Data { data, stat } })
            }
            Request::GetChildren { path, watch } | Request::GetChildren2 { path, watch } => {
                let node = it.tree.nodes.get(path).ok_or(code::NO_NODE)?;
                if *watch {
                    it.child_watches.entry(path.clone()).or_default().insert(id);
                }
                let stat = node.stat();
                let mut children: Vec<_> = node.children.iter().cloned().collect();
                // In no order.
                agenda.rng.shuffle(&mut children);
                Ok(match request {
                    Request::GetChildren { .. } => Response::Children { children },
                    _ => Response::Children2 { children, stat },
                })
            }
            Request::GetEphemerals { prefix } if !old => Ok(Response::Ephemerals(
                it.tree.ephemerals(session).filter(|path| path.starts_with(prefix)).cloned().collect(),
            )),
            Request::SetWatches { relative_zxid, data, exist, child } => {
                let mut events = Vec::new();
                for path in data {
                    match it.tree.nodes.get(path) {
                        None => events.push((2, path)),
                        Some(node) if node.mzxid > *relative_zxid => events.push((3, path)),
                        Some(_) => {
                            it.data_watches.entry(path.clone()).or_default().insert(id);
                        }
                    }
                }
                for path in exist {
                    if it.tree.nodes.contains_key(path) {
                        events.push((1, path));
                    } else {
                        it.data_watches.entry(path.clone()).or_default().insert(id);
                    }
                }
                for path in child {
                    match it.tree.nodes.get(path) {
                        None => events.push((2, path)),
                        Some(node) if node.pzxid > *relative_zxid => events.push((4, path)),
                        Some(_) => {
                            it.child_watches.entry(path.clone()).or_default().insert(id);
                        }
                    }
                }
                for (kind, path) in events {
                    notify(agenda, net, id, kind, path);
                }
                Ok(Response::Empty)
            }
            Request::RemoveWatches { path, kind } => {
                let mut found = false;
                let mut remove = |watches: &mut BTreeMap<String, BTreeSet<u64>>| {
                    if let Some(conns) = watches.get_mut(path) {
                        found |= conns.remove(&id);
                    }
                };
                if *kind != WatcherType::Children {
                    remove(&mut it.data_watches);
                }
                if *kind != WatcherType::Data {
                    remove(&mut it.child_watches);
                }
                if found { Ok(Response::Empty) } else { Err(code::NO_WATCHER) }
            }
            _ => Err(code::UNIMPLEMENTED),
        }
    }

    // ---- clients ----

    /// Whether it talks to clients at all.
    pub fn accepts(&self, server: usize) -> bool {
        self.servers[server].up
    }

    fn forget(&mut self, server: usize, id: u64) {
        let it = &mut self.servers[server];
        if it.conns.remove(&id).is_some() {
            for watches in [&mut it.data_watches, &mut it.child_watches] {
                watches.retain(|_, conns| {
                    conns.remove(&id);
                    !conns.is_empty()
                });
            }
        }
    }

    fn close(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize, id: u64) {
        self.forget(server, id);
        if let Some(conn) = net.conns.get_mut(&id)
            && std::mem::take(&mut conn.server_open)
        {
            net.end_at_client(agenda, id);
        }
    }

    fn received(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize, id: u64, bytes: &[u8]) {
        if !net.conns.get(&id).is_some_and(|conn| conn.server_open) {
            return;
        }
        if self.servers[server].is_looking() {
            self.close(agenda, net, server, id);
            return;
        }
        let conn = self.servers[server].conns.entry(id).or_insert_with(|| ServerConn {
            stage: Stage::Handshake,
            session: 0,
            timeout_ms: 0,
            frames: FrameReader::new(1 << 20),
            queue: VecDeque::new(),
            next_seq: 0,
        });
        conn.frames.push(bytes);
        loop {
            let Some(conn) = self.servers[server].conns.get_mut(&id) else { return };
            let frame = match conn.frames.next_frame() {
                Ok(Some(frame)) => frame.to_vec(),
                _ => return,
            };
            match conn.stage {
                Stage::Handshake => self.attach(agenda, net, server, id, &frame),
                Stage::Attaching => {
                    let what = format!("connection {id}: a request before the handshake was answered");
                    agenda.violate("session", what);
                }
                Stage::Up => self.request(agenda, net, server, id, &frame),
            }
        }
    }

    /// ZooKeeperServer.processConnectRequest.
    fn attach(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize, id: u64, frame: &[u8]) {
        let request = ConnectRequest::decode(&mut Reader::new(frame)).expect("a connect request");
        let session = request.session_id;
        if request.last_zxid_seen > self.servers[server].tree.zxid {
            agenda.tell(|| format!("server {server} is behind {}, refuses", session_name(session)));
            self.close(agenda, net, server, id);
            return;
        }
        let tick_ms = i32::try_from(self.tick / MS).expect("small");
        let timeout_ms = request.timeout_ms.clamp(2 * tick_ms, 20 * tick_ms);
        if session != 0 {
            // The same session's earlier connection to this server is closed.
            let it = &self.servers[server];
            let earlier: Vec<_> =
                it.conns.iter().filter(|(_, c)| c.session == session).map(|(id, _)| *id).collect();
            for conn in earlier {
                self.close(agenda, net, server, conn);
            }
        }
        let fresh = (i64::try_from(server).expect("small") + 1) << 56 | self.next_session;
        let it = &mut self.servers[server];
        let Some(conn) = it.conns.get_mut(&id) else { return };
        conn.stage = Stage::Attaching;
        conn.timeout_ms = timeout_ms;
        conn.session = if session == 0 { fresh } else { session };
        let origin = Origin { server, conn: id, seq: 0 };
        match it.role {
            Role::Looking => {}
            Role::Following { leader, join, .. } => {
                let message = if session == 0 {
                    self.next_session += 1;
                    Peer::NewSession { origin, session: fresh, timeout_ms }
                } else {
                    Peer::Revalidate { conn: id, session, timeout_ms }
                };
                self.post(agenda, server, leader, join, message);
            }
            Role::Leading(_) => {
                if session == 0 {
                    self.next_session += 1;
                    self.new_session(agenda, server, origin, fresh, timeout_ms);
                } else {
                    let valid = self.touch(agenda.now, server, session, timeout_ms);
                    if valid {
                        self.own(server, session, server);
                    }
                    self.attached(agenda, net, server, id, session, valid);
                }
            }
        }
    }

    /// ZooKeeperServer.finishSessionInit.
    fn attached(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        id: u64,
        session: i64,
        valid: bool,
    ) {
        let Some(conn) = self.servers[server].conns.get_mut(&id) else { return };
        if conn.stage != Stage::Attaching || conn.session != session {
            return;
        }
        conn.stage = Stage::Up;
        let timeout_ms = if valid { conn.timeout_ms } else { 0 };
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms,
            session_id: if valid { session } else { 0 },
            password: vec![7; 16],
            read_only: false,
        };
        agenda.tell(|| {
            let what = if valid { "attached" } else { "refused: expired" };
            format!("server {server}: {} {what} (connection {id})", session_name(session))
        });
        let mut writer = Writer::new();
        writer.frame(|w| response.encode(w));
        net.send(agenda, id, Way::ToClient, &writer.into_bytes());
        if valid {
            self.servers[server].touched.insert(session, timeout_ms);
        } else {
            self.close(agenda, net, server, id);
        }
    }

    fn request(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize, id: u64, frame: &[u8]) {
        let mut reader = Reader::new(frame);
        let header = RequestHeader::decode(&mut reader).expect("a request");
        let request =
            Request::decode(header.op, &mut reader).expect("a request").expect("one that we send ourselves");
        let it = &mut self.servers[server];
        let leads = matches!(it.role, Role::Leading(_));
        let Some(conn) = it.conns.get_mut(&id) else { return };
        let (session, timeout_ms) = (conn.session, conn.timeout_ms);
        agenda.tell(|| format!("server {server} < {}: {}", session_name(session), show(&request)));
        if leads {
            // ZooKeeperServer.submitRequestNow: dropped without a word if the session is over.
            if !self.touch(agenda.now, server, session, timeout_ms) {
                return;
            }
        } else {
            it.touched.insert(session, timeout_ms);
        }
        let it = &mut self.servers[server];
        let Some(conn) = it.conns.get_mut(&id) else { return };
        let seq = conn.next_seq;
        conn.next_seq += 1;
        let is_sync = matches!(request, Request::Sync { .. });
        let away = request.is_write() || is_sync;
        let request = Rc::new(request);
        let waiting = if away { Waiting::Away(None) } else { Waiting::Read((*request).clone()) };
        conn.queue.push_back(Pending { seq, xid: header.xid, op: header.op, waiting });
        if !away {
            self.advance(agenda, net, server, id);
            return;
        }
        let origin = Origin { server, conn: id, seq };
        match it.role {
            Role::Following { leader, join, .. } => {
                let message = if is_sync {
                    Peer::Sync { conn: id, seq }
                } else {
                    Peer::Forward { origin, session, request }
                };
                self.post(agenda, server, leader, join, message);
            }
            Role::Leading(_) if is_sync => self.sync(agenda, net, server, server, id, seq),
            Role::Leading(_) => self.write(agenda, server, origin, session, &request),
            Role::Looking => {}
        }
    }

    /// The sessions that the leader has not begun to end.
    pub fn sessions(&self) -> Vec<i64> {
        let lead = self.leader().map(|leader| &self.servers[leader].role);
        let Some(Role::Leading(lead)) = lead else { return Vec::new() };
        lead.tracked.iter().filter(|(_, t)| !t.closing).map(|(id, _)| *id).collect()
    }

    /// The leader ends a session whose time is not over: its clock jumped, or an administrator asked it to.
    pub fn expire(&mut self, agenda: &mut Agenda, session: i64) {
        let Some(server) = self.leader() else { return };
        let Some(tracked) = self.lead(server).and_then(|lead| lead.tracked.get_mut(&session)) else { return };
        if !std::mem::replace(&mut tracked.closing, true) {
            agenda.tell(|| format!("server {server} ends {} before its time", session_name(session)));
            self.propose(agenda, server, None, session, Txn::CloseSession);
        }
    }

    /// The session that came by this connection, as its server knows it.
    pub fn session_of(&self, server: usize, conn: u64) -> Option<i64> {
        let session = self.servers[server].conns.get(&conn)?.session;
        (session != 0).then_some(session)
    }

    // ---- others ----

    /// A write by an administrator or another library, if there is a leader to take it.
    pub fn admin(&mut self, agenda: &mut Agenda, request: &Request) -> bool {
        let Some(server) = self.leader() else { return false };
        self.write(agenda, server, Origin { server, conn: 0, seq: 0 }, ADMIN, request);
        true
    }

    /// The contenders of a path as they are: sequence, name, czxid, owner; lowest first.
    pub fn contenders(&self, path: &str) -> Vec<(i32, String, i64, i64)> {
        let Some(node) = self.truth.nodes.get(path) else { return Vec::new() };
        let mut found: Vec<_> = node
            .children
            .iter()
            .filter_map(|child| {
                let patterns = ["lock-", "__lock__"];
                let number = patterns.iter().find_map(|pattern| Some(child.rsplit_once(pattern)?.1))?;
                let sequence = number.parse().ok()?;
                let node = self.truth.nodes.get(&format!("{path}/{child}"))?;
                Some((sequence, child.clone(), node.czxid, node.owner))
            })
            .collect();
        found.sort_unstable();
        found
    }

    /// Whether a leader has begun to end a session.
    pub fn is_closing(&self, session: i64) -> bool {
        self.servers.iter().any(|server| match &server.role {
            Role::Leading(lead) => lead.tracked.get(&session).is_some_and(|tracked| tracked.closing),
            _ => false,
        })
    }

    /// Whether everything that was ever proposed is committed, and every server knows it.
    pub fn is_idle(&self) -> bool {
        self.servers.iter().all(|s| {
            s.up && !s.frozen
                && !s.is_looking()
                && s.applied == s.log.len()
                && s.applied == self.truth_log.len()
        })
    }
}

fn zxid_close() -> i32 {
    zkhelper::proto::op_code::CLOSE_SESSION
}

/// ExpiryQueue: expiries are rounded up to the next tick.
fn bucket(now: Micros, timeout_ms: i32, tick: Micros, drift: i64) -> Micros {
    let timeout = i64::from(timeout_ms) * 1000;
    let timeout = Micros::try_from(timeout + timeout * drift / 1_000_000).expect("positive");
    ((now + timeout) / tick + 1) * tick
}

fn expires_of(list: Vec<Micros>) -> impl Iterator<Item = Micros> {
    list.into_iter()
}

fn reply(agenda: &mut Agenda, net: &mut Network, conn: u64, header: ReplyHeader, response: Option<Response>) {
    let mut writer = Writer::new();
    writer.frame(|w| {
        header.encode(w);
        if let Some(response) = &response {
            response.encode(w);
        }
    });
    if header.xid != xid::PING {
        agenda.tell(|| format!("  connection {conn} > {} {}", header.err, show_response(response.as_ref())));
    }
    net.send(agenda, conn, Way::ToClient, &writer.into_bytes());
}

fn notify(agenda: &mut Agenda, net: &mut Network, conn: u64, kind: i32, path: &str) {
    agenda.tell(|| format!("  connection {conn} > watch event {kind} {path}"));
    let mut writer = Writer::new();
    writer.frame(|w| {
        ReplyHeader { xid: xid::NOTIFICATION, zxid: -1, err: 0 }.encode(w);
        WatcherEvent { kind, state: 3, path: path.to_owned() }.encode(w);
    });
    net.send(agenda, conn, Way::ToClient, &writer.into_bytes());
}

pub fn session_name(session: i64) -> String {
    if session == ADMIN { "admin".to_owned() } else { format!("s{}", session & 0xffff) }
}

fn describe(txn: &Txn) -> String {
    let change = |change: &Change| match change {
        Change::Create { path, owner, .. } if *owner != 0 => {
            format!("create {path} ({})", session_name(*owner))
        }
        Change::Create { path, .. } => format!("create {path}"),
        Change::Delete { path } => format!("delete {path}"),
        Change::Set { path, .. } => format!("set {path}"),
        Change::Check { path } => format!("check {path}"),
        Change::Failed(code) => format!("failed {code}"),
    };
    match txn {
        Txn::Error(code) => format!("error {code}"),
        Txn::One(one) => change(one),
        Txn::Multi(all) => format!("multi {:?}", all.iter().map(change).collect::<Vec<_>>()),
        Txn::CreateSession { timeout_ms } => format!("new session, {timeout_ms} ms"),
        Txn::CloseSession => "close session".to_owned(),
    }
}

fn show(request: &Request) -> String {
    match request {
        Request::SetWatches { data, exist, child, .. } => {
            format!("setWatches {:?}", data.iter().chain(exist).chain(child).collect::<Vec<_>>())
        }
        request => format!("{request:?}"),
    }
}

fn show_response(response: Option<&Response>) -> String {
    match response {
        None => String::new(),
        Some(Response::Create2 { path, stat }) => format!("created {path} czxid {:x}", stat.czxid),
        Some(Response::Children2 { children, .. } | Response::Children { children }) => {
            let mut names: Vec<_> = children.iter().map(|child| name(child)).collect();
            names.sort_unstable();
            format!("{names:?}")
        }
        Some(Response::Stat(stat) | Response::Data { stat, .. }) => {
            format!("czxid {:x} owner {}", stat.czxid, session_name(stat.ephemeral_owner))
        }
        Some(Response::Ephemerals(paths)) => format!("{paths:?}"),
        Some(Response::Multi(results)) => {
            format!("multi {:?}", results.iter().map(|r| r.err()).collect::<Vec<_>>())
        }
        Some(_) => "ok".to_owned(),
    }
}

/// Whether it is a persistent lock's companion, which has the czxid of the lock that it was made with.
fn is_companion(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with("owner-"))
}
