//! The bare protocol on blocking sockets: what ZooKeeper itself takes. No lease, no reconnect, no care.

use super::{Cost, Order, PATHS, SESSIONS};
use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const CREATE: i32 = 1;
const DELETE: i32 = 2;
const GET_DATA: i32 = 4;
const GET_CHILDREN: i32 = 8;
const CLOSE: i32 = -11;
/// The xid of a watch's event.
const EVENT: i32 = -1;
const EPHEMERAL_SEQUENTIAL: i32 = 3;

struct Socket {
    stream: TcpStream,
    out: Vec<u8>,
    input: Vec<u8>,
    read: usize,
    next_xid: i32,
}

/// An answer or an event: its xid, its error code, and what follows.
struct Frame {
    xid: i32,
    error: i32,
    body: Vec<u8>,
}

fn int(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn text(bytes: &[u8], at: usize) -> (&str, usize) {
    let end = at + 4 + int(bytes, at) as usize;
    (std::str::from_utf8(&bytes[at + 4..end]).expect("a text"), end)
}

impl Socket {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let mut socket = Self { stream, out: Vec::new(), input: Vec::new(), read: 0, next_xid: 1 };
        let mut hello = Vec::new();
        hello.extend(0_i32.to_be_bytes());
        hello.extend(0_i64.to_be_bytes());
        hello.extend(30_000_i32.to_be_bytes());
        hello.extend(0_i64.to_be_bytes());
        hello.extend(16_i32.to_be_bytes());
        hello.extend([0; 17]);
        socket.frame(&hello);
        socket.flush();
        socket.bytes();
        socket
    }

    fn frame(&mut self, body: &[u8]) {
        self.out.extend((body.len() as i32).to_be_bytes());
        self.out.extend(body);
    }

    fn send(&mut self, op: i32, path: &str, rest: &[u8]) -> i32 {
        let xid = self.next_xid;
        self.next_xid += 1;
        let mut body = Vec::with_capacity(64 + path.len());
        body.extend(xid.to_be_bytes());
        body.extend(op.to_be_bytes());
        if op != CLOSE {
            body.extend((path.len() as i32).to_be_bytes());
            body.extend(path.as_bytes());
        }
        body.extend(rest);
        self.frame(&body);
        xid
    }

    fn create(&mut self, path: &str, flags: i32) -> i32 {
        let mut rest = Vec::new();
        // No data; world:anyone may do everything.
        rest.extend(0_i32.to_be_bytes());
        rest.extend(1_i32.to_be_bytes());
        rest.extend(31_i32.to_be_bytes());
        for word in ["world", "anyone"] {
            rest.extend((word.len() as i32).to_be_bytes());
            rest.extend(word.as_bytes());
        }
        rest.extend(flags.to_be_bytes());
        self.send(CREATE, path, &rest)
    }

    fn delete(&mut self, path: &str) -> i32 {
        self.send(DELETE, path, &(-1_i32).to_be_bytes())
    }

    /// The flight with which every lock begins.
    fn enqueue(&mut self, path: &str) -> i32 {
        let xid = self.create(&format!("{path}/lock-"), EPHEMERAL_SEQUENTIAL);
        self.send(GET_CHILDREN, path, &[0]);
        xid
    }

    fn flush(&mut self) {
        if !self.out.is_empty() {
            self.stream.write_all(&self.out).expect("written");
            self.out.clear();
        }
    }

    /// A whole frame, if it is there already.
    fn buffered(&mut self) -> Option<Vec<u8>> {
        let rest = &self.input[self.read..];
        if rest.len() < 4 || rest.len() < 4 + int(rest, 0) as usize {
            return None;
        }
        let end = 4 + int(rest, 0) as usize;
        let body = rest[4..end].to_vec();
        self.read += end;
        Some(body)
    }

    fn bytes(&mut self) -> Vec<u8> {
        loop {
            if let Some(body) = self.buffered() {
                return body;
            }
            self.input.drain(..self.read);
            self.read = 0;
            let mut chunk = [0; 64 * 1024];
            let n = self.stream.read(&mut chunk).expect("read");
            assert!(n > 0, "the server closed the connection");
            self.input.extend(&chunk[..n]);
        }
    }

    fn parse(bytes: Vec<u8>) -> Frame {
        Frame { xid: int(&bytes, 0), error: int(&bytes, 12), body: bytes[16..].to_vec() }
    }

    /// The next answer; writes what is due first.
    fn next(&mut self) -> Frame {
        if let Some(body) = self.buffered() {
            return Self::parse(body);
        }
        self.flush();
        let body = self.bytes();
        Self::parse(body)
    }

    /// The next answer that is no event.
    fn answer(&mut self) -> Frame {
        loop {
            let frame = self.next();
            if frame.xid != EVENT {
                return frame;
            }
        }
    }

    fn make(&mut self, path: &str) {
        for (at, _) in path.match_indices('/').skip(1).chain([(path.len(), "")]) {
            self.create(&path[..at], 0);
            self.answer();
        }
    }

    fn count(&mut self, path: &str) -> usize {
        self.send(GET_CHILDREN, path, &[0]);
        int(&self.answer().body, 0) as usize
    }

    fn close(mut self) {
        self.send(CLOSE, "", &[]);
        self.answer();
    }
}

/// Who is right before us in a list, if anybody is.
fn before(list: &[u8], own: &str) -> Option<String> {
    let mut at = 4;
    let mut best: Option<&str> = None;
    for _ in 0..int(list, 0) {
        let (name, next) = text(list, at);
        at = next;
        if name < own && best.is_none_or(|best| best < name) {
            best = Some(name);
        }
    }
    best.map(str::to_owned)
}

fn own(created: &Frame, path: &str) -> String {
    assert_eq!(created.error, 0, "create failed");
    text(&created.body, 0).0[path.len() + 1..].to_owned()
}

pub fn run(address: &str, order: &Order) -> Cost {
    match order.row.as_str() {
        "alone" => alone(address, order),
        "paths" => paths(address, order),
        "handoff" => handoff(address, order),
        "drain" => drain(address, order),
        other => panic!("no row {other}"),
    }
}

fn alone(address: &str, order: &Order) -> Cost {
    let mut socket = Socket::connect(address);
    socket.make(&order.path);
    let mut each = Vec::new();
    let begin = Instant::now();
    for _ in 0..order.count {
        let begin = Instant::now();
        socket.enqueue(&order.path);
        let created = socket.answer();
        let list = socket.answer();
        let own = own(&created, &order.path);
        assert!(before(&list.body, &own).is_none());
        socket.delete(&format!("{}/{own}", order.path));
        socket.answer();
        each.push(begin.elapsed());
    }
    let total = begin.elapsed();
    socket.close();
    Cost { cycles: order.count, total, each }
}

/// One socket, 64 state machines.
fn paths(address: &str, order: &Order) -> Cost {
    let mut socket = Socket::connect(address);
    let paths: Vec<_> = (0..PATHS).map(|i| format!("{}/{i}", order.path)).collect();
    for path in &paths {
        socket.make(path);
    }
    let mut due: HashMap<i32, (usize, &str)> = HashMap::new();
    let mut left = vec![order.count; PATHS];
    let mut running = PATHS;
    let begin = Instant::now();
    for (i, path) in paths.iter().enumerate() {
        due.insert(socket.enqueue(path), (i, "created"));
    }
    let mut nodes = vec![String::new(); PATHS];
    while running > 0 {
        let frame = socket.next();
        let Some((i, what)) = due.remove(&frame.xid) else { continue };
        match what {
            "created" => {
                nodes[i] = own(&frame, &paths[i]);
                due.insert(frame.xid + 1, (i, "listed"));
            }
            "listed" => {
                assert!(before(&frame.body, &nodes[i]).is_none());
                let xid = socket.delete(&format!("{}/{}", paths[i], nodes[i]));
                due.insert(xid, (i, "deleted"));
            }
            _ => {
                left[i] -= 1;
                if left[i] == 0 {
                    running -= 1;
                } else {
                    due.insert(socket.enqueue(&paths[i]), (i, "created"));
                }
            }
        }
    }
    let total = begin.elapsed();
    socket.close();
    Cost { cycles: PATHS * order.count, total, each: Vec::new() }
}

/// Takes the event for the turn: nobody gives up here.
fn contend(mut socket: Socket, path: &str, count: usize) -> Socket {
    for _ in 0..count {
        socket.enqueue(path);
        let created = socket.answer();
        let list = socket.answer();
        let own = own(&created, path);
        if let Some(before) = before(&list.body, &own) {
            socket.send(GET_DATA, &format!("{path}/{before}"), &[1]);
            let read = socket.answer();
            // Where it is gone already, there is nobody before us.
            while read.error == 0 && socket.next().xid != EVENT {}
        }
        socket.delete(&format!("{path}/{own}"));
        socket.answer();
    }
    socket
}

fn handoff(address: &str, order: &Order) -> Cost {
    let mut sockets: Vec<_> = (0..SESSIONS).map(|_| Socket::connect(address)).collect();
    sockets[0].make(&order.path);
    let begin = Instant::now();
    let mut total = Duration::ZERO;
    std::thread::scope(|scope| {
        let contenders: Vec<_> =
            sockets.drain(..).map(|socket| scope.spawn(|| contend(socket, &order.path, order.count))).collect();
        let sockets: Vec<_> = contenders.into_iter().map(|thread| thread.join().expect("a contender")).collect();
        total = begin.elapsed();
        sockets.into_iter().for_each(Socket::close);
    });
    Cost { cycles: SESSIONS * order.count, total, each: Vec::new() }
}

/// One socket, and a watch of each waiter on the one before it.
fn drain(address: &str, order: &Order) -> Cost {
    let mut socket = Socket::connect(address);
    socket.make(&order.path);
    let mut nodes = VecDeque::new();
    for _ in 0..=order.count {
        socket.create(&format!("{}/lock-", order.path), EPHEMERAL_SEQUENTIAL);
        let created = socket.answer();
        nodes.push_back(format!("{}/{}", order.path, own(&created, &order.path)));
    }
    assert_eq!(socket.count(&order.path), order.count + 1);
    for node in nodes.iter().take(order.count) {
        socket.send(GET_DATA, node, &[1]);
        socket.answer();
    }
    let begin = Instant::now();
    let first = nodes.pop_front().expect("the holder");
    socket.delete(&first);
    while let Some(node) = nodes.pop_front() {
        while socket.next().xid != EVENT {}
        socket.delete(&node);
    }
    socket.flush();
    // The last one's own answer, which nobody has to hear of by an event.
    let last = socket.next_xid - 1;
    while socket.next().xid != last {}
    let total = begin.elapsed();
    socket.close();
    Cost { cycles: order.count, total, each: Vec::new() }
}
