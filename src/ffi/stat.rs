//! A node's status.

use crate::proto::Stat;

/// A node's status: ZooKeeper's own record, which does not grow.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct zkh_stat {
    /// The transaction that created the node.
    pub czxid: i64,
    /// The transaction that set its data last.
    pub mzxid: i64,
    /// When it was created, in milliseconds since 1970, by the clock of the leader of the time.
    pub ctime: i64,
    /// When its data was set last, in the same way.
    pub mtime: i64,
    /// How often its data was set.
    pub version: i32,
    /// How often its list of children changed.
    pub cversion: i32,
    /// How often its access control list was set.
    pub aversion: i32,
    /// The session that it ends with; 0 if it is not ephemeral.
    pub ephemeral_owner: i64,
    /// The length of its data in bytes.
    pub data_length: i32,
    /// The number of its children.
    pub num_children: i32,
    /// The transaction that changed its list of children last.
    pub pzxid: i64,
}

impl From<Stat> for zkh_stat {
    fn from(stat: Stat) -> Self {
        Self {
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            ctime: stat.ctime,
            mtime: stat.mtime,
            version: stat.version,
            cversion: stat.cversion,
            aversion: stat.aversion,
            ephemeral_owner: stat.ephemeral_owner,
            data_length: stat.data_length,
            num_children: stat.num_children,
            pzxid: stat.pzxid,
        }
    }
}

impl From<zkh_stat> for Stat {
    fn from(stat: zkh_stat) -> Self {
        Self {
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            ctime: stat.ctime,
            mtime: stat.mtime,
            version: stat.version,
            cversion: stat.cversion,
            aversion: stat.aversion,
            ephemeral_owner: stat.ephemeral_owner,
            data_length: stat.data_length,
            num_children: stat.num_children,
            pzxid: stat.pzxid,
        }
    }
}
