//! What a program does with its locks: one script for each handle.

use super::agenda::{MS, Micros};
use super::world::World;
use crate::locked::Mutex as Locked;
use std::sync::Arc;
use std::time::Duration;
use zkhelper::{Code, Mutex};

/// How an acquire is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Lock,
    Timed(Micros),
    Try,
    /// Dropped after so long.
    Dropped(Micros),
    /// Cancelled after so long.
    Cancelled(Micros),
}

/// What a script did, for the checks.
#[derive(Debug)]
pub enum Note {
    Begins { call: u64, handle: usize, kind: Kind },
    Cancels { call: u64 },
    Granted { call: u64, token: i64 },
    Failed { call: u64, code: Code, text: String },
    Gone { call: u64 },
    Releases { call: u64 },
    Released { call: u64, outcome: Result<(), (Code, String)> },
    ClientClosed { session: i64, outcome: Result<(), Code> },
}

#[derive(Default)]
pub struct History {
    pub notes: Vec<Note>,
    pub calls: u64,
    /// No further acquire.
    pub calm: bool,
}

pub type Slot = Arc<Locked<Option<Mutex>>>;

#[derive(Clone)]
pub struct Script {
    pub world: World,
    pub history: Arc<Locked<History>>,
    pub handle: usize,
    pub slot: Slot,
    pub rounds: u64,
    pub longest_hold: Micros,
}

impl Script {
    fn note(&self, note: Note) {
        self.history.lock().notes.push(note);
    }

    fn kind(&self) -> Kind {
        let after = |most| 1 + self.world.random_below(most);
        match self.world.random_below(100) {
            0..45 => Kind::Lock,
            45..65 => Kind::Timed(after(1500 * MS)),
            65..75 => Kind::Try,
            75..88 => Kind::Dropped(after(if after(2) == 1 { 20 * MS } else { 800 * MS })),
            _ => Kind::Cancelled(after(if after(2) == 1 { 20 * MS } else { 800 * MS })),
        }
    }

    pub async fn run(self) {
        for _ in 0..self.rounds {
            self.world.sleep(self.world.random_below(300 * MS)).await;
            let mutex = self.slot.lock().clone();
            let Some(mutex) = mutex else { return };
            if self.history.lock().calm || !self.round(mutex).await {
                return;
            }
        }
    }

    async fn round(&self, mutex: Mutex) -> bool {
        let kind = self.kind();
        let call = {
            let mut history = self.history.lock();
            history.calls += 1;
            let call = history.calls;
            history.notes.push(Note::Begins { call, handle: self.handle, kind });
            call
        };
        let timeout = match kind {
            Kind::Timed(micros) => Some(Duration::from_micros(micros)),
            Kind::Try => Some(Duration::ZERO),
            Kind::Lock | Kind::Dropped(_) | Kind::Cancelled(_) => None,
        };
        let mut acquire = mutex.lock(timeout, "sim");
        let outcome = match kind {
            Kind::Dropped(after) | Kind::Cancelled(after) => {
                let first = tokio::select! {
                    biased;
                    outcome = &mut acquire => Some(outcome),
                    () = self.world.sleep(after) => None,
                };
                match first {
                    Some(outcome) => outcome,
                    None if matches!(kind, Kind::Dropped(_)) => {
                        drop(acquire);
                        self.note(Note::Gone { call });
                        return true;
                    }
                    None => {
                        self.note(Note::Cancels { call });
                        acquire.cancel().await
                    }
                }
            }
            _ => acquire.await,
        };
        let hold = match outcome {
            Ok(hold) => hold,
            Err(error) => {
                self.note(Note::Failed { call, code: error.code(), text: error.to_string() });
                return error.code() != Code::CLOSED;
            }
        };
        self.note(Note::Granted { call, token: hold.token() });
        let mut left = self.world.random_below(self.longest_hold);
        // Who looks at its lock is told of a loss by that; who does not has to be told.
        let looks = self.world.random_below(2) == 0;
        while left > 0 && (!looks || hold.is_held()) {
            let nap = if looks { left.min(50 * MS) } else { left };
            self.world.sleep(nap).await;
            left -= nap;
        }
        let released = match self.world.random_below(4) {
            0 => {
                self.note(Note::Releases { call });
                drop(hold);
                self.note(Note::Gone { call });
                return true;
            }
            1 => {
                let token = hold.keep();
                assert!(token > 0);
                self.note(Note::Releases { call });
                mutex.unlock().await
            }
            _ => {
                self.note(Note::Releases { call });
                hold.release().await
            }
        };
        self.note(Note::Released { call, outcome: released.map_err(|e| (e.code(), e.to_string())) });
        true
    }
}
