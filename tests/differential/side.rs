//! One of the two that are compared, with its sessions; and what they hear, in a form that can be compared.

use crate::generate::Op;
use crate::service::{Link, Service, connect};
use crate::wire::handshake;
use std::collections::HashMap;
use std::time::Duration;
use zkhelper::proto::{
    Acl, MultiResult, Reader, ReplyHeader, Request, RequestHeader, Response, Stat, WatcherEvent, Writer,
    op_code, xid,
};

/// Something that a session heard.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Line {
    /// An answer: the request's number in its session, the server's state, and an error or a body.
    Reply { xid: i32, zxid: i64, err: i32, body: Option<Response>, null_data: bool },
    /// A watch event.
    Event { zxid: i64, event: WatcherEvent },
    /// The server closed the connection.
    Closed,
}

impl Line {
    pub(crate) fn is_event(&self) -> bool {
        matches!(self, Self::Event { .. })
    }

    pub(crate) fn is_success(&self) -> bool {
        matches!(self, Self::Reply { err: 0, .. })
    }
}

/// A connection, and what it waits for.
struct Connection {
    link: Box<dyn Link>,
    /// The operations that are not answered yet; for pings, how many.
    pending: HashMap<i32, i32>,
}

impl Connection {
    fn new(link: Box<dyn Link>) -> Self {
        Self { link, pending: HashMap::new() }
    }
}

struct Client {
    connection: Option<Connection>,
    /// Which server it is, or was last, connected to.
    server: usize,
    /// It goes on from one connection to the next: a follower knows what became of a write by session and number.
    last_xid: i32,
    id: i64,
    password: Vec<u8>,
}

/// See the module.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    service: Box<dyn Service>,
    /// Before the first of this comparison's transactions.
    base: i64,
    /// The last transaction that anybody here has heard of, which a server that lags may not know yet.
    seen: i64,
    clients: Vec<Client>,
    observer: Box<dyn Link>,
    /// Every session so far, in order: what ids are compared by.
    ids: Vec<i64>,
    has_event_zxid: bool,
}

impl Side {
    pub(crate) fn new(
        name: &'static str,
        service: Box<dyn Service>,
        sessions: usize,
        has_event_zxid: bool,
    ) -> Self {
        let (observer, _) =
            connect(&*service, 0, &handshake(10_000, 0, &[0; 16], 0)).expect("a session to look with");
        let servers = service.servers();
        let client = |session| Client {
            connection: None,
            server: session % servers,
            last_xid: 1,
            id: 0,
            password: Vec::new(),
        };
        let clients = (0..sessions).map(client).collect();
        let mut side =
            Self { name, service, base: 0, seen: 0, clients, observer, ids: Vec::new(), has_event_zxid };
        side.base = side.ask(&Request::Ping).0.zxid;
        side
    }

    pub(crate) fn servers(&self) -> usize {
        self.service.servers()
    }

    pub(crate) fn server_of(&self, session: usize) -> usize {
        self.clients[session].server
    }

    pub(crate) fn pause(&self, time: Duration) {
        self.service.pause(time);
    }

    pub(crate) fn now(&self) -> Duration {
        self.service.now()
    }

    /// One request of the observer.
    fn ask(&mut self, request: &Request) -> (ReplyHeader, Vec<u8>) {
        let mut w = Writer::new();
        let header = RequestHeader { xid: 1, op: request.op_code() };
        w.frame(|w| {
            header.encode(w);
            request.encode(w);
        });
        self.observer.write(&w.into_bytes());
        let answer = self.observer.read_frame().expect("the observer is answered");
        let header = ReplyHeader::decode(&mut Reader::new(&answer)).expect("a reply");
        self.seen = self.seen.max(header.zxid);
        (header, answer)
    }

    /// Closes the observer's session, which would use up a transaction of a later comparison at its expiry.
    pub(crate) fn finish(mut self) {
        self.ask(&Request::CloseSession);
    }

    pub(crate) fn exists(&mut self, path: &str) -> bool {
        // Nobody else keeps the other sessions alive while one side waits for an expiry.
        self.send_pings(&(0..self.clients.len()).collect::<Vec<_>>());
        self.ask(&Request::Exists { path: path.to_owned(), watch: false }).0.err == 0
    }

    pub(crate) fn open(&mut self, session: usize, timeout_ms: i32) -> i32 {
        let server = self.clients[session].server;
        let (link, response) = connect(&*self.service, server, &handshake(timeout_ms, 0, &[0; 16], 0))
            .expect("a new session is not refused");
        assert_eq!(response.password.len(), 16);
        self.ids.push(response.session_id);
        self.clients[session] = Client {
            connection: Some(Connection::new(link)),
            server,
            last_xid: 1,
            id: response.session_id,
            password: response.password,
        };
        response.timeout_ms
    }

    /// Attaches to the session again, and gives the negotiated timeout. The connection that it has is closed by
    /// the server, also if the password is wrong.
    pub(crate) fn attach(&mut self, session: usize, timeout_ms: i32, right: bool) -> Option<i32> {
        let client = &mut self.clients[session];
        let before = client.connection.take();
        let password = if right { client.password.clone() } else { vec![7; 16] };
        let request = handshake(timeout_ms, client.id, &password, 0);
        let (link, response) = connect(&*self.service, client.server, &request)?;
        if response.timeout_ms > 0 {
            assert_eq!((response.session_id, &response.password), (client.id, &client.password));
            client.connection = Some(Connection::new(link));
        } else {
            assert_eq!((response.session_id, response.password), (0, vec![0; 16]));
        }
        if let Some(mut before) = before {
            while before.link.read_frame().is_some() {}
        }
        Some(response.timeout_ms)
    }

    /// Goes to another server with a session whose connection to this one stays open. Gives what the session hears
    /// by that one, on which it sends these operations after it has moved: the last one ends it.
    pub(crate) fn outrun(&mut self, session: usize, server: usize, timeout_ms: i32, ops: &[Op]) -> Vec<Line> {
        let before = self.clients[session].connection.take();
        self.clients[session].server = server;
        self.attach(session, timeout_ms, true).expect("a session that lives");
        let moved = std::mem::replace(&mut self.clients[session].connection, before);
        self.send(session, ops);
        let lines = self.read_to_end(session);
        self.clients[session].connection = moved;
        lines
    }

    /// The session comes by this server from its next connection on.
    pub(crate) fn go_to(&mut self, session: usize, server: usize) {
        self.clients[session].server = server;
    }

    /// Shakes hands as a client that has seen more than the server.
    pub(crate) fn open_ahead(&mut self) -> bool {
        connect(&*self.service, 0, &handshake(10_000, 0, &[0; 16], i64::MAX)).is_some()
    }

    pub(crate) fn drop_connection(&mut self, session: usize) {
        self.clients[session].connection = None;
    }

    pub(crate) fn forget(&mut self, session: usize) {
        let server = self.clients[session].server;
        self.clients[session] = Client { connection: None, server, last_xid: 1, id: 0, password: Vec::new() };
    }

    pub(crate) fn send(&mut self, session: usize, ops: &[Op]) {
        let base = self.base;
        let client = &mut self.clients[session];
        let Some(connection) = &mut client.connection else { panic!("session {session} is not open") };
        let mut w = Writer::new();
        for op in ops {
            let xid = match op {
                Op::Request(Request::Auth { .. }) => xid::AUTH,
                Op::Request(Request::SetWatches { .. } | Request::SetWatches2 { .. }) => xid::SET_WATCHES,
                _ => {
                    client.last_xid += 1;
                    client.last_xid
                }
            };
            let op_code = op.code();
            connection.pending.insert(xid, op_code);
            let mut frame = Writer::new();
            RequestHeader { xid, op: op_code }.encode(&mut frame);
            match op {
                Op::Request(request) => with_absolute_zxid(request, base).encode(&mut frame),
                Op::NullData(request) => request.encode(&mut frame),
                Op::Raw(_, body) => body.iter().for_each(|word| frame.i32(*word)),
            }
            let mut frame = frame.into_bytes();
            if let Op::NullData(request) = op {
                // The data is empty: −1 takes the place of its length.
                let at = RequestHeader::LEN + 4 + request.path().map_or(0, str::len);
                frame[at..at + 4].fill(0xff);
            }
            w.bytes(&frame);
        }
        connection.link.write(&w.into_bytes());
    }

    /// Keeps the observer's session alive, whose end would use up a transaction.
    pub(crate) fn keep_observer(&mut self) {
        self.ask(&Request::Ping);
    }

    pub(crate) fn send_pings(&mut self, sessions: &[usize]) {
        for session in sessions {
            let Some(connection) = &mut self.clients[*session].connection else { continue };
            let mut w = Writer::new();
            w.frame(|w| RequestHeader { xid: xid::PING, op: Request::Ping.op_code() }.encode(w));
            connection.link.write(&w.into_bytes());
            *connection.pending.entry(xid::PING).or_default() += 1;
        }
    }

    /// What a session heard before the answer to its last ping, and until its server knows all that others heard of.
    pub(crate) fn read_to_ping(&mut self, session: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut zxid = self.seen;
        while let Some(connection) = &mut self.clients[session].connection {
            let pings = connection.pending.get(&xid::PING).copied().unwrap_or(0);
            if pings == 0 {
                if zxid >= self.seen {
                    break;
                }
                self.send_pings(&[session]);
                continue;
            }
            match self.read_line(session) {
                Some(Line::Reply { xid: xid::PING, zxid: known, .. }) => {
                    zxid = known;
                    if let Some(connection) = &mut self.clients[session].connection {
                        connection.pending.insert(xid::PING, pings - 1);
                    }
                }
                Some(line) => lines.push(line),
                None => {
                    self.clients[session].connection = None;
                    lines.push(Line::Closed);
                }
            }
        }
        lines
    }

    /// What a session heard before the server closed the connection.
    pub(crate) fn read_to_end(&mut self, session: usize) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(line) = self.read_line(session) {
            lines.push(line);
        }
        lines.push(Line::Closed);
        self.clients[session].connection = None;
        lines
    }

    fn read_line(&mut self, session: usize) -> Option<Line> {
        let connection = self.clients[session].connection.as_mut()?;
        let frame = connection.link.read_frame()?;
        let mut r = Reader::new(&frame);
        let header = ReplyHeader::decode(&mut r).expect("a reply header");
        if header.xid == xid::NOTIFICATION {
            let event = WatcherEvent::decode(&mut r).expect("an event");
            let zxid = if self.has_event_zxid { self.relative(header.zxid) } else { 0 };
            return Some(Line::Event { zxid, event });
        }
        self.seen = self.seen.max(header.zxid);
        if header.xid == xid::PING {
            return Some(Line::Reply {
                xid: header.xid,
                zxid: header.zxid,
                err: header.err,
                body: None,
                null_data: false,
            });
        }
        let op = *connection.pending.get(&header.xid).expect("an answer to what was asked");
        let null_data = op == op_code::GET_DATA && r.clone().i32("data") == Ok(-1);
        let body = (header.err == 0)
            .then(|| Response::decode(op, r).unwrap_or_else(|e| panic!("answer to operation {op}: {e}")))
            .map(|body| self.comparable(body));
        Some(Line::Reply {
            xid: header.xid,
            zxid: self.relative(header.zxid),
            err: header.err,
            body,
            null_data,
        })
    }

    /// Transactions are counted from the start of the comparison; those that are none stay as they are.
    fn relative(&self, zxid: i64) -> i64 {
        if zxid > 0 { zxid - self.base } else { zxid }
    }

    fn comparable(&self, body: Response) -> Response {
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        match body {
            Response::Create2 { path, stat } => Response::Create2 { path, stat: self.comparable_stat(stat) },
            Response::Stat(stat) => Response::Stat(self.comparable_stat(stat)),
            Response::Data { data, stat } => Response::Data { data, stat: self.comparable_stat(stat) },
            Response::Acl { mut acl, stat } => {
                acl.sort_by_key(|Acl { perms, scheme, id }| (scheme.clone(), id.clone(), *perms));
                Response::Acl { acl, stat: self.comparable_stat(stat) }
            }
            Response::Children { children } => {
                Response::Children { children: sorted(children.to_vec()).iter().collect() }
            }
            Response::Children2 { children, stat } => {
                let children = sorted(children.to_vec()).iter().collect();
                Response::Children2 { children, stat: self.comparable_stat(stat) }
            }
            Response::Ephemerals(paths) => Response::Ephemerals(sorted(paths)),
            Response::Identities(mut list) => {
                list.sort_by_key(|info| (info.scheme.clone(), info.user.clone()));
                Response::Identities(list)
            }
            Response::Multi(results) => Response::Multi(
                results
                    .into_iter()
                    .map(|result| match result {
                        MultiResult::Create2 { path, stat } => {
                            MultiResult::Create2 { path, stat: self.comparable_stat(stat) }
                        }
                        MultiResult::SetData { stat } => {
                            MultiResult::SetData { stat: self.comparable_stat(stat) }
                        }
                        MultiResult::GetData { data, stat } => {
                            MultiResult::GetData { data, stat: self.comparable_stat(stat) }
                        }
                        MultiResult::GetChildren { children } => {
                            MultiResult::GetChildren { children: sorted(children) }
                        }
                        other => other,
                    })
                    .collect(),
            ),
            other => other,
        }
    }

    fn comparable_stat(&self, stat: Stat) -> Stat {
        let owner = match stat.ephemeral_owner {
            0 => 0,
            id => match self.ids.iter().position(|known| *known == id) {
                Some(index) => index as i64 + 1,
                None => -1,
            },
        };
        Stat {
            czxid: self.relative(stat.czxid),
            mzxid: self.relative(stat.mzxid),
            pzxid: self.relative(stat.pzxid),
            ctime: 0,
            mtime: 0,
            ephemeral_owner: owner,
            ..stat
        }
    }
}

/// What a client says it has seen is counted from the start too.
fn with_absolute_zxid(request: &Request, base: i64) -> Request {
    let mut request = request.clone();
    match &mut request {
        Request::SetWatches { relative_zxid, .. } | Request::SetWatches2 { relative_zxid, .. } => {
            *relative_zxid += base;
        }
        _ => {}
    }
    request
}
