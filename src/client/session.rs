//! One ZooKeeper session over any number of connections, without IO: bytes, requests and the time
//! go in; bytes, answers, events and the next deadline come out.
//!
//! The caller opens a transport, tells the session so, carries [`Session::output`] to the server and
//! what the server sends to [`Session::received`]. It calls [`Session::tick`] when
//! [`Session::next_deadline`] has come, and takes [`Session::next_event`] after each call.

use super::lease::{Proof, Weight};
use crate::error::{Code, Error};
use crate::mutant::{Mutant, mutated};
use crate::proto::{
    ConnectRequest, ConnectResponse, DecodeError, EventType, FrameReader, HEADER_LEN, Reader, ReplyHeader,
    Request, RequestHeader, Response, WatcherEvent, Writer, op_code, xid,
};
use crate::time::Time;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// How much longer than the request limit an answer's frame may be, as Apache ZooKeeper's clients have it.
const FRAME_SLACK: usize = 64 * 1024;
/// The longest handshake answer: far above its 41 bytes, far below what a hostile peer might claim.
const HANDSHAKE_CAP: usize = 1024;

/// How many written bytes may stay in the output buffer.
const COMPACT_AT: usize = 256 * 1024;

/// The tag of the session's own keep-alives.
const KEEP_ALIVE: Tag = 0;

/// Names a request to whoever sent it.
pub(crate) type Tag = u64;

/// A request that ended with its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Orphan {
    pub(crate) tag: Tag,
    /// Whether any byte of it was written: then it may have been applied.
    pub(crate) written: bool,
}

/// What a session tells its owner.
#[derive(Debug)]
pub(crate) enum Event {
    /// The handshake is done; `new` if the session began with it.
    Up { new: bool },
    /// The server says the session has ended.
    Expired,
    /// The server refused the credentials; the session is of no use any more.
    AuthFailed,
    /// A request was answered, by a reply that came on the present connection.
    Reply { tag: Tag, result: Result<Response, Code>, zxid: i64, sent_at: Time },
    /// A watch fired.
    Watch { kind: EventType, path: String },
    /// The server would not re-arm watches.
    WatchesRefused(Code),
    /// The connection is over; the transport is to be dropped.
    Down { reason: Error, orphans: Vec<Orphan> },
    /// The server answered `closeSession`.
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    Handshake,
    Up,
}

#[derive(Debug)]
struct InFlight {
    xid: i32,
    op: i32,
    tag: Tag,
    sent_at: Time,
    /// Where it begins in the connection's output, and how long it is there.
    begins: u64,
    len: usize,
}

pub(crate) struct Session {
    requested: Duration,
    /// How long a connection may be silent, if that is less than the timeout allows.
    max_silence: Option<Duration>,
    max_frame: usize,
    id: i64,
    password: Vec<u8>,
    last_zxid: i64,
    /// The last transaction whose watch events have all come; see [`Session::told_zxid`].
    told_zxid: i64,
    timeout: Duration,
    least_timeout: Duration,
    link: Link,
    connections: u64,
    frames: FrameReader,
    out: Vec<u8>,
    /// How much of `out` is written, and how much of the connection's output went before `out`.
    out_done: usize,
    out_base: u64,
    next_xid: i32,
    in_flight: VecDeque<InFlight>,
    auths: VecDeque<Option<InFlight>>,
    /// Keep-alives sent and not answered.
    probes: u32,
    proof: Proof,
    set_watches: u32,
    last_sent: Time,
    /// When a sync or a write was last sent: what a proof is made of.
    last_proving: Time,
    last_heard: Time,
    events: VecDeque<Event>,
}

impl Session {
    /// A session yet to be made.
    pub(crate) fn new(requested: Duration, max_frame: usize) -> Self {
        Self {
            requested,
            max_silence: None,
            max_frame,
            id: 0,
            password: vec![0; 16],
            last_zxid: 0,
            told_zxid: 0,
            timeout: requested,
            least_timeout: requested,
            link: Link::Down,
            connections: 0,
            frames: FrameReader::new(HANDSHAKE_CAP),
            out: Vec::new(),
            out_done: 0,
            out_base: 0,
            next_xid: 1,
            in_flight: VecDeque::new(),
            auths: VecDeque::new(),
            probes: 0,
            proof: Proof::default(),
            set_watches: 0,
            last_sent: Time::default(),
            last_proving: Time::default(),
            last_heard: Time::default(),
            events: VecDeque::new(),
        }
    }

    /// Gives a connection up that is silent for so long, or for two thirds of the timeout.
    pub(crate) fn with_max_silence(mut self, silence: Option<Duration>) -> Self {
        self.max_silence = silence;
        self
    }

    /// A session that exists at the servers, to be attached to. Requests of whoever had it before may still be on
    /// their way, and a server knows a session's answers by the requests' numbers alone: so ours begin at `first`, which is
    /// to be far from theirs.
    pub(crate) fn reattach(mut self, id: i64, password: Vec<u8>, last_zxid: i64, first: i32) -> Self {
        self.id = id;
        self.password = password;
        self.last_zxid = last_zxid;
        self.told_zxid = last_zxid;
        self.next_xid = first.max(1);
        self
    }

    /// The session to be made after this one. It goes on counting connections, so that no two have
    /// one number, and it does not go to a server that is behind what was seen already.
    pub(crate) fn successor(&self) -> Self {
        Self {
            connections: self.connections,
            last_zxid: self.last_zxid,
            told_zxid: self.last_zxid,
            last_heard: self.last_heard,
            ..Self::new(self.requested, self.max_frame)
        }
    }

    /// The session's id, 0 before the first handshake.
    pub(crate) fn id(&self) -> i64 {
        self.id
    }

    /// What another client needs to attach to it.
    pub(crate) fn password(&self) -> &[u8] {
        &self.password
    }

    /// The negotiated timeout, or the one asked for before the first handshake.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The smallest timeout ever negotiated: a new leader goes back to the one of the creation.
    pub(crate) fn least_timeout(&self) -> Duration {
        self.least_timeout
    }

    /// The last transaction known to have been seen.
    pub(crate) fn last_zxid(&self) -> i64 {
        self.last_zxid
    }

    /// The transaction since which watch events may be missing after a reconnect: what `setWatches`
    /// is to name.
    ///
    /// It lags behind [`Session::last_zxid`] in two cases. Servers from 3.9 on put an event's
    /// transaction into its header, but a transaction may have several events, and the connection may
    /// end between them: an event vouches for none but itself, a reply for all before it (a server
    /// queues a transaction's events before it counts the transaction as applied). And while watches
    /// are being re-armed, the events that came while away are complete only with the last answer.
    pub(crate) fn told_zxid(&self) -> i64 {
        self.told_zxid
    }

    /// The number of connections there have been, which names the present one.
    pub(crate) fn connection(&self) -> u64 {
        self.connections
    }

    pub(crate) fn is_up(&self) -> bool {
        self.link == Link::Up
    }

    pub(crate) fn has_transport(&self) -> bool {
        self.link != Link::Down
    }

    /// When a byte last came from a server.
    pub(crate) fn last_heard(&self) -> Time {
        self.last_heard
    }

    /// The requests sent and not answered.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The bytes to be written.
    pub(crate) fn output(&self) -> &[u8] {
        self.out.get(self.out_done..).unwrap_or_default()
    }

    /// `n` bytes of the output were written.
    pub(crate) fn wrote(&mut self, n: usize) {
        self.out_done = (self.out_done + n).min(self.out.len());
        if self.out_done == self.out.len() {
            self.out_base += self.out.len() as u64;
            self.out_done = 0;
            self.out.clear();
            if self.out.capacity() > COMPACT_AT {
                self.out = Vec::new();
            }
        } else if self.out_done > COMPACT_AT {
            self.out.drain(..self.out_done);
            self.out_base += self.out_done as u64;
            self.out_done = 0;
        }
    }

    pub(crate) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A transport to a server is open: says who we are.
    pub(crate) fn open(&mut self, now: Time) {
        self.connections += 1;
        self.proof.connected(now);
        self.last_proving = now;
        self.link = Link::Handshake;
        self.frames = FrameReader::new(HANDSHAKE_CAP);
        self.out.clear();
        self.out_done = 0;
        self.out_base = 0;
        self.last_sent = now;
        let request = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: self.last_zxid,
            timeout_ms: i32::try_from(self.requested.as_millis()).unwrap_or(i32::MAX),
            session_id: self.id,
            password: self.password.clone(),
            read_only: false,
        };
        self.append(|w| request.encode(w));
    }

    fn append(&mut self, body: impl FnOnce(&mut Writer)) -> usize {
        let mut writer = Writer::from_bytes(std::mem::take(&mut self.out));
        let before = writer.len();
        writer.frame(body);
        let written = writer.len() - before;
        self.out = writer.into_bytes();
        written
    }

    /// Sends a request on the connection that is up; refuses one that the server would not take.
    pub(crate) fn send(&mut self, now: Time, tag: Tag, request: &Request) -> Result<(), Error> {
        if self.link != Link::Up {
            return Err(Error::new(Code::NOT_SENT).because("no connection"));
        }
        let xid = match request {
            Request::Auth { .. } => xid::AUTH,
            _ => self.next_xid,
        };
        let in_flight = self.write(now, xid, tag, request)?;
        if xid == xid::AUTH {
            self.auths.push_back(Some(in_flight));
        } else {
            self.next_xid = self.next_xid.checked_add(1).unwrap_or(1);
            self.in_flight.push_back(in_flight);
        }
        Ok(())
    }

    fn write(&mut self, now: Time, xid: i32, tag: Tag, request: &Request) -> Result<InFlight, Error> {
        let op = request.op_code();
        let start = self.out.len();
        let len = self.append(|w| {
            RequestHeader { xid, op }.encode(w);
            request.encode(w);
        });
        // A server compares what the frame's length says, which does not count itself.
        let body = len - HEADER_LEN;
        if body > self.max_frame {
            self.out.truncate(start);
            let text = format!("{body} bytes, the limit is {}", self.max_frame);
            return Err(Error::new(Code::TOO_LARGE).because(text));
        }
        self.last_sent = now;
        if weight(op) != Weight::Read {
            self.last_proving = now;
        }
        Ok(InFlight { xid, op, tag, sent_at: now, begins: self.out_base + start as u64, len })
    }

    /// How much of the connection's output is written.
    fn written(&self) -> u64 {
        self.out_base + self.out_done as u64
    }

    /// Takes back a request of which no byte is written. False if one is, or it is not under way.
    pub(crate) fn withdraw(&mut self, tag: Tag) -> bool {
        let written = self.written();
        let Some(at) = self.in_flight.iter().rposition(|request| request.tag == tag) else { return false };
        let Some(&InFlight { begins, len, .. }) =
            self.in_flight.get(at).filter(|request| request.begins >= written)
        else {
            return false;
        };
        let Ok(start) = usize::try_from(begins - self.out_base) else { return false };
        self.in_flight.remove(at);
        self.out.drain(start..start + len);
        for later in self.in_flight.range_mut(at..).chain(self.auths.iter_mut().flatten()) {
            if later.begins > begins {
                later.begins -= len as u64;
            }
        }
        true
    }

    /// Sends credentials again, for whose answer nobody waits.
    pub(crate) fn replay_auth(&mut self, now: Time, request: &Request) -> Result<(), Error> {
        if self.link == Link::Up {
            self.write(now, xid::AUTH, 0, request)?;
            self.auths.push_back(None);
        }
        Ok(())
    }

    /// Re-arms watches.
    pub(crate) fn set_watches(&mut self, now: Time, request: &Request) -> Result<(), Error> {
        if self.link == Link::Up {
            self.write(now, xid::SET_WATCHES, 0, request)?;
            self.set_watches += 1;
        }
        Ok(())
    }

    /// Bytes came from the server.
    pub(crate) fn received(&mut self, now: Time, bytes: &[u8]) {
        if self.link == Link::Down || bytes.is_empty() {
            return;
        }
        self.last_heard = now;
        let mut frames = std::mem::replace(&mut self.frames, FrameReader::new(0));
        frames.push(bytes);
        let problem = loop {
            match frames.next_frame() {
                Ok(None) => break None,
                // How an alert of TLS begins.
                Err(error) if self.link == Link::Handshake && error.claimed >> 16 == 0x1503 => {
                    break Some("the server answers in TLS; is this a port for TLS?".to_owned());
                }
                Err(error) => break Some(error.to_string()),
                Ok(Some(frame)) => {
                    let was = self.link;
                    let result = match was {
                        Link::Handshake => self.handshake(frame),
                        Link::Up => self.reply(frame),
                        Link::Down => Ok(()),
                    };
                    if let Err(problem) = result {
                        break Some(problem);
                    }
                    if self.link == Link::Down {
                        break None;
                    }
                    if was == Link::Handshake {
                        frames.set_cap(self.max_frame + FRAME_SLACK);
                    }
                }
            }
        };
        if self.link != Link::Down {
            self.frames = frames;
        }
        if let Some(problem) = problem {
            self.lost(Error::new(Code::PROTOCOL).because(problem));
        }
    }

    fn handshake(&mut self, frame: &[u8]) -> Result<(), String> {
        let response = ConnectResponse::decode(&mut Reader::new(frame)).map_err(|e| e.to_string())?;
        let timeout = match u64::try_from(response.timeout_ms) {
            Ok(ms) if ms > 0 && response.session_id != 0 => Duration::from_millis(ms),
            _ if self.id == 0 => return Err("the server refused to make a session".to_owned()),
            _ => {
                self.events.push_back(Event::Expired);
                self.lost(Code::SESSION_EXPIRED.into());
                return Ok(());
            }
        };
        let new = self.id == 0;
        if !new && response.session_id != self.id {
            return Err(format!(
                "asked for session {:#x}, the server answered with {:#x}",
                self.id, response.session_id
            ));
        }
        self.id = response.session_id;
        self.password = response.password;
        self.least_timeout = if new { timeout } else { self.least_timeout.min(timeout) };
        self.timeout = timeout;
        self.link = Link::Up;
        self.events.push_back(Event::Up { new });
        Ok(())
    }

    fn reply(&mut self, frame: &[u8]) -> Result<(), String> {
        let mut r = Reader::new(frame);
        let bad = |e: DecodeError| e.to_string();
        let header = ReplyHeader::decode(&mut r).map_err(bad)?;
        match header.xid {
            // Not sent by this session, and answered by nothing that it sends.
            xid::PING => return Err("an answer to no ping".to_owned()),
            xid::NOTIFICATION => {
                let event = WatcherEvent::decode(&mut r).map_err(bad)?;
                match EventType::from_wire(event.kind) {
                    Some(kind) => self.events.push_back(Event::Watch { kind, path: event.path }),
                    // "None": the state alone, which the connection itself tells.
                    None if event.kind == -1 => {}
                    None => return Err(format!("unknown event type {}", event.kind)),
                }
            }
            xid::SET_WATCHES => {
                self.set_watches = self.set_watches.checked_sub(1).ok_or("an answer to no setWatches")?;
                if header.err != 0 {
                    self.events.push_back(Event::WatchesRefused(Code::from_number(header.err)));
                }
            }
            xid::AUTH => {
                let waiting = self.auths.pop_front().ok_or("an answer to no auth")?;
                if header.err != 0 {
                    self.events.push_back(Event::AuthFailed);
                    self.lost(Code::AUTH_FAILED.into());
                } else if let Some(request) = waiting {
                    self.answer(&request, header, Ok(Response::Empty));
                }
            }
            xid => {
                let request = match self.in_flight.front() {
                    Some(first) if first.xid == xid => self.in_flight.pop_front(),
                    Some(first) => return Err(format!("answer to request {xid}, expected {}", first.xid)),
                    None => None,
                }
                .ok_or_else(|| format!("answer to request {xid}, which was not sent"))?;
                let result = if header.err == 0 {
                    Ok(Response::decode(request.op, r).map_err(bad)?)
                } else {
                    Err(Code::from_number(header.err))
                };
                if request.tag == KEEP_ALIVE {
                    self.probes = self.probes.saturating_sub(1);
                }
                if result.is_ok() {
                    let ping = self.server_ping();
                    self.proof.answered(request.sent_at, self.last_heard, weight(request.op), ping);
                }
                if request.op == op_code::CLOSE_SESSION && result.is_ok() {
                    self.events.push_back(Event::Closed);
                }
                self.answer(&request, header, result);
            }
        }
        // Of nothing that was refused: a server does not take a client back that has seen its future.
        self.last_zxid = self.last_zxid.max(header.zxid);
        if header.xid != xid::NOTIFICATION && self.set_watches == 0 {
            self.told_zxid = self.told_zxid.max(header.zxid);
        }
        Ok(())
    }

    /// The interval of the servers' own pings is half a tick, and a session's timeout at least two ticks.
    fn server_ping(&self) -> Duration {
        self.timeout / 4
    }

    /// Until when the session is certain to live: the time its servers give it, counted from what its
    /// answers prove, less what the clocks may drift apart.
    pub(crate) fn valid_until(&self, clock_drift: f64) -> Option<Time> {
        if mutated(Mutant::LeaseFromPings) {
            return Some(self.last_heard + self.timeout);
        }
        let safe = self.least_timeout.mul_f64((1.0 - clock_drift) / (1.0 + clock_drift));
        self.proof.proven().map(|proven| proven + safe)
    }

    fn answer(&mut self, request: &InFlight, header: ReplyHeader, result: Result<Response, Code>) {
        self.events.push_back(Event::Reply {
            tag: request.tag,
            result,
            zxid: header.zxid,
            sent_at: request.sent_at,
        });
    }

    /// The transport broke, or is given up.
    pub(crate) fn lost(&mut self, reason: Error) {
        if self.link == Link::Down {
            return;
        }
        self.link = Link::Down;
        let written = self.written();
        let orphans = self
            .auths
            .drain(..)
            .flatten()
            .chain(self.in_flight.drain(..))
            .map(|request| Orphan { tag: request.tag, written: request.begins < written })
            .collect();
        self.out = Vec::new();
        self.out_done = 0;
        self.probes = 0;
        self.set_watches = 0;
        self.frames = FrameReader::new(0);
        self.events.push_back(Event::Down { reason, orphans });
    }

    /// When [`Session::tick`] is to be called at the latest.
    pub(crate) fn next_deadline(&self) -> Time {
        if self.link == Link::Up { self.probe_due().min(self.dead_at()) } else { Time::NEVER }
    }

    /// How long a connection may be silent.
    fn silence(&self) -> Duration {
        let most = self.timeout * 2 / 3;
        self.max_silence.map_or(most, |silence| silence.min(most))
    }

    /// A third of the timeout, or half of the silence that is allowed, after the last request, or after the last
    /// byte if no keep-alive is under way.
    fn probe_due(&self) -> Time {
        let since = if self.probes == 0 { self.last_sent.min(self.last_heard) } else { self.last_sent };
        // Also where there is nothing but reads, the next write is to find a chain that it can end.
        let third = self.timeout / 3;
        since.min(self.last_proving) + self.max_silence.map_or(third, |silence| third.min(silence / 2))
    }

    fn dead_at(&self) -> Time {
        self.last_heard + self.silence()
    }

    /// Does what is due: a keep-alive, or giving up a connection that has gone silent.
    ///
    /// The keep-alive is a `sync`, not a ping: a follower answers pings also when it is cut off from its
    /// leader, and a chain of syncs lets the first write after them prove until when the session lives.
    pub(crate) fn tick(&mut self, now: Time) {
        if self.link != Link::Up {
            return;
        }
        if now >= self.dead_at() {
            let silent = now.since(self.last_heard);
            let text = format!("nothing heard for {} ms", silent.as_millis());
            self.lost(Error::new(Code::CONNECTION_LOSS).because(text));
        } else if now >= self.probe_due() {
            let sync = Request::Sync { path: "/".to_owned() };
            if self.send(now, KEEP_ALIVE, &sync).is_ok() {
                self.probes += 1;
            }
        }
    }
}

/// What an answer to this operation proves. An operation that failed is not asked about.
fn weight(op: i32) -> Weight {
    match op {
        op_code::SYNC if mutated(Mutant::SyncProves) => Weight::Write,
        op_code::SYNC => Weight::Sync,
        op_code::CREATE
        | op_code::CREATE2
        | op_code::CREATE_CONTAINER
        | op_code::CREATE_TTL
        | op_code::DELETE
        | op_code::SET_DATA
        | op_code::SET_ACL
        | op_code::MULTI => Weight::Write,
        _ => Weight::Read,
    }
}

/// The password is not shown, nor are the bytes under way, which may hold it and credentials.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &format_args!("{:#x}", self.id))
            .field("link", &self.link)
            .field("timeout", &self.timeout)
            .field("last_zxid", &format_args!("{:#x}", self.last_zxid))
            .field("connections", &self.connections)
            .field("in_flight", &self.in_flight.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
