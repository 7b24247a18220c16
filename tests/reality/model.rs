//! The simulator's model of an ensemble, with virtual time and its links, as something to connect to.

// What the simulator alone uses of these.
#![allow(dead_code, unreachable_pub, reason = "modules of another test binary")]

#[path = "../sim/agenda.rs"]
mod agenda;
#[path = "../sim/ensemble/mod.rs"]
mod ensemble;
#[path = "../sim/faults.rs"]
mod faults;
#[path = "../sim/network.rs"]
mod network;
#[path = "../sim/schedule.rs"]
mod schedule;
#[path = "../sim/tree.rs"]
mod tree;

use crate::service::{Link, Service};
use agenda::{Agenda, Event, Micros};
use ensemble::Ensemble;
use network::{Network, Way};
use schedule::Schedule;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;
use zkhelper::proto::FrameReader;

/// How long an answer may take, in virtual time.
const ANSWER_LIMIT: Micros = 30_000_000;
/// The process that every client is in, as the network knows it.
const CLIENTS: usize = 0;

/// The model's story has no log of a library in it.
fn log_lines() -> Vec<String> {
    Vec::new()
}

struct Model {
    agenda: Agenda,
    net: Network,
    ensemble: Ensemble,
    /// What came by each connection that a client has open.
    heard: BTreeMap<u64, Heard>,
}

struct Heard {
    frames: FrameReader,
    ended: bool,
}

impl Model {
    /// Lets the next thing happen, if it does before `end`.
    fn step(&mut self, end: Micros) -> bool {
        let Some(event) = self.agenda.next(end) else { return false };
        match event {
            Event::ToClient { conn, bytes } => {
                if let Some(heard) = self.heard.get_mut(&conn) {
                    heard.frames.push(&bytes);
                }
            }
            Event::ClientSeesEnd { conn } => {
                if let Some(heard) = self.heard.get_mut(&conn) {
                    heard.ended = true;
                }
            }
            Event::Elect => self.ensemble.elect(&mut self.agenda),
            event => self.ensemble.handle(&mut self.agenda, &mut self.net, event),
        }
        self.ensemble.seen.clear();
        assert_eq!(self.agenda.violations, [], "the model's own rules");
        true
    }

    fn until(&mut self, end: Micros) {
        while self.step(end) {}
        self.agenda.now = self.agenda.now.max(end);
    }
}

/// The model as a service. A seed chooses its delays and clocks.
pub(crate) struct Simulated(Rc<RefCell<Model>>);

impl Simulated {
    pub(crate) fn start(seed: u64, servers: u64, tick: Duration, has_39: bool) -> Self {
        let mut agenda = Agenda::new(&Schedule::of(seed), false);
        let net = Network::new(&mut agenda);
        let tick = Micros::try_from(tick.as_micros()).expect("a short one");
        let mut ensemble = Ensemble::of(&mut agenda, servers, tick);
        ensemble.has_event_zxid = has_39;
        ensemble.syncs_at_once = true;
        ensemble.start(&mut agenda);
        ensemble.elect(&mut agenda);
        Self(Rc::new(RefCell::new(Model { agenda, net, ensemble, heard: BTreeMap::new() })))
    }
}

impl Service for Simulated {
    fn servers(&self) -> usize {
        self.0.borrow().ensemble.servers.len()
    }

    fn open(&self, server: usize) -> Box<dyn Link> {
        let mut it = self.0.borrow_mut();
        let Model { agenda, net, ensemble, heard } = &mut *it;
        assert!(ensemble.accepts(server), "no server fails here");
        let id = net.open(agenda, CLIENTS, server);
        heard.insert(id, Heard { frames: FrameReader::new(8 << 20), ended: false });
        Box::new(Connection { model: Rc::clone(&self.0), id })
    }

    fn pause(&self, time: Duration) {
        let mut it = self.0.borrow_mut();
        let end = it.agenda.now + Micros::try_from(time.as_micros()).expect("a short one");
        it.until(end);
    }

    fn now(&self) -> Duration {
        Duration::from_micros(self.0.borrow().agenda.now)
    }
}

struct Connection {
    model: Rc<RefCell<Model>>,
    id: u64,
}

impl Link for Connection {
    fn write(&mut self, bytes: &[u8]) {
        let mut it = self.model.borrow_mut();
        let Model { agenda, net, .. } = &mut *it;
        let short = net.send(agenda, self.id, Way::ToServer, bytes);
        assert_eq!(short, None, "nothing is cut here");
    }

    fn read_frame(&mut self) -> Option<Vec<u8>> {
        let mut it = self.model.borrow_mut();
        let end = it.agenda.now + ANSWER_LIMIT;
        loop {
            let heard = it.heard.get_mut(&self.id).expect("it is open");
            if let Some(frame) = heard.frames.next_frame().expect("a frame within the cap") {
                return Some(frame.to_vec());
            }
            if heard.ended {
                return None;
            }
            assert!(it.step(end), "the model does not answer");
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut it = self.model.borrow_mut();
        let Model { agenda, net, heard, .. } = &mut *it;
        heard.remove(&self.id);
        if let Some(conn) = net.conns.get_mut(&self.id) {
            conn.client_open = false;
        }
        net.end_at_server(agenda, self.id);
    }
}
