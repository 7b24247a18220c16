//! Who leads, and who follows.

use super::*;

impl Ensemble {
    /// The server knows no leader: its clients are sent away.
    pub(super) fn look(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize) {
        if !self.servers[server].is_looking() {
            agenda.tell(|| format!("server {server} looks for a leader"));
        }
        let it = &mut self.servers[server];
        it.role = Role::Looking;
        it.touched.clear();
        let conns: Vec<_> = it.conns.keys().copied().collect();
        for conn in conns {
            self.close(agenda, net, server, conn);
        }
        self.want_election(agenda);
    }

    pub(super) fn want_election(&mut self, agenda: &mut Agenda) {
        if !std::mem::replace(&mut self.electing, true) {
            let pause = agenda.between(20 * MS, 200 * MS);
            agenda.after(pause, Event::Elect);
        }
    }

    /// Fast leader election and the synchronisation after it, in one step.
    pub fn elect(&mut self, agenda: &mut Agenda) {
        self.electing = false;
        let now = agenda.now;
        let free: Vec<_> = (0..self.servers.len())
            .filter(|&s| self.servers[s].up && !self.servers[s].frozen && self.servers[s].is_looking())
            .collect();
        if free.is_empty() {
            return;
        }
        for &server in &free {
            let leader = (0..self.servers.len()).find(|&l| {
                let it = &self.servers[l];
                let leads = matches!(&it.role, Role::Leading(lead) if lead.epoch == self.epoch);
                leads && it.up && !it.frozen && self.connected(now, server, l)
            });
            if let Some(leader) = leader {
                self.join(agenda, server, leader);
            }
        }
        let free: Vec<_> = free.into_iter().filter(|&s| self.servers[s].is_looking()).collect();
        let best = free
            .iter()
            .copied()
            .filter(|&s| {
                1 + free.iter().filter(|&&o| o != s && self.connected(now, s, o)).count() >= self.quorum()
            })
            // A log of a later epoch wins over a longer one of an earlier epoch.
            .max_by_key(|&s| (self.servers[s].epoch, self.servers[s].last_zxid(), s));
        if let Some(leader) = best {
            self.crown(agenda, leader, &free);
        }
        if self.servers.iter().any(|s| s.up && !s.frozen && s.is_looking()) {
            self.want_election(agenda);
        }
    }

    pub(super) fn crown(&mut self, agenda: &mut Agenda, leader: usize, free: &[usize]) {
        self.epoch += 1;
        let epoch = self.epoch;
        agenda.tell(|| format!("server {leader} leads, epoch {epoch}"));
        self.next_join += 1;
        let it = &mut self.servers[leader];
        it.epoch = epoch;
        it.role = Role::Leading(Box::new(Lead {
            epoch,
            counter: 0,
            prepared: it.tree.clone(),
            own_acked: it.log.len(),
            followers: BTreeMap::new(),
            tracked: BTreeMap::new(),
            syncs: Vec::new(),
            stood_still: false,
        }));
        let log = it.log.clone();
        // The new leader's whole log is committed once a quorum has it.
        for logged in log.iter().skip(it.applied) {
            let _ = it.tree.apply(logged.zxid, logged.session, &logged.txn);
        }
        it.applied = log.len();
        it.tree.zxid = it.tree.zxid.max(epoch << 32);
        self.commit_truth(agenda, &log, log.len());
        let it = &mut self.servers[leader];
        let sessions: Vec<_> = it.tree.sessions.iter().map(|(id, timeout)| (*id, *timeout)).collect();
        let expiries: Vec<_> =
            sessions.iter().map(|(_, timeout)| bucket(agenda.now, *timeout, self.tick, it.drift)).collect();
        if let Role::Leading(lead) = &mut it.role {
            lead.prepared = it.tree.clone();
            // SessionTrackerImpl: every session's clock begins anew, with the timeout of its creation.
            for ((id, timeout_ms), expires) in sessions.into_iter().zip(expires_of(expiries)) {
                lead.tracked
                    .insert(id, Tracked { timeout_ms, expires, owner: None, closing: false, unheard: false });
            }
        }
        for &server in free {
            if server != leader && self.connected(agenda.now, server, leader) {
                self.join(agenda, server, leader);
            }
        }
    }

    /// A server follows a leader, with the leader's log in place of its own.
    pub(super) fn join(&mut self, agenda: &mut Agenda, server: usize, leader: usize) {
        agenda.tell(|| format!("server {server} follows {leader}"));
        let join = self.next_join;
        self.next_join += 1;
        let (log, applied, epoch) = {
            let it = &self.servers[leader];
            let Role::Leading(lead) = &it.role else { return };
            (it.log.clone(), it.applied, lead.epoch)
        };
        let it = &mut self.servers[server];
        it.epoch = epoch;
        it.role = Role::Following { leader, join, heard: agenda.now };
        for logged in log.iter().take(applied).skip(it.applied) {
            let _ = it.tree.apply(logged.zxid, logged.session, &logged.txn);
        }
        it.applied = it.applied.max(applied);
        it.tree.zxid = it.tree.zxid.max(epoch << 32);
        let acked = log.len();
        it.log = log;
        if let Role::Leading(lead) = &mut self.servers[leader].role {
            lead.followers.insert(server, Follower { join, acked: 0, heard: agenda.now });
        }
        // What was in flight on an earlier link is gone.
        self.post(agenda, server, leader, join, Peer::Ack(acked));
    }

    /// The leader of the last election, if it is up and runs.
    pub fn leader(&self) -> Option<usize> {
        (0..self.servers.len()).find(|&s| {
            let it = &self.servers[s];
            it.up && !it.frozen && matches!(&it.role, Role::Leading(lead) if lead.epoch == self.epoch)
        })
    }

    /// A leader that was deposed and does not know it yet: it may be frozen.
    pub fn deposed(&self) -> Option<usize> {
        (0..self.servers.len()).find(|&s| {
            let it = &self.servers[s];
            it.up && matches!(&it.role, Role::Leading(lead) if lead.epoch < self.epoch)
        })
    }

    /// How long a follower bears its leader's silence.
    pub fn silence(&self) -> Micros {
        self.tick * self.sync_limit
    }

    pub(super) fn tick(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize) {
        let boot = self.servers[server].boot;
        let silence = self.tick * self.sync_limit;
        let now = agenda.now;
        agenda.after(self.tick / 2, Event::Tick { server, boot });
        let quorum = self.quorum();
        let mut lonely = false;
        let mut due = Vec::new();
        match &mut self.servers[server].role {
            Role::Looking => {}
            Role::Following { heard, .. } => lonely = now - *heard > silence,
            Role::Leading(lead) => {
                // Leader.lead looks once in a tick, and a learner is given that long more.
                let silence = silence + self.tick;
                lead.stood_still = false;
                let heard = lead.followers.values().filter(|f| now - f.heard <= silence).count();
                lonely = heard + 1 < quorum;
                if !lonely {
                    for (session, tracked) in &mut lead.tracked {
                        if !tracked.closing && tracked.expires <= now {
                            tracked.closing = true;
                            due.push(*session);
                            if tracked.unheard {
                                self.unheard.insert(*session);
                            }
                        }
                    }
                }
            }
        }
        if lonely {
            self.look(agenda, net, server);
            return;
        }
        for session in due {
            agenda.tell(|| format!("server {server} expires {}", session_name(session)));
            self.propose(agenda, server, None, session, Txn::CloseSession);
        }
        self.post_all(agenda, server, &Peer::Ping);
    }
}
