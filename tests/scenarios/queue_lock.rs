//! What queue locks do, on whichever server the test that takes this in names.

use super::{
    LIMIT, children, client, client_of, code, end_session, grow, meddled, own_server, path, server,
    until_children,
};
use crate::support::proxy::Proxy;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use zkhelper::proto::{Acl, CreateMode, Request, permissions};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Code, QueueLock, QueueLockOptions, Tree, acl, path as paths};

const CHECK: Option<Duration> = Some(Duration::ZERO);

fn queue(client: &Client, at: &str) -> QueueLock {
    QueueLock::new(client, at, QueueLockOptions::default()).expect("a queue lock")
}

async fn delete(client: &Client, at: &str, name: &str) {
    client.zk().delete(&format!("{at}/{name}"), -1, OpOptions::default()).await.expect("deleted");
}

#[tokio::test]
async fn the_lowest_name_of_all_children_holds_the_lock() {
    let client = client().await;
    let at = path("names");
    grow(&client, &at, &["job-10", "job-9", "other", "a"]).await;
    let lock = queue(&client, &at);
    lock.obtain("a", CHECK).await.expect("the first");
    for (name, before) in [("job-10", "a"), ("job-9", "job-10"), ("other", "job-9")] {
        let error = lock.obtain(name, CHECK).await.expect_err("not the first");
        assert_eq!(error.code(), Code::TIMEOUT);
        assert!(error.to_string().contains(before), "{error}");
    }
    // Whoever comes with a lower name goes before the holder.
    grow(&client, &at, &["0"]).await;
    assert_eq!(code(lock.obtain("a", CHECK).await), Code::TIMEOUT);
    assert_eq!(children(&client, &at).await, ["0", "a", "job-10", "job-9", "other"]);
    // Each in turn, all waiting at the same time.
    let waiting: Vec<_> =
        ["a", "job-10", "job-9", "other"].map(|name| (name, lock.obtain(name, Some(LIMIT)))).into();
    delete(&client, &at, "0").await;
    for (name, obtain) in waiting {
        obtain.await.expect("its turn");
        assert_eq!(children(&client, &at).await[0], name);
        delete(&client, &at, name).await;
    }
}

#[tokio::test]
async fn a_wait_that_fails_says_why_and_leaves_the_callers_node() {
    let client = client().await;
    let at = path("fails");
    grow(&client, &at, &["a", "b"]).await;
    let lock = queue(&client, &at);
    let short = Some(Duration::from_millis(100));
    assert_eq!(code(lock.obtain("b", short).await), Code::TIMEOUT);
    // An interrupt ends the wait that is under way, or the next one.
    lock.interrupt();
    assert_eq!(code(lock.obtain("b", Some(LIMIT)).await), Code::INTERRUPTED);
    let waiting = lock.obtain("b", None);
    lock.interrupt();
    assert_eq!(code(waiting.await), Code::INTERRUPTED);
    assert_eq!(code(lock.obtain("b", None).cancel().await), Code::CANCELLED);
    drop(lock.obtain("b", None));
    assert_eq!(code(lock.obtain("c", Some(LIMIT)).await), Code::NO_NODE);
    assert_eq!(code(queue(&client, &path("absent")).obtain("c", CHECK).await), Code::NO_NODE);
    for bad in ["", "x/y", "..", "a\0"] {
        let code = code(lock.obtain(bad, CHECK).await);
        assert!([Code::BAD_PATH, Code::BAD_ARGUMENT].contains(&code), "{bad:?}: {code:?}");
    }
    let waiting = lock.obtain("b", None);
    lock.clone().close();
    assert_eq!(code(waiting.await), Code::CLOSED);
    assert_eq!(code(lock.obtain("a", CHECK).await), Code::CLOSED);
    assert_eq!(children(&client, &at).await, ["a", "b"]);
    // A node that is deleted under its waiter ends the wait at once.
    let lock = queue(&client, &at);
    let waiting = lock.obtain("b", None);
    until_watched(&client).await;
    delete(&client, &at, "b").await;
    assert_eq!(code(waiting.await), Code::NO_NODE);
}

/// Waits until the one wait of this client has armed its watches.
async fn until_watched(client: &Client) {
    while client.watch_count() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn queue_lock_row_a_predecessor_that_vanishes_in_between_does_not_hang_the_wait() {
    let client = client().await;
    let at = path("between");
    grow(&client, &at, &["a", "b"]).await;
    // The list still shows it; it is deleted right before it is watched.
    let victim = format!("{at}/a");
    let zk = meddled(&client, move |request| {
        let watched = matches!(request, Request::Exists { path, .. } if *path == victim);
        watched.then(|| Request::Delete { path: victim.clone(), version: -1 })
    });
    let lock = QueueLock::over(zk, &at, QueueLockOptions::default()).expect("a queue lock");
    lock.obtain("b", Some(LIMIT)).await.expect("its turn");
}

#[tokio::test]
async fn queue_lock_row_a_node_that_the_lock_made_is_gone_if_the_lock_is_not_obtained() {
    let client = client().await;
    let at = path("own");
    let first = queue(&client, &at);
    let hold = first.lock(Some(LIMIT), "holds").await.expect("the lock");
    assert_eq!(first.token(), Some(hold.token()));
    assert_eq!(children(&client, &at).await, ["lock-0000000000"]);
    let second = queue(&client, &at);
    let both = |names: &[String]| names.len() == 2;
    let alone = |names: &[String]| names.len() == 1;
    assert_eq!(code(second.lock(CHECK, "").await), Code::TIMEOUT);
    assert!(alone(&children(&client, &at).await));
    assert_eq!(code(second.lock(Some(Duration::from_millis(200)), "").await), Code::TIMEOUT);
    assert!(alone(&children(&client, &at).await));
    let waiting = second.lock(None, "");
    until_children(&client, &at, both).await;
    second.interrupt();
    assert_eq!(code(waiting.await), Code::INTERRUPTED);
    assert!(alone(&children(&client, &at).await));
    for wait_for_it in [true, false] {
        let waiting = second.lock(None, "");
        if wait_for_it {
            until_children(&client, &at, both).await;
        }
        drop(waiting);
        until_children(&client, &at, alone).await;
    }
    let waiting = second.lock(None, "");
    until_children(&client, &at, both).await;
    second.close();
    assert_eq!(code(waiting.await), Code::CLOSED);
    until_children(&client, &at, alone).await;
    // The holder lets the next one in, in any of three ways.
    hold.release().await.expect("released");
    assert_eq!(code(first.unlock().await), Code::NOT_HELD);
    drop(first.lock(Some(LIMIT), "").await.expect("the lock"));
    let token = first.lock(Some(LIMIT), "").await.expect("the lock").keep();
    assert_eq!(first.token(), Some(token));
    first.unlock().await.expect("released");
    assert!(children(&client, &at).await.is_empty());
    // A node that somebody deleted was no lock any more.
    let hold = first.lock(Some(LIMIT), "").await.expect("the lock");
    Tree::new(&client).delete(&at, -1).await.expect("deleted");
    assert_eq!(code(hold.release().await), Code::LOCK_LOST);
}

/// An interrupt that comes while an acquire cleans up, which failed by an error of its own, is for whoever waits.
#[tokio::test]
async fn an_acquire_that_is_refused_takes_no_interrupt_from_the_next_one_of_its_handle() {
    let client = client().await;
    let at = path("refused");
    // Nodes may be made and deleted there, and nobody sees them.
    let blind = vec![Acl::world(permissions::CREATE | permissions::DELETE)];
    client.zk().create(&at, b"", &blind, CreateMode::Persistent, OpOptions::default()).await.expect("made");
    let handle: Arc<OnceLock<QueueLock>> = Arc::default();
    let interrupted = Arc::clone(&handle);
    let zk = meddled(&client, move |request| {
        if matches!(request, Request::Delete { .. }) {
            interrupted.get().expect("the handle").interrupt();
        }
        None
    });
    let lock = QueueLock::over(zk, &at, QueueLockOptions::default()).expect("a queue lock");
    handle.set(lock.clone()).expect("once");
    let refused = lock.lock(Some(LIMIT), "");
    let next = lock.lock(Some(LIMIT), "");
    assert_eq!(code(refused.await), Code::NO_AUTH);
    assert_eq!(code(next.await), Code::INTERRUPTED);
}

#[tokio::test]
async fn a_node_says_who_made_it_and_its_parents_are_made() {
    let client = client().await;
    let at = path("says") + "/deep";
    let mut options = QueueLockOptions { prefix: "job-".to_owned(), acl: acl::file(), ..Default::default() };
    options.contents_json(r#"{"role": "blue"}"#).expect("an object");
    let lock = QueueLock::new(&client, &at, options.clone()).expect("a queue lock");
    let hold = lock.lock(Some(LIMIT), "report").await.expect("the lock");
    let (data, stat) =
        client.zk().get(&format!("{at}/job-0000000000"), OpOptions::default()).await.expect("there");
    let object: serde_json::Value = serde_json::from_slice(&data).expect("JSON");
    assert_eq!((&object["desc"], &object["role"]), (&"report".into(), &"blue".into()));
    assert_eq!((stat.czxid, stat.ephemeral_owner), (hold.token(), client.session().id));
    // A queue of numbered nodes that are made otherwise is obtained all the same.
    let mode = CreateMode::PersistentSequential;
    let job = Tree::new(&client).create(&format!("{at}/job-"), b"", &acl::file(), mode).await.expect("made");
    let waiting = lock.obtain(paths::name(&job), Some(LIMIT));
    hold.release().await.expect("released");
    waiting.await.expect("its turn");
    for (prefix, acl) in [("", acl::file()), ("a/b", acl::file()), ("a\0", acl::file()), ("a", Vec::new())] {
        let options = QueueLockOptions { prefix: prefix.to_owned(), acl, ..options.clone() };
        assert_eq!(code(QueueLock::new(&client, &at, options)), Code::BAD_ARGUMENT, "{prefix:?}");
    }
    assert_eq!(code(QueueLock::new(&client, "a/", options.clone())), Code::BAD_PATH);
    assert_eq!(code(options.contents_json("[]")), Code::BAD_ARGUMENT);
}

#[tokio::test]
async fn waiters_are_served_in_order_through_the_end_of_sessions_and_cut_connections() {
    let proxy = Proxy::new(server());
    let (steady, shaky) = (client().await, client_of(&proxy.address().to_string()).await);
    let at = path("shaky");
    let hold = queue(&steady, &at).lock(Some(LIMIT), "").await.expect("the lock");
    let shaken = queue(&shaky, &at);
    let waiting = shaken.lock(Some(LIMIT), "");
    until_children(&steady, &at, |names| names.len() == 2).await;
    let last = queue(&steady, &at);
    let behind = last.lock(Some(LIMIT), "");
    let names = until_children(&steady, &at, |names| names.len() == 3).await;
    proxy.cut_now();
    shaky.zk().sync("/", OpOptions::default()).await.expect("connected again");
    assert_eq!(children(&steady, &at).await, names, "a cut costs no place");
    // The end of a session does, and makes no two of it.
    end_session(&shaky, &server().to_string()).await;
    until_children(&steady, &at, |now| now.len() == 3 && now.contains(&"lock-0000000003".to_owned())).await;
    // The caller's own persistent node outlives sessions, and so does the wait for it.
    grow(&steady, &at, &["zzz"]).await;
    let patient = queue(&shaky, &at);
    let own = patient.obtain("zzz", Some(LIMIT));
    end_session(&shaky, &server().to_string()).await;
    hold.release().await.expect("released");
    let hold = behind.await.expect("the lock");
    hold.release().await.expect("released");
    let hold = waiting.await.expect("the lock");
    proxy.cut_now();
    hold.release().await.expect("released");
    own.await.expect("its turn");
}

#[tokio::test]
async fn waiters_are_served_through_a_restart_of_the_server() {
    let mut server = own_server();
    let client = client_of(&server.address()).await;
    let other = client_of(&server.address()).await;
    let hold = queue(&client, "/restart").lock(Some(LIMIT), "").await.expect("the lock");
    let lock = queue(&other, "/restart");
    let waiting = lock.lock(Some(LIMIT), "");
    until_children(&client, "/restart", |names| names.len() == 2).await;
    server.restart();
    assert_eq!(until_children(&client, "/restart", |names| names.len() == 2).await.len(), 2);
    hold.release().await.expect("released");
    let hold = waiting.await.expect("the lock");
    server.restart();
    hold.release().await.expect("released");
    assert!(children(&client, "/restart").await.is_empty());
}
