//! Makes a small tree, finds nodes in it by a pattern, lists and deletes it: tree [HOST:PORT]

use std::time::Duration;
use zkhelper::proto::CreateMode;
use zkhelper::{Client, Options, Tree, acl};

fn print(what: &str, paths: &[String]) {
    println!("{what}");
    for path in paths {
        println!("  {path}");
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> zkhelper::Result<()> {
    // "embedded" is a server inside this process, to try things with.
    let address = std::env::args().nth(1).unwrap_or_else(|| "embedded".to_owned());
    let client = Client::connect(&address, Options::default()).await?;
    let tree = Tree::new(&client);
    for shard in ["nyc/shards/0", "nyc/shards/1", "sfo/shards/0"] {
        // With their parents.
        let path = format!("/zk/tree/{shard}");
        tree.create_or_update(&path, b"up", &acl::file(), CreateMode::Persistent, true).await?;
    }
    let pattern = "/zk/tree/*/shards/[0-9]";
    print(pattern, &tree.glob(&[pattern]).await?.paths);
    print("below /zk/tree", &tree.children("/zk/tree").await?);
    tree.delete("/zk/tree", -1).await?;
    println!("deleted");
    client.close(Duration::from_secs(2)).await
}
