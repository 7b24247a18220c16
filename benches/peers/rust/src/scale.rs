//! What only we are asked: the cost of strict mode, renewals and the watch on the own node, and many locks at once.

use super::ours::{Session, TIMEOUT, make, options};
use super::rows::Peer;
use super::Order;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Elector, ElectorOptions, Mutex, MutexOptions, Options, Strict};

/// A row that is ours alone; none where it is one of the comparison.
pub async fn run(address: &str, order: &Order) -> Option<Value> {
    let strict = MutexOptions { strict: Some(Strict { lease: TIMEOUT, delay: TIMEOUT }), ..MutexOptions::default() };
    Some(match order.row.as_str() {
        "strict" => cycles(address, order, strict, options()).await,
        "strict-handoff" => handoff(address, order, strict).await,
        "default-handoff" => handoff(address, order, MutexOptions::default()).await,
        "renewing" => {
            let options = Options { renew_interval: Some(Duration::from_millis(5)), ..options() };
            cycles(address, order, MutexOptions::default(), options).await
        }
        "waiting" => waiting(address, order).await,
        "held" => held(address, order).await,
        "elections" => elections(address, order).await,
        _ => return None,
    })
}

async fn cycles(address: &str, order: &Order, mutex: MutexOptions, options: Options) -> Value {
    let client = Client::connect(address, options).await.expect("a connection");
    make(&client, &order.path).await;
    let lock = Mutex::new(&client, &order.path, mutex).expect("a mutex");
    let mut each = Vec::new();
    let begin = Instant::now();
    for _ in 0..order.count {
        let begin = Instant::now();
        let hold = lock.lock(None, "").await.expect("the lock");
        hold.release().await.expect("released");
        each.push(begin.elapsed());
    }
    let total = begin.elapsed();
    client.close(TIMEOUT).await.expect("closed");
    super::Cost { cycles: order.count, total, each }.json()
}

/// Two sessions hand the lock to each other: each waits while the other holds.
async fn handoff(address: &str, order: &Order, options: MutexOptions) -> Value {
    let mut locks = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let Session(client) = Session::connect(address).await;
        make(&client, &order.path).await;
        locks.push(Mutex::new(&client, &order.path, options.clone()).expect("a mutex"));
        clients.push(client);
    }
    let mut each = Vec::new();
    let mut hold = locks[0].lock(None, "").await.expect("the lock");
    let begin = Instant::now();
    for i in 0..order.count {
        let next = locks[(i + 1) % 2].lock(None, "");
        // It is in the queue and watches by then.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let told = Instant::now();
        let (released, next) = tokio::join!(hold.release(), async { (next.await, told.elapsed()) });
        released.expect("released");
        each.push(next.1);
        hold = next.0.expect("the lock");
    }
    let total = begin.elapsed();
    hold.release().await.expect("released");
    for client in clients {
        client.close(TIMEOUT).await.expect("closed");
    }
    super::Cost { cycles: order.count, total, each }.json()
}

/// A value of this process's status, in KiB or as a number.
fn status(name: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
    line.trim_start_matches(':').split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number")
}

async fn count(client: &Client, path: &str) -> usize {
    match client.zk().children(path, OpOptions::default()).await {
        Ok((names, _)) => names.len(),
        Err(error) => panic!("{path}: {error}"),
    }
}

/// Many locks wait on one path: what each takes, and whether a hand-off grows with the queue.
async fn waiting(address: &str, order: &Order) -> Value {
    let Session(holder) = Session::connect(address).await;
    let Session(client) = Session::connect(address).await;
    make(&client, &order.path).await;
    let first = Mutex::new(&holder, &order.path, MutexOptions::default()).expect("a mutex");
    let mut hold = first.lock(None, "").await.expect("the lock");
    let before = (status("VmRSS"), status("Threads"));
    let begin = Instant::now();
    let mut waiting: std::collections::VecDeque<_> = (0..order.count)
        .map(|_| {
            let lock = Mutex::new(&client, &order.path, MutexOptions::default()).expect("a mutex");
            lock.lock(None, "")
        })
        .collect();
    while holder.zk().exists(&order.path, OpOptions::default()).await.expect("a node").expect("there").num_children
        <= i32::try_from(order.count).expect("a number")
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let queued = begin.elapsed().as_secs_f64();
    let (rss, threads) = (status("VmRSS"), status("Threads"));
    let mut each = Vec::new();
    for _ in 0..100.min(order.count) {
        let next = waiting.pop_front().expect("a waiter");
        let told = Instant::now();
        let (released, next) = tokio::join!(hold.release(), next);
        each.push(told.elapsed());
        released.expect("released");
        hold = next.expect("the lock");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    each.sort();
    let median = each[each.len() / 2].as_secs_f64() * 1e6;
    drop(waiting);
    hold.release().await.expect("released");
    client.close(Duration::from_secs(60)).await.expect("closed");
    holder.close(TIMEOUT).await.expect("closed");
    json!({
        "count": order.count, "bytes_each": rss.saturating_sub(before.0) * 1024 / order.count,
        "threads_more": threads - before.1, "queued_seconds": queued, "handoff_us": median,
    })
}

/// Many locks held, and how long they are renewed for: the driver counts what that costs at the server.
async fn held(address: &str, order: &Order) -> Value {
    let options = Options { session_timeout: Duration::from_secs(10), ..Options::default() };
    let client = Client::connect(address, options).await.expect("a connection");
    make(&client, &order.path).await;
    let before = (status("VmRSS"), status("Threads"));
    let begin = Instant::now();
    let mut acquires = Vec::new();
    for i in 0..order.count {
        let lock = Mutex::new(&client, &format!("{}/{i}", order.path), MutexOptions::default()).expect("a mutex");
        acquires.push(lock.lock(None, ""));
    }
    let mut holds = Vec::new();
    for acquire in acquires {
        holds.push(acquire.await.expect("the lock"));
    }
    let taken = begin.elapsed().as_secs_f64();
    // The first renewals read and watch each node.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (rss, threads) = (status("VmRSS"), status("Threads"));
    println!("{}", json!({ "renewing": true }));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let lost = holds.iter().filter(|hold| !hold.is_held()).count();
    println!("{}", json!({ "renewed": true }));
    let begin = Instant::now();
    let releases: Vec<_> = holds.into_iter().map(|hold| tokio::task::spawn_local(hold.release())).collect();
    for release in releases {
        release.await.expect("a release").expect("released");
    }
    let released = begin.elapsed().as_secs_f64();
    client.close(TIMEOUT).await.expect("closed");
    json!({
        "count": order.count, "bytes_each": rss.saturating_sub(before.0) * 1024 / order.count,
        "threads_more": threads - before.1, "taken_seconds": taken, "released_seconds": released, "lost": lost,
    })
}

/// Many elections led in one process, through a restart of the server: the driver does that when it is told.
async fn elections(address: &str, order: &Order) -> Value {
    let Session(client) = Session::connect(address).await;
    make(&client, &order.path).await;
    let before = (status("VmRSS"), status("Threads"));
    let options = ElectorOptions { lease: TIMEOUT, ..ElectorOptions::default() };
    let begin = Instant::now();
    let electors: Vec<_> = (0..order.count)
        .map(|i| {
            Elector::new(&client, &format!("{}/{i}", order.path), options.clone()).expect("an elector")
        })
        .collect();
    let campaigns: Vec<_> = electors
        .iter()
        .map(|elector| {
            let elector = elector.clone();
            tokio::task::spawn_local(async move { elector.campaign().await.expect("the lead") })
        })
        .collect();
    let mut terms = Vec::new();
    for campaign in campaigns {
        terms.push(campaign.await.expect("a campaign"));
    }
    let elected = begin.elapsed().as_secs_f64();
    let (rss, threads) = (status("VmRSS"), status("Threads"));
    let mut states = client.states();
    println!("{}", json!({ "restart": true }));
    while states.recv().await.is_some_and(|event| event.state != zkhelper::State::Suspended) {}
    let down = Instant::now();
    while states.recv().await.is_some_and(|event| event.state != zkhelper::State::Connected) {}
    let up = down.elapsed().as_secs_f64();
    // Every elector has heard of its node again once a renewal of all of them went through.
    let old: Vec<_> = electors.iter().map(|elector| elector.leadership().and_then(|lead| lead.valid_until())).collect();
    let begin = Instant::now();
    let mut recovered = 0.0;
    while begin.elapsed() < TIMEOUT {
        let renewed = electors.iter().zip(&old).all(|(elector, old)| {
            elector.leadership().and_then(|lead| lead.valid_until()) > *old
        });
        if renewed {
            recovered = begin.elapsed().as_secs_f64();
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let leading = electors.iter().filter(|e| e.leadership().is_some_and(|lead| lead.is_leading())).count();
    let nodes = count(&client, &format!("{}/0/candidates", order.path)).await;
    drop(terms);
    client.close(TIMEOUT).await.expect("closed");
    json!({
        "count": order.count, "bytes_each": rss.saturating_sub(before.0) * 1024 / order.count,
        "threads_more": threads - before.1, "elected_seconds": elected, "down_seconds": up,
        "recovered_seconds": recovered, "leading": leading, "nodes": nodes,
    })
}
