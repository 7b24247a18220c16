//! The faults of servers, networks and processes, whatever the programs do.

use super::agenda::{Event, Micros};
use super::faults::{Due, Kind};
use super::network::{Cut, Strand, Way, Where};
use super::stage::Stage;

impl Stage {
    /// Lets a fault happen that is none of a recipe's.
    pub fn strike(&mut self, kind: Kind) {
        let servers = self.ensemble.servers.len();
        let server = self.agenda.rng.usize(0..servers);
        match kind {
            Kind::CutConnection => self.cut_connection(),
            Kind::EndConnection => {
                if let Some(conn) = self.any_conn() {
                    self.agenda.tell(|| format!("connection {conn} breaks"));
                    self.net.end(&mut self.agenda, conn);
                }
            }
            Kind::HalfOpen => {
                let (Some(conn), way) = (self.any_conn(), self.any_way()) else { return };
                self.agenda.tell(|| format!("connection {conn} is half open: nothing goes {way:?}"));
                self.net.deaden(conn, way);
            }
            Kind::LateAnswers => self.late_answers(),
            Kind::BlockClient => {
                let Some(process) = self.any_live(true) else { return };
                let (until, way) = (self.a_while(12), self.any_way());
                let all = self.agenda.chance(30);
                self.agenda.tell(|| {
                    format!("process {process} and server {server} (all: {all}) are cut off, {way:?}, until {until}")
                });
                for s in 0..servers {
                    if all || s == server {
                        self.net.block(process, s, way, until);
                    }
                }
            }
            Kind::FreezeServer => {
                let until = self.a_while(12);
                let all = self.agenda.chance(15);
                for s in 0..servers {
                    if all || s == server {
                        self.ensemble.freeze(&mut self.agenda, s, until);
                    }
                }
            }
            Kind::KillServer => {
                let until = self.a_while(8);
                self.ensemble.kill(&mut self.agenda, &mut self.net, server, until);
            }
            Kind::BlockServers => {
                let until = self.a_while(12);
                let one_way = self.agenda.chance(30);
                self.agenda.tell(|| format!("server {server} is cut off from the others until {until}"));
                self.isolate(server, one_way, until);
            }
            Kind::Depose => self.depose(),
            Kind::StallDisks => {
                let until = self.a_while(6);
                let all = self.agenda.chance(60);
                self.agenda.tell(|| format!("the disk of server {server} (all: {all}) stalls until {until}"));
                for s in 0..servers {
                    if all || s == server {
                        self.ensemble.stall_disk(s, until);
                    }
                }
            }
            Kind::PauseProcess => {
                let Some(process) = self.any_live(false) else { return };
                let until = self.a_while(15);
                self.agenda.tell(|| format!("process {process} is paused until {until}"));
                let it = &mut self.processes[process];
                it.paused = true;
                it.pauses += 1;
                self.agenda.at(until, Event::Resume { process });
            }
            Kind::ExpireSession => {
                let open = self.ensemble.sessions();
                if let Some(session) = self.agenda.rng.choice(open) {
                    self.ensemble.expire(&mut self.agenda, session);
                }
            }
            _ => {}
        }
    }

    fn isolate(&mut self, server: usize, one_way: bool, until: Micros) {
        for other in (0..self.ensemble.servers.len()).filter(|other| *other != server) {
            self.ensemble.block(server, other, until);
            if !one_way {
                self.ensemble.block(other, server, until);
            }
        }
    }

    fn any_conn(&mut self) -> Option<u64> {
        let open = self.net.conns.iter().filter(|(_, c)| c.client_open && c.server_open);
        let open: Vec<_> = open.map(|(id, _)| *id).collect();
        self.agenda.rng.choice(open)
    }

    fn any_way(&mut self) -> Option<Way> {
        *self.agenda.rng.choice(&[None, Some(Way::ToServer), Some(Way::ToClient)]).unwrap_or(&None)
    }

    fn cut_connection(&mut self) {
        let Some(conn) = self.any_conn() else { return };
        let way = if self.agenda.chance(50) { Way::ToServer } else { Way::ToClient };
        let place = match self.agenda.rng.u32(0..6) {
            0 => Where::AtItsBegin,
            1 => Where::After(self.agenda.rng.usize(1..20)),
            2 => Where::Middle,
            3 => Where::BeforeItsEnd,
            _ => Where::AtItsBegin,
        };
        let frames = self.agenda.rng.u32(0..5);
        let cut = Cut { frames, place, swallow: self.agenda.chance(70), strand: None };
        self.net.arm(conn, way, cut);
    }

    /// Answers come late, as through a full queue on the way, and then no more. Meanwhile the leader may
    /// end the session, if its clock jumps in this schedule.
    fn late_answers(&mut self) {
        let Some(conn) = self.any_conn() else { return };
        let Some(server) = self.net.conns.get(&conn).map(|c| c.server) else { return };
        let late = self.agenda.between(self.ensemble.tick / 8, 2 * self.ensemble.tick);
        let messages = self.agenda.rng.u32(1..5);
        self.agenda
            .tell(|| format!("{messages} messages to connection {conn} come {late} us late, no others"));
        self.net.delay_answers(conn, messages, late);
        if self.plan.has(Kind::ExpireSession)
            && self.agenda.chance(50)
            && let Some(session) = self.ensemble.session_of(server, conn)
        {
            let after = self.agenda.between(0, late);
            self.agenda.after(after, Event::Due(Due::Expire { session }));
        }
    }

    /// The others elect a new leader, and the old one does not know it yet: it is cut off from them, or
    /// frozen for a while. Meanwhile it answers whoever reaches it.
    fn depose(&mut self) {
        let servers = self.ensemble.servers.len();
        let Some(leader) = self.ensemble.leader().filter(|_| servers > 1) else { return };
        let (silence, tick) = (self.ensemble.silence(), self.ensemble.tick);
        let until = self.agenda.now + silence + self.agenda.between(tick, 3 * tick);
        if self.agenda.chance(50) {
            self.agenda.tell(|| format!("leader {leader} is cut off from the others until {until}"));
            self.isolate(leader, false, until);
        } else {
            self.ensemble.freeze(&mut self.agenda, leader, until);
        }
        // Some clients are on its side, some on the other.
        for process in 0..self.processes.len() {
            match self.agenda.rng.u32(0..4) {
                0 => (0..servers)
                    .filter(|server| *server != leader)
                    .for_each(|server| self.net.block(process, server, None, until)),
                1 => self.net.block(process, leader, None, until),
                _ => {}
            }
        }
    }

    /// While a deposed leader is still there, a client that has just reached the new one may lose it
    /// again, with whatever it sent, and reach only the old one for a while.
    pub fn perhaps_desert(&mut self, process: usize, server: usize, conn: u64) {
        let Some(old) = self.ensemble.deposed().filter(|old| *old != server) else { return };
        if self.calm || !self.plan.has(Kind::Depose) || !self.agenda.chance(50) {
            return;
        }
        let until = self.agenda.now + self.agenda.between(self.ensemble.tick, 4 * self.ensemble.tick);
        self.agenda.tell(|| {
            format!("process {process} is to lose server {server} and to reach only the old leader {old} until {until}")
        });
        let strand = Some(Strand { only: old, servers: self.ensemble.servers.len(), until });
        let cut = Cut { frames: 1, place: Where::AtItsBegin, swallow: true, strand };
        self.net.arm(conn, Way::ToClient, cut);
    }
}
