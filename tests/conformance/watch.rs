//! Watches: scenarios 25 to 32.

use super::address;
use crate::ground::*;
use EventType::{ChildrenChanged, Created, DataChanged, Deleted};
use zkhelper::client::WatchStream;

async fn begin() -> (Client, Client, String) {
    let (a, b) = (connect(&address()).await, connect(&address()).await);
    let home = home(&a).await;
    (a, b, home)
}

fn event(kind: EventType, path: &str) -> WatchEvent {
    WatchEvent { kind: WatchEventKind::Node(kind), path: path.to_owned() }
}

async fn next(stream: &mut WatchStream) -> WatchEvent {
    within(stream.next()).await.expect("an event")
}

#[tokio::test]
async fn s25_data_watch_fires_once() {
    let (a, b, home) = begin().await;
    let (got, first) = a.zk().get_watch(&home, O);
    got.await.expect("there");
    set(&b, &home, "1").await;
    assert_eq!(within(first).await, event(DataChanged, &home));
    let (got, second) = a.zk().get_watch(&home, O);
    assert_eq!(got.await.expect("there").0, b"1");
    set(&b, &home, "2").await;
    assert_eq!(within(second).await, event(DataChanged, &home));
}

#[tokio::test]
async fn s26_exists_watch_sees_a_creation() {
    let (a, b, home) = begin().await;
    let at = home + "/n";
    let (answer, watch) = a.zk().exists_watch(&at, O);
    assert_eq!(answer.await.expect("an answer"), None);
    make(&b, &at, PLAIN).await;
    assert_eq!(within(watch).await, event(Created, &at));
}

#[tokio::test]
async fn s27_children_watch_sees_a_child() {
    let (a, b, home) = begin().await;
    let (list, watch) = a.zk().children_watch(&home, O);
    assert!(list.await.expect("a list").0.is_empty());
    make(&b, &format!("{home}/c"), PLAIN).await;
    assert_eq!(within(watch).await, event(ChildrenChanged, &home));
}

#[tokio::test]
async fn s28_data_watch_sees_a_deletion() {
    let (a, b, home) = begin().await;
    let at = make(&a, &(home + "/n"), PLAIN).await;
    let (got, watch) = a.zk().get_watch(&at, O);
    got.await.expect("there");
    delete(&b, &at).await;
    assert_eq!(within(watch).await, event(Deleted, &at));
    assert_eq!(code(a.zk().get_watch(&at, O).0.await), Code::NO_NODE);
}

#[tokio::test]
async fn s29_persistent_watch_stays() {
    let (a, b, home) = begin().await;
    let at = home + "/n";
    let mut watch = a.add_watch(&at, WatchMode::Persistent).await.expect("armed");
    make(&b, &at, PLAIN).await;
    set(&b, &at, "1").await;
    let child = make(&b, &format!("{at}/c"), PLAIN).await;
    delete(&b, &child).await;
    delete(&b, &at).await;
    for kind in [Created, DataChanged, ChildrenChanged, ChildrenChanged, Deleted] {
        assert_eq!(next(&mut watch).await, event(kind, &at));
    }
}

#[tokio::test]
async fn s30_recursive_watch_sees_what_is_below() {
    let (a, b, home) = begin().await;
    let mut watch = a.add_watch(&home, WatchMode::PersistentRecursive).await.expect("armed");
    let above = make(&b, &format!("{home}/a"), PLAIN).await;
    let at = make(&b, &format!("{above}/b"), PLAIN).await;
    set(&b, &at, "1").await;
    delete(&b, &at).await;
    for (kind, path) in [(Created, &above), (Created, &at), (DataChanged, &at), (Deleted, &at)] {
        assert_eq!(next(&mut watch).await, event(kind, path));
    }
}

#[tokio::test]
async fn s31_freed_watch_is_silent() {
    let (a, b, home) = begin().await;
    let (one, two) = (format!("{home}/one"), format!("{home}/two"));
    let freed = a.add_watch(&one, WatchMode::Persistent).await.expect("armed");
    let mut kept = a.add_watch(&two, WatchMode::Persistent).await.expect("armed");
    assert_eq!(a.watch_count(), 2);
    drop(freed);
    make(&b, &one, PLAIN).await;
    make(&b, &two, PLAIN).await;
    assert_eq!(next(&mut kept).await, event(Created, &two));
    assert_eq!(a.watch_count(), 1);
}

#[tokio::test]
async fn s32_session_end_is_told_to_watches() {
    let (a, b, home) = begin().await;
    let at = make(&b, &format!("{home}/n"), PLAIN).await;
    let (got, once) = a.zk().get_watch(&home, O);
    got.await.expect("there");
    let mut stays = a.add_watch(&at, WatchMode::Persistent).await.expect("armed");
    end_session(&a, &address()).await;
    assert_eq!(within(once).await.kind, WatchEventKind::SessionLost);
    assert_eq!(next(&mut stays).await.kind, WatchEventKind::MayHaveMissed);
    // The connection may have come and gone between the two clients of one session, and each time it is told. Behind
    // a read of its own client the watch is armed.
    loop {
        a.zk().get(&at, O).await.expect("there");
        set(&b, &at, "after").await;
        match next(&mut stays).await {
            told if told == event(DataChanged, &at) => break,
            told => assert_eq!(told.kind, WatchEventKind::MayHaveMissed),
        }
    }
}
