//! The scenarios of the mutex on the embedded server, and what Apache ZooKeeper cannot be brought to on
//! purpose.

#[path = "scenarios/elector.rs"]
mod elector;
#[path = "scenarios/lease.rs"]
mod lease;
#[path = "scenarios/mutex.rs"]
mod mutex;
#[path = "scenarios/persistent.rs"]
mod persistent;
#[path = "scenarios/revocation.rs"]
mod revocation;
mod support;

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;
use zkhelper::embedded::{Moment, Operation, Server};
use zkhelper::proto::{Acl, CreateMode, permissions};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Code, Hold, Loss, Mutex, MutexOptions, Options};

/// Ends a test that hangs; no working test comes near it.
const LIMIT: Duration = Duration::from_secs(120);

/// The tick of the tests' Apache ZooKeeper.
const TICK: Duration = Duration::from_millis(500);

/// The server that the scenarios share.
fn server() -> SocketAddr {
    static SERVER: LazyLock<Server> = LazyLock::new(|| Server::start_with_tick(0, TICK).expect("a server"));
    SERVER.address().parse().expect("an address")
}

/// A server of one's own that removes empty containers at once, and what stops it when it is dropped.
fn server_without_empty_containers() -> (String, Server) {
    let server = Server::start_with_tick(0, TICK).expect("a server");
    server.set_container_interval(Duration::from_millis(100));
    (server.address().to_owned(), server)
}

async fn client(server: &Server) -> Client {
    let options = Options { session_timeout: Duration::from_secs(4), ..Options::default() };
    Client::connect(server.address(), options).await.expect("a connection")
}

fn on(client: &Client, path: &str) -> Mutex {
    Mutex::new(client, path, MutexOptions::default()).expect("a mutex")
}

async fn lock(mutex: &Mutex) -> Hold {
    mutex.lock(Some(LIMIT), "test").await.expect("the lock")
}

async fn parent(client: &Client, path: &str) {
    let world = [Acl::world(permissions::ALL)];
    client.zk().create(path, b"", &world, CreateMode::Persistent, OpOptions::default()).await.expect("made");
}

async fn children(client: &Client, path: &str) -> usize {
    client.zk().children(path, OpOptions::default()).await.expect("a list").0.len()
}

#[tokio::test]
async fn the_word_embedded_is_one_server_for_the_process() {
    let one = Client::connect("embedded", Options::default()).await.expect("a connection");
    let two = Client::connect("embedded", Options::default()).await.expect("a connection");
    let hold = lock(&on(&one, "/zk/word")).await;
    let error = on(&two, "/zk/word").lock(Some(Duration::ZERO), "").await.expect_err("held");
    assert_eq!(error.code(), Code::TIMEOUT);
    hold.release().await.expect("released");
    for no_word in ["", "Embedded", "embedded/chroot ", "embedded,embedded"] {
        let options = Options { connect_timeout: Duration::from_millis(200), ..Options::default() };
        let error = Client::connect(no_word, options).await.expect_err(no_word);
        assert!([Code::BAD_ADDRESS, Code::CONNECTION_LOSS].contains(&error.code()), "{no_word}: {error}");
    }
}

#[tokio::test]
async fn mutex_row_4_near_the_end_of_the_sequence_the_lock_refuses_and_names_the_remedy() {
    let server = Server::start(0).expect("a server");
    let client = client(&server).await;
    parent(&client, "/end").await;
    // The last number that is used, then the first that is not, then where the counter sticks.
    server.set_sequence("/end", i32::MAX - (1 << 20)).expect("set");
    let handle = on(&client, "/end");
    lock(&handle).await.release().await.expect("released");
    for next in [i32::MAX - (1 << 20) + 1, i32::MAX - 1, i32::MAX, i32::MIN, -1] {
        server.set_sequence("/end", next).expect("set");
        let error = handle.lock(Some(LIMIT), "").await.expect_err("refused");
        assert_eq!(error.code(), Code::SEQUENCE_EXHAUSTED, "{next}");
        assert!(error.to_string().contains("delete \"/end\""), "{error}");
        assert_eq!(children(&client, "/end").await, 0, "{next}");
    }
    // The remedy, while nobody uses the lock.
    server.set_sequence("/end", 7).expect("set");
    let hold = lock(&handle).await;
    assert_eq!(handle.reset().await.expect_err("in use").code(), Code::NOT_EMPTY);
    assert!(hold.is_held());
    let token = hold.token();
    hold.release().await.expect("released");
    handle.reset().await.expect("idle");
    handle.reset().await.expect("nothing to reset");
    let hold = lock(&handle).await;
    assert_eq!(handle.contenders().await.expect("a list")[0].sequence, 0);
    assert!(hold.token() > token);
    hold.release().await.expect("released");
}

#[tokio::test]
async fn mutex_row_4_a_newcomer_at_the_end_of_the_sequence_does_not_get_in_beside_a_holder() {
    let server = Server::start(0).expect("a server");
    let client = client(&server).await;
    parent(&client, "/beside").await;
    server.set_sequence("/beside", i32::MAX - (1 << 20)).expect("set");
    let hold = lock(&on(&client, "/beside")).await;
    server.set_sequence("/beside", i32::MIN).expect("set");
    let error = on(&client, "/beside").lock(Some(LIMIT), "").await.expect_err("refused");
    assert_eq!(error.code(), Code::SEQUENCE_EXHAUSTED);
    assert!(hold.is_held());
    hold.release().await.expect("released");
    assert_eq!(children(&client, "/beside").await, 0);
}

#[tokio::test]
async fn an_answer_that_does_not_come_leaves_one_node_whether_the_request_was_applied_or_not() {
    let server = Server::start(0).expect("a server");
    let client = client(&server).await;
    parent(&client, "/lost").await;
    let handle = on(&client, "/lost");
    for moment in [Moment::BeforeApplying, Moment::AfterApplying] {
        for operation in [Operation::Create, Operation::GetChildren, Operation::Delete] {
            server.cut(operation, 1, moment);
            let hold = lock(&handle).await;
            assert_eq!(children(&client, "/lost").await, 1, "{operation:?} {moment:?}");
            hold.release().await.expect("released");
            assert_eq!(children(&client, "/lost").await, 0, "{operation:?} {moment:?}");
            server.clear_cuts();
        }
    }
}

#[tokio::test]
async fn a_server_without_a_quorum_answers_reads_and_the_loss_is_told_all_the_same() {
    let server = Server::start_with_tick(0, Duration::from_millis(200)).expect("a server");
    let options = Options { session_timeout: Duration::from_secs(1), ..Options::default() };
    let client = Client::connect(server.address(), options).await.expect("a connection");
    let handle = on(&client, "/isolated");
    let mut losses = handle.losses();
    let hold = lock(&handle).await;
    server.isolate();
    // Reads go on being answered, and prove nothing.
    let reader = client.clone();
    let reading = tokio::spawn(async move {
        while reader.zk().exists("/", OpOptions::default()).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
    let lost = losses.recv().await.expect("told");
    assert_eq!(lost.reason, Loss::LeaseRanOut);
    assert!(!hold.is_held());
    reading.abort();
    server.rejoin();
}

#[tokio::test]
async fn a_server_that_freezes_and_thaws_in_time_loses_no_lock() {
    let server = Server::start(0).expect("a server");
    let client = client(&server).await;
    let handle = on(&client, "/frozen");
    let hold = lock(&handle).await;
    server.freeze();
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.thaw();
    assert_eq!(children(&client, "/frozen").await, 1);
    assert!(hold.is_held());
    hold.release().await.expect("released");
}

#[tokio::test]
async fn an_expired_session_is_told_and_the_waiter_is_served() {
    let server = Server::start(0).expect("a server");
    let (one, two) = (client(&server).await, client(&server).await);
    let handle = on(&one, "/expire");
    let mut losses = handle.losses();
    let hold = lock(&handle).await;
    let other = on(&two, "/expire");
    let waiting = other.lock(Some(LIMIT), "waits");
    while children(&two, "/expire").await < 2 {}
    server.expire(one.session().id).expect("expired");
    let next = waiting.await.expect("the lock");
    assert!(next.token() > hold.token());
    // Whichever is heard first: the end of the session, or that it took the node along.
    let reason = losses.recv().await.expect("told").reason;
    assert!([Loss::SessionOver, Loss::NodeDeleted].contains(&reason), "{reason:?}");
    next.release().await.expect("released");
}
