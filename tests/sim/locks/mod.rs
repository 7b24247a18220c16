//! The mutex on the stage: handles and the scripts that use them, and the faults that only a lock knows.

mod program;
mod promises;

use crate::agenda::{Event, MS, Micros};
use crate::ensemble::Seen;
use crate::faults::{Due, Kind as Fault};
use crate::locked::Mutex as Locked;
use crate::recipe::Recipe;
use crate::schedule::{Dice, Part};
use crate::stage::Stage;
use program::{History, Kind, Script, Slot, release_what_is_gone};
use promises::Call;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use zkhelper::proto::{CreateMode, MultiOp, Request};
use zkhelper::{Client, LostHold, Mutex, MutexOptions, Persistent, Strict};

const PATHS: [&str; 2] = ["/locks/a", "/b"];
const GUARDED: [&str; 2] = ["/counts/a", "/counts/b"];
/// How long an acquire may take to end after its deadline, interrupt or cancel: it waits that long for
/// its own node to be gone.
const CLEAN_UP: Micros = 2_050 * MS;
/// The last number that a lock may use: 2³¹ − 1 less 2²⁰, as docs/lock-protocol.md has it.
const LAST_NUMBER: i32 = i32::MAX - (1 << 20);

struct Handle {
    process: usize,
    path: usize,
    strict: Option<Strict>,
    persistent: Option<Persistent>,
    slot: Slot,
    scripts: Vec<usize>,
    losses: UnboundedReceiver<LostHold>,
    closed: bool,
    interrupts: u32,
    interrupted: u32,
    /// An interrupt came while nobody waited.
    ahead: bool,
}

/// How a node came to its end.
#[derive(Debug, Clone, Copy)]
struct Gone {
    at: Micros,
    with_session: bool,
    /// The leader that ended its session had taken writes of it before it asked who was heard.
    unheard: bool,
}

/// A hold in strict mode, by its token.
#[derive(Debug, Clone, Copy)]
struct Held {
    path: usize,
    /// How long its holder believes after a renewal, in true time.
    lease: Micros,
    /// It was released, by a holder that had it.
    released: bool,
}

pub struct Locks {
    paths: usize,
    longest_hold: Micros,
    resets: u64,
    /// What handles are made with: default mode, strict mode, or several of them on one path.
    modes: Vec<Option<Strict>>,
    /// What some of the handles in default mode are made with.
    persistent: Option<Persistent>,
    /// Whether the numbers of a path are about to end, so that the lock may be refused.
    ending: bool,
    handles: Vec<Handle>,
    histories: Vec<Arc<Locked<History>>>,
    calls: BTreeMap<(usize, u64), Call>,
    foreign: BTreeSet<String>,
    gone: BTreeMap<i64, Gone>,
    held: BTreeMap<i64, Held>,
    written: BTreeSet<(usize, u64, i64)>,
    last_token: [i64; 2],
    overlaps: BTreeSet<(i64, i64)>,
    calm: bool,
}

impl Locks {
    pub fn new(stage: &mut Stage) -> Self {
        let agenda = &mut stage.agenda;
        let tick = stage.ensemble.tick / MS;
        let paths = if agenda.chance(25) { 2 } else { 1 };
        let longest_hold = *agenda.rng.choice(&[5 * MS, 100 * MS, 1000 * MS, 6000 * MS]).unwrap_or(&MS);
        let mut strict = |ticks: std::ops::RangeInclusive<u64>| {
            let lease = Duration::from_millis(tick * agenda.rng.u64(ticks));
            let delay = lease * agenda.rng.u32(1..=2);
            Strict { lease, delay }
        };
        let (one, short, long) = (strict(1..=8), strict(1..=2), strict(5..=8));
        let modes = match agenda.rng.u32(0..100) {
            0..45 => vec![None],
            45..70 => vec![Some(one)],
            70..84 => vec![None, Some(one), Some(Strict { lease: one.delay, ..one })],
            // The path's delay is whose marker comes first; the others are refused.
            _ => vec![Some(short), Some(long)],
        };
        // A reset makes the path forget its marker: it is not for clients that differ in mode or delay.
        let delay = |mode: &Option<Strict>| mode.map(|strict| strict.delay);
        let agree = modes.iter().all(|mode| delay(mode) == delay(&modes[0]));
        let resets = if stage.plan.has(Fault::ResetIdle) && agree { 20 } else { 0 };
        let ending = agenda.chance(5);
        let mut rng = stage.schedule.rng(Dice::Persistent(0));
        let lease = Duration::from_millis(tick * rng.u64(1..=8));
        let persistent = (rng.u32(0..100) < 25).then_some(Persistent { lease });
        stage.outcome.strict = modes.iter().any(Option::is_some);
        Self {
            paths,
            longest_hold,
            resets,
            modes,
            persistent,
            ending,
            handles: Vec::new(),
            histories: Vec::new(),
            calls: BTreeMap::new(),
            foreign: BTreeSet::new(),
            gone: BTreeMap::new(),
            held: BTreeMap::new(),
            written: BTreeSet::new(),
            last_token: [0; 2],
            overlaps: BTreeSet::new(),
            calm: false,
        }
    }

    fn path_of(&self, handle: usize) -> &'static str {
        PATHS[self.handles[handle].path]
    }

    fn any_path(&self, stage: &mut Stage) -> &'static str {
        PATHS[stage.agenda.rng.usize(0..self.paths)]
    }

    fn any_handle(&self, stage: &mut Stage, only: Option<usize>) -> Option<usize> {
        let handles = self.handles.iter().map(|handle| (handle.process, handle.slot.lock().is_some()));
        stage.any_handle(handles, only)
    }

    fn interrupt(&mut self, stage: &mut Stage, only: Option<usize>) -> Option<usize> {
        let handle = self.any_handle(stage, only)?;
        let process = self.handles[handle].process;
        let mutex = self.handles[handle].slot.lock().clone()?;
        stage.set_now(process);
        stage.agenda.tell(|| format!("handle {handle} is interrupted"));
        mutex.interrupt();
        self.handles[handle].interrupts += 1;
        let due = stage.agenda.now + CLEAN_UP;
        let pauses = stage.processes[process].pauses;
        let mut waiting: Vec<_> =
            self.calls.values_mut().filter(|call| call.handle == handle && call.waiting).collect();
        match waiting.as_mut_slice() {
            [] => self.handles[handle].ahead = true,
            [call] if call.kind != Kind::Try && call.pauses == pauses => {
                call.interrupted_by.get_or_insert(due);
            }
            _ => {}
        }
        Some(process)
    }

    /// Drops the scripts of a handle, with their acquire or hold, wherever they are; and the handle.
    fn abort(&mut self, stage: &mut Stage, only: Option<usize>) -> Option<usize> {
        let handle = self.any_handle(stage, only)?;
        let process = self.handles[handle].process;
        stage.set_now(process);
        stage.agenda.tell(|| format!("handle {handle} is dropped with all that uses it"));
        let mutex = self.handles[handle].slot.lock().take();
        for task in self.handles[handle].scripts.clone() {
            stage.processes[process].tasks.abort(task);
        }
        drop(mutex);
        self.read_notes(stage, process);
        self.let_go(handle);
        self.calls.retain(|_, call| call.handle != handle);
        Some(process)
    }

    fn close(&mut self, stage: &mut Stage, only: Option<usize>) -> Option<usize> {
        let handle = self.any_handle(stage, only)?;
        let process = self.handles[handle].process;
        stage.agenda.tell(|| format!("handle {handle} is closed"));
        self.handles[handle].closed = true;
        self.let_go(handle);
        let mutex = self.handles[handle].slot.lock().clone();
        stage.set_now(process);
        if let Some(mutex) = mutex {
            mutex.close();
        }
        Some(process)
    }

    fn admin_deletes(&self, stage: &mut Stage) {
        let path = self.any_path(stage);
        let contenders = stage.ensemble.contenders(path);
        if let Some((_, name, ..)) = stage.agenda.rng.choice(contenders) {
            let request = Request::Delete { path: format!("{path}/{name}"), version: -1 };
            stage.ensemble.admin(&mut stage.agenda, &request);
        }
    }

    fn admin_resets(&self, stage: &mut Stage) {
        let path = self.any_path(stage);
        let delete = |path: String| MultiOp::Delete { path, version: -1 };
        let contenders = stage.ensemble.contenders(path);
        let mut ops: Vec<_> =
            contenders.into_iter().map(|(_, name, ..)| delete(format!("{path}/{name}"))).collect();
        ops.push(delete(path.to_owned()));
        stage.ensemble.admin(&mut stage.agenda, &Request::Multi(ops));
    }

    fn foreign_comes(&mut self, stage: &mut Stage) {
        let path = self.any_path(stage);
        let rng = &mut stage.agenda.rng;
        let name = match rng.u32(0..3) {
            0 => format!("_c_{:08x}-lock-", rng.u32(..)),
            1 => format!("{:08x}__lock__", rng.u32(..)),
            _ => format!("x{:08x}-lock-", rng.u32(..)),
        };
        let request = Request::Create {
            path: format!("{path}/{name}"),
            data: Vec::new(),
            acl: Vec::new(),
            mode: CreateMode::PersistentSequential,
            ttl_ms: 0,
            with_stat: true,
        };
        if stage.ensemble.admin(&mut stage.agenda, &request) {
            self.foreign.insert(format!("{path}/{name}"));
            let until = stage.a_while(6);
            stage.agenda.at(until, Event::Due(Due::ForeignLeaves { all: false }));
        }
    }

    /// One foreign contender goes; at the end all do, as often as it takes.
    fn foreign_leaves(&mut self, stage: &mut Stage, all: bool) {
        let mut found = Vec::new();
        for path in PATHS {
            for (_, name, _, owner) in stage.ensemble.contenders(path) {
                if owner == 0 && !name.starts_with("lock-") {
                    found.push(format!("{path}/{name}"));
                }
            }
        }
        if all {
            for path in &found {
                let request = Request::Delete { path: path.clone(), version: -1 };
                stage.ensemble.admin(&mut stage.agenda, &request);
            }
            // What is on its way at the leader is not there yet.
            self.foreign.retain(|_| !found.is_empty() || !stage.ensemble.is_idle());
            stage.agenda.after(500 * MS, Event::Due(Due::ForeignLeaves { all: true }));
        } else if let Some(path) = stage.agenda.rng.choice(found) {
            stage.ensemble.admin(&mut stage.agenda, &Request::Delete { path, version: -1 });
        }
    }
}

impl Recipe for Locks {
    fn plant(&mut self, stage: &mut Stage) {
        let end = *stage.agenda.rng.choice(&[LAST_NUMBER, i32::MAX]).unwrap_or(&0);
        let created = end - stage.agenda.rng.i32(0..20);
        let (ending, wraps) = (self.ending, stage.agenda.chance(50));
        stage.ensemble.plant(|tree| {
            tree.wraps = wraps;
            tree.plant("/counts", 0);
            GUARDED.iter().for_each(|path| tree.plant(path, 0));
            if ending {
                tree.plant("/locks", 0);
                PATHS.iter().for_each(|path| tree.plant(path, created));
            }
        });
        for (guarded, path) in GUARDED.into_iter().zip(PATHS) {
            stage.ensemble.guard(guarded.to_owned(), path);
        }
    }

    fn start(&mut self, stage: &mut Stage, process: usize, client: &Client) {
        let history = Arc::new(Locked::new(History { calm: self.calm, ..History::default() }));
        self.histories.resize_with(process, Arc::default);
        self.histories.push(Arc::clone(&history));
        let mut rng = stage.schedule.rng(Dice::Persistent(1 + process));
        for _ in 0..stage.agenda.rng.usize(1..=3) {
            let path = stage.agenda.rng.usize(0..self.paths);
            let strict = *stage.agenda.rng.choice(&self.modes).unwrap_or(&None);
            let chosen = rng.u32(0..100) < 60 && strict.is_none();
            let persistent = self.persistent.filter(|_| chosen);
            let options = MutexOptions {
                extra_lock_patterns: if stage.agenda.chance(10) {
                    vec!["-x-".to_owned()]
                } else {
                    Vec::new()
                },
                strict,
                persistent,
                ..MutexOptions::default()
            };
            let mutex = Mutex::new(client, PATHS[path], options).expect("a valid path");
            let losses = mutex.losses();
            let slot: Slot = Arc::new(Locked::new(Some(mutex)));
            let handle = self.handles.len();
            let mut scripts = Vec::new();
            for _ in 0..if stage.agenda.chance(15) { 2 } else { 1 } {
                let tasks = &mut stage.processes[process].tasks;
                let script = Script {
                    world: tasks.world.clone(),
                    zk: Arc::clone(client.zk()),
                    history: Arc::clone(&history),
                    handle,
                    path,
                    guarded: GUARDED[path].to_owned(),
                    slot: Arc::clone(&slot),
                    rounds: stage.agenda.rng.u64(1..=6),
                    longest_hold: self.longest_hold,
                    resets: self.resets,
                };
                if stage.schedule.has(Part::Handle(handle)) {
                    scripts.push(tasks.start(Box::pin(script.run())));
                }
            }
            self.handles.push(Handle {
                process,
                path,
                strict,
                persistent,
                slot,
                scripts,
                losses,
                closed: false,
                interrupts: 0,
                interrupted: 0,
                ahead: false,
            });
        }
        if self.persistent.is_some() {
            for path in PATHS {
                let mutex = Mutex::new(client, path, MutexOptions::default()).expect("a valid path");
                let tasks = &mut stage.processes[process].tasks;
                let world = tasks.world.clone();
                tasks.start(Box::pin(release_what_is_gone(world, Arc::clone(&history), mutex)));
            }
        }
        stage.outcome.handles = stage.outcome.handles.max(self.handles.len());
    }

    fn strike(&mut self, stage: &mut Stage, kind: Fault, only: Option<usize>) -> Option<usize> {
        match kind {
            Fault::Interrupt => self.interrupt(stage, only),
            Fault::AbortTask => self.abort(stage, only),
            Fault::CloseHandle => self.close(stage, only),
            Fault::AdminDeletes => {
                self.admin_deletes(stage);
                None
            }
            Fault::AdminResets => {
                self.admin_resets(stage);
                None
            }
            Fault::ResetIdle => {
                let path = self.any_path(stage).to_owned();
                if self.resets > 0 {
                    stage.ensemble.admin(&mut stage.agenda, &Request::Delete { path, version: -1 });
                }
                None
            }
            Fault::ForeignContender => {
                self.foreign_comes(stage);
                None
            }
            _ => None,
        }
    }

    fn due(&mut self, stage: &mut Stage, what: Due) {
        if let Due::ForeignLeaves { all } = what {
            self.foreign_leaves(stage, all);
        }
    }

    fn after_poll(&mut self, stage: &mut Stage, process: usize) {
        self.read_notes(stage, process);
    }

    fn after_step(&mut self, stage: &mut Stage, process: usize) {
        self.look_at_beliefs(stage, process);
    }

    fn committed(&mut self, stage: &mut Stage, seen: &[Seen]) {
        for seen in seen {
            self.saw(stage, seen);
        }
    }

    fn died(&mut self, _: &mut Stage, process: usize) {
        for handle in self.handles.iter().filter(|handle| handle.process == process) {
            let mutex = handle.slot.lock().take();
            drop(mutex);
        }
        self.calls.retain(|(p, _), _| *p != process);
    }

    fn calm(&mut self, stage: &mut Stage) {
        self.calm = true;
        for history in &self.histories {
            history.lock().calm = true;
        }
        stage.agenda.after(500 * MS, Event::Due(Due::ForeignLeaves { all: true }));
    }

    fn is_done(&self, stage: &Stage) -> bool {
        self.foreign.is_empty()
            && self.handles.iter().all(|handle| {
                let process = &stage.processes[handle.process];
                process.dead || handle.scripts.iter().all(|task| !process.tasks.is_live(*task))
            })
    }

    fn unserved(&self, stage: &Stage) -> String {
        let mut waiting = Vec::new();
        for ((process, _), call) in &self.calls {
            if call.waiting && !stage.processes[*process].dead {
                waiting.push(format!("process {process}, handle {}", call.handle));
            }
        }
        waiting.join("; ")
    }

    fn at_rest(&mut self, stage: &mut Stage) {
        self.no_contender_is_left(stage);
    }

    fn end(&mut self) {
        for handle in &self.handles {
            handle.slot.lock().take();
        }
    }
}
