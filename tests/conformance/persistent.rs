//! The persistent mutex: scenarios 58 to 62.

use super::address;
use crate::ground::*;

const LEASE: Duration = Duration::from_millis(300);

async fn begin() -> (Client, Client, String) {
    let (a, b) = (connect(&address()).await, connect(&address()).await);
    let at = home(&a).await + "/lock";
    (a, b, at)
}

#[tokio::test]
async fn s58_persistent_node_and_companion() {
    let (a, _, at) = begin().await;
    let hold = lock(&with(&a, &at, persistent(MINUTE))).await;
    let all = names(&a, &at).await;
    assert!(all.len() == 2 && all[0] == "lock-0000000000" && all[1].starts_with("owner-"), "{all:?}");
    assert_eq!(stat(&a, &format!("{at}/{}", all[0])).await.expect("there").ephemeral_owner, 0);
    assert_eq!(stat(&a, &format!("{at}/{}", all[1])).await.expect("there").ephemeral_owner, a.session().id);
    hold.release().await.expect("released");
    until(&a, &at, 0).await;
}

#[tokio::test]
async fn s59_persistent_lock_outlives_its_session() {
    let (a, b, at) = begin().await;
    let handle = with(&a, &at, persistent(LEASE));
    lock(&handle).await.keep();
    a.close(LIMIT).await.expect("closed");
    let other = mutex(&b, &at);
    assert_eq!(code(tries(&other).await), Code::TIMEOUT);
    let held = other.contenders().await.expect("a list").remove(0);
    assert_eq!(held.owner, Owner::Gone);
    other.release_dead(&held.name).await.expect("released");
    drop(tries(&other).await.expect("free"));
}

#[tokio::test]
async fn s60_live_owner_is_not_released() {
    let (a, b, at) = begin().await;
    let hold = lock(&with(&a, &at, persistent(MINUTE))).await;
    assert_eq!(code(mutex(&b, &at).release_dead("lock-0000000000").await), Code::NODE_EXISTS);
    assert!(hold.is_held());
    hold.release().await.expect("released");
}

#[tokio::test]
async fn s61_force_needs_the_czxid() {
    let (a, b, at) = begin().await;
    let handle = with(&a, &at, persistent(MINUTE));
    let mut losses = handle.losses();
    let hold = lock(&handle).await;
    let other = mutex(&b, &at);
    assert_eq!(code(other.release_by_force("lock-0000000000", hold.token() + 1).await), Code::BAD_VERSION);
    other.release_by_force("lock-0000000000", hold.token()).await.expect("released");
    assert_eq!(within(losses.recv()).await.expect("told").token, hold.token());
}

#[tokio::test]
async fn s62_old_lock_is_unknown() {
    let (a, b, at) = begin().await;
    make(&b, &at, PLAIN).await;
    make(&b, &format!("{at}/lock-"), CreateMode::PersistentSequential).await;
    let handle = mutex(&a, &at);
    let held = handle.contenders().await.expect("a list").remove(0);
    assert_eq!(held.owner, Owner::Unknown);
    assert_eq!(code(handle.release_dead(&held.name).await), Code::UNSUPPORTED);
    assert_eq!(code(tries(&handle).await), Code::TIMEOUT);
    handle.release_by_force(&held.name, held.stat.czxid).await.expect("released");
    drop(tries(&handle).await.expect("free"));
}
