//! What is still to happen, in virtual time; chance; and the history of what did happen.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::rc::Rc;

use super::ensemble::Peer;
use super::faults::Due;
use super::schedule::{Dice, Schedule};

/// Microseconds.
pub type Micros = u64;

pub const MS: Micros = 1000;

pub struct Entry {
    at: Micros,
    seq: u64,
    event: Event,
}

/// Something that happens at its time.
pub enum Event {
    /// A process's timer.
    Wake {
        process: usize,
    },
    /// A paused process goes on.
    Resume {
        process: usize,
    },
    /// A connection that a process dialled is open, or not.
    Dialled {
        process: usize,
        dial: u64,
        server: usize,
    },
    ToClient {
        conn: u64,
        bytes: Rc<[u8]>,
    },
    ToServer {
        conn: u64,
        bytes: Rc<[u8]>,
    },
    ClientSeesEnd {
        conn: u64,
    },
    ServerSeesEnd {
        conn: u64,
    },
    /// A message between servers.
    Peer {
        from: usize,
        to: usize,
        join: u64,
        message: Peer,
    },
    /// A server's own clock.
    Tick {
        server: usize,
        boot: u64,
    },
    Thaw {
        server: usize,
    },
    Restart {
        server: usize,
    },
    Elect,
    Due(Due),
    /// The next fault of a kind.
    Chance {
        kind: usize,
    },
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.seq == other.seq
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The earliest is the greatest.
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.seq).cmp(&(self.at, self.seq))
    }
}

pub struct Agenda {
    pub now: Micros,
    pub rng: fastrand::Rng,
    queue: BinaryHeap<Entry>,
    seq: u64,
    hash: u64,
    pub steps: u64,
    story: Option<Vec<String>>,
    pub violations: Vec<Violation>,
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// As docs/design.md names it, or what the model asks for besides.
    pub promise: &'static str,
    pub what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.promise, self.what)
    }
}

impl Agenda {
    pub fn new(schedule: &Schedule, tell: bool) -> Self {
        Self {
            now: 0,
            rng: schedule.rng(Dice::Setup),
            queue: BinaryHeap::new(),
            seq: 0,
            hash: schedule.seed,
            steps: 0,
            story: tell.then(Vec::new),
            violations: Vec::new(),
        }
    }

    pub fn at(&mut self, at: Micros, event: Event) {
        self.seq += 1;
        self.queue.push(Entry { at: at.max(self.now), seq: self.seq, event });
    }

    pub fn after(&mut self, delay: Micros, event: Event) {
        self.at(self.now + delay, event);
    }

    /// The next event, if it comes before `end`.
    pub fn next(&mut self, end: Micros) -> Option<Event> {
        if self.queue.peek()?.at > end {
            return None;
        }
        let entry = self.queue.pop()?;
        self.now = entry.at;
        self.steps += 1;
        self.mix(entry.at ^ (entry.seq << 40));
        Some(entry.event)
    }

    /// Takes part in the history's hash.
    pub fn mix(&mut self, value: u64) {
        self.hash = (self.hash.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// A line of the story, if somebody reads it.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            for captured in super::log_lines() {
                story.push(format!("{:>10.3} ms   . {captured}", self.now as f64 / 1000.0));
            }
            story.push(format!("{:>10.3} ms  {}", self.now as f64 / 1000.0, line()));
        }
    }

    pub fn violate(&mut self, promise: &'static str, what: String) {
        let violation = Violation { promise, what };
        self.tell(|| format!("!! {violation}"));
        self.violations.push(violation);
    }

    pub fn take_story(&mut self) -> Vec<String> {
        self.story.take().unwrap_or_default()
    }

    pub fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(0..100) < percent
    }

    pub fn between(&mut self, least: Micros, most: Micros) -> Micros {
        self.rng.u64(least..=most.max(least))
    }
}
