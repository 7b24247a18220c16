//! What changes no node: reads, and the watches that clients leave behind with them.

use super::acl::{Identity, allows, without_digests};
use super::machine::{Event, Machine, event};
use super::tree::Node;
use super::watches::{ConnectionId, Modes};
use crate::error::Code;
use crate::proto::{EventType, MultiOp, MultiResult, Request, Response, Stat, WatcherType, permissions};

impl Machine {
    fn readable(&self, connection: ConnectionId, path: &str, perms: i32) -> Result<&Node, Code> {
        let node = self.tree.get(path).ok_or(Code::NO_NODE)?;
        if allows(&node.acl, perms, self.identities(connection)) { Ok(node) } else { Err(Code::NO_AUTH) }
    }

    pub(super) fn read(
        &mut self,
        connection: ConnectionId,
        session: i64,
        request: Request,
    ) -> Result<Response, Code> {
        match request {
            Request::Exists { path, watch } => {
                if path.contains('\0') {
                    return Err(Code::BAD_ARGUMENTS);
                }
                let found = match self.readable(connection, &path, permissions::READ) {
                    Err(Code::NO_NODE) => None,
                    other => Some(other?.stat()),
                };
                if watch {
                    self.data_watches.add(&path, connection, Modes::ONE_SHOT);
                }
                found.map(Response::Stat).ok_or(Code::NO_NODE)
            }
            Request::GetChildren { path, watch } => {
                let (children, _) = self.children(connection, &path, watch)?;
                Ok(Response::Children { children: children.iter().collect() })
            }
            Request::GetChildren2 { path, watch } => {
                let (children, stat) = self.children(connection, &path, watch)?;
                Ok(Response::Children2 { children: children.iter().collect(), stat })
            }
            Request::GetAcl { path } => {
                let node = self.readable(connection, &path, permissions::READ | permissions::ADMIN)?;
                let stat = node.stat();
                let acl = if allows(&node.acl, permissions::ADMIN, self.identities(connection)) {
                    node.acl.clone()
                } else {
                    without_digests(&node.acl)
                };
                Ok(Response::Acl { acl, stat })
            }
            Request::Sync { path } => Ok(Response::Path(path)),
            Request::Ping => Ok(Response::Empty),
            Request::MultiRead(ops) => self.multi_read(connection, ops),
            Request::GetAllChildrenNumber { path } => {
                self.readable(connection, &path, permissions::READ)?;
                let count = self.tree.count_below(&path);
                Ok(Response::Number(i32::try_from(count).unwrap_or(i32::MAX)))
            }
            Request::GetEphemerals { prefix } => {
                let mut paths = self.tree.ephemerals(session);
                if !matches!(prefix.trim(), "" | "/") {
                    paths.retain(|path| path.starts_with(&prefix));
                }
                Ok(Response::Ephemerals(paths))
            }
            Request::WhoAmI => {
                Ok(Response::Identities(self.identities(connection).iter().map(Identity::info).collect()))
            }
            Request::AddWatch { path, mode } => {
                let mode = Modes::from(mode);
                self.add_persistent(&path, connection, mode);
                Ok(Response::Code(0))
            }
            Request::RemoveWatches { path, kind } => {
                if self.remove_watches(&path, connection, kind) {
                    Ok(Response::Empty)
                } else {
                    Err(Code::NO_WATCHER)
                }
            }
            Request::CheckWatches { path, kind } => {
                if self.has_watches(&path, connection, kind) {
                    Ok(Response::Empty)
                } else {
                    Err(Code::NO_WATCHER)
                }
            }
            Request::SetWatches { relative_zxid, data, exist, child } => {
                self.set_watches(connection, relative_zxid, &data, &exist, &child);
                Ok(Response::Empty)
            }
            Request::SetWatches2 { relative_zxid, data, exist, child, persistent, recursive } => {
                self.set_watches(connection, relative_zxid, &data, &exist, &child);
                for path in persistent {
                    self.add_persistent(&path, connection, Modes::PERSISTENT);
                }
                for path in recursive {
                    self.add_persistent(&path, connection, Modes::RECURSIVE);
                }
                Ok(Response::Empty)
            }
            // Those that `apply` does itself.
            Request::Create { .. }
            | Request::Delete { .. }
            | Request::GetData { .. }
            | Request::SetData { .. }
            | Request::SetAcl { .. }
            | Request::Check { .. }
            | Request::Multi(_)
            | Request::Auth { .. }
            | Request::CloseSession => Err(Code::UNIMPLEMENTED),
        }
    }

    pub(super) fn get_data(
        &mut self,
        connection: ConnectionId,
        path: &str,
        watch: bool,
    ) -> Result<Response, Code> {
        let node = self.readable(connection, path, permissions::READ)?;
        let response = Response::Data { data: node.data.clone().unwrap_or_default(), stat: node.stat() };
        if watch {
            self.data_watches.add(path, connection, Modes::ONE_SHOT);
        }
        Ok(response)
    }

    fn children(
        &mut self,
        connection: ConnectionId,
        path: &str,
        watch: bool,
    ) -> Result<(Vec<String>, Stat), Code> {
        let node = self.readable(connection, path, permissions::READ)?;
        let answer = (node.children.iter().cloned().collect(), node.stat());
        if watch {
            self.child_watches.add(path, connection, Modes::ONE_SHOT);
        }
        Ok(answer)
    }

    fn multi_read(&mut self, connection: ConnectionId, ops: Vec<MultiOp>) -> Result<Response, Code> {
        let mut results = Vec::with_capacity(ops.len());
        for op in ops {
            let answer = match op {
                MultiOp::GetData { path } => {
                    self.readable(connection, &path, permissions::READ).map(|node| MultiResult::GetData {
                        data: node.data.clone().unwrap_or_default(),
                        stat: node.stat(),
                    })
                }
                MultiOp::GetChildren { path } => self
                    .children(connection, &path, false)
                    .map(|(children, _)| MultiResult::GetChildren { children }),
                _ => return Err(Code::MARSHALLING_ERROR),
            };
            results.push(answer.unwrap_or_else(|code| MultiResult::Error(code.number())));
        }
        Ok(Response::Multi(results))
    }

    fn add_persistent(&mut self, path: &str, connection: ConnectionId, mode: Modes) {
        self.data_watches.add(path, connection, mode);
        // What happens to the children of a recursively watched node, they tell themselves.
        if mode != Modes::RECURSIVE {
            self.child_watches.add(path, connection, mode);
        }
    }

    fn remove_watches(&mut self, path: &str, connection: ConnectionId, kind: WatcherType) -> bool {
        let (of_data, of_children) = modes_of(kind);
        let data = of_data.is_some_and(|mode| self.data_watches.remove(path, connection, mode));
        let child = of_children.is_some_and(|mode| self.child_watches.remove(path, connection, mode));
        data || child
    }

    fn has_watches(&self, path: &str, connection: ConnectionId, kind: WatcherType) -> bool {
        let (of_data, of_children) = modes_of(kind);
        of_data.is_some_and(|mode| self.data_watches.has(path, connection, mode))
            || of_children.is_some_and(|mode| self.child_watches.has(path, connection, mode))
    }

    /// A client came back with its one-shot watches: what it missed it is told now, the rest is watched again.
    fn set_watches(
        &mut self,
        connection: ConnectionId,
        seen: i64,
        data: &[String],
        exist: &[String],
        child: &[String],
    ) {
        for path in data {
            let missed = match self.tree.get(path) {
                None => Some(EventType::Deleted),
                Some(node) => (node.mzxid > seen).then_some(EventType::DataChanged),
            };
            match missed {
                Some(kind) => self.tell_missed(connection, kind, path),
                None => self.data_watches.add(path, connection, Modes::ONE_SHOT),
            }
        }
        for path in exist {
            match self.tree.get(path) {
                Some(_) => self.tell_missed(connection, EventType::Created, path),
                None => self.data_watches.add(path, connection, Modes::ONE_SHOT),
            }
        }
        for path in child {
            let missed = match self.tree.get(path) {
                None => Some(EventType::Deleted),
                Some(node) => (node.pzxid > seen).then_some(EventType::ChildrenChanged),
            };
            match missed {
                Some(kind) => self.tell_missed(connection, kind, path),
                None => self.child_watches.add(path, connection, Modes::ONE_SHOT),
            }
        }
    }

    fn tell_missed(&mut self, to: ConnectionId, kind: EventType, path: &str) {
        self.events.push(Event { to, zxid: -1, event: event(kind, path) });
    }
}

/// What a type of watch is among the watches on data and among those on children.
fn modes_of(kind: WatcherType) -> (Option<Modes>, Option<Modes>) {
    match kind {
        WatcherType::Data => (Some(Modes::ONE_SHOT), None),
        WatcherType::Children => (None, Some(Modes::ONE_SHOT)),
        WatcherType::Persistent => (Some(Modes::PERSISTENT), Some(Modes::PERSISTENT)),
        WatcherType::PersistentRecursive => (Some(Modes::RECURSIVE), None),
        WatcherType::Any => (Some(Modes::ALL), Some(Modes::ALL)),
    }
}
