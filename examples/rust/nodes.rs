//! Makes nodes, reads and changes them, also several as one transaction: nodes [HOST:PORT]

use std::time::Duration;
use zkhelper::proto::{CreateMode, MultiOp};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Code, Options, Result, Tree, acl};

/// Changes the data, and only if nobody changed them in between: the version goes along.
async fn add_exclamation_mark(client: &Client, path: &str) -> Result<()> {
    loop {
        let (mut data, stat) = client.zk().get(path, OpOptions::default()).await?;
        data.push(b'!');
        match client.zk().set(path, &data, stat.version, OpOptions::default()).await {
            // Somebody was quicker.
            Err(error) if error.code() == Code::BAD_VERSION => {}
            outcome => return outcome.map(drop),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    // "embedded" is a server inside this process, to try things with.
    let address = std::env::args().nth(1).unwrap_or_else(|| "embedded".to_owned());
    let client = Client::connect(&address, Options::default()).await?;
    let (zk, options) = (client.zk(), OpOptions::default());
    let mode = CreateMode::PersistentSequential;
    let (top, _) = zk.create("/nodes-", b"", &acl::default(), mode, options).await?;
    let create = |name: &str, data: &str, mode| MultiOp::Create {
        path: format!("{top}/{name}"),
        data: data.into(),
        acl: acl::default(),
        mode,
        ttl_ms: 0,
        with_stat: false,
    };
    // Both or none.
    let both = vec![create("a", "hello", CreateMode::Persistent), create("b", "bye", CreateMode::Ephemeral)];
    zk.multi(both, options).await?;
    add_exclamation_mark(&client, &format!("{top}/a")).await?;
    let (mut names, _) = zk.children(&top, options).await?;
    names.sort();
    for name in names {
        let (data, stat) = zk.get(&format!("{top}/{name}"), options).await?;
        let until = if stat.ephemeral_owner != 0 { "this session ends" } else { "it is deleted" };
        let data = String::from_utf8_lossy(&data);
        println!("{top}/{name}: {data:?}, version {}, until {until}", stat.version);
    }
    Tree::new(&client).delete(&top, -1).await?;
    client.close(Duration::from_secs(2)).await
}
