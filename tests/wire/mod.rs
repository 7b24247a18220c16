//! The plainest client there can be: the codec on a blocking socket. It retries nothing and hides nothing.

// Each test binary compiles the whole module and uses a part of it.
#![allow(dead_code, unreachable_pub)]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use zkhelper::proto::{
    Acl, ConnectRequest, ConnectResponse, CreateMode, FrameReader, Reader, ReplyHeader, Request,
    RequestHeader, Response, WatcherEvent, Writer, permissions, xid,
};

/// How long an answer may take before the test fails.
pub const READ_LIMIT: Duration = Duration::from_secs(30);

/// A connection: frames out, frames in.
pub struct Wire {
    stream: TcpStream,
    frames: FrameReader,
}

impl Wire {
    /// A connection that has not shaken hands.
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(READ_LIMIT)).expect("a socket");
        Self { stream, frames: FrameReader::new(8 << 20) }
    }

    /// Shakes hands; `None` if the server closes without an answer.
    pub fn connect(address: SocketAddr, request: &ConnectRequest) -> Option<(Self, ConnectResponse)> {
        let mut wire = Self::open(address);
        let mut w = Writer::new();
        w.frame(|w| request.encode(w));
        wire.write(&w.into_bytes());
        let answer = wire.read_frame()?;
        let response = ConnectResponse::decode(&mut Reader::new(&answer)).expect("a handshake");
        Some((wire, response))
    }

    /// Writes bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        // A server that closed the connection says so when it is read from.
        let _ = self.stream.write_all(bytes);
    }

    /// The next frame; `None` at the end of the connection.
    pub fn read_frame(&mut self) -> Option<Vec<u8>> {
        self.read_frame_within(READ_LIMIT).unwrap_or_else(|| panic!("no answer in {READ_LIMIT:?}"))
    }

    /// The same, and `None` around it if nothing comes so long.
    pub fn read_frame_within(&mut self, limit: Duration) -> Option<Option<Vec<u8>>> {
        let mut buffer = [0; 16 << 10];
        self.stream.set_read_timeout(Some(limit)).expect("a socket");
        loop {
            if let Some(frame) = self.frames.next_frame().expect("a frame within the cap") {
                return Some(Some(frame.to_vec()));
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Some(None),
                Ok(n) => self.frames.push(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return None,
                Err(_) => return Some(None),
            }
        }
    }
}

/// A handshake.
pub fn handshake(timeout_ms: i32, session_id: i64, password: &[u8], last_zxid_seen: i64) -> ConnectRequest {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen,
        timeout_ms,
        session_id,
        password: password.to_vec(),
        read_only: false,
    }
}

/// A session, one request at a time.
pub struct Session {
    wire: Wire,
    pub id: i64,
    pub password: Vec<u8>,
    pub timeout_ms: i32,
    /// The zxid of the last answer.
    pub zxid: i64,
    /// The watch events so far.
    pub events: Vec<WatcherEvent>,
    next_xid: i32,
}

/// What became of a request: a body, an error code, or the end of the connection.
#[derive(Debug, PartialEq)]
pub enum Answer {
    Ok(Response),
    Error(i32),
    Closed,
}

impl Session {
    pub fn open(address: SocketAddr, timeout_ms: i32) -> Self {
        Self::shake_hands(address, &handshake(timeout_ms, 0, &[0; 16], 0)).expect("a session")
    }

    /// Attaches to this session on a new connection; `None` if it has expired or the server hung up.
    pub fn attach(&self, address: SocketAddr) -> Option<Self> {
        Self::shake_hands(address, &handshake(self.timeout_ms, self.id, &self.password, self.zxid))
    }

    fn shake_hands(address: SocketAddr, request: &ConnectRequest) -> Option<Self> {
        let (wire, response) = Wire::connect(address, request)?;
        (response.timeout_ms > 0).then_some(Self {
            wire,
            id: response.session_id,
            password: response.password,
            timeout_ms: response.timeout_ms,
            zxid: request.last_zxid_seen,
            events: Vec::new(),
            next_xid: 1,
        })
    }

    /// Sends a request and gives the number its answer will have.
    pub fn send(&mut self, request: &Request) -> i32 {
        let xid = match request {
            Request::Ping => xid::PING,
            _ => {
                self.next_xid += 1;
                self.next_xid
            }
        };
        let mut w = Writer::new();
        w.frame(|w| {
            RequestHeader { xid, op: request.op_code() }.encode(w);
            request.encode(w);
        });
        self.wire.write(&w.into_bytes());
        xid
    }

    /// Waits for the answer to what was asked as number `xid`.
    pub fn wait(&mut self, xid: i32, request: &Request) -> Answer {
        self.wait_within(xid, request, READ_LIMIT).unwrap_or_else(|| panic!("{request:?} is not answered"))
    }

    /// The same, and `None` if nothing comes so long.
    pub fn wait_within(&mut self, xid: i32, request: &Request, limit: Duration) -> Option<Answer> {
        loop {
            let Some(frame) = self.wire.read_frame_within(limit)? else { return Some(Answer::Closed) };
            let mut r = Reader::new(&frame);
            let header = ReplyHeader::decode(&mut r).expect("a reply header");
            if header.xid == xid::NOTIFICATION {
                self.events.push(WatcherEvent::decode(&mut r).expect("an event"));
                continue;
            }
            assert_eq!(header.xid, xid, "answers come in order");
            self.zxid = self.zxid.max(header.zxid);
            return Some(match header.err {
                0 => Answer::Ok(Response::decode(request.op_code(), r).expect("an answer")),
                code => Answer::Error(code),
            });
        }
    }

    pub fn ask(&mut self, request: Request) -> Answer {
        let xid = self.send(&request);
        self.wait(xid, &request)
    }

    /// Creates a node open to everybody, and gives its path.
    #[track_caller]
    pub fn create(&mut self, path: &str, mode: CreateMode) -> String {
        match self.ask(create(path, mode)) {
            Answer::Ok(Response::Create { path } | Response::Create2 { path, .. }) => path,
            other => panic!("create {path}: {other:?}"),
        }
    }

    pub fn exists(&mut self, path: &str) -> bool {
        let request = Request::Exists { path: path.to_owned(), watch: false };
        matches!(self.ask(request), Answer::Ok(_))
    }
}

/// The time to live of nodes that are to have one.
const SHORT_MS: i64 = 1;

/// A create of a node open to everybody.
pub fn create(path: &str, mode: CreateMode) -> Request {
    Request::Create {
        path: path.to_owned(),
        data: Vec::new(),
        acl: vec![Acl::world(permissions::ALL)],
        mode,
        ttl_ms: if mode.has_ttl() { SHORT_MS } else { 0 },
        with_stat: mode.has_ttl() || mode == CreateMode::Container,
    }
}
