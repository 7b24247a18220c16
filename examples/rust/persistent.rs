//! A lock that outlasts its owner, for work that must not be begun anew while half of it is done:
//!
//!     persistent HOST:PORT PATH hold            takes the lock and keeps it until somebody asks for it
//!     persistent HOST:PORT PATH list            who has it and who waits
//!     persistent HOST:PORT PATH ask REASON      asks the holder to give it up
//!     persistent HOST:PORT PATH release         releases it where the holder is gone

use std::time::Duration;
use zkhelper::{Client, Mutex, MutexOptions, Options, Persistent};

async fn hold(mutex: &Mutex) -> zkhelper::Result<()> {
    let mut requests = mutex.revocations();
    let hold = mutex.lock(None, "a migration").await?;
    println!("held; the fencing token is {}", hold.token());
    tokio::select! {
        Some(asked) = requests.recv() => println!("asked for token {}: {}", asked.token, asked.reason),
        reason = hold.lost() => println!("lost token {}: {reason}", hold.token()),
    }
    // The work is at an end, or broken off. Where the lock was lost this says so, and removes its node.
    hold.release().await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<_> = std::env::args().collect();
    let words: Vec<_> = arguments.iter().skip(1).map(String::as_str).collect();
    let [address, path, what @ ..] = &words[..] else {
        return Err("usage: persistent HOST:PORT PATH hold | list | ask REASON | release".into());
    };
    let client = Client::connect(address, Options::default()).await?;
    // Believed for 3 s unless it is renewed.
    let persistent = Some(Persistent { lease: Duration::from_secs(3) });
    let mutex = Mutex::new(&client, path, MutexOptions { persistent, ..MutexOptions::default() })?;
    // The first of all holds the lock.
    let all = mutex.contenders().await?;
    match (what, all.first()) {
        (["hold"], _) => hold(&mutex).await?,
        (["list"], _) => {
            for one in &all {
                let (czxid, owner) = (one.stat.czxid, one.owner);
                println!("{} token={czxid} owner={owner:?} pid={:?}", one.name, one.pid.unwrap_or_default());
            }
        }
        (["ask", _] | ["release"], None) => println!("nobody holds it"),
        (["ask", reason], Some(holder)) => mutex.request_revocation(&holder.name, reason).await?,
        (["release"], Some(holder)) => {
            mutex.release_dead(&holder.name).await?;
            println!("released {}", holder.name);
        }
        _ => return Err("hold | list | ask REASON | release".into()),
    }
    client.close(Duration::from_secs(2)).await?;
    Ok(())
}
