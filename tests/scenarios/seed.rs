//! What the Go package did wrong with locks, elections and connections, on whichever server the test that takes
//! this in names. The rows are those of the table in `docs/design.md`, which names the other tests of each.

use super::{client, server};
use crate::ground::*;
use crate::support::proxy::{Direction, Proxy};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zkhelper::proto::{CreateMode, Request};
use zkhelper::zk::OpOptions;
use zkhelper::{
    Client, Code, Elector, ElectorOptions, Hold, Mutex, MutexOptions, Options, State, Time, Tree, acl,
};

fn mutex(client: &Client, path: &str) -> Mutex {
    Mutex::new(client, path, MutexOptions::default()).expect("a mutex")
}

async fn lock(mutex: &Mutex) -> Hold {
    mutex.lock(Some(LIMIT), "test").await.expect("the lock")
}

/// There the node is persistent.
#[tokio::test]
async fn mutex_row_1_a_holder_that_crashed_locks_nobody_out() {
    let proxy = Proxy::new(server());
    let options = Options { session_timeout: Duration::from_secs(2), ..Options::default() };
    let holder = Client::connect(&proxy.address().to_string(), options).await.expect("a connection");
    let other = client().await;
    let at = path("crashed");
    let hold = lock(&mutex(&holder, &at)).await;
    let waiting = mutex(&other, &at).lock(Some(LIMIT), "waits");
    until_children(&other, &at, |names| names.len() == 2).await;
    // It is never heard of again.
    proxy.refuse(true);
    proxy.cut_now();
    assert!(waiting.await.expect("the lock").token() > hold.token());
}

/// There a panic is "acquired", a stray unlock deletes the directory or the other's node, a second lock
/// leaves the first node behind.
#[tokio::test]
async fn mutex_row_2_what_goes_wrong_is_an_error_and_deletes_nothing() {
    let client = client().await;
    let at = path("misused");
    let (one, two) = (mutex(&client, &at), mutex(&client, &at));
    Tree::new(&client).create(&at, b"", &acl::default(), CreateMode::Persistent).await.expect("made");
    assert_eq!(code(one.unlock().await), Code::NOT_HELD);
    assert!(Tree::new(&client).exists(&at).await.expect("an answer"));
    let hold = lock(&one).await;
    assert_eq!(code(two.unlock().await), Code::NOT_HELD);
    assert_eq!(code(one.lock(Some(Duration::from_millis(100)), "").await), Code::TIMEOUT);
    assert_eq!(children(&client, &at).await, ["lock-0000000000"]);
    assert!(hold.is_held());
    hold.release().await.expect("released");
    assert!(children(&client, &at).await.is_empty());

    let broken = meddled(&client, |request| {
        assert!(!matches!(request, Request::Create { .. }), "a panic that is meant");
        None
    });
    let broken = Mutex::over(broken, client.keeper().clone(), &at, MutexOptions::default()).expect("a mutex");
    assert!(broken.lock(Some(LIMIT), "").await.is_err() && !broken.is_held());
    assert!(children(&client, &at).await.is_empty());
}

/// There each wait leaves a watch, and each lock begins with the creation of its parent, which fails.
#[tokio::test]
async fn mutex_row_3_a_wait_leaves_no_watch_and_a_lock_asks_for_its_own_node_only() {
    let proxy = Proxy::new(server());
    let holder = client_of(&proxy.address().to_string()).await;
    let other = client().await;
    let at = path("lean");
    let handle = mutex(&holder, &at);
    lock(&handle).await.release().await.expect("released");
    let mut requests = Vec::new();
    for _ in 0..10 {
        let before = proxy.frames(Direction::ToServer);
        lock(&handle).await.release().await.expect("released");
        requests.push(proxy.frames(Direction::ToServer) - before);
    }
    // Create, list and delete; a ping may come in between, but not each time.
    assert_eq!(requests.iter().min(), Some(&3), "{requests:?}");
    let _hold = lock(&handle).await;
    for _ in 0..10 {
        assert_eq!(code(mutex(&other, &at).lock(Some(Duration::from_millis(20)), "").await), Code::TIMEOUT);
    }
    let end = Time::now() + LIMIT;
    while other.watch_count() > 0 {
        assert!(Time::now() < end, "{} watches are left", other.watch_count());
        tokio::task::yield_now().await;
    }
}

/// There a winner that was paused overwrites the record of the next one.
#[tokio::test]
async fn elector_row_2_a_winner_whose_candidate_is_gone_writes_no_record() {
    let client = client().await;
    let at = path("paused");
    let (candidate, once) = (format!("{at}/candidates/lock-0000000000"), AtomicBool::new(true));
    // Its candidate goes right before the record is written.
    let zk = meddled(&client, move |request| {
        let writes = request_paths(request).iter().any(|path| path.ends_with("/leader"));
        let first = writes && once.swap(false, Ordering::SeqCst);
        first.then(|| Request::Delete { path: candidate.clone(), version: -1 })
    });
    let elector =
        Elector::over(zk, client.keeper().clone(), &at, ElectorOptions::default()).expect("an elector");
    let outcome = tokio::time::timeout(LIMIT, elector.campaign()).await.expect("an end");
    let record = client.zk().get(&format!("{at}/leader"), OpOptions::default()).await;
    match outcome {
        // It stood again, and the record is the second candidate's.
        Ok(term) => {
            let own = format!("{at}/candidates/lock-0000000001");
            let node = client.zk().exists(&own, OpOptions::default()).await.expect("an answer");
            assert_eq!(node.map(|node| node.czxid), Some(term.token()));
            assert!(String::from_utf8_lossy(&record.expect("written").0).contains(&term.token().to_string()));
        }
        Err(error) => {
            assert_eq!(error.code(), Code::LOCK_LOST);
            assert_eq!(code(record), Code::NO_NODE);
        }
    }
}

fn request_paths(request: &Request) -> Vec<&str> {
    match request {
        Request::Multi(ops) => ops.iter().map(|op| op.path()).collect(),
        Request::SetData { path, .. } | Request::Create { path, .. } => vec![path],
        _ => Vec::new(),
    }
}

/// There events of the session are thrown away, and its timeout is always 30 s.
#[tokio::test]
async fn connect_row_states_are_told_and_the_argument_is_the_session_timeout() {
    let proxy = Proxy::new(server());
    let options = Options { session_timeout: Duration::from_secs(3), ..Options::default() };
    let client = Client::connect(&proxy.address().to_string(), options).await.expect("a connection");
    assert_eq!(client.session().timeout, Duration::from_secs(3));
    assert_eq!(Options::default().session_timeout, Duration::from_secs(10));
    let mut states = client.states();
    let mut next =
        async || tokio::time::timeout(LIMIT, states.recv()).await.expect("in time").expect("a state").state;
    assert_eq!(next().await, State::Connected);
    proxy.cut_now();
    assert_eq!(next().await, State::Suspended);
    assert_eq!(next().await, State::Connected);
}
