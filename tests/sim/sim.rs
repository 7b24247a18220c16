//! One schedule: processes with locks, an ensemble, a network, faults, and the promises checked after
//! every step.

use super::agenda::{Agenda, Event, MS, Micros};
use super::ensemble::{ADMIN, Ensemble, Seen, session_name};
use super::faults::{Fault, Kind as FaultKind, Plan};
use super::network::{Cut, Network, Way, Where};
use super::script::{History, Kind, Note, Script, Slot};
use super::world::{Clock, IO, Tasks, World, micros};
use crate::locked::Mutex as Locked;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use zkhelper::proto::{CreateMode, MultiOp, Request};
use zkhelper::simulation::Link;
use zkhelper::{Client, Code, Loss, LostHold, Mutex, MutexOptions, Options, Strict};

const PATHS: [&str; 2] = ["/locks/a", "/b"];
/// How long an acquire may take to end after its deadline, interrupt or cancel: it waits that long for
/// its own node to be gone.
const CLEAN_UP: Micros = 2_050 * MS;
/// How long after the last fault everyone must have been served.
const SERVED: Micros = 90_000 * MS;

struct Process {
    tasks: Tasks,
    clock: Clock,
    client: Option<Client>,
    link: Link,
    dial: Option<(u64, usize)>,
    conn: Option<u64>,
    paused: bool,
    /// Its number of pauses.
    pauses: u32,
    dead: bool,
    closing: bool,
    inbox: Vec<Event>,
    wake_at: Micros,
    history: Arc<Locked<History>>,
}

struct Handle {
    process: usize,
    path: usize,
    slot: Slot,
    scripts: Vec<usize>,
    losses: UnboundedReceiver<LostHold>,
    closed: bool,
    interrupts: u32,
    interrupted: u32,
    /// An interrupt came while nobody waited.
    ahead: bool,
}

struct Call {
    handle: usize,
    kind: Kind,
    began: Micros,
    pauses: u32,
    cancelled: bool,
    /// Not granted yet.
    waiting: bool,
    token: i64,
    /// Until when its holder believes, in true time.
    believes_until: Micros,
    releases: bool,
    lost: Option<Loss>,
    /// An interrupt from before it must end it.
    must_be_interrupted: bool,
    /// When it must have ended.
    due: Option<Micros>,
}

impl Call {
    fn believes(&self, now: Micros) -> bool {
        self.token != 0 && !self.releases && self.lost.is_none() && self.believes_until > now
    }
}

/// What one schedule came to.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    pub violations: Vec<String>,
    pub story: Vec<String>,
    pub hash: u64,
    pub steps: u64,
    pub virtual_time: Micros,
    pub grants: u64,
    pub calls: u64,
    /// Grants of a node that was gone already.
    pub late_grants: u64,
    /// Deletions of another's node after an administrator deleted the parent, so that names came again.
    pub foreign_deletes: u64,
    /// Grants while another client could still believe; and the longest that it could.
    pub overlaps: u64,
    pub longest_overlap: Micros,
    pub has_admin: bool,
    pub strict: bool,
    pub faults: u64,
}

pub struct Sim {
    agenda: Agenda,
    net: Network,
    ensemble: Ensemble,
    processes: Vec<Process>,
    handles: Vec<Handle>,
    calls: BTreeMap<(usize, u64), Call>,
    plan: Plan,
    paths: usize,
    longest_hold: Micros,
    next_dial: u64,
    foreign: BTreeSet<String>,
    calm: bool,
    last_token: [i64; 2],
    strict: Option<Strict>,
    overlaps: BTreeSet<(i64, i64)>,
    outcome: Outcome,
}

/// Runs the schedule of a seed.
pub fn run(seed: u64, tell: bool) -> Outcome {
    let mut sim = Sim::new(seed, tell);
    sim.play();
    sim.end()
}

impl Sim {
    fn new(seed: u64, tell: bool) -> Self {
        let mut agenda = Agenda::new(seed, tell);
        let net = Network::new(&mut agenda);
        let ensemble = Ensemble::new(&mut agenda);
        let plan = Plan::new(&mut agenda);
        let paths = if agenda.chance(25) { 2 } else { 1 };
        let longest_hold = *agenda.rng.choice(&[5 * MS, 100 * MS, 1000 * MS, 6000 * MS]).unwrap_or(&MS);
        let tick_ms = ensemble.tick / MS;
        let strict = agenda.chance(40).then(|| {
            let lease = Duration::from_millis(tick_ms * agenda.rng.u64(1..=8));
            let delay = lease * agenda.rng.u32(1..=2);
            Strict { lease, delay }
        });
        let outcome = Outcome {
            strict: strict.is_some(),
            has_admin: plan.has(FaultKind::AdminDeletes) || plan.has(FaultKind::AdminResets),
            ..Outcome::default()
        };
        let mut this = Self {
            agenda,
            net,
            ensemble,
            processes: Vec::new(),
            handles: Vec::new(),
            calls: BTreeMap::new(),
            plan,
            paths,
            longest_hold,
            next_dial: 1,
            foreign: BTreeSet::new(),
            calm: false,
            last_token: [0; 2],
            strict,
            overlaps: BTreeSet::new(),
            outcome,
        };
        for _ in 0..this.agenda.rng.usize(2..=3) {
            this.start_process();
        }
        for kind in 0..this.plan.len() {
            if let Some(pause) = this.plan.pause(&mut this.agenda, kind) {
                this.agenda.after(pause, Event::Chance { kind });
            }
        }
        this
    }

    fn start_process(&mut self) {
        let index = self.processes.len();
        let rng = &mut self.agenda.rng;
        let world = World::new(rng.u64(..));
        let clock = Clock { ahead: rng.u64(0..1_000_000) * MS, drift: rng.i64(-5000..=5000) };
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
        let mut tasks = Tasks::new(world.clone());
        tasks.set_now(clock.local(self.agenda.now));
        let (client, link) =
            zkhelper::simulation::client(&address.join(","), options, world.clone()).expect("valid options");
        link.driven_by(tasks.waker(IO));
        let history = Arc::new(Locked::new(History { calm: self.calm, ..History::default() }));
        for _ in 0..self.agenda.rng.usize(1..=3) {
            let path = self.agenda.rng.usize(0..self.paths);
            let options = MutexOptions {
                extra_lock_patterns: if self.agenda.chance(10) { vec!["-x-".to_owned()] } else { Vec::new() },
                strict: self.strict,
                ..MutexOptions::default()
            };
            let mutex = Mutex::new(&client, PATHS[path], options).expect("a valid path");
            let losses = mutex.losses();
            let slot: Slot = Arc::new(Locked::new(Some(mutex)));
            let handle = self.handles.len();
            let mut scripts = Vec::new();
            for _ in 0..if self.agenda.chance(15) { 2 } else { 1 } {
                let script = Script {
                    world: world.clone(),
                    history: Arc::clone(&history),
                    handle,
                    slot: Arc::clone(&slot),
                    rounds: self.agenda.rng.u64(1..=6),
                    longest_hold: self.longest_hold,
                };
                scripts.push(tasks.start(Box::pin(script.run())));
            }
            self.handles.push(Handle {
                process: index,
                path,
                slot,
                scripts,
                losses,
                closed: false,
                interrupts: 0,
                interrupted: 0,
                ahead: false,
            });
        }
        self.agenda.tell(|| format!("process {index} starts, session timeout {ticks} ticks"));
        self.processes.push(Process {
            tasks,
            clock,
            client: Some(client),
            link,
            dial: None,
            conn: None,
            paused: false,
            pauses: 0,
            dead: false,
            closing: false,
            inbox: Vec::new(),
            wake_at: 0,
            history,
        });
        self.agenda.after(0, Event::Wake { process: index });
    }

    // ---- the course of a schedule ----

    fn play(&mut self) {
        let chaos = self.agenda.between(1500, 7000) * MS;
        self.until(chaos, |_| false);
        self.settle_down();
        let bound = self.agenda.now + SERVED;
        if !self.until(bound, Self::is_served) && self.agenda.violations.is_empty() {
            let waiting: Vec<_> = self
                .calls
                .iter()
                .filter(|((process, _), call)| call.waiting && !self.processes[*process].dead)
                .map(|((process, _), call)| format!("process {process}, handle {}", call.handle))
                .collect();
            self.agenda.violate(format!("M5: not everyone was served: {waiting:?}"));
        }
        self.no_contender_is_left();
        self.close_all();
    }

    /// Lets things happen until `end`, or until `done`.
    fn until(&mut self, end: Micros, done: fn(&mut Self) -> bool) -> bool {
        while self.agenda.violations.is_empty() {
            if done(self) {
                return true;
            }
            let Some(event) = self.agenda.next(end) else { break };
            self.happen(event);
        }
        done(self)
    }

    fn settle_down(&mut self) {
        self.agenda.tell(|| "no more faults".to_owned());
        self.calm = true;
        self.net.calm();
        for server in 0..self.ensemble.servers.len() {
            self.ensemble.thaw(&mut self.agenda, &mut self.net, server);
            self.ensemble.restart(&mut self.agenda, server);
        }
        self.ensemble.calm(&mut self.agenda);
        for process in 0..self.processes.len() {
            self.processes[process].history.lock().calm = true;
            self.resume(process);
        }
        self.agenda.after(500 * MS, Event::Fault(Fault::ForeignLeaves(usize::MAX)));
    }

    fn is_served(&mut self) -> bool {
        let scripts = self.handles.iter().all(|handle| {
            let process = &self.processes[handle.process];
            process.dead || handle.scripts.iter().all(|task| !process.tasks.is_live(*task))
        });
        scripts
            && self.foreign.is_empty()
            && self.processes.iter().all(|p| p.dead || p.tasks.live() == 0)
            && (self.ensemble.truth.sessions.keys()).all(|session| {
                self.processes.iter().any(|p| {
                    p.client.as_ref().is_some_and(|client| client.session().id == *session) && !p.closing
                })
            })
    }

    /// M4, while the sessions live.
    fn no_contender_is_left(&mut self) {
        if !self.agenda.violations.is_empty() {
            return;
        }
        for path in PATHS {
            if let Some((_, name, czxid, owner)) = self.ensemble.contenders(path).first() {
                let owner = session_name(*owner);
                self.agenda.violate(format!(
                    "M4: {path}/{name} (czxid {czxid:x}) of {owner} is left though nobody holds or wants it"
                ));
            }
        }
        for process in 0..self.processes.len() {
            let it = &self.processes[process];
            if let Some(client) = it.client.as_ref().filter(|_| !it.dead)
                && client.watch_count() > 0
            {
                self.agenda.violate(format!("process {process} is left with watches"));
            }
        }
    }

    fn close_all(&mut self) {
        if !self.agenda.violations.is_empty() {
            return;
        }
        for process in 0..self.processes.len() {
            self.close_client(process);
        }
        let end = self.agenda.now + 30_000 * MS;
        if !self.until(end, |sim| sim.ensemble.truth.sessions.is_empty()) && self.agenda.violations.is_empty()
        {
            self.agenda.violate("sessions are left after every client was closed".to_owned());
        }
    }

    fn end(mut self) -> Outcome {
        for process in &mut self.processes {
            process.tasks.die();
        }
        for handle in &self.handles {
            handle.slot.lock().take();
        }
        self.outcome.hash = self.agenda.hash();
        self.outcome.steps = self.agenda.steps;
        self.outcome.virtual_time = self.agenda.now;
        self.outcome.calls = self.calls.len() as u64;
        self.outcome.violations = std::mem::take(&mut self.agenda.violations);
        self.outcome.story = self.agenda.take_story();
        self.outcome
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake { process } => self.step(process),
            Event::Resume { process } => self.resume(process),
            Event::Dialled { process, .. } => self.hand_to_process(process, event),
            Event::ToClient { conn, .. } | Event::ClientSeesEnd { conn } => {
                if let Some(process) = self.net.conns.get(&conn).map(|conn| conn.process) {
                    self.hand_to_process(process, event);
                }
            }
            Event::ToServer { .. }
            | Event::ServerSeesEnd { .. }
            | Event::Peer { .. }
            | Event::Tick { .. } => {
                self.ensemble.handle(&mut self.agenda, &mut self.net, event);
            }
            Event::Thaw { server } => self.ensemble.thaw(&mut self.agenda, &mut self.net, server),
            Event::Restart { server } => self.ensemble.restart(&mut self.agenda, server),
            Event::Elect => self.ensemble.elect(&mut self.agenda),
            Event::Chance { kind } => {
                if !self.calm {
                    self.outcome.faults += 1;
                    self.strike(Plan::kind(kind));
                    if let Some(pause) = self.plan.pause(&mut self.agenda, kind) {
                        self.agenda.after(pause, Event::Chance { kind });
                    }
                }
            }
            Event::Fault(Fault::ForeignLeaves(which)) => self.foreign_leaves(which),
        }
        for seen in std::mem::take(&mut self.ensemble.seen) {
            match seen {
                Seen::DeletedThoughTold { session, path } => {
                    let session = session_name(session);
                    let what = format!("{session} deletes {path}, though told that it is another's");
                    self.agenda.violate(what);
                }
                // A parent that was made anew repeats names.
                Seen::DeletedForeign { .. } if self.outcome.has_admin => self.outcome.foreign_deletes += 1,
                Seen::DeletedForeign { session, path } => {
                    let session = session_name(session);
                    self.agenda.violate(format!("{session} deletes {path}, which is another's"));
                }
            }
        }
    }

    // ---- processes ----

    fn hand_to_process(&mut self, process: usize, event: Event) {
        let it = &mut self.processes[process];
        if it.dead {
            return;
        }
        if it.paused {
            it.inbox.push(event);
            return;
        }
        self.take_in(process, event);
        self.step(process);
    }

    fn take_in(&mut self, process: usize, event: Event) {
        let it = &mut self.processes[process];
        it.tasks.set_now(it.clock.local(self.agenda.now));
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
                    it.conn = Some(self.net.open(&self.agenda, process, server));
                    it.link.opened();
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

    fn resume(&mut self, process: usize) {
        let it = &mut self.processes[process];
        if it.dead || !std::mem::take(&mut it.paused) {
            return;
        }
        self.agenda.tell(|| format!("process {process} goes on"));
        let it = &mut self.processes[process];
        for event in std::mem::take(&mut it.inbox) {
            self.take_in(process, event);
        }
        self.step(process);
    }

    /// Lets a process run until it has nothing to do.
    fn step(&mut self, process: usize) {
        let it = &mut self.processes[process];
        if it.dead || it.paused {
            return;
        }
        it.tasks.set_now(it.clock.local(self.agenda.now));
        it.tasks.waker(IO).wake_by_ref();
        loop {
            let it = &mut self.processes[process];
            it.tasks.prepare();
            let Some(task) = it.tasks.pick(&mut self.agenda.rng) else { break };
            self.agenda.mix((process as u64) << 32 | task as u64);
            if task == IO {
                self.io(process);
            } else {
                it.tasks.poll(task);
            }
            self.read_notes(process);
        }
        self.look_at_beliefs(process);
        let it = &mut self.processes[process];
        let next = it.link.next_deadline().min(it.tasks.next_timer());
        if let Some(local) = micros(next) {
            let at = it.clock.global(local);
            if it.wake_at <= self.agenda.now || at < it.wake_at {
                it.wake_at = at.max(self.agenda.now + 1);
                self.agenda.at(it.wake_at, Event::Wake { process });
            }
        }
    }

    /// What the client's IO task does in a program.
    fn io(&mut self, process: usize) {
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

    fn close_client(&mut self, process: usize) {
        let it = &mut self.processes[process];
        if it.dead || it.closing {
            return;
        }
        it.closing = true;
        let Some(client) = it.client.clone() else { return };
        self.agenda.tell(|| format!("process {process} closes its client"));
        let history = Arc::clone(&it.history);
        it.tasks.set_now(it.clock.local(self.agenda.now));
        it.tasks.start(Box::pin(async move {
            let session = client.session().id;
            let outcome = client.close(Duration::from_secs(3)).await.map_err(|error| error.code());
            history.lock().notes.push(Note::ClientClosed { session, outcome });
        }));
        if !it.paused {
            self.step(process);
        }
    }

    // ---- faults ----

    fn any_live(&mut self, also_paused: bool) -> Option<usize> {
        let live: Vec<_> = (0..self.processes.len())
            .filter(|&p| !self.processes[p].dead && (also_paused || !self.processes[p].paused))
            .collect();
        self.agenda.rng.choice(live)
    }

    fn any_handle(&mut self) -> Option<usize> {
        let live: Vec<_> = (0..self.handles.len())
            .filter(|&h| {
                let process = &self.processes[self.handles[h].process];
                !process.dead && !process.paused && self.handles[h].slot.lock().is_some()
            })
            .collect();
        self.agenda.rng.choice(live)
    }

    fn any_conn(&mut self) -> Option<u64> {
        let open: Vec<_> = self
            .net
            .conns
            .iter()
            .filter(|(_, c)| c.client_open && c.server_open)
            .map(|(id, _)| *id)
            .collect();
        self.agenda.rng.choice(open)
    }

    fn a_while(&mut self, most_ticks: u64) -> Micros {
        let most = match self.agenda.rng.u32(0..3) {
            0 => self.ensemble.tick / 2,
            1 => self.ensemble.tick * most_ticks / 3,
            _ => self.ensemble.tick * most_ticks,
        };
        self.agenda.now + self.agenda.between(MS, most)
    }

    fn any_way(&mut self) -> Option<Way> {
        *self.agenda.rng.choice(&[None, Some(Way::ToServer), Some(Way::ToClient)]).unwrap_or(&None)
    }

    fn strike(&mut self, kind: FaultKind) {
        let servers = self.ensemble.servers.len();
        let server = self.agenda.rng.usize(0..servers);
        match kind {
            FaultKind::CutConnection => {
                let Some(conn) = self.any_conn() else { return };
                let way = if self.agenda.chance(50) { Way::ToServer } else { Way::ToClient };
                let place = match self.agenda.rng.u32(0..6) {
                    0 => Where::AtItsBegin,
                    1 => Where::After(self.agenda.rng.usize(1..20)),
                    2 => Where::Middle,
                    3 => Where::BeforeItsEnd,
                    _ => Where::AtItsBegin,
                };
                let cut = Cut { frames: self.agenda.rng.u32(0..5), place, swallow: self.agenda.chance(70) };
                self.net.arm(conn, way, cut);
            }
            FaultKind::EndConnection => {
                if let Some(conn) = self.any_conn() {
                    self.agenda.tell(|| format!("connection {conn} breaks"));
                    self.net.end(&mut self.agenda, conn);
                }
            }
            FaultKind::HalfOpen => {
                let (Some(conn), way) = (self.any_conn(), self.any_way()) else { return };
                self.agenda.tell(|| format!("connection {conn} is half open: nothing goes {way:?}"));
                self.net.deaden(conn, way);
            }
            FaultKind::BlockClient => {
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
            FaultKind::FreezeServer => {
                let until = self.a_while(12);
                let all = self.agenda.chance(15);
                for s in 0..servers {
                    if all || s == server {
                        self.ensemble.freeze(&mut self.agenda, s, until);
                    }
                }
            }
            FaultKind::KillServer => {
                let until = self.a_while(8);
                self.ensemble.kill(&mut self.agenda, &mut self.net, server, until);
            }
            FaultKind::BlockServers => {
                let until = self.a_while(12);
                let one_way = self.agenda.chance(30);
                self.agenda.tell(|| format!("server {server} is cut off from the others until {until}"));
                for s in (0..servers).filter(|s| *s != server) {
                    self.ensemble.block(server, s, until);
                    if !one_way {
                        self.ensemble.block(s, server, until);
                    }
                }
            }
            FaultKind::StallDisks => {
                let until = self.a_while(6);
                let all = self.agenda.chance(60);
                self.agenda.tell(|| format!("the disk of server {server} (all: {all}) stalls until {until}"));
                for s in 0..servers {
                    if all || s == server {
                        self.ensemble.stall_disk(s, until);
                    }
                }
            }
            FaultKind::PauseProcess => {
                let Some(process) = self.any_live(false) else { return };
                let until = self.a_while(15);
                self.agenda.tell(|| format!("process {process} is paused until {until}"));
                let it = &mut self.processes[process];
                it.paused = true;
                it.pauses += 1;
                self.agenda.at(until, Event::Resume { process });
            }
            FaultKind::KillProcess => self.kill_process(),
            FaultKind::StartProcess => {
                if self.processes.len() < 6 {
                    self.start_process();
                }
            }
            FaultKind::Interrupt => self.interrupt(),
            FaultKind::AbortTask => self.abort(),
            FaultKind::CloseClient => {
                if let Some(process) = self.any_live(false) {
                    self.close_client(process);
                }
            }
            FaultKind::CloseHandle => {
                let Some(handle) = self.any_handle() else { return };
                self.agenda.tell(|| format!("handle {handle} is closed"));
                self.handles[handle].closed = true;
                let mutex = self.handles[handle].slot.lock().clone();
                let process = self.handles[handle].process;
                self.set_now(process);
                if let Some(mutex) = mutex {
                    mutex.close();
                }
                self.step(process);
            }
            FaultKind::AdminDeletes => {
                let path = PATHS[self.agenda.rng.usize(0..self.paths)];
                let contenders = self.ensemble.contenders(path);
                if let Some((_, name, ..)) = self.agenda.rng.choice(contenders) {
                    let request = Request::Delete { path: format!("{path}/{name}"), version: -1 };
                    self.ensemble.admin(&mut self.agenda, &request);
                }
            }
            FaultKind::AdminResets => {
                let path = PATHS[self.agenda.rng.usize(0..self.paths)];
                let delete = |path: String| MultiOp::Delete { path, version: -1 };
                let mut ops: Vec<_> = self
                    .ensemble
                    .contenders(path)
                    .into_iter()
                    .map(|(_, name, ..)| delete(format!("{path}/{name}")))
                    .collect();
                ops.push(delete(path.to_owned()));
                self.ensemble.admin(&mut self.agenda, &Request::Multi(ops));
            }
            FaultKind::ForeignContender => self.foreign_comes(),
            FaultKind::ExpireSession => self.ensemble.expire_any(&mut self.agenda),
        }
    }

    fn set_now(&mut self, process: usize) {
        let it = &mut self.processes[process];
        it.tasks.set_now(it.clock.local(self.agenda.now));
    }

    fn kill_process(&mut self) {
        let Some(process) = self.any_live(true) else { return };
        let closes = self.agenda.chance(60);
        self.agenda.tell(|| format!("process {process} dies (its connection is closed: {closes})"));
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
        for handle in self.handles.iter().filter(|handle| handle.process == process) {
            let mutex = handle.slot.lock().take();
            drop(mutex);
        }
        self.calls.retain(|(p, _), _| *p != process);
    }

    fn interrupt(&mut self) {
        let Some(handle) = self.any_handle() else { return };
        let process = self.handles[handle].process;
        let mutex = self.handles[handle].slot.lock().clone();
        let Some(mutex) = mutex else { return };
        self.set_now(process);
        self.agenda.tell(|| format!("handle {handle} is interrupted"));
        mutex.interrupt();
        self.handles[handle].interrupts += 1;
        let due = self.agenda.now + CLEAN_UP;
        let pauses = self.processes[process].pauses;
        let mut waiting: Vec<_> =
            self.calls.values_mut().filter(|call| call.handle == handle && call.waiting).collect();
        match waiting.as_mut_slice() {
            [] => self.handles[handle].ahead = true,
            [call] if call.kind != Kind::Try && call.pauses == pauses => {
                call.due = Some(call.due.map_or(due, |other| other.min(due)));
            }
            _ => {}
        }
        self.step(process);
    }

    /// Drops a script, with its acquire or hold, wherever it is; and perhaps the handle.
    fn abort(&mut self) {
        let Some(handle) = self.any_handle() else { return };
        let process = self.handles[handle].process;
        self.set_now(process);
        self.agenda.tell(|| format!("handle {handle} is dropped with all that uses it"));
        let mutex = self.handles[handle].slot.lock().take();
        for task in self.handles[handle].scripts.clone() {
            self.processes[process].tasks.abort(task);
        }
        drop(mutex);
        self.read_notes(process);
        self.calls.retain(|_, call| call.handle != handle);
        self.step(process);
    }

    fn foreign_comes(&mut self) {
        let path = PATHS[self.agenda.rng.usize(0..self.paths)];
        let name = match self.agenda.rng.u32(0..3) {
            0 => format!("_c_{:08x}-lock-", self.agenda.rng.u32(..)),
            1 => format!("{:08x}__lock__", self.agenda.rng.u32(..)),
            _ => format!("x{:08x}-lock-", self.agenda.rng.u32(..)),
        };
        let request = Request::Create {
            path: format!("{path}/{name}"),
            data: Vec::new(),
            acl: Vec::new(),
            mode: CreateMode::PersistentSequential,
            ttl_ms: 0,
            with_stat: true,
        };
        if self.ensemble.admin(&mut self.agenda, &request) {
            self.foreign.insert(format!("{path}/{name}"));
            let until = self.a_while(6);
            self.agenda.at(until, Event::Fault(Fault::ForeignLeaves(0)));
        }
    }

    /// One foreign contender goes; at the end all do, as often as it takes.
    fn foreign_leaves(&mut self, which: usize) {
        let mut found = Vec::new();
        for path in PATHS {
            for (_, name, _, owner) in self.ensemble.contenders(path) {
                if owner == 0 {
                    found.push(format!("{path}/{name}"));
                }
            }
        }
        if which == usize::MAX {
            for path in &found {
                let request = Request::Delete { path: path.clone(), version: -1 };
                self.ensemble.admin(&mut self.agenda, &request);
            }
            // What is on its way at the leader is not there yet.
            self.foreign.retain(|_| !found.is_empty() || !self.ensemble.is_idle());
            self.agenda.after(500 * MS, Event::Fault(Fault::ForeignLeaves(usize::MAX)));
        } else if let Some(path) = self.agenda.rng.choice(found) {
            self.ensemble.admin(&mut self.agenda, &Request::Delete { path, version: -1 });
        }
    }

    // ---- the promises ----

    fn read_notes(&mut self, process: usize) {
        let notes = std::mem::take(&mut self.processes[process].history.lock().notes);
        if notes.is_empty() {
            return;
        }
        for note in notes {
            self.agenda.mix(1);
            self.agenda.tell(|| format!("process {process}: {note:x?}"));
            self.read_note(process, note);
        }
    }

    fn read_note(&mut self, process: usize, note: Note) {
        let now = self.agenda.now;
        let pauses = self.processes[process].pauses;
        match note {
            Note::Begins { call, handle, kind } => {
                let due = match kind {
                    Kind::Timed(micros) => Some(now + micros + micros / 100 + CLEAN_UP),
                    _ => None,
                };
                let alone = !self.calls.values().any(|call| call.handle == handle);
                let must_be_interrupted = alone && std::mem::take(&mut self.handles[handle].ahead);
                let call_ = Call {
                    handle,
                    kind,
                    began: now,
                    pauses,
                    cancelled: false,
                    waiting: true,
                    token: 0,
                    believes_until: 0,
                    releases: false,
                    lost: None,
                    must_be_interrupted,
                    due,
                };
                self.calls.insert((process, call), call_);
            }
            Note::Cancels { call } => {
                if let Some(call) = self.calls.get_mut(&(process, call)) {
                    call.cancelled = true;
                    call.due = Some(now + CLEAN_UP);
                }
            }
            Note::Granted { call, token } => self.granted(process, call, token),
            Note::Failed { call, code, text } => self.failed(process, call, code, &text),
            Note::Gone { call } => {
                self.calls.remove(&(process, call));
            }
            Note::Releases { call } => {
                if let Some(call) = self.calls.get_mut(&(process, call)) {
                    call.waiting = false;
                    call.releases = true;
                }
            }
            Note::Released { call, outcome } => self.released(process, call, outcome),
            Note::ClientClosed { session, outcome } => {
                if outcome.is_ok()
                    && session != 0
                    // A client that is told that its session has expired has nothing more to end, though its
                    // nodes may be there until the leader's transaction is committed.
                    && !self.ensemble.is_closing(session)
                    && let Some(path) = self.ensemble.truth.ephemerals(session).next().cloned()
                {
                    let session = session_name(session);
                    self.agenda.violate(format!("closed, but {path} of {session} is still there"));
                }
            }
        }
    }

    /// An acquire ended: was it in time?
    fn in_time(&mut self, process: usize, call: u64) {
        let Some(it) = self.calls.get(&(process, call)) else { return };
        let unpaused = it.pauses == self.processes[process].pauses;
        if let Some(due) = it.due
            && unpaused
            && self.agenda.now > due
        {
            let (kind, began) = (it.kind, it.began);
            self.agenda.violate(format!(
                "an acquire ({kind:?}, begun at {began}) of process {process} ended {} ms too late",
                (self.agenda.now - due) / MS
            ));
        }
    }

    fn granted(&mut self, process: usize, call: u64, token: i64) {
        self.outcome.grants += 1;
        self.in_time(process, call);
        let Some(it) = self.calls.get_mut(&(process, call)) else { return };
        it.waiting = false;
        it.token = token;
        let (handle, must_be_interrupted) = (it.handle, it.must_be_interrupted);
        if must_be_interrupted {
            self.agenda.violate(format!("handle {handle}: an interrupt from before the acquire was lost"));
        }
        let path = self.handles[handle].path;
        let contenders = self.ensemble.contenders(PATHS[path]);
        let own = contenders.iter().position(|(_, _, czxid, _)| *czxid == token);
        self.nobody_else_believes(handle, token);
        let last = self.last_token[path];
        // In default mode a late grant of a node that is gone is excused below.
        if token <= last && (own.is_some() || (self.strict.is_some() && !self.outcome.has_admin)) {
            self.agenda.violate(format!("M1: token {token:x} was granted after {last:x}"));
        }
        self.last_token[path] = last.max(token);
        match own {
            Some(0) => {}
            Some(_) => {
                let first = &contenders[0];
                self.agenda.violate(format!(
                    "M6: process {process} was granted {}, token {token:x}, but {} is before it (czxid {:x})",
                    PATHS[path], first.1, first.2
                ));
            }
            // The session ended on the way, or somebody deleted the node: the holder cannot know yet.
            None => {
                self.outcome.late_grants += 1;
                let session = self.processes[process].client.as_ref().map(|client| client.session().id);
                let lives = session.is_some_and(|id| self.ensemble.truth.sessions.contains_key(&id));
                if lives && !self.outcome.has_admin {
                    self.agenda.violate(format!(
                        "process {process} was granted token {token:x}, whose node is gone though its session lives"
                    ));
                }
            }
        }
    }

    fn failed(&mut self, process: usize, call: u64, code: Code, text: &str) {
        self.in_time(process, call);
        let Some(it) = self.calls.remove(&(process, call)) else { return };
        if code == Code::INTERRUPTED {
            // One interrupt ends one acquire, whichever of two that begin at one moment.
            let others = self.calls.values_mut().filter(|other| other.handle == it.handle);
            others.for_each(|other| other.must_be_interrupted = false);
        }
        let handle = &mut self.handles[it.handle];
        let closed = handle.closed || self.processes[process].closing;
        if it.must_be_interrupted && it.kind == Kind::Try && code == Code::TIMEOUT {
            // A try that finds its own handle taken does not wait: the interrupt stays for the next.
            handle.ahead = true;
        } else if it.must_be_interrupted && code != Code::INTERRUPTED && !closed {
            self.agenda.violate(format!("an interrupt from before the acquire did not end it, but {text}"));
        }
        let passing = [
            Code::CONNECTION_LOSS,
            Code::NOT_SENT,
            Code::OPERATION_TIMEOUT,
            Code::OUTCOME_UNKNOWN,
            Code::SESSION_MOVED,
        ];
        let explained = match code {
            Code::CLOSED => closed,
            Code::INTERRUPTED => {
                handle.interrupted += 1;
                handle.ahead = false;
                handle.interrupted <= handle.interrupts
            }
            Code::CANCELLED => it.cancelled,
            Code::TIMEOUT => match it.kind {
                // Its own clock may run a little fast.
                Kind::Timed(micros) => self.agenda.now - it.began >= micros - micros / 100,
                Kind::Try => true,
                _ => false,
            },
            _ => (it.kind == Kind::Try && passing.contains(&code)) || closed,
        };
        if !explained {
            self.agenda.violate(format!("process {process}: an acquire ({:?}) ended with {text}", it.kind));
        }
    }

    fn released(&mut self, process: usize, call: u64, outcome: Result<(), (Code, String)>) {
        let Some(it) = self.calls.remove(&(process, call)) else { return };
        let path = PATHS[self.handles[it.handle].path];
        let closed = self.handles[it.handle].closed || self.processes[process].closing;
        let contenders = self.ensemble.contenders(path);
        let owner = contenders.iter().find(|(_, _, czxid, _)| *czxid == it.token).map(|found| found.3);
        let is_there = owner.is_some();
        // A session is over for its client when the leader begins to close it, before its nodes are gone.
        let session = self.processes[process].client.as_ref().map(|client| client.session().id);
        match outcome {
            Ok(()) if is_there => {
                self.agenda.violate(format!("released, but the node of token {:x} is still there", it.token));
            }
            // A lease that ran out says nothing of the node.
            Err((Code::LOCK_LOST, text))
                if is_there && owner == session && !closed && !text.contains("confirmed in time") =>
            {
                self.agenda.violate(format!("{text}, but the node of token {:x} is there", it.token));
            }
            Ok(()) | Err((Code::LOCK_LOST | Code::OUTCOME_UNKNOWN, _)) => {}
            Err((Code::NOT_HELD | Code::CLOSED, _)) if closed => {}
            Err((_, text)) => {
                self.agenda.violate(format!("process {process}: a release ended with {text}"));
            }
        }
    }

    /// M2: nobody else may still believe in a lock of the same path. `handle` has it now, by this token.
    fn nobody_else_believes(&mut self, handle: usize, token: i64) {
        let now = self.agenda.now;
        let path = self.handles[handle].path;
        let other = self
            .calls
            .iter()
            .filter(|(_, call)| call.handle != handle && self.handles[call.handle].path == path)
            .find(|(_, call)| call.believes(now));
        let Some(((process, _), call)) = other else { return };
        if self.outcome.has_admin || (self.strict.is_some() && self.plan.has(FaultKind::ForeignContender)) {
            return;
        }
        let long = call.believes_until - now;
        let pair = (token.min(call.token), token.max(call.token));
        let text = format!(
            "{} is held by token {token:x} while process {process} believes in {:x} for {} ms more",
            PATHS[path],
            call.token,
            long / MS
        );
        if self.strict.is_some() {
            self.agenda.violate(format!("M2s: {text}"));
        } else if !self.plan.has(FaultKind::ExpireSession) {
            self.agenda.violate(format!("M2: {text}"));
        } else if self.overlaps.insert(pair) {
            self.agenda.tell(|| format!("M2, excused by a server's clock: {text}"));
            self.outcome.overlaps += 1;
            self.outcome.longest_overlap = self.outcome.longest_overlap.max(long);
        }
    }

    /// What the holders of a process believe after its step, and M3: that they are told in time.
    fn look_at_beliefs(&mut self, process: usize) {
        for handle in self.handles.iter_mut().filter(|handle| handle.process == process) {
            while let Ok(lost) = handle.losses.try_recv() {
                self.agenda.tell(|| format!("process {process}: lost {:x}: {}", lost.token, lost.reason));
                for call in self.calls.values_mut().filter(|call| call.token == lost.token) {
                    call.lost = Some(lost.reason);
                }
            }
        }
        let clock = self.processes[process].clock;
        let (mut late, mut holders) = (Vec::new(), Vec::new());
        for ((_, _), call) in self.calls.range_mut((process, 0)..(process + 1, 0)) {
            if call.token == 0 || call.releases || call.lost.is_some() {
                continue;
            }
            let peeked = self.handles[call.handle].slot.lock().as_ref().and_then(Mutex::peek);
            let until = peeked.filter(|(token, _)| *token == call.token).and_then(|(_, until)| micros(until));
            let Some(local) = until else {
                call.believes_until = 0;
                continue;
            };
            call.believes_until = if local < clock.ahead { 1 } else { clock.global(local) };
            if call.believes(self.agenda.now) {
                holders.push((call.handle, call.token));
            }
            if call.believes_until + MS < self.agenda.now && !self.handles[call.handle].closed {
                late.push((call.token, call.believes_until));
            }
        }
        for (handle, token) in holders {
            self.nobody_else_believes(handle, token);
        }
        for (token, until) in late {
            self.agenda.violate(format!(
                "M3: process {process} has not heard that it lost token {token:x}, which was valid until {until}"
            ));
        }
    }
}

/// The administrator's session is nobody's.
const _: () = assert!(ADMIN != 0);
