//! What the server's connections share: the machine, the faults that are asked for, and the way out to each
//! connection. Frames go in here; answers and events come out at each connection's outbox.

use super::faults::{Plan, SessionInfo};
use super::frames::{self, Next};
use super::machine::Machine;
use super::outbox::Outbox;
use super::sessions::{Now, Session};
use super::watches::ConnectionId;
use crate::proto::{ReplyHeader, Writer, xid};
use crate::sync::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// How often containers and nodes with a time to live are looked at, if nothing else is asked for.
const CONTAINER_CHECK_MS: i64 = 60_000;

/// See the module.
pub(super) struct Core {
    inner: Mutex<Inner>,
    /// Changes whenever the faults do.
    faults_changed: watch::Sender<()>,
    started: Instant,
    tick_ms: i64,
    port: u16,
}

/// What one lock guards.
pub(super) struct Inner {
    pub(super) machine: Machine,
    pub(super) plan: Plan,
    outboxes: HashMap<ConnectionId, (SocketAddr, Arc<Outbox>)>,
    last_connection: ConnectionId,
    container_check_ms: i64,
    last_container_check_ms: i64,
    pub(super) received: i64,
    sent: i64,
}

impl Inner {
    /// Hands the machine's events out.
    pub(super) fn deliver(&mut self) {
        for event in self.machine.take_events() {
            let header = ReplyHeader { xid: xid::NOTIFICATION, zxid: event.zxid, err: 0 };
            self.push(event.to, |w| {
                header.encode(w);
                event.event.encode(w);
            });
        }
    }

    /// Sends a frame.
    pub(super) fn push(&mut self, to: ConnectionId, body: impl FnOnce(&mut Writer)) {
        if let Some((_, outbox)) = self.outboxes.get(&to) {
            outbox.push(body);
            self.sent += 1;
        }
    }

    pub(super) fn close(&self, connection: ConnectionId) {
        if let Some((_, outbox)) = self.outboxes.get(&connection) {
            outbox.close();
        }
    }

    /// Ends a session that did not ask for it.
    fn expire(&mut self, id: i64) -> bool {
        let Some(Session { connection, .. }) = self.machine.close_session(id) else { return false };
        self.deliver();
        if let Some(connection) = connection {
            self.close(connection);
        }
        true
    }

    fn expire_overdue(&mut self, now: Now) {
        for id in self.machine.sessions.overdue(now) {
            self.expire(id);
        }
    }
}

impl Core {
    pub(super) fn new(port: u16, tick_ms: i64) -> Self {
        Self {
            inner: Mutex::new(Inner {
                machine: Machine::new(tick_ms),
                plan: Plan::default(),
                outboxes: HashMap::new(),
                last_connection: 0,
                container_check_ms: CONTAINER_CHECK_MS,
                last_container_check_ms: 0,
                received: 0,
                sent: 0,
            }),
            faults_changed: watch::Sender::new(()),
            started: Instant::now(),
            tick_ms,
            port,
        }
    }

    fn now(&self) -> Now {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now { wall_ms: ms(wall), elapsed_ms: ms(self.started.elapsed()) }
    }

    /// A connection came.
    pub(super) fn connected(&self, address: SocketAddr) -> (ConnectionId, Arc<Outbox>) {
        let mut inner = self.inner.lock();
        inner.last_connection += 1;
        let id = inner.last_connection;
        let outbox = Arc::new(Outbox::default());
        inner.outboxes.insert(id, (address, Arc::clone(&outbox)));
        inner.machine.connected(id, address.ip());
        (id, outbox)
    }

    /// A connection went.
    pub(super) fn disconnected(&self, id: ConnectionId) {
        let mut inner = self.inner.lock();
        inner.outboxes.remove(&id);
        inner.machine.disconnected(id);
    }

    /// Does what a frame asks for.
    pub(super) fn handle(&self, id: ConnectionId, frame: &[u8]) -> Next {
        let now = self.now();
        let inner = &mut *self.inner.lock();
        if inner.plan.frozen {
            return Next::Hold;
        }
        match inner.machine.session_of(id) {
            None => frames::shake_hands(inner, id, frame, now),
            Some(session) => frames::request(inner, id, session, frame, now),
        }
    }

    /// Whether nothing may leave.
    pub(super) fn is_frozen(&self) -> bool {
        self.inner.lock().plan.frozen
    }

    /// How long to wait before looking at what came.
    pub(super) fn delay(&self) -> Duration {
        self.inner.lock().plan.delay
    }

    /// Tells when the faults change.
    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.faults_changed.subscribe()
    }

    pub(super) fn with_plan<T>(&self, change: impl FnOnce(&mut Plan) -> T) -> T {
        let result = change(&mut self.inner.lock().plan);
        self.faults_changed.send_replace(());
        result
    }

    /// Changes the faults to let the server go on. Sessions whose time passed meanwhile end before anybody can
    /// put their end off.
    pub(super) fn resume(&self, change: impl FnOnce(&mut Plan)) {
        let now = self.now();
        let mut inner = self.inner.lock();
        change(&mut inner.plan);
        inner.expire_overdue(now);
        drop(inner);
        self.faults_changed.send_replace(());
    }

    /// How long until the next tick.
    pub(super) fn until_tick(&self) -> Duration {
        let left = self.tick_ms - self.now().elapsed_ms % self.tick_ms;
        Duration::from_millis(u64::try_from(left).unwrap_or(1))
    }

    /// What is done at each tick: sessions end, and now and then containers.
    pub(super) fn tick(&self) {
        let now = self.now();
        let inner = &mut *self.inner.lock();
        if inner.plan.frozen || inner.plan.isolated {
            return;
        }
        inner.expire_overdue(now);
        if now.elapsed_ms.saturating_sub(inner.last_container_check_ms) >= inner.container_check_ms {
            inner.last_container_check_ms = now.elapsed_ms;
            inner.machine.delete_outlived(now);
            inner.deliver();
        }
    }

    pub(super) fn set_container_interval(&self, interval: Duration) {
        self.inner.lock().container_check_ms = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
    }

    pub(super) fn delete_outlived(&self) {
        let now = self.now();
        let inner = &mut *self.inner.lock();
        inner.machine.delete_outlived(now);
        inner.deliver();
    }

    pub(super) fn expire(&self, session: i64) -> bool {
        self.inner.lock().expire(session)
    }

    pub(super) fn set_sequence(&self, path: &str, next: i32) -> bool {
        self.inner.lock().machine.set_sequence(path, next)
    }

    pub(super) fn set_lenient(&self, lenient: bool) {
        self.inner.lock().machine.lenient = lenient;
    }

    pub(super) fn disconnect_all(&self) {
        self.inner.lock().outboxes.values().for_each(|(_, outbox)| outbox.close());
    }

    pub(super) fn sessions(&self) -> Vec<SessionInfo> {
        let inner = self.inner.lock();
        let mut sessions: Vec<_> = inner
            .machine
            .sessions
            .iter()
            .map(|(id, session)| SessionInfo {
                id,
                timeout: Duration::from_millis(u64::try_from(session.timeout_ms).unwrap_or(0)),
                connected: session.connection.is_some(),
            })
            .collect();
        sessions.sort_unstable_by_key(|session| session.id);
        sessions
    }

    pub(super) fn report(&self) -> Report {
        let number = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        let inner = self.inner.lock();
        let machine = &inner.machine;
        let mut connections: Vec<_> = inner
            .outboxes
            .iter()
            .map(|(id, (address, _))| (*address, machine.session_of(*id).unwrap_or(0)))
            .collect();
        connections.sort_unstable();
        Report {
            port: self.port,
            tick_ms: self.tick_ms,
            uptime_ms: self.now().elapsed_ms,
            zxid: machine.zxid(),
            // Apache ZooKeeper counts the root twice.
            nodes: number(machine.tree.len() + 1),
            watches: number(machine.count_watches()),
            ephemerals: number(machine.tree.count_ephemerals()),
            data_size: number(machine.tree.data_size()),
            sessions: number(machine.sessions.len()),
            received: inner.received,
            sent: inner.sent,
            connections,
        }
    }
}

/// What the four-letter words tell of.
pub(super) struct Report {
    pub(super) port: u16,
    pub(super) tick_ms: i64,
    pub(super) uptime_ms: i64,
    pub(super) zxid: i64,
    pub(super) nodes: i64,
    pub(super) watches: i64,
    pub(super) ephemerals: i64,
    pub(super) data_size: i64,
    pub(super) sessions: i64,
    pub(super) received: i64,
    pub(super) sent: i64,
    pub(super) connections: Vec<(SocketAddr, i64)>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{ConnectRequest, RequestHeader, op_code};

    fn frame(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut writer = Writer::new();
        write(&mut writer);
        writer.into_bytes()
    }

    #[test]
    fn a_connection_that_lost_its_session_to_another_does_nothing_in_its_name() {
        let core = Core::new(0, 2000);
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let (first, _) = core.connected(address);
        let mut connect = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: 4000,
            session_id: 0,
            password: vec![0; 16],
            read_only: false,
        };
        assert_eq!(core.handle(first, &frame(|w| connect.encode(w))), Next::Continue);
        let session = core.sessions()[0].id;
        connect.session_id = session;
        let password = |inner: &Inner| inner.machine.sessions.get(session).map(|s| s.password.to_vec());
        connect.password = password(&core.inner.lock()).expect("a session");
        let (second, _) = core.connected(address);
        assert_eq!(core.handle(second, &frame(|w| connect.encode(w))), Next::Continue);
        // It was on its way when the other came.
        let close = frame(|w| RequestHeader { xid: 1, op: op_code::CLOSE_SESSION }.encode(w));
        assert_eq!(core.handle(first, &close), Next::Close);
        assert_eq!(core.sessions().len(), 1);
        assert_eq!(core.handle(second, &close), Next::Close);
        assert!(core.sessions().is_empty());
    }
}
