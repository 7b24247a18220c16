//! The course of one schedule: what happens, in which order, and who is asked about it.

use super::agenda::{Event, MS, Micros};
use super::elections::Elections;
use super::faults::{Due, KINDS, Kind};
use super::locks::Locks;
use super::pids::Pids;
use super::queues::Queues;
use super::recipe::Recipe;
use super::schedule::{Dice, Part, Schedule};
use super::stage::{Outcome, Stage};
use super::world::{IO, micros};

/// How long after the last fault everyone must have been served.
const SERVED: Micros = 90_000 * MS;
/// How many processes there may be.
const PROCESSES: usize = 6;

pub struct Sim {
    stage: Stage,
    recipes: Vec<Box<dyn Recipe>>,
}

/// The recipes that are on the stage in this schedule.
fn cast(stage: &mut Stage) -> Vec<Box<dyn Recipe>> {
    let cast = stage.schedule.cast();
    let mut recipes: Vec<Box<dyn Recipe>> = Vec::new();
    if matches!(cast, 65..80 | 97..100) {
        recipes.push(Box::new(Elections::new(stage)));
    }
    if matches!(cast, 80..88 | 95..97) {
        recipes.push(Box::new(Queues::new(stage)));
    }
    if matches!(cast, 88..95) {
        recipes.push(Box::new(Pids::new(stage)));
    }
    if matches!(cast, 0..65 | 95..100) {
        recipes.push(Box::new(Locks::new(stage)));
    }
    recipes
}

/// Runs a schedule.
pub fn run(schedule: &Schedule, tell: bool) -> Outcome {
    let mut sim = Sim::new(schedule, tell);
    sim.play();
    sim.end()
}

impl Sim {
    fn new(schedule: &Schedule, tell: bool) -> Self {
        let mut stage = Stage::new(schedule, tell);
        let recipes = cast(&mut stage);
        let mut this = Self { stage, recipes };
        for recipe in &mut this.recipes {
            recipe.plant(&mut this.stage);
        }
        let processes = this.stage.agenda.rng.usize(2..=3);
        this.stage.agenda.rng = schedule.rng(Dice::Course);
        this.stage.ensemble.elect(&mut this.stage.agenda);
        for _ in 0..processes {
            this.start_process();
        }
        for kind in 0..KINDS.len() {
            if let Some(pause) = this.stage.plan.pause(kind) {
                this.stage.agenda.after(pause, Event::Chance { kind });
            }
        }
        this
    }

    fn start_process(&mut self) {
        let index = self.stage.processes.len();
        let recipes = &mut self.recipes;
        self.stage.with_dice(Dice::Process(index), |stage| {
            let started = stage.start_process();
            if let Some((process, client)) = started {
                recipes.iter_mut().for_each(|recipe| recipe.start(stage, process, &client));
            }
        });
    }

    fn play(&mut self) {
        let chaos = self.stage.agenda.between(1500, 7000) * MS;
        self.until(chaos, |_| false);
        self.settle_down();
        let bound = self.stage.agenda.now + SERVED;
        if !self.until(bound, Self::is_served) && self.is_right() {
            let waiting: Vec<_> = self.recipes.iter().map(|recipe| recipe.unserved(&self.stage)).collect();
            self.stage.agenda.violate("M5", format!("not everyone was served: {}", waiting.join("; ")));
        }
        self.at_rest();
        self.close_all();
    }

    fn is_right(&self) -> bool {
        self.stage.agenda.violations.is_empty()
    }

    /// Lets things happen until `end`, or until `done`.
    fn until(&mut self, end: Micros, done: fn(&mut Self) -> bool) -> bool {
        while self.is_right() {
            if done(self) {
                return true;
            }
            let Some(event) = self.stage.agenda.next(end) else { break };
            self.happen(event);
        }
        done(self)
    }

    fn settle_down(&mut self) {
        let stage = &mut self.stage;
        stage.agenda.tell(|| "no more faults".to_owned());
        stage.calm = true;
        stage.net.calm();
        for server in 0..stage.ensemble.servers.len() {
            stage.ensemble.thaw(&mut stage.agenda, &mut stage.net, server);
            stage.ensemble.restart(&mut stage.agenda, server);
        }
        stage.ensemble.calm(&mut stage.agenda);
        for recipe in &mut self.recipes {
            recipe.calm(&mut self.stage);
        }
        for process in 0..self.stage.processes.len() {
            self.stage.processes[process].fuse = None;
            if self.stage.resume(process) {
                self.step(process);
            }
        }
        self.look_at_commits();
    }

    fn is_served(&mut self) -> bool {
        let stage = &self.stage;
        self.recipes.iter().all(|recipe| recipe.is_done(stage))
            && stage.processes.iter().all(|p| p.dead || p.tasks.live() == 0)
            && (stage.ensemble.truth.sessions.keys()).all(|session| {
                stage.processes.iter().any(|p| {
                    p.client.as_ref().is_some_and(|client| client.session().id == *session) && !p.closing
                })
            })
    }

    fn at_rest(&mut self) {
        if !self.is_right() {
            return;
        }
        for recipe in &mut self.recipes {
            recipe.at_rest(&mut self.stage);
        }
        for process in 0..self.stage.processes.len() {
            let it = &self.stage.processes[process];
            if let Some(client) = it.client.as_ref().filter(|_| !it.dead)
                && client.watch_count() > 0
            {
                self.stage.agenda.violate("watches", format!("process {process} is left with some"));
            }
        }
    }

    fn close_all(&mut self) {
        if !self.is_right() {
            return;
        }
        for process in 0..self.stage.processes.len() {
            self.close_client(process);
        }
        let end = self.stage.agenda.now + 30_000 * MS;
        if !self.until(end, |sim| sim.stage.ensemble.truth.sessions.is_empty()) && self.is_right() {
            self.stage.agenda.violate("close", "sessions are left after every client was closed".to_owned());
        }
    }

    fn end(mut self) -> Outcome {
        for process in &mut self.stage.processes {
            process.tasks.die();
        }
        self.recipes.iter_mut().for_each(|recipe| recipe.end());
        let stage = &mut self.stage;
        let mut outcome = std::mem::take(&mut stage.outcome);
        outcome.hash = stage.agenda.hash();
        outcome.steps = stage.agenda.steps;
        outcome.virtual_time = stage.agenda.now;
        outcome.violations = std::mem::take(&mut stage.agenda.violations);
        outcome.story = stage.agenda.take_story();
        outcome.processes = stage.processes.len();
        outcome.struck = stage.plan.struck().collect();
        outcome
    }

    fn happen(&mut self, event: Event) {
        let stage = &mut self.stage;
        match event {
            Event::Wake { process } => self.step(process),
            Event::Resume { process } => {
                if stage.resume(process) {
                    self.step(process);
                }
            }
            Event::Dialled { process, .. } => self.hand_to(process, event),
            Event::ToClient { conn, .. } | Event::ClientSeesEnd { conn } => {
                if let Some(process) = stage.net.conns.get(&conn).map(|conn| conn.process) {
                    self.hand_to(process, event);
                }
            }
            Event::ToServer { .. }
            | Event::ServerSeesEnd { .. }
            | Event::Peer { .. }
            | Event::Tick { .. } => stage.ensemble.handle(&mut stage.agenda, &mut stage.net, event),
            Event::Thaw { server } => stage.ensemble.thaw(&mut stage.agenda, &mut stage.net, server),
            Event::Restart { server } => stage.ensemble.restart(&mut stage.agenda, server),
            Event::Elect => stage.ensemble.elect(&mut stage.agenda),
            Event::Chance { kind } => self.chance(kind),
            Event::Due(Due::Expire { session }) => {
                if !stage.calm {
                    stage.ensemble.expire(&mut stage.agenda, session);
                }
            }
            Event::Due(what) => {
                for recipe in &mut self.recipes {
                    recipe.due(&mut self.stage, what);
                }
            }
        }
        self.look_at_commits();
    }

    fn look_at_commits(&mut self) {
        let seen = std::mem::take(&mut self.stage.ensemble.seen);
        if !seen.is_empty() {
            for recipe in &mut self.recipes {
                recipe.committed(&mut self.stage, &seen);
            }
        }
    }

    // ---- faults ----

    fn chance(&mut self, kind: usize) {
        if self.stage.calm {
            return;
        }
        let nth = self.stage.plan.next(kind);
        if self.stage.schedule.has(Part::Fault(kind, nth)) {
            self.stage.outcome.faults += 1;
            let own = self.stage.schedule.rng(Dice::Fault(kind, nth));
            let course = std::mem::replace(&mut self.stage.agenda.rng, own);
            let stirred = self.strike(KINDS[kind].0);
            self.stage.agenda.rng = course;
            if let Some(process) = stirred {
                self.step(process);
            }
        }
        if let Some(pause) = self.stage.plan.pause(kind) {
            self.stage.agenda.after(pause, Event::Chance { kind });
        }
    }

    /// A fault. Answers the process that has something to do by it.
    fn strike(&mut self, kind: Kind) -> Option<usize> {
        match kind {
            Kind::StartProcess => {
                if self.stage.processes.len() < PROCESSES {
                    self.start_process();
                }
                None
            }
            Kind::KillProcess => {
                let process = self.stage.any_live(true)?;
                let closes = self.stage.agenda.chance(60);
                self.stage
                    .agenda
                    .tell(|| format!("process {process} dies (its connection is closed: {closes})"));
                self.stage.kill(process, closes);
                self.recipes.iter_mut().for_each(|recipe| recipe.died(&mut self.stage, process));
                None
            }
            // Half of them come between two steps of the process's tasks.
            Kind::Interrupt | Kind::AbortTask | Kind::CloseHandle | Kind::CloseClient
                if self.stage.agenda.chance(50) =>
            {
                let process = self.stage.any_live(false)?;
                let steps = self.stage.agenda.rng.u32(1..40);
                self.stage.processes[process].fuse = Some((steps, kind));
                None
            }
            Kind::CloseClient => {
                let process = self.stage.any_live(false)?;
                self.stage.close_client(process).then_some(process)
            }
            _ => {
                let stirred = self.recipes.iter_mut().find_map(|r| r.strike(&mut self.stage, kind, None));
                self.stage.strike(kind);
                stirred
            }
        }
    }

    /// What was to happen to a process between two steps of its tasks.
    fn burn_fuse(&mut self, process: usize) {
        let Some((steps, kind)) = &mut self.stage.processes[process].fuse else { return };
        *steps -= 1;
        if *steps > 0 {
            return;
        }
        let kind = *kind;
        self.stage.processes[process].fuse = None;
        if kind == Kind::CloseClient {
            self.stage.close_client(process);
        } else {
            for recipe in &mut self.recipes {
                recipe.strike(&mut self.stage, kind, Some(process));
            }
        }
    }

    // ---- processes ----

    fn hand_to(&mut self, process: usize, event: Event) {
        if self.stage.take_in(process, event) {
            self.step(process);
        }
    }

    fn close_client(&mut self, process: usize) {
        if self.stage.close_client(process) && !self.stage.processes[process].paused {
            self.step(process);
        }
    }

    /// Lets a process run until it has nothing to do.
    fn step(&mut self, process: usize) {
        let it = &self.stage.processes[process];
        if it.dead || it.paused {
            return;
        }
        self.stage.set_now(process);
        self.stage.processes[process].tasks.waker(IO).wake_by_ref();
        loop {
            let it = &mut self.stage.processes[process];
            it.tasks.prepare();
            let Some(task) = it.tasks.pick(&mut self.stage.agenda.rng) else { break };
            self.stage.agenda.mix((process as u64) << 32 | task as u64);
            if task == IO {
                self.stage.io(process);
            } else {
                it.tasks.poll(task);
            }
            for recipe in &mut self.recipes {
                recipe.after_poll(&mut self.stage, process);
            }
            self.stage.look_at_close(process);
            self.burn_fuse(process);
        }
        for recipe in &mut self.recipes {
            recipe.after_step(&mut self.stage, process);
        }
        let it = &mut self.stage.processes[process];
        let next = it.link.next_deadline().min(it.tasks.next_timer());
        if let Some(local) = micros(next) {
            let (at, now) = (it.clock.global(local), self.stage.agenda.now);
            if it.wake_at <= now || at < it.wake_at {
                it.wake_at = at.max(now + 1);
                let at = it.wake_at;
                self.stage.agenda.at(at, Event::Wake { process });
            }
        }
    }
}
