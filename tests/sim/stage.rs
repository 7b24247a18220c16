//! Where a schedule plays: an ensemble, a network, and processes, each with a client and whatever
//! programs the recipes start in it.

use super::agenda::{Agenda, Event, Micros, Violation};
use super::ensemble::Ensemble;
use super::faults::{Kind, Plan};
use super::network::{Network, Way};
use super::schedule::{Dice, Part, Schedule};
use super::world::{Clock, IO, Tasks, World};
use crate::locked::Mutex as Locked;
use std::sync::Arc;
use std::time::Duration;
use zkhelper::simulation::Link;
use zkhelper::{Client, Code, Options};

/// Errors that pass by themselves.
pub const PASSING: [Code; 5] = [
    Code::CONNECTION_LOSS,
    Code::NOT_SENT,
    Code::OPERATION_TIMEOUT,
    Code::OUTCOME_UNKNOWN,
    Code::SESSION_MOVED,
];

/// How a client's close ended, and which session it had.
pub type Closed = Arc<Locked<Option<(i64, Result<(), Code>)>>>;

pub struct Process {
    pub tasks: Tasks,
    pub clock: Clock,
    pub client: Option<Client>,
    pub link: Link,
    dial: Option<(u64, usize)>,
    pub conn: Option<u64>,
    pub paused: bool,
    /// Its number of pauses.
    pub pauses: u32,
    pub dead: bool,
    pub closing: bool,
    pub closed: Closed,
    inbox: Vec<Event>,
    pub wake_at: Micros,
    /// What is to happen to it after so many further steps of its tasks.
    pub fuse: Option<(u32, Kind)>,
}

/// What one schedule came to.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    pub violations: Vec<Violation>,
    pub story: Vec<String>,
    pub hash: u64,
    pub steps: u64,
    pub virtual_time: Micros,
    pub grants: u64,
    /// Grants of a node that was gone already.
    pub late_grants: u64,
    /// Deletions of another's node after an administrator deleted the parent, so that names came again.
    pub foreign_deletes: u64,
    /// Guarded writes that a node passed of the name that the writer's had, after an administrator deleted that.
    pub namesakes: u64,
    /// Grants while another client could still believe, excused by a server's clock; and the longest
    /// that it could.
    pub overlaps: u64,
    pub longest_overlap: Micros,
    /// Guarded writes committed.
    pub writes: u64,
    /// Whether anybody is in strict mode.
    pub strict: bool,
    pub faults: u64,
    /// How many processes, handles, and faults of each kind there were.
    pub processes: usize,
    pub handles: usize,
    pub struck: Vec<(usize, u32)>,
}

pub struct Stage {
    pub schedule: Schedule,
    pub agenda: Agenda,
    pub net: Network,
    pub ensemble: Ensemble,
    pub processes: Vec<Process>,
    pub plan: Plan,
    /// No more faults.
    pub calm: bool,
    next_dial: u64,
    pub outcome: Outcome,
}

impl Stage {
    pub fn new(schedule: &Schedule, tell: bool) -> Self {
        let mut agenda = Agenda::new(schedule, tell);
        let net = Network::new(&mut agenda);
        let mut ensemble = Ensemble::new(&mut agenda);
        ensemble.forgives_moves = schedule.forgives_moves;
        let plan = Plan::new(schedule, &mut agenda);
        Self {
            schedule: schedule.clone(),
            agenda,
            net,
            ensemble,
            processes: Vec::new(),
            plan,
            calm: false,
            next_dial: 1,
            outcome: Outcome::default(),
        }
    }

    /// A process with its client, which the recipes then give something to do; `None` if this one is left out.
    pub fn start_process(&mut self) -> Option<(usize, Client)> {
        let index = self.processes.len();
        let rng = &mut self.agenda.rng;
        let world = World::new(rng.u64(..));
        let clock = Clock { ahead: rng.u64(0..1_000_000) * 1000, drift: rng.i64(-5000..=5000) };
        let ticks = rng.u64(2..=10);
        let options = Options {
            session_timeout: Duration::from_micros(self.ensemble.tick * ticks),
            connect_timeout: Duration::from_millis(rng.u64(300..3000)),
            operation_timeout: Duration::from_millis(rng.u64(500..5000)),
            max_backoff: Duration::from_millis(rng.u64(100..1000)),
            seed: Some(rng.u64(..)),
            ..Options::default()
        };
        let address: Vec<_> = (0..self.ensemble.servers.len()).map(|s| format!("s{s}:{}", s + 1)).collect();
        let tasks = Tasks::new(world.clone());
        tasks.set_now(clock.local(self.agenda.now));
        let (client, link) =
            zkhelper::simulation::client(&address.join(","), options, world).expect("valid options");
        link.driven_by(tasks.waker(IO));
        let dead = !self.schedule.has(Part::Process(index));
        if !dead {
            self.agenda.tell(|| format!("process {index} starts, session timeout {ticks} ticks"));
        }
        self.processes.push(Process {
            tasks,
            clock,
            client: Some(client.clone()).filter(|_| !dead),
            link,
            dial: None,
            conn: None,
            paused: false,
            pauses: 0,
            dead,
            closing: false,
            closed: Closed::default(),
            inbox: Vec::new(),
            wake_at: 0,
            fuse: None,
        });
        self.agenda.after(0, Event::Wake { process: index });
        (!dead).then_some((index, client))
    }

    /// Lets `act` happen with chance's numbers for this alone.
    pub fn with_dice<T>(&mut self, dice: Dice, act: impl FnOnce(&mut Self) -> T) -> T {
        let own = self.schedule.rng(dice);
        let course = std::mem::replace(&mut self.agenda.rng, own);
        let outcome = act(self);
        self.agenda.rng = course;
        outcome
    }

    pub fn set_now(&self, process: usize) {
        let it = &self.processes[process];
        it.tasks.set_now(it.clock.local(self.agenda.now));
    }

    /// Something comes to a process from outside; false if it does not run.
    pub fn take_in(&mut self, process: usize, event: Event) -> bool {
        let it = &mut self.processes[process];
        if it.dead {
            return false;
        }
        if it.paused {
            it.inbox.push(event);
            return false;
        }
        self.deliver(process, event);
        true
    }

    fn deliver(&mut self, process: usize, event: Event) {
        self.set_now(process);
        let it = &mut self.processes[process];
        match event {
            Event::Dialled { dial, server, .. } => {
                if it.dial != Some((dial, server)) {
                    return;
                }
                it.dial = None;
                if !it.link.is_trying() {
                    return;
                }
                if self.ensemble.accepts(server) {
                    let conn = self.net.open(&self.agenda, process, server);
                    it.conn = Some(conn);
                    it.link.opened();
                    self.perhaps_desert(process, server, conn);
                } else {
                    it.link.not_opened("connection refused");
                }
            }
            Event::ToClient { conn, bytes } if it.conn == Some(conn) => it.link.received(&bytes),
            Event::ClientSeesEnd { conn } => {
                if let Some(c) = self.net.conns.get_mut(&conn) {
                    c.client_open = false;
                }
                self.net.sweep(conn);
                if it.conn == Some(conn) {
                    it.conn = None;
                    it.link.transport_lost("the server closed the connection");
                }
            }
            _ => {}
        }
    }

    /// Ends a pause; false if there was none.
    pub fn resume(&mut self, process: usize) -> bool {
        let it = &mut self.processes[process];
        if it.dead || !std::mem::take(&mut it.paused) {
            return false;
        }
        let inbox = std::mem::take(&mut it.inbox);
        self.agenda.tell(|| format!("process {process} goes on"));
        for event in inbox {
            self.deliver(process, event);
        }
        true
    }

    /// What the client's IO task does in a program.
    pub fn io(&mut self, process: usize) {
        let it = &mut self.processes[process];
        let link = it.link.clone();
        loop {
            link.tick();
            let mut again = false;
            if let Some(conn) = it.conn {
                let output = link.output();
                if !output.is_empty() {
                    again = true;
                    match self.net.send(&mut self.agenda, conn, Way::ToServer, &output) {
                        None => link.wrote(output.len()),
                        Some(n) => {
                            link.wrote(n);
                            if let Some(c) = self.net.conns.get_mut(&conn) {
                                c.client_open = false;
                            }
                            it.conn = None;
                            link.transport_lost("broken pipe");
                        }
                    }
                }
            }
            if let Some(conn) = it.conn.filter(|_| !link.wants_transport()) {
                it.conn = None;
                if let Some(c) = self.net.conns.get_mut(&conn) {
                    c.client_open = false;
                }
                self.net.end_at_server(&mut self.agenda, conn);
                again = true;
            }
            if it.conn.is_none() {
                if it.dial.is_some() && !link.is_trying() {
                    it.dial = None;
                }
                if it.dial.is_none()
                    && let Some((_, port)) = link.poll_dial()
                {
                    let server = usize::from(port) - 1;
                    let dial = self.next_dial;
                    self.next_dial += 1;
                    it.dial = Some((dial, server));
                    let at = self.net.dial(&mut self.agenda, process, server);
                    self.agenda.at(at, Event::Dialled { process, dial, server });
                    again = true;
                }
            }
            if !again {
                return;
            }
        }
    }

    /// Begins to close a client; false if that is under way or the process is dead.
    pub fn close_client(&mut self, process: usize) -> bool {
        let it = &mut self.processes[process];
        if it.dead || it.closing {
            return false;
        }
        it.closing = true;
        let Some(client) = it.client.clone() else { return false };
        let closed = Arc::clone(&it.closed);
        self.agenda.tell(|| format!("process {process} closes its client"));
        self.set_now(process);
        self.processes[process].tasks.start(Box::pin(async move {
            let session = client.session().id;
            let outcome = client.close(Duration::from_secs(3)).await.map_err(|error| error.code());
            *closed.lock() = Some((session, outcome));
        }));
        true
    }

    /// A close that ended: is everything of the session gone?
    pub fn look_at_close(&mut self, process: usize) {
        let Some((session, outcome)) = self.processes[process].closed.lock().take() else { return };
        if outcome.is_ok()
            && session != 0
            // A client that is told that its session has expired has nothing more to end, though its
            // nodes may be there until the leader's transaction is committed.
            && !self.ensemble.is_closing(session)
            && !self.ensemble.denied.contains(&session)
            && let Some(path) = self.ensemble.truth.ephemerals(session).next().cloned()
        {
            let session = super::ensemble::session_name(session);
            self.agenda.violate("close", format!("{path} of {session} is there after it was closed"));
        }
    }

    /// The process is no more; nothing runs in it, and its client is gone.
    pub fn kill(&mut self, process: usize, closes: bool) {
        self.set_now(process);
        let it = &mut self.processes[process];
        it.dead = true;
        it.paused = false;
        it.inbox.clear();
        if let Some(conn) = it.conn.take() {
            if let Some(c) = self.net.conns.get_mut(&conn) {
                c.client_open = false;
            }
            if closes {
                self.net.end_at_server(&mut self.agenda, conn);
            }
        }
        it.tasks.die();
        it.client = None;
    }

    pub fn any_live(&mut self, also_paused: bool) -> Option<usize> {
        let live: Vec<_> = (0..self.processes.len())
            .filter(|&p| !self.processes[p].dead && (also_paused || !self.processes[p].paused))
            .collect();
        self.agenda.rng.choice(live)
    }

    /// A handle that is there, of a process that runs, perhaps only of one. Each is given by its process and whether
    /// it is there.
    pub fn any_handle(
        &mut self,
        handles: impl Iterator<Item = (usize, bool)>,
        only: Option<usize>,
    ) -> Option<usize> {
        let runs = |process: usize| !self.processes[process].dead && !self.processes[process].paused;
        let live: Vec<_> = handles
            .enumerate()
            .filter(|(_, (process, there))| {
                runs(*process) && *there && only.is_none_or(|only| only == *process)
            })
            .map(|(handle, _)| handle)
            .collect();
        self.agenda.rng.choice(live)
    }

    /// A moment within so many ticks, often soon.
    pub fn a_while(&mut self, most_ticks: u64) -> Micros {
        let most = match self.agenda.rng.u32(0..3) {
            0 => self.ensemble.tick / 2,
            1 => self.ensemble.tick * most_ticks / 3,
            _ => self.ensemble.tick * most_ticks,
        };
        self.agenda.now + self.agenda.between(1000, most)
    }
}
