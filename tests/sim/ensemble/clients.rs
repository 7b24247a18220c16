//! What clients ask of a server.

use super::*;

impl Ensemble {
    /// Whether it talks to clients at all.
    pub fn accepts(&self, server: usize) -> bool {
        self.servers[server].up
    }

    pub(super) fn forget(&mut self, server: usize, id: u64) {
        let it = &mut self.servers[server];
        if it.conns.remove(&id).is_some() {
            for watches in [&mut it.data_watches, &mut it.child_watches] {
                watches.retain(|_, conns| {
                    conns.remove(&id);
                    !conns.is_empty()
                });
            }
        }
    }

    pub(super) fn close(&mut self, agenda: &mut Agenda, net: &mut Network, server: usize, id: u64) {
        self.forget(server, id);
        if let Some(conn) = net.conns.get_mut(&id)
            && std::mem::take(&mut conn.server_open)
        {
            net.end_at_client(agenda, id);
        }
    }

    pub(super) fn received(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        id: u64,
        bytes: &[u8],
    ) {
        if !net.conns.get(&id).is_some_and(|conn| conn.server_open) {
            return;
        }
        if self.servers[server].is_looking() {
            self.close(agenda, net, server, id);
            return;
        }
        let conn = self.servers[server].conns.entry(id).or_insert_with(|| ServerConn {
            stage: Stage::Handshake,
            session: 0,
            timeout_ms: 0,
            frames: FrameReader::new(1 << 20),
            queue: VecDeque::new(),
            next_seq: 0,
        });
        conn.frames.push(bytes);
        loop {
            let Some(conn) = self.servers[server].conns.get_mut(&id) else { return };
            let frame = match conn.frames.next_frame() {
                Ok(Some(frame)) => frame.to_vec(),
                _ => return,
            };
            match conn.stage {
                Stage::Handshake => self.attach(agenda, net, server, id, &frame),
                Stage::Attaching => {
                    let what = format!("connection {id}: a request before the handshake was answered");
                    agenda.violate("session", what);
                }
                Stage::Up => self.request(agenda, net, server, id, &frame),
            }
        }
    }

    /// ZooKeeperServer.processConnectRequest.
    pub(super) fn attach(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        id: u64,
        frame: &[u8],
    ) {
        let request = ConnectRequest::decode(&mut Reader::new(frame)).expect("a connect request");
        let session = request.session_id;
        if request.last_zxid_seen > self.servers[server].tree.zxid {
            agenda.tell(|| format!("server {server} is behind {}, refuses", session_name(session)));
            self.close(agenda, net, server, id);
            return;
        }
        let tick_ms = i32::try_from(self.tick / MS).expect("small");
        let timeout_ms = request.timeout_ms.clamp(2 * tick_ms, 20 * tick_ms);
        if session != 0 {
            // The same session's earlier connection to this server is closed.
            let it = &self.servers[server];
            let earlier: Vec<_> =
                it.conns.iter().filter(|(_, c)| c.session == session).map(|(id, _)| *id).collect();
            for conn in earlier {
                self.close(agenda, net, server, conn);
            }
        }
        let fresh = (i64::try_from(server).expect("small") + 1) << 56 | self.next_session;
        let it = &mut self.servers[server];
        let Some(conn) = it.conns.get_mut(&id) else { return };
        conn.stage = Stage::Attaching;
        conn.timeout_ms = timeout_ms;
        conn.session = if session == 0 { fresh } else { session };
        let origin = Origin { server, conn: id, seq: 0 };
        match it.role {
            Role::Looking => {}
            Role::Following { leader, join, .. } => {
                let message = if session == 0 {
                    self.next_session += 1;
                    Peer::NewSession { origin, session: fresh, timeout_ms }
                } else {
                    Peer::Revalidate { conn: id, session, timeout_ms }
                };
                self.post(agenda, server, leader, join, message);
            }
            Role::Leading(_) => {
                if session == 0 {
                    self.next_session += 1;
                    self.new_session(agenda, server, origin, fresh, timeout_ms);
                } else {
                    let valid = self.touch(agenda.now, server, session, timeout_ms);
                    if valid {
                        self.own(server, session, server);
                    }
                    self.attached(agenda, net, server, id, session, valid);
                }
            }
        }
    }

    /// ZooKeeperServer.finishSessionInit.
    pub(super) fn attached(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        id: u64,
        session: i64,
        valid: bool,
    ) {
        let Some(conn) = self.servers[server].conns.get_mut(&id) else { return };
        if conn.stage != Stage::Attaching || conn.session != session {
            return;
        }
        conn.stage = Stage::Up;
        if !valid && self.truth.sessions.contains_key(&session) {
            self.denied.insert(session);
        }
        let timeout_ms = if valid { conn.timeout_ms } else { 0 };
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms,
            session_id: if valid { session } else { 0 },
            password: vec![if valid { 7 } else { 0 }; 16],
            read_only: false,
        };
        agenda.tell(|| {
            let what = if valid { "attached" } else { "refused: expired" };
            format!("server {server}: {} {what} (connection {id})", session_name(session))
        });
        let mut writer = Writer::new();
        writer.frame(|w| response.encode(w));
        net.send(agenda, id, Way::ToClient, &writer.into_bytes());
        if valid {
            self.servers[server].touched.insert(session, timeout_ms);
        } else {
            self.close(agenda, net, server, id);
        }
    }

    pub(super) fn request(
        &mut self,
        agenda: &mut Agenda,
        net: &mut Network,
        server: usize,
        id: u64,
        frame: &[u8],
    ) {
        let mut reader = Reader::new(frame);
        let header = RequestHeader::decode(&mut reader).expect("a request");
        let request =
            Request::decode(header.op, &mut reader).expect("a request").expect("one that we send ourselves");
        let it = &mut self.servers[server];
        let leads = matches!(it.role, Role::Leading(_));
        let Some(conn) = it.conns.get_mut(&id) else { return };
        let (session, timeout_ms) = (conn.session, conn.timeout_ms);
        agenda.tell(|| format!("server {server} < {}: {}", session_name(session), show(&request)));
        if leads {
            // ZooKeeperServer.submitRequestNow: dropped without a word if the session is over.
            if !self.touch(agenda.now, server, session, timeout_ms) {
                return;
            }
        } else {
            it.touched.insert(session, timeout_ms);
        }
        // PrepRequestProcessor, which on a leader sees the reads of its own clients too.
        let moved = leads && !self.forgives_moves && !request.is_write() && self.has_moved(server, session);
        let it = &mut self.servers[server];
        let Some(conn) = it.conns.get_mut(&id) else { return };
        let seq = conn.next_seq;
        conn.next_seq += 1;
        let is_sync = matches!(request, Request::Sync { .. }) && !(leads && self.syncs_at_once);
        let away = (request.is_write() || is_sync) && !moved;
        let request = Rc::new(request);
        let waiting = match () {
            () if moved => Waiting::Away(Some((it.tree.zxid, Err(code::SESSION_MOVED)))),
            () if away => Waiting::Away(None),
            () => Waiting::Read,
        };
        conn.queue.push_back(Pending { seq, xid: header.xid, request: Rc::clone(&request), waiting });
        if !away {
            self.advance(agenda, net, server, id);
            return;
        }
        let origin = Origin { server, conn: id, seq };
        match it.role {
            Role::Following { leader, join, .. } => {
                let message = if is_sync {
                    Peer::Sync { conn: id, seq }
                } else {
                    Peer::Forward { origin, session, request }
                };
                self.post(agenda, server, leader, join, message);
            }
            Role::Leading(_) if is_sync => self.sync(agenda, net, server, server, id, seq),
            Role::Leading(_) => self.write(agenda, server, origin, session, &request),
            Role::Looking => {}
        }
    }

    /// The sessions that the leader has not begun to end.
    pub fn sessions(&self) -> Vec<i64> {
        let lead = self.leader().map(|leader| &self.servers[leader].role);
        let Some(Role::Leading(lead)) = lead else { return Vec::new() };
        lead.tracked.iter().filter(|(_, t)| !t.closing).map(|(id, _)| *id).collect()
    }

    /// The leader ends a session whose time is not over: its clock jumped, or an administrator asked it to.
    pub fn expire(&mut self, agenda: &mut Agenda, session: i64) {
        let Some(server) = self.leader() else { return };
        let Some(tracked) = self.lead(server).and_then(|lead| lead.tracked.get_mut(&session)) else { return };
        if !std::mem::replace(&mut tracked.closing, true) {
            agenda.tell(|| format!("server {server} ends {} before its time", session_name(session)));
            self.propose(agenda, server, None, session, Txn::CloseSession);
        }
    }

    /// The session that came by this connection, as its server knows it.
    pub fn session_of(&self, server: usize, conn: u64) -> Option<i64> {
        let session = self.servers[server].conns.get(&conn)?.session;
        (session != 0).then_some(session)
    }
}
