//! For tests: bytes as a server would send them, virtual time, and a client driven by both.

use super::hosts::ConnectString;
use super::logical::{Attempt, Logical, NewWatch};
use super::options::Options;
use super::state::StateEvent;
use crate::error::{Error, Result};
use crate::proto::{
    ConnectRequest, ConnectResponse, EventType, FrameReader, KeeperState, Names, Reader, ReplyHeader,
    Request, RequestHeader, Response, Stat, WatcherEvent, Writer, xid,
};
use crate::time::Time;
use crate::zk::{Answer, OpOptions, Reply, WatchEvent};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

pub(super) const SESSION: i64 = 0x1_0000_00aa;
pub(super) const PASSWORD: &[u8] = b"session-password";

pub(super) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn frame(body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::new();
    w.frame(body);
    w.into_bytes()
}

pub(super) fn handshake(session: i64, timeout_ms: i32) -> Vec<u8> {
    let response = ConnectResponse {
        protocol_version: 0,
        timeout_ms,
        session_id: session,
        password: PASSWORD.to_vec(),
        read_only: false,
    };
    frame(|w| response.encode(w))
}

/// What a server answers to a session that it does not know any more.
pub(super) fn expired() -> Vec<u8> {
    handshake(0, 0)
}

pub(super) fn reply(xid: i32, zxid: i64, response: &Response) -> Vec<u8> {
    frame(|w| {
        ReplyHeader { xid, zxid, err: 0 }.encode(w);
        response.encode(w);
    })
}

pub(super) fn error(xid: i32, zxid: i64, err: i32) -> Vec<u8> {
    frame(|w| ReplyHeader { xid, zxid, err }.encode(w))
}

/// An event with the header zxid of 3.9; servers up to 3.8 send −1.
pub(super) fn event(kind: EventType, path: &str, zxid: i64) -> Vec<u8> {
    let event =
        WatcherEvent { kind: kind as i32, state: KeeperState::SyncConnected as i32, path: path.to_owned() };
    frame(|w| {
        ReplyHeader { xid: xid::NOTIFICATION, zxid, err: 0 }.encode(w);
        event.encode(w);
    })
}

pub(super) fn stat() -> Response {
    Response::Stat(Stat::default())
}

/// A request as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) xid: i32,
    pub(super) request: Request,
    /// The length of its frame, as the frame says it.
    pub(super) len: usize,
}

/// A server's ear.
#[derive(Debug)]
pub(super) struct Ear {
    frames: FrameReader,
    greeted: bool,
}

impl Ear {
    pub(super) fn new() -> Self {
        Self { frames: FrameReader::new(usize::MAX), greeted: false }
    }

    /// What was said: the handshake, if it is new, and the requests.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> (Option<ConnectRequest>, Vec<Sent>) {
        self.frames.push(bytes);
        let (mut greeting, mut requests) = (None, Vec::new());
        while let Some(frame) = self.frames.next_frame().expect("a frame") {
            let mut r = Reader::new(frame);
            if self.greeted {
                let header = RequestHeader::decode(&mut r).expect("a header");
                let request = Request::decode(header.op, &mut r).expect("a record").expect("an operation");
                r.finish("request").expect("no more");
                requests.push(Sent { xid: header.xid, request, len: frame.len() });
            } else {
                self.greeted = true;
                greeting = Some(ConnectRequest::decode(&mut r).expect("a greeting"));
            }
        }
        (greeting, requests)
    }
}

/// Polls once.
pub(super) fn ready<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    match Pin::new(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// A logical client, its clock, and the server it talks to.
pub(super) struct Rig {
    pub(super) logical: Logical,
    pub(super) now: Time,
    pub(super) states: mpsc::UnboundedReceiver<StateEvent>,
    ear: Ear,
}

/// A request of a test.
pub(super) struct Asked {
    pub(super) tag: u64,
    pub(super) reply: Reply,
}

impl Rig {
    pub(super) fn new(address: &str, options: Options) -> Self {
        let options = Options { seed: Some(options.seed.unwrap_or(7)), ..options };
        options.validate().expect("options");
        let address = ConnectString::parse(address).expect("an address");
        let now = Time::from_origin(ms(1_000_000));
        let mut logical = Logical::new(address.hosts, &address.chroot, options, now);
        let states = logical.subscribe();
        Self { logical, now, states, ear: Ear::new() }
    }

    /// Connected, with a new session and nothing said yet.
    pub(super) fn connected(address: &str, options: Options) -> Self {
        let mut rig = Self::new(address, options);
        rig.connect(&handshake(SESSION, 6000));
        rig.states();
        rig
    }

    pub(super) fn advance(&mut self, by: Duration) {
        self.now = self.now + by;
        self.logical.tick(self.now);
        self.deliver();
    }

    /// The attempt that begins now or, with time advanced to it, next.
    pub(super) fn dial(&mut self) -> Attempt {
        loop {
            if let Some(attempt) = self.logical.poll_dial(self.now) {
                return attempt;
            }
            let due = self.logical.next_deadline();
            assert!(due < Time::NEVER && !self.logical.is_over(), "no attempt will begin");
            self.advance(due.since(self.now));
        }
    }

    /// Dials and opens a transport; answers with what the client says first.
    pub(super) fn open(&mut self) -> ConnectRequest {
        self.dial();
        self.logical.opened(self.now);
        self.ear = Ear::new();
        let bytes = self.take_bytes();
        self.ear.hear(&bytes).0.expect("a greeting")
    }

    /// Dials, opens, and has the handshake answered.
    pub(super) fn connect(&mut self, answer: &[u8]) -> ConnectRequest {
        let greeting = self.open();
        self.feed(answer);
        greeting
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.logical.received(self.now, bytes);
        self.deliver();
    }

    pub(super) fn lose(&mut self) {
        self.logical.transport_lost(self.now, "reset by the test");
        self.deliver();
    }

    /// A new connection, on which nothing was heard yet.
    pub(super) fn forget(&mut self) {
        self.ear = Ear::new();
    }

    /// The requests in these bytes.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Vec<Sent> {
        self.ear.hear(bytes).1
    }

    fn deliver(&mut self) {
        for (reply, outcome) in self.logical.take_finished(Vec::new()) {
            reply.send(outcome);
        }
    }

    fn take_bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while !self.logical.output().is_empty() {
            bytes.extend_from_slice(self.logical.output());
            self.logical.wrote(self.now, self.logical.output().len());
        }
        bytes
    }

    /// Writes only so many bytes.
    pub(super) fn write(&mut self, count: usize) {
        let bytes = self.logical.output()[..count].to_vec();
        self.logical.wrote(self.now, count);
        self.ear.hear(&bytes);
    }

    /// Writes everything, and answers with the requests in it.
    pub(super) fn sent(&mut self) -> Vec<Sent> {
        let bytes = self.take_bytes();
        self.ear.hear(&bytes).1
    }

    /// The one request written.
    pub(super) fn sent_one(&mut self) -> Sent {
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    fn submit(&mut self, request: Request, options: OpOptions, watch: Option<NewWatch>) -> Asked {
        let (sender, reply) = Reply::channel();
        let tag = match self.logical.submit(self.now, request, options, Some(sender), watch) {
            Ok(tag) => tag,
            Err((sender, error)) => {
                sender.expect("it is handed back").send(Err(error));
                0
            }
        };
        self.deliver();
        Asked { tag, reply }
    }

    pub(super) fn ask_with(&mut self, request: Request, options: OpOptions) -> Asked {
        self.submit(request, options, None)
    }

    pub(super) fn ask(&mut self, request: Request) -> Asked {
        self.ask_with(request, OpOptions::default())
    }

    pub(super) fn watch(&mut self, request: Request) -> (Asked, oneshot::Receiver<WatchEvent>) {
        let (sink, watch) = oneshot::channel();
        (self.ask_watch(request, NewWatch::Once(sink)), watch)
    }

    pub(super) fn stream(&mut self, request: Request) -> (Asked, mpsc::UnboundedReceiver<WatchEvent>) {
        let (sink, stream) = mpsc::unbounded_channel();
        (self.ask_watch(request, NewWatch::Stream(sink)), stream)
    }

    fn ask_watch(&mut self, request: Request, watch: NewWatch) -> Asked {
        self.submit(request, OpOptions::default(), Some(watch))
    }

    /// Writes what waits and answers each request with `answer`; a request not of its kind is left.
    pub(super) fn answer_all(
        &mut self,
        zxid: i64,
        answer: impl Fn(&Request) -> Option<Response>,
    ) -> Vec<Sent> {
        let mut all = Vec::new();
        loop {
            let sent = self.sent();
            if sent.is_empty() {
                return all;
            }
            for sent in &sent {
                if let Some(response) = answer(&sent.request) {
                    self.feed(&reply(sent.xid, zxid, &response));
                }
            }
            all.extend(sent);
        }
    }

    /// The states since they were looked at last.
    pub(super) fn states(&mut self) -> Vec<StateEvent> {
        std::iter::from_fn(|| self.states.try_recv().ok()).collect()
    }
}

impl Asked {
    pub(super) fn outcome(&mut self) -> Option<Result<Answer>> {
        ready(&mut self.reply)
    }

    pub(super) fn ok(&mut self) -> Answer {
        self.outcome().expect("it has ended").expect("it was done")
    }

    pub(super) fn err(&mut self) -> Error {
        self.outcome().expect("it has ended").expect_err("it failed")
    }

    pub(super) fn is_pending(&mut self) -> bool {
        self.outcome().is_none()
    }
}

// ---- requests, in short ----

pub(super) fn get(path: &str) -> Request {
    Request::GetData { path: path.to_owned(), watch: false }
}

pub(super) fn get_watch(path: &str) -> Request {
    Request::GetData { path: path.to_owned(), watch: true }
}

pub(super) fn exists_watch(path: &str) -> Request {
    Request::Exists { path: path.to_owned(), watch: true }
}

pub(super) fn children_watch(path: &str) -> Request {
    Request::GetChildren2 { path: path.to_owned(), watch: true }
}

pub(super) fn set(path: &str) -> Request {
    Request::SetData { path: path.to_owned(), data: b"x".to_vec(), version: -1 }
}

pub(super) fn delete(path: &str) -> Request {
    Request::Delete { path: path.to_owned(), version: -1 }
}

pub(super) fn data() -> Response {
    Response::Data { data: Vec::new(), stat: Stat::default() }
}

pub(super) fn children() -> Response {
    Response::Children2 { children: Names::default(), stat: Stat::default() }
}
