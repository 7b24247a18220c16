//! Answers, in both directions.

use super::codec::{DecodeError, Reader, Writer};
use super::multi::MultiResult;
use super::names::Names;
use super::records::{Acl, ClientInfo, Stat};
use super::request::op_code;

/// The body of an answer that carries no error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Response {
    /// Answers without a body.
    Empty,
    Create {
        path: String,
    },
    Create2 {
        path: String,
        stat: Stat,
    },
    Stat(Stat),
    Data {
        data: Vec<u8>,
        stat: Stat,
    },
    Acl {
        acl: Vec<Acl>,
        stat: Stat,
    },
    Children {
        children: Names,
    },
    Children2 {
        children: Names,
        stat: Stat,
    },
    Path(String),
    Multi(Vec<MultiResult>),
    Ephemerals(Vec<String>),
    Number(i32),
    Identities(Vec<ClientInfo>),
    /// An error code as a body, which `addWatch` answers with.
    Code(i32),
}

impl Response {
    /// Appends the body, without its header.
    pub fn encode(&self, w: &mut Writer) {
        match self {
            Self::Empty => {}
            Self::Create { path } | Self::Path(path) => w.string(path),
            Self::Create2 { path, stat } => {
                w.string(path);
                stat.encode(w);
            }
            Self::Stat(stat) => stat.encode(w),
            Self::Data { data, stat } => {
                w.bytes(data);
                stat.encode(w);
            }
            Self::Acl { acl, stat } => {
                w.vector(acl, |w, a| a.encode(w));
                stat.encode(w);
            }
            Self::Children { children } => w.names(children),
            Self::Ephemerals(paths) => w.strings(paths),
            Self::Children2 { children, stat } => {
                w.names(children);
                stat.encode(w);
            }
            Self::Multi(results) => MultiResult::encode_all(results, w),
            Self::Number(value) | Self::Code(value) => w.i32(*value),
            Self::Identities(list) => w.vector(list, |w, info| {
                w.string(&info.scheme);
                w.string(&info.user);
            }),
        }
    }

    /// Reads the answer to the operation numbered `op`, to its last byte.
    pub fn decode(op: i32, mut r: Reader<'_>) -> Result<Self, DecodeError> {
        let response = match op {
            op_code::CREATE => Self::Create { path: r.string("path")? },
            op_code::CREATE2 | op_code::CREATE_CONTAINER | op_code::CREATE_TTL => {
                Self::Create2 { path: r.string("path")?, stat: Stat::decode(&mut r)? }
            }
            op_code::EXISTS | op_code::SET_DATA | op_code::SET_ACL => Self::Stat(Stat::decode(&mut r)?),
            op_code::GET_DATA => Self::Data { data: r.bytes("data")?.to_vec(), stat: Stat::decode(&mut r)? },
            op_code::GET_ACL => {
                Self::Acl { acl: r.vector("acl", Acl::MIN_LEN, Acl::decode)?, stat: Stat::decode(&mut r)? }
            }
            op_code::GET_CHILDREN => Self::Children { children: r.names("children")? },
            op_code::GET_CHILDREN2 => {
                Self::Children2 { children: r.names("children")?, stat: Stat::decode(&mut r)? }
            }
            op_code::SYNC => Self::Path(r.string("path")?),
            op_code::MULTI | op_code::MULTI_READ => Self::Multi(MultiResult::decode_all(&mut r)?),
            op_code::GET_EPHEMERALS => Self::Ephemerals(r.strings("ephemerals")?),
            op_code::GET_ALL_CHILDREN_NUMBER => Self::Number(r.i32("totalNumber")?),
            op_code::ADD_WATCH => Self::Code(r.i32("err")?),
            op_code::WHO_AM_I => Self::Identities(r.vector("clientInfo", 8, |r| {
                Ok(ClientInfo { scheme: r.string("authScheme")?, user: r.string("user")? })
            })?),
            _ => Self::Empty,
        };
        // A newer server may add fields at the end of a record; they say nothing this crate reads.
        Ok(response)
    }
}
