//! What the mutex does, on whichever server the test that takes this in names.

use crate::{server, support};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use support::proxy::{Direction, Proxy};
use zkhelper::client::Reattach;
use zkhelper::proto::{Acl, CreateMode, permissions};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Code, Hold, Mutex, MutexOptions, Options, Result, State};

/// Ends a test that hangs; no working test comes near it.
const LIMIT: Duration = Duration::from_secs(120);

fn options() -> Options {
    Options { session_timeout: Duration::from_secs(6), ..Options::default() }
}

async fn client() -> Client {
    client_of(&server().to_string()).await
}

async fn client_of(address: &str) -> Client {
    Client::connect(address, options()).await.expect("a connection")
}

fn path(name: &str) -> String {
    format!("/zk/{}", support::unique(name))
}

fn mutex(client: &Client, path: &str) -> Mutex {
    Mutex::new(client, path, MutexOptions::default()).expect("a mutex")
}

async fn lock(mutex: &Mutex) -> Hold {
    mutex.lock(Some(LIMIT), "test").await.expect("the lock")
}

async fn children(client: &Client, path: &str) -> Vec<String> {
    let mut names = client.zk().children(path, OpOptions::default()).await.expect("a list").0;
    names.sort();
    names
}

/// Waits until so many nodes are below the path.
async fn until_children(client: &Client, path: &str, count: usize) {
    let zk = client.zk();
    loop {
        let (list, watch) = zk.children_watch(path, OpOptions::default());
        match list.await {
            Ok((names, _)) if names.len() == count => return,
            Ok(_) => drop(watch.await),
            Err(error) if error.code() == Code::NO_NODE => {
                let (exists, watch) = zk.exists_watch(path, OpOptions::default());
                if exists.await.expect("an answer").is_none() {
                    watch.await;
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.expect_err("an error").code()
}

/// Ends a client's session at the server, as its expiry would.
async fn end_session(client: &Client) {
    let Reattach { session_id, password, last_zxid } = client.credentials();
    let reattach = Some(Reattach { session_id, password, last_zxid });
    let address = server().to_string();
    let thief = Client::connect(&address, Options { reattach, ..options() }).await.expect("re-attached");
    assert_eq!(thief.session().id, session_id);
    thief.close(LIMIT).await.expect("closed");
}

#[tokio::test]
async fn lock_and_unlock_take_two_flights_when_uncontended() {
    let proxy = Proxy::new(server());
    // Its timeout is long enough that no ping comes in between.
    let options = Options { session_timeout: Duration::from_secs(10), ..Options::default() };
    let client = Client::connect(&proxy.address().to_string(), options).await.expect("a connection");
    let mutex = mutex(&client, &path("flights"));
    lock(&mutex).await.release().await.expect("released");
    // A ping may come in between by bad luck on a slow machine, but not each time.
    let mut flights = Vec::new();
    for _ in 0..10 {
        let before = proxy.chunks(Direction::ToServer);
        lock(&mutex).await.release().await.expect("released");
        flights.push(proxy.chunks(Direction::ToServer) - before);
    }
    assert_eq!(flights.iter().min(), Some(&2), "{flights:?}");
}

#[tokio::test]
async fn a_lock_node_says_who_holds_it_and_the_token_is_its_czxid() {
    let client = client().await;
    let at = path("contents");
    let mut options = MutexOptions::default();
    options.contents_json(r#"{"role": "blue"}"#).expect("an object");
    let mutex = Mutex::new(&client, &at, options).expect("a mutex");
    let hold = mutex.lock(Some(LIMIT), "nightly report").await.expect("the lock");
    let names = children(&client, &at).await;
    assert_eq!(names, ["lock-0000000000"]);
    let (data, stat) =
        client.zk().get(&format!("{at}/{}", names[0]), OpOptions::default()).await.expect("the node");
    let object: serde_json::Value = serde_json::from_slice(&data).expect("JSON");
    assert_eq!(object["role"], "blue");
    assert_eq!(object["desc"], "nightly report");
    assert_eq!(object["pid"], std::process::id());
    assert!(object["hostname"].is_string() && object["id"].as_str().is_some_and(|id| id.len() == 36));
    assert_eq!(stat.czxid, hold.token());
    assert_eq!(stat.ephemeral_owner, client.session().id);
    assert!(hold.is_held() && mutex.is_held());
    assert_eq!(mutex.token(), Some(hold.token()));
    hold.release().await.expect("released");
    assert!(!mutex.is_held());
    assert_eq!(code(mutex.unlock().await), Code::NOT_HELD);
    assert!(children(&client, &at).await.is_empty());
}

#[tokio::test]
async fn tokens_grow_also_after_the_parent_was_deleted_and_made_again() {
    let client = client().await;
    let at = path("tokens");
    let mutex = mutex(&client, &at);
    let mut last = 0;
    for round in 0..6 {
        if round == 3 {
            client.zk().delete(&at, -1, OpOptions::default()).await.expect("deleted");
        }
        let hold = lock(&mutex).await;
        assert!(hold.token() > last);
        last = hold.token();
        hold.release().await.expect("released");
    }
}

#[tokio::test]
async fn handles_and_threads_of_one_process_exclude_each_other() {
    let at = path("threads");
    let inside = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicU64::new(0));
    let first = client().await;
    let second = client().await;
    let handles = [mutex(&first, &at), mutex(&first, &at), mutex(&second, &at)];
    // Each handle is shared by two threads with runtimes of their own.
    let threads: Vec<_> = handles
        .iter()
        .flat_map(|handle| [handle.clone(), handle.clone()])
        .map(|handle| {
            let (inside, count) = (Arc::clone(&inside), Arc::clone(&count));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                runtime.block_on(async {
                    for _ in 0..25 {
                        let hold = lock(&handle).await;
                        assert!(!inside.swap(true, Ordering::SeqCst), "two holders at once");
                        count.fetch_add(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        assert!(inside.swap(false, Ordering::SeqCst));
                        hold.release().await.expect("released");
                    }
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("a thread");
    }
    assert_eq!(count.load(Ordering::SeqCst), 150);
    assert!(children(&first, &at).await.is_empty());
}

#[tokio::test]
async fn waiters_are_served_in_the_order_of_arrival() {
    let client = client().await;
    let at = path("order");
    let holder = lock(&mutex(&client, &at)).await;
    let mut waiting = Vec::new();
    for count in 2..8 {
        let handle = mutex(&client, &at);
        waiting.push(handle.lock(Some(LIMIT), "waits"));
        until_children(&client, &at, count).await;
    }
    let mut token = holder.token();
    holder.release().await.expect("released");
    for acquire in waiting {
        let hold = acquire.await.expect("the lock");
        assert!(hold.token() > token);
        token = hold.token();
        hold.release().await.expect("released");
    }
}

#[tokio::test]
async fn a_try_that_fails_writes_nothing() {
    let client = client().await;
    let at = path("try");
    let handle = mutex(&client, &at);
    let hold = handle.lock(Some(Duration::ZERO), "a try").await.expect("free");
    let before = client.zk().exists(&at, OpOptions::default()).await.expect("an answer").expect("a node");
    let other = mutex(&client, &at);
    assert_eq!(code(other.lock(Some(Duration::ZERO), "another").await), Code::TIMEOUT);
    // Also on the handle that holds it.
    assert_eq!(code(handle.lock(Some(Duration::ZERO), "a second").await), Code::TIMEOUT);
    let after = client.zk().exists(&at, OpOptions::default()).await.expect("an answer").expect("a node");
    assert_eq!(before, after);
    hold.release().await.expect("released");
    other.lock(Some(Duration::ZERO), "free again").await.expect("free").release().await.expect("released");
}

#[tokio::test]
async fn a_timeout_a_cancel_a_drop_and_a_close_leave_no_node() {
    let client = client().await;
    let at = path("leave");
    let holder = lock(&mutex(&client, &at)).await;

    let handle = mutex(&client, &at);
    assert_eq!(code(handle.lock(Some(Duration::from_millis(100)), "").await), Code::TIMEOUT);
    assert_eq!(children(&client, &at).await.len(), 1);

    let acquire = handle.lock(None, "");
    until_children(&client, &at, 2).await;
    assert_eq!(code(acquire.cancel().await), Code::CANCELLED);
    assert_eq!(children(&client, &at).await.len(), 1);

    let acquire = handle.lock(None, "");
    until_children(&client, &at, 2).await;
    drop(acquire);
    until_children(&client, &at, 1).await;

    let acquire = handle.lock(None, "");
    until_children(&client, &at, 2).await;
    handle.close();
    assert_eq!(code(acquire.await), Code::CLOSED);
    assert_eq!(children(&client, &at).await.len(), 1);
    assert_eq!(code(handle.lock(None, "").await), Code::CLOSED);

    // At a moment when nothing can be known: before the first answer.
    let handle = mutex(&client, &at);
    for _ in 0..50 {
        drop(handle.lock(None, ""));
    }
    holder.release().await.expect("released");
    lock(&handle).await.release().await.expect("released");
    until_children(&client, &at, 0).await;
}

#[tokio::test]
async fn dropping_a_hold_or_the_handle_releases_the_lock() {
    let client = client().await;
    let at = path("drop");
    let handle = mutex(&client, &at);
    drop(lock(&handle).await);
    until_children(&client, &at, 0).await;
    let token = lock(&handle).await.keep();
    assert_eq!(handle.token(), Some(token));
    drop(handle);
    until_children(&client, &at, 0).await;
}

#[tokio::test]
async fn a_second_lock_on_a_held_handle_queues_behind_it() {
    let client = client().await;
    let at = path("second");
    let handle = mutex(&client, &at);
    let hold = lock(&handle).await;
    assert_eq!(code(handle.lock(Some(Duration::from_millis(50)), "").await), Code::TIMEOUT);
    let second = handle.lock(Some(LIMIT), "");
    let token = hold.token();
    hold.release().await.expect("released");
    let second = second.await.expect("the lock");
    assert!(second.token() > token);
    second.release().await.expect("released");
}

#[tokio::test]
async fn a_lock_behind_a_hold_that_nobody_releases_ends_with_the_client() {
    let client = client().await;
    let handle = mutex(&client, &path("behind-closed"));
    let hold = lock(&handle).await;
    let second = handle.lock(Some(LIMIT), "");
    client.close(LIMIT).await.expect("closed");
    assert_eq!(code(second.await), Code::CLOSED);
    assert_eq!(code(handle.lock(Some(LIMIT), "").await), Code::CLOSED);
    drop(hold);
}

#[tokio::test]
async fn mutex_row_3_an_interrupt_ends_a_wait_and_is_remembered_if_nobody_waits() {
    let client = client().await;
    let at = path("interrupt");
    let holder = lock(&mutex(&client, &at)).await;
    let handle = mutex(&client, &at);
    let acquire = handle.lock(None, "");
    until_children(&client, &at, 2).await;
    handle.interrupt();
    assert_eq!(code(acquire.await), Code::INTERRUPTED);
    assert_eq!(children(&client, &at).await.len(), 1);
    handle.interrupt();
    handle.interrupt();
    assert_eq!(code(handle.lock(None, "").await), Code::INTERRUPTED);
    // It is used up.
    assert_eq!(code(handle.lock(Some(Duration::from_millis(50)), "").await), Code::TIMEOUT);
    holder.release().await.expect("released");
}

#[tokio::test]
async fn an_ended_session_loses_the_lock_and_a_waiter_comes_back() {
    let (owner, watcher) = (client().await, client().await);
    let at = path("expiry");
    let handle = mutex(&owner, &at);
    let hold = lock(&handle).await;
    let mut states = owner.states();
    let old = owner.session().id;
    end_session(&owner).await;
    // The node goes with the session, and somebody else may have the lock.
    let other = lock(&mutex(&watcher, &at)).await;
    assert!(other.token() > hold.token());
    let mut seen = Vec::new();
    while let Some(event) = states.recv().await {
        let (state, session, previous) = (event.state, event.session, event.previous_session);
        seen.push(state);
        if state == State::Connected && session != old {
            assert_eq!(previous, old);
            break;
        }
    }
    // The two may take the session from each other a few times before it ends.
    assert_eq!(seen.first(), Some(&State::Connected));
    assert!(seen.ends_with(&[State::Suspended, State::Lost, State::Connected]), "{seen:?}");
    assert!(!hold.is_held() && !handle.is_held() && handle.token().is_none());
    assert_eq!(code(hold.release().await), Code::LOCK_LOST);
    // A waiter whose session ends queues again by itself.
    let waiting = handle.lock(Some(LIMIT), "waits");
    until_children(&watcher, &at, 2).await;
    let lost = owner.session().id;
    end_session(&owner).await;
    until_children(&watcher, &at, 1).await;
    until_children(&watcher, &at, 2).await;
    other.release().await.expect("released");
    let hold = waiting.await.expect("the lock");
    assert_ne!(owner.session().id, lost);
    hold.release().await.expect("released");
    assert!(children(&watcher, &at).await.is_empty());
}

#[tokio::test]
async fn a_node_deleted_by_someone_is_a_lost_lock_and_nothing_else_is_deleted() {
    let client = client().await;
    let at = path("deleted");
    let handle = mutex(&client, &at);
    let hold = lock(&handle).await;
    let own = format!("{at}/{}", children(&client, &at).await[0]);
    client.zk().delete(&own, -1, OpOptions::default()).await.expect("deleted");
    let other = lock(&mutex(&client, &at)).await;
    assert_eq!(code(hold.release().await), Code::LOCK_LOST);
    assert!(other.is_held());
    assert_eq!(children(&client, &at).await.len(), 1);
    other.release().await.expect("released");
}

#[tokio::test]
async fn mutex_row_4_foreign_locks_are_waited_for_by_number_and_foreign_children_are_not() {
    let client = client().await;
    let at = path("foreign");
    let options = OpOptions::default();
    let zk = client.zk();
    let world = [Acl::world(permissions::ALL)];
    zk.create_parents(&at, &world, options).await.expect("parents");
    let create = |name: &str| zk.create(&format!("{at}/{name}"), b"", &world, CreateMode::Ephemeral, options);
    create("config").await.expect("made");
    create("zzz").await.expect("made");
    // The server's counter counts creations: the next number is 2, so 0 and 1 are lower, 9 is not.
    create("_c_0f-lock-0000000000").await.expect("made");
    create("9a__lock__0000000001").await.expect("made");
    create("zz-lock-0000000009").await.expect("made");
    let handle = mutex(&client, &at);
    let acquire = handle.lock(Some(LIMIT), "");
    until_children(&client, &at, 6).await;
    zk.delete(&format!("{at}/9a__lock__0000000001"), -1, options).await.expect("deleted");
    assert_eq!(code(handle.lock(Some(Duration::from_millis(50)), "").await), Code::TIMEOUT);
    zk.delete(&format!("{at}/_c_0f-lock-0000000000"), -1, options).await.expect("deleted");
    acquire.await.expect("the lock").release().await.expect("released");
    let left = children(&client, &at).await;
    assert_eq!(left, ["config", "zz-lock-0000000009", "zzz"]);
}

#[tokio::test]
async fn an_error_that_does_not_pass_is_returned_at_once() {
    let client = client().await;
    let at = path("noauth");
    let options = OpOptions::default();
    let read_only = [Acl::world(permissions::READ)];
    client.zk().create_parents("/zk", &[Acl::world(permissions::ALL)], options).await.expect("parents");
    client.zk().create(&at, b"", &read_only, CreateMode::Persistent, options).await.expect("made");
    let error = mutex(&client, &at).lock(None, "").await.expect_err("no permission");
    assert_eq!(error.code(), Code::NO_AUTH);
    assert!(error.path().is_some_and(|path| path.starts_with(&at)), "{error}");
}

#[tokio::test]
async fn bad_paths_and_options_are_refused_before_a_request_is_sent() {
    let client = client().await;
    for bad in ["", "a", "/a/", "/a//b", "/a/./b", "/a\0", "/a\u{1}", "/"] {
        let error = Mutex::new(&client, bad, MutexOptions::default()).expect_err(bad);
        assert_eq!((error.code(), error.path()), (Code::BAD_PATH, Some(bad)));
    }
    let no_acl = MutexOptions { acl: Vec::new(), ..MutexOptions::default() };
    assert_eq!(code(Mutex::new(&client, "/a", no_acl)), Code::BAD_ARGUMENT);
    let pattern = MutexOptions { extra_lock_patterns: vec![String::new()], ..MutexOptions::default() };
    assert_eq!(code(Mutex::new(&client, "/a", pattern)), Code::BAD_ARGUMENT);
}

#[tokio::test]
async fn a_lock_below_a_chroot_is_the_same_lock() {
    let client = client().await;
    let at = path("chroot");
    client
        .zk()
        .create_parents(&at, &[Acl::world(permissions::ALL)], OpOptions::default())
        .await
        .expect("made");
    let inside = client_of(&format!("{}{at}", server())).await;
    let hold = lock(&mutex(&inside, "/a/b")).await;
    let outside = mutex(&client, &format!("{at}/a/b"));
    assert_eq!(code(outside.lock(Some(Duration::ZERO), "").await), Code::TIMEOUT);
    let waiting = outside.lock(Some(LIMIT), "");
    hold.release().await.expect("released");
    waiting.await.expect("the lock").release().await.expect("released");
}

/// The exchange of an acquire is cut after each of its answer's bytes in turn, and of its request's.
#[tokio::test]
async fn mutex_row_1_an_acquire_cut_at_any_byte_makes_exactly_one_node() {
    let proxy = Proxy::new(server());
    let watcher = client().await;
    for direction in [Direction::ToServer, Direction::ToClient] {
        let at = path("cut");
        lock(&mutex(&watcher, &at)).await.release().await.expect("released");
        let start = proxy.bytes(direction);
        let client = client_of(&proxy.address().to_string()).await;
        let handshake = proxy.bytes(direction) - start;
        let hold = lock(&mutex(&client, &at)).await;
        let whole = proxy.bytes(direction) - start;
        hold.release().await.expect("released");
        client.close(LIMIT).await.expect("closed");
        for byte in (handshake..=whole).step_by(step()) {
            proxy.cut_after_bytes(direction, byte);
            let client = client_of(&proxy.address().to_string()).await;
            let hold = lock(&mutex(&client, &at)).await;
            let names = children(&watcher, &at).await;
            assert_eq!(names.len(), 1, "{direction:?} cut after {byte} bytes: {names:?}");
            hold.release().await.expect("released");
            assert!(children(&watcher, &at).await.is_empty());
            client.close(LIMIT).await.expect("closed");
        }
    }
}

/// How many bytes are passed over between two cuts: none when everything is to be proved.
fn step() -> usize {
    if std::env::var_os("ZKHELPER_PROVE").is_some() { 1 } else { 7 }
}
