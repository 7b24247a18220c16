//! Stands in an election, and leads whenever it is elected, until it is killed:
//!
//!     candidate HOST:PORT NAME PATH [SESSION_TIMEOUT_MS LEASE_MS]
//!
//! After a leader that is killed the next one leads once that one's session and lease are over. Each line has the
//! time in seconds, the name, the process and what happens.

use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zkhelper::{Client, Elector, ElectorOptions, Options, Outcome};

fn say(name: &str, what: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    println!("{:.3} {name} pid={} {what}", now.as_secs_f64(), std::process::id());
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, address, name, path, rest @ ..] = &arguments[..] else {
        return Err("usage: candidate HOST:PORT NAME PATH [SESSION_TIMEOUT_MS LEASE_MS]".into());
    };
    let time = |at: usize| {
        rest.get(at).map_or(Ok(Duration::from_secs(10)), |ms| ms.parse().map(Duration::from_millis))
    };
    let (session_timeout, lease) = (time(0)?, time(1)?);
    let client = Client::connect(address, Options { session_timeout, ..Options::default() }).await?;
    // The grace, in which the work of a leader has to end, is half of the lease.
    let description = name.clone();
    let options = ElectorOptions { lease, grace: Some(lease / 2), description, ..ElectorOptions::default() };
    let elector = Elector::new(&client, path, options)?;

    say(name, "stands");
    let over = elector.run(async |leadership| {
        say(name, &format!("leads token={}", leadership.token()));
        // The work of a leader, which it does until it is told to stop.
        leadership.stopped().await;
        say(name, &format!("stops token={}", leadership.token()));
        Outcome::Done
    });
    Err(over.await.into())
}
