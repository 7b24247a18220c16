//! `multi`: several operations as one transaction, and `multiRead`: several reads in one request.

use super::codec::{DecodeError, Reader, Writer};
use super::records::{Acl, CreateMode, Stat};
use super::request::{create_op, decode_create, encode_create, op_code};

/// One operation of a multi or multiRead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MultiOp {
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
    SetData {
        path: String,
        data: Vec<u8>,
        version: i32,
    },
    /// Holds if the node exists, at this data version unless it is −1.
    Check {
        path: String,
        version: i32,
    },
    /// In a multiRead only.
    GetData {
        path: String,
    },
    /// In a multiRead only.
    GetChildren {
        path: String,
    },
}

/// The answer to one operation of a multi.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum MultiResult {
    Create {
        path: String,
    },
    Create2 {
        path: String,
        stat: Stat,
    },
    Delete,
    SetData {
        stat: Stat,
    },
    Check,
    GetData {
        data: Vec<u8>,
        stat: Stat,
    },
    GetChildren {
        children: Vec<String>,
    },
    /// Why this one failed; 0 for those before the one that failed, −2 for those after it.
    Error(i32),
}

fn header(w: &mut Writer, op: i32, done: bool, err: i32) {
    w.i32(op);
    w.bool(done);
    w.i32(err);
}

/// Reads headers and what follows them up to the closing one.
fn decode_list<T>(
    r: &mut Reader<'_>,
    mut item: impl FnMut(i32, &mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    // No count goes before the list: it grows with the bytes that are really there.
    let mut items = Vec::new();
    loop {
        let op = r.i32("multi.type")?;
        let done = r.bool("multi.done")?;
        r.i32("multi.err")?;
        if done {
            return Ok(items);
        }
        items.push(item(op, r)?);
    }
}

impl MultiOp {
    /// The operation's number.
    pub fn op_code(&self) -> i32 {
        match self {
            Self::Create { mode, with_stat, .. } => create_op(*mode, *with_stat),
            Self::Delete { .. } => op_code::DELETE,
            Self::SetData { .. } => op_code::SET_DATA,
            Self::Check { .. } => op_code::CHECK,
            Self::GetData { .. } => op_code::GET_DATA,
            Self::GetChildren { .. } => op_code::GET_CHILDREN,
        }
    }

    /// The path it is about.
    pub fn path(&self) -> &str {
        match self {
            Self::Create { path, .. }
            | Self::Delete { path, .. }
            | Self::SetData { path, .. }
            | Self::Check { path, .. }
            | Self::GetData { path }
            | Self::GetChildren { path } => path,
        }
    }

    /// The same path, to be changed in place.
    pub fn path_mut(&mut self) -> &mut String {
        match self {
            Self::Create { path, .. }
            | Self::Delete { path, .. }
            | Self::SetData { path, .. }
            | Self::Check { path, .. }
            | Self::GetData { path }
            | Self::GetChildren { path } => path,
        }
    }

    pub(super) fn encode_all(ops: &[Self], w: &mut Writer) {
        for op in ops {
            header(w, op.op_code(), false, -1);
            match op {
                Self::Create { path, data, acl, mode, ttl_ms, .. } => {
                    encode_create(w, path, data, acl, *mode, *ttl_ms);
                }
                Self::Delete { path, version } | Self::Check { path, version } => {
                    w.string(path);
                    w.i32(*version);
                }
                Self::SetData { path, data, version } => {
                    w.string(path);
                    w.bytes(data);
                    w.i32(*version);
                }
                Self::GetData { path } | Self::GetChildren { path } => {
                    w.string(path);
                    w.bool(false);
                }
            }
        }
        header(w, -1, true, -1);
    }

    pub(super) fn decode_all(r: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        decode_list(r, |op, r| {
            Ok(match op {
                op_code::CREATE | op_code::CREATE2 | op_code::CREATE_CONTAINER | op_code::CREATE_TTL => {
                    let (path, data, acl, mode, ttl_ms) = decode_create(op, r)?;
                    let with_stat = op != op_code::CREATE;
                    Self::Create { path, data, acl, mode, ttl_ms, with_stat }
                }
                op_code::DELETE => Self::Delete { path: r.string("path")?, version: r.i32("version")? },
                op_code::CHECK => Self::Check { path: r.string("path")?, version: r.i32("version")? },
                op_code::SET_DATA => Self::SetData {
                    path: r.string("path")?,
                    data: r.bytes("data")?.to_vec(),
                    version: r.i32("version")?,
                },
                op_code::GET_DATA => {
                    let path = r.string("path")?;
                    r.bool("watch")?;
                    Self::GetData { path }
                }
                op_code::GET_CHILDREN => {
                    let path = r.string("path")?;
                    r.bool("watch")?;
                    Self::GetChildren { path }
                }
                _ => return Err(DecodeError { field: "multi.type", problem: "unknown" }),
            })
        })
    }
}

impl MultiResult {
    /// The error code, or 0.
    pub fn err(&self) -> i32 {
        match self {
            Self::Error(code) => *code,
            _ => 0,
        }
    }

    pub(super) fn encode_all(results: &[Self], w: &mut Writer) {
        for result in results {
            match result {
                Self::Create { path } => {
                    header(w, op_code::CREATE, false, 0);
                    w.string(path);
                }
                Self::Create2 { path, stat } => {
                    header(w, op_code::CREATE2, false, 0);
                    w.string(path);
                    stat.encode(w);
                }
                Self::Delete => header(w, op_code::DELETE, false, 0),
                Self::SetData { stat } => {
                    header(w, op_code::SET_DATA, false, 0);
                    stat.encode(w);
                }
                Self::Check => header(w, op_code::CHECK, false, 0),
                Self::GetData { data, stat } => {
                    header(w, op_code::GET_DATA, false, 0);
                    w.bytes(data);
                    stat.encode(w);
                }
                Self::GetChildren { children } => {
                    header(w, op_code::GET_CHILDREN, false, 0);
                    w.strings(children);
                }
                Self::Error(code) => {
                    header(w, op_code::ERROR, false, *code);
                    w.i32(*code);
                }
            }
        }
        header(w, -1, true, -1);
    }

    pub(super) fn decode_all(r: &mut Reader<'_>) -> Result<Vec<Self>, DecodeError> {
        decode_list(r, |op, r| {
            Ok(match op {
                op_code::CREATE => Self::Create { path: r.string("path")? },
                op_code::CREATE2 | op_code::CREATE_CONTAINER | op_code::CREATE_TTL => {
                    Self::Create2 { path: r.string("path")?, stat: Stat::decode(r)? }
                }
                op_code::DELETE => Self::Delete,
                op_code::SET_DATA => Self::SetData { stat: Stat::decode(r)? },
                op_code::CHECK => Self::Check,
                op_code::GET_DATA => {
                    Self::GetData { data: r.bytes("data")?.to_vec(), stat: Stat::decode(r)? }
                }
                op_code::GET_CHILDREN => Self::GetChildren { children: r.strings("children")? },
                op_code::ERROR => Self::Error(r.i32("multi.error")?),
                _ => return Err(DecodeError { field: "multi.type", problem: "unknown" }),
            })
        })
    }
}
