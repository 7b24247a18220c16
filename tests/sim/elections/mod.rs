//! The election on the stage: electors and the scripts that use them, those who watch who leads, and what
//! an election promises.

mod program;
mod promises;

use crate::agenda::Micros;
use crate::ensemble::Seen;
use crate::faults::{Due, Kind as Fault};
use crate::locked::Mutex as Locked;
use crate::recipe::Recipe;
use crate::schedule::{Dice, Part};
use crate::stage::Stage;
use program::{History, Script, Slot, Watched, watch};
use promises::Call;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use zkhelper::proto::Request;
use zkhelper::{Client, Elector, ElectorOptions};

const PATH: &str = "/e";
const CANDIDATES: &str = "/e/candidates";
const RECORD: &str = "/e/leader";

struct Handle {
    process: usize,
    slot: Slot,
    script: Option<usize>,
    overdue: UnboundedReceiver<i64>,
    watched: Option<Arc<Locked<Watched>>>,
    closed: bool,
    interrupts: u32,
    interrupted: u32,
    /// An interrupt came while nothing was under way.
    ahead: bool,
}

pub struct Elections {
    options: ElectorOptions,
    grace: Duration,
    longest_term: Micros,
    handles: Vec<Handle>,
    histories: BTreeMap<usize, Arc<Locked<History>>>,
    calls: BTreeMap<(usize, u64), Call>,
    /// The terms there were, by token, with how often the process had been paused when they began.
    begun: BTreeMap<i64, u32>,
    last_token: i64,
    calm: bool,
}

impl Elections {
    pub fn new(stage: &Stage) -> Self {
        let mut rng = stage.schedule.rng(Dice::Election(0));
        let tick = stage.ensemble.tick;
        let lease = Duration::from_micros(tick * rng.u64(1..=5));
        let grace = Duration::from_micros(tick * rng.u64(1..=3));
        let options = ElectorOptions {
            lease,
            grace: Some(grace),
            min_backoff: Duration::from_millis(20),
            max_backoff: Duration::from_secs(2),
            ..ElectorOptions::default()
        };
        let longest_term = tick * *rng.choice(&[1, 4, 12]).unwrap_or(&1);
        let (handles, histories, calls) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let begun = BTreeMap::new();
        Self { options, grace, longest_term, handles, histories, calls, begun, last_token: 0, calm: false }
    }

    fn any_handle(&self, stage: &mut Stage, only: Option<usize>) -> Option<usize> {
        let handles = self.handles.iter().map(|handle| (handle.process, handle.slot.lock().is_some()));
        stage.any_handle(handles, only)
    }

    fn interrupt(&mut self, stage: &mut Stage, only: Option<usize>) -> Option<usize> {
        let at = self.any_handle(stage, only)?;
        let handle = &mut self.handles[at];
        let elector = handle.slot.lock().clone()?;
        stage.set_now(handle.process);
        stage.agenda.tell(|| format!("elector {at} is interrupted"));
        elector.interrupt();
        handle.interrupts += 1;
        handle.ahead = !self.calls.values().any(|call| call.handle == at);
        Some(handle.process)
    }

    /// Drops an elector's script, with its campaign or term, wherever it is; and the elector.
    fn abort(&mut self, stage: &mut Stage, only: Option<usize>) -> Option<usize> {
        let at = self.any_handle(stage, only)?;
        let handle = &self.handles[at];
        let process = handle.process;
        stage.set_now(process);
        stage.agenda.tell(|| format!("elector {at} is dropped with all that uses it"));
        let elector = handle.slot.lock().take();
        if let Some(task) = handle.script {
            stage.processes[process].tasks.abort(task);
        }
        drop(elector);
        self.read_notes(stage, process);
        self.calls.retain(|_, call| call.handle != at);
        Some(process)
    }

    fn close(&mut self, stage: &mut Stage, only: Option<usize>) -> Option<usize> {
        let at = self.any_handle(stage, only)?;
        stage.agenda.tell(|| format!("elector {at} is closed"));
        let handle = &mut self.handles[at];
        handle.closed = true;
        stage.set_now(handle.process);
        if let Some(elector) = handle.slot.lock().clone() {
            elector.close();
        }
        Some(handle.process)
    }

    /// An administrator deletes a candidate's node.
    fn admin_deletes(stage: &mut Stage) {
        let contenders = stage.ensemble.contenders(CANDIDATES);
        if let Some((_, name, ..)) = stage.agenda.rng.choice(contenders) {
            let request = Request::Delete { path: format!("{CANDIDATES}/{name}"), version: -1 };
            stage.ensemble.admin(&mut stage.agenda, &request);
        }
    }
}

impl Recipe for Elections {
    fn plant(&mut self, stage: &mut Stage) {
        stage.ensemble.guard(RECORD.to_owned(), CANDIDATES);
    }

    fn start(&mut self, stage: &mut Stage, process: usize, client: &Client) {
        let mut rng = stage.schedule.rng(Dice::Election(1 + process));
        let history = Arc::new(Locked::new(History { calm: self.calm, ..History::default() }));
        self.histories.insert(process, Arc::clone(&history));
        for _ in 0..rng.usize(1..=2) {
            let elector = Elector::new(client, PATH, self.options.clone()).expect("a valid path");
            let overdue = elector.overdue();
            let handle = self.handles.len();
            let tasks = &mut stage.processes[process].tasks;
            let watched = (rng.u32(0..100) < 30).then(|| {
                let watched = Arc::default();
                let watcher = watch(tasks.world.clone(), elector.clone(), Arc::clone(&watched));
                tasks.start(Box::pin(watcher));
                watched
            });
            let slot: Slot = Arc::new(Locked::new(Some(elector)));
            let script = Script {
                world: tasks.world.clone(),
                history: Arc::clone(&history),
                handle,
                slot: Arc::clone(&slot),
                rounds: rng.u64(1..=4),
                longest_term: self.longest_term,
                grace: self.grace,
            };
            let is_there = stage.schedule.has(Part::Handle(handle));
            let script = is_there.then(|| tasks.start(Box::pin(script.run())));
            self.handles.push(Handle {
                process,
                slot,
                script,
                overdue,
                watched,
                closed: false,
                interrupts: 0,
                interrupted: 0,
                ahead: false,
            });
        }
        stage.outcome.strict = true;
        stage.outcome.handles = stage.outcome.handles.max(self.handles.len());
    }

    fn strike(&mut self, stage: &mut Stage, kind: Fault, only: Option<usize>) -> Option<usize> {
        match kind {
            Fault::Interrupt => self.interrupt(stage, only),
            Fault::AbortTask => self.abort(stage, only),
            Fault::CloseHandle => self.close(stage, only),
            Fault::AdminDeletes => {
                Self::admin_deletes(stage);
                None
            }
            _ => None,
        }
    }

    fn due(&mut self, _: &mut Stage, _: Due) {}

    fn after_poll(&mut self, stage: &mut Stage, process: usize) {
        self.read_notes(stage, process);
    }

    fn after_step(&mut self, stage: &mut Stage, process: usize) {
        self.look_at_terms(stage, process);
    }

    fn committed(&mut self, stage: &mut Stage, seen: &[Seen]) {
        for seen in seen {
            self.saw(stage, seen);
        }
    }

    fn died(&mut self, _: &mut Stage, process: usize) {
        for handle in self.handles.iter().filter(|handle| handle.process == process) {
            let elector = handle.slot.lock().take();
            drop(elector);
        }
        self.calls.retain(|(p, _), _| *p != process);
    }

    fn calm(&mut self, _: &mut Stage) {
        self.calm = true;
        for history in self.histories.values() {
            history.lock().calm = true;
        }
    }

    fn is_done(&self, stage: &Stage) -> bool {
        let live = || self.handles.iter().filter(|handle| !stage.processes[handle.process].dead);
        let ended = |handle: &Handle| {
            handle.script.is_none_or(|task| !stage.processes[handle.process].tasks.is_live(task))
        };
        live().all(ended) && live().all(|handle| self.watcher_is_done(stage, handle))
    }

    fn unserved(&self, stage: &Stage) -> String {
        let mut waiting = Vec::new();
        for ((process, _), call) in &self.calls {
            if !stage.processes[*process].dead {
                waiting.push(format!("process {process}, elector {}", call.handle));
            }
        }
        for handle in &self.handles {
            let watched = handle.watched.as_ref().map(|watched| watched.lock());
            if let Some(watched) = watched.filter(|watched| !watched.stop && watched.ended.is_none()) {
                waiting.push(format!("process {} was last told {:?}", handle.process, watched.last));
            }
        }
        waiting.join("; ")
    }

    fn at_rest(&mut self, stage: &mut Stage) {
        if let Some((_, name, czxid, _)) = stage.ensemble.contenders(CANDIDATES).first() {
            let what = format!("candidate {name} (czxid {czxid:x}) is left though nobody leads or wants to");
            stage.agenda.violate("M4", what);
        }
    }

    fn end(&mut self) {
        for handle in &self.handles {
            let elector = handle.slot.lock().take();
            drop(elector);
        }
    }
}
