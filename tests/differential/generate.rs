//! Random operations, of which a good part succeeds: paths are few, and so are versions and identities.

use crate::side::Line;
use fastrand::Rng;
use zkhelper::proto::{
    Acl, CreateMode, MultiOp, MultiResult, Request, Response, WatchMode, WatcherType, op_code, permissions,
};

/// What is sent.
#[derive(Clone)]
pub(crate) enum Op {
    /// A request as the codec writes it.
    Request(Request),
    /// An operation's number and the words of its body.
    Raw(i32, Vec<i32>),
    /// The same request with null for its data.
    NullData(Request),
}

impl Op {
    pub(crate) fn code(&self) -> i32 {
        match self {
            Self::Request(request) | Self::NullData(request) => request.op_code(),
            Self::Raw(code, _) => *code,
        }
    }
}

impl std::fmt::Debug for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // Their `Debug` tells the first path alone.
            Self::Request(Request::Multi(ops) | Request::MultiRead(ops)) => write!(f, "multi {ops:?}"),
            Self::Request(Request::Create { path, acl, mode, .. }) => {
                write!(f, "create {path} {mode:?} {acl:?}")
            }
            Self::Request(Request::Delete { path, version }) => write!(f, "delete {path} {version}"),
            Self::Request(Request::AddWatch { path, mode }) => write!(f, "addWatch {path} {mode:?}"),
            Self::Request(Request::RemoveWatches { path, kind }) => {
                write!(f, "removeWatches {path} {kind:?}")
            }
            Self::Request(Request::CheckWatches { path, kind }) => {
                write!(f, "checkWatches {path} {kind:?}")
            }
            Self::Request(
                Request::Exists { watch, .. }
                | Request::GetData { watch, .. }
                | Request::GetChildren { watch, .. }
                | Request::GetChildren2 { watch, .. },
            ) => {
                let Self::Request(request) = self else { return Ok(()) };
                write!(f, "{request:?} watch={watch}")
            }
            Self::Request(Request::SetWatches { relative_zxid, data, exist, child }) => {
                write!(f, "setWatches {relative_zxid} {data:?} {exist:?} {child:?}")
            }
            Self::NullData(request) => write!(f, "{request:?} with null data"),
            Self::Request(request) => write!(f, "{request:?}"),
            Self::Raw(code, body) => write!(f, "operation {code} {body:x?}"),
        }
    }
}

/// A change of the ensemble, which servers refuse as they are set up here.
const RECONFIG: i32 = 16;
/// Names that have any access control list.
const ANY: [&str; 3] = ["a", "b", "c"];
/// Names that are always open to everybody.
const OPEN: [&str; 2] = ["x", "y"];
/// Names with persistent watches, also always open.
const WATCHED: [&str; 1] = ["p"];

/// See the module. Where 3.8 differs from 3.9 by what was mended since, it is not asked: whether `exists` needs
/// READ, what one-shot and persistent watches of one connection on one path do to each other, types of watch
/// from 3.9 on, checkWatches for watches that others have, `create2` in a transaction, a lone check, and
/// what an unreadable write uses up.
pub(crate) struct Generator {
    root: String,
    has_39: bool,
    sequential: Vec<String>,
    last_zxid: i64,
    markers: u32,
}

impl Generator {
    pub(crate) fn new(root: &str, has_39: bool) -> Self {
        Self { root: root.to_owned(), has_39, sequential: Vec::new(), last_zxid: 0, markers: 0 }
    }

    pub(crate) fn make_root(&self) -> Op {
        Op::Request(create(self.root.clone(), CreateMode::Persistent, open()))
    }

    /// A node that only the expiry of its session removes.
    pub(crate) fn marker(&mut self) -> (Op, String) {
        self.markers += 1;
        // Beside the root, which may be gone or closed to everybody.
        let path = format!("{}-marker{}", self.root, self.markers);
        (Op::Request(create(path.clone(), CreateMode::Ephemeral, open())), path)
    }

    /// Remembers the names that servers gave.
    pub(crate) fn learn(&mut self, heard: &[Line]) {
        for line in heard {
            let Line::Reply { zxid, body, .. } = line else { continue };
            self.last_zxid = self.last_zxid.max(*zxid);
            match body {
                Some(Response::Create { path } | Response::Create2 { path, .. }) => self.remember(path),
                Some(Response::Multi(results)) => {
                    for result in results {
                        if let MultiResult::Create { path } | MultiResult::Create2 { path, .. } = result {
                            self.remember(path);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn remember(&mut self, path: &str) {
        if path.len() > 10 && path.as_bytes().iter().rev().take(10).all(u8::is_ascii_digit) {
            self.sequential.push(path.to_owned());
            if self.sequential.len() > 12 {
                self.sequential.remove(0);
            }
        }
    }

    fn path(&self, rng: &mut Rng) -> String {
        if rng.u8(0..8) == 0
            && let Some(path) = rng.choice(&self.sequential)
        {
            return path.clone();
        }
        let mut path = self.root.clone();
        for _ in 0..[1, 1, 1, 2, 2, 3][rng.usize(0..6)] {
            path.push('/');
            path.push_str(name(rng));
        }
        path
    }

    /// A path that need not be one, or that is special.
    fn odd_path(&self, rng: &mut Rng) -> String {
        let root = &self.root;
        match rng.u8(0..14) {
            0 => String::new(),
            1 => "a".to_owned(),
            2 => format!("{root}/"),
            3 => format!("{root}//a"),
            4 => format!("{root}/."),
            5 => format!("{root}/a/../b"),
            6 => format!("{root}/\u{1}"),
            7 => format!("{root}/é"),
            8 => format!("{root}/\u{e000}"),
            9 => "/zookeeper".to_owned(),
            10 => "/zookeeper/quota".to_owned(),
            11 => "/zookeeper/config".to_owned(),
            12 => "/".to_owned(),
            _ => root.clone(),
        }
    }

    fn any_path(&self, rng: &mut Rng) -> String {
        if rng.u8(0..40) == 0 { self.odd_path(rng) } else { self.path(rng) }
    }

    /// Whether persistent watches may be set there, and one-shot ones may not.
    fn is_watched(path: &str) -> bool {
        WATCHED.iter().any(|name| path.ends_with(name))
    }

    fn is_open(path: &str) -> bool {
        path.split('/')
            .next_back()
            .is_some_and(|name| OPEN.iter().chain(&WATCHED).any(|open| name.starts_with(open)))
    }

    fn one_shot(&self, rng: &mut Rng, path: &str) -> bool {
        rng.bool() && (self.has_39 || !Self::is_watched(path))
    }

    fn acl(&self, rng: &mut Rng, path: &str) -> Vec<Acl> {
        if Self::is_open(path) || rng.u8(0..10) < 7 {
            return open();
        }
        let entry =
            |perms: i32, scheme: &str, id: &str| Acl { perms, scheme: scheme.to_owned(), id: id.to_owned() };
        match rng.u8(0..14) {
            0 => vec![],
            1 => vec![Acl::world(permissions::READ)],
            2 => vec![Acl::world(rng.i32(0..32))],
            3 => vec![Acl::creator(permissions::ALL)],
            4 => vec![Acl::creator(permissions::ALL), Acl::world(permissions::READ)],
            5 => vec![entry(31, "digest", DIGESTS[rng.usize(0..2)])],
            6 => vec![entry(31, "digest", DIGESTS[0]), Acl::world(permissions::READ | permissions::CREATE)],
            7 => vec![entry(
                31,
                "ip",
                ["127.0.0.1", "127.0.0.0/8", "10.0.0.0/8", "0.0.0.0/0"][rng.usize(0..4)],
            )],
            8 => {
                vec![entry(31, "ip", ["localhost", "127.0.0.1/33", "1.2.3", "127.0.0.1/x"][rng.usize(0..4)])]
            }
            9 => vec![entry(31, "digest", ["user", "user:", "a:b:c", ":", ":x"][rng.usize(0..5)])],
            10 => vec![entry(31, "world", "someone")],
            11 => vec![entry(31, "sasl", "user")],
            12 => vec![Acl::world(31), Acl::world(31), Acl::world(1)],
            _ => vec![entry(31, "auth", "ignored"), Acl::world(permissions::CREATE)],
        }
    }

    fn create_parts(
        &self,
        rng: &mut Rng,
        path: String,
        in_multi: bool,
    ) -> (String, Vec<Acl>, CreateMode, i64, bool) {
        // A name that a sequence number is appended to may end with a slash.
        let path = if rng.u8(0..30) == 0 { format!("{path}/") } else { path };
        let acl = self.acl(rng, &path);
        let mode = match rng.u8(0..24) {
            0..8 => CreateMode::Persistent,
            8..14 => CreateMode::Ephemeral,
            14..17 => CreateMode::PersistentSequential,
            17..20 => CreateMode::EphemeralSequential,
            20..22 => CreateMode::Container,
            22 => CreateMode::PersistentTtl,
            _ => CreateMode::PersistentSequentialTtl,
        };
        let good_ttl = rng.i64(1_000_000_000..1 << 40);
        let ttl_ms = match rng.u8(0..8) {
            0 if !in_multi => [0, -1, 1 << 40, i64::MIN, i64::MAX][rng.usize(0..5)],
            _ => good_ttl,
        };
        let with_stat =
            mode == CreateMode::Container || mode.has_ttl() || (rng.bool() && (self.has_39 || !in_multi));
        (path, acl, mode, ttl_ms, with_stat)
    }

    /// Operations that are about each other: on one node, its parent and its children.
    fn multi(&self, rng: &mut Rng) -> Vec<MultiOp> {
        let focus = self.path(rng);
        let parent = focus.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned();
        let count = rng.usize(0..7);
        (0..count)
            .map(|_| {
                let path = match rng.u8(0..10) {
                    0..5 => focus.clone(),
                    5..7 => format!("{focus}/{}", name(rng)),
                    7 => parent.clone(),
                    _ => self.any_path(rng),
                };
                self.multi_op(rng, path)
            })
            .collect()
    }

    fn multi_op(&self, rng: &mut Rng, path: String) -> MultiOp {
        let version = version(rng);
        match rng.u8(0..10) {
            0..4 => {
                let (path, acl, mode, ttl_ms, with_stat) = self.create_parts(rng, path, true);
                MultiOp::Create { path, data: data(rng), acl, mode, ttl_ms, with_stat }
            }
            4..6 => MultiOp::Delete { path, version },
            6..8 => MultiOp::SetData { path, data: data(rng), version },
            _ => MultiOp::Check { path, version },
        }
    }

    pub(crate) fn operation(&self, rng: &mut Rng) -> Op {
        let path = self.any_path(rng);
        let version = version(rng);
        let null_data = rng.u8(0..10) == 0;
        let request = match rng.u8(0..100) {
            0..24 => {
                let (path, acl, mode, ttl_ms, with_stat) = self.create_parts(rng, path, false);
                let data = if null_data { Vec::new() } else { data(rng) };
                Request::Create { path, data, acl, mode, ttl_ms, with_stat }
            }
            24..36 => Request::Delete { path, version },
            36..44 => {
                let data = if null_data { Vec::new() } else { data(rng) };
                Request::SetData { path, data, version }
            }
            44..52 => {
                let may = self.has_39 || Self::is_open(&path);
                let watch = self.one_shot(rng, &path);
                if may { Request::Exists { path, watch } } else { Request::GetData { path, watch } }
            }
            52..60 => Request::GetData { watch: self.one_shot(rng, &path), path },
            60..64 => Request::GetChildren { watch: self.one_shot(rng, &path), path },
            64..70 => Request::GetChildren2 { watch: self.one_shot(rng, &path), path },
            70..73 => Request::GetAcl { path },
            73..75 => {
                // Nodes that later seeds need stay as they are.
                let path = if path.len() > self.root.len() { path } else { self.path(rng) };
                Request::SetAcl { acl: self.acl(rng, &path), path, version: -1 }
            }
            75..85 => Request::Multi(self.multi(rng)),
            85..87 => Request::MultiRead(
                (0..rng.usize(0..4))
                    .map(|_| {
                        let path = self.any_path(rng);
                        if rng.bool() { MultiOp::GetData { path } } else { MultiOp::GetChildren { path } }
                    })
                    .collect(),
            ),
            87 => Request::Sync { path },
            88..90 => return self.add_watch(rng),
            90..92 => return self.remove_watches(rng, path),
            92 => Request::GetEphemerals {
                prefix: [String::new(), "/".to_owned(), path, "nowhere".to_owned()][rng.usize(0..4)].clone(),
            },
            93 => {
                Request::GetAllChildrenNumber { path: if path.is_empty() { self.root.clone() } else { path } }
            }
            94 => Request::WhoAmI,
            95..98 => return self.set_watches(rng),
            _ => return unreadable(rng, self.has_39),
        };
        match request {
            Request::Create { .. } | Request::SetData { .. } if null_data => Op::NullData(request),
            request => Op::Request(request),
        }
    }

    fn add_watch(&self, rng: &mut Rng) -> Op {
        let recursive = rng.bool();
        let mode = if recursive { WatchMode::PersistentRecursive } else { WatchMode::Persistent };
        let path = match (self.has_39, recursive) {
            (true, _) => self.any_path(rng),
            (false, true) => format!("{}/{}", self.root, WATCHED[0]),
            (false, false) => format!("{}/{}/{}", self.root, name(rng), WATCHED[0]),
        };
        Op::Request(Request::AddWatch { path, mode })
    }

    fn remove_watches(&self, rng: &mut Rng, path: String) -> Op {
        let kinds = [
            WatcherType::Any,
            WatcherType::Data,
            WatcherType::Children,
            WatcherType::Persistent,
            WatcherType::PersistentRecursive,
        ];
        let kind = match (self.has_39, Self::is_watched(&path)) {
            (true, _) => kinds[rng.usize(0..5)],
            (false, true) => WatcherType::Any,
            (false, false) => kinds[rng.usize(0..3)],
        };
        Op::Request(if self.has_39 && rng.bool() {
            Request::CheckWatches { path, kind }
        } else {
            Request::RemoveWatches { path, kind }
        })
    }

    /// What a client sends that comes back with its watches.
    pub(crate) fn set_watches(&self, rng: &mut Rng) -> Op {
        let missed = if rng.bool() { 60 } else { 6 };
        let relative_zxid = rng.i64((self.last_zxid - missed).max(0)..=self.last_zxid);
        let mut paths = |watched: bool| -> Vec<String> {
            (0..rng.usize(0..4))
                .map(|_| self.path(rng))
                .filter(|path| self.has_39 || Self::is_watched(path) == watched)
                .collect()
        };
        let (data, exist, child) = (paths(false), paths(false), paths(false));
        let (persistent, recursive) = (paths(true), paths(true));
        Op::Request(if relative_zxid % 2 == 0 {
            Request::SetWatches { relative_zxid, data, exist, child }
        } else {
            // Two modes on one path are one of the things that 3.8 gets wrong.
            let recursive = if self.has_39 { recursive } else { Vec::new() };
            let persistent = if self.has_39 { persistent } else { Vec::new() };
            Request::SetWatches2 { relative_zxid, data, exist, child, persistent, recursive }
        })
    }

    /// Goes alone: servers answer it before what was asked earlier.
    pub(crate) fn auth(&self, rng: &mut Rng) -> Op {
        Op::Request(match rng.u8(0..5) {
            0 => Request::Auth { scheme: "ip".to_owned(), auth: Vec::new() },
            _ => Request::Auth { scheme: "digest".to_owned(), auth: USERS[rng.usize(0..2)].into() },
        })
    }

    /// An operation after which a server closes the connection.
    pub(crate) fn fatal(&self, rng: &mut Rng) -> Op {
        match rng.u8(0..4) {
            0 => Op::Request(Request::Auth { scheme: "nobody".to_owned(), auth: b"x".to_vec() }),
            1 if self.has_39 => Op::Request(Request::Check { path: self.root.clone(), version: -1 }),
            2 => Op::Raw(4_711, vec![]),
            _ => Op::Raw(0, vec![1, 2]),
        }
    }
}

/// A body that ends early, or claims what there is not. Other writes than a transaction are left out on 3.8,
/// where they use up a zxid.
fn unreadable(rng: &mut Rng, has_39: bool) -> Op {
    let bodies: [(i32, &[i32]); 8] = [
        (op_code::GET_DATA, &[]),
        (op_code::MULTI, &[op_code::CREATE]),
        (op_code::EXISTS, &[-2]),
        (op_code::SET_WATCHES, &[0, 0, 5]),
        (RECONFIG, &[-1, -1, -1, -1, -1]),
        (op_code::SET_DATA, &[100, 0]),
        (op_code::CREATE, &[i32::MAX]),
        (op_code::DELETE, &[1]),
    ];
    let (op, body) = bodies[rng.usize(0..if has_39 { 8 } else { 5 })];
    Op::Raw(op, body.to_vec())
}

fn create(path: String, mode: CreateMode, acl: Vec<Acl>) -> Request {
    Request::Create { path, data: Vec::new(), acl, mode, ttl_ms: 0, with_stat: false }
}

fn open() -> Vec<Acl> {
    vec![Acl::world(permissions::ALL)]
}

fn name(rng: &mut Rng) -> &'static str {
    match rng.u8(0..8) {
        0..4 => ANY[rng.usize(0..ANY.len())],
        4..7 => OPEN[rng.usize(0..OPEN.len())],
        _ => WATCHED[0],
    }
}

fn version(rng: &mut Rng) -> i32 {
    match rng.u8(0..10) {
        0..6 => -1,
        6..9 => rng.i32(0..3),
        _ => rng.i32(..),
    }
}

fn data(rng: &mut Rng) -> Vec<u8> {
    (0..rng.usize(0..6)).map(|_| rng.u8(..)).collect()
}

const USERS: [&[u8]; 2] = [b"ann:secret", b"bob"];
/// The same two, as lists name them.
const DIGESTS: [&str; 2] = ["ann:7RJfAeIvrl4zdj6sS2fXrQHDvHM=", "bob:SBgazSKz7a68ikR4aKfffOYpkgo="];
