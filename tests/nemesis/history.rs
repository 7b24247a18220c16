//! What the clients said and what was done to them, on one clock, and the verdict on it.
//!
//! A client believes to hold the lock from its grant until the latest moment that was promised to it, the notice
//! of its loss or its release, whichever comes first. One that was killed believed until then at most.

use std::collections::{BTreeMap, BTreeSet};

/// Nanoseconds of `CLOCK_BOOTTIME`, which all processes of a machine share.
pub(crate) type Nanos = i128;

pub(crate) const SECOND: Nanos = 1_000_000_000;
/// How much later than promised the notice of a loss may come before it counts as a broken promise.
const LATE: Nanos = SECOND / 2;

/// What happened, as the client's line or the nemesis has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// The lock was granted, asked for at that time, and promised until.
    Granted {
        token: i64,
        asked: Nanos,
        promised: Nanos,
    },
    /// The holder is going to hold for long.
    Stays {
        token: i64,
    },
    /// The promise was renewed.
    Until {
        token: i64,
        promised: Nanos,
    },
    /// The counter was read by the holder.
    Read {
        token: i64,
        value: i64,
    },
    /// The holder is about to write the counter.
    Write {
        token: i64,
        value: i64,
    },
    /// The write was applied.
    Wrote {
        token: i64,
        value: i64,
    },
    /// The write was refused: nothing changed.
    Refused {
        token: i64,
        value: i64,
    },
    /// The hold is over: `released`, or the reason of its loss.
    Ended {
        token: i64,
        why: String,
    },
    /// An acquire that was given up.
    GaveUp {
        asked: Nanos,
        why: String,
    },
    /// A term began.
    Leads {
        token: i64,
        promised: Nanos,
    },
    LeadsUntil {
        token: i64,
        promised: Nanos,
    },
    /// What the record said to a leader that still led afterwards.
    Record {
        token: i64,
        found: i64,
    },
    /// The task of a term ended.
    Resigned {
        token: i64,
        why: String,
    },
    /// An observer was told of this record.
    News {
        token: i64,
    },
    /// The process did not run from that moment on until now.
    Gap {
        from: Nanos,
    },
    /// Something that no client may ever see.
    Bad {
        text: String,
    },
    /// The client has ended in good order.
    Over,
    Killed,
    /// What the nemesis did.
    Fault {
        text: String,
    },
    /// What the counter had once everybody was gone.
    Counter {
        value: i64,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) at: Nanos,
    /// One life of a process, numbered; none is the nemesis itself.
    pub(crate) life: Option<usize>,
    pub(crate) what: What,
}

/// Who lived.
#[derive(Debug, Clone)]
pub(crate) struct Life {
    /// Such as `2 (C)`.
    pub(crate) name: String,
    pub(crate) language: &'static str,
}

/// One broken promise, and when.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) at: Nanos,
    pub(crate) text: String,
}

/// What is asked of the clients. kazoo's lock knows no leases, so less can be asked of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    /// How long a task may go on after the promise of its term.
    pub(crate) grace: Nanos,
}

/// One hold of the lock or one term.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) token: i64,
    pub(crate) life: usize,
    pub(crate) asked: Nanos,
    pub(crate) from: Nanos,
    pub(crate) promised: Nanos,
    pub(crate) ended: Option<(Nanos, String)>,
}

#[derive(Default)]
pub(crate) struct History {
    pub(crate) events: Vec<Event>,
    pub(crate) lives: Vec<Life>,
}

impl History {
    pub(crate) fn judge(&mut self, rules: Rules) -> Verdict {
        self.events.sort_by_key(|event| event.at);
        let mut verdict = Verdict::default();
        for event in &self.events {
            verdict.take(event);
        }
        let killed = self.killed();
        verdict.exclusion(&killed);
        verdict.losses(&self.gaps());
        verdict.counter(&self.events);
        verdict.terms(rules.grace, &killed, &self.gaps());
        verdict.violations.sort_by_key(|violation| violation.at);
        verdict
    }

    fn killed(&self) -> BTreeMap<usize, Nanos> {
        let killed = self.events.iter().filter(|event| event.what == What::Killed);
        killed.filter_map(|event| Some((event.life?, event.at))).collect()
    }

    /// When each process did not run.
    fn gaps(&self) -> BTreeMap<usize, Vec<(Nanos, Nanos)>> {
        let mut gaps: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for event in &self.events {
            if let (Some(life), What::Gap { from }) = (event.life, &event.what) {
                gaps.entry(life).or_default().push((*from, event.at));
            }
        }
        gaps
    }

    /// What happened around a moment.
    pub(crate) fn story(&self, at: Nanos) -> String {
        let near: Vec<_> =
            self.events.iter().filter(|e| e.at > at - 6 * SECOND && e.at < at + SECOND).collect();
        let middle = near.iter().position(|e| e.at >= at).unwrap_or(near.len());
        // Faults are few: all of these, and of the rest what is nearest.
        let told = near
            .iter()
            .enumerate()
            .filter(|(i, e)| e.life.is_none() || (i + 80 > middle && *i < middle + 30));
        told.map(|(_, event)| self.line(event, at)).collect()
    }

    /// All of it, each event with the milliseconds since `begun`; and that moment by the clock of the servers' logs.
    pub(crate) fn text(&self, begun: Nanos) -> String {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let begun_at = (wall.as_nanos() as i128 - (crate::now() - begun)) / 1_000_000;
        let lines: String = self.events.iter().map(|event| self.line(event, begun)).collect();
        format!("0 is {begun_at} ms after 1970-01-01 UTC\n{lines}")
    }

    fn line(&self, event: &Event, zero: Nanos) -> String {
        let who = event.life.map_or("nemesis", |life| &self.lives[life].name);
        let ms = (event.at - zero) as f64 / 1e6;
        format!("{ms:>12.3} ms  {who:<14} {:?}\n", event.what)
    }
}

/// What came out.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) violations: Vec<Violation>,
    /// By token.
    pub(crate) holds: BTreeMap<i64, Span>,
    pub(crate) terms: BTreeMap<i64, Span>,
    pub(crate) given_up: BTreeMap<String, usize>,
    pub(crate) writes: BTreeMap<&'static str, usize>,
    news: i64,
}

impl Verdict {
    fn broken(&mut self, at: Nanos, text: String) {
        self.violations.push(Violation { at, text });
    }

    fn take(&mut self, event: &Event) {
        let (at, life) = (event.at, event.life.unwrap_or(usize::MAX));
        let begun = |token: i64, asked: Nanos, promised: Nanos| Span {
            token,
            life,
            asked,
            from: at,
            promised,
            ended: None,
        };
        let mut repeated = false;
        match &event.what {
            What::Granted { token, asked, promised } => {
                repeated = self.holds.insert(*token, begun(*token, *asked, *promised)).is_some();
            }
            What::Leads { token, promised } => {
                repeated = self.terms.insert(*token, begun(*token, at, *promised)).is_some();
            }
            What::Until { token, promised } => extend(&mut self.holds, *token, *promised),
            What::LeadsUntil { token, promised } => extend(&mut self.terms, *token, *promised),
            What::Ended { token, why } => end(&mut self.holds, *token, at, why),
            What::Resigned { token, why } => end(&mut self.terms, *token, at, why),
            What::GaveUp { why, .. } => *self.given_up.entry(why.clone()).or_default() += 1,
            What::Wrote { .. } => *self.writes.entry("applied").or_default() += 1,
            What::Refused { .. } => *self.writes.entry("refused").or_default() += 1,
            What::Write { .. } => *self.writes.entry("tried").or_default() += 1,
            What::Record { token, found } if token != found => {
                self.broken(at, format!("the leader with token {token} found the record of {found}"));
            }
            What::News { token } => {
                if *token < self.news {
                    self.broken(at, format!("the leader's record went back from {} to {token}", self.news));
                }
                self.news = *token;
            }
            What::Bad { text } => self.broken(at, format!("a client saw what it must not: {text}")),
            _ => {}
        }
        if repeated {
            self.broken(at, "a token was granted twice".to_owned());
        }
    }

    /// No two believe at once, and whoever asked first is served first: tokens, which are the order of the lock
    /// nodes, grow from grant to grant.
    fn exclusion(&mut self, killed: &BTreeMap<usize, Nanos>) {
        let mut holds: Vec<_> = self.holds.values().cloned().collect();
        holds.sort_by_key(|hold| hold.from);
        let mut last: Option<(&Span, Nanos)> = None;
        for hold in &holds {
            let until = until(hold, killed);
            if hold.ended.is_none() && !killed.contains_key(&hold.life) {
                self.broken(hold.from, format!("a hold never ended: {hold:?}"));
            }
            if let Some((before, believed)) = last {
                if believed > hold.from {
                    let overlap = (believed - hold.from) as f64 / 1e6;
                    self.broken(
                        hold.from,
                        format!("two holders for {overlap:.3} ms:\n  {before:?}\n  {hold:?}"),
                    );
                }
                if before.token > hold.token {
                    self.broken(hold.from, format!("served out of turn:\n  {before:?}\n  {hold:?}"));
                }
            }
            if last.is_none_or(|(_, believed)| believed < until) {
                last = Some((hold, until));
            }
        }
    }

    /// Whoever ran heard of its loss by the time that was promised.
    fn losses(&mut self, gaps: &BTreeMap<usize, Vec<(Nanos, Nanos)>>) {
        for hold in self.holds.values().cloned().collect::<Vec<_>>() {
            let Some((told, why)) = &hold.ended else { continue };
            let late = told - hold.promised;
            if why != "released" && late > LATE && !stood_still(gaps, hold.life, hold.promised, *told) {
                self.broken(*told, format!("a loss was told {} ms late: {hold:?}", late / 1_000_000));
            }
        }
    }

    /// Guarded writes lose no update: each holder reads what the writes before it can have left, where one whose
    /// outcome was not told may have been applied or not.
    fn counter(&mut self, events: &[Event]) {
        let mut steps: BTreeMap<i64, Vec<&Event>> = BTreeMap::new();
        let mut last = None;
        for event in events {
            match event.what {
                What::Read { token, .. }
                | What::Write { token, .. }
                | What::Wrote { token, .. }
                | What::Refused { token, .. } => steps.entry(token).or_default().push(event),
                What::Counter { value } => last = Some((event.at, value)),
                _ => {}
            }
        }
        let mut possible = BTreeSet::from([0]);
        let mut unknown = None;
        let check = |verdict: &mut Self, possible: &mut BTreeSet<i64>, at: Nanos, value: i64, who: &str| {
            if !possible.contains(&value) {
                verdict.broken(
                    at,
                    format!("{who} read {value} where only {possible:?} can be: an update is lost"),
                );
            }
            *possible = BTreeSet::from([value]);
        };
        for (token, steps) in steps {
            for event in steps {
                match event.what {
                    What::Read { value, .. } => {
                        possible.extend(unknown.take());
                        check(
                            self,
                            &mut possible,
                            event.at,
                            value,
                            &format!("the holder with token {token}"),
                        );
                    }
                    What::Write { value, .. } => {
                        possible.extend(unknown.take());
                        unknown = Some(value);
                    }
                    What::Wrote { value, .. } => {
                        unknown = None;
                        possible = BTreeSet::from([value]);
                    }
                    _ => unknown = None,
                }
            }
        }
        possible.extend(unknown);
        if let Some((at, value)) = last {
            check(self, &mut possible, at, value, "whoever came last");
        }
    }

    /// No two tasks overlap, and a later one has a greater token. A process that stood still cannot end its task:
    /// that counts until the promise and the grace are over, which is when it must not work on by the clock.
    fn terms(
        &mut self,
        grace: Nanos,
        killed: &BTreeMap<usize, Nanos>,
        gaps: &BTreeMap<usize, Vec<(Nanos, Nanos)>>,
    ) {
        let mut terms: Vec<_> = self.terms.values().cloned().collect();
        terms.sort_by_key(|term| term.from);
        let mut last: Option<(Nanos, &Span)> = None;
        for term in &terms {
            if let Some((until, before)) = last {
                if until > term.from {
                    let overlap = (until - term.from) as f64 / 1e6;
                    self.broken(
                        term.from,
                        format!("two tasks for {overlap:.3} ms:\n  {before:?}\n  {term:?}"),
                    );
                }
                if before.token > term.token {
                    self.broken(term.from, format!("led out of turn:\n  {before:?}\n  {term:?}"));
                }
            }
            let limit = term.promised + grace;
            let until = match &term.ended {
                Some((ended, _)) if *ended > limit && stood_still(gaps, term.life, term.promised, *ended) => {
                    limit
                }
                Some((ended, _)) => *ended,
                None => killed.get(&term.life).copied().unwrap_or_else(|| {
                    self.violations
                        .push(Violation { at: term.from, text: format!("a term never ended: {term:?}") });
                    limit
                }),
            };
            // A process that was killed while it stood still.
            let until = if term.ended.is_none() { until.min(limit) } else { until };
            if last.is_none_or(|(latest, _)| latest < until) {
                last = Some((until, term));
            }
        }
    }
}

fn extend(spans: &mut BTreeMap<i64, Span>, token: i64, promised: Nanos) {
    if let Some(span) = spans.get_mut(&token) {
        span.promised = span.promised.max(promised);
    }
}

fn end(spans: &mut BTreeMap<i64, Span>, token: i64, at: Nanos, why: &str) {
    if let Some(span) = spans.get_mut(&token) {
        span.ended = Some((at, why.to_owned()));
    }
}

/// Until when a holder believed.
pub(crate) fn until(hold: &Span, killed: &BTreeMap<usize, Nanos>) -> Nanos {
    let told = hold.ended.as_ref().map(|(told, _)| *told);
    let told = told.or_else(|| killed.get(&hold.life).copied());
    told.map_or(hold.promised, |told| told.min(hold.promised))
}

fn stood_still(gaps: &BTreeMap<usize, Vec<(Nanos, Nanos)>>, life: usize, from: Nanos, to: Nanos) -> bool {
    gaps.get(&life).is_some_and(|gaps| gaps.iter().any(|(begin, end)| *begin < to && *end > from))
}
