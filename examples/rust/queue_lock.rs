//! Puts a job into a queue, waits for its turn, and works on it: queue_lock [HOST:PORT]

use std::time::Duration;
use zkhelper::proto::CreateMode;
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Options, QueueLock, QueueLockOptions, Tree, acl};

#[tokio::main(flavor = "current_thread")]
async fn main() -> zkhelper::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "embedded".to_owned());
    let client = Client::connect(&address, Options::default()).await?;
    // The job is a node of our own; it is the caller's turn while no node of the queue has a lower name.
    let (mode, list) = (CreateMode::EphemeralSequential, acl::default());
    let job = Tree::new(&client).create("/zk/queue/job-", b"report", &list, mode).await?;
    let name = job.rsplit('/').next().unwrap_or_default();
    let queue = QueueLock::new(&client, "/zk/queue", QueueLockOptions::default())?;
    // Waits 5 seconds at most.
    queue.obtain(name, Some(Duration::from_secs(5))).await?;
    println!("working on {name}");
    // Deleting the node lets the next one in.
    client.zk().delete(&job, -1, OpOptions::default()).await?;
    println!("done");
    client.close(Duration::from_secs(2)).await
}
