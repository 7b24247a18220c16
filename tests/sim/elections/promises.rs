//! What an election promises, as docs/design.md numbers it, checked after every step.

use super::program::Note;
use super::{CANDIDATES, Elections, Handle, RECORD};
use crate::agenda::{MS, Micros};
use crate::ensemble::Seen;
use crate::faults::Kind as Fault;
use crate::stage::{PASSING, Stage};
use crate::world::micros;
use zkhelper::{Code, Standing};

/// A campaign or a term.
pub(super) struct Call {
    pub(super) handle: usize,
    /// The process's pauses when its term began.
    pauses: u32,
    token: i64,
    /// Until when the leader is certain, in true time.
    believes_until: Micros,
    /// An interrupt from before it must end it.
    must_be_interrupted: bool,
}

/// An administrator's deletions take the promise of exclusion away.
fn has_admin(stage: &Stage) -> bool {
    stage.plan.has(Fault::AdminDeletes)
}

/// The token that the record names.
fn token_of(record: &[u8]) -> Option<i64> {
    let record: serde_json::Value = serde_json::from_slice(record).ok()?;
    record.get("token")?.as_i64()
}

impl Elections {
    pub(super) fn read_notes(&mut self, stage: &mut Stage, process: usize) {
        let notes = match self.histories.get(&process) {
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
        match note {
            Note::Begins { call, handle } => {
                let must_be_interrupted = std::mem::take(&mut self.handles[handle].ahead);
                let begun = Call { handle, pauses: 0, token: 0, believes_until: 0, must_be_interrupted };
                self.calls.insert((process, call), begun);
            }
            Note::Leads { call, token } => self.leads(stage, process, call, token),
            Note::Told(why) => stage.agenda.mix(why.to_string().len() as u64),
            Note::Ends { call } | Note::Gone { call } => {
                self.calls.remove(&(process, call));
            }
            Note::Released { outcome: Ok(()) | Err((Code::LOCK_LOST | Code::OUTCOME_UNKNOWN, _)) } => {}
            Note::Released { outcome: Err((code, text)) } => {
                let ends = stage.processes[process].closing || self.is_any_closed(process);
                if !ends || !matches!(code, Code::NOT_HELD | Code::CLOSED) {
                    stage.agenda.violate("errors", format!("process {process}: a term ended with {text}"));
                }
            }
            Note::Failed { call, code, text } => self.failed(stage, process, call, code, &text),
        }
    }

    fn is_any_closed(&self, process: usize) -> bool {
        self.handles.iter().any(|handle| handle.process == process && handle.closed)
    }

    fn leads(&mut self, stage: &mut Stage, process: usize, call: u64, token: i64) {
        stage.outcome.grants += 1;
        let Some(handle) = self.calls.get(&(process, call)).map(|call| call.handle) else { return };
        if self.calls[&(process, call)].must_be_interrupted {
            let what = format!("elector {handle}: one from before the campaign was lost");
            stage.agenda.violate("interrupt", what);
        }
        let until = self.certain_until(stage, handle, token);
        if let Some(it) = self.calls.get_mut(&(process, call)) {
            it.token = token;
            it.pauses = stage.processes[process].pauses;
            self.begun.insert(token, it.pauses);
            it.believes_until = until.unwrap_or(0);
        }
        if has_admin(stage) {
            return;
        }
        self.nobody_else_leads(stage, process, handle, token);
        if token <= self.last_token {
            let what = format!("token {token:x} leads after {:x}", self.last_token);
            stage.agenda.violate("M1", what);
        }
        self.last_token = self.last_token.max(token);
        // Whoever is certain to lead is in the record.
        let record = stage.ensemble.truth.nodes.get(RECORD).and_then(|node| token_of(&node.data));
        if until.is_some_and(|until| until > stage.agenda.now) && record != Some(token) {
            let what = format!("token {token:x} leads, and the record names {record:x?}");
            stage.agenda.violate("E2", what);
        }
    }

    /// E1: the task of no other term may still run, whatever its process does.
    fn nobody_else_leads(&self, stage: &mut Stage, process: usize, handle: usize, token: i64) {
        let now = stage.agenda.now;
        for ((other, _), call) in self.calls.iter().filter(|(_, call)| call.token != 0 && call.token != token)
        {
            let it = &stage.processes[*other];
            if call.handle == handle || it.dead {
                continue;
            }
            let grace = Micros::try_from(self.grace.as_micros()).expect("short");
            let ends = call.believes_until + it.clock.stretch(grace);
            let was_paused = it.paused || it.pauses != call.pauses;
            let what = if now < ends {
                let early = (ends - now) / MS;
                format!(
                    "process {process} leads with token {token:x} {early} ms before the term of {:x} must have ended",
                    call.token
                )
            } else if !was_paused {
                format!(
                    "process {process} leads with token {token:x}, and the task of {:x} still runs",
                    call.token
                )
            } else {
                continue;
            };
            stage.agenda.violate("E1", what);
        }
    }

    /// Until when a term is certain, in true time.
    fn certain_until(&self, stage: &Stage, handle: usize, token: i64) -> Option<Micros> {
        let handle = &self.handles[handle];
        let elector = handle.slot.lock().clone()?;
        let (held, until) = elector.candidates_lock().peek()?;
        let local = micros(until).filter(|_| held == token)?;
        let clock = stage.processes[handle.process].clock;
        Some(if local < clock.ahead { 1 } else { clock.global(local) })
    }

    /// What the leaders of a process know after its step: each is told to stop in time, and none is told that it is
    /// overdue that was not.
    pub(super) fn look_at_terms(&mut self, stage: &mut Stage, process: usize) {
        let now = stage.agenda.now;
        for at in 0..self.handles.len() {
            if self.handles[at].process != process {
                continue;
            }
            while let Ok(token) = self.handles[at].overdue.try_recv() {
                if self.begun.get(&token) == Some(&stage.processes[process].pauses) {
                    let what = format!("the term of {token:x} is reported though its task ends in time");
                    stage.agenda.violate("overdue", what);
                }
            }
            let Some(key) = self.calls.iter().find(|(_, c)| c.handle == at && c.token != 0).map(|(k, _)| *k)
            else {
                continue;
            };
            let token = self.calls[&key].token;
            if let Some(until) = self.certain_until(stage, at, token)
                && let Some(call) = self.calls.get_mut(&key)
            {
                call.believes_until = call.believes_until.max(until);
            }
            let believes_until = self.calls[&key].believes_until;
            let elector = self.handles[at].slot.lock().clone();
            let Some(leadership) = elector.and_then(|elector| elector.leadership()) else { continue };
            if leadership.token() == token && leadership.stop().is_none() && believes_until + MS < now {
                let what = format!(
                    "process {process} was not told to stop leading with token {token:x}, certain until {believes_until}"
                );
                stage.agenda.violate("E1", what);
            }
        }
    }

    fn failed(&mut self, stage: &mut Stage, process: usize, call: u64, code: Code, text: &str) {
        let Some(it) = self.calls.remove(&(process, call)) else { return };
        let handle = &mut self.handles[it.handle];
        let closed = handle.closed || stage.processes[process].closing;
        let explained = match code {
            Code::CLOSED => closed,
            Code::INTERRUPTED => {
                handle.interrupted += 1;
                handle.interrupted <= handle.interrupts
            }
            code => PASSING.contains(&code) || closed,
        };
        if it.must_be_interrupted && code != Code::INTERRUPTED && !closed {
            let what = format!("one from before the campaign did not end it, but {text}");
            stage.agenda.violate("interrupt", what);
        }
        if !explained {
            stage.agenda.violate("errors", format!("process {process}: a campaign ended with {text}"));
        }
    }

    /// E2: a record is written by the candidate that is the lowest, and no older one replaces it.
    pub(super) fn saw(&mut self, stage: &mut Stage, seen: &Seen) {
        let Seen::Wrote { path, session, before, after, lowest, .. } = seen else { return };
        if path != RECORD || has_admin(stage) {
            return;
        }
        let (was, is) = (token_of(before), token_of(after));
        let session = crate::ensemble::session_name(*session);
        stage.outcome.writes += 1;
        if is.is_none() || is != *lowest {
            let what = format!("{session} wrote the record of {is:x?}, the lowest candidate is {lowest:x?}");
            stage.agenda.violate("E2", what);
        } else if was > is {
            stage.agenda.violate("E2", format!("{session} wrote the record of {is:x?} after {was:x?}"));
        }
    }

    /// Whether somebody who watches was told how things are in the end.
    pub(super) fn watcher_is_done(&self, stage: &Stage, handle: &Handle) -> bool {
        let Some(watched) = &handle.watched else { return true };
        let mut watched = watched.lock();
        if watched.stop || watched.ended.is_some() || stage.processes[handle.process].closing {
            watched.stop = true;
            return true;
        }
        let record = stage.ensemble.truth.nodes.get(RECORD).map(|node| token_of(&node.data));
        let told = watched.last.as_ref().map(|leader| leader.as_ref().map(|it| (it.token, it.standing)));
        let right = record.map(|token| (token, Standing::Gone));
        let nobody = stage.ensemble.contenders(CANDIDATES).is_empty();
        watched.stop = nobody && told == Some(right);
        watched.stop
    }
}
