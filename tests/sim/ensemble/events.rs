//! What comes to a server, and its clock.

use super::*;

impl Ensemble {
    pub fn handle(&mut self, agenda: &mut Agenda, net: &mut Network, event: Event) {
        let server = match &event {
            Event::Peer { to, .. } => *to,
            Event::Tick { server, .. } => *server,
            Event::ToServer { conn, .. } | Event::ServerSeesEnd { conn } => match net.conns.get(conn) {
                Some(conn) => conn.server,
                None => return,
            },
            _ => return,
        };
        let it = &mut self.servers[server];
        if !it.up {
            return;
        }
        if it.frozen {
            it.inbox.push(event);
            return;
        }
        match event {
            Event::Tick { boot, .. } if boot == it.boot => self.tick(agenda, net, server),
            Event::Peer { from, join, message, .. } => self.peer(agenda, net, server, from, join, message),
            Event::ToServer { conn, bytes } => self.received(agenda, net, server, conn, &bytes),
            Event::ServerSeesEnd { conn } => {
                self.forget(server, conn);
                if let Some(c) = net.conns.get_mut(&conn) {
                    c.server_open = false;
                }
                net.sweep(conn);
            }
            _ => {}
        }
    }

    pub(super) fn peer(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        from: usize,
        join: u64,
        message: Peer,
    ) {
        let now = agenda.now;
        match &mut self.servers[server].role {
            Role::Looking => return,
            Role::Following { leader, join: mine, heard } => {
                if *leader != from || *mine != join {
                    return;
                }
                *heard = now;
            }
            Role::Leading(lead) => {
                if from != server {
                    match lead.followers.get_mut(&from) {
                        Some(follower) if follower.join == join => follower.heard = now,
                        _ => return,
                    }
                } else if join != lead.epoch as u64 {
                    return;
                }
            }
        }
        match message {
            Peer::Forward { origin, session, request } => {
                self.write(agenda, server, origin, session, &request);
            }
            Peer::NewSession { origin, session, timeout_ms } => {
                self.new_session(agenda, server, origin, session, timeout_ms);
            }
            Peer::Propose(logged) => {
                self.servers[server].log.push(logged);
                let len = self.servers[server].log.len();
                self.post(agenda, server, from, join, Peer::Ack(len));
            }
            Peer::Ack(len) => self.acked(agenda, net, server, from, len),
            Peer::Commit(len) => self.apply(agenda, net, server, len),
            Peer::Ping => {
                let touched = std::mem::take(&mut self.servers[server].touched);
                self.post(agenda, server, from, join, Peer::Pong(touched.into_iter().collect()));
            }
            Peer::Pong(touched) => {
                for (session, timeout_ms) in touched {
                    self.touch(now, server, session, timeout_ms);
                }
            }
            Peer::Revalidate { conn, session, timeout_ms } => {
                // LearnerHandler: touches the session, and makes that follower its owner.
                let valid = self.touch(now, server, session, timeout_ms);
                if valid {
                    self.own(server, session, from);
                }
                self.post(agenda, server, from, join, Peer::Revalidated { conn, session, valid });
            }
            Peer::Revalidated { conn, session, valid } => {
                self.attached(agenda, net, server, conn, session, valid);
            }
            Peer::Sync { conn, seq } => self.sync(agenda, net, server, from, conn, seq),
            Peer::Synced { conn, seq } => self.caught_up(agenda, net, server, conn, seq),
        }
    }
}
