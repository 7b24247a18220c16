//! Acquires whose exchange with the server is cut while the ensemble has no quorum to decide on it.

use crate::ground::{Ground, LIMIT, Servers, block_on, proving};
use crate::support::proxy::{Direction, Proxy};
use crate::support::unique;
use std::time::Duration;
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Code, Hold, Mutex, MutexOptions, Options};

/// How long there is no quorum at least, where an acquire is not cut before.
const STALL: Duration = Duration::from_millis(60);

/// How an acquire ends that began without a quorum.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// It waits until the quorum is back.
    Granted,
    /// Its time is over before that.
    TimedOut,
    /// Whoever asked for it has gone before that.
    Dropped,
}

async fn client_of(address: &str) -> Client {
    let options = Options { session_timeout: Duration::from_secs(10), ..Options::default() };
    Client::connect(address, options).await.expect("a connection")
}

fn mutex(client: &Client, path: &str) -> Mutex {
    Mutex::new(client, path, MutexOptions::default()).expect("a mutex")
}

async fn lock(mutex: &Mutex) -> Hold {
    mutex.lock(Some(LIMIT), "test").await.expect("the lock")
}

/// What is below the path, as the leader has it.
async fn nodes(client: &Client, path: &str) -> Vec<String> {
    client.zk().sync(path, OpOptions::default()).await.expect("synced");
    client.zk().children(path, OpOptions::default()).await.expect("a list").0
}

/// Waits until one node is left below the path.
async fn until_one(client: &Client, path: &str, context: &str) {
    loop {
        let (list, watch) = client.zk().children_watch(path, OpOptions::default());
        let names = list.await.expect("a list").0;
        if names.len() == 1 {
            return;
        }
        let changed = tokio::time::timeout(LIMIT, watch).await;
        assert!(changed.is_ok(), "{context}: an orphan: {names:?}");
    }
}

#[test]
fn an_acquire_cut_at_any_byte_without_a_quorum_makes_one_node_or_none_if_it_gave_up() {
    let ground = Ground::of(Servers::Patient);
    let zk = ground.ensemble;
    let (mut cuts, mut stuck) = (0, 0);
    // A follower's client, and the leader's: the one forwards what the other proposes.
    for server in [zk.follower(), zk.leader()] {
        let proxy = Proxy::new(zk.address(server));
        let address = proxy.address().to_string();
        for direction in [Direction::ToServer, Direction::ToClient] {
            let at = format!("/zk/{}", unique("stalled"));
            let (handshake, whole) = block_on(async {
                let client = client_of(&zk.connect_string()).await;
                lock(&mutex(&client, &at)).await.release().await.expect("released");
                client.close(LIMIT).await.expect("closed");
                let start = proxy.bytes(direction);
                let client = client_of(&address).await;
                let handshake = proxy.bytes(direction) - start;
                let hold = lock(&mutex(&client, &at)).await;
                let whole = proxy.bytes(direction) - start;
                hold.release().await.expect("released");
                client.close(LIMIT).await.expect("closed");
                (handshake, whole)
            });
            for (byte, end) in plan(handshake, whole) {
                let gave_up = block_on(acquire(&ground, server, &proxy, direction, byte, end, &at));
                cuts += 1;
                stuck += usize::from(gave_up);
            }
        }
    }
    println!("{cuts} acquires cut without a quorum, of which {stuck} gave up: one node each, or none");
}

/// Where to cut, and how the acquire is to end.
fn plan(from: usize, to: usize) -> Vec<(usize, End)> {
    let ends = [End::Granted, End::TimedOut, End::Dropped];
    if proving() {
        (from..=to).flat_map(|byte| ends.map(|end| (byte, end))).collect()
    } else {
        (0..=11).map(|i| from + (to - from) * i / 11).zip(ends.into_iter().cycle()).collect()
    }
}

/// One acquire. True if it gave up.
async fn acquire(
    ground: &Ground,
    server: usize,
    proxy: &Proxy,
    direction: Direction,
    byte: usize,
    end: End,
    at: &str,
) -> bool {
    let zk = ground.ensemble;
    let context = format!("server {server}, {direction:?} cut after {byte} bytes, {end:?}");
    proxy.cut_after_bytes(direction, byte);
    let client = client_of(&proxy.address().to_string()).await;
    let session = client.session().id;
    let connections = proxy.connections();
    let others: Vec<_> = (0..zk.servers()).filter(|i| *i != server).collect();
    others.iter().for_each(|i| zk.freeze(*i));
    let handle = mutex(&client, at);
    let timeout = if end == End::TimedOut { STALL / 2 } else { LIMIT };
    let acquire = handle.lock(Some(timeout), "stalled");
    // Until it was cut. What the server answers when it has its quorum again is cut after that.
    let cut = async {
        while proxy.connections() == connections {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let _ = tokio::time::timeout(STALL, cut).await;
    let acquire = match end {
        End::Granted => Some(acquire),
        // The stall is to last for longer than its patience.
        End::TimedOut => {
            tokio::time::sleep(STALL).await;
            Some(acquire)
        }
        End::Dropped => {
            drop(acquire);
            None
        }
    };
    others.iter().for_each(|i| zk.thaw(*i));
    let gave_up = match acquire {
        None => true,
        Some(acquire) => match acquire.await {
            Ok(hold) => {
                let names = nodes(&client, at).await;
                assert_eq!(names.len(), 1, "{context}: {names:?}");
                hold.release().await.unwrap_or_else(|error| panic!("{context}: {error}"));
                false
            }
            Err(error) => {
                assert_eq!((end, error.code()), (End::TimedOut, Code::TIMEOUT), "{context}: {error}");
                true
            }
        },
    };
    // Of the same session: whatever it wrote before is decided before this, and what is left would go before it.
    let after = mutex(&client, at).lock(Some(LIMIT), "after").await;
    let hold = after.unwrap_or_else(|error| panic!("{context}: an orphan: {error}"));
    assert_eq!(client.session().id, session, "{context}: the session was to live on");
    // A clean-up may still be under way.
    until_one(&client, at, &context).await;
    hold.release().await.unwrap_or_else(|error| panic!("{context}: {error}"));
    let names = nodes(&client, at).await;
    assert!(names.is_empty(), "{context}: left behind: {names:?}");
    client.close(LIMIT).await.expect("closed");
    gave_up
}
