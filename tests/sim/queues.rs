//! The queue lock on the stage: who holds it has the lowest name in the queue, and leaves no node behind.

use crate::agenda::{MS, Micros};
use crate::ensemble::{Seen, session_name};
use crate::faults::{Due, Kind as Fault};
use crate::locked::Mutex as Locked;
use crate::recipe::Recipe;
use crate::schedule::{Dice, Part};
use crate::stage::{PASSING, Stage};
use crate::world::World;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use zkhelper::proto::Request;
use zkhelper::{Client, Code, QueueHold, QueueLock, QueueLockOptions};

const QUEUE: &str = "/q";

/// How a wait is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lock,
    Timed(Micros),
    Try,
    /// Given up after so many steps of the process's tasks.
    Dropped(u64),
    Cancelled(u64),
}

#[derive(Debug)]
enum Note {
    Begins {
        call: u64,
        handle: usize,
        kind: Kind,
    },
    Granted {
        call: u64,
        token: i64,
    },
    /// It is about to give it back, or has given up.
    Gone {
        call: u64,
    },
    Released {
        token: i64,
        outcome: Result<(), (Code, String)>,
    },
    Failed {
        call: u64,
        code: Code,
        text: String,
    },
}

#[derive(Default)]
struct History {
    notes: Vec<Note>,
    calls: u64,
    calm: bool,
}

type Slot = Arc<Locked<Option<QueueLock>>>;

struct Script {
    world: World,
    history: Arc<Locked<History>>,
    handle: usize,
    slot: Slot,
    rounds: u64,
    longest_hold: Micros,
}

impl Script {
    fn note(&self, note: Note) {
        self.history.lock().notes.push(note);
    }

    fn kind(&self) -> Kind {
        let steps = 1 + self.world.random_below(60);
        match self.world.random_below(100) {
            0..50 => Kind::Lock,
            50..65 => Kind::Timed(1 + self.world.random_below(1500 * MS)),
            65..75 => Kind::Try,
            75..88 => Kind::Dropped(steps),
            _ => Kind::Cancelled(steps),
        }
    }

    async fn run(self) {
        for _ in 0..self.rounds {
            self.world.sleep(self.world.random_below(300 * MS)).await;
            let lock = self.slot.lock().clone();
            let Some(lock) = lock.filter(|_| !self.history.lock().calm) else { return };
            let kind = self.kind();
            let call = {
                let mut history = self.history.lock();
                history.calls += 1;
                let call = history.calls;
                history.notes.push(Note::Begins { call, handle: self.handle, kind });
                call
            };
            match self.wait(&lock, kind).await {
                None => self.note(Note::Gone { call }),
                Some(Ok(hold)) => self.hold(&lock, call, hold).await,
                Some(Err(error)) => {
                    let (code, text) = (error.code(), error.to_string());
                    self.note(Note::Failed { call, code, text });
                    if code == Code::CLOSED {
                        return;
                    }
                }
            }
        }
    }

    async fn wait(&self, lock: &QueueLock, kind: Kind) -> Option<zkhelper::Result<QueueHold>> {
        let timeout = match kind {
            Kind::Timed(micros) => Some(Duration::from_micros(micros)),
            Kind::Try => Some(Duration::ZERO),
            _ => None,
        };
        let mut wait = lock.lock(timeout, "sim");
        let (Kind::Dropped(steps) | Kind::Cancelled(steps)) = kind else { return Some(wait.await) };
        let first = tokio::select! {
            biased;
            outcome = &mut wait => Some(outcome),
            () = self.world.after_steps(steps) => None,
        };
        match first {
            None if matches!(kind, Kind::Cancelled(_)) => Some(wait.cancel().await),
            first => first,
        }
    }

    async fn hold(&self, lock: &QueueLock, call: u64, hold: QueueHold) {
        let token = hold.token();
        self.note(Note::Granted { call, token });
        self.world.sleep(self.world.random_below(self.longest_hold)).await;
        self.note(Note::Gone { call });
        let released = match self.world.random_below(3) {
            0 => return drop(hold),
            1 => {
                assert_eq!(hold.keep(), token);
                lock.unlock().await
            }
            _ => hold.release().await,
        };
        let outcome = released.map_err(|error| (error.code(), error.to_string()));
        self.note(Note::Released { token, outcome });
    }
}

struct Handle {
    process: usize,
    slot: Slot,
    script: Option<usize>,
    closed: bool,
    interrupts: u32,
    interrupted: u32,
}

struct Call {
    handle: usize,
    kind: Kind,
    token: i64,
}

pub struct Queues {
    longest_hold: Micros,
    handles: Vec<Handle>,
    histories: BTreeMap<usize, Arc<Locked<History>>>,
    calls: BTreeMap<(usize, u64), Call>,
    last_token: i64,
    calm: bool,
}

fn has_admin(stage: &Stage) -> bool {
    stage.plan.has(Fault::AdminDeletes)
}

impl Queues {
    pub fn new(stage: &Stage) -> Self {
        let mut rng = stage.schedule.rng(Dice::Queue(0));
        let longest_hold = *rng.choice(&[5 * MS, 100 * MS, 1000 * MS, 4000 * MS]).unwrap_or(&MS);
        let (handles, histories, calls) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { longest_hold, handles, histories, calls, last_token: 0, calm: false }
    }

    fn any_handle(&self, stage: &mut Stage, only: Option<usize>) -> Option<usize> {
        let handles = self.handles.iter().map(|handle| (handle.process, handle.slot.lock().is_some()));
        stage.any_handle(handles, only)
    }

    fn read_notes(&mut self, stage: &mut Stage, process: usize) {
        let notes = match self.histories.get(&process) {
            Some(history) => std::mem::take(&mut history.lock().notes),
            None => return,
        };
        for note in notes {
            stage.agenda.mix(1);
            stage.agenda.tell(|| format!("process {process}: {note:x?}"));
            match note {
                Note::Begins { call, handle, kind } => {
                    self.calls.insert((process, call), Call { handle, kind, token: 0 });
                }
                Note::Granted { call, token } => self.granted(stage, process, call, token),
                Note::Gone { call } => drop(self.calls.remove(&(process, call))),
                Note::Released { token, outcome } => self.released(stage, process, token, outcome),
                Note::Failed { call, code, text } => self.failed(stage, process, call, code, &text),
            }
        }
    }

    fn granted(&mut self, stage: &mut Stage, process: usize, call: u64, token: i64) {
        stage.outcome.grants += 1;
        if let Some(call) = self.calls.get_mut(&(process, call)) {
            call.token = token;
        }
        let nodes = stage.ensemble.contenders(QUEUE);
        let own = nodes.iter().position(|(_, _, czxid, _)| *czxid == token);
        // A late grant of a node that is gone is excused below.
        let other = self.calls.values().filter(|_| own.is_some()).find(|call| {
            call.token != 0
                && call.token != token
                && nodes.iter().any(|(_, _, czxid, _)| *czxid == call.token)
        });
        if let Some(other) = other {
            let what = format!("token {token:x} is granted while the node of {:x} is there", other.token);
            stage.agenda.violate("queue", what);
        }
        match own {
            Some(0) if token > self.last_token => {}
            Some(0) => {
                let what = format!("token {token:x} is granted after {:x}", self.last_token);
                stage.agenda.violate("queue", what);
            }
            Some(_) => {
                stage.agenda.violate("queue", format!("token {token:x} is granted behind {:?}", nodes[0]));
            }
            None => {
                stage.outcome.late_grants += 1;
                let session = stage.processes[process].client.as_ref().map(|client| client.session().id);
                let lives = session.is_some_and(|id| stage.ensemble.truth.sessions.contains_key(&id));
                if lives && !has_admin(stage) {
                    let what = format!("token {token:x} is granted, and gone though its session lives");
                    stage.agenda.violate("queue", what);
                }
            }
        }
        self.last_token = self.last_token.max(token);
    }

    fn released(&self, stage: &mut Stage, process: usize, token: i64, outcome: Result<(), (Code, String)>) {
        let is_there = stage.ensemble.contenders(QUEUE).iter().any(|(_, _, czxid, _)| *czxid == token);
        let closes = stage.processes[process].closing
            || self.handles.iter().any(|handle| handle.process == process && handle.closed);
        match outcome {
            Ok(()) if is_there => {
                stage.agenda.violate("queue", format!("token {token:x} is released, and there"));
            }
            Ok(()) | Err((Code::LOCK_LOST | Code::OUTCOME_UNKNOWN, _)) => {}
            Err((Code::NOT_HELD | Code::CLOSED, _)) if closes => {}
            Err((_, text)) => stage.agenda.violate("errors", format!("a release ended with {text}")),
        }
    }

    fn failed(&mut self, stage: &mut Stage, process: usize, call: u64, code: Code, text: &str) {
        let Some(call) = self.calls.remove(&(process, call)) else { return };
        let handle = &mut self.handles[call.handle];
        let closed = handle.closed || stage.processes[process].closing;
        let explained = match code {
            Code::CLOSED => closed,
            Code::INTERRUPTED => {
                handle.interrupted += 1;
                handle.interrupted <= handle.interrupts
            }
            Code::CANCELLED => matches!(call.kind, Kind::Cancelled(_)),
            Code::TIMEOUT => matches!(call.kind, Kind::Timed(_) | Kind::Try),
            code => closed || (call.kind == Kind::Try && PASSING.contains(&code)),
        };
        if !explained {
            let what = format!("process {process}: a wait ({:?}) ended with {text}", call.kind);
            stage.agenda.violate("errors", what);
        }
    }
}

impl Recipe for Queues {
    fn plant(&mut self, _: &mut Stage) {}

    fn start(&mut self, stage: &mut Stage, process: usize, client: &Client) {
        let mut rng = stage.schedule.rng(Dice::Queue(1 + process));
        let history = Arc::new(Locked::new(History { calm: self.calm, ..History::default() }));
        self.histories.insert(process, Arc::clone(&history));
        for _ in 0..rng.usize(1..=3) {
            let lock = QueueLock::new(client, QUEUE, QueueLockOptions::default()).expect("a valid path");
            let slot: Slot = Arc::new(Locked::new(Some(lock)));
            let handle = self.handles.len();
            let tasks = &mut stage.processes[process].tasks;
            let script = Script {
                world: tasks.world.clone(),
                history: Arc::clone(&history),
                handle,
                slot: Arc::clone(&slot),
                rounds: rng.u64(1..=5),
                longest_hold: self.longest_hold,
            };
            let is_there = stage.schedule.has(Part::Handle(handle));
            let script = is_there.then(|| tasks.start(Box::pin(script.run())));
            self.handles.push(Handle { process, slot, script, closed: false, interrupts: 0, interrupted: 0 });
        }
        stage.outcome.handles = stage.outcome.handles.max(self.handles.len());
    }

    fn strike(&mut self, stage: &mut Stage, kind: Fault, only: Option<usize>) -> Option<usize> {
        if kind == Fault::AdminDeletes {
            let nodes = stage.ensemble.contenders(QUEUE);
            if let Some((_, name, ..)) = stage.agenda.rng.choice(nodes) {
                let request = Request::Delete { path: format!("{QUEUE}/{name}"), version: -1 };
                stage.ensemble.admin(&mut stage.agenda, &request);
            }
            return None;
        }
        if !matches!(kind, Fault::Interrupt | Fault::AbortTask | Fault::CloseHandle) {
            return None;
        }
        let at = self.any_handle(stage, only)?;
        stage.agenda.tell(|| format!("queue lock {at}: {kind:?}"));
        let handle = &mut self.handles[at];
        let process = handle.process;
        stage.set_now(process);
        let lock = handle.slot.lock().clone()?;
        match kind {
            Fault::Interrupt => {
                handle.interrupts += 1;
                lock.interrupt();
            }
            Fault::CloseHandle => {
                handle.closed = true;
                lock.close();
            }
            _ => {
                handle.slot.lock().take();
                if let Some(task) = handle.script {
                    stage.processes[process].tasks.abort(task);
                }
                drop(lock);
                self.read_notes(stage, process);
                self.calls.retain(|_, call| call.handle != at);
                return Some(process);
            }
        }
        if kind == Fault::CloseHandle {
            // It holds nothing any more.
            self.calls.values_mut().filter(|call| call.handle == at).for_each(|call| call.token = 0);
        }
        Some(process)
    }

    fn due(&mut self, _: &mut Stage, _: Due) {}

    fn after_poll(&mut self, stage: &mut Stage, process: usize) {
        self.read_notes(stage, process);
    }

    fn after_step(&mut self, _: &mut Stage, _: usize) {}

    fn committed(&mut self, stage: &mut Stage, seen: &[Seen]) {
        for seen in seen {
            if let Seen::DeletedForeign { session, path } = seen
                && path.starts_with("/q/")
            {
                let what = format!("{} deletes {path}, which is another's", session_name(*session));
                stage.agenda.violate("queue", what);
            }
        }
    }

    fn died(&mut self, _: &mut Stage, process: usize) {
        for handle in self.handles.iter().filter(|handle| handle.process == process) {
            let lock = handle.slot.lock().take();
            drop(lock);
        }
        self.calls.retain(|(p, _), _| *p != process);
    }

    fn calm(&mut self, _: &mut Stage) {
        self.calm = true;
        self.histories.values().for_each(|history| history.lock().calm = true);
    }

    fn is_done(&self, stage: &Stage) -> bool {
        self.handles.iter().all(|handle| {
            let process = &stage.processes[handle.process];
            process.dead || handle.script.is_none_or(|task| !process.tasks.is_live(task))
        })
    }

    fn unserved(&self, stage: &Stage) -> String {
        let live = self.calls.iter().filter(|((process, _), _)| !stage.processes[*process].dead);
        live.map(|((process, _), call)| format!("process {process}, queue lock {}", call.handle))
            .collect::<Vec<_>>()
            .join("; ")
    }

    fn at_rest(&mut self, stage: &mut Stage) {
        if let Some((_, name, czxid, _)) = stage.ensemble.contenders(QUEUE).first() {
            let what = format!("{name} (czxid {czxid:x}) is left though nobody holds or wants the lock");
            stage.agenda.violate("queue", what);
        }
    }

    fn end(&mut self) {
        for handle in &self.handles {
            let lock = handle.slot.lock().take();
            drop(lock);
        }
    }
}
