//! What the checks want to know of what is committed.

use super::*;

impl Ensemble {
    pub(super) fn commit_truth(&mut self, agenda: &mut Agenda, log: &[Rc<Logged>], len: usize) {
        for (at, logged) in log.iter().enumerate().take(len).skip(self.truth_log.len().min(len)) {
            assert_eq!(at, self.truth_log.len());
            if let Txn::One(Change::Delete { path }) = &logged.txn
                && logged.session != ADMIN
                && !self.is_lock(path)
                && self.truth.nodes.get(path).is_some_and(|node| node.owner != logged.session)
                && !self.is_persistent_lock(path)
            {
                self.seen.push(Seen::DeletedForeign { session: logged.session, path: path.clone() });
            }
            self.see(logged);
            let _ = self.truth.apply(logged.zxid, logged.session, &logged.txn);
            self.truth_log.push(Rc::clone(logged));
            agenda.mix(logged.zxid as u64);
            agenda.tell(|| {
                format!(
                    "commit {:x} of {}: {}",
                    logged.zxid,
                    session_name(logged.session),
                    describe(&logged.txn)
                )
            });
        }
        if let (Some(a), Some(b)) = (log.get(len.wrapping_sub(1)), self.truth_log.get(len.wrapping_sub(1))) {
            assert!(Rc::ptr_eq(a, b), "the model commits two histories");
        }
    }

    /// A persistent lock node of ours: no session owns it, and each may delete it whose client made it.
    pub(super) fn is_persistent_lock(&self, path: &str) -> bool {
        path.rsplit('/').next().is_some_and(|name| name.starts_with("lock-"))
            && self.truth.nodes.get(path).is_some_and(|node| node.owner == 0)
    }

    /// Whether it is a lock's path, which belongs to all.
    pub(super) fn is_lock(&self, path: &str) -> bool {
        self.guards.values().any(|lock| lock == path)
    }

    /// What of a transaction about to be committed the checks want to know.
    pub(super) fn see(&mut self, logged: &Logged) {
        let one;
        let changes = match &logged.txn {
            Txn::One(change) => {
                one = [change.clone()];
                &one[..]
            }
            Txn::Multi(changes) => changes,
            Txn::CloseSession => {
                let locks = self.truth.ephemerals(logged.session).filter(|path| !is_companion(path));
                let owned = locks.map(|path| self.truth.nodes[path].czxid);
                let unheard = self.unheard.contains(&logged.session);
                self.seen.extend(owned.map(|czxid| Seen::Removed { czxid, with_session: true, unheard }));
                return;
            }
            Txn::Error(_) | Txn::CreateSession { .. } => return,
        };
        for change in changes {
            match change {
                Change::Delete { path } if !is_companion(path) => {
                    if let Some(node) = self.truth.nodes.get(path) {
                        self.seen.push(Seen::Removed {
                            czxid: node.czxid,
                            with_session: false,
                            unheard: false,
                        });
                    }
                }
                Change::Set { path, data, .. } | Change::Create { path, data, .. } => {
                    if let Some(lock) = self.guards.get(path) {
                        let before =
                            self.truth.nodes.get(path).map_or_else(|| Rc::from([]), |n| Rc::clone(&n.data));
                        let lowest = self.contenders(lock).first().map(|found| found.2);
                        let checked = changes.iter().find_map(|change| match change {
                            Change::Check { path } if path.starts_with(&format!("{lock}/")) => {
                                self.truth.nodes.get(path).map(|node| node.czxid)
                            }
                            _ => None,
                        });
                        let (path, session, after) = (path.clone(), logged.session, Rc::clone(data));
                        self.seen.push(Seen::Wrote { path, session, before, after, lowest, checked });
                    }
                }
                _ => {}
            }
        }
    }
}
