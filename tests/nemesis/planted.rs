//! The verdict tried on histories with one thing wrong in each: a checker that finds nothing would be of no use.

use crate::history::{Event, History, Life, Nanos, Rules, What};

const MS: Nanos = 1_000_000;
pub(crate) const RULES: Rules = Rules { grace: 1_000 * MS };

/// A history by lines: milliseconds, the life, what happened.
fn history(events: Vec<(Nanos, usize, What)>) -> History {
    let life = |name: &str| Life { name: name.to_owned(), language: "none" };
    let events = events.into_iter().map(|(ms, life, what)| Event { at: ms * MS, life: Some(life), what });
    History { events: events.collect(), lives: vec![life("0"), life("1")] }
}

fn granted(token: i64, asked: Nanos, promised: Nanos) -> What {
    What::Granted { token, asked: asked * MS, promised: promised * MS }
}

fn ended(token: i64, why: &str) -> What {
    What::Ended { token, why: why.to_owned() }
}

/// Two holds and two terms with a counted write in each, as they should be.
fn good() -> Vec<(Nanos, usize, What)> {
    vec![
        (10, 0, granted(5, 1, 3_000)),
        (11, 0, What::Read { token: 5, value: 0 }),
        (12, 0, What::Write { token: 5, value: 1 }),
        (13, 0, What::Wrote { token: 5, value: 1 }),
        (14, 0, What::Until { token: 5, promised: 3_500 * MS }),
        (20, 0, ended(5, "released")),
        (21, 1, granted(7, 2, 3_100)),
        (22, 1, What::Read { token: 7, value: 1 }),
        (23, 1, What::Write { token: 7, value: 2 }),
        (30, 1, ended(7, "released")),
        (40, 0, What::Leads { token: 9, promised: 3_000 * MS }),
        (41, 0, What::Record { token: 9, found: 9 }),
        (42, 1, What::News { token: 9 }),
        (50, 0, What::Resigned { token: 9, why: "done".to_owned() }),
        (60, 1, What::Leads { token: 11, promised: 3_000 * MS }),
        (70, 1, What::Resigned { token: 11, why: "done".to_owned() }),
        (80, 0, What::Over),
        (81, 1, What::Over),
        (90, 0, What::Counter { value: 1 }),
    ]
}

/// The good history with some events changed.
fn with(change: impl Fn(Nanos, usize, What) -> (Nanos, usize, What)) -> Vec<(Nanos, usize, What)> {
    good().into_iter().map(|(at, life, what)| change(at, life, what)).collect()
}

/// Tries them all.
///
/// # Panics
///
/// Where a planted error is not found, or something is found where nothing is wrong.
pub(crate) fn try_the_checker() {
    let judge = |events| {
        let verdict = history(events).judge(RULES);
        verdict.violations.iter().map(|violation| violation.text.clone()).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(judge(good()), "");
    // A leader that was killed, a holder that stood still, and a write that was applied though nobody was told.
    let killed = with(|at, life, what| (at, life, if at == 50 { What::Killed } else { what }));
    assert_eq!(judge(killed), "");
    let stood = with(|at, life, what| match at {
        10 => (at, life, granted(5, 1, 18)),
        14 => (at, life, What::Until { token: 5, promised: 19 * MS }),
        20 => (900, life, ended(5, "LeaseRanOut")),
        90 => (at, life, What::Counter { value: 2 }),
        _ => (at, life, what),
    });
    assert!(judge(stood.clone()).contains("told 881 ms late"));
    let mut excused = stood;
    excused.push((899, 0, What::Gap { from: 15 * MS }));
    assert_eq!(judge(excused), "");

    type Change = fn(Nanos, usize, What) -> (Nanos, usize, What);
    let wrong: [(&str, Change); 11] = [
        ("two holders", |at, life, what| (if at == 20 { 25 } else { at }, life, what)),
        ("two holders", |at, life, what| if at == 20 { (25, life, What::Killed) } else { (at, life, what) }),
        ("served out of turn", |at, life, what| match what {
            What::Granted { token: 7, asked, promised } => {
                (at, life, What::Granted { token: 4, asked, promised })
            }
            What::Ended { token: 7, why } => (at, life, What::Ended { token: 4, why }),
            _ => (at, life, what),
        }),
        ("an update is lost", |at, life, what| match at {
            22 => (at, life, What::Read { token: 7, value: 0 }),
            _ => (at, life, what),
        }),
        ("an update is lost", |at, life, what| match at {
            90 => (at, life, What::Counter { value: 0 }),
            _ => (at, life, what),
        }),
        ("two tasks", |at, life, what| (if at == 50 { 65 } else { at }, life, what)),
        ("led out of turn", |at, life, what| match at {
            60 => (at, life, What::Leads { token: 8, promised: 3_000 * MS }),
            70 => (at, life, What::Resigned { token: 8, why: "done".to_owned() }),
            _ => (at, life, what),
        }),
        ("found the record of", |at, life, what| match at {
            41 => (at, life, What::Record { token: 9, found: 8 }),
            _ => (at, life, what),
        }),
        ("record went back", |at, life, what| match at {
            81 => (at, life, What::News { token: 8 }),
            _ => (at, life, what),
        }),
        ("never ended", |at, life, what| match at {
            30 => (at, life, What::Gap { from: 29 * MS }),
            _ => (at, life, what),
        }),
        ("must not", |at, life, what| match at {
            80 => (at, life, What::Bad { text: "NO_NODE".to_owned() }),
            _ => (at, life, what),
        }),
    ];
    for (found, change) in wrong {
        let said = judge(with(change));
        assert!(said.contains(found), "the checker did not find {found:?}, but {said:?}");
    }
}
