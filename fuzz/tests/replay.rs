//! Inputs of the fuzzers without the fuzzer: those that found something once, and some that chance chooses.
//! `ZKHELPER_FUZZ_SECONDS` is how long chance goes on for each, 3 by default.

use std::path::Path;
use std::time::{Duration, Instant};

/// Plays the inputs of `regressions/NAME`, and then random ones.
fn play(name: &str, play: fn(&[u8]), most: usize) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(name);
    let mut kept: Vec<_> =
        std::fs::read_dir(&dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    kept.sort();
    for path in &kept {
        println!("{}", path.display());
        play(&std::fs::read(path).expect("an input"));
    }
    let seconds = std::env::var("ZKHELPER_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let (begun, mut count, first) = (Instant::now(), 0, fastrand::u64(..));
    while begun.elapsed() < Duration::from_secs(seconds) {
        let seed = first.wrapping_add(count);
        let mut dice = fastrand::Rng::with_seed(seed);
        let bytes: Vec<u8> = (0..dice.usize(..most)).map(|_| dice.u8(..)).collect();
        let caught = std::panic::catch_unwind(|| play(&bytes));
        assert!(caught.is_ok(), "seed {seed} of {name} finds something");
        count += 1;
    }
    println!("{name}: {} kept inputs, {count} random ones", kept.len());
}

#[test]
fn calls_over_the_abi_in_any_order() {
    play("abi", zkhelper_fuzz::abi::play, 1_500);
    println!("{}", zkhelper_fuzz::abi::tally());
}

#[test]
fn bytes_at_the_embedded_server() {
    play("server", zkhelper_fuzz::server::play, 600);
}

#[test]
fn bytes_from_a_server() {
    play("client", zkhelper_fuzz::client::play, 600);
}
