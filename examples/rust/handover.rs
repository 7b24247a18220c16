//! Takes a lock, holds it for a moment and passes it on, again and again:
//!
//!     handover HOST:PORT NAME PATH ROUNDS HOLD_MS [SESSION_TIMEOUT_MS]
//!
//! 0 rounds go on until the process is killed. Each line has the time in seconds, the name, the process and what
//! happens; times of processes on one machine may be compared.

use nix::time::{ClockId, clock_gettime};
use std::time::Duration;
use zkhelper::{Client, Mutex, MutexOptions, Options};

fn say(name: &str, what: &str) {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    println!("{:.6} {name} pid={} {what}", now.as_secs_f64(), std::process::id());
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, address, name, path, rounds, hold_ms, rest @ ..] = &arguments[..] else {
        return Err("usage: handover HOST:PORT NAME PATH ROUNDS HOLD_MS [SESSION_TIMEOUT_MS]".into());
    };
    let (rounds, hold_ms): (u64, u64) = (rounds.parse()?, hold_ms.parse()?);
    let session_timeout = Duration::from_millis(rest.first().map_or(Ok(10_000), |ms| ms.parse())?);
    let client = Client::connect(address, Options { session_timeout, ..Options::default() }).await?;
    let mutex = Mutex::new(&client, path, MutexOptions::default())?;
    let mut round = 0;
    while rounds == 0 || round < rounds {
        say(name, "waits");
        let hold = mutex.lock(None, name).await?;
        say(name, &format!("holds token={}", hold.token()));
        tokio::time::sleep(Duration::from_millis(hold_ms)).await;
        // The line comes first: once it is released, the other one may speak.
        say(name, &format!("releases token={}", hold.token()));
        hold.release().await?;
        round += 1;
    }
    client.close(Duration::from_secs(5)).await?;
    say(name, "is done");
    Ok(())
}
