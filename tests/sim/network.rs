//! Byte streams between clients and servers: in order, late, held up, cut at any byte.

use super::agenda::{Agenda, Event, MS, Micros};
use std::collections::BTreeMap;
use std::rc::Rc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

/// Where in a frame a stream is cut. Nothing here depends on a frame's length, which differs from
/// machine to machine with the host's name in a lock node.
#[derive(Debug, Clone, Copy)]
pub enum Where {
    AtItsBegin,
    After(usize),
    Middle,
    BeforeItsEnd,
}

/// Cuts a stream after so many further whole frames.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    pub frames: u32,
    pub place: Where,
    /// Whether the client's kernel still takes what cannot arrive any more.
    pub swallow: bool,
    /// The client reaches only this one of so many servers from then on, for so long.
    pub strand: Option<Strand>,
}

#[derive(Debug, Clone, Copy)]
pub struct Strand {
    pub only: usize,
    pub servers: usize,
    pub until: Micros,
}

#[derive(Debug)]
struct Direction {
    last: Micros,
    cut: Option<Cut>,
    dead: bool,
    /// So many further messages come so much later, and after them nothing does.
    late: Option<(u32, Micros)>,
}

impl Direction {
    const fn new(now: Micros) -> Self {
        Self { last: now, cut: None, dead: false, late: None }
    }
}

#[derive(Debug)]
pub struct Conn {
    pub process: usize,
    pub server: usize,
    pub client_open: bool,
    pub server_open: bool,
    up: Direction,
    down: Direction,
}

pub struct Network {
    pub conns: BTreeMap<u64, Conn>,
    next: u64,
    /// Until when bytes of a process to a server, and back, are held up.
    blocked: BTreeMap<(usize, usize), (Micros, Micros)>,
    /// The slowest a network gets.
    delay: (Micros, Micros),
    jumps: u32,
}

impl Network {
    pub fn new(agenda: &mut Agenda) -> Self {
        let slow = *agenda.rng.choice(&[MS, 5 * MS, 30 * MS]).unwrap_or(&MS);
        Self {
            conns: BTreeMap::new(),
            next: 1,
            blocked: BTreeMap::new(),
            delay: (100, slow),
            jumps: agenda.rng.u32(0..4),
        }
    }

    /// No faults from here on; what is held up goes on at once.
    pub fn calm(&mut self) {
        self.blocked.clear();
        self.delay.1 = self.delay.1.min(5 * MS);
        self.jumps = 0;
        for conn in self.conns.values_mut() {
            conn.up.cut = None;
            conn.down.cut = None;
            conn.down.late = None;
        }
    }

    fn delay(&self, agenda: &mut Agenda) -> Micros {
        let (least, most) = self.delay;
        let jump = if agenda.chance(self.jumps) { 10 } else { 1 };
        agenda.between(least, most) * jump
    }

    pub fn block(&mut self, process: usize, server: usize, way: Option<Way>, until: Micros) {
        let blocked = self.blocked.entry((process, server)).or_default();
        if way != Some(Way::ToClient) {
            blocked.0 = blocked.0.max(until);
        }
        if way != Some(Way::ToServer) {
            blocked.1 = blocked.1.max(until);
        }
    }

    fn blocked(&self, process: usize, server: usize) -> (Micros, Micros) {
        self.blocked.get(&(process, server)).copied().unwrap_or_default()
    }

    /// When the answer to a connection request comes.
    pub fn dial(&self, agenda: &mut Agenda, process: usize, server: usize) -> Micros {
        let (up, down) = self.blocked(process, server);
        self.delay(agenda) + agenda.now.max(up).max(down)
    }

    pub fn open(&mut self, agenda: &Agenda, process: usize, server: usize) -> u64 {
        let id = self.next;
        self.next += 1;
        let (up, down) = (Direction::new(agenda.now), Direction::new(agenda.now));
        self.conns.insert(id, Conn { process, server, client_open: true, server_open: true, up, down });
        id
    }

    fn arrival(&mut self, agenda: &mut Agenda, id: u64, way: Way) -> Option<Micros> {
        let conn = self.conns.get(&id)?;
        let (up, down) = self.blocked(conn.process, conn.server);
        let delay = self.delay(agenda);
        let conn = self.conns.get_mut(&id)?;
        let (direction, blocked) = match way {
            Way::ToServer => (&mut conn.up, up),
            Way::ToClient => (&mut conn.down, down),
        };
        let late = direction.late.map_or(0, |(_, late)| late);
        let at = (agenda.now.max(blocked) + delay + late).max(direction.last);
        direction.last = at;
        Some(at)
    }

    /// Sends bytes. Answers how many the sender's kernel took, if fewer than all.
    pub fn send(&mut self, agenda: &mut Agenda, id: u64, way: Way, bytes: &[u8]) -> Option<usize> {
        let conn = self.conns.get_mut(&id)?;
        let direction = match way {
            Way::ToServer => &mut conn.up,
            Way::ToClient => &mut conn.down,
        };
        if direction.dead || bytes.is_empty() {
            return None;
        }
        let mut end = bytes.len();
        let mut cut_now = None;
        if let Some(cut) = &mut direction.cut {
            let mut at = 0;
            while at < bytes.len() {
                let len = 4 + usize::try_from(i32::from_be_bytes(
                    bytes[at..at + 4].try_into().expect("four bytes"),
                ))
                .expect("a length");
                if cut.frames == 0 {
                    end = at
                        + match cut.place {
                            Where::AtItsBegin => 0,
                            Where::After(n) => n.min(len),
                            Where::Middle => len / 2,
                            Where::BeforeItsEnd => len - 1,
                        };
                    cut_now = Some(*cut);
                    break;
                }
                cut.frames -= 1;
                at += len;
            }
        }
        direction.dead = cut_now.is_some();
        if let Some((left, _)) = &mut direction.late {
            match left.checked_sub(1) {
                Some(fewer) => *left = fewer,
                None => {
                    direction.dead = true;
                    return None;
                }
            }
        }
        if end > 0 {
            let at = self.arrival(agenda, id, way)?;
            let bytes = Rc::from(&bytes[..end]);
            agenda.at(
                at,
                match way {
                    Way::ToServer => Event::ToServer { conn: id, bytes },
                    Way::ToClient => Event::ToClient { conn: id, bytes },
                },
            );
        }
        if let Some(cut) = cut_now {
            agenda.tell(|| format!("connection {id} is cut {way:?}, {:?} of a frame", cut.place));
            self.end(agenda, id);
            if let (Some(strand), Some(process)) = (cut.strand, self.conns.get(&id).map(|c| c.process)) {
                for server in (0..strand.servers).filter(|server| *server != strand.only) {
                    self.block(process, server, None, strand.until);
                }
            }
            return (!cut.swallow).then_some(end);
        }
        None
    }

    /// The connection breaks; each end is told in its time.
    pub fn end(&mut self, agenda: &mut Agenda, id: u64) {
        self.end_at_server(agenda, id);
        self.end_at_client(agenda, id);
    }

    /// The server is told that the other end is closed.
    pub fn end_at_server(&mut self, agenda: &mut Agenda, id: u64) {
        if let Some(at) = self.arrival(agenda, id, Way::ToServer) {
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.up.dead = true;
            }
            agenda.at(at, Event::ServerSeesEnd { conn: id });
        }
    }

    /// The client is told that the other end is closed.
    pub fn end_at_client(&mut self, agenda: &mut Agenda, id: u64) {
        if let Some(at) = self.arrival(agenda, id, Way::ToClient) {
            if let Some(conn) = self.conns.get_mut(&id) {
                conn.down.dead = true;
            }
            agenda.at(at, Event::ClientSeesEnd { conn: id });
        }
    }

    pub fn arm(&mut self, id: u64, way: Way, cut: Cut) {
        if let Some(conn) = self.conns.get_mut(&id) {
            match way {
                Way::ToServer => conn.up.cut = Some(cut),
                Way::ToClient => conn.down.cut = Some(cut),
            }
        }
    }

    /// So many further messages to the client come so much later; those after them do not come, and nobody is told.
    pub fn delay_answers(&mut self, id: u64, messages: u32, late: Micros) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.down.late = Some((messages, late));
        }
    }

    /// Nothing goes that way any more, and nobody is told.
    pub fn deaden(&mut self, id: u64, way: Option<Way>) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.up.dead |= way != Some(Way::ToClient);
            conn.down.dead |= way != Some(Way::ToServer);
        }
    }

    /// Forgets a connection that both ends have closed.
    pub fn sweep(&mut self, id: u64) {
        if self.conns.get(&id).is_some_and(|conn| !conn.client_open && !conn.server_open) {
            self.conns.remove(&id);
        }
    }
}
