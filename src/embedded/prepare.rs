//! Whether a write may be done, and what change it is. Each operation of a transaction sees what those before
//! it will have done, although nothing is done until all of them are found permitted.

use super::acl::{Identity, allows, resolve};
use super::path::{is_valid, split, stored};
use super::tree::{Change, Owner, Tree};
use crate::error::Code;
use crate::proto::{Acl, CreateMode, MultiOp, permissions};
use std::collections::HashMap;

/// The longest time to live, ms: what fits beside the mark of such nodes in Apache ZooKeeper's owner field.
const MAX_TTL_MS: i64 = (1 << 40) - 1;

/// As much of a node as decisions depend on.
#[derive(Clone)]
struct Record {
    acl: Vec<Acl>,
    owner: Owner,
    version: i32,
    created: i32,
    numbered: i32,
    aversion: i32,
    children: i64,
}

/// A transaction in the making.
pub(super) struct Preparation<'a> {
    tree: &'a Tree,
    caller: &'a [Identity],
    session: i64,
    lenient: bool,
    /// What the changes so far will leave; `None` for a node that they delete.
    outcome: HashMap<String, Option<Record>>,
}

impl<'a> Preparation<'a> {
    pub(super) fn new(tree: &'a Tree, caller: &'a [Identity], session: i64, lenient: bool) -> Self {
        Self { tree, caller, session, lenient, outcome: HashMap::new() }
    }

    fn record(&self, path: &str) -> Option<Record> {
        let path = stored(path);
        match self.outcome.get(path) {
            Some(record) => record.clone(),
            None => self.tree.get(path).map(|node| Record {
                acl: node.acl.clone(),
                owner: node.owner,
                version: node.version,
                created: node.created,
                numbered: node.numbered,
                aversion: node.aversion,
                children: i64::from(node.num_children()),
            }),
        }
    }

    fn existing(&self, path: &str) -> Result<Record, Code> {
        self.record(path).ok_or(Code::NO_NODE)
    }

    fn leave(&mut self, path: &str, record: Option<Record>) {
        self.outcome.insert(stored(path).to_owned(), record);
    }

    fn require(&self, record: &Record, perms: i32) -> Result<(), Code> {
        if allows(&record.acl, perms, self.caller) { Ok(()) } else { Err(Code::NO_AUTH) }
    }

    /// The list that a node gets.
    fn resolve(&self, acl: &[Acl]) -> Result<Vec<Acl>, Code> {
        if self.lenient && acl.is_empty() {
            return Ok(vec![Acl::world(permissions::ALL)]);
        }
        resolve(acl, self.caller).ok_or(Code::INVALID_ACL)
    }

    /// One operation of a transaction; reads have no place in one.
    pub(super) fn operation(&mut self, op: MultiOp) -> Result<Change, Code> {
        match op {
            MultiOp::Create { path, data, acl, mode, ttl_ms, with_stat } => {
                self.create(path, Some(data), &acl, mode, ttl_ms, with_stat)
            }
            MultiOp::Delete { path, version } => self.delete(path, version),
            MultiOp::SetData { path, data, version } => self.set_data(path, Some(data), version),
            MultiOp::Check { path, version } => self.check(&path, version),
            MultiOp::GetData { .. } | MultiOp::GetChildren { .. } => Err(Code::MARSHALLING_ERROR),
        }
    }

    pub(super) fn create(
        &mut self,
        path: String,
        data: Option<Vec<u8>>,
        acl: &[Acl],
        mode: CreateMode,
        ttl_ms: i64,
        with_stat: bool,
    ) -> Result<Change, Code> {
        if !is_possible_ttl(mode, ttl_ms) || path.contains('\0') {
            return Err(Code::BAD_ARGUMENTS);
        }
        let (parent_path, _) = split(&path).ok_or(Code::BAD_ARGUMENTS)?;
        let acl = self.resolve(acl)?;
        let mut parent = self.existing(parent_path)?;
        self.require(&parent, permissions::CREATE)?;
        let parent_path = parent_path.to_owned();
        let path = if mode.is_sequential() {
            parent.numbered = parent.numbered.wrapping_add(1);
            let number = if self.lenient { parent.numbered } else { parent.created };
            // Ten characters at least, the sign among them.
            format!("{path}{number:010}")
        } else {
            path
        };
        if !is_valid(&path) {
            return Err(Code::BAD_ARGUMENTS);
        }
        if self.record(&path).is_some() {
            return Err(Code::NODE_EXISTS);
        }
        if matches!(parent.owner, Owner::Session(_)) {
            return Err(Code::NO_CHILDREN_FOR_EPHEMERALS);
        }
        let owner = match mode {
            CreateMode::Ephemeral | CreateMode::EphemeralSequential => Owner::Session(self.session),
            CreateMode::Container => Owner::Children,
            CreateMode::PersistentTtl | CreateMode::PersistentSequentialTtl => Owner::Time(ttl_ms),
            CreateMode::Persistent | CreateMode::PersistentSequential => Owner::Nobody,
        };
        parent.created = parent.created.wrapping_add(1);
        parent.children += 1;
        let (created, numbered) = (parent.created, parent.numbered);
        self.leave(&parent_path, Some(parent));
        let record =
            Record { acl: acl.clone(), owner, version: 0, created: 0, numbered: 0, aversion: 0, children: 0 };
        self.leave(&path, Some(record));
        Ok(Change::Create { path, data, acl, owner, created, numbered, with_stat })
    }

    pub(super) fn delete(&mut self, path: String, version: i32) -> Result<Change, Code> {
        if path.contains('\0') || Tree::is_special(&path) {
            return Err(Code::BAD_ARGUMENTS);
        }
        let (parent_path, _) = split(&path).ok_or(Code::BAD_ARGUMENTS)?;
        let mut parent = self.existing(parent_path)?;
        self.require(&parent, permissions::DELETE)?;
        let node = self.existing(&path)?;
        next_version(node.version, version)?;
        if node.children > 0 {
            return Err(Code::NOT_EMPTY);
        }
        parent.children -= 1;
        self.leave(parent_path, Some(parent));
        self.leave(&path, None);
        Ok(Change::Delete { path })
    }

    pub(super) fn set_data(
        &mut self,
        path: String,
        data: Option<Vec<u8>>,
        version: i32,
    ) -> Result<Change, Code> {
        let mut node = self.valid(&path)?;
        self.require(&node, permissions::WRITE)?;
        let version = next_version(node.version, version)?;
        node.version = version;
        self.leave(&path, Some(node));
        Ok(Change::SetData { path, data, version })
    }

    pub(super) fn set_acl(&mut self, path: String, acl: &[Acl], version: i32) -> Result<Change, Code> {
        if !is_valid(&path) {
            return Err(Code::BAD_ARGUMENTS);
        }
        let acl = self.resolve(acl)?;
        let mut node = self.existing(&path)?;
        self.require(&node, permissions::ADMIN)?;
        let version = next_version(node.aversion, version)?;
        node.aversion = version;
        node.acl.clone_from(&acl);
        self.leave(&path, Some(node));
        Ok(Change::SetAcl { path, acl, version })
    }

    fn check(&mut self, path: &str, version: i32) -> Result<Change, Code> {
        let node = self.valid(path)?;
        self.require(&node, permissions::READ)?;
        next_version(node.version, version)?;
        Ok(Change::Nothing)
    }

    fn valid(&self, path: &str) -> Result<Record, Code> {
        if is_valid(path) { self.existing(path) } else { Err(Code::BAD_ARGUMENTS) }
    }
}

/// Whether a create's time to live fits its mode.
pub(super) fn is_possible_ttl(mode: CreateMode, ttl_ms: i64) -> bool {
    !mode.has_ttl() || (1..=MAX_TTL_MS).contains(&ttl_ms)
}

/// The version after a change that expects `expected`, where −1 expects nothing.
fn next_version(current: i32, expected: i32) -> Result<i32, Code> {
    if expected == -1 || expected == current { Ok(current.wrapping_add(1)) } else { Err(Code::BAD_VERSION) }
}
