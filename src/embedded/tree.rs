//! The znodes, and how a transaction changes them. Whether it may is decided before, in `prepare`.

use super::path::{split, stored};
use crate::proto::{Acl, Stat, permissions};
use std::collections::{BTreeSet, HashMap};

/// What a node's life depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Nothing: it stays until it is deleted.
    Nobody,
    /// A session.
    Session(i64),
    /// Its children: it goes some time after the last one.
    Children,
    /// Time: it goes when it has had no change and no child for so many ms.
    Time(i64),
}

/// One znode.
pub(super) struct Node {
    /// `None` where a client gave null, which is given back as null.
    pub(super) data: Option<Vec<u8>>,
    pub(super) acl: Vec<Acl>,
    pub(super) owner: Owner,
    pub(super) children: BTreeSet<String>,
    pub(super) czxid: i64,
    pub(super) mzxid: i64,
    pub(super) pzxid: i64,
    pub(super) ctime: i64,
    pub(super) mtime: i64,
    pub(super) version: i32,
    /// The number of children ever created, which is the next sequence number. Clients are shown the number
    /// of changes instead.
    pub(super) created: i32,
    /// How many of them got a sequence number.
    pub(super) numbered: i32,
    pub(super) aversion: i32,
}

impl Node {
    fn new(data: Option<Vec<u8>>, acl: Vec<Acl>, owner: Owner, zxid: i64, time: i64) -> Self {
        Self {
            data,
            acl,
            owner,
            children: BTreeSet::new(),
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            version: 0,
            created: 0,
            numbered: 0,
            aversion: 0,
        }
    }

    fn data_len(&self) -> usize {
        self.data.as_ref().map_or(0, Vec::len)
    }

    pub(super) fn num_children(&self) -> i32 {
        i32::try_from(self.children.len()).unwrap_or(i32::MAX)
    }

    pub(super) fn stat(&self) -> Stat {
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            // A creation and a deletion for each child that is gone, a creation for each that is there.
            cversion: self.created.wrapping_mul(2).wrapping_sub(self.num_children()),
            aversion: self.aversion,
            ephemeral_owner: match self.owner {
                Owner::Session(id) => id,
                Owner::Nobody | Owner::Children | Owner::Time(_) => 0,
            },
            data_length: i32::try_from(self.data_len()).unwrap_or(i32::MAX),
            num_children: self.num_children(),
            pzxid: self.pzxid,
        }
    }
}

/// A change that has been found permitted.
#[derive(Debug)]
pub(super) enum Change {
    Create {
        path: String,
        data: Option<Vec<u8>>,
        acl: Vec<Acl>,
        owner: Owner,
        /// What the parent's counts are after it.
        created: i32,
        numbered: i32,
        with_stat: bool,
    },
    Delete {
        path: String,
    },
    SetData {
        path: String,
        data: Option<Vec<u8>>,
        version: i32,
    },
    SetAcl {
        path: String,
        acl: Vec<Acl>,
        version: i32,
    },
    Nothing,
}

/// All znodes, by path.
pub(super) struct Tree {
    nodes: HashMap<String, Node>,
    ephemerals: HashMap<i64, BTreeSet<String>>,
    /// Those that go by themselves: containers and nodes with a time to live.
    transient: BTreeSet<String>,
}

/// Nodes that cannot be deleted.
const SPECIAL: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];

impl Tree {
    pub(super) fn new() -> Self {
        let mut nodes = HashMap::new();
        for path in SPECIAL {
            let acl = vec![Acl::world(permissions::ALL)];
            nodes.insert(path.to_owned(), Node::new(Some(Vec::new()), acl, Owner::Nobody, 0, 0));
        }
        for path in SPECIAL {
            if let Some((parent, name)) = split(path).filter(|(_, name)| !name.is_empty())
                && let Some(node) = nodes.get_mut(parent)
            {
                node.children.insert(name.to_owned());
            }
        }
        if let Some(config) = nodes.get_mut("/zookeeper/config") {
            config.acl = vec![Acl::world(permissions::READ)];
            config.aversion = -1;
        }
        Self { nodes, ephemerals: HashMap::new(), transient: BTreeSet::new() }
    }

    pub(super) fn is_special(path: &str) -> bool {
        SPECIAL.contains(&path)
    }

    pub(super) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(stored(path))
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Bytes of all paths and data.
    pub(super) fn data_size(&self) -> usize {
        self.nodes.iter().map(|(path, node)| path.len() + node.data_len()).sum()
    }

    /// How many nodes are below `path`.
    pub(super) fn count_below(&self, path: &str) -> usize {
        match stored(path) {
            "/" => self.nodes.len().saturating_sub(1),
            path => {
                let prefix = format!("{path}/");
                self.nodes.keys().filter(|other| other.starts_with(&prefix)).count()
            }
        }
    }

    /// The paths a session owns.
    pub(super) fn ephemerals(&self, session: i64) -> Vec<String> {
        self.ephemerals.get(&session).map(|paths| paths.iter().cloned().collect()).unwrap_or_default()
    }

    /// How many nodes sessions own.
    pub(super) fn count_ephemerals(&self) -> usize {
        self.ephemerals.values().map(BTreeSet::len).sum()
    }

    /// Containers that had children and have none, and nodes whose time to live has passed.
    pub(super) fn outlived(&self, now: i64) -> Vec<String> {
        let is_outlived = |node: &Node| match node.owner {
            _ if !node.children.is_empty() => false,
            Owner::Children => node.created > 0,
            Owner::Time(ttl_ms) => now.saturating_sub(node.mtime) > ttl_ms,
            Owner::Nobody | Owner::Session(_) => false,
        };
        self.transient.iter().filter(|path| self.get(path).is_some_and(is_outlived)).cloned().collect()
    }

    /// Adds a node below an existing one.
    pub(super) fn create(
        &mut self,
        path: &str,
        (data, acl, owner): (Option<Vec<u8>>, Vec<Acl>, Owner),
        (created, numbered): (i32, i32),
        zxid: i64,
        time: i64,
    ) {
        if let Some((parent, name)) = split(path)
            && let Some(parent) = self.nodes.get_mut(parent)
        {
            parent.children.insert(name.to_owned());
            // Never backwards: past the greatest 32-bit number the count stays where it is.
            if created > parent.created {
                parent.created = created;
                parent.pzxid = zxid;
            }
            parent.numbered = numbered;
        }
        match owner {
            Owner::Session(id) => {
                self.ephemerals.entry(id).or_default().insert(path.to_owned());
            }
            Owner::Children | Owner::Time(_) => {
                self.transient.insert(path.to_owned());
            }
            Owner::Nobody => {}
        }
        self.nodes.insert(path.to_owned(), Node::new(data, acl, owner, zxid, time));
    }

    /// Removes a node, and gives it back.
    pub(super) fn delete(&mut self, path: &str, zxid: i64) -> Option<Node> {
        let node = self.nodes.remove(path)?;
        if let Some((parent, name)) = split(path)
            && let Some(parent) = self.nodes.get_mut(parent)
        {
            parent.children.remove(name);
            parent.pzxid = parent.pzxid.max(zxid);
        }
        match node.owner {
            Owner::Session(id) => {
                if let Some(paths) = self.ephemerals.get_mut(&id) {
                    paths.remove(path);
                    if paths.is_empty() {
                        self.ephemerals.remove(&id);
                    }
                }
            }
            Owner::Children | Owner::Time(_) => {
                self.transient.remove(path);
            }
            Owner::Nobody => {}
        }
        Some(node)
    }

    pub(super) fn set_data(&mut self, path: &str, data: Option<Vec<u8>>, version: i32, zxid: i64, time: i64) {
        if let Some(node) = self.nodes.get_mut(stored(path)) {
            node.data = data;
            node.version = version;
            node.mzxid = zxid;
            node.mtime = time;
        }
    }

    pub(super) fn set_acl(&mut self, path: &str, acl: Vec<Acl>, version: i32) {
        if let Some(node) = self.nodes.get_mut(stored(path)) {
            node.acl = acl;
            node.aversion = version;
        }
    }

    /// Makes `next` the sequence number of the next child.
    pub(super) fn set_sequence(&mut self, path: &str, next: i32) -> bool {
        self.nodes.get_mut(stored(path)).map(|node| node.created = next).is_some()
    }
}
