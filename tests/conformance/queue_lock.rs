//! The queue lock: scenarios 77 to 81.

use super::address;
use crate::ground::*;

async fn begin() -> (Client, Client, String) {
    let (a, b) = (connect(&address()).await, connect(&address()).await);
    let at = home(&a).await;
    (a, b, at)
}

fn queue(client: &Client, path: &str) -> QueueLock {
    QueueLock::new(client, path, QueueLockOptions::default()).expect("a queue lock")
}

#[tokio::test]
async fn s77_queue_lock_and_unlock() {
    let (a, b, at) = begin().await;
    let (first, second) = (queue(&a, &at), queue(&b, &at));
    let hold = first.lock(WAIT, "").await.expect("the lock");
    assert_eq!(stat(&b, &format!("{at}/lock-0000000000")).await.expect("there").czxid, hold.token());
    assert_eq!(code(second.lock(TRY, "").await), Code::TIMEOUT);
    assert_eq!(names(&b, &at).await, ["lock-0000000000"]);
    let waiting = second.lock(WAIT, "");
    until(&a, &at, 2).await;
    let token = hold.token();
    hold.release().await.expect("released");
    assert!(waiting.await.expect("the lock").token() > token);
}

#[tokio::test]
async fn s78_obtain_waits_for_lower_names() {
    let (a, b, at) = begin().await;
    for name in ["a", "b"] {
        make(&a, &format!("{at}/{name}"), PLAIN).await;
    }
    let handle = queue(&a, &at);
    handle.obtain("a", WAIT).await.expect("the first");
    assert_eq!(code(handle.obtain("b", TRY).await), Code::TIMEOUT);
    let waiting = handle.obtain("b", WAIT);
    delete(&b, &format!("{at}/a")).await;
    waiting.await.expect("its turn");
    assert_eq!(names(&b, &at).await, ["b"]);
}

#[tokio::test]
async fn s79_queue_timeout_removes_its_own_node_alone() {
    let (a, b, at) = begin().await;
    let _hold = queue(&a, &at).lock(WAIT, "").await.expect("the lock");
    let handle = queue(&b, &at);
    assert_eq!(code(handle.lock(SHORT, "").await), Code::TIMEOUT);
    assert_eq!(names(&b, &at).await, ["lock-0000000000"]);
    make(&b, &format!("{at}/zzz"), PLAIN).await;
    assert_eq!(code(handle.obtain("zzz", SHORT).await), Code::TIMEOUT);
    assert_eq!(names(&b, &at).await, ["lock-0000000000", "zzz"]);
}

#[tokio::test]
async fn s80_queue_interrupt() {
    let (a, b, at) = begin().await;
    let _hold = queue(&a, &at).lock(WAIT, "").await.expect("the lock");
    let handle = queue(&b, &at);
    let waiting = handle.lock(WAIT, "");
    until(&a, &at, 2).await;
    handle.interrupt();
    assert_eq!(code(waiting.await), Code::INTERRUPTED);
    until(&a, &at, 1).await;
    handle.interrupt();
    assert_eq!(code(handle.lock(WAIT, "").await), Code::INTERRUPTED);
}

#[tokio::test]
async fn s81_obtain_of_a_missing_node() {
    let (a, _, at) = begin().await;
    let handle = queue(&a, &at);
    assert_eq!(code(handle.obtain("none", WAIT).await), Code::NO_NODE);
    assert_eq!(code(handle.obtain("a/b", WAIT).await), Code::BAD_ARGUMENT);
    assert_eq!(code(handle.unlock().await), Code::NOT_HELD);
}
