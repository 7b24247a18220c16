//! What the leader alone does: it decides on writes, proposes and commits them, and keeps the sessions.

use super::*;

impl Ensemble {
    pub(super) fn lead(&mut self, server: usize) -> Option<&mut Lead> {
        match &mut self.servers[server].role {
            Role::Leading(lead) => Some(lead),
            _ => None,
        }
    }

    pub(super) fn touch(&mut self, now: Micros, server: usize, session: i64, timeout_ms: i32) -> bool {
        let (tick, drift) = (self.tick, self.servers[server].drift);
        match self.lead(server).and_then(|lead| lead.tracked.get_mut(&session)) {
            Some(tracked) if !tracked.closing => {
                tracked.timeout_ms = timeout_ms;
                tracked.expires = bucket(now, timeout_ms, tick, drift);
                tracked.unheard = false;
                true
            }
            _ => false,
        }
    }

    pub(super) fn own(&mut self, server: usize, session: i64, owner: usize) {
        if let Some(tracked) = self.lead(server).and_then(|lead| lead.tracked.get_mut(&session)) {
            tracked.owner = Some(owner);
        }
    }

    /// Whether a session came by another server since.
    pub(super) fn has_moved(&mut self, server: usize, session: i64) -> bool {
        let tracked = self.lead(server).and_then(|lead| lead.tracked.get(&session));
        tracked.and_then(|tracked| tracked.owner).is_some_and(|owner| owner != server)
    }

    pub(super) fn new_session(
        &mut self,
        agenda: &mut Agenda,
        server: usize,
        origin: Origin,
        session: i64,
        timeout_ms: i32,
    ) {
        let expires = bucket(agenda.now, timeout_ms, self.tick, self.servers[server].drift);
        if let Some(lead) = self.lead(server) {
            let owner = Some(origin.server);
            lead.tracked
                .insert(session, Tracked { timeout_ms, expires, owner, closing: false, unheard: false });
            self.propose(agenda, server, Some(origin), session, Txn::CreateSession { timeout_ms });
        }
    }

    /// PrepRequestProcessor: decides on a write, against everything that is proposed already.
    pub(super) fn write(
        &mut self,
        agenda: &mut Agenda,
        server: usize,
        origin: Origin,
        session: i64,
        request: &Request,
    ) {
        let (epoch, forgives_moves) = (self.epoch, self.forgives_moves);
        let Some(lead) = self.lead(server) else { return };
        // What a deposed leader proposes is committed by nobody.
        let counts = lead.epoch == epoch;
        let refused = match lead.tracked.get_mut(&session) {
            _ if session == ADMIN => None,
            None => Some(code::SESSION_EXPIRED),
            Some(tracked) if tracked.closing => Some(code::SESSION_EXPIRED),
            Some(tracked) => match tracked.owner {
                Some(owner) if owner != origin.server => Some(code::SESSION_MOVED),
                _ => {
                    tracked.owner = Some(origin.server);
                    tracked.unheard |= lead.stood_still;
                    None
                }
            },
        };
        let txn = match refused {
            Some(code) if forgives_moves && *request == Request::CloseSession => Txn::Error(code),
            _ => lead.prepared.transaction(session, request, refused),
        };
        let one_of_others = |path: &String| {
            let told = self.told.get(&(session, path.clone()));
            // A late copy from an earlier connection is refused, and proves nothing. A persistent node has no
            // owner among the sessions.
            let another = |owner: i64| owner != session && owner != 0;
            counts && refused.is_none() && told.is_some_and(|(_, owner)| another(*owner))
        };
        if let Request::Delete { path, .. } = request
            && one_of_others(path)
            && !self.is_lock(path)
            && !self.is_persistent_lock(path)
        {
            self.seen.push(Seen::DeletedThoughTold { session, path: path.clone() });
        }
        if txn == Txn::CloseSession
            && let Some(tracked) = self.lead(server).and_then(|lead| lead.tracked.get_mut(&session))
        {
            tracked.closing = true;
        }
        self.propose(agenda, server, Some(origin), session, txn);
    }

    pub(super) fn propose(
        &mut self,
        agenda: &mut Agenda,
        server: usize,
        origin: Option<Origin>,
        session: i64,
        txn: Txn,
    ) {
        let Some(lead) = self.lead(server) else { return };
        lead.counter += 1;
        let zxid = lead.epoch << 32 | lead.counter;
        let _ = lead.prepared.apply(zxid, session, &txn);
        let epoch = lead.epoch as u64;
        let logged = Rc::new(Logged { zxid, session, txn, origin });
        self.servers[server].log.push(Rc::clone(&logged));
        let len = self.servers[server].log.len();
        self.post_all(agenda, server, &Peer::Propose(logged));
        self.post(agenda, server, server, epoch, Peer::Ack(len));
    }

    pub(super) fn acked(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        from: usize,
        len: usize,
    ) {
        let quorum = self.quorum();
        let Some(lead) = self.lead(server) else { return };
        if from == server {
            lead.own_acked = lead.own_acked.max(len);
        } else if let Some(follower) = lead.followers.get_mut(&from) {
            follower.acked = follower.acked.max(len);
        }
        let mut acked: Vec<_> = lead.followers.values().map(|f| f.acked).chain([lead.own_acked]).collect();
        acked.sort_unstable_by(|a, b| b.cmp(a));
        let committed = acked.get(quorum - 1).copied().unwrap_or(0);
        if committed <= self.servers[server].applied {
            return;
        }
        let log = self.servers[server].log.clone();
        self.commit_truth(agenda, &log, committed);
        self.post_all(agenda, server, &Peer::Commit(committed));
        self.apply(agenda, net, server, committed);
        let Some(lead) = self.lead(server) else { return };
        let (due, rest) = std::mem::take(&mut lead.syncs).into_iter().partition(|sync| sync.0 <= committed);
        lead.syncs = rest;
        let due: Vec<(usize, usize, u64, u64)> = due;
        for (_, to, conn, seq) in due {
            self.synced(agenda, net, server, to, conn, seq);
        }
    }

    /// Leader.processSync: answered at once if nothing is proposed, whoever leads by now.
    pub(super) fn sync(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        from: usize,
        conn: u64,
        seq: u64,
    ) {
        let (len, applied) = (self.servers[server].log.len(), self.servers[server].applied);
        if applied >= len {
            self.synced(agenda, net, server, from, conn, seq);
        } else if let Some(lead) = self.lead(server) {
            lead.syncs.push((len, from, conn, seq));
        }
    }

    pub(super) fn synced(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        to: usize,
        conn: u64,
        seq: u64,
    ) {
        if to == server {
            self.caught_up(agenda, net, server, conn, seq);
        } else if let Some(join) = self.lead(server).and_then(|l| l.followers.get(&to)).map(|f| f.join) {
            self.post(agenda, server, to, join, Peer::Synced { conn, seq });
        }
    }
}
