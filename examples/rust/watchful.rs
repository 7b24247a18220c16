//! Works under a lock only while the lock is certain to be held: watchful [HOST:PORT]

use std::time::Duration;
use zkhelper::{Client, Mutex, MutexOptions, Options, Time};

#[tokio::main(flavor = "current_thread")]
async fn main() -> zkhelper::Result<()> {
    // "embedded" is a server inside this process, to try things with.
    let address = std::env::args().nth(1).unwrap_or_else(|| "embedded".to_owned());
    let client = Client::connect(&address, Options::default()).await?;
    let mutex = Mutex::new(&client, "/zk/demo/watchful", MutexOptions::default())?;
    let hold = mutex.lock(Some(Duration::from_secs(5)), "careful work").await?;
    let work = async {
        for step in 1..=3 {
            // A step that takes a second at most is begun only if a second is left.
            let left = hold.valid_until().map_or(Duration::ZERO, |until| until.since(Time::now()));
            if left < Duration::from_secs(1) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            println!("step {step} under token {}", hold.token());
        }
    };
    tokio::select! {
        () = work => hold.release().await?,
        // By the end of `valid_until` at the latest, also while no server answers.
        reason = hold.lost() => eprintln!("the lock with token {} is lost: {reason}", hold.token()),
    }
    client.close(Duration::from_secs(2)).await
}
