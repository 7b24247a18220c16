//! Requests to give a lock up, on whichever server the test that takes this in names.

use crate::{server, support};
use std::time::Duration;
use zkhelper::proto::{Acl, CreateMode, permissions};
use zkhelper::zk::OpOptions;
use zkhelper::{
    Client, Code, Hold, Mutex, MutexOptions, Options, Persistent, Result, Revocation, Strict, Time,
};

/// Ends a test that hangs; no working test comes near it.
const LIMIT: Duration = Duration::from_secs(120);

async fn client() -> Client {
    let options = Options { session_timeout: Duration::from_secs(2), ..Options::default() };
    Client::connect(&server().to_string(), options).await.expect("a connection")
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

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.expect_err("an error").code()
}

async fn name(mutex: &Mutex, at: usize) -> String {
    loop {
        if let Some(contender) = mutex.contenders().await.expect("a list").get(at) {
            return contender.name.clone();
        }
    }
}

#[tokio::test]
async fn a_holder_is_told_who_wants_it_to_give_the_lock_up_and_decides() {
    let (one, two) = (client().await, client().await);
    let at = path("revoke");
    for persistent in [None, Some(Persistent::default())] {
        let options = MutexOptions { persistent, ..MutexOptions::default() };
        let handle = Mutex::new(&one, &at, options).expect("a mutex");
        let mut revocations = handle.revocations();
        let hold = lock(&handle).await;
        let token = hold.token();
        let other = mutex(&two, &at);
        let own = name(&other, 0).await;
        other.request_revocation(&own, "maintenance \"at\" noon").await.expect("asked");
        let told = revocations.recv().await.expect("told");
        assert_eq!(told, Revocation { token, reason: "maintenance \"at\" noon".to_owned() });
        let listed = other.contenders().await.expect("a list").remove(0);
        assert_eq!(listed.asked.as_deref(), Some("maintenance \"at\" noon"));
        assert_eq!(listed.description.as_deref(), Some("test"));
        // Nothing is forced, and each further request is told.
        assert!(hold.is_held());
        other.request_revocation(&own, "now").await.expect("asked");
        assert_eq!(revocations.recv().await.expect("told").reason, "now");
        // The next in line gets its event all the same.
        let waiting = other.lock(Some(LIMIT), "waits");
        name(&mutex(&two, &at), 1).await;
        other.request_revocation(&own, "please").await.expect("asked");
        assert_eq!(revocations.recv().await.expect("told").reason, "please");
        hold.release().await.expect("released");
        let next = waiting.await.expect("the lock");
        assert!(next.token() > token && next.is_held());
        next.release().await.expect("released");
        // A later hold was not asked for.
        lock(&handle).await.release().await.expect("released");
        drop(handle);
        assert_eq!(revocations.recv().await, None);
    }
}

#[tokio::test]
async fn a_waiter_that_is_asked_for_its_place_is_told_when_it_holds() {
    let (one, two) = (client().await, client().await);
    let at = path("waiter");
    let hold = lock(&mutex(&one, &at)).await;
    let handle = mutex(&two, &at);
    let mut revocations = handle.revocations();
    let waiting = handle.lock(Some(LIMIT), "waits");
    let own = name(&mutex(&one, &at), 1).await;
    mutex(&one, &at).request_revocation(&own, "go away").await.expect("asked");
    hold.release().await.expect("released");
    let hold = waiting.await.expect("the lock");
    let told = revocations.recv().await.expect("told");
    assert_eq!((told.token, told.reason.as_str()), (hold.token(), "go away"));
    hold.release().await.expect("released");
}

#[tokio::test]
async fn curators_form_is_understood_and_curators_nodes_are_asked_in_it() {
    let (one, two) = (client().await, client().await);
    let at = path("curator");
    let handle = mutex(&one, &at);
    let mut revocations = handle.revocations();
    let hold = lock(&handle).await;
    let options = OpOptions::default();
    let own = format!("{at}/{}", name(&handle, 0).await);
    two.zk().set(&own, b"__REVOKE__", -1, options).await.expect("set");
    let told = revocations.recv().await.expect("told");
    assert_eq!(told, Revocation { token: hold.token(), reason: String::new() });
    assert!(hold.is_held());
    hold.release().await.expect("released");

    let world = [Acl::world(permissions::ALL)];
    let make = |name: &str, data: &'static [u8]| {
        two.zk().create(&format!("{at}/{name}"), data, &world, CreateMode::Ephemeral, options)
    };
    make("_c_0f-lock-0000000003", b"10.0.0.1").await.expect("made");
    make("9a__lock__0000000004", b"kazoo's").await.expect("made");
    handle.request_revocation("_c_0f-lock-0000000003", "why").await.expect("asked");
    let (data, _) = two.zk().get(&format!("{at}/_c_0f-lock-0000000003"), options).await.expect("there");
    assert_eq!(data, b"__REVOKE__");
    assert_eq!(code(handle.request_revocation("9a__lock__0000000004", "").await), Code::UNSUPPORTED);
    assert_eq!(code(handle.request_revocation("lock-0000000099", "").await), Code::NO_NODE);
    assert_eq!(code(handle.request_revocation("9a__lock__", "").await), Code::BAD_ARGUMENT);
}

#[tokio::test]
async fn who_may_not_write_the_node_may_not_ask() {
    let (one, two) = (client().await, client().await);
    let at = path("acl");
    let acl = vec![Acl::world(permissions::ALL & !permissions::WRITE)];
    let handle = Mutex::new(&one, &at, MutexOptions { acl, ..MutexOptions::default() }).expect("a mutex");
    let hold = lock(&handle).await;
    let own = name(&handle, 0).await;
    assert_eq!(code(mutex(&two, &at).request_revocation(&own, "").await), Code::NO_AUTH);
    assert!(hold.is_held());
    hold.release().await.expect("released");
}

/// A waiter in default mode learns from a strict holder's contents that the holder's going away is no hand-over
/// by itself. A request to give the lock up must not hide that, Curator's neither.
#[tokio::test]
async fn a_strict_holder_that_was_asked_is_still_waited_for() {
    let delay = Duration::from_secs(3);
    let strict = Some(Strict { lease: delay, delay });
    for curators in [false, true] {
        let (one, two) = (client().await, client().await);
        let at = path("strict");
        let options = MutexOptions { strict, ..MutexOptions::default() };
        let handle = Mutex::new(&one, &at, options).expect("a mutex");
        let hold = lock(&handle).await;
        let other = mutex(&two, &at);
        let own = name(&other, 0).await;
        if curators {
            let at = format!("{at}/{own}");
            two.zk().set(&at, b"__REVOKE__", -1, OpOptions::default()).await.expect("set");
        } else {
            other.request_revocation(&own, "please").await.expect("asked");
        }
        let waiting = other.lock(Some(LIMIT), "waits");
        name(&mutex(&two, &at), 1).await;
        let gone = Time::now();
        one.close(LIMIT).await.expect("closed");
        let next = waiting.await.expect("the lock");
        assert!(Time::now().since(gone) >= delay);
        next.release().await.expect("released");
        drop(hold);
    }
}
