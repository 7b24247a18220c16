//! The pid node on the stage: it is there while its owner is, nobody's node is taken from it, and it goes with it.

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
use zkhelper::{Client, Code, PidEvent, PidNode, PidNodeOptions, TakeOver};

const PATH: &str = "/pid";

#[derive(Debug)]
enum Note {
    Event(PidEvent),
    /// It was made, as its owner heard.
    Made,
    /// It was dropped, or its creation was given up.
    Dropped,
    Closed(Result<(), (Code, String)>),
    Failed {
        code: Code,
        text: String,
    },
}

#[derive(Default)]
struct History {
    notes: Vec<(usize, Note)>,
    calm: bool,
}

struct Script {
    world: World,
    client: Client,
    history: Arc<Locked<History>>,
    handle: usize,
    options: PidNodeOptions,
    rounds: u64,
    longest: Micros,
}

impl Script {
    fn note(&self, note: Note) {
        self.history.lock().notes.push((self.handle, note));
    }

    fn is_calm(&self) -> bool {
        self.history.lock().calm
    }

    async fn run(self) {
        for _ in 0..self.rounds {
            self.world.sleep(self.world.random_below(300 * MS)).await;
            if self.is_calm() {
                return;
            }
            let create = PidNode::create(&self.client, PATH, b"42", self.options.clone());
            let patience =
                if self.world.random_below(4) == 0 { self.world.random_below(60) } else { u64::MAX / 2 };
            let made = tokio::select! {
                biased;
                made = create => made,
                () = self.world.after_steps(patience) => {
                    self.note(Note::Dropped);
                    continue;
                }
            };
            match made {
                Ok(node) => self.keep(node).await,
                Err(error) => {
                    let (code, text) = (error.code(), error.to_string());
                    self.note(Note::Failed { code, text });
                    if code == Code::CLOSED {
                        return;
                    }
                }
            }
        }
    }

    /// Keeps the node for a while, and says what becomes of it.
    async fn keep(&self, node: PidNode) {
        self.note(Note::Made);
        let mut events = node.events();
        let mut left = self.world.random_below(self.longest);
        while left > 0 && !self.is_calm() {
            let nap = left.min(100 * MS);
            tokio::select! {
                biased;
                event = events.recv() => match event {
                    Some(event) => self.note(Note::Event(event)),
                    None => return,
                },
                () = self.world.sleep(nap) => left -= nap,
            }
        }
        if self.world.random_below(3) == 0 {
            drop(node);
            self.note(Note::Dropped);
        } else {
            let outcome = node.close().await;
            self.note(Note::Closed(outcome.map_err(|error| (error.code(), error.to_string()))));
        }
    }
}

struct Handle {
    process: usize,
    script: Option<usize>,
    /// The node that it made last: czxid and session.
    made: Option<(i64, i64)>,
    /// A creation was dropped that was not answered: what it made has the number of the next one's time.
    dropped: bool,
}

pub struct Pids {
    take_over: TakeOver,
    longest: Micros,
    handles: Vec<Handle>,
    histories: BTreeMap<usize, Arc<Locked<History>>>,
    calm: bool,
}

impl Pids {
    pub fn new(stage: &Stage) -> Self {
        let mut rng = stage.schedule.rng(Dice::Pid(0));
        let take_over = match rng.u32(0..100) {
            0..60 => TakeOver::Never,
            60..80 => TakeOver::Dead,
            _ => TakeOver::Live,
        };
        let longest = *rng.choice(&[50 * MS, 1000 * MS, 5000 * MS]).unwrap_or(&MS);
        Self { take_over, longest, handles: Vec::new(), histories: BTreeMap::new(), calm: false }
    }

    /// Whether somebody may delete a node that is not its own.
    fn is_taken(&self, stage: &Stage) -> bool {
        stage.plan.has(Fault::AdminDeletes) || self.take_over == TakeOver::Live
    }

    fn read_notes(&mut self, stage: &mut Stage, process: usize) {
        let notes = match self.histories.get(&process) {
            Some(history) => std::mem::take(&mut history.lock().notes),
            None => return,
        };
        for (handle, note) in notes {
            stage.agenda.mix(1);
            stage.agenda.tell(|| format!("process {process}, pid node {handle}: {note:x?}"));
            self.read_note(stage, process, handle, note);
        }
    }

    fn read_note(&mut self, stage: &mut Stage, process: usize, handle: usize, note: Note) {
        let closes = stage.processes[process].closing;
        let there = stage.ensemble.truth.nodes.get(PATH).map(|node| (node.czxid, node.owner));
        match note {
            Note::Made => stage.outcome.grants += 1,
            Note::Dropped => self.handles[handle].dropped = true,
            Note::Event(PidEvent::Made { czxid, session }) => {
                self.handles[handle].made = Some((czxid, session));
                // A node of its own is there, or was.
                if let Some((other, owner)) = there.filter(|(other, _)| *other == czxid)
                    && owner != session
                {
                    let what = format!("{other:x} is told as one of {}", session_name(session));
                    stage.agenda.violate("P1", what);
                }
                let lives = stage.ensemble.truth.sessions.contains_key(&session);
                let gone = there.is_none_or(|(other, _)| other != czxid);
                if gone && lives && !self.is_taken(stage) && !self.handles[handle].dropped {
                    let what = format!("{czxid:x} is told as made, and gone though its session lives");
                    stage.agenda.violate("P1", what);
                }
            }
            Note::Event(PidEvent::Lost(_)) => self.handles[handle].made = None,
            Note::Event(PidEvent::Refused(error)) => {
                let code = error.code();
                if code != Code::NODE_EXISTS && !PASSING.contains(&code) && !closes {
                    stage.agenda.violate("errors", format!("a pid node was refused: {error}"));
                }
            }
            Note::Closed(outcome) => {
                let made = self.handles[handle].made.take();
                match outcome {
                    // With a session that is over it goes when the leader's transaction is committed.
                    Ok(())
                        if made.map(|it| it.0) == there.map(|it| it.0)
                            && there.is_some_and(|(_, owner)| {
                                !stage.ensemble.is_closing(owner) && !stage.ensemble.denied.contains(&owner)
                            })
                            && !closes =>
                    {
                        stage.agenda.violate("P1", format!("{made:x?} was closed, and is there"));
                    }
                    Ok(()) | Err((Code::OUTCOME_UNKNOWN, _)) => {}
                    Err((Code::CLOSED | Code::SESSION_EXPIRED, _)) if closes => {}
                    Err((_, text)) => {
                        stage.agenda.violate("errors", format!("a pid node's close ended with {text}"));
                    }
                }
            }
            Note::Failed { code, text } => {
                let explained = match code {
                    Code::NODE_EXISTS => true,
                    Code::CLOSED => closes,
                    code => closes || PASSING.contains(&code),
                };
                if !explained {
                    stage.agenda.violate("errors", format!("a pid node was not made: {text}"));
                }
            }
        }
    }
}

impl Recipe for Pids {
    fn plant(&mut self, stage: &mut Stage) {
        if self.take_over == TakeOver::Dead {
            // A dead owner's, that no session keeps.
            stage.ensemble.plant(|tree| tree.plant(PATH, 0));
        }
    }

    fn start(&mut self, stage: &mut Stage, process: usize, client: &Client) {
        let mut rng = stage.schedule.rng(Dice::Pid(1 + process));
        let history = Arc::new(Locked::new(History { calm: self.calm, ..History::default() }));
        self.histories.insert(process, Arc::clone(&history));
        let handle = self.handles.len();
        let tasks = &mut stage.processes[process].tasks;
        let wait = Duration::from_micros(rng.u64(0..4000) * MS);
        let script = Script {
            world: tasks.world.clone(),
            client: client.clone(),
            history,
            handle,
            options: PidNodeOptions {
                take_over: self.take_over,
                wait: rng.bool().then_some(wait),
                ..PidNodeOptions::default()
            },
            rounds: rng.u64(1..=5),
            longest: self.longest,
        };
        let is_there = stage.schedule.has(Part::Handle(handle));
        let script = is_there.then(|| tasks.start(Box::pin(script.run())));
        self.handles.push(Handle { process, script, made: None, dropped: false });
        stage.outcome.handles = stage.outcome.handles.max(self.handles.len());
    }

    fn strike(&mut self, stage: &mut Stage, kind: Fault, only: Option<usize>) -> Option<usize> {
        match kind {
            Fault::AdminDeletes => {
                let request = Request::Delete { path: PATH.to_owned(), version: -1 };
                stage.ensemble.admin(&mut stage.agenda, &request);
                None
            }
            Fault::AbortTask => {
                let handles = self.handles.iter().map(|handle| (handle.process, handle.script.is_some()));
                let at = stage.any_handle(handles, only)?;
                let handle = &mut self.handles[at];
                let process = handle.process;
                stage.agenda.tell(|| format!("pid node {at} is dropped"));
                stage.set_now(process);
                handle.made = None;
                stage.processes[process].tasks.abort(handle.script.take()?);
                self.read_notes(stage, process);
                self.handles[at].made = None;
                Some(process)
            }
            _ => None,
        }
    }

    fn due(&mut self, _: &mut Stage, _: Due) {}

    fn after_poll(&mut self, stage: &mut Stage, process: usize) {
        self.read_notes(stage, process);
    }

    fn after_step(&mut self, _: &mut Stage, _: usize) {}

    fn committed(&mut self, stage: &mut Stage, seen: &[Seen]) {
        for seen in seen {
            if let Seen::DeletedForeign { session, path } = seen
                && path == PATH
                && !self.is_taken(stage)
            {
                let what = format!("{} deletes {path}, which is another's", session_name(*session));
                stage.agenda.violate("P1", what);
            }
        }
    }

    fn died(&mut self, _: &mut Stage, process: usize) {
        self.handles.iter_mut().filter(|handle| handle.process == process).for_each(|h| h.made = None);
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
        let live = |handle: &&Handle| {
            let process = &stage.processes[handle.process];
            !process.dead && handle.script.is_some_and(|task| process.tasks.is_live(task))
        };
        let waiting = self.handles.iter().filter(live).map(|handle| format!("process {}", handle.process));
        waiting.collect::<Vec<_>>().join("; ")
    }

    fn at_rest(&mut self, stage: &mut Stage) {
        if let Some(node) = stage.ensemble.truth.nodes.get(PATH).filter(|node| node.owner != 0) {
            let what =
                format!("{:x} of {} is left though nobody keeps it", node.czxid, session_name(node.owner));
            stage.agenda.violate("P1", what);
        }
        if stage.ensemble.truth.nodes.contains_key("/pid-takeover") {
            stage.agenda.violate("P1", "a claim is left though nobody takes over".to_owned());
        }
    }

    fn end(&mut self) {
        self.histories.clear();
    }
}
