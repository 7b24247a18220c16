//! The embedded server and its faults: scenarios 96 to 104, each on a server of its own.

use crate::ground::*;
use zkhelper::embedded::{Moment, Operation, Server};

/// A server with two clients, whose session timeout is 1 s.
async fn begin() -> (Server, Client, Client, Mutex) {
    let server = Server::start_with_tick(0, Duration::from_millis(200)).expect("a server");
    let options = Options { session_timeout: Duration::from_secs(1), ..Options::default() };
    let a = Client::connect(server.address(), options.clone()).await.expect("a connection");
    let b = Client::connect(server.address(), options).await.expect("a connection");
    let handle = mutex(&a, "/zk/lock");
    (server, a, b, handle)
}

async fn lease_runs_out(handle: &Mutex, spoil: impl AsyncFnOnce()) {
    let mut losses = handle.losses();
    let hold = lock(handle).await;
    spoil().await;
    assert_eq!(within(losses.recv()).await.expect("told").reason, Loss::LeaseRanOut);
    assert!(!hold.is_held());
}

#[tokio::test]
async fn s96_embedded_is_one_server() {
    let (a, b) = (connect("embedded").await, connect("embedded").await);
    let at = home(&a).await + "/lock";
    let _hold = lock(&mutex(&a, &at)).await;
    assert_eq!(code(tries(&mutex(&b, &at)).await), Code::TIMEOUT);
}

#[tokio::test]
async fn s97_lost_answer_leaves_one_node() {
    let (server, _, b, handle) = begin().await;
    lock(&handle).await.release().await.expect("released");
    for moment in [Moment::BeforeApplying, Moment::AfterApplying] {
        for operation in [Operation::Create, Operation::Delete] {
            server.cut(operation, 1, moment);
            let hold = lock(&handle).await;
            assert_eq!(names(&b, "/zk/lock").await.len(), 1, "{operation:?} {moment:?}");
            hold.release().await.expect("released");
            assert!(names(&b, "/zk/lock").await.is_empty(), "{operation:?} {moment:?}");
        }
    }
    assert_eq!(server.cuts_left(), 0);
}

#[tokio::test]
async fn s98_frozen_server_is_a_loss_in_time() {
    let (server, _, _, handle) = begin().await;
    lease_runs_out(&handle, async || server.freeze()).await;
}

#[tokio::test]
async fn s99_no_quorum_is_a_loss_in_time() {
    let (server, _, b, handle) = begin().await;
    lease_runs_out(&handle, async || {
        server.isolate();
        assert!(stat(&b, "/").await.is_some());
    })
    .await;
}

#[tokio::test]
async fn s100_expiry_serves_the_waiter() {
    let (server, a, b, handle) = begin().await;
    let mut losses = handle.losses();
    let hold = lock(&handle).await;
    let waiting = mutex(&b, "/zk/lock").lock(WAIT, "");
    until(&b, "/zk/lock", 2).await;
    server.expire(a.session().id).expect("expired");
    assert!(waiting.await.expect("the lock").token() > hold.token());
    assert_eq!(within(losses.recv()).await.expect("told").token, hold.token());
}

#[tokio::test]
async fn s101_end_of_the_sequence_is_refused() {
    let (server, a, b, handle) = begin().await;
    lock(&handle).await.release().await.expect("released");
    server.set_sequence("/zk/lock", i32::MAX - 4).expect("set");
    assert_eq!(code(handle.lock(WAIT, "").await), Code::SEQUENCE_EXHAUSTED);
    let queue = QueueLock::new(&a, "/zk/lock", QueueLockOptions::default()).expect("a queue lock");
    assert_eq!(code(queue.lock(WAIT, "").await), Code::SEQUENCE_EXHAUSTED);
    until(&b, "/zk/lock", 0).await;
    handle.reset().await.expect("reset");
    drop(lock(&handle).await);
}

#[tokio::test]
async fn s102_write_without_an_answer_is_unknown() {
    let (server, a, _, _) = begin().await;
    let home = home(&a).await;
    server.cut(Operation::SetData, 1, Moment::AfterApplying);
    assert_eq!(code(a.zk().set(&home, b"new", -1, O).await), Code::OUTCOME_UNKNOWN);
    assert_eq!(read(&a, &home).await.0, "new");
}

#[tokio::test]
async fn s103_read_without_an_answer_is_made_again() {
    let (server, a, _, _) = begin().await;
    let home = home(&a).await;
    let session = a.session().id;
    server.cut(Operation::GetData, 1, Moment::BeforeApplying);
    assert_eq!(read(&a, &home).await.0, "");
    assert_eq!((a.session().id, server.cuts_left()), (session, 0));
}

#[tokio::test]
async fn s104_watches_survive_a_cut() {
    let (server, a, b, _) = begin().await;
    let home = home(&a).await;
    let at = make(&b, &format!("{home}/n"), PLAIN).await;
    let (got, once) = a.zk().get_watch(&home, O);
    got.await.expect("there");
    let mut stays = a.add_watch(&at, WatchMode::Persistent).await.expect("armed");
    server.cut(Operation::Exists, 1, Moment::BeforeApplying);
    stat(&a, &home).await;
    assert_eq!(within(stays.next()).await.expect("told").kind, WatchEventKind::MayHaveMissed);
    set(&b, &home, "1").await;
    set(&b, &at, "1").await;
    let changed = WatchEventKind::Node(EventType::DataChanged);
    assert_eq!(within(once).await, WatchEvent { kind: changed, path: home });
    assert_eq!(within(stays.next()).await, Some(WatchEvent { kind: changed, path: at }));
}
