//! A model of a ZooKeeper ensemble: a leader and followers that lag, writes committed by a quorum,
//! sessions kept by the leader. Each rule is Apache ZooKeeper's; the comments name the place.

mod clients;
mod events;
mod leader;
mod leadership;
mod links;
mod others;
mod server;
mod tell;
mod witness;

use super::agenda::{Agenda, Event, MS, Micros};
use super::network::{Network, Way};
use super::tree::{Change, Happened, Tree, Txn, code, name, parent};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
pub use tell::session_name;
use tell::{describe, show, show_response};
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
    Read,
    /// A write or a sync, with its answer once that has come.
    Away(Option<(i64, Result<Response, i32>)>),
}

struct Pending {
    seq: u64,
    xid: i32,
    request: Rc<Request>,
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
    /// Whether the leader took a write of it between standing still and asking the followers whom they heard.
    unheard: bool,
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
    /// Whether it goes on after it stood still, and has not pinged since.
    stood_still: bool,
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
    /// A node is gone: with its session, which may be one of [`Ensemble::unheard`], or by a deletion.
    Removed { czxid: i64, with_session: bool, unheard: bool },
    /// Data that a lock guards were written, while the lowest contender for that lock was this one; by a transaction that
    /// checked this one of its contenders.
    Wrote {
        path: String,
        session: i64,
        before: Rc<[u8]>,
        after: Rc<[u8]>,
        lowest: Option<i64>,
        checked: Option<i64>,
    },
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
    /// Events carry their transaction's number, as from 3.9 on.
    pub has_event_zxid: bool,
    /// A leader answers its own clients' syncs like reads, as Apache ZooKeeper's does, without a wait for what
    /// it has proposed. In the schedules it waits, which makes a sync prove more; nothing counts on it.
    pub syncs_at_once: bool,
    /// The leader answers its own clients' reads also once their session has moved, and refuses the late close of such
    /// a session, which Apache ZooKeeper does not: for a regression that was dealt so.
    pub forgives_moves: bool,
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
    /// Sessions that a client was told are over while they live: by a deposed leader that never heard of them, or
    /// before the end of one was committed.
    pub denied: BTreeSet<i64>,
    /// Sessions that a leader ended of which it had taken writes while it had still to ask who was heard: see
    /// docs/lock-protocol.md, section 2.
    unheard: BTreeSet<i64>,
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
    /// One as chance has it.
    pub fn new(agenda: &mut Agenda) -> Self {
        let count = match agenda.rng.u32(0..100) {
            0..20 => 1,
            20..95 => 3,
            _ => 5,
        };
        let tick = agenda.between(2, 5) * 100 * MS;
        let mut this = Self::of(agenda, count, tick);
        this.sync_limit = agenda.between(3, 6);
        this.old = agenda.chance(15);
        this.start(agenda);
        this
    }

    /// One of so many servers, whose clocks do not run yet.
    pub fn of(agenda: &mut Agenda, count: u64, tick: Micros) -> Self {
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
        Self {
            servers,
            truth: Tree::new(),
            truth_log: Vec::new(),
            tick,
            sync_limit: 5,
            old: false,
            has_event_zxid: false,
            syncs_at_once: false,
            forgives_moves: false,
            next_session: 1,
            next_join: 1,
            next_boot: count,
            epoch: 0,
            blocked: BTreeMap::new(),
            last: BTreeMap::new(),
            electing: false,
            told: BTreeMap::new(),
            seen: Vec::new(),
            denied: BTreeSet::new(),
            unheard: BTreeSet::new(),
            guards: BTreeMap::new(),
            calm: false,
        }
    }

    /// Starts the servers' clocks.
    pub fn start(&mut self, agenda: &mut Agenda) {
        for server in 0..self.servers.len() {
            let boot = self.servers[server].boot;
            let at = agenda.between(1, self.tick / 2);
            agenda.at(at, Event::Tick { server, boot });
        }
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

fn notify(agenda: &mut Agenda, net: &mut Network, conn: u64, zxid: i64, kind: i32, path: &str) {
    agenda.tell(|| format!("  connection {conn} > watch event {kind} {path}"));
    let mut writer = Writer::new();
    writer.frame(|w| {
        ReplyHeader { xid: xid::NOTIFICATION, zxid, err: 0 }.encode(w);
        WatcherEvent { kind, state: 3, path: path.to_owned() }.encode(w);
    });
    net.send(agenda, conn, Way::ToClient, &writer.into_bytes());
}

/// Whether it is a persistent lock's companion, which has the czxid of the lock that it was made with.
fn is_companion(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.starts_with("owner-"))
}
