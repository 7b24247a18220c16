//! Random values of everything the protocol can say.

// Each test binary compiles the whole module and uses a part of it.
#![allow(dead_code, unreachable_pub)]

use fastrand::Rng;
use zkhelper::proto::{
    Acl, ClientInfo, CreateMode, MultiOp, MultiResult, Request, Response, Stat, WatchMode, WatcherType,
    op_code,
};

pub fn bytes(rng: &mut Rng) -> Vec<u8> {
    (0..rng.usize(0..20)).map(|_| rng.u8(..)).collect()
}

pub fn text(rng: &mut Rng) -> String {
    (0..rng.usize(0..12)).map(|_| rng.char(..)).collect()
}

pub fn list<T>(rng: &mut Rng, item: impl Fn(&mut Rng) -> T) -> Vec<T> {
    (0..rng.usize(0..5)).map(|_| item(rng)).collect()
}

pub fn acl(rng: &mut Rng) -> Acl {
    Acl { perms: rng.i32(..), scheme: text(rng), id: text(rng) }
}

pub fn stat(rng: &mut Rng) -> Stat {
    Stat {
        czxid: rng.i64(..),
        mzxid: rng.i64(..),
        ctime: rng.i64(..),
        mtime: rng.i64(..),
        version: rng.i32(..),
        cversion: rng.i32(..),
        aversion: rng.i32(..),
        ephemeral_owner: rng.i64(..),
        data_length: rng.i32(..),
        num_children: rng.i32(..),
        pzxid: rng.i64(..),
    }
}

/// A mode, and the rest of what depends on it: the time to live, and whether the answer brings a `Stat`.
pub fn mode(rng: &mut Rng) -> (CreateMode, i64, bool) {
    let mode = CreateMode::from_flags(rng.i32(0..7)).expect("a mode for every number");
    let ttl_ms = if mode.has_ttl() { rng.i64(..) } else { 0 };
    (mode, ttl_ms, mode.has_ttl() || mode == CreateMode::Container || rng.bool())
}

pub fn watcher_type(rng: &mut Rng) -> WatcherType {
    WatcherType::from_wire(rng.i32(1..6)).expect("a type for every number")
}

pub fn multi_op(rng: &mut Rng) -> MultiOp {
    let (path, version) = (text(rng), rng.i32(..));
    match rng.u8(0..6) {
        0 => {
            let (mode, ttl_ms, with_stat) = mode(rng);
            MultiOp::Create { path, data: bytes(rng), acl: list(rng, acl), mode, ttl_ms, with_stat }
        }
        1 => MultiOp::Delete { path, version },
        2 => MultiOp::SetData { path, data: bytes(rng), version },
        3 => MultiOp::Check { path, version },
        4 => MultiOp::GetData { path },
        _ => MultiOp::GetChildren { path },
    }
}

pub const REQUEST_KINDS: u8 = 26;

pub fn request(rng: &mut Rng, kind: u8) -> Request {
    let (path, version, watch) = (text(rng), rng.i32(..), rng.bool());
    match kind {
        0 => {
            let (mode, ttl_ms, with_stat) = mode(rng);
            Request::Create { path, data: bytes(rng), acl: list(rng, acl), mode, ttl_ms, with_stat }
        }
        1 => Request::Delete { path, version },
        2 => Request::Exists { path, watch },
        3 => Request::GetData { path, watch },
        4 => Request::SetData { path, data: bytes(rng), version },
        5 => Request::GetAcl { path },
        6 => Request::SetAcl { path, acl: list(rng, acl), version },
        7 => Request::GetChildren { path, watch },
        8 => Request::GetChildren2 { path, watch },
        9 => Request::Sync { path },
        10 => Request::Ping,
        11 => Request::Check { path, version },
        12 => Request::Multi(list(rng, multi_op)),
        13 => Request::MultiRead(list(rng, multi_op)),
        14 => Request::RemoveWatches { path, kind: watcher_type(rng) },
        15 => Request::CheckWatches { path, kind: watcher_type(rng) },
        16 => {
            let mode = if rng.bool() { WatchMode::Persistent } else { WatchMode::PersistentRecursive };
            Request::AddWatch { path, mode }
        }
        17 => Request::SetWatches {
            relative_zxid: rng.i64(..),
            data: list(rng, text),
            exist: list(rng, text),
            child: list(rng, text),
        },
        18 => Request::SetWatches2 {
            relative_zxid: rng.i64(..),
            data: list(rng, text),
            exist: list(rng, text),
            child: list(rng, text),
            persistent: list(rng, text),
            recursive: list(rng, text),
        },
        19 => Request::GetEphemerals { prefix: path },
        20 => Request::GetAllChildrenNumber { path },
        21 => Request::WhoAmI,
        22 => Request::Auth { scheme: path, auth: bytes(rng) },
        23 => Request::CloseSession,
        24 => Request::Multi(Vec::new()),
        _ => Request::MultiRead(vec![MultiOp::GetData { path }]),
    }
}

pub fn multi_result(rng: &mut Rng) -> MultiResult {
    match rng.u8(0..8) {
        0 => MultiResult::Create { path: text(rng) },
        1 => MultiResult::Create2 { path: text(rng), stat: stat(rng) },
        2 => MultiResult::Delete,
        3 => MultiResult::SetData { stat: stat(rng) },
        4 => MultiResult::Check,
        5 => MultiResult::GetData { data: bytes(rng), stat: stat(rng) },
        6 => MultiResult::GetChildren { children: list(rng, text) },
        _ => MultiResult::Error(rng.i32(..)),
    }
}

/// Every operation that has an answer of its own, and such an answer.
pub fn responses(rng: &mut Rng) -> Vec<(i32, Response)> {
    vec![
        (op_code::CREATE, Response::Create { path: text(rng) }),
        (op_code::CREATE2, Response::Create2 { path: text(rng), stat: stat(rng) }),
        (op_code::CREATE_CONTAINER, Response::Create2 { path: text(rng), stat: stat(rng) }),
        (op_code::CREATE_TTL, Response::Create2 { path: text(rng), stat: stat(rng) }),
        (op_code::EXISTS, Response::Stat(stat(rng))),
        (op_code::SET_DATA, Response::Stat(stat(rng))),
        (op_code::SET_ACL, Response::Stat(stat(rng))),
        (op_code::GET_DATA, Response::Data { data: bytes(rng), stat: stat(rng) }),
        (op_code::GET_ACL, Response::Acl { acl: list(rng, acl), stat: stat(rng) }),
        (op_code::GET_CHILDREN, Response::Children { children: list(rng, text).iter().collect() }),
        (
            op_code::GET_CHILDREN2,
            Response::Children2 { children: list(rng, text).iter().collect(), stat: stat(rng) },
        ),
        (op_code::SYNC, Response::Path(text(rng))),
        (op_code::MULTI, Response::Multi(list(rng, multi_result))),
        (op_code::MULTI_READ, Response::Multi(list(rng, multi_result))),
        (op_code::GET_EPHEMERALS, Response::Ephemerals(list(rng, text))),
        (op_code::GET_ALL_CHILDREN_NUMBER, Response::Number(rng.i32(..))),
        (op_code::ADD_WATCH, Response::Code(rng.i32(..))),
        (
            op_code::WHO_AM_I,
            Response::Identities(list(rng, |rng| ClientInfo { scheme: text(rng), user: text(rng) })),
        ),
        (op_code::DELETE, Response::Empty),
        (op_code::PING, Response::Empty),
        (op_code::CLOSE_SESSION, Response::Empty),
        (op_code::REMOVE_WATCHES, Response::Empty),
    ]
}
