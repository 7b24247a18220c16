//! Says by a node that this program runs, and hears what becomes of it: pid_node [HOST:PORT]

use std::time::Duration;
use zkhelper::proto::CreateMode;
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Options, PidEvent, PidNode, PidNodeOptions, Tree, acl};

#[tokio::main(flavor = "current_thread")]
async fn main() -> zkhelper::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "embedded".to_owned());
    let client = Client::connect(&address, Options::default()).await?;
    let top = "/zk/pids";
    Tree::new(&client).create_or_update(top, b"", &acl::default(), CreateMode::Persistent, true).await?;
    let path = format!("{top}/example");
    // Another program's node is waited for, and never taken while that program lives.
    let pid = std::process::id().to_string();
    let node = PidNode::create(&client, &path, pid.as_bytes(), PidNodeOptions::default()).await?;
    let mut events = node.events();
    // The program does its work here. Somebody deletes the node, say: it is made again.
    client.zk().delete(&path, -1, OpOptions::default()).await?;
    let mut made = 0;
    while made < 2 {
        match events.recv().await {
            Some(PidEvent::Made { .. }) => {
                made += 1;
                println!("the node is there");
            }
            Some(PidEvent::Lost(why)) => println!("the node is lost ({why}), and is made again"),
            Some(PidEvent::Refused(error)) => println!("the node cannot be made for now: {error}"),
            None => break,
        }
    }
    node.close().await?;
    println!("the node is gone");
    client.close(Duration::from_secs(2)).await
}
