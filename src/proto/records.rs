//! The records that operations are made of.

use super::codec::{DecodeError, Reader, Writer};
use std::fmt;

/// Bits of [`Acl::perms`].
pub mod permissions {
    /// Read data and list children.
    pub const READ: i32 = 1;
    /// Set data.
    pub const WRITE: i32 = 2;
    /// Create children.
    pub const CREATE: i32 = 4;
    /// Delete children.
    pub const DELETE: i32 = 8;
    /// Set the ACL.
    pub const ADMIN: i32 = 16;
    /// All of them.
    pub const ALL: i32 = 31;
}

/// A znode's status, as the server reports it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stat {
    /// zxid of the transaction that created the node: a lock's fencing token.
    pub czxid: i64,
    /// zxid of the last change of its data.
    pub mzxid: i64,
    /// Creation time, ms since the epoch, by the clock of the leader of the time.
    pub ctime: i64,
    /// Time of the last change of its data, ms since the epoch.
    pub mtime: i64,
    /// Number of changes of its data.
    pub version: i32,
    /// Number of changes of its list of children.
    pub cversion: i32,
    /// Number of changes of its ACL.
    pub aversion: i32,
    /// The session that owns it, or 0 if it is not ephemeral.
    pub ephemeral_owner: i64,
    /// Length of its data in bytes.
    pub data_length: i32,
    /// Number of its children.
    pub num_children: i32,
    /// zxid of the last change of its list of children.
    pub pzxid: i64,
}

impl Stat {
    /// Its size on the wire.
    pub const LEN: usize = 68;

    /// Appends it.
    pub fn encode(&self, w: &mut Writer) {
        w.i64(self.czxid);
        w.i64(self.mzxid);
        w.i64(self.ctime);
        w.i64(self.mtime);
        w.i32(self.version);
        w.i32(self.cversion);
        w.i32(self.aversion);
        w.i64(self.ephemeral_owner);
        w.i32(self.data_length);
        w.i32(self.num_children);
        w.i64(self.pzxid);
    }

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            czxid: r.i64("stat.czxid")?,
            mzxid: r.i64("stat.mzxid")?,
            ctime: r.i64("stat.ctime")?,
            mtime: r.i64("stat.mtime")?,
            version: r.i32("stat.version")?,
            cversion: r.i32("stat.cversion")?,
            aversion: r.i32("stat.aversion")?,
            ephemeral_owner: r.i64("stat.ephemeralOwner")?,
            data_length: r.i32("stat.dataLength")?,
            num_children: r.i32("stat.numChildren")?,
            pzxid: r.i64("stat.pzxid")?,
        })
    }
}

/// One entry of an access control list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    /// Bits of [`permissions`].
    pub perms: i32,
    /// `world`, `auth`, `digest`, `ip`, …
    pub scheme: String,
    /// Who, in the scheme's own notation.
    pub id: String,
}

impl Acl {
    /// Anyone, with the given permissions.
    pub fn world(perms: i32) -> Self {
        Self { perms, scheme: "world".to_owned(), id: "anyone".to_owned() }
    }

    /// Whoever is authenticated on the connection that creates the node.
    pub fn creator(perms: i32) -> Self {
        Self { perms, scheme: "auth".to_owned(), id: String::new() }
    }

    pub(super) fn encode(&self, w: &mut Writer) {
        w.i32(self.perms);
        w.string(&self.scheme);
        w.string(&self.id);
    }

    pub(super) fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { perms: r.i32("acl.perms")?, scheme: r.string("acl.scheme")?, id: r.string("acl.id")? })
    }

    /// The least size of one on the wire.
    pub(super) const MIN_LEN: usize = 12;
}

/// An identity as `whoAmI` reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    /// The authentication scheme.
    pub scheme: String,
    /// The user in that scheme.
    pub user: String,
}

/// The kinds of znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CreateMode {
    /// Stays until it is deleted.
    Persistent,
    /// Deleted when its session ends.
    Ephemeral,
    /// Persistent, with a 10-digit sequence number after its name.
    PersistentSequential,
    /// Ephemeral, with a 10-digit sequence number after its name.
    EphemeralSequential,
    /// Deleted by the server some time after its last child.
    Container,
    /// Deleted by the server after its time to live without change or child (needs `extendedTypesEnabled`).
    PersistentTtl,
    /// The same, with a sequence number.
    PersistentSequentialTtl,
}

impl CreateMode {
    /// The number on the wire.
    pub fn flags(self) -> i32 {
        match self {
            Self::Persistent => 0,
            Self::Ephemeral => 1,
            Self::PersistentSequential => 2,
            Self::EphemeralSequential => 3,
            Self::Container => 4,
            Self::PersistentTtl => 5,
            Self::PersistentSequentialTtl => 6,
        }
    }

    /// The mode a number on the wire stands for.
    pub fn from_flags(flags: i32) -> Option<Self> {
        Some(match flags {
            0 => Self::Persistent,
            1 => Self::Ephemeral,
            2 => Self::PersistentSequential,
            3 => Self::EphemeralSequential,
            4 => Self::Container,
            5 => Self::PersistentTtl,
            6 => Self::PersistentSequentialTtl,
            _ => return None,
        })
    }

    /// Whether the server appends a sequence number.
    pub fn is_sequential(self) -> bool {
        matches!(self, Self::PersistentSequential | Self::EphemeralSequential | Self::PersistentSequentialTtl)
    }

    /// Whether the node ends with its session.
    pub fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }

    /// Whether a time to live goes with it.
    pub fn has_ttl(self) -> bool {
        matches!(self, Self::PersistentTtl | Self::PersistentSequentialTtl)
    }
}

/// What happened to a watched znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum EventType {
    /// It was created.
    Created = 1,
    /// It was deleted.
    Deleted = 2,
    /// Its data was set.
    DataChanged = 3,
    /// Its list of children changed.
    ChildrenChanged = 4,
    /// A data watch was removed on request.
    DataWatchRemoved = 5,
    /// A child watch was removed on request.
    ChildWatchRemoved = 6,
    /// A persistent watch was removed on request.
    PersistentWatchRemoved = 7,
}

impl EventType {
    /// The type a number on the wire stands for.
    pub fn from_wire(value: i32) -> Option<Self> {
        Some(match value {
            1 => Self::Created,
            2 => Self::Deleted,
            3 => Self::DataChanged,
            4 => Self::ChildrenChanged,
            5 => Self::DataWatchRemoved,
            6 => Self::ChildWatchRemoved,
            7 => Self::PersistentWatchRemoved,
            _ => return None,
        })
    }
}

/// The connection state a watch event carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum KeeperState {
    /// Connected to a server that is part of the quorum.
    SyncConnected = 3,
    /// Authentication was refused.
    AuthFailed = 4,
    /// Connected to a server that only reads.
    ConnectedReadOnly = 5,
    /// The server took the session as authenticated by SASL.
    SaslAuthenticated = 6,
    /// The session has ended.
    Expired = -112,
}

/// A watch event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatcherEvent {
    /// [`EventType`] as a number.
    pub kind: i32,
    /// [`KeeperState`] as a number.
    pub state: i32,
    /// The path it happened to.
    pub path: String,
}

impl WatcherEvent {
    /// Appends it.
    pub fn encode(&self, w: &mut Writer) {
        w.i32(self.kind);
        w.i32(self.state);
        w.string(&self.path);
    }

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { kind: r.i32("event.type")?, state: r.i32("event.state")?, path: r.string("event.path")? })
    }
}

/// The kinds of watch that stay after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatchMode {
    /// The node and its list of children.
    Persistent,
    /// The node and everything below it.
    PersistentRecursive,
}

impl WatchMode {
    /// The number on the wire.
    pub fn to_wire(self) -> i32 {
        match self {
            Self::Persistent => 0,
            Self::PersistentRecursive => 1,
        }
    }

    /// The mode a number on the wire stands for.
    pub fn from_wire(value: i32) -> Option<Self> {
        match value {
            0 => Some(Self::Persistent),
            1 => Some(Self::PersistentRecursive),
            _ => None,
        }
    }
}

/// Which watches `removeWatches` removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatcherType {
    /// Child watches.
    Children,
    /// Data and exists watches.
    Data,
    /// Every watch on the path.
    Any,
    /// Persistent watches (servers from 3.9 on).
    Persistent,
    /// Persistent recursive watches (servers from 3.9 on).
    PersistentRecursive,
}

impl WatcherType {
    /// The number on the wire.
    pub fn to_wire(self) -> i32 {
        match self {
            Self::Children => 1,
            Self::Data => 2,
            Self::Any => 3,
            Self::Persistent => 4,
            Self::PersistentRecursive => 5,
        }
    }

    /// The type a number on the wire stands for.
    pub fn from_wire(value: i32) -> Option<Self> {
        match value {
            1 => Some(Self::Children),
            2 => Some(Self::Data),
            3 => Some(Self::Any),
            4 => Some(Self::Persistent),
            5 => Some(Self::PersistentRecursive),
            _ => None,
        }
    }
}

/// The first record a client sends.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    /// Always 0.
    pub protocol_version: i32,
    /// A server that has not seen this zxid refuses the connection.
    pub last_zxid_seen: i64,
    /// The session timeout asked for, ms.
    pub timeout_ms: i32,
    /// 0 for a new session.
    pub session_id: i64,
    /// The password the session was given; 16 bytes.
    pub password: Vec<u8>,
    /// Whether a server without a quorum may be used for reads.
    pub read_only: bool,
}

/// The session's password is not shown.
impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectRequest")
            .field("last_zxid_seen", &self.last_zxid_seen)
            .field("timeout_ms", &self.timeout_ms)
            .field("session_id", &format_args!("{:#x}", self.session_id))
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}

impl ConnectRequest {
    /// Appends it.
    pub fn encode(&self, w: &mut Writer) {
        w.i32(self.protocol_version);
        w.i64(self.last_zxid_seen);
        w.i32(self.timeout_ms);
        w.i64(self.session_id);
        w.bytes(&self.password);
        w.bool(self.read_only);
    }

    /// Reads one; clients of servers before 3.4 leave the last field out.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            protocol_version: r.i32("connect.protocolVersion")?,
            last_zxid_seen: r.i64("connect.lastZxidSeen")?,
            timeout_ms: r.i32("connect.timeOut")?,
            session_id: r.i64("connect.sessionId")?,
            password: r.bytes("connect.passwd")?.to_vec(),
            read_only: r.remaining() > 0 && r.bool("connect.readOnly")?,
        })
    }
}

/// The server's answer to [`ConnectRequest`].
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectResponse {
    /// Always 0.
    pub protocol_version: i32,
    /// The negotiated session timeout, ms; 0 or less says that the session asked for has expired.
    pub timeout_ms: i32,
    /// The session's id.
    pub session_id: i64,
    /// Its password, to re-attach with.
    pub password: Vec<u8>,
    /// Whether the server has no quorum and only reads.
    pub read_only: bool,
}

/// The session's password is not shown.
impl fmt::Debug for ConnectResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectResponse")
            .field("timeout_ms", &self.timeout_ms)
            .field("session_id", &format_args!("{:#x}", self.session_id))
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}

impl ConnectResponse {
    /// Appends it.
    pub fn encode(&self, w: &mut Writer) {
        w.i32(self.protocol_version);
        w.i32(self.timeout_ms);
        w.i64(self.session_id);
        w.bytes(&self.password);
        w.bool(self.read_only);
    }

    /// Reads one; servers before 3.4 leave the last field out.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            protocol_version: r.i32("connect.protocolVersion")?,
            timeout_ms: r.i32("connect.timeOut")?,
            session_id: r.i64("connect.sessionId")?,
            password: r.bytes("connect.passwd")?.to_vec(),
            read_only: r.remaining() > 0 && r.bool("connect.readOnly")?,
        })
    }
}

/// What goes before every request but the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHeader {
    /// Comes back in the reply.
    pub xid: i32,
    /// The operation: one of [`super::op_code`].
    pub op: i32,
}

impl RequestHeader {
    /// Its size on the wire.
    pub const LEN: usize = 8;

    /// Appends it.
    pub fn encode(&self, w: &mut Writer) {
        w.i32(self.xid);
        w.i32(self.op);
    }

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { xid: r.i32("request.xid")?, op: r.i32("request.type")? })
    }
}

/// What goes before every reply but the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyHeader {
    /// The request's, or one of [`super::xid`].
    pub xid: i32,
    /// The last transaction the server had applied.
    pub zxid: i64,
    /// 0, or an error code.
    pub err: i32,
}

impl ReplyHeader {
    /// Appends it.
    pub fn encode(&self, w: &mut Writer) {
        w.i32(self.xid);
        w.i64(self.zxid);
        w.i32(self.err);
    }

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { xid: r.i32("reply.xid")?, zxid: r.i64("reply.zxid")?, err: r.i32("reply.err")? })
    }
}
