//! The server as a pure state machine: a request and the time go in, an answer and watch events come out.
//! No socket, no clock, no thread; its behaviour is defined as what Apache ZooKeeper 3.9 answers.

use super::acl::{Identity, allows};
use super::path::{split, stored};
use super::prepare::{Preparation, is_possible_ttl};
use super::sessions::{Now, Session, Sessions};
use super::tree::{Change, Node, Tree};
use super::watches::{ConnectionId, Watches};
use crate::error::Code;
use crate::proto::{
    Acl, ConnectRequest, ConnectResponse, EventType, KeeperState, MultiOp, MultiResult, Request, Response,
    WatcherEvent, permissions,
};
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

/// A watch event for a connection.
pub(super) struct Event {
    pub(super) to: ConnectionId,
    /// The transaction that caused it, or −1.
    pub(super) zxid: i64,
    pub(super) event: WatcherEvent,
}

/// What became of a handshake.
pub(super) enum Handshake {
    /// The session is open, or open again; a connection that had it before is to be closed.
    Accepted { response: ConnectResponse, replaced: Option<ConnectionId> },
    /// The session is unknown or its password wrong: the connection is closed after the answer.
    Expired { response: ConnectResponse, replaced: Option<ConnectionId> },
    /// The client has seen a later state than ours: the connection is closed without an answer.
    Ahead,
}

/// The answer to a request.
pub(super) struct Outcome {
    pub(super) result: Result<Response, Code>,
    /// Whether the data that the answer has is null, and not empty.
    pub(super) null_data: bool,
    /// Whether the connection is closed after the answer.
    pub(super) close: bool,
}

impl Outcome {
    fn last(result: Result<Response, Code>) -> Self {
        Self { result, null_data: false, close: true }
    }

    fn of(result: Result<Response, Code>) -> Self {
        Self { result, null_data: false, close: false }
    }
}

/// A connection, as far as the machine knows it.
struct Peer {
    address: IpAddr,
    identities: Vec<Identity>,
    session: Option<i64>,
}

/// The state of a server.
pub(super) struct Machine {
    pub(super) tree: Tree,
    pub(super) sessions: Sessions,
    peers: HashMap<ConnectionId, Peer>,
    pub(super) data_watches: Watches,
    pub(super) child_watches: Watches,
    zxid: i64,
    pub(super) events: Vec<Event>,
    /// See [`super::Server::set_lenient`].
    pub(super) lenient: bool,
}

impl Machine {
    pub(super) fn new(tick_ms: i64) -> Self {
        Self {
            tree: Tree::new(),
            sessions: Sessions::new(tick_ms),
            peers: HashMap::new(),
            data_watches: Watches::default(),
            child_watches: Watches::default(),
            zxid: 0,
            events: Vec::new(),
            lenient: false,
        }
    }

    /// The last transaction.
    pub(super) fn zxid(&self) -> i64 {
        self.zxid
    }

    /// The number of watches.
    pub(super) fn count_watches(&self) -> usize {
        self.data_watches.len() + self.child_watches.len()
    }

    /// The events since this was last called, in order.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Counts a transaction that a request used up although it failed before it was one.
    pub(super) fn waste_zxid(&mut self) {
        self.zxid += 1;
    }

    /// A connection came; its handshake comes next.
    pub(super) fn connected(&mut self, connection: ConnectionId, address: IpAddr) {
        let peer = Peer { address, identities: vec![Identity::address(address)], session: None };
        self.peers.insert(connection, peer);
    }

    /// A connection went: its watches go with it, its session stays.
    pub(super) fn disconnected(&mut self, connection: ConnectionId) {
        self.data_watches.remove_connection(connection);
        self.child_watches.remove_connection(connection);
        if let Some(id) = self.peers.remove(&connection).and_then(|peer| peer.session)
            && let Some(session) = self.sessions.get_mut(id)
            && session.connection == Some(connection)
        {
            session.connection = None;
        }
    }

    /// The session of a connection that has shaken hands.
    pub(super) fn session_of(&self, connection: ConnectionId) -> Option<i64> {
        self.peers.get(&connection).and_then(|peer| peer.session)
    }

    /// Opens a session, or attaches to one.
    pub(super) fn shake_hands(
        &mut self,
        connection: ConnectionId,
        request: &ConnectRequest,
        now: Now,
    ) -> Handshake {
        if request.last_zxid_seen > self.zxid {
            return Handshake::Ahead;
        }
        let timeout_ms = self.sessions.negotiate(request.timeout_ms);
        if request.session_id == 0 {
            self.zxid += 1;
            let id = self.sessions.open(timeout_ms, connection, now);
            let response = self.accept(connection, id);
            return Handshake::Accepted { response, replaced: None };
        }
        // The session's other connection goes even if the password turns out to be wrong.
        let id = request.session_id;
        let replaced = self.sessions.get_mut(id).and_then(|session| session.connection.take());
        match self.sessions.get_mut(id) {
            Some(session) if session.password.as_slice() == request.password => {
                session.timeout_ms = timeout_ms;
                session.connection = Some(connection);
                self.sessions.touch(id, now);
                let response = self.accept(connection, id);
                Handshake::Accepted { response, replaced }
            }
            _ => {
                let response = ConnectResponse {
                    protocol_version: 0,
                    timeout_ms: 0,
                    session_id: 0,
                    password: vec![0; 16],
                    read_only: false,
                };
                Handshake::Expired { response, replaced }
            }
        }
    }

    fn accept(&mut self, connection: ConnectionId, id: i64) -> ConnectResponse {
        if let Some(peer) = self.peers.get_mut(&connection) {
            peer.session = Some(id);
        }
        let session = self.sessions.get(id);
        ConnectResponse {
            protocol_version: 0,
            timeout_ms: session.map_or(0, |session| session.timeout_ms),
            session_id: id,
            password: session.map(|session| session.password.to_vec()).unwrap_or_default(),
            read_only: false,
        }
    }

    /// Does what a connection asks for, in the name of its session. `null_data` says that what the request has
    /// as its data is null, and not empty.
    pub(super) fn apply(
        &mut self,
        connection: ConnectionId,
        request: Request,
        null_data: bool,
        now: Now,
    ) -> Outcome {
        let data_of = |data: Vec<u8>| (!null_data).then_some(data);
        let Some(session) = self.session_of(connection) else {
            return Outcome::last(Err(Code::SESSION_EXPIRED));
        };
        match request {
            Request::Create { path, data, acl, mode, ttl_ms, with_stat } => {
                self.write(connection, session, now, |p| {
                    p.create(path, data_of(data), &acl, mode, ttl_ms, with_stat)
                })
            }
            Request::Delete { path, version } => {
                self.write(connection, session, now, |p| p.delete(path, version))
            }
            Request::SetData { path, data, version } => {
                self.write(connection, session, now, |p| p.set_data(path, data_of(data), version))
            }
            Request::SetAcl { path, acl, version } => {
                self.write(connection, session, now, |p| p.set_acl(path, &acl, version))
            }
            Request::Multi(ops) => Outcome::of(self.multi(connection, session, ops, now)),
            // Not an operation of its own, to a server.
            Request::Check { .. } => Outcome::last(Err(Code::UNIMPLEMENTED)),
            Request::CloseSession => {
                self.close_session(session);
                Outcome::last(Ok(Response::Empty))
            }
            Request::Auth { scheme, auth } => self.authenticate(connection, &scheme, &auth),
            Request::GetData { path, watch } => {
                let result = self.get_data(connection, &path, watch);
                let null_data = self.tree.get(&path).is_some_and(|node| node.data.is_none());
                Outcome { result, null_data, close: false }
            }
            request => Outcome::of(self.read(connection, session, request)),
        }
    }

    pub(super) fn identities(&self, connection: ConnectionId) -> &[Identity] {
        self.peers.get(&connection).map(|peer| peer.identities.as_slice()).unwrap_or_default()
    }

    fn authenticate(&mut self, connection: ConnectionId, scheme: &str, auth: &[u8]) -> Outcome {
        let peer = self.peers.get_mut(&connection);
        let known = peer.and_then(|peer| {
            let identity = Identity::authenticate(scheme, auth, peer.address)?;
            if !peer.identities.contains(&identity) {
                peer.identities.push(identity);
            }
            Some(())
        });
        match known {
            Some(()) => Outcome::of(Ok(Response::Empty)),
            None => Outcome::last(Err(Code::AUTH_FAILED)),
        }
    }

    /// One write. A refused one uses up a transaction too.
    fn write(
        &mut self,
        connection: ConnectionId,
        session: i64,
        now: Now,
        prepare: impl FnOnce(&mut Preparation<'_>) -> Result<Change, Code>,
    ) -> Outcome {
        self.zxid += 1;
        let change =
            prepare(&mut Preparation::new(&self.tree, self.identities(connection), session, self.lenient));
        Outcome::of(change.map(|change| match self.commit(change, now) {
            MultiResult::Create { path } => Response::Create { path },
            MultiResult::Create2 { path, stat } => Response::Create2 { path, stat },
            MultiResult::SetData { stat } => Response::Stat(stat),
            _ => Response::Empty,
        }))
    }

    /// A transaction: all of it or nothing.
    fn multi(
        &mut self,
        connection: ConnectionId,
        session: i64,
        ops: Vec<MultiOp>,
        now: Now,
    ) -> Result<Response, Code> {
        self.zxid += 1;
        let readable = |op: &MultiOp| match op {
            MultiOp::GetData { .. } | MultiOp::GetChildren { .. } => false,
            MultiOp::Create { mode, ttl_ms, .. } => is_possible_ttl(*mode, *ttl_ms),
            MultiOp::Delete { .. } | MultiOp::SetData { .. } | MultiOp::Check { .. } => true,
        };
        if !ops.iter().all(readable) {
            return Err(Code::MARSHALLING_ERROR);
        }
        let count = ops.len();
        let mut changes = Vec::with_capacity(count);
        let mut preparation =
            Preparation::new(&self.tree, self.identities(connection), session, self.lenient);
        for op in ops {
            match preparation.operation(op) {
                Ok(change) => changes.push(change),
                Err(code) => {
                    let failed = changes.len();
                    let number = |index: usize| match index.cmp(&failed) {
                        std::cmp::Ordering::Less => Code::OK,
                        std::cmp::Ordering::Equal => code,
                        std::cmp::Ordering::Greater => Code::RUNTIME_INCONSISTENCY,
                    };
                    let results = (0..count).map(|index| MultiResult::Error(number(index).number()));
                    return Ok(Response::Multi(results.collect()));
                }
            }
        }
        Ok(Response::Multi(changes.into_iter().map(|change| self.commit(change, now)).collect()))
    }

    /// Makes a permitted change, and tells those who watch.
    fn commit(&mut self, change: Change, now: Now) -> MultiResult {
        match change {
            Change::Create { path, data, acl, owner, created, numbered, with_stat } => {
                let parent_acl = self.parent_acl(&path);
                let node = (data, acl.clone(), owner);
                self.tree.create(&path, node, (created, numbered), self.zxid, now.wall_ms);
                let heard = self.data_watches.trigger(&path);
                self.tell(&heard, EventType::Created, &path, &acl);
                self.tell_parent(&path, &parent_acl);
                match self.tree.get(&path).map(Node::stat).filter(|_| with_stat) {
                    Some(stat) => MultiResult::Create2 { path, stat },
                    None => MultiResult::Create { path },
                }
            }
            Change::Delete { path } => {
                self.delete(&path);
                MultiResult::Delete
            }
            Change::SetData { path, data, version } => {
                self.tree.set_data(&path, data, version, self.zxid, now.wall_ms);
                let (stat, acl) = self.stat_and_acl(&path);
                let heard = self.data_watches.trigger(&path);
                self.tell(&heard, EventType::DataChanged, &path, &acl);
                MultiResult::SetData { stat }
            }
            Change::SetAcl { path, acl, version } => {
                self.tree.set_acl(&path, acl, version);
                MultiResult::SetData { stat: self.stat_and_acl(&path).0 }
            }
            Change::Nothing => MultiResult::Check,
        }
    }

    fn stat_and_acl(&self, path: &str) -> (crate::proto::Stat, Vec<Acl>) {
        self.tree.get(path).map(|node| (node.stat(), node.acl.clone())).unwrap_or_default()
    }

    fn parent_acl(&self, path: &str) -> Vec<Acl> {
        let parent = split(path).and_then(|(parent, _)| self.tree.get(parent));
        parent.map(|node| node.acl.clone()).unwrap_or_default()
    }

    fn delete(&mut self, path: &str) {
        let parent_acl = self.parent_acl(path);
        let Some(node) = self.tree.delete(path, self.zxid) else { return };
        let heard = self.data_watches.trigger(path);
        self.tell(&heard, EventType::Deleted, path, &node.acl);
        // Whoever watches both the node's data and its children hears of it once.
        let also = self.child_watches.trigger(path);
        self.tell(&also.difference(&heard).copied().collect(), EventType::Deleted, path, &node.acl);
        self.tell_parent(path, &parent_acl);
    }

    fn tell_parent(&mut self, path: &str, acl: &[Acl]) {
        if let Some((parent, _)) = split(path) {
            let heard = self.child_watches.trigger(parent);
            self.tell(&heard, EventType::ChildrenChanged, parent, acl);
        }
    }

    /// Queues an event for those who may read the node it is about.
    fn tell(&mut self, watchers: &BTreeSet<ConnectionId>, kind: EventType, path: &str, acl: &[Acl]) {
        for to in watchers {
            if allows(acl, permissions::READ, self.identities(*to)) {
                self.events.push(Event { to: *to, zxid: self.zxid, event: event(kind, path) });
            }
        }
    }

    /// Ends a session: what it owns goes, in one transaction.
    pub(super) fn close_session(&mut self, id: i64) -> Option<Session> {
        let session = self.sessions.close(id)?;
        self.zxid += 1;
        for path in self.tree.ephemerals(id) {
            self.delete(&path);
        }
        Some(session)
    }

    /// Deletes the containers and nodes whose time has come, each in a transaction of its own.
    pub(super) fn delete_outlived(&mut self, now: Now) {
        for path in self.tree.outlived(now.wall_ms) {
            self.zxid += 1;
            self.delete(&path);
        }
    }

    /// Makes `next` the sequence number of the next child of `path`.
    pub(super) fn set_sequence(&mut self, path: &str, next: i32) -> bool {
        self.tree.set_sequence(stored(path), next)
    }
}

pub(super) fn event(kind: EventType, path: &str) -> WatcherEvent {
    WatcherEvent { kind: kind as i32, state: KeeperState::SyncConnected as i32, path: path.to_owned() }
}
