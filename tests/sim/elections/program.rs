//! What a program does with its election: a script for each elector, and perhaps somebody who watches.

use crate::agenda::{MS, Micros};
use crate::locked::Mutex as Locked;
use crate::world::World;
use std::sync::Arc;
use std::time::Duration;
use zkhelper::{Code, Elector, Error, Leader, Leadership, Outcome, Stop, Term};

/// What a script did, for the checks.
#[derive(Debug)]
pub enum Note {
    Begins {
        call: u64,
        handle: usize,
    },
    Leads {
        call: u64,
        token: i64,
    },
    /// It was told to stop.
    Told(Stop),
    /// The task of the term has ended.
    Ends {
        call: u64,
    },
    /// The call is over, without anything to say.
    Gone {
        call: u64,
    },
    Released {
        outcome: Result<(), (Code, String)>,
    },
    Failed {
        call: u64,
        code: Code,
        text: String,
    },
}

#[derive(Default)]
pub struct History {
    pub notes: Vec<Note>,
    pub calls: u64,
    /// No further campaign.
    pub calm: bool,
}

pub type Slot = Arc<Locked<Option<Elector>>>;

#[derive(Clone)]
pub struct Script {
    pub world: World,
    pub history: Arc<Locked<History>>,
    pub handle: usize,
    pub slot: Slot,
    pub rounds: u64,
    pub longest_term: Micros,
    pub grace: Duration,
}

impl Script {
    fn note(&self, note: Note) {
        self.history.lock().notes.push(note);
    }

    fn is_calm(&self) -> bool {
        self.history.lock().calm
    }

    fn begins(&self) -> u64 {
        let mut history = self.history.lock();
        history.calls += 1;
        let call = history.calls;
        history.notes.push(Note::Begins { call, handle: self.handle });
        call
    }

    fn failed(&self, call: u64, error: &Error) -> bool {
        self.note(Note::Failed { call, code: error.code(), text: error.to_string() });
        error.code() != Code::CLOSED
    }

    pub async fn run(self) {
        for _ in 0..self.rounds {
            self.world.sleep(self.world.random_below(300 * MS)).await;
            let elector = self.slot.lock().clone();
            let Some(elector) = elector else { return };
            if self.is_calm() {
                return;
            }
            let again = match self.world.random_below(100) {
                0..50 => self.campaign(&elector, None).await,
                50..65 => {
                    let most = if self.world.random_below(2) == 0 { 20 * MS } else { 800 * MS };
                    self.campaign(&elector, Some(1 + self.world.random_below(most))).await
                }
                _ => self.course(&elector).await,
            };
            if !again {
                return;
            }
        }
    }

    /// One term, unless the candidacy is withdrawn before.
    async fn campaign(&self, elector: &Elector, patience: Option<Micros>) -> bool {
        let call = self.begins();
        let outcome = {
            let campaign = elector.campaign();
            tokio::pin!(campaign);
            match patience {
                None => Some(campaign.await),
                Some(patience) => tokio::select! {
                    biased;
                    outcome = &mut campaign => Some(outcome),
                    () = self.world.sleep(patience) => None,
                },
            }
        };
        let term = match outcome {
            Some(Ok(term)) => term,
            Some(Err(error)) => return self.failed(call, &error),
            None => {
                self.note(Note::Gone { call });
                return true;
            }
        };
        self.serve(call, &term.leadership()).await;
        self.end(term).await;
        true
    }

    async fn end(&self, term: Term) {
        if self.world.random_below(3) == 0 {
            drop(term);
        } else {
            let outcome = term.end().await;
            self.note(Note::Released { outcome: outcome.map_err(|e| (e.code(), e.to_string())) });
        }
    }

    /// Term after term, until it is interrupted or says so itself.
    async fn course(&self, elector: &Elector) -> bool {
        let mut terms = 1 + self.world.random_below(3);
        let last = Locked::new(self.begins());
        let task = |leadership: Leadership| {
            terms -= 1;
            let over = terms == 0;
            let last = &last;
            async move {
                let call = *last.lock();
                self.serve(call, &leadership).await;
                let outcome = match self.world.random_below(2) {
                    _ if over || self.is_calm() => Outcome::Interrupted,
                    0 => Outcome::Failed,
                    _ => Outcome::Done,
                };
                if outcome != Outcome::Interrupted {
                    *last.lock() = self.begins();
                }
                outcome
            }
        };
        let error = elector.run(task).await;
        let call = *last.lock();
        // By its own word.
        if terms == 0 || self.is_calm() {
            self.note(Note::Gone { call });
            return error.code() != Code::CLOSED;
        }
        self.failed(call, &error)
    }

    /// The task of a term. It ends within its grace.
    async fn serve(&self, call: u64, leadership: &Leadership) {
        self.note(Note::Leads { call, token: leadership.token() });
        let term = self.world.random_below(self.longest_term);
        let resigns = self.world.random_below(10) == 0;
        let told = tokio::select! {
            biased;
            told = leadership.stopped() => told,
            () = self.world.sleep(term) => None,
        };
        let told = if told.is_none() && resigns {
            leadership.resign();
            leadership.stopped().await
        } else {
            told
        };
        if let Some(why) = told {
            self.note(Note::Told(why));
            let grace = Micros::try_from(self.grace.as_micros()).expect("short");
            self.world.sleep(self.world.random_below(grace * 9 / 10)).await;
        }
        self.note(Note::Ends { call });
    }
}

/// What somebody was told of the leaders.
#[derive(Debug, Default)]
pub struct Watched {
    /// The last it was told, if anything.
    pub last: Option<Option<Leader>>,
    /// Whether it is to end.
    pub stop: bool,
    pub ended: Option<Code>,
}

/// Watches who leads.
pub async fn watch(world: World, elector: Elector, watched: Arc<Locked<Watched>>) {
    let mut leaders = elector.leaders();
    drop(elector);
    loop {
        tokio::select! {
            biased;
            told = leaders.recv() => match told {
                Some(Ok(leader)) => watched.lock().last = Some(leader),
                Some(Err(error)) => watched.lock().ended = Some(error.code()),
                None => return,
            },
            () = world.sleep(200 * MS) => {}
        }
        if watched.lock().stop {
            return;
        }
    }
}
