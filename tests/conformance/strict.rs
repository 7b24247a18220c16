//! The strict mutex: scenarios 54 to 57.

use super::address;
use crate::ground::*;

async fn begin() -> (Client, Client, String) {
    let (a, b) = (connect(&address()).await, connect(&address()).await);
    let at = home(&a).await + "/lock";
    (a, b, at)
}

#[tokio::test]
async fn s54_strict_clean_hand_over_is_at_once() {
    let (a, b, at) = begin().await;
    let began = Time::now();
    let (first, second) = (with(&a, &at, strict(MINUTE)), with(&b, &at, strict(MINUTE)));
    lock(&first).await.release().await.expect("released");
    let hold = lock(&second).await;
    let waiting = first.lock(WAIT, "");
    until(&b, &at, 2).await;
    hold.release().await.expect("released");
    let hold = waiting.await.expect("the lock");
    let valid = hold.valid_until().expect("held").since(Time::now());
    assert!(valid > Duration::ZERO && valid <= MINUTE && Time::now().since(began) < MINUTE, "{valid:?}");
}

#[tokio::test]
async fn s55_strict_waits_after_an_unclean_end() {
    let (a, b, at) = begin().await;
    let delay = Duration::from_secs(1);
    let _hold = lock(&with(&a, &at, strict(delay))).await;
    let waiting = with(&b, &at, strict(delay)).lock(WAIT, "");
    until(&b, &at, 2).await;
    let gone = Time::now();
    a.close(LIMIT).await.expect("closed");
    drop(waiting.await.expect("the lock"));
    assert!(Time::now().since(gone) >= delay);
}

#[tokio::test]
async fn s56_strict_refuses_another_delay() {
    let (a, b, at) = begin().await;
    lock(&with(&a, &at, strict(MINUTE))).await.release().await.expect("released");
    let other = with(&b, &at, strict(Duration::from_secs(50)));
    assert_eq!(code(other.lock(WAIT, "").await), Code::BAD_ARGUMENT);
    until(&a, &at, 0).await;
}

#[tokio::test]
async fn s57_strict_keeps_foreign_data() {
    let (a, _, at) = begin().await;
    make(&a, &at, PLAIN).await;
    set(&a, &at, "mine").await;
    assert_eq!(code(with(&a, &at, strict(MINUTE)).lock(WAIT, "").await), Code::BAD_ARGUMENT);
    assert_eq!(read(&a, &at).await.0, "mine");
    until(&a, &at, 0).await;
}
