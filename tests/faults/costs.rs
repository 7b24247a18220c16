//! What keeping and handing over locks costs, counted in requests at the server.

use crate::ground::{LIMIT, alone, block_on};
use crate::support::proxy::{Direction, Proxy};
use crate::support::unique;
use crate::support::zookeeper::{Ensemble, shared_single};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Hold, Mutex, MutexOptions, Options, Strict, Time};

/// With a server that has no other clients.
struct Ground {
    server: &'static Ensemble,
    _alone: std::sync::MutexGuard<'static, ()>,
}

impl Ground {
    fn new() -> Self {
        Self { _alone: alone(), server: shared_single() }
    }

    /// Requests the server got so far, the word that asks for it not counted.
    fn requests(&self) -> u64 {
        static WORDS: AtomicU64 = AtomicU64::new(0);
        let words = 1 + WORDS.fetch_add(1, Ordering::SeqCst);
        self.server.packets_received(0) - words
    }
}

async fn client(proxy: &Proxy, timeout: Duration) -> Client {
    let options = Options { session_timeout: timeout, ..Options::default() };
    Client::connect(&proxy.address().to_string(), options).await.expect("a connection")
}

async fn lock(mutex: &Mutex) -> Hold {
    mutex.lock(Some(LIMIT), "test").await.expect("the lock")
}

/// The longest that the server grants, so that nothing else is sent within a cycle.
const QUIET: Duration = Duration::from_secs(10);

/// The first holder of a strict path waits for as long.
const LEASE: Duration = Duration::from_secs(6);

/// A handle in each mode.
fn modes(client: &Client, path: &str) -> [(&'static str, Mutex); 2] {
    let strict = MutexOptions { strict: Some(Strict { lease: LEASE, delay: LEASE }), ..Default::default() };
    [("default", MutexOptions::default()), ("strict", strict)].map(|(mode, options)| {
        (mode, Mutex::new(client, &format!("{path}/{mode}"), options).expect("a mutex"))
    })
}

#[test]
fn an_uncontended_cycle_takes_three_requests_in_two_flights_in_either_mode() {
    let ground = Ground::new();
    block_on(async {
        let proxy = Proxy::new(ground.server.address(0));
        let client = client(&proxy, QUIET).await;
        let base = format!("/zk/{}", unique("cycle"));
        for (mode, mutex) in modes(&client, &base) {
            lock(&mutex).await.release().await.expect("released");
            let mut cycles = Vec::new();
            // A keep-alive may come in between by bad luck, but not each time.
            for _ in 0..10 {
                let (before, flights) = (ground.requests(), proxy.chunks(Direction::ToServer));
                lock(&mutex).await.release().await.expect("released");
                cycles.push((ground.requests() - before, proxy.chunks(Direction::ToServer) - flights));
            }
            let least = cycles.iter().min().expect("cycles");
            println!("uncontended cycle, {mode}: {} requests in {} flights", least.0, least.1);
            assert_eq!(*least, (3, 2), "{mode}: {cycles:?}");
        }
        client.close(LIMIT).await.expect("closed");
    });
}

#[test]
fn a_clean_hand_over_takes_the_event_alone_and_in_strict_mode_one_read() {
    let ground = Ground::new();
    block_on(async {
        let proxies = [Proxy::new(ground.server.address(0)), Proxy::new(ground.server.address(0))];
        let clients = [client(&proxies[0], QUIET).await, client(&proxies[1], QUIET).await];
        let base = format!("/zk/{}", unique("hand-over"));
        let [first, second] = [modes(&clients[0], &base), modes(&clients[1], &base)];
        for (((mode, first), (_, second)), expected) in first.into_iter().zip(second).zip([0, 1]) {
            lock(&first).await.release().await.expect("released");
            let mut costs = Vec::new();
            for _ in 0..10 {
                let hold = lock(&first).await;
                let waiting = second.lock(Some(LIMIT), "waits");
                // Its watches are on its own node and on the one before it.
                while clients[1].watch_count() < 2 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                clients[1].zk().exists("/", OpOptions::default()).await.expect("answered");
                let (before, flights) = (ground.requests(), proxies[1].chunks(Direction::ToServer));
                hold.release().await.expect("released");
                let next = waiting.await.expect("the lock");
                // The release itself is the holder's.
                costs
                    .push((ground.requests() - before - 1, proxies[1].chunks(Direction::ToServer) - flights));
                next.release().await.expect("released");
            }
            let least = costs.iter().min().expect("hand-overs");
            println!("clean hand-over, {mode}: {} reads by the next holder", least.0);
            assert_eq!(*least, (expected, usize::try_from(expected).expect("small")), "{mode}: {costs:?}");
        }
        for client in clients {
            client.close(LIMIT).await.expect("closed");
        }
    });
}

#[test]
fn a_thousand_locks_of_one_client_are_renewed_by_one_request_in_an_interval() {
    const LOCKS: usize = 1000;
    const TIMEOUT: Duration = Duration::from_secs(6);
    let ground = Ground::new();
    block_on(async {
        let proxy = Proxy::new(ground.server.address(0));
        let client = client(&proxy, TIMEOUT).await;
        let interval = TIMEOUT / 6;
        let base = format!("/zk/{}", unique("thousand"));
        let locks: Vec<_> = (0..LOCKS)
            .map(|i| Mutex::new(&client, &format!("{base}/{i}"), MutexOptions::default()).expect("a mutex"))
            .collect();
        let acquires: Vec<_> = locks.iter().map(|mutex| mutex.lock(Some(LIMIT), "one of many")).collect();
        let mut holds = Vec::new();
        for acquire in acquires {
            holds.push(acquire.await.expect("the lock"));
        }
        // The first renewal reads each node once, to watch it; then there is an interval without reads.
        let settled = Time::now() + LIMIT;
        loop {
            let before = ground.requests();
            tokio::time::sleep(interval).await;
            let sent = ground.requests() - before;
            if client.watch_count() == LOCKS && sent < 20 {
                break;
            }
            assert!(
                Time::now() < settled,
                "{sent} requests in an interval, {} watches",
                client.watch_count()
            );
        }
        let promised = holds[0].valid_until().expect("held");
        let (start, requests) = (Time::now(), ground.requests());
        let bytes = [Direction::ToServer, Direction::ToClient].map(|way| proxy.bytes(way));
        tokio::time::sleep(interval * 6).await;
        let requests = ground.requests() - requests;
        let took = Time::now().since(start);
        let [up, down] = [Direction::ToServer, Direction::ToClient].map(|way| proxy.bytes(way));
        let seconds = took.as_secs_f64();
        println!(
            "{LOCKS} locks, session timeout {TIMEOUT:?}: {requests} requests in {seconds:.1} s, {:.2} a second; {:.1} kB/s up, {:.1} kB/s down",
            requests as f64 / seconds,
            (up - bytes[0]) as f64 / 1000.0 / seconds,
            (down - bytes[1]) as f64 / 1000.0 / seconds,
        );
        // One in an interval; the odd keep-alive between.
        let intervals = (seconds / interval.as_secs_f64()).ceil() as u64;
        assert!((2..=intervals * 2).contains(&requests), "{requests} requests in {intervals} intervals");
        assert!(holds[0].valid_until() > Some(promised), "not renewed");
        assert!(holds.iter().all(Hold::is_held), "a lock was lost");
        for hold in holds {
            hold.release().await.expect("released");
        }
        client.close(LIMIT).await.expect("closed");
    });
}
