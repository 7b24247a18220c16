//! What every server does: it applies what is committed, answers, and fires watches.

use super::*;

/// What the header of an event has in place of a transaction.
const NO_ZXID: i64 = -1;

impl Ensemble {
    pub(super) fn apply(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize, upto: usize) {
        while self.servers[server].applied < upto {
            let it = &mut self.servers[server];
            let Some(logged) = it.log.get(it.applied).cloned() else { return };
            it.applied += 1;
            let (happened, response) = it.tree.apply(logged.zxid, logged.session, &logged.txn);
            for (path, what) in happened {
                self.fire(agenda, net, server, &path, what);
            }
            if logged.txn == Txn::CloseSession
                && let Some(lead) = self.lead(server)
            {
                lead.tracked.remove(&logged.session);
            }
            if let Some(origin) = logged.origin.filter(|origin| origin.server == server) {
                match &logged.txn {
                    Txn::CreateSession { .. } => {
                        self.attached(agenda, net, server, origin.conn, logged.session, true);
                    }
                    _ => {
                        self.complete(agenda, net, server, origin.conn, origin.seq, (logged.zxid, response));
                    }
                }
            }
            if logged.txn == Txn::CloseSession {
                let it = &self.servers[server];
                let gone: Vec<_> = it
                    .conns
                    .iter()
                    .filter(|(_, conn)| conn.session == logged.session)
                    .map(|(id, _)| *id)
                    .collect();
                for conn in gone {
                    self.close(agenda, net, server, conn);
                }
            }
        }
    }

    pub(super) fn fire(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        path: &str,
        what: Happened,
    ) {
        let it = &mut self.servers[server];
        let kind = match what {
            Happened::Created => 1,
            Happened::Deleted => 2,
            Happened::Changed => 3,
        };
        let mut told = it.data_watches.remove(path).unwrap_or_default();
        if what == Happened::Deleted {
            // WatchManager: a connection that watches both is told once.
            told.extend(it.child_watches.remove(path).unwrap_or_default());
        }
        let above = match what {
            Happened::Changed => BTreeSet::new(),
            _ => it.child_watches.remove(parent(path)).unwrap_or_default(),
        };
        let zxid = if self.has_event_zxid { self.servers[server].tree.zxid } else { NO_ZXID };
        for conn in told {
            notify(agenda, net, conn, zxid, kind, path);
        }
        for conn in above {
            notify(agenda, net, conn, zxid, 4, parent(path));
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn complete(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        id: u64,
        seq: u64,
        answer: (i64, Result<Response, i32>),
    ) {
        let Some(conn) = self.servers[server].conns.get_mut(&id) else { return };
        if let Some(pending) = conn.queue.iter_mut().find(|pending| pending.seq == seq) {
            pending.waiting = Waiting::Away(Some(answer));
        }
        self.advance(agenda, net, server, id);
    }

    /// A server has caught up for a `sync` of one of its clients.
    pub(super) fn caught_up(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        id: u64,
        seq: u64,
    ) {
        let it = &self.servers[server];
        let zxid = it.tree.zxid;
        let asked = it.conns.get(&id).and_then(|conn| conn.queue.iter().find(|pending| pending.seq == seq));
        let path = asked.and_then(|pending| pending.request.path()).unwrap_or_default().to_owned();
        self.complete(agenda, net, server, id, seq, (zxid, Ok(Response::Path(path))));
    }

    /// CommitProcessor: the answers of one session in the order of its requests.
    pub(super) fn advance(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize, id: u64) {
        loop {
            let it = &mut self.servers[server];
            let Some(conn) = it.conns.get_mut(&id) else { return };
            match conn.queue.front() {
                None | Some(Pending { waiting: Waiting::Away(None), .. }) => return,
                Some(_) => {}
            }
            let Some(pending) = conn.queue.pop_front() else { return };
            let (session, xid) = (conn.session, pending.xid);
            let (zxid, outcome) = match pending.waiting {
                Waiting::Away(Some(answer)) => answer,
                Waiting::Away(None) => return,
                Waiting::Read => {
                    let outcome = self.read(agenda, net, server, id, session, &pending.request);
                    (self.servers[server].tree.zxid, outcome)
                }
            };
            let moved = |result: &MultiResult| result.err() == code::SESSION_MOVED;
            let in_multi = matches!(&outcome, Ok(Response::Multi(results)) if results.iter().any(moved));
            if in_multi || outcome == Err(code::SESSION_MOVED) {
                // FinalRequestProcessor: an error of the connection.
                agenda.tell(|| format!("server {server}: {} has moved", session_name(session)));
                self.close(agenda, net, server, id);
                return;
            }
            if let Ok(Response::Create2 { path, stat }) = &outcome {
                self.told.insert((session, path.clone()), (stat.czxid, stat.ephemeral_owner));
            }
            let err = outcome.as_ref().err().copied().unwrap_or(0);
            reply(agenda, net, id, ReplyHeader { xid, zxid, err }, outcome.ok());
            if *pending.request == Request::CloseSession && err == 0 {
                self.close(agenda, net, server, id);
                return;
            }
        }
    }

    pub(super) fn read(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        id: u64,
        session: i64,
        request: &Request,
    ) -> Result<Response, i32> {
        let old = self.old;
        let it = &mut self.servers[server];
        match request {
            Request::Ping | Request::Auth { .. } => Ok(Response::Empty),
            Request::Exists { path, watch } | Request::GetData { path, watch } => {
                let exists = matches!(request, Request::Exists { .. });
                let node = it.tree.nodes.get(path);
                if *watch && (exists || node.is_some()) {
                    it.data_watches.entry(path.clone()).or_default().insert(id);
                }
                let Some(node) = node else {
                    self.told.remove(&(session, path.clone()));
                    return Err(code::NO_NODE);
                };
                let (stat, data) = (node.stat(), node.data.to_vec());
                // Whoever asks whether it exists wants to know whose it is.
                if exists || stat.ephemeral_owner == session {
                    self.told.insert((session, path.clone()), (stat.czxid, stat.ephemeral_owner));
                }
                Ok(if exists { Response::Stat(stat) } else { Response::Data { data, stat } })
            }
            // At its turn behind its own session's writes.
            Request::Sync { path } => Ok(Response::Path(path.clone())),
            Request::GetChildren { path, watch } | Request::GetChildren2 { path, watch } => {
                let node = it.tree.nodes.get(path).ok_or(code::NO_NODE)?;
                if *watch {
                    it.child_watches.entry(path.clone()).or_default().insert(id);
                }
                let stat = node.stat();
                let mut children: Vec<_> = node.children.iter().cloned().collect();
                // In no order.
                agenda.rng.shuffle(&mut children);
                let children = children.iter().collect();
                Ok(match request {
                    Request::GetChildren { .. } => Response::Children { children },
                    _ => Response::Children2 { children, stat },
                })
            }
            Request::GetEphemerals { prefix } if !old => Ok(Response::Ephemerals(
                it.tree.ephemerals(session).filter(|path| path.starts_with(prefix)).cloned().collect(),
            )),
            Request::SetWatches { relative_zxid, data, exist, child } => {
                let mut events = Vec::new();
                for path in data {
                    match it.tree.nodes.get(path) {
                        None => events.push((2, path)),
                        Some(node) if node.mzxid > *relative_zxid => events.push((3, path)),
                        Some(_) => {
                            it.data_watches.entry(path.clone()).or_default().insert(id);
                        }
                    }
                }
                for path in exist {
                    if it.tree.nodes.contains_key(path) {
                        events.push((1, path));
                    } else {
                        it.data_watches.entry(path.clone()).or_default().insert(id);
                    }
                }
                for path in child {
                    match it.tree.nodes.get(path) {
                        None => events.push((2, path)),
                        Some(node) if node.pzxid > *relative_zxid => events.push((4, path)),
                        Some(_) => {
                            it.child_watches.entry(path.clone()).or_default().insert(id);
                        }
                    }
                }
                for (kind, path) in events {
                    notify(agenda, net, id, NO_ZXID, kind, path);
                }
                Ok(Response::Empty)
            }
            Request::RemoveWatches { path, kind } => {
                let mut found = false;
                let mut remove = |watches: &mut BTreeMap<String, BTreeSet<u64>>| {
                    if let Some(conns) = watches.get_mut(path) {
                        found |= conns.remove(&id);
                    }
                };
                if *kind != WatcherType::Children {
                    remove(&mut it.data_watches);
                }
                if *kind != WatcherType::Data {
                    remove(&mut it.child_watches);
                }
                if found { Ok(Response::Empty) } else { Err(code::NO_WATCHER) }
            }
            _ => Err(code::UNIMPLEMENTED),
        }
    }
}
