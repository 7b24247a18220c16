//! ZooKeeper's wire protocol: records, frames, operations and error codes.
//!
//! Everything here is pure: bytes in, values out, and back. The client's session layer and the
//! embedded server share it, so both directions of every record are here.

// No input may reach a panic.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod codec;
mod frame;
mod multi;
mod names;
mod records;
mod request;
mod response;

pub use codec::{DecodeError, Reader, Writer};
pub use frame::{FrameError, FrameReader, HEADER_LEN};
pub use multi::{MultiOp, MultiResult};
pub use names::Names;
pub use records::{
    Acl, ClientInfo, ConnectRequest, ConnectResponse, CreateMode, EventType, KeeperState, ReplyHeader,
    RequestHeader, Stat, WatchMode, WatcherEvent, WatcherType, permissions,
};
#[cfg(feature = "embedded")]
pub(crate) use request::{CREATE_FLAGS, has_null_data};
pub use request::{Request, op_code};
pub use response::Response;

/// xids that mark a frame as something other than the answer to a numbered request.
pub mod xid {
    /// A watch event.
    pub const NOTIFICATION: i32 = -1;
    /// A ping and its answer.
    pub const PING: i32 = -2;
    /// An `auth` request and its answer.
    pub const AUTH: i32 = -4;
    /// A `setWatches` request and its answer.
    pub const SET_WATCHES: i32 = -8;
}
