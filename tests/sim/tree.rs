//! The replicated state: znodes and sessions, as a pure function of the transactions.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use zkhelper::proto::{CreateMode, MultiOp, MultiResult, Request, Response, Stat};

/// ZooKeeper's error codes, as far as they occur.
pub mod code {
    pub const RUNTIME_INCONSISTENCY: i32 = -2;
    pub const UNIMPLEMENTED: i32 = -6;
    pub const NO_NODE: i32 = -101;
    pub const BAD_VERSION: i32 = -103;
    pub const NO_CHILDREN_FOR_EPHEMERALS: i32 = -108;
    pub const NODE_EXISTS: i32 = -110;
    pub const NOT_EMPTY: i32 = -111;
    pub const SESSION_EXPIRED: i32 = -112;
    pub const SESSION_MOVED: i32 = -118;
    pub const NO_WATCHER: i32 = -121;
}

#[derive(Debug, Clone)]
pub struct Node {
    pub data: Rc<[u8]>,
    pub czxid: i64,
    pub mzxid: i64,
    pub pzxid: i64,
    pub version: i32,
    /// How many children were ever created: the next one's sequence number.
    pub created: i32,
    pub owner: i64,
    pub children: BTreeSet<String>,
}

impl Node {
    fn new(data: Rc<[u8]>, owner: i64, zxid: i64) -> Self {
        let children = BTreeSet::new();
        Self { data, czxid: zxid, mzxid: zxid, pzxid: zxid, version: 0, created: 0, owner, children }
    }

    pub fn stat(&self) -> Stat {
        let children = i32::try_from(self.children.len()).expect("few");
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: 0,
            mtime: 0,
            version: self.version,
            cversion: self.created.wrapping_mul(2).wrapping_sub(children),
            aversion: 0,
            ephemeral_owner: self.owner,
            data_length: i32::try_from(self.data.len()).expect("small"),
            num_children: children,
            pzxid: self.pzxid,
        }
    }
}

/// A change that the leader found permitted. What it does is the same on every server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Create {
        path: String,
        data: Rc<[u8]>,
        owner: i64,
        with_stat: bool,
    },
    Delete {
        path: String,
    },
    Set {
        path: String,
        data: Rc<[u8]>,
        version: i32,
    },
    Check {
        path: String,
    },
    /// One that failed within a transaction.
    Failed(i32),
}

/// What a transaction is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Txn {
    /// The one that failed too goes through the quorum.
    Error(i32),
    One(Change),
    Multi(Vec<Change>),
    CreateSession {
        timeout_ms: i32,
    },
    CloseSession,
}

/// What happened to a path, for watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    Created,
    Deleted,
    Changed,
}

#[derive(Debug, Clone)]
pub struct Tree {
    pub nodes: BTreeMap<String, Node>,
    /// Each with the timeout of its creation.
    pub sessions: BTreeMap<i64, i32>,
    pub zxid: i64,
    /// Whether a count of creations goes on below zero at its end, as it does while others are being
    /// decided on; otherwise it stays at the end.
    pub wraps: bool,
}

pub fn parent(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(at) => &path[..at],
    }
}

pub fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

impl Tree {
    pub fn new() -> Self {
        let mut nodes = BTreeMap::new();
        // The node that a server begins with is not counted.
        let mut root = Node::new(Rc::from([]), 0, 0);
        root.children.insert("zookeeper".to_owned());
        nodes.insert("/".to_owned(), root);
        nodes.insert("/zookeeper".to_owned(), Node::new(Rc::from([]), 0, 0));
        Self { nodes, sessions: BTreeMap::new(), zxid: 0, wraps: false }
    }

    /// A plain node that was there before anything else, with a count of creations below it.
    pub fn plant(&mut self, path: &str, created: i32) {
        let mut node = Node::new(Rc::from([]), 0, 0);
        node.created = created;
        self.nodes.insert(path.to_owned(), node);
        let above = self.nodes.get_mut(parent(path)).expect("planted from above");
        above.children.insert(name(path).to_owned());
        above.created += 1;
    }

    pub fn ephemerals(&self, session: i64) -> impl Iterator<Item = &String> {
        self.nodes.iter().filter(move |(_, node)| node.owner == session).map(|(path, _)| path)
    }

    /// What a request of this session would change, or why it may not.
    fn prepare(&self, session: i64, request: &Request) -> Result<Change, i32> {
        match request {
            Request::Create { path, data, mode, with_stat, .. } => {
                self.prepare_create(session, path, data, *mode, *with_stat)
            }
            Request::Delete { path, version } => self.prepare_delete(path, *version),
            Request::SetData { path, data, version } => self.prepare_set(path, data, *version),
            _ => Err(code::UNIMPLEMENTED),
        }
    }

    fn prepare_create(
        &self,
        session: i64,
        path: &str,
        data: &[u8],
        mode: CreateMode,
        with_stat: bool,
    ) -> Result<Change, i32> {
        let above = self.nodes.get(parent(path)).ok_or(code::NO_NODE)?;
        let path =
            if mode.is_sequential() { format!("{path}{:010}", above.created) } else { path.to_owned() };
        if self.nodes.contains_key(&path) {
            return Err(code::NODE_EXISTS);
        }
        if above.owner != 0 {
            return Err(code::NO_CHILDREN_FOR_EPHEMERALS);
        }
        let owner = if mode.is_ephemeral() { session } else { 0 };
        Ok(Change::Create { path, data: Rc::from(data), owner, with_stat })
    }

    fn prepare_delete(&self, path: &str, version: i32) -> Result<Change, i32> {
        let node = self.nodes.get(path).ok_or(code::NO_NODE)?;
        if version != -1 && version != node.version {
            return Err(code::BAD_VERSION);
        }
        if !node.children.is_empty() {
            return Err(code::NOT_EMPTY);
        }
        Ok(Change::Delete { path: path.to_owned() })
    }

    fn prepare_set(&self, path: &str, data: &[u8], version: i32) -> Result<Change, i32> {
        let node = self.nodes.get(path).ok_or(code::NO_NODE)?;
        if version != -1 && version != node.version {
            return Err(code::BAD_VERSION);
        }
        Ok(Change::Set { path: path.to_owned(), data: Rc::from(data), version: node.version + 1 })
    }

    fn prepare_op(&self, session: i64, op: &MultiOp) -> Result<Change, i32> {
        match op {
            MultiOp::Create { path, data, mode, with_stat, .. } => {
                self.prepare_create(session, path, data, *mode, *with_stat)
            }
            MultiOp::Delete { path, version } => self.prepare_delete(path, *version),
            MultiOp::SetData { path, data, version } => self.prepare_set(path, data, *version),
            MultiOp::Check { path, version } => {
                let node = self.nodes.get(path).ok_or(code::NO_NODE)?;
                if *version != -1 && *version != node.version {
                    return Err(code::BAD_VERSION);
                }
                Ok(Change::Check { path: path.clone() })
            }
            MultiOp::GetData { .. } | MultiOp::GetChildren { .. } => Err(code::UNIMPLEMENTED),
        }
    }

    /// The transaction that a request becomes at the leader. `refused`: the leader's word on the session.
    pub fn transaction(&self, session: i64, request: &Request, refused: Option<i32>) -> Txn {
        match request {
            // PrepRequestProcessor asks nothing of the session here, as its expiry comes this way too.
            Request::CloseSession => Txn::CloseSession,
            Request::Multi(ops) => {
                let mut after: Option<Self> = None;
                let mut changes: Vec<Change> = Vec::new();
                for op in ops {
                    if let Some(Change::Failed(_)) = changes.last() {
                        changes.push(Change::Failed(code::RUNTIME_INCONSISTENCY));
                        continue;
                    }
                    let found = match refused {
                        Some(code) => Err(code),
                        None => after.as_ref().unwrap_or(self).prepare_op(session, op),
                    };
                    match found {
                        Ok(change) => {
                            if ops.len() > 1 {
                                let zxid = self.zxid + 1;
                                after.get_or_insert_with(|| self.clone()).change(
                                    zxid,
                                    &change,
                                    &mut Vec::new(),
                                );
                            }
                            changes.push(change);
                        }
                        Err(code) => {
                            changes.iter_mut().for_each(|change| *change = Change::Failed(0));
                            changes.push(Change::Failed(code));
                        }
                    }
                }
                Txn::Multi(changes)
            }
            request => match refused.map_or_else(|| self.prepare(session, request), Err) {
                Ok(change) => Txn::One(change),
                Err(code) => Txn::Error(code),
            },
        }
    }

    fn change(
        &mut self,
        zxid: i64,
        change: &Change,
        happened: &mut Vec<(String, Happened)>,
    ) -> Option<MultiResult> {
        match change {
            Change::Create { path, data, owner, with_stat } => {
                let above = self.nodes.get_mut(parent(path)).expect("the leader saw it");
                above.children.insert(name(path).to_owned());
                above.created =
                    if self.wraps { above.created.wrapping_add(1) } else { above.created.saturating_add(1) };
                above.pzxid = zxid;
                let node = Node::new(Rc::clone(data), *owner, zxid);
                let stat = node.stat();
                self.nodes.insert(path.clone(), node);
                happened.push((path.clone(), Happened::Created));
                let path = path.clone();
                Some(if *with_stat {
                    MultiResult::Create2 { path, stat }
                } else {
                    MultiResult::Create { path }
                })
            }
            Change::Delete { path } => {
                self.nodes.remove(path);
                let above = self.nodes.get_mut(parent(path)).expect("it has one");
                above.children.remove(name(path));
                above.pzxid = zxid;
                happened.push((path.clone(), Happened::Deleted));
                Some(MultiResult::Delete)
            }
            Change::Set { path, data, version } => {
                let node = self.nodes.get_mut(path).expect("the leader saw it");
                node.data = Rc::clone(data);
                node.version = *version;
                node.mzxid = zxid;
                happened.push((path.clone(), Happened::Changed));
                Some(MultiResult::SetData { stat: node.stat() })
            }
            Change::Check { .. } => Some(MultiResult::Check),
            Change::Failed(code) => Some(MultiResult::Error(*code)),
        }
    }

    /// Applies a transaction; says what happened and what is answered.
    pub fn apply(
        &mut self,
        zxid: i64,
        session: i64,
        txn: &Txn,
    ) -> (Vec<(String, Happened)>, Result<Response, i32>) {
        assert!(zxid > self.zxid, "transactions in order");
        self.zxid = zxid;
        let mut happened = Vec::new();
        let response = match txn {
            Txn::Error(code) => Err(*code),
            Txn::One(change) => Ok(match self.change(zxid, change, &mut happened) {
                Some(MultiResult::Create { path }) => Response::Create { path },
                Some(MultiResult::Create2 { path, stat }) => Response::Create2 { path, stat },
                Some(MultiResult::SetData { stat }) => Response::Stat(stat),
                _ => Response::Empty,
            }),
            Txn::Multi(changes) => Ok(Response::Multi(
                changes.iter().filter_map(|change| self.change(zxid, change, &mut happened)).collect(),
            )),
            Txn::CreateSession { timeout_ms } => {
                self.sessions.insert(session, *timeout_ms);
                Ok(Response::Empty)
            }
            Txn::CloseSession => {
                self.sessions.remove(&session);
                let paths: Vec<_> = self.ephemerals(session).cloned().collect();
                for path in paths {
                    self.change(zxid, &Change::Delete { path }, &mut happened);
                }
                Ok(Response::Empty)
            }
        };
        (happened, response)
    }
}
