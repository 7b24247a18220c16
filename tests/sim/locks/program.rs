//! What a program does with its locks: one script for each handle.

use crate::agenda::{MS, Micros};
use crate::locked::Mutex as Locked;
use crate::stage::PASSING;
use crate::world::World;
use std::sync::Arc;
use std::time::Duration;
use zkhelper::proto::MultiOp;
use zkhelper::zk::OpOptions;
use zkhelper::{Code, Error, Mutex, Owner, Zk};

/// When an acquire is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    Time(Micros),
    /// After so many steps of the process's tasks: at any point where one of them awaits.
    Steps(u64),
}

/// How an acquire is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Lock,
    Timed(Micros),
    Try,
    Dropped(After),
    Cancelled(After),
}

/// What a script did, for the checks.
#[derive(Debug)]
pub enum Note {
    Begins {
        call: u64,
        handle: usize,
        kind: Kind,
    },
    Cancels {
        call: u64,
    },
    Granted {
        call: u64,
        token: i64,
    },
    Failed {
        call: u64,
        code: Code,
        text: String,
    },
    Gone {
        call: u64,
    },
    /// The guarded data was written with this count by the holder with this token.
    Wrote {
        path: usize,
        count: u64,
        token: i64,
    },
    Releases {
        call: u64,
    },
    Released {
        call: u64,
        outcome: Result<(), (Code, String)>,
    },
    /// A reset of an idle lock ended with an error that nothing explains.
    ResetFailed {
        text: String,
    },
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
    pub zk: Arc<dyn Zk>,
    pub history: Arc<Locked<History>>,
    pub handle: usize,
    /// Which lock it is, and the data that the lock guards.
    pub path: usize,
    pub guarded: String,
    pub slot: Slot,
    pub rounds: u64,
    pub longest_hold: Micros,
    /// How often, in percent, the lock is reset before a round.
    pub resets: u64,
}

/// What the guarded data holds: how often it was written, and by which holder last.
pub fn parse_guarded(data: &[u8]) -> (u64, i64) {
    let text = std::str::from_utf8(data).unwrap_or_default();
    let mut parts = text.split(' ');
    let count = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    let token = parts.next().and_then(|part| i64::from_str_radix(part, 16).ok()).unwrap_or(0);
    (count, token)
}

impl Script {
    fn note(&self, note: Note) {
        self.history.lock().notes.push(note);
    }

    fn given_up(&self) -> After {
        let below = |end| 1 + self.world.random_below(end);
        match self.world.random_below(4) {
            0 => After::Time(below(20 * MS)),
            1 => After::Time(below(800 * MS)),
            2 => After::Steps(below(12)),
            _ => After::Steps(below(60)),
        }
    }

    fn kind(&self) -> Kind {
        match self.world.random_below(100) {
            0..45 => Kind::Lock,
            45..65 => Kind::Timed(1 + self.world.random_below(1500 * MS)),
            65..75 => Kind::Try,
            75..88 => Kind::Dropped(self.given_up()),
            _ => Kind::Cancelled(self.given_up()),
        }
    }

    pub async fn run(self) {
        for _ in 0..self.rounds {
            self.world.sleep(self.world.random_below(300 * MS)).await;
            let mutex = self.slot.lock().clone();
            let Some(mutex) = mutex else { return };
            if self.history.lock().calm {
                return;
            }
            if self.world.random_below(100) < self.resets {
                self.reset(&mutex).await;
            }
            if !self.round(mutex).await {
                return;
            }
        }
    }

    /// The remedy for a sequence that is used up, or done for no reason: safe at any time.
    async fn reset(&self, mutex: &Mutex) {
        if let Err(error) = mutex.reset().await {
            let explained = [Code::NOT_EMPTY, Code::CLOSED, Code::SESSION_EXPIRED];
            if !explained.contains(&error.code()) && !PASSING.contains(&error.code()) {
                self.note(Note::ResetFailed { text: error.to_string() });
            }
        }
    }

    async fn give_up(&self, after: After) {
        match after {
            After::Time(after) => self.world.sleep(after).await,
            After::Steps(steps) => self.world.after_steps(steps).await,
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
                    () = self.give_up(after) => None,
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
                let code = error.code();
                self.note(Note::Failed { call, code, text: error.to_string() });
                if code == Code::SEQUENCE_EXHAUSTED {
                    self.reset(&mutex).await;
                }
                return code != Code::CLOSED;
            }
        };
        self.note(Note::Granted { call, token: hold.token() });
        let mut left = self.world.random_below(self.longest_hold);
        // Who looks at its lock is told of a loss by that; who does not has to be told.
        let looks = self.world.random_below(2) == 0;
        let mut writes = self.world.random_below(9).saturating_sub(5);
        while left > 0 && (!looks || hold.is_held()) {
            if writes > 0 {
                writes = if self.write(&mutex, hold.token()).await.is_ok() { writes - 1 } else { 0 };
            }
            let nap = if looks || writes > 0 { left.min(50 * MS) } else { left };
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

    /// Reads the guarded data and writes one more. After a failure a holder does not know what is there.
    async fn write(&self, mutex: &Mutex, token: i64) -> Result<(), Error> {
        let (data, _) = self.zk.get(&self.guarded, OpOptions::default()).await?;
        let count = parse_guarded(&data).0 + 1;
        let data = format!("{count} {token:x}").into_bytes();
        mutex.guarded(vec![MultiOp::SetData { path: self.guarded.clone(), data, version: -1 }]).await?;
        self.note(Note::Wrote { path: self.path, count, token });
        Ok(())
    }
}

/// Releases the persistent locks of those that are gone, until none of any is left at the end.
pub async fn release_what_is_gone(world: World, history: Arc<Locked<History>>, mutex: Mutex) {
    let mut idle = 0;
    while idle < 3 {
        world.sleep(200 * MS + world.random_below(2000 * MS)).await;
        let listed = match mutex.contenders().await {
            Ok(listed) => listed,
            Err(error) if error.code() == Code::CLOSED => return,
            Err(_) => continue,
        };
        let persistent = listed.iter().any(|it| it.stat.ephemeral_owner == 0 && it.name.starts_with("lock-"));
        idle = if history.lock().calm && !persistent { idle + 1 } else { 0 };
        for gone in listed.iter().filter(|it| it.owner == Owner::Gone) {
            // Somebody else may be at it, or its owner back.
            let _ = mutex.release_dead(&gone.name).await;
        }
    }
}
