//! What a process has stays what it is, however long it locks, watches, leads, connects and closes: descriptors,
//! threads, handles and memory. 20 seconds, or `ZKHELPER_SOAK_SECONDS`; `make soak MINUTES=`.

#![cfg(feature = "capi")]

mod support;

use std::time::Duration;
use support::TempDir;
use support::installed::{How, installed};
use support::process::Program;
use support::zookeeper::shared_single;

/// Beyond the time of the soak, for a slow machine.
const LIMIT: Duration = Duration::from_secs(600);
/// What memory may grow by after the first quarter, in KiB: the allocator's own ups and downs.
const GROWTH: i64 = 1_500;

/// What the process had at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    rounds: i64,
    descriptors: i64,
    threads: i64,
    memory: i64,
    slots: i64,
}

fn sample(line: &str) -> Option<Sample> {
    let words: Vec<_> = line.split(' ').collect();
    let number = |at: usize| words.get(at)?.parse().ok();
    line.starts_with("round ").then_some(())?;
    Some(Sample {
        rounds: number(1)?,
        descriptors: number(3)?,
        threads: number(5)?,
        memory: number(7)?,
        slots: number(9)?,
    })
}

#[test]
fn descriptors_threads_handles_and_memory_stay_flat() {
    let seconds = std::env::var("ZKHELPER_SOAK_SECONDS").unwrap_or_else(|_| "20".to_owned());
    let time = Duration::from_secs(seconds.parse().expect("a number of seconds"));
    let dir = TempDir::new("soak");
    let program = installed().compile(&dir, "tests/capi/soak.c", How::Shared);
    let mut command = installed().command(&program, How::Shared);
    command.arg(shared_single().connect_string()).arg(&seconds);
    let mut program = Program::spawn(command);
    program.wait_for_line("over", time + LIMIT);
    let output = program.wait_success(LIMIT);
    let samples: Vec<_> = output.lines().filter_map(sample).collect();
    assert!(samples.len() >= 3, "{output}");
    let (first, last) = (samples[samples.len() / 4], samples[samples.len() - 1]);
    println!("{} s, {} rounds: {first:?} to {last:?}", time.as_secs(), last.rounds);
    let most = |of: fn(&Sample) -> i64| samples[samples.len() / 4..].iter().map(of).max();
    assert!(most(|s| s.descriptors) <= Some(first.descriptors), "descriptors: {output}");
    assert!(most(|s| s.threads) <= Some(first.threads), "threads: {output}");
    assert!(most(|s| s.slots) <= Some(first.slots), "handles: {output}");
    assert!(last.memory <= first.memory + GROWTH, "memory: {output}");
}
