//! When a lock may be trusted, on whichever server the test that takes this in names.

use crate::{server, support};
use std::time::Duration;
use support::proxy::{Direction, Proxy};
use zkhelper::proto::{Acl, CreateMode, MultiOp, permissions};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Code, Hold, Loss, Mutex, MutexOptions, Options, Result, Strict, Time};

/// Ends a test that hangs; no working test comes near it.
const LIMIT: Duration = Duration::from_secs(120);
/// The shortest that the server grants: its tick is 500 ms.
const TIMEOUT: Duration = Duration::from_secs(2);

async fn client_of(address: &str) -> Client {
    let options = Options { session_timeout: TIMEOUT, ..Options::default() };
    Client::connect(address, options).await.expect("a connection")
}

async fn client() -> Client {
    client_of(&server().to_string()).await
}

fn path(name: &str) -> String {
    format!("/zk/{}", support::unique(name))
}

fn mutex(client: &Client, path: &str) -> Mutex {
    Mutex::new(client, path, MutexOptions::default()).expect("a mutex")
}

fn strict(client: &Client, path: &str, delay: Duration) -> Mutex {
    let options = MutexOptions { strict: Some(Strict { lease: delay, delay }), ..MutexOptions::default() };
    Mutex::new(client, path, options).expect("a mutex")
}

async fn lock(mutex: &Mutex) -> Hold {
    mutex.lock(Some(LIMIT), "test").await.expect("the lock")
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.expect_err("an error").code()
}

async fn until(time: Time) {
    while let left = time.since(Time::now())
        && !left.is_zero()
    {
        tokio::time::sleep(left).await;
    }
}

#[tokio::test]
async fn renewals_keep_a_lock_valid_for_longer_than_a_session_timeout() {
    let client = client().await;
    let hold = lock(&mutex(&client, &path("renew"))).await;
    let end = Time::now() + TIMEOUT * 3;
    let mut last = hold.valid_until().expect("held");
    assert!(last > Time::now());
    let mut steps = 0;
    while Time::now() < end {
        // Each time it would run out, it was renewed before.
        until(last - Duration::from_millis(100)).await;
        let next = hold.valid_until().expect("still held");
        assert!(next > last, "not renewed in time");
        last = next;
        steps += 1;
    }
    assert!(steps > 2 && hold.is_held());
    hold.release().await.expect("released");
}

#[tokio::test]
async fn a_frozen_connection_loses_the_lock_in_time_and_for_good() {
    let proxy = Proxy::new(server());
    let (owner, other) = (client_of(&proxy.address().to_string()).await, client().await);
    let at = path("frozen");
    let handle = mutex(&owner, &at);
    let mut losses = handle.losses();
    let hold = lock(&handle).await;
    let token = hold.token();
    let waiting = mutex(&other, &at);
    let waiting = waiting.lock(Some(LIMIT), "waits");
    proxy.freeze(Direction::ToServer);
    proxy.freeze(Direction::ToClient);
    let promised = hold.valid_until().expect("held");
    let lost = losses.recv().await.expect("told");
    let told = Time::now();
    assert_eq!((lost.token, lost.reason), (token, Loss::LeaseRanOut));
    assert!(!hold.is_held() && handle.token().is_none());
    // The next holder comes after that: the server gives the lock away when the session is over.
    let next = waiting.await.expect("the lock");
    let granted = Time::now();
    assert!(told < granted, "told {:?} after the next grant", told.since(granted));
    assert!(promised < granted);
    assert!(next.token() > token);
    proxy.pass();
    assert_eq!(code(hold.release().await), Code::LOCK_LOST);
    // Nothing of it is told twice, and the next holder is not disturbed.
    owner.close(LIMIT).await.expect("closed");
    drop(handle);
    assert!(losses.recv().await.is_none());
    assert!(next.is_held());
    next.release().await.expect("released");
}

#[tokio::test]
async fn a_lock_that_ran_out_is_lost_even_if_its_session_lives_on() {
    let proxy = Proxy::new(server());
    let owner = client_of(&proxy.address().to_string()).await;
    let at = path("final");
    let handle = mutex(&owner, &at);
    let hold = lock(&handle).await;
    let session = owner.session().id;
    // Answers are held back until the lease is over; requests still reach the server.
    proxy.freeze(Direction::ToClient);
    let mut losses = handle.losses();
    assert_eq!(losses.recv().await.expect("told").reason, Loss::LeaseRanOut);
    proxy.pass();
    let waiting = mutex(&client().await, &at);
    // Its node is removed without anybody's doing, also if the session was kept.
    let next = lock(&waiting).await;
    assert!(!hold.is_held(), "session {session:#x}, now {:#x}", owner.session().id);
    assert_eq!(code(hold.release().await), Code::LOCK_LOST);
    next.release().await.expect("released");
}

#[tokio::test]
async fn a_deleted_node_an_ended_session_and_a_closed_client_are_told_with_their_reason() {
    let owner = client().await;
    let at = path("reasons");
    let handle = mutex(&owner, &at);
    let mut losses = handle.losses();

    let hold = lock(&handle).await;
    let own = handle.contenders().await.expect("a list").remove(0);
    owner.zk().delete(&format!("{at}/{}", own.name), -1, OpOptions::default()).await.expect("deleted");
    let lost = losses.recv().await.expect("told");
    assert_eq!((lost.token, lost.reason), (hold.token(), Loss::NodeDeleted));
    assert!(!hold.is_held());
    assert_eq!(code(hold.release().await), Code::LOCK_LOST);

    let hold = lock(&handle).await;
    let reattach = Some(owner.credentials());
    let address = server().to_string();
    let options = Options { reattach, session_timeout: TIMEOUT, ..Options::default() };
    let thief = Client::connect(&address, options).await.expect("re-attached");
    thief.close(LIMIT).await.expect("closed");
    // Whichever is heard first: the end of the session, or that it took the node along.
    let reason = losses.recv().await.expect("told").reason;
    assert!([Loss::SessionOver, Loss::NodeDeleted].contains(&reason), "{reason:?}");
    assert_eq!(code(hold.release().await), Code::LOCK_LOST);

    let hold = lock(&handle).await;
    owner.close(LIMIT).await.expect("closed");
    assert_eq!(losses.recv().await.expect("told").reason, Loss::ClientClosed);
    assert!(!hold.is_held());
    assert_eq!(code(hold.release().await), Code::LOCK_LOST);
}

#[tokio::test]
async fn guarded_writes_are_committed_only_while_the_lock_is_held() {
    let client = client().await;
    let at = path("guarded");
    let target = path("target");
    let options = OpOptions::default();
    let world = [Acl::world(permissions::ALL)];
    client.zk().create_parents("/zk", &world, options).await.expect("made");
    client.zk().create(&target, b"", &world, CreateMode::Persistent, options).await.expect("made");
    let handle = mutex(&client, &at);
    let write = |data: &str| {
        vec![MultiOp::SetData { path: target.clone(), data: data.as_bytes().to_vec(), version: -1 }]
    };
    assert_eq!(code(handle.guarded(write("before")).await), Code::NOT_HELD);
    let hold = lock(&handle).await;
    assert_eq!(handle.guarded(write("held")).await.expect("committed").len(), 1);
    // An error of the guarded operations is theirs.
    let bad = vec![MultiOp::Check { path: target.clone(), version: 77 }];
    assert_eq!(code(handle.guarded(bad).await), Code::BAD_VERSION);
    assert!(hold.is_held());
    let own = handle.contenders().await.expect("a list").remove(0);
    client.zk().delete(&format!("{at}/{}", own.name), -1, options).await.expect("deleted");
    assert_eq!(code(handle.guarded(write("lost")).await), Code::LOCK_LOST);
    assert_eq!(client.zk().get(&target, options).await.expect("the node").0, b"held");
}

#[tokio::test]
async fn contenders_are_listed_in_the_order_of_service() {
    let client = client().await;
    let at = path("contenders");
    let first = mutex(&client, &at);
    assert!(first.contenders().await.expect("none").is_empty());
    let hold = first.lock(None, "first").await.expect("the lock");
    let second = mutex(&client, &at);
    let waiting = second.lock(None, "second");
    while first.contenders().await.expect("a list").len() < 2 {}
    let listed = first.contenders().await.expect("a list");
    let descriptions: Vec<_> = listed
        .iter()
        .map(|c| serde_json::from_slice::<serde_json::Value>(&c.data).expect("JSON")["desc"].clone())
        .collect();
    assert_eq!(descriptions, ["first", "second"]);
    assert_eq!(listed[0].stat.czxid, hold.token());
    hold.release().await.expect("released");
    waiting.await.expect("the lock").release().await.expect("released");
}

// ---- strict mode ----

/// Long enough to be told from no delay at all on a slow machine.
const DELAY: Duration = Duration::from_secs(3);

async fn took(work: impl Future<Output = Hold>) -> (Hold, Duration) {
    let start = Time::now();
    let hold = work.await;
    (hold, Time::now().since(start))
}

#[tokio::test]
async fn strict_mode_delays_nobody_on_a_new_path_and_after_a_clean_release() {
    let (one, two) = (client().await, client().await);
    let at = path("strict/lock");
    let (first, second) = (strict(&one, &at, DELAY), strict(&two, &at, DELAY));
    let (hold, waited) = took(lock(&first)).await;
    assert!(waited < DELAY, "nobody can have been before it, and it waited {waited:?}");
    // Hand-overs to a waiter, to nobody and back, with waiters that give up and tries that fail in between.
    let mut total = Duration::ZERO;
    let mut hold = hold;
    for round in 0..12 {
        let next = if round % 2 == 0 { &second } else { &first };
        if round % 3 == 0 {
            assert_eq!(code(next.lock(Some(Duration::ZERO), "").await), Code::TIMEOUT);
            assert_eq!(code(next.lock(Some(Duration::from_millis(30)), "").await), Code::TIMEOUT);
        }
        if round % 4 == 0 {
            hold.release().await.expect("released");
            let (next, waited) = took(lock(next)).await;
            total += waited;
            hold = next;
        } else {
            let waiting = next.lock(Some(LIMIT), "waits");
            let released = Time::now();
            hold.release().await.expect("released");
            hold = waiting.await.expect("the lock");
            total += Time::now().since(released);
        }
    }
    assert!(total < DELAY, "twelve clean hand-overs took {total:?}");
    hold.release().await.expect("released");
}

#[tokio::test]
async fn strict_mode_delays_the_first_holder_where_others_may_have_been_before() {
    let client = client().await;
    // In default mode, which leaves no mark.
    let at = path("before/lock");
    lock(&mutex(&client, &at)).await.release().await.expect("released");
    let (hold, waited) = took(lock(&strict(&client, &at, DELAY))).await;
    assert!(waited >= DELAY, "somebody may have held it in default mode: {waited:?}");
    // Under a parent of the same path that is gone.
    hold.release().await.expect("released");
    let strict = strict(&client, &at, DELAY);
    strict.reset().await.expect("idle");
    let (hold, waited) = took(lock(&strict)).await;
    assert!(waited >= DELAY, "the parent is not the first of its path: {waited:?}");
    hold.release().await.expect("released");
}

/// What a handle remembers of the path is what it wrote itself, for as long as nobody else has written.
#[tokio::test]
async fn strict_mode_remembers_no_clean_release_under_a_parent_that_is_gone_nor_what_others_did_not_do() {
    let (one, two, three, four) = (client().await, client().await, client().await, client().await);
    let at = path("remembers");
    let (first, second) = (strict(&one, &at, DELAY), strict(&two, &at, DELAY));
    lock(&first).await.release().await.expect("released");
    // Another handle releases cleanly in between: no delay, for the memory or in spite of it.
    lock(&second).await.release().await.expect("released");
    let (hold, waited) = took(lock(&first)).await;
    assert!(waited < DELAY, "all left cleanly: {waited:?}");
    hold.release().await.expect("released");
    let hold = lock(&strict(&three, &at, DELAY)).await;
    three.close(LIMIT).await.expect("closed");
    let (next, waited) = took(lock(&first)).await;
    assert!(waited >= DELAY, "the one before did not leave cleanly: {waited:?}");
    next.release().await.expect("released");
    drop(hold);
    // The parent is made anew: its numbers begin again, and what is remembered says nothing of them.
    second.reset().await.expect("idle");
    let hold = lock(&mutex(&four, &at)).await;
    four.close(LIMIT).await.expect("closed");
    let (next, waited) = took(lock(&first)).await;
    assert!(waited >= DELAY, "who was before under the new parent did not leave cleanly: {waited:?}");
    next.release().await.expect("released");
    drop(hold);
}

/// A parent that was made anew repeats names, and may have another delay, by which the waiter is refused: it leaves what
/// has its node's name alone.
#[tokio::test]
async fn a_waiter_that_comes_back_under_a_new_parent_takes_no_node_of_its_name_for_its_own() {
    let proxy = Proxy::new(server());
    // A session that outlasts all of it.
    let options = Options { session_timeout: TIMEOUT * 5, ..Options::default() };
    let two = Client::connect(&proxy.address().to_string(), options).await.expect("a connection");
    let (one, session) = (client().await, two.session().id);
    let at = path("anew");
    let names = |client: &Client| {
        let list = client.zk().children(&at, OpOptions::default());
        async { list.await.map(|(names, _)| names.len()).unwrap_or_default() }
    };
    let hold = lock(&strict(&one, &at, DELAY)).await;
    let next = strict(&one, &at, DELAY).lock(Some(LIMIT), "next in line");
    while names(&one).await < 2 {}
    // The next in line watches its own node; who is behind that does not.
    let waiting = strict(&two, &at, DELAY).lock(Some(LIMIT), "comes back");
    while two.watch_count() < 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    proxy.refuse(true);
    proxy.cut_now();
    // All of it goes, and others, who agree on another delay, make it anew.
    assert_eq!(code(next.cancel().await), Code::CANCELLED);
    zkhelper::Tree::new(&one).delete(&at, -1).await.expect("deleted");
    let three = client().await;
    let others = [1, 2, 3].map(|_| strict(&three, &at, DELAY * 2));
    let held = lock(&others[0]).await;
    let mut behind = Vec::new();
    for other in &others[1..] {
        let before = names(&three).await;
        behind.push(other.lock(Some(LIMIT), "has its name"));
        while names(&three).await == before {}
    }
    proxy.pass();
    two.zk().sync("/", OpOptions::default()).await.expect("connected again");
    assert_eq!(two.session().id, session);
    // It looks again when the node before its own goes, and would delete the last one.
    let last = behind.pop().expect("two are behind");
    held.release().await.expect("released");
    for behind in behind {
        behind.await.expect("its turn").release().await.expect("released");
    }
    let last = last.await.expect("its turn");
    assert_eq!(code(waiting.await), Code::BAD_ARGUMENT);
    last.release().await.expect("nobody else has deleted it");
    drop(hold);
}

/// Whoever finds somebody before it looks at the marker when they are gone; it marks its going all the same.
#[tokio::test]
async fn strict_mode_marks_who_gives_up_also_where_the_marker_was_not_read() {
    let (one, two) = (client().await, client().await);
    let at = path("unread");
    let (first, second) = (strict(&one, &at, DELAY), strict(&two, &at, DELAY));
    lock(&second).await.release().await.expect("released");
    let hold = lock(&first).await;
    // It remembers what the first one has overwritten by now.
    assert_eq!(code(second.lock(Some(Duration::from_millis(30)), "").await), Code::TIMEOUT);
    hold.release().await.expect("released");
    let fresh = strict(&one, &at, DELAY);
    let (hold, waited) = took(lock(&fresh)).await;
    assert!(waited < DELAY, "who gave up never held: {waited:?}");
    hold.release().await.expect("released");
}

#[tokio::test]
async fn strict_mode_waits_for_a_holder_that_did_not_leave_cleanly() {
    let (one, two) = (client().await, client().await);
    let at = path("unclean");
    let (first, second) = (strict(&one, &at, DELAY), strict(&two, &at, DELAY));
    let hold = lock(&first).await;
    let waiting = second.lock(Some(LIMIT), "waits");
    let believed = hold.valid_until().expect("held");
    // Its session ends: the node goes with it, and nothing says that the holder knows.
    let gone = Time::now();
    one.close(LIMIT).await.expect("closed");
    let next = waiting.await.expect("the lock");
    let now = Time::now();
    assert!(now.since(gone) >= DELAY, "only {:?}", now.since(gone));
    assert!(now > believed);
    next.release().await.expect("released");
    let (hold, waited) = took(lock(&second)).await;
    assert!(waited < DELAY, "after a clean release, {waited:?}");
    hold.release().await.expect("released");
}

/// Curator's parents are containers: the server removes them while they are empty, the marker with them.
#[tokio::test]
async fn strict_mode_delays_the_first_holder_after_the_server_removed_a_container_parent() {
    let (address, _server) = crate::server_without_empty_containers();
    let client = client_of(&address).await;
    let world = [Acl::world(permissions::ALL)];
    let made = client.zk().create("/box", b"", &world, CreateMode::Container, OpOptions::default());
    made.await.expect("made");
    let strict = strict(&client, "/box", DELAY);
    let (hold, waited) = took(lock(&strict)).await;
    assert!(waited < DELAY, "nobody can have been before it, and it waited {waited:?}");
    let old = hold.token();
    hold.release().await.expect("released");
    let start = Time::now();
    while client.zk().exists("/box", OpOptions::default()).await.expect("an answer").is_some() {
        assert!(Time::now().since(start) < LIMIT, "the server does not remove the container");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (hold, waited) = took(lock(&strict)).await;
    assert!(waited >= DELAY, "the first holder under the new parent waited {waited:?}");
    assert!(hold.token() > old, "the sequence began again, the token does not");
    hold.release().await.expect("released");
}

#[tokio::test]
async fn strict_mode_refuses_another_delay_and_foreign_data_and_default_mode_obeys_the_marker() {
    let (one, two) = (client().await, client().await);
    let at = path("refuse");
    let hold = lock(&strict(&one, &at, DELAY)).await;
    let other = strict(&two, &at, DELAY * 2);
    let error = other.lock(Some(LIMIT), "").await.expect_err("another delay");
    assert_eq!(error.code(), Code::BAD_ARGUMENT);
    assert!(error.to_string().contains("3000 ms"), "{error}");
    let plain = mutex(&two, &at);
    let waiting = plain.lock(Some(LIMIT), "waits");
    while plain.contenders().await.expect("a list").len() < 2 {}
    let gone = Time::now();
    drop(hold);
    one.close(LIMIT).await.expect("closed");
    let next = waiting.await.expect("the lock");
    // Whichever came first, the drop's release or the close: clean or not, it is in order.
    let _ = gone;
    next.release().await.expect("released");

    let data = path("data");
    let world = [Acl::world(permissions::ALL)];
    two.zk()
        .create(&data, b"mine", &world, CreateMode::Persistent, OpOptions::default())
        .await
        .expect("made");
    let error = strict(&two, &data, DELAY).lock(Some(LIMIT), "").await.expect_err("foreign data");
    assert_eq!(error.code(), Code::BAD_ARGUMENT);
    assert_eq!(two.zk().get(&data, OpOptions::default()).await.expect("the node").0, b"mine");
    // Default mode leaves the data alone, and locks.
    lock(&mutex(&two, &data)).await.release().await.expect("released");
    assert_eq!(two.zk().get(&data, OpOptions::default()).await.expect("the node").0, b"mine");
}

#[tokio::test]
async fn default_mode_waits_for_a_strict_holder_that_did_not_leave_cleanly() {
    let (one, two) = (client().await, client().await);
    let at = path("obey");
    let hold = lock(&strict(&one, &at, DELAY)).await;
    let plain = mutex(&two, &at);
    let waiting = plain.lock(Some(LIMIT), "waits");
    while plain.contenders().await.expect("a list").len() < 2 {}
    let gone = Time::now();
    one.close(LIMIT).await.expect("closed");
    let next = waiting.await.expect("the lock");
    assert!(Time::now().since(gone) >= DELAY);
    next.release().await.expect("released");
    drop(hold);
    // And its own clean release is one.
    let (hold, waited) = took(lock(&strict(&two, &at, DELAY))).await;
    assert!(waited < DELAY);
    hold.release().await.expect("released");
}
