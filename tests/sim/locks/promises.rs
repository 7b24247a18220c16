//! What the mutex promises, as docs/design.md numbers it, checked after every step.

use super::program::{Kind, Note, parse_guarded};
use super::{CLEAN_UP, Gone, Held, LAST_NUMBER, Locks, PATHS};
use crate::agenda::{MS, Micros};
use crate::ensemble::{Seen, session_name};
use crate::faults::Kind as Fault;
use crate::stage::{PASSING, Stage};
use crate::world::micros;
use zkhelper::{Code, Loss, Mutex};

/// An acquire, and what became of it.
pub(super) struct Call {
    pub(super) handle: usize,
    pub(super) kind: Kind,
    began: Micros,
    pub(super) pauses: u32,
    cancelled: bool,
    /// Not granted yet.
    pub(super) waiting: bool,
    token: i64,
    /// Until when its holder believes, in true time.
    believes_until: Micros,
    releases: bool,
    lost: Option<Loss>,
    /// An interrupt from before it must end it.
    must_be_interrupted: bool,
    /// When it must have ended.
    due: Option<Micros>,
    /// The same, unless its interrupt ends another acquire on the handle.
    pub(super) interrupted_by: Option<Micros>,
}

impl Call {
    fn believes(&self, now: Micros) -> bool {
        self.token != 0 && !self.releases && self.lost.is_none() && self.believes_until > now
    }
}

impl Locks {
    pub(super) fn read_notes(&mut self, stage: &mut Stage, process: usize) {
        let notes = match self.histories.get(process) {
            Some(history) => std::mem::take(&mut history.lock().notes),
            None => return,
        };
        for note in notes {
            stage.agenda.mix(1);
            stage.agenda.tell(|| format!("process {process}: {note:x?}"));
            self.read_note(stage, process, note);
        }
    }

    fn read_note(&mut self, stage: &mut Stage, process: usize, note: Note) {
        let now = stage.agenda.now;
        let pauses = stage.processes[process].pauses;
        match note {
            Note::Begins { call, handle, kind } => {
                let due = match kind {
                    Kind::Timed(micros) => Some(now + micros + micros / 100 + CLEAN_UP),
                    _ => None,
                };
                let mut others = self.calls.values_mut().filter(|call| call.handle == handle).peekable();
                let alone = others.peek().is_none();
                // Of two that begin at one moment it may be the second that takes the interrupt.
                others.for_each(|other| other.must_be_interrupted = false);
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
                    interrupted_by: None,
                };
                self.calls.insert((process, call), call_);
            }
            Note::Cancels { call } => {
                if let Some(call) = self.calls.get_mut(&(process, call)) {
                    call.cancelled = true;
                    call.due = Some(now + CLEAN_UP);
                }
            }
            Note::Granted { call, token } => self.granted(stage, process, call, token),
            Note::Failed { call, code, text } => self.failed(stage, process, call, code, &text),
            Note::Gone { call } => {
                self.calls.remove(&(process, call));
            }
            Note::Wrote { path, count, token } => {
                if !self.written.contains(&(path, count, token)) {
                    stage.agenda.violate(
                        "M7",
                        format!("write {count} by token {token:x} was told, and is not there"),
                    );
                }
            }
            Note::Releases { call } => {
                if let Some(call) = self.calls.get_mut(&(process, call)) {
                    call.waiting = false;
                    call.releases = true;
                    if let Some(held) = self.held.get_mut(&call.token) {
                        held.released = true;
                    }
                }
            }
            Note::Released { call, outcome } => self.released(stage, process, call, outcome),
            Note::ResetFailed { text } => stage.agenda.violate("errors", text),
        }
    }

    /// An acquire ended: was it in time?
    fn in_time(&self, stage: &mut Stage, process: usize, call: u64) {
        let Some(it) = self.calls.get(&(process, call)) else { return };
        let unpaused = it.pauses == stage.processes[process].pauses;
        if let Some(due) = it.due.into_iter().chain(it.interrupted_by).min()
            && unpaused
            && stage.agenda.now > due
        {
            let (kind, began, late) = (it.kind, it.began, (stage.agenda.now - due) / MS);
            let what = format!(
                "an acquire ({kind:?}, begun at {began}) of process {process} ended {late} ms too late"
            );
            stage.agenda.violate("deadline", what);
        }
    }

    fn granted(&mut self, stage: &mut Stage, process: usize, call: u64, token: i64) {
        stage.outcome.grants += 1;
        self.in_time(stage, process, call);
        let Some(it) = self.calls.get_mut(&(process, call)) else { return };
        it.waiting = false;
        it.token = token;
        let (handle, must_be_interrupted) = (it.handle, it.must_be_interrupted);
        if must_be_interrupted {
            let what = format!("handle {handle}: one from before the acquire was lost");
            stage.agenda.violate("interrupt", what);
        }
        let has_admin = has_admin(stage);
        let path = self.handles[handle].path;
        let contenders = stage.ensemble.contenders(PATHS[path]);
        let own = contenders.iter().position(|(_, _, czxid, _)| *czxid == token);
        self.nobody_else_believes(stage, handle, token);
        self.nobody_else_might_believe(stage, process, handle, token);
        let last = self.last_token[path];
        // In default mode a late grant of a node that is gone is excused below.
        if token <= last && (own.is_some() || (self.handles[handle].strict.is_some() && !has_admin)) {
            stage.agenda.violate("M1", format!("token {token:x} was granted after {last:x}"));
        }
        self.last_token[path] = last.max(token);
        match own {
            Some(0) => {
                let number = contenders[0].0;
                if !(0..=LAST_NUMBER).contains(&number) {
                    stage.agenda.violate("M6", format!("number {number} was granted the lock"));
                }
            }
            Some(_) => {
                let first = &contenders[0];
                let what = format!(
                    "process {process} was granted {}, token {token:x}, but {} is before it (czxid {:x})",
                    PATHS[path], first.1, first.2
                );
                stage.agenda.violate("M6", what);
            }
            // The session ended on the way, or somebody deleted the node: the holder cannot know yet.
            None => {
                stage.outcome.late_grants += 1;
                let session = stage.processes[process].client.as_ref().map(|client| client.session().id);
                let lives = session.is_some_and(|id| stage.ensemble.truth.sessions.contains_key(&id));
                if lives && !has_admin {
                    let what = format!(
                        "process {process} was granted token {token:x}, whose node is gone though its session lives"
                    );
                    stage.agenda.violate("M2", what);
                }
            }
        }
    }

    fn failed(&mut self, stage: &mut Stage, process: usize, call: u64, code: Code, text: &str) {
        self.in_time(stage, process, call);
        let Some(it) = self.calls.remove(&(process, call)) else { return };
        if code == Code::INTERRUPTED {
            // One interrupt ends one acquire, whichever of those on its handle takes it first.
            let others = self.calls.values_mut().filter(|other| other.handle == it.handle);
            others.for_each(|other| {
                other.must_be_interrupted = false;
                other.interrupted_by = None;
            });
        }
        let several = self
            .modes
            .iter()
            .flatten()
            .any(|mode| self.modes.iter().flatten().any(|m| m.delay != mode.delay));
        let handle = &mut self.handles[it.handle];
        let closed = handle.closed || stage.processes[process].closing;
        let tried = it.kind == Kind::Try && code == Code::TIMEOUT;
        if it.must_be_interrupted && (tried || code == Code::CANCELLED) {
            // A try that finds its own handle taken does not wait, and who is cancelled does not either: the
            // interrupt stays for the next.
            handle.ahead = true;
        } else if it.must_be_interrupted && code != Code::INTERRUPTED && !closed {
            stage
                .agenda
                .violate("interrupt", format!("one from before the acquire did not end it, but {text}"));
        }
        let explained = match code {
            Code::CLOSED => closed,
            Code::INTERRUPTED => {
                handle.interrupted += 1;
                handle.ahead = false;
                handle.interrupted <= handle.interrupts
            }
            Code::CANCELLED => it.cancelled,
            Code::TIMEOUT => match it.kind {
                // Its own clock may run a little fast, and shows whole microseconds.
                Kind::Timed(micros) => stage.agenda.now - it.began + 1 >= micros - micros / 100,
                Kind::Try => true,
                _ => false,
            },
            Code::BAD_ARGUMENT => {
                several && handle.strict.is_some() && text.contains("the delay of this path")
            }
            Code::SEQUENCE_EXHAUSTED => self.ending,
            _ => (it.kind == Kind::Try && PASSING.contains(&code)) || closed,
        };
        if !explained {
            let what = format!("process {process}: an acquire ({:?}) ended with {text}", it.kind);
            stage.agenda.violate("errors", what);
        }
    }

    fn released(
        &mut self,
        stage: &mut Stage,
        process: usize,
        call: u64,
        outcome: Result<(), (Code, String)>,
    ) {
        let Some(it) = self.calls.remove(&(process, call)) else { return };
        let path = self.path_of(it.handle);
        let closed = self.handles[it.handle].closed || stage.processes[process].closing;
        let contenders = stage.ensemble.contenders(path);
        let owner = contenders.iter().find(|(_, _, czxid, _)| *czxid == it.token).map(|found| found.3);
        let is_there = owner.is_some();
        // A session is over for its client when the leader begins to close it, before its nodes are gone.
        let session = stage.processes[process].client.as_ref().map(|client| client.session().id);
        match outcome {
            Ok(()) if is_there => {
                let what = format!("released, but the node of token {:x} is still there", it.token);
                stage.agenda.violate("M4", what);
            }
            // A lease that ran out says nothing of the node.
            Err((Code::LOCK_LOST, text))
                if is_there && owner == session && !closed && !text.contains("confirmed in time") =>
            {
                let what = format!("{text}, but the node of token {:x} is there", it.token);
                stage.agenda.violate("errors", what);
            }
            Ok(()) | Err((Code::LOCK_LOST | Code::OUTCOME_UNKNOWN, _)) => {}
            Err((Code::NOT_HELD | Code::CLOSED, _)) if closed => {}
            Err((_, text)) => {
                stage.agenda.violate("errors", format!("process {process}: a release ended with {text}"));
            }
        }
    }

    /// M2: nobody else may still believe in a lock of the same path. `handle` has it now, by this token.
    /// Whose fault it is if somebody does is asked of the older hold: it should have ended.
    fn nobody_else_believes(&mut self, stage: &mut Stage, handle: usize, token: i64) {
        let now = stage.agenda.now;
        let path = self.handles[handle].path;
        let other = self
            .calls
            .iter()
            .filter(|(_, call)| call.handle != handle && self.handles[call.handle].path == path)
            .find(|(_, call)| call.believes(now));
        let Some(((process, _), call)) = other else { return };
        let older = if call.token < token { call.handle } else { handle };
        let strict = self.handles[older].strict.is_some();
        let persistent = self.handles[older].persistent.is_some();
        if has_admin(stage) || (strict && stage.plan.has(Fault::ForeignContender)) {
            return;
        }
        let unheard = self.gone.get(&token.min(call.token)).is_some_and(|gone| gone.unheard);
        let long = call.believes_until - now;
        let pair = (token.min(call.token), token.max(call.token));
        let text = format!(
            "{} is held by token {token:x} while process {process} believes in {:x} for {} ms more",
            PATHS[path],
            call.token,
            long / MS
        );
        if strict {
            stage.agenda.violate("M2s", text);
        } else if persistent || !(unheard || stage.plan.has(Fault::ExpireSession)) {
            stage.agenda.violate("M2", text);
        } else if self.overlaps.insert(pair) {
            stage.agenda.tell(|| format!("M2, excused by a server's clock: {text}"));
            stage.outcome.overlaps += 1;
            stage.outcome.longest_overlap = stage.outcome.longest_overlap.max(long);
        }
    }

    /// The holds of a handle end cleanly, whoever had them.
    pub(super) fn let_go(&mut self, handle: usize) {
        for call in self.calls.values().filter(|call| call.handle == handle) {
            if let Some(held) = self.held.get_mut(&call.token) {
                held.released = true;
            }
        }
    }

    /// M2s: whoever had the lock before and did not release it may have renewed it until its node went,
    /// and believes for its lease from then on, whether or not it still does.
    fn nobody_else_might_believe(&mut self, stage: &mut Stage, process: usize, handle: usize, token: i64) {
        let now = stage.agenda.now;
        let path = self.handles[handle].path;
        if !has_admin(stage) && !stage.plan.has(Fault::ForeignContender) {
            for (other, held) in self.held.iter().filter(|(_, held)| held.path == path && !held.released) {
                if let Some(gone) = self.gone.get(other)
                    && now < gone.at + held.lease
                {
                    let early = (gone.at + held.lease - now) / MS;
                    let what = format!(
                        "{} is held by token {token:x} {early} ms before {other:x} has stopped believing",
                        PATHS[path]
                    );
                    stage.agenda.violate("M2s", what);
                }
            }
        }
        if let Some(strict) = self.handles[handle].strict {
            let lease = Micros::try_from(strict.lease.as_micros()).expect("short");
            let lease = stage.processes[process].clock.stretch(lease);
            // A handle that was closed on the way gave it back before it was told of it.
            let released = self.handles[handle].closed;
            self.held.insert(token, Held { path, lease, released });
        }
    }

    /// What the holders of a process believe after its step, and M3: that they are told in time.
    pub(super) fn look_at_beliefs(&mut self, stage: &mut Stage, process: usize) {
        for handle in self.handles.iter_mut().filter(|handle| handle.process == process) {
            while let Ok(lost) = handle.losses.try_recv() {
                stage.agenda.tell(|| format!("process {process}: lost {:x}: {}", lost.token, lost.reason));
                for call in self.calls.values_mut().filter(|call| call.token == lost.token) {
                    call.lost = Some(lost.reason);
                }
            }
        }
        let clock = stage.processes[process].clock;
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
            if call.believes(stage.agenda.now) {
                holders.push((call.handle, call.token));
            }
            if call.believes_until + MS < stage.agenda.now && !self.handles[call.handle].closed {
                late.push((call.token, call.believes_until));
            }
        }
        for (handle, token) in holders {
            self.nobody_else_believes(stage, handle, token);
            self.node_outlives_belief(stage, token);
        }
        for (token, until) in late {
            let what = format!(
                "process {process} has not heard that it lost token {token:x}, which was valid until {until}"
            );
            stage.agenda.violate("M3", what);
        }
    }

    /// What M2 and M2s rest on, whether or not somebody is there to take the lock: in default mode nobody
    /// believes after its session has ended, in strict mode nobody for longer than a lease after its node is gone.
    fn node_outlives_belief(&self, stage: &mut Stage, token: i64) {
        let Some(Gone { at, with_session, unheard }) = self.gone.get(&token).copied() else { return };
        let now = stage.agenda.now;
        let believer = self.calls.values().find(|call| call.token == token && call.believes(now));
        let Some(call) = believer else { return };
        let until = call.believes_until;
        if self.handles[call.handle].persistent.is_some() {
            // Only a release that has waited deletes it.
            if until > at && !has_admin(stage) {
                let what = format!("token {token:x} is believed in until {until}, it was released at {at}");
                stage.agenda.violate("M2", what);
            }
            return;
        }
        match self.handles[call.handle].strict {
            Some(strict) => {
                let lease = Micros::try_from(strict.lease.as_micros()).expect("short");
                if until > at + lease + lease / 100 {
                    let what = format!("token {token:x} is believed in until {until}, its node went at {at}");
                    stage.agenda.violate("M2s", what);
                }
            }
            None => {
                if with_session && !unheard && until > at + MS && !stage.plan.has(Fault::ExpireSession) {
                    let what =
                        format!("token {token:x} is believed in until {until}, its session ended at {at}");
                    stage.agenda.violate("M2", what);
                }
            }
        }
    }

    /// What the ensemble committed.
    pub(super) fn saw(&mut self, stage: &mut Stage, seen: &Seen) {
        match seen {
            Seen::DeletedThoughTold { session, path } => {
                let session = session_name(*session);
                stage
                    .agenda
                    .violate("M2", format!("{session} deletes {path}, though told that it is another's"));
            }
            // A parent that was made anew repeats names.
            Seen::DeletedForeign { .. } if has_admin(stage) => stage.outcome.foreign_deletes += 1,
            Seen::DeletedForeign { session, path } => {
                let session = session_name(*session);
                stage.agenda.violate("M2", format!("{session} deletes {path}, which is another's"));
            }
            &Seen::Removed { czxid, with_session, unheard } => {
                let at = stage.agenda.now;
                self.gone.insert(czxid, Gone { at, with_session, unheard });
                self.node_outlives_belief(stage, czxid);
            }
            Seen::Wrote { path, session, before, after, lowest, checked } => {
                let Some(which) = super::GUARDED.iter().position(|guarded| guarded == path) else { return };
                let ((was, _), (count, token)) = (parse_guarded(before), parse_guarded(after));
                self.written.insert((which, count, token));
                stage.outcome.writes += 1;
                if stage.plan.has(Fault::AdminResets) {
                    return;
                }
                let session = session_name(*session);
                // An administrator deleted the writer's node, and once the parent was made anew another's got its name.
                let is_namesake = stage.plan.has(Fault::AdminDeletes)
                    && checked.is_some_and(|checked| checked != token)
                    && self.gone.get(&token).is_some_and(|gone| !gone.with_session);
                if is_namesake && *lowest != Some(token) {
                    stage.outcome.namesakes += 1;
                } else if *lowest != Some(token) {
                    let what =
                        format!("{session} wrote {path} by token {token:x}, the holder is {lowest:x?}");
                    stage.agenda.violate("M7", what);
                } else if count != was + 1 && !stage.plan.has(Fault::AdminDeletes) {
                    stage.agenda.violate("M7", format!("{session} wrote {count} into {path} after {was}"));
                }
            }
        }
    }

    /// M4, while the sessions live.
    pub(super) fn no_contender_is_left(&self, stage: &mut Stage) {
        // Nobody is there to release what outlives its owner.
        let deserted = stage.processes.iter().all(|process| process.dead || process.closing);
        for path in PATHS {
            let contenders = stage.ensemble.contenders(path);
            let left = contenders.iter().find(|(_, _, _, owner)| *owner != 0 || !deserted);
            if let Some((_, name, czxid, owner)) = left {
                let owner = session_name(*owner);
                let what = format!(
                    "{path}/{name} (czxid {czxid:x}) of {owner} is left though nobody holds or wants it"
                );
                stage.agenda.violate("M4", what);
            }
        }
    }
}

/// Whether somebody deletes lock nodes or their parent, which takes the promises of exclusion away.
fn has_admin(stage: &Stage) -> bool {
    stage.plan.has(Fault::AdminDeletes) || stage.plan.has(Fault::AdminResets)
}
