//! Keeps a copy of a node's data up to date, and says what changes below it: watch [HOST:PORT [PATH]]
//!
//! Without arguments it changes a node of its own three times, on a server inside this process.

use std::time::Duration;
use zkhelper::proto::{CreateMode, EventType, WatchMode};
use zkhelper::zk::{OpOptions, WatchEventKind};
use zkhelper::{Client, Code, Options, Result, acl};

async fn show(client: &Client, path: &str) -> Result<()> {
    match client.zk().get(path, OpOptions::default()).await {
        Ok((data, _)) => println!("the data are {:?}", String::from_utf8_lossy(&data)),
        Err(error) if error.code() == Code::NO_NODE => println!("there is no node"),
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn change(client: &Client, path: &str) -> Result<()> {
    let (zk, options) = (client.zk(), OpOptions::default());
    zk.create(path, b"one", &acl::default(), CreateMode::Persistent, options).await?;
    zk.set(path, b"two", -1, options).await?;
    zk.delete(path, -1, options).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "embedded".to_owned());
    let given = arguments.next();
    let path = given.as_deref().unwrap_or("/watched");
    let client = Client::connect(&address, Options::default()).await?;

    // It stays through reconnects and new sessions.
    let mut events = client.add_watch(path, WatchMode::PersistentRecursive).await?;
    if given.is_none() {
        change(&client, path).await?;
    }
    while let Some(event) = events.next().await {
        match event.kind {
            WatchEventKind::MayHaveMissed => println!("the connection was away; reading again"),
            WatchEventKind::Node(EventType::Created) => println!("{} created", event.path),
            WatchEventKind::Node(EventType::DataChanged) => println!("{} changed", event.path),
            WatchEventKind::Node(EventType::Deleted) => println!("{} deleted", event.path),
            kind => println!("{}: {kind:?}", event.path),
        }
        if event.path == path || event.kind == WatchEventKind::MayHaveMissed {
            show(&client, path).await?;
        }
        if given.is_none() && event.kind == WatchEventKind::Node(EventType::Deleted) {
            break;
        }
    }
    client.close(Duration::from_secs(2)).await
}
