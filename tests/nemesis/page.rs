//! The page at the end of a run.

use crate::history::{History, Nanos, SECOND, What};
use crate::history::{Life, Span, Verdict};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How a run is told: counts, and how long things took.
pub(crate) fn page(history: &History, verdict: &Verdict, title: &str, seconds: f64) -> String {
    let mut text = format!("\n==== nemesis: {title} ====\n");
    let mut line = |what: &str, said: String| {
        let _ = writeln!(text, "{what:<22} {said}");
    };
    let an_hour = |count: usize| (count as f64 * 3600.0 / seconds).round();
    let faults = kinds(history.events.iter().filter_map(|event| match &event.what {
        What::Fault { text } => text.strip_prefix("+ ").map(first_words),
        _ => None,
    }));
    let count: usize = faults.values().sum();
    line("faults", format!("{count} in {seconds:.0} s, {} an hour", an_hour(count)));
    line("", list(&faults));
    line("processes", list(&kinds(history.lives.iter().map(|life: &Life| life.language.to_owned()))));
    let of = |spans: &BTreeMap<i64, Span>| {
        list(&kinds(spans.values().map(|span| history.lives[span.life].language.to_owned())))
    };
    let holds = &verdict.holds;
    line("holds", format!("{}, {} an hour: {}", holds.len(), an_hour(holds.len()), of(holds)));
    line("terms", format!("{}: {}", verdict.terms.len(), of(&verdict.terms)));
    line("losses told", list(&losses(holds)));
    line("terms that had to end", list(&losses(&verdict.terms)));
    line("acquires given up", list(&verdict.given_up));
    let writes = |what: &str| verdict.writes.get(what).copied().unwrap_or(0);
    let unknown = writes("tried") - writes("applied") - writes("refused");
    let told =
        format!("{} applied, {} refused, {unknown} not answered", writes("applied"), writes("refused"));
    line("writes under the lock", told);
    let longest = holds.values().map(|hold| hold.from - hold.asked).max().unwrap_or(0);
    line("longest wait", format!("{:.1} s", longest as f64 / SECOND as f64));
    line("hand-over, released", spread(hand_overs(holds, true)));
    line("hand-over, otherwise", spread(hand_overs(holds, false)));
    line("violations", verdict.violations.len().to_string());
    text
}

fn first_words(text: &str) -> String {
    text.split(':').next().unwrap_or(text).to_owned()
}

fn kinds(all: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    all.for_each(|kind| *kinds.entry(kind).or_default() += 1);
    kinds
}

fn list(counts: &BTreeMap<String, usize>) -> String {
    let all: Vec<_> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

fn losses(spans: &BTreeMap<i64, Span>) -> BTreeMap<String, usize> {
    let why = spans.values().filter_map(|span| span.ended.as_ref().map(|(_, why)| why));
    kinds(why.filter(|why| *why != "released" && *why != "done").cloned())
}

/// How long after a hold's end the next one began, which had been asked for before.
fn hand_overs(holds: &BTreeMap<i64, Span>, released: bool) -> Vec<Nanos> {
    let all: Vec<_> = holds.values().collect();
    let mut times: Vec<_> = all
        .windows(2)
        .filter_map(|pair| {
            let (told, why) = pair[0].ended.as_ref()?;
            let until = (*told).min(pair[0].promised);
            (pair[1].asked < until && (why == "released") == released).then(|| pair[1].from - until)
        })
        .collect();
    times.sort_unstable();
    times
}

fn spread(times: Vec<Nanos>) -> String {
    let Some(most) = times.last() else { return "none".to_owned() };
    let at = |percent: usize| times[(times.len() - 1) * percent / 100] as f64 / 1e6;
    format!(
        "{} of them: p50 {:.1} ms, p99 {:.1} ms, at most {:.1} ms",
        times.len(),
        at(50),
        at(99),
        *most as f64 / 1e6
    )
}
