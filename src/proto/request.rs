//! Requests, in both directions.

use super::codec::{DecodeError, Reader, Writer};
use super::multi::MultiOp;
use super::records::{Acl, CreateMode, WatchMode, WatcherType};
use std::fmt;

/// The numbers of the operations.
#[allow(missing_docs)]
pub mod op_code {
    pub const CREATE: i32 = 1;
    pub const DELETE: i32 = 2;
    pub const EXISTS: i32 = 3;
    pub const GET_DATA: i32 = 4;
    pub const SET_DATA: i32 = 5;
    pub const GET_ACL: i32 = 6;
    pub const SET_ACL: i32 = 7;
    pub const GET_CHILDREN: i32 = 8;
    pub const SYNC: i32 = 9;
    pub const PING: i32 = 11;
    pub const GET_CHILDREN2: i32 = 12;
    pub const CHECK: i32 = 13;
    pub const MULTI: i32 = 14;
    pub const CREATE2: i32 = 15;
    pub const CHECK_WATCHES: i32 = 17;
    pub const REMOVE_WATCHES: i32 = 18;
    pub const CREATE_CONTAINER: i32 = 19;
    pub const CREATE_TTL: i32 = 21;
    pub const MULTI_READ: i32 = 22;
    pub const AUTH: i32 = 100;
    pub const SET_WATCHES: i32 = 101;
    pub const GET_EPHEMERALS: i32 = 103;
    pub const GET_ALL_CHILDREN_NUMBER: i32 = 104;
    pub const SET_WATCHES2: i32 = 105;
    pub const ADD_WATCH: i32 = 106;
    pub const WHO_AM_I: i32 = 107;
    pub const CLOSE_SESSION: i32 = -11;
    pub const ERROR: i32 = -1;
}

/// One request to a server, with absolute paths (a chroot is already in them).
#[derive(Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Request {
    /// Create a node. `with_stat` asks for its `Stat` in the answer (`create2`); containers and
    /// nodes with a time to live always bring it. `ttl_ms` counts only for modes that have one.
    Create {
        path: String,
        data: Vec<u8>,
        acl: Vec<Acl>,
        mode: CreateMode,
        ttl_ms: i64,
        with_stat: bool,
    },
    Delete {
        path: String,
        version: i32,
    },
    Exists {
        path: String,
        watch: bool,
    },
    GetData {
        path: String,
        watch: bool,
    },
    SetData {
        path: String,
        data: Vec<u8>,
        version: i32,
    },
    GetAcl {
        path: String,
    },
    SetAcl {
        path: String,
        acl: Vec<Acl>,
        version: i32,
    },
    GetChildren {
        path: String,
        watch: bool,
    },
    GetChildren2 {
        path: String,
        watch: bool,
    },
    Sync {
        path: String,
    },
    Ping,
    /// A lone check, which servers refuse: it belongs into a multi.
    Check {
        path: String,
        version: i32,
    },
    Multi(Vec<MultiOp>),
    MultiRead(Vec<MultiOp>),
    RemoveWatches {
        path: String,
        kind: WatcherType,
    },
    /// Asks whether there is such a watch, and changes nothing.
    CheckWatches {
        path: String,
        kind: WatcherType,
    },
    AddWatch {
        path: String,
        mode: WatchMode,
    },
    SetWatches {
        relative_zxid: i64,
        data: Vec<String>,
        exist: Vec<String>,
        child: Vec<String>,
    },
    SetWatches2 {
        relative_zxid: i64,
        data: Vec<String>,
        exist: Vec<String>,
        child: Vec<String>,
        persistent: Vec<String>,
        recursive: Vec<String>,
    },
    GetEphemerals {
        prefix: String,
    },
    GetAllChildrenNumber {
        path: String,
    },
    WhoAmI,
    Auth {
        scheme: String,
        auth: Vec<u8>,
    },
    CloseSession,
}

/// Names the operation and its path; never data, and never a secret.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => write!(f, "{} {}", self.name(), path),
            None => f.write_str(self.name()),
        }
    }
}

impl Request {
    /// The operation's number.
    pub fn op_code(&self) -> i32 {
        match self {
            Self::Create { mode, with_stat, .. } => create_op(*mode, *with_stat),
            Self::Delete { .. } => op_code::DELETE,
            Self::Exists { .. } => op_code::EXISTS,
            Self::GetData { .. } => op_code::GET_DATA,
            Self::SetData { .. } => op_code::SET_DATA,
            Self::GetAcl { .. } => op_code::GET_ACL,
            Self::SetAcl { .. } => op_code::SET_ACL,
            Self::GetChildren { .. } => op_code::GET_CHILDREN,
            Self::GetChildren2 { .. } => op_code::GET_CHILDREN2,
            Self::Sync { .. } => op_code::SYNC,
            Self::Ping => op_code::PING,
            Self::Check { .. } => op_code::CHECK,
            Self::Multi(_) => op_code::MULTI,
            Self::MultiRead(_) => op_code::MULTI_READ,
            Self::RemoveWatches { .. } => op_code::REMOVE_WATCHES,
            Self::CheckWatches { .. } => op_code::CHECK_WATCHES,
            Self::AddWatch { .. } => op_code::ADD_WATCH,
            Self::SetWatches { .. } => op_code::SET_WATCHES,
            Self::SetWatches2 { .. } => op_code::SET_WATCHES2,
            Self::GetEphemerals { .. } => op_code::GET_EPHEMERALS,
            Self::GetAllChildrenNumber { .. } => op_code::GET_ALL_CHILDREN_NUMBER,
            Self::WhoAmI => op_code::WHO_AM_I,
            Self::Auth { .. } => op_code::AUTH,
            Self::CloseSession => op_code::CLOSE_SESSION,
        }
    }

    /// The operation's name in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Delete { .. } => "delete",
            Self::Exists { .. } => "exists",
            Self::GetData { .. } => "get",
            Self::SetData { .. } => "set",
            Self::GetAcl { .. } => "getACL",
            Self::SetAcl { .. } => "setACL",
            Self::GetChildren { .. } | Self::GetChildren2 { .. } => "children",
            Self::Sync { .. } => "sync",
            Self::Ping => "ping",
            Self::Check { .. } => "check",
            Self::Multi(_) => "multi",
            Self::MultiRead(_) => "multiRead",
            Self::RemoveWatches { .. } => "removeWatches",
            Self::CheckWatches { .. } => "checkWatches",
            Self::AddWatch { .. } => "addWatch",
            Self::SetWatches { .. } | Self::SetWatches2 { .. } => "setWatches",
            Self::GetEphemerals { .. } => "getEphemerals",
            Self::GetAllChildrenNumber { .. } => "getAllChildrenNumber",
            Self::WhoAmI => "whoAmI",
            Self::Auth { .. } => "auth",
            Self::CloseSession => "closeSession",
        }
    }

    /// The path it is about, if it is about one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Create { path, .. }
            | Self::Delete { path, .. }
            | Self::Exists { path, .. }
            | Self::GetData { path, .. }
            | Self::SetData { path, .. }
            | Self::GetAcl { path }
            | Self::SetAcl { path, .. }
            | Self::GetChildren { path, .. }
            | Self::GetChildren2 { path, .. }
            | Self::Sync { path }
            | Self::Check { path, .. }
            | Self::RemoveWatches { path, .. }
            | Self::CheckWatches { path, .. }
            | Self::AddWatch { path, .. }
            | Self::GetAllChildrenNumber { path } => Some(path),
            Self::GetEphemerals { prefix } => Some(prefix),
            Self::Multi(ops) | Self::MultiRead(ops) => ops.first().map(MultiOp::path),
            Self::Ping
            | Self::SetWatches { .. }
            | Self::SetWatches2 { .. }
            | Self::WhoAmI
            | Self::Auth { .. }
            | Self::CloseSession => None,
        }
    }

    /// The same path, to be changed in place; `None` for those that have several.
    pub fn path_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Create { path, .. }
            | Self::Delete { path, .. }
            | Self::Exists { path, .. }
            | Self::GetData { path, .. }
            | Self::SetData { path, .. }
            | Self::GetAcl { path }
            | Self::SetAcl { path, .. }
            | Self::GetChildren { path, .. }
            | Self::GetChildren2 { path, .. }
            | Self::Sync { path }
            | Self::Check { path, .. }
            | Self::RemoveWatches { path, .. }
            | Self::CheckWatches { path, .. }
            | Self::AddWatch { path, .. }
            | Self::GetAllChildrenNumber { path } => Some(path),
            Self::GetEphemerals { prefix } => Some(prefix),
            Self::Multi(_)
            | Self::MultiRead(_)
            | Self::Ping
            | Self::SetWatches { .. }
            | Self::SetWatches2 { .. }
            | Self::WhoAmI
            | Self::Auth { .. }
            | Self::CloseSession => None,
        }
    }

    /// Whether sending it twice can have no other effect than sending it once, whatever others do in
    /// between: it changes no node. A multi of nothing but checks commits a transaction and changes nothing.
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::Exists { .. }
            | Self::GetData { .. }
            | Self::GetAcl { .. }
            | Self::GetChildren { .. }
            | Self::GetChildren2 { .. }
            | Self::Sync { .. }
            | Self::Ping
            | Self::Check { .. }
            | Self::MultiRead(_)
            | Self::RemoveWatches { .. }
            | Self::CheckWatches { .. }
            | Self::AddWatch { .. }
            | Self::SetWatches { .. }
            | Self::SetWatches2 { .. }
            | Self::GetEphemerals { .. }
            | Self::GetAllChildrenNumber { .. }
            | Self::WhoAmI
            | Self::Auth { .. } => true,
            Self::Multi(ops) => ops.iter().all(|op| matches!(op, MultiOp::Check { .. })),
            Self::Create { .. }
            | Self::Delete { .. }
            | Self::SetData { .. }
            | Self::SetAcl { .. }
            | Self::CloseSession => false,
        }
    }

    /// Whether the server answers it only after a quorum committed a transaction for it.
    pub fn is_write(&self) -> bool {
        matches!(
            self,
            Self::Create { .. }
                | Self::Delete { .. }
                | Self::SetData { .. }
                | Self::SetAcl { .. }
                | Self::Multi(_)
                | Self::CloseSession
        )
    }

    /// Appends the body, without its header.
    pub fn encode(&self, w: &mut Writer) {
        match self {
            Self::Create { path, data, acl, mode, ttl_ms, .. } => {
                encode_create(w, path, data, acl, *mode, *ttl_ms);
            }
            Self::Delete { path, version } | Self::Check { path, version } => {
                w.string(path);
                w.i32(*version);
            }
            Self::Exists { path, watch }
            | Self::GetData { path, watch }
            | Self::GetChildren { path, watch }
            | Self::GetChildren2 { path, watch } => {
                w.string(path);
                w.bool(*watch);
            }
            Self::SetData { path, data, version } => {
                w.string(path);
                w.bytes(data);
                w.i32(*version);
            }
            Self::GetAcl { path } | Self::Sync { path } | Self::GetAllChildrenNumber { path } => {
                w.string(path);
            }
            Self::SetAcl { path, acl, version } => {
                w.string(path);
                w.vector(acl, |w, a| a.encode(w));
                w.i32(*version);
            }
            Self::Ping | Self::WhoAmI | Self::CloseSession => {}
            Self::Multi(ops) | Self::MultiRead(ops) => MultiOp::encode_all(ops, w),
            Self::RemoveWatches { path, kind } | Self::CheckWatches { path, kind } => {
                w.string(path);
                w.i32(kind.to_wire());
            }
            Self::AddWatch { path, mode } => {
                w.string(path);
                w.i32(mode.to_wire());
            }
            Self::SetWatches { relative_zxid, data, exist, child } => {
                w.i64(*relative_zxid);
                w.strings(data);
                w.strings(exist);
                w.strings(child);
            }
            Self::SetWatches2 { relative_zxid, data, exist, child, persistent, recursive } => {
                w.i64(*relative_zxid);
                w.strings(data);
                w.strings(exist);
                w.strings(child);
                w.strings(persistent);
                w.strings(recursive);
            }
            Self::GetEphemerals { prefix } => w.string(prefix),
            Self::Auth { scheme, auth } => {
                w.i32(0);
                w.string(scheme);
                w.bytes(auth);
            }
        }
    }

    /// Reads the body of the operation numbered `op`; `None` for a number this crate does not know.
    pub fn decode(op: i32, r: &mut Reader<'_>) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match op {
            op_code::CREATE | op_code::CREATE2 | op_code::CREATE_CONTAINER | op_code::CREATE_TTL => {
                let (path, data, acl, mode, ttl_ms) = decode_create(op, r)?;
                Self::Create { path, data, acl, mode, ttl_ms, with_stat: op != op_code::CREATE }
            }
            op_code::DELETE => Self::Delete { path: path(r)?, version: version(r)? },
            op_code::CHECK => Self::Check { path: path(r)?, version: version(r)? },
            op_code::EXISTS => Self::Exists { path: path(r)?, watch: r.bool("watch")? },
            op_code::GET_DATA => Self::GetData { path: path(r)?, watch: r.bool("watch")? },
            op_code::GET_CHILDREN => Self::GetChildren { path: path(r)?, watch: r.bool("watch")? },
            op_code::GET_CHILDREN2 => Self::GetChildren2 { path: path(r)?, watch: r.bool("watch")? },
            op_code::SET_DATA => {
                Self::SetData { path: path(r)?, data: r.bytes("data")?.to_vec(), version: version(r)? }
            }
            op_code::GET_ACL => Self::GetAcl { path: path(r)? },
            op_code::SET_ACL => Self::SetAcl {
                path: path(r)?,
                acl: r.vector("acl", Acl::MIN_LEN, Acl::decode)?,
                version: version(r)?,
            },
            op_code::SYNC => Self::Sync { path: path(r)? },
            op_code::PING => Self::Ping,
            op_code::MULTI => Self::Multi(MultiOp::decode_all(r)?),
            op_code::MULTI_READ => Self::MultiRead(MultiOp::decode_all(r)?),
            op_code::REMOVE_WATCHES => Self::RemoveWatches { path: path(r)?, kind: watcher_type(r)? },
            op_code::CHECK_WATCHES => Self::CheckWatches { path: path(r)?, kind: watcher_type(r)? },
            op_code::ADD_WATCH => Self::AddWatch {
                path: path(r)?,
                mode: WatchMode::from_wire(r.i32("watch mode")?)
                    .ok_or(DecodeError { field: "watch mode", problem: "unknown" })?,
            },
            op_code::SET_WATCHES => Self::SetWatches {
                relative_zxid: r.i64("relativeZxid")?,
                data: r.strings("dataWatches")?,
                exist: r.strings("existWatches")?,
                child: r.strings("childWatches")?,
            },
            op_code::SET_WATCHES2 => Self::SetWatches2 {
                relative_zxid: r.i64("relativeZxid")?,
                data: r.strings("dataWatches")?,
                exist: r.strings("existWatches")?,
                child: r.strings("childWatches")?,
                persistent: r.strings("persistentWatches")?,
                recursive: r.strings("persistentRecursiveWatches")?,
            },
            op_code::GET_EPHEMERALS => Self::GetEphemerals { prefix: r.string("prefixPath")? },
            op_code::GET_ALL_CHILDREN_NUMBER => Self::GetAllChildrenNumber { path: path(r)? },
            op_code::WHO_AM_I => Self::WhoAmI,
            op_code::AUTH => {
                r.i32("auth.type")?;
                Self::Auth { scheme: r.string("auth.scheme")?, auth: r.bytes("auth.auth")?.to_vec() }
            }
            op_code::CLOSE_SESSION => Self::CloseSession,
            _ => return Ok(None),
        }))
    }
}

fn path(r: &mut Reader<'_>) -> Result<String, DecodeError> {
    r.string("path")
}

fn version(r: &mut Reader<'_>) -> Result<i32, DecodeError> {
    r.i32("version")
}

fn watcher_type(r: &mut Reader<'_>) -> Result<WatcherType, DecodeError> {
    WatcherType::from_wire(r.i32("watcher type")?)
        .ok_or(DecodeError { field: "watcher type", problem: "unknown" })
}

pub(super) fn create_op(mode: CreateMode, with_stat: bool) -> i32 {
    match mode {
        CreateMode::Container => op_code::CREATE_CONTAINER,
        mode if mode.has_ttl() => op_code::CREATE_TTL,
        _ if with_stat => op_code::CREATE2,
        _ => op_code::CREATE,
    }
}

pub(super) fn encode_create(
    w: &mut Writer,
    path: &str,
    data: &[u8],
    acl: &[Acl],
    mode: CreateMode,
    ttl_ms: i64,
) {
    w.string(path);
    w.bytes(data);
    w.vector(acl, |w, a| a.encode(w));
    w.i32(mode.flags());
    if mode.has_ttl() {
        w.i64(ttl_ms);
    }
}

/// Whether the body of a create or setData has null for its data. Decoding makes that empty, for clients do not
/// care; a server keeps the two apart.
#[cfg(feature = "embedded")]
pub(crate) fn has_null_data(op: i32, body: &[u8]) -> bool {
    let mut r = Reader::new(body);
    let has_data = matches!(
        op,
        op_code::CREATE
            | op_code::CREATE2
            | op_code::CREATE_CONTAINER
            | op_code::CREATE_TTL
            | op_code::SET_DATA
    );
    has_data && r.bytes("path").is_ok() && r.i32("data") == Ok(-1)
}

/// The field of a create request that names its mode. A mode it cannot have is an argument that a server
/// refuses, where any other field that cannot be read is a record that it cannot read.
pub(crate) const CREATE_FLAGS: &str = "flags";

pub(super) type CreateFields = (String, Vec<u8>, Vec<Acl>, CreateMode, i64);

pub(super) fn decode_create(op: i32, r: &mut Reader<'_>) -> Result<CreateFields, DecodeError> {
    let path = path(r)?;
    let data = r.bytes("data")?.to_vec();
    let acl = r.vector("acl", Acl::MIN_LEN, Acl::decode)?;
    let mode = CreateMode::from_flags(r.i32(CREATE_FLAGS)?)
        .ok_or(DecodeError { field: CREATE_FLAGS, problem: "unknown create mode" })?;
    let mode = match op {
        op_code::CREATE_CONTAINER => (mode == CreateMode::Container).then_some(mode),
        op_code::CREATE_TTL => mode.has_ttl().then_some(mode),
        // The operation makes the container, not the flag: here servers make a plain node of it.
        _ if mode == CreateMode::Container => Some(CreateMode::Persistent),
        _ => (!mode.has_ttl()).then_some(mode),
    };
    let mode =
        mode.ok_or(DecodeError { field: CREATE_FLAGS, problem: "create mode of another operation" })?;
    let ttl_ms = if op == op_code::CREATE_TTL { r.i64("ttl")? } else { 0 };
    Ok((path, data, acl, mode, ttl_ms))
}
