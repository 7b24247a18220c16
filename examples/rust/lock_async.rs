//! Three tasks want one lock, and none of them takes a thread to wait: lock_async [HOST:PORT]

use std::time::Duration;
use zkhelper::{Client, Mutex, MutexOptions, Options};

#[tokio::main(flavor = "current_thread")]
async fn main() -> zkhelper::Result<()> {
    // "embedded" is a server inside this process, to try things with.
    let address = std::env::args().nth(1).unwrap_or_else(|| "embedded".to_owned());
    let client = Client::connect(&address, Options::default()).await?;
    // A handle holds one lock at a time, so each has its own.
    let work = async |name: &str| {
        let mutex = Mutex::new(&client, "/zk/demo/lock", MutexOptions::default())?;
        let hold = mutex.lock(Some(Duration::from_secs(5)), name).await?;
        println!("{name} holds the lock with token {}", hold.token());
        hold.release().await
    };
    tokio::try_join!(work("ann"), work("bob"), work("cid"))?;
    client.close(Duration::from_secs(2)).await
}
