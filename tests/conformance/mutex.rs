//! The mutex: scenarios 33 to 53, and what its contenders can be asked: 63 to 67.

use super::address;
use crate::ground::*;

/// Two clients, and the path of a lock below a new node.
async fn begin() -> (Client, Client, String) {
    let (a, b) = (connect(&address()).await, connect(&address()).await);
    let at = home(&a).await + "/lock";
    (a, b, at)
}

#[tokio::test]
async fn s33_lock_and_unlock() {
    let (a, _, at) = begin().await;
    let handle = mutex(&a, &at);
    let token = lock(&handle).await.keep();
    assert_eq!(names(&a, &at).await, ["lock-0000000000"]);
    let node = stat(&a, &format!("{at}/lock-0000000000")).await.expect("there");
    assert_eq!((node.czxid, node.ephemeral_owner), (token, a.session().id));
    assert!(handle.is_held() && handle.token() == Some(token));
    handle.unlock().await.expect("unlocked");
    assert!(names(&a, &at).await.is_empty() && !handle.is_held() && handle.token().is_none());
}

#[tokio::test]
async fn s34_contents_say_who() {
    let (a, _, at) = begin().await;
    let mut options = MutexOptions::default();
    options.contents_json(r#"{"role": "blue"}"#).expect("an object");
    let _hold = with(&a, &at, options).lock(WAIT, "nightly").await.expect("the lock");
    let (data, _) = read(&a, &only(&a, &at).await).await;
    let object: serde_json::Value = serde_json::from_str(&data).expect("JSON");
    assert_eq!((&object["desc"], &object["role"]), (&"nightly".into(), &"blue".into()));
    assert!(object["pid"] == std::process::id() && object["hostname"].is_string(), "{data}");
    assert_eq!(object["id"].as_str().map(str::len), Some(36));
}

#[tokio::test]
async fn s35_try_fails_and_writes_nothing() {
    let (a, b, at) = begin().await;
    let hold = lock(&mutex(&a, &at)).await;
    let before = stat(&b, &at).await.expect("there").cversion;
    assert_eq!(code(tries(&mutex(&b, &at)).await), Code::TIMEOUT);
    assert_eq!(stat(&b, &at).await.expect("there").cversion, before);
    hold.release().await.expect("released");
    drop(tries(&mutex(&b, &at)).await.expect("free"));
}

#[tokio::test]
async fn s36_timeout_leaves_no_node() {
    let (a, b, at) = begin().await;
    let _hold = lock(&mutex(&a, &at)).await;
    assert_eq!(code(mutex(&b, &at).lock(SHORT, "").await), Code::TIMEOUT);
    assert_eq!(names(&b, &at).await, ["lock-0000000000"]);
}

#[tokio::test]
async fn s37_first_come_first_served() {
    let (a, b, at) = begin().await;
    let hold = lock(&mutex(&a, &at)).await;
    let mut waiting = Vec::new();
    for count in 2..6 {
        let handle = mutex(&b, &at);
        waiting.push(handle.lock(WAIT, ""));
        until(&a, &at, count).await;
    }
    let mut token = hold.token();
    hold.release().await.expect("released");
    for acquire in waiting {
        let hold = acquire.await.expect("the lock");
        assert!(hold.token() > token);
        token = hold.token();
        hold.release().await.expect("released");
    }
}

#[tokio::test]
async fn s38_interrupt_ends_a_wait() {
    let (a, b, at) = begin().await;
    let _hold = lock(&mutex(&a, &at)).await;
    let handle = mutex(&b, &at);
    let waiting = handle.lock(WAIT, "");
    until(&a, &at, 2).await;
    handle.interrupt();
    assert_eq!(code(waiting.await), Code::INTERRUPTED);
    until(&a, &at, 1).await;
}

#[tokio::test]
async fn s39_interrupt_is_remembered_once() {
    let (a, _, at) = begin().await;
    let handle = mutex(&a, &at);
    handle.interrupt();
    handle.interrupt();
    assert_eq!(code(handle.lock(WAIT, "").await), Code::INTERRUPTED);
    drop(lock(&handle).await);
}

#[tokio::test]
async fn s40_cancel_leaves_no_node() {
    let (a, b, at) = begin().await;
    let _hold = lock(&mutex(&a, &at)).await;
    let handle = mutex(&b, &at);
    let waiting = handle.lock(WAIT, "");
    until(&a, &at, 2).await;
    assert_eq!(code(waiting.cancel().await), Code::CANCELLED);
    until(&a, &at, 1).await;
}

#[tokio::test]
async fn s41_unlock_without_a_lock() {
    let (a, _, at) = begin().await;
    make(&a, &at, PLAIN).await;
    make(&a, &format!("{at}/other"), PLAIN).await;
    let handle = mutex(&a, &at);
    assert_eq!(code(handle.unlock().await), Code::NOT_HELD);
    assert_eq!(names(&a, &at).await, ["other"]);
    lock(&handle).await.release().await.expect("released");
    assert_eq!(code(handle.unlock().await), Code::NOT_HELD);
    assert_eq!(names(&a, &at).await, ["other"]);
}

#[tokio::test]
async fn s42_unlock_is_for_its_own() {
    let (a, b, at) = begin().await;
    let hold = lock(&mutex(&a, &at)).await;
    assert_eq!(code(mutex(&b, &at).unlock().await), Code::NOT_HELD);
    assert!(hold.is_held());
    assert_eq!(names(&b, &at).await, ["lock-0000000000"]);
    hold.release().await.expect("released");
}

#[tokio::test]
async fn s43_second_lock_on_a_handle_queues() {
    let (a, _, at) = begin().await;
    let handle = mutex(&a, &at);
    let hold = lock(&handle).await;
    assert_eq!(code(tries(&handle).await), Code::TIMEOUT);
    let second = handle.lock(WAIT, "");
    let token = hold.token();
    hold.release().await.expect("released");
    assert!(second.await.expect("the lock").token() > token);
}

#[tokio::test]
async fn s44_tokens_grow_over_a_new_parent() {
    let (a, _, at) = begin().await;
    let handle = mutex(&a, &at);
    let hold = lock(&handle).await;
    let token = hold.token();
    hold.release().await.expect("released");
    delete(&a, &at).await;
    let hold = lock(&handle).await;
    assert_eq!(names(&a, &at).await, ["lock-0000000000"]);
    assert!(hold.token() > token);
}

#[tokio::test]
async fn s45_foreign_children_do_not_block() {
    let (a, _, at) = begin().await;
    make(&a, &at, PLAIN).await;
    for name in ["config", "zzz"] {
        make(&a, &format!("{at}/{name}"), PLAIN).await;
    }
    tries(&mutex(&a, &at)).await.expect("free").release().await.expect("released");
    assert_eq!(names(&a, &at).await, ["config", "zzz"]);
}

#[tokio::test]
async fn s46_other_libraries_contend() {
    let (a, b, at) = begin().await;
    make(&a, &at, PLAIN).await;
    for name in ["_c_5-lock-", "5__lock__"] {
        let other = make(&b, &format!("{at}/{name}"), CreateMode::EphemeralSequential).await;
        let handle = mutex(&a, &at);
        assert_eq!(code(tries(&handle).await), Code::TIMEOUT, "{name}");
        let waiting = handle.lock(WAIT, "");
        until(&b, &at, 2).await;
        delete(&b, &other).await;
        waiting.await.expect("the lock").release().await.expect("released");
    }
}

#[tokio::test]
async fn s47_extra_patterns_contend() {
    let (a, b, at) = begin().await;
    make(&a, &at, PLAIN).await;
    make(&b, &format!("{at}/turn-"), CreateMode::EphemeralSequential).await;
    let options = MutexOptions { extra_lock_patterns: vec!["turn-".to_owned()], ..MutexOptions::default() };
    assert_eq!(code(tries(&with(&a, &at, options)).await), Code::TIMEOUT);
    drop(tries(&mutex(&a, &at)).await.expect("free"));
}

#[tokio::test]
async fn s48_deleted_node_is_a_loss() {
    let (a, b, at) = begin().await;
    let handle = mutex(&a, &at);
    let mut losses = handle.losses();
    let token = lock(&handle).await.keep();
    delete(&b, &only(&b, &at).await).await;
    let lost = within(losses.recv()).await.expect("told");
    assert_eq!((lost.token, lost.reason), (token, Loss::NodeDeleted));
    assert!(!handle.is_held());
    assert_eq!(code(handle.unlock().await), Code::LOCK_LOST);
    assert!(losses.try_recv().is_err(), "told once");
}

#[tokio::test]
async fn s49_ended_session_is_a_loss() {
    let (a, b, at) = begin().await;
    let handle = mutex(&a, &at);
    let mut losses = handle.losses();
    let hold = lock(&handle).await;
    let waiting = mutex(&b, &at).lock(WAIT, "");
    until(&b, &at, 2).await;
    end_session(&a, &address()).await;
    let reason = within(losses.recv()).await.expect("told").reason;
    assert!([Loss::SessionOver, Loss::NodeDeleted].contains(&reason), "{reason:?}");
    assert!(waiting.await.expect("the lock").token() > hold.token());
}

#[tokio::test]
async fn s50_validity_is_bounded() {
    let (a, _, at) = begin().await;
    let handle = mutex(&a, &at);
    let hold = lock(&handle).await;
    let valid = handle.valid_until().expect("held").since(Time::now());
    assert!(valid > Duration::ZERO && valid <= SESSION, "{valid:?}");
    hold.release().await.expect("released");
    assert_eq!(handle.valid_until(), None);
}

#[tokio::test]
async fn s51_closing_a_handle_ends_its_wait() {
    let (a, b, at) = begin().await;
    let _hold = lock(&mutex(&a, &at)).await;
    let handle = mutex(&b, &at);
    let waiting = handle.lock(WAIT, "");
    until(&a, &at, 2).await;
    handle.close();
    assert_eq!(code(waiting.await), Code::CLOSED);
    until(&a, &at, 1).await;
    assert_eq!(code(tries(&handle).await), Code::CLOSED);
}

#[tokio::test]
async fn s52_closing_the_client_releases() {
    let (a, b, at) = begin().await;
    let handle = mutex(&a, &at);
    let mut losses = handle.losses();
    lock(&handle).await.keep();
    a.close(LIMIT).await.expect("closed");
    assert_eq!(within(losses.recv()).await.expect("told").reason, Loss::ClientClosed);
    drop(tries(&mutex(&b, &at)).await.expect("free"));
}

#[tokio::test]
async fn s53_lock_node_has_the_list() {
    let (a, b, at) = begin().await;
    let list = vec![Acl::world(permissions::ALL & !permissions::WRITE)];
    let hold = lock(&with(&a, &at, MutexOptions { acl: list.clone(), ..MutexOptions::default() })).await;
    let node = only(&b, &at).await;
    assert_eq!(b.zk().get_acl(&node, O).await.expect("a list").0, list);
    assert!(hold.is_held());
    hold.release().await.expect("released");
    assert!(names(&b, &at).await.is_empty());
}

#[tokio::test]
async fn s63_contenders_in_order() {
    let (a, b, at) = begin().await;
    let (first, second) = (mutex(&a, &at), mutex(&b, &at));
    let hold = first.lock(WAIT, "nightly").await.expect("the lock");
    let _waiting = second.lock(WAIT, "");
    until(&b, &at, 2).await;
    let all = second.contenders().await.expect("a list");
    assert_eq!(
        (all.len(), all[0].stat.czxid, all[0].stat.ephemeral_owner),
        (2, hold.token(), a.session().id)
    );
    assert_eq!(
        (all[0].pid, all[0].description.as_deref()),
        (Some(std::process::id().into()), Some("nightly"))
    );
    assert_eq!((all[0].owner, all[1].stat.ephemeral_owner), (Owner::Living, b.session().id));
    assert!(all[1].sequence > all[0].sequence);
}

#[tokio::test]
async fn s64_revocation_is_told() {
    let (a, b, at) = begin().await;
    let (handle, other) = (mutex(&a, &at), mutex(&b, &at));
    let mut revocations = handle.revocations();
    let hold = lock(&handle).await;
    other.request_revocation("lock-0000000000", "maintenance").await.expect("asked");
    let told = within(revocations.recv()).await.expect("told");
    assert_eq!((told.token, told.reason.as_str()), (hold.token(), "maintenance"));
    assert!(hold.is_held());
    assert_eq!(other.contenders().await.expect("a list")[0].asked.as_deref(), Some("maintenance"));
}

#[tokio::test]
async fn s65_revocation_of_nobody() {
    let (a, b, at) = begin().await;
    let _hold = lock(&mutex(&a, &at)).await;
    let other = mutex(&b, &at);
    assert_eq!(code(other.request_revocation("lock-0000000099", "").await), Code::NO_NODE);
    assert_eq!(code(other.request_revocation("config", "").await), Code::BAD_ARGUMENT);
}

#[tokio::test]
async fn s66_guarded_while_held() {
    let (a, b, at) = begin().await;
    let target = make(&b, &at, PLAIN).await;
    let handle = mutex(&a, &(at + "/lock"));
    let write = || vec![MultiOp::SetData { path: target.clone(), data: b"held".to_vec(), version: -1 }];
    assert_eq!(code(handle.guarded(write()).await), Code::NOT_HELD);
    let hold = lock(&handle).await;
    assert_eq!(handle.guarded(write()).await.expect("committed").len(), 1);
    hold.release().await.expect("released");
    assert_eq!(code(handle.guarded(write()).await), Code::NOT_HELD);
    let (data, stat) = read(&b, &target).await;
    assert_eq!((data.as_str(), stat.version), ("held", 1));
}

#[tokio::test]
async fn s67_guarded_changes_nothing_once_lost() {
    let (a, b, at) = begin().await;
    let target = make(&b, &at, PLAIN).await;
    let path = at + "/lock";
    let handle = mutex(&a, &path);
    lock(&handle).await.keep();
    delete(&b, &only(&b, &path).await).await;
    let write = MultiOp::SetData { path: target.clone(), data: b"lost".to_vec(), version: -1 };
    let refused = code(handle.guarded(vec![write]).await);
    assert!([Code::LOCK_LOST, Code::NOT_HELD].contains(&refused), "{refused:?}");
    assert_eq!(read(&b, &target).await.0, "");
}
