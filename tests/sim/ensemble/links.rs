//! Between the servers, and what may happen to them.

use super::*;

impl Ensemble {
    pub(super) fn connected(&self, now: Micros, a: usize, b: usize) -> bool {
        let open = |a, b| self.blocked.get(&(a, b)).is_none_or(|until| *until <= now);
        open(a, b) && open(b, a)
    }

    pub fn block(&mut self, from: usize, to: usize, until: Micros) {
        let blocked = self.blocked.entry((from, to)).or_default();
        *blocked = (*blocked).max(until);
    }

    pub(super) fn post(&mut self, agenda: &mut Agenda, from: usize, to: usize, join: u64, message: Peer) {
        let (is_ack, mut at) = match message {
            Peer::Ack(_) => (true, agenda.now.max(self.servers[from].disk_stalls_until)),
            _ => (false, agenda.now),
        };
        if from != to {
            let blocked = self.blocked.get(&(from, to)).copied().unwrap_or(0);
            let lag = self.servers[to].lag;
            let slowest = if agenda.chance(10) { lag } else { 2 * MS };
            at = at.max(blocked) + agenda.between(100, slowest);
        } else if is_ack {
            at += agenda.between(50, 3 * MS);
        }
        let last = self.last.entry((from, to, is_ack)).or_default();
        at = at.max(*last);
        *last = at;
        agenda.at(at, Event::Peer { from, to, join, message });
    }

    /// To the followers, with the join that each belongs to the leader by.
    pub(super) fn post_all(&mut self, agenda: &mut Agenda, from: usize, message: &Peer) {
        let Role::Leading(lead) = &self.servers[from].role else { return };
        let followers: Vec<_> = lead.followers.iter().map(|(to, f)| (*to, f.join)).collect();
        for (to, join) in followers {
            self.post(agenda, from, to, join, message.clone());
        }
    }

    pub fn freeze(&mut self, agenda: &mut Agenda, server: usize, until: Micros) {
        let it = &mut self.servers[server];
        if it.up && !it.frozen {
            it.frozen = true;
            agenda.tell(|| format!("server {server} freezes"));
            agenda.at(until, Event::Thaw { server });
        }
    }

    pub fn thaw(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize) {
        if !std::mem::take(&mut self.servers[server].frozen) {
            return;
        }
        agenda.tell(|| format!("server {server} thaws"));
        if let Role::Leading(lead) = &mut self.servers[server].role {
            lead.stood_still = true;
        }
        for event in std::mem::take(&mut self.servers[server].inbox) {
            match event {
                // The thread that notices how much time has passed need not be the first to run.
                Event::Tick { .. } => {
                    let pause = agenda.between(0, self.tick / 2);
                    agenda.after(pause, event);
                }
                event => self.handle(agenda, net, event),
            }
        }
        self.want_election(agenda);
    }

    pub fn kill(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize, until: Micros) {
        if !self.servers[server].up {
            return;
        }
        agenda.tell(|| format!("server {server} dies"));
        self.look(agenda, net, server);
        let it = &mut self.servers[server];
        it.up = false;
        it.frozen = false;
        it.inbox.clear();
        agenda.at(until, Event::Restart { server });
    }

    pub fn restart(&mut self, agenda: &mut Agenda, server: usize) {
        if self.servers[server].up {
            return;
        }
        agenda.tell(|| format!("server {server} starts"));
        self.servers[server].up = true;
        self.servers[server].boot = self.next_boot;
        self.next_boot += 1;
        let boot = self.servers[server].boot;
        agenda.after(self.tick / 2, Event::Tick { server, boot });
        self.want_election(agenda);
    }

    pub fn stall_disk(&mut self, server: usize, until: Micros) {
        self.servers[server].disk_stalls_until = until;
    }
}
