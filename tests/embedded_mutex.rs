//! The mutex under the embedded server's faults: what a user's own test can do to it.

use std::time::{Duration, Instant};
use zkhelper::embedded::{Moment, Operation, Server};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Mutex, MutexOptions, Options};

/// Ends a test that hangs; no working test comes near it.
const LIMIT: Duration = Duration::from_secs(60);
const SESSION_TIMEOUT: Duration = Duration::from_secs(1);

fn start() -> Server {
    Server::start_with_tick(0, Duration::from_millis(100)).expect("a free port")
}

async fn client(server: &Server) -> Client {
    let options = Options { session_timeout: SESSION_TIMEOUT, ..Options::default() };
    Client::connect(server.address(), options).await.expect("a connection")
}

fn mutex(client: &Client) -> Mutex {
    Mutex::new(client, "/locks/one", MutexOptions::default()).expect("a mutex")
}

async fn children(client: &Client) -> usize {
    client.zk().children("/locks/one", OpOptions::default()).await.expect("a list").0.len()
}

async fn eventually(what: &str, look: impl Fn() -> bool) {
    let start = Instant::now();
    while !look() {
        assert!(start.elapsed() < LIMIT, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_lost_request_or_answer_of_a_create_makes_exactly_one_node() {
    let server = start();
    let client = client(&server).await;
    let mutex = mutex(&client);
    mutex.lock(Some(LIMIT), "makes the parents").await.expect("the lock").release().await.expect("released");
    for moment in [Moment::BeforeApplying, Moment::AfterApplying] {
        server.cut(Operation::Create, 1, moment);
        let hold = mutex.lock(Some(LIMIT), "test").await.expect("the lock");
        assert_eq!((server.cuts_left(), children(&client).await), (0, 1), "{moment:?}");
        hold.release().await.expect("released");
        assert_eq!(children(&client).await, 0, "{moment:?}");
    }
}

#[tokio::test]
async fn a_lost_answer_of_a_delete_leaves_no_node() {
    let server = start();
    let client = client(&server).await;
    let mutex = mutex(&client);
    for moment in [Moment::BeforeApplying, Moment::AfterApplying] {
        let hold = mutex.lock(Some(LIMIT), "test").await.expect("the lock");
        server.cut(Operation::Delete, 1, moment);
        hold.release().await.expect("released");
        assert_eq!((server.cuts_left(), children(&client).await), (0, 0), "{moment:?}");
    }
}

#[tokio::test]
async fn a_session_ended_by_the_server_hands_the_lock_to_the_waiter() {
    let server = start();
    let (holder, waiter) = (client(&server).await, client(&server).await);
    let (held, wanted) = (mutex(&holder), mutex(&waiter));
    let hold = held.lock(Some(LIMIT), "first").await.expect("the lock");
    let waiting = wanted.lock(Some(LIMIT), "second");
    server.expire(holder.session().id).expect("the session lives");
    let next = waiting.await.expect("the lock");
    assert!(next.token() > hold.token());
    eventually("the loss", || !hold.is_held()).await;
}

#[tokio::test]
async fn a_holder_on_a_server_without_its_quorum_stops_trusting_its_lock() {
    let server = start();
    let client = client(&server).await;
    let mutex = mutex(&client);
    let hold = mutex.lock(Some(LIMIT), "test").await.expect("the lock");
    let begin = Instant::now();
    server.isolate();
    eventually("the loss", || !hold.is_held()).await;
    assert!(begin.elapsed() < SESSION_TIMEOUT * 2, "{:?}", begin.elapsed());
    server.rejoin();
}

#[tokio::test]
async fn a_frozen_server_loses_no_lock_if_it_thaws_in_time() {
    let server = start();
    let client = client(&server).await;
    let mutex = mutex(&client);
    let hold = mutex.lock(Some(LIMIT), "test").await.expect("the lock");
    // Let the lease be renewed, so that the freeze begins with most of it left.
    tokio::time::sleep(SESSION_TIMEOUT / 2).await;
    server.freeze();
    tokio::time::sleep(SESSION_TIMEOUT / 5).await;
    server.thaw();
    tokio::time::sleep(SESSION_TIMEOUT).await;
    assert!(hold.is_held());
    hold.release().await.expect("released");
}

#[tokio::test]
async fn a_lock_whose_sequence_nears_its_end_is_refused() {
    let server = start();
    let client = client(&server).await;
    let mutex = mutex(&client);
    mutex.lock(Some(LIMIT), "makes the parents").await.expect("the lock").release().await.expect("released");
    server.set_sequence("/locks/one", i32::MAX - 5).expect("the node is there");
    let error = mutex.lock(Some(LIMIT), "too late").await.expect_err("refused");
    assert_eq!(error.code(), zkhelper::Code::SEQUENCE_EXHAUSTED, "{error}");
    assert_eq!(children(&client).await, 0);
}
