//! Takes a lock and releases it: lock HOST:PORT

use std::time::Duration;
use zkhelper::{Client, Mutex, MutexOptions, Options};

#[tokio::main(flavor = "current_thread")]
async fn main() -> zkhelper::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:2181".to_owned());
    let client = Client::connect(&address, Options::default()).await?;
    let mutex = Mutex::new(&client, "/zk/demo/lock", MutexOptions::default())?;

    // Waits 5 seconds at most.
    let hold = mutex.lock(Some(Duration::from_secs(5)), "nightly report").await?;
    println!("held; the fencing token is {}", hold.token());
    hold.release().await?;

    client.close(Duration::from_secs(2)).await
}
