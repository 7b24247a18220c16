//! Changes a node only while a lock is held, by one transaction with a check of the lock: guarded [HOST:PORT]

use std::time::Duration;
use zkhelper::proto::{CreateMode, MultiOp};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Code, Mutex, MutexOptions, Options, Tree, acl};

#[tokio::main(flavor = "current_thread")]
async fn main() -> zkhelper::Result<()> {
    // "embedded" is a server inside this process, to try things with.
    let address = std::env::args().nth(1).unwrap_or_else(|| "embedded".to_owned());
    let client = Client::connect(&address, Options::default()).await?;
    let (tree, report) = (Tree::new(&client), "/zk/demo/guarded/report");
    tree.create_or_update(report, b"", &acl::default(), CreateMode::Persistent, true).await?;
    let write = |text: &str| vec![MultiOp::SetData { path: report.into(), data: text.into(), version: -1 }];

    let mutex = Mutex::new(&client, "/zk/demo/guarded/lock", MutexOptions::default())?;
    let hold = mutex.lock(Some(Duration::from_secs(5)), "the report").await?;
    hold.guarded(write("in time")).await?;
    // Somebody deletes the lock node, and has the lock next.
    let node = format!("{}/{}", mutex.path(), hold.name().unwrap_or_default());
    client.zk().delete(&node, -1, OpOptions::default()).await?;
    match hold.guarded(write("too late")).await {
        Err(error) if error.code() == Code::LOCK_LOST => println!("the late write is refused"),
        outcome => drop(outcome?),
    }
    let (data, _) = client.zk().get(report, OpOptions::default()).await?;
    println!("the report says {:?}", String::from_utf8_lossy(&data));
    tree.delete("/zk/demo/guarded", -1).await?;
    client.close(Duration::from_secs(2)).await
}
