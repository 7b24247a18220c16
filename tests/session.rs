//! The client's sessions on Apache ZooKeeper 3.8 and 3.9: every operation, every kind of watch across a
//! reconnect and an expiry, and what a network and its servers do to a connection.

mod support;

use std::collections::BTreeSet;
use std::future::Future;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};
use support::proxy::{Direction, Proxy};
use support::zookeeper::{Ensemble, Flavor};
use tokio::sync::mpsc;
use zkhelper::client::{Auth, Reattach, WatchStream, WhileSuspended};
use zkhelper::proto::{
    Acl, CreateMode, EventType, MultiOp, MultiResult, Request, Response, WatchMode, WatcherType, permissions,
};
use zkhelper::zk::{OpOptions, Watch, WatchEvent, WatchEventKind};
use zkhelper::{Client, Code, Error, Options, Result, State, StateEvent};

/// Ends a test that hangs; no working test comes near it.
const LIMIT: Duration = Duration::from_secs(90);

/// The length of a server's answer to a connection, with that of its frame.
const HANDSHAKE: usize = 41;

// ---- the ground ----

fn server(flavor: Flavor) -> &'static Ensemble {
    static DEBIAN: OnceLock<Ensemble> = OnceLock::new();
    static MAVEN: OnceLock<Ensemble> = OnceLock::new();
    match flavor {
        Flavor::Debian => DEBIAN.get_or_init(|| Ensemble::single(flavor)),
        Flavor::Maven39 => MAVEN.get_or_init(|| Ensemble::single(flavor)),
    }
}

fn options() -> Options {
    Options { session_timeout: Duration::from_secs(9), operation_timeout: LIMIT, ..Options::default() }
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(result) => result,
        Err(_) => panic!("waited {LIMIT:?} in vain for {what}"),
    }
}

async fn connect(address: &str, options: Options) -> Client {
    let client = Client::new(address, options).expect("a client");
    client.wait_connected(LIMIT).await.expect("a connection");
    client
}

async fn client(flavor: Flavor) -> Client {
    connect(&server(flavor).connect_string(), options()).await
}

/// A client that reaches its server through a proxy.
async fn through_proxy(server: &Ensemble) -> (Proxy, Client) {
    let proxy = Proxy::new(server.address(0));
    let client = connect(&proxy.address().to_string(), options()).await;
    (proxy, client)
}

fn any() -> OpOptions {
    OpOptions::default()
}

fn open_acl() -> Vec<Acl> {
    vec![Acl::world(permissions::ALL)]
}

async fn make(client: &Client, path: &str, mode: CreateMode) -> String {
    client.zk().create(path, b"", &open_acl(), mode, any()).await.expect("created").0
}

async fn top(client: &Client, stem: &str) -> String {
    make(client, &format!("/{}", support::unique(stem)), CreateMode::Persistent).await
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.expect_err("an error").code()
}

fn node(event: EventType) -> WatchEventKind {
    WatchEventKind::Node(event)
}

async fn fired(watch: Watch) -> WatchEventKind {
    within("a watch", watch).await.kind
}

async fn next(stream: &mut WatchStream) -> WatchEvent {
    within("an event", stream.next()).await.expect("an event")
}

/// Reads states until one fits.
async fn state(states: &mut mpsc::UnboundedReceiver<StateEvent>, wanted: State) -> StateEvent {
    within(&format!("{wanted:?}"), async {
        loop {
            let event = states.recv().await.expect("a state");
            if event.state == wanted {
                return event;
            }
        }
    })
    .await
}

/// The states of a client from now on.
fn states_from_now(client: &Client) -> mpsc::UnboundedReceiver<StateEvent> {
    let mut states = client.states();
    let present = states.try_recv().expect("the present state");
    assert_eq!(present.state, State::Connected);
    states
}

/// Ends a client's session at the server, as its expiry would.
async fn end_session(client: &Client, address: SocketAddr) {
    let thief =
        connect(&address.to_string(), Options { reattach: Some(client.credentials()), ..options() }).await;
    assert_eq!(thief.session().id, client.session().id);
    thief.close(LIMIT).await.expect("closed");
}

/// What was logged by this process.
fn logged() -> &'static Mutex<Vec<String>> {
    static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());
    struct Keep;
    impl log::Log for Keep {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            LINES.lock().expect("no panic").push(format!("{} {}", record.target(), record.args()));
        }
        fn flush(&self) {}
    }
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Keep).expect("the only logger");
        log::set_max_level(log::LevelFilter::Trace);
    });
    &LINES
}

fn log_lines_with(text: &str) -> usize {
    logged().lock().expect("no panic").iter().filter(|line| line.contains(text)).count()
}

/// A test for each ZooKeeper.
macro_rules! on_both {
    ($($name:ident;)*) => {
        mod zookeeper_38 {
            $(#[tokio::test] async fn $name() { super::$name(super::Flavor::Debian).await; })*
        }
        mod zookeeper_39 {
            $(#[tokio::test] async fn $name() { super::$name(super::Flavor::Maven39).await; })*
        }
    };
}

on_both! {
    every_mode_of_create;
    every_read_and_write;
    transactions_and_reads_in_one_request;
    access_control_and_credentials_replayed_after_a_reconnect;
    ephemerals_counts_and_identities;
    close_ends_the_session_at_once;
    a_dropped_client_ends_its_session;
    watches_are_removed_at_the_server_when_they_are_dropped;
    every_kind_of_watch_fires_for_what_happened_while_away;
    every_kind_of_watch_that_did_not_fire_is_armed_again;
    watches_across_an_expiry;
    no_event_is_lost_between_two_of_one_transaction;
    a_watch_that_stays_and_a_one_shot_on_one_path;
    a_chroot_holds_for_everything;
    a_lost_reply_is_an_unknown_outcome_and_a_lost_read_is_read_again;
    a_session_is_attached_to_from_another_client;
    a_request_too_large_is_refused_and_one_just_fitting_is_taken;
}

// ---- every operation ----

async fn every_mode_of_create(flavor: Flavor) {
    let client = client(flavor).await;
    let top = top(&client, "create").await;
    for (mode, ttl_ms) in [
        (CreateMode::Persistent, 0),
        (CreateMode::Ephemeral, 0),
        (CreateMode::PersistentSequential, 0),
        (CreateMode::EphemeralSequential, 0),
        (CreateMode::Container, 0),
        (CreateMode::PersistentTtl, 600_000),
        (CreateMode::PersistentSequentialTtl, 600_000),
    ] {
        for with_stat in [false, true] {
            let path = format!("{top}/{mode:?}-{with_stat}-");
            let request = Request::Create {
                path: path.clone(),
                data: b"d".to_vec(),
                acl: open_acl(),
                mode,
                ttl_ms,
                with_stat,
            };
            let answer = client.request(request.clone(), any()).await.expect("created");
            let brings_stat = with_stat || mode == CreateMode::Container || mode.has_ttl();
            let made = match answer.response {
                Response::Create { path } if !brings_stat => path,
                Response::Create2 { path, stat } if brings_stat => {
                    assert_eq!(stat.czxid, answer.zxid);
                    path
                }
                other => panic!("{mode:?}: {other:?}"),
            };
            if mode.is_sequential() {
                let number = made.strip_prefix(path.as_str()).expect("a number after the name");
                assert!(number.len() == 10 && number.bytes().all(|b| b.is_ascii_digit()), "{made}");
            } else {
                assert_eq!(made, path);
                let error = client.request(request, any()).await.expect_err("it is there");
                assert_eq!((error.code(), error.path()), (Code::NODE_EXISTS, Some(path.as_str())));
            }
            let (data, stat) = client.zk().get(&made, any()).await.expect("it is there");
            let owner = if mode.is_ephemeral() { client.session().id } else { stat.ephemeral_owner };
            assert_eq!((data.as_slice(), stat.ephemeral_owner), (&b"d"[..], owner));
            if mode.is_ephemeral() {
                let below = client.zk().create(&format!("{made}/x"), b"", &open_acl(), mode, any()).await;
                assert_eq!(code(below), Code::NO_CHILDREN_FOR_EPHEMERALS);
            }
        }
    }
}

async fn every_read_and_write(flavor: Flavor) {
    let client = client(flavor).await;
    let zk = client.zk();
    let top = top(&client, "ops").await;
    let path = format!("{top}/n");
    assert_eq!(zk.exists(&path, any()).await.expect("an answer"), None);
    assert_eq!(code(zk.get(&path, any()).await), Code::NO_NODE);
    let (_, made) =
        zk.create(&path, b"one", &open_acl(), CreateMode::Persistent, any()).await.expect("created");
    assert_eq!(zk.exists(&path, any()).await.expect("an answer"), Some(made));
    let stat = zk.set(&path, b"two", 0, any()).await.expect("set");
    assert_eq!(stat.version, 1);
    assert_eq!(code(zk.set(&path, b"three", 0, any()).await), Code::BAD_VERSION);
    assert_eq!(zk.get(&path, any()).await.expect("data"), (b"two".to_vec(), stat));
    make(&client, &format!("{path}/c1"), CreateMode::Persistent).await;
    make(&client, &format!("{path}/c2"), CreateMode::Persistent).await;
    let (mut names, stat) = zk.children(&path, any()).await.expect("a list");
    names.sort();
    assert_eq!((names.as_slice(), stat.num_children), (&["c1".to_owned(), "c2".to_owned()][..], 2));
    match client.request(Request::GetChildren { path: path.clone(), watch: false }, any()).await {
        Ok(answer) => match answer.response {
            Response::Children { children } => assert_eq!(children.len(), 2),
            other => panic!("{other:?}"),
        },
        Err(error) => panic!("{error}"),
    }
    zk.sync(&path, any()).await.expect("synced");
    assert_eq!(code(zk.delete(&path, -1, any()).await), Code::NOT_EMPTY);
    assert_eq!(code(zk.delete(&format!("{path}/c1"), 7, any()).await), Code::BAD_VERSION);
    zk.delete(&format!("{path}/c1"), 0, any()).await.expect("deleted");
    assert_eq!(code(zk.delete(&format!("{path}/c1"), 0, any()).await), Code::NO_NODE);
    assert_eq!(code(client.request(Request::Check { path, version: 0 }, any()).await), Code::BAD_ARGUMENT);
}

fn create_op(path: String, with_stat: bool) -> MultiOp {
    MultiOp::Create {
        path,
        data: b"m".to_vec(),
        acl: open_acl(),
        mode: CreateMode::Persistent,
        ttl_ms: 0,
        with_stat,
    }
}

async fn transactions_and_reads_in_one_request(flavor: Flavor) {
    let client = client(flavor).await;
    let zk = client.zk();
    let top = top(&client, "multi").await;
    let at = |name: &str| format!("{top}/{name}");
    make(&client, &at("old"), CreateMode::Persistent).await;
    let results = zk
        .multi(
            vec![
                MultiOp::Check { path: top.clone(), version: 0 },
                create_op(at("a"), false),
                create_op(at("b"), true),
                MultiOp::SetData { path: at("a"), data: b"set".to_vec(), version: 0 },
                MultiOp::Delete { path: at("old"), version: 0 },
            ],
            any(),
        )
        .await
        .expect("done");
    match &results[..] {
        [
            MultiResult::Check,
            MultiResult::Create { path: a },
            created,
            MultiResult::SetData { stat: set },
            MultiResult::Delete,
        ] => {
            assert_eq!((a, set.version), (&at("a"), 1));
            match created {
                MultiResult::Create2 { path, stat } => {
                    assert_eq!((path, stat.czxid), (&at("b"), set.mzxid));
                }
                // Servers up to 3.8 leave the status out.
                MultiResult::Create { path } if flavor == Flavor::Debian => assert_eq!(path, &at("b")),
                other => panic!("{other:?}"),
            }
        }
        other => panic!("{other:?}"),
    }
    let refused = zk
        .multi(
            vec![
                create_op(at("never"), false),
                MultiOp::Check { path: at("gone"), version: 0 },
                create_op(at("neither"), false),
            ],
            any(),
        )
        .await
        .expect_err("the check fails");
    assert_eq!((refused.code(), refused.path()), (Code::NO_NODE, Some(at("gone").as_str())));
    assert_eq!(zk.exists(&at("never"), any()).await.expect("an answer"), None, "all or nothing");

    let reads = vec![
        MultiOp::GetData { path: at("a") },
        MultiOp::GetChildren { path: top.clone() },
        MultiOp::GetData { path: at("gone") },
    ];
    match &zk.multi_read(reads, any()).await.expect("read")[..] {
        [
            MultiResult::GetData { data, .. },
            MultiResult::GetChildren { children },
            MultiResult::Error(code),
        ] => {
            assert_eq!((data.as_slice(), children.len(), *code), (&b"set"[..], 2, Code::NO_NODE.number()));
        }
        other => panic!("{other:?}"),
    }
}

async fn access_control_and_credentials_replayed_after_a_reconnect(flavor: Flavor) {
    logged();
    let (proxy, client) = through_proxy(server(flavor)).await;
    let zk = client.zk();
    client.add_auth("digest", b"user:s3cr3t").await.expect("taken");
    let path = format!("/{}", support::unique("acl"));
    let mine = vec![Acl::creator(permissions::ALL)];
    zk.create(&path, b"", &mine, CreateMode::Persistent, any()).await.expect("created");
    let (acl, stat) = zk.get_acl(&path, any()).await.expect("an ACL");
    assert_eq!((acl.len(), acl[0].scheme.as_str(), acl[0].perms, stat.aversion), (1, "digest", 31, 0));
    assert!(acl[0].id.starts_with("user:"), "{acl:?}");

    let stranger = connect(&server(flavor).connect_string(), options()).await;
    assert_eq!(code(stranger.zk().get(&path, any()).await), Code::NO_AUTH);
    let auth = vec![Auth { scheme: "digest".to_owned(), credentials: b"user:s3cr3t".to_vec() }];
    let friend = connect(&server(flavor).connect_string(), Options { auth, ..options() }).await;
    friend.zk().get(&path, any()).await.expect("the same user from the start");

    for _ in 0..2 {
        let mut states = states_from_now(&client);
        proxy.cut_now();
        state(&mut states, State::Connected).await;
        zk.set(&path, b"again", -1, any()).await.expect("the credentials were replayed");
    }
    assert_eq!(client.session().connection, 3);

    let both = [acl.clone(), vec![Acl::world(permissions::READ)]].concat();
    assert_eq!(code(zk.set_acl(&path, &both, 5, any()).await), Code::BAD_VERSION);
    assert_eq!(zk.set_acl(&path, &both, 0, any()).await.expect("set").aversion, 1);
    stranger.zk().get(&path, any()).await.expect("anyone may read now");
    assert_eq!(code(stranger.zk().set(&path, b"", -1, any()).await), Code::NO_AUTH);

    // What the server refuses is final, and says so.
    let mut states = stranger.states();
    let refused = stranger.add_auth("no-such-scheme", b"user:s3cr3t").await.expect_err("refused");
    assert_eq!(refused.code(), Code::AUTH_FAILED);
    let end = state(&mut states, State::Closed).await;
    assert_eq!(end.reason.map(|error| error.code()), Some(Code::AUTH_FAILED));
    assert_eq!(code(stranger.zk().get(&path, any()).await), Code::AUTH_FAILED);

    let password = String::from_utf8_lossy(&client.credentials().password).into_owned();
    assert_eq!(log_lines_with("s3cr3t") + log_lines_with(&password), 0, "no secret was logged");
    assert_ne!(log_lines_with(&format!("{:#x}", client.session().id)), 0, "the session was");
}

async fn ephemerals_counts_and_identities(flavor: Flavor) {
    let client = client(flavor).await;
    let zk = client.zk();
    let top = top(&client, "count").await;
    for name in ["e1", "e2"] {
        make(&client, &format!("{top}/{name}"), CreateMode::Ephemeral).await;
    }
    make(&client, &format!("{top}/p"), CreateMode::Persistent).await;
    let mut found = zk.ephemerals(&top, any()).await.expect("a list");
    found.sort();
    assert_eq!(found, [format!("{top}/e1"), format!("{top}/e2")]);
    assert_eq!(zk.all_children_number(&top, any()).await.expect("a number"), 3);
    client.add_auth("digest", b"me:x").await.expect("taken");
    let identities = client.who_am_i().await.expect("a list");
    let schemes: BTreeSet<_> = identities.iter().map(|info| info.scheme.as_str()).collect();
    assert_eq!(schemes, BTreeSet::from(["digest", "ip"]), "{identities:?}");
    assert!(identities.iter().any(|info| info.user == "me"));
}

async fn close_ends_the_session_at_once(flavor: Flavor) {
    let (closing, other) = (client(flavor).await, client(flavor).await);
    let path = make(&closing, &format!("/{}", support::unique("close")), CreateMode::Ephemeral).await;
    let session = closing.session().id;
    assert!(other.zk().exists(&path, any()).await.expect("an answer").is_some());
    let mut states = states_from_now(&closing);
    let waiting = closing.zk().get("/", any());
    closing.close(LIMIT).await.expect("closed");
    waiting.await.expect("it was sent before");
    assert_eq!(other.zk().exists(&path, any()).await.expect("an answer"), None);
    assert!(!server(flavor).sessions().contains(&session));
    assert_eq!(state(&mut states, State::Closed).await.reason, None);
    assert_eq!(closing.state(), State::Closed);
    assert_eq!(code(closing.zk().get("/", any()).await), Code::CLOSED);
    closing.close(LIMIT).await.expect("twice is once");
}

async fn a_dropped_client_ends_its_session(flavor: Flavor) {
    let (dropped, other) = (client(flavor).await, client(flavor).await);
    let path = make(&dropped, &format!("/{}", support::unique("drop")), CreateMode::Ephemeral).await;
    let (there, watch) = other.zk().exists_watch(&path, any());
    assert!(there.await.expect("an answer").is_some());
    let clone = dropped.clone();
    drop(dropped);
    clone.zk().get("/", any()).await.expect("a clone keeps it");
    drop(clone);
    assert_eq!(fired(watch).await, node(EventType::Deleted));
}

// ---- watches ----

async fn watches_are_removed_at_the_server_when_they_are_dropped(flavor: Flavor) {
    let (proxy, client) = through_proxy(server(flavor)).await;
    let zk = client.zk();
    let top = top(&client, "remove").await;
    let remove = |kind| client.request(Request::RemoveWatches { path: top.clone(), kind }, any());
    let (data, data_watch) = zk.get_watch(&top, any());
    let (list, child_watch) = zk.children_watch(&top, any());
    data.await.expect("data");
    list.await.expect("a list");
    drop(data_watch);
    assert_eq!(code(remove(WatcherType::Data).await), Code::NO_WATCHER, "it went with the watch");
    remove(WatcherType::Children).await.expect("that one is armed");
    drop(child_watch);
    for mode in [WatchMode::Persistent, WatchMode::PersistentRecursive] {
        let stream = client.add_watch(&top, mode).await.expect("added");
        drop(stream);
        assert_eq!(code(remove(WatcherType::Any).await), Code::NO_WATCHER);
        let stream = client.add_watch(&top, mode).await.expect("added");
        remove(WatcherType::Any).await.expect("it is armed");
        drop(stream);
    }
    // A watch given up while its read is on the way is not left behind either.
    let written = proxy.bytes(Direction::ToServer);
    proxy.freeze(Direction::ToClient);
    let (data, watch) = zk.get_watch(&top, any());
    support::eventually(LIMIT, "the read", || (proxy.bytes(Direction::ToServer) > written).then_some(()));
    drop((data, watch));
    proxy.thaw(Direction::ToClient);
    zk.sync("/", any()).await.expect("the read was answered, and the removal sent after it");
    zk.sync("/", any()).await.expect("synced");
    assert_eq!(code(remove(WatcherType::Any).await), Code::NO_WATCHER);
    assert_eq!(client.watch_count(), 0);
}

async fn every_kind_of_watch_fires_for_what_happened_while_away(flavor: Flavor) {
    let (proxy, away) = through_proxy(server(flavor)).await;
    let here = client(flavor).await;
    let top = top(&here, "away").await;
    let at = |name: &str| format!("{top}/{name}");
    for name in ["set", "deleted", "parent", "gone-parent", "exists", "stays", "below"] {
        make(&here, &at(name), CreateMode::Persistent).await;
    }
    let zk = away.zk();
    let (read, set) = zk.get_watch(&at("set"), any());
    read.await.expect("data");
    let (read, deleted) = zk.get_watch(&at("deleted"), any());
    read.await.expect("data");
    let (read, parent) = zk.children_watch(&at("parent"), any());
    read.await.expect("a list");
    let (read, gone_parent) = zk.children_watch(&at("gone-parent"), any());
    read.await.expect("a list");
    let (read, exists) = zk.exists_watch(&at("exists"), any());
    assert!(read.await.expect("an answer").is_some());
    let (read, made) = zk.exists_watch(&at("made"), any());
    assert!(read.await.expect("an answer").is_none());
    let mut stays = away.add_watch(&at("stays"), WatchMode::Persistent).await.expect("added");
    let mut below = away.add_watch(&at("below"), WatchMode::PersistentRecursive).await.expect("added");

    let mut states = states_from_now(&away);
    proxy.refuse(true);
    proxy.cut_now();
    state(&mut states, State::Suspended).await;
    let other = here.zk();
    other.set(&at("set"), b"x", -1, any()).await.expect("set");
    other.delete(&at("deleted"), -1, any()).await.expect("deleted");
    make(&here, &at("parent/child"), CreateMode::Persistent).await;
    other.delete(&at("gone-parent"), -1, any()).await.expect("deleted");
    other.set(&at("exists"), b"x", -1, any()).await.expect("set");
    make(&here, &at("made"), CreateMode::Persistent).await;
    proxy.refuse(false);
    state(&mut states, State::Connected).await;

    assert_eq!(fired(set).await, node(EventType::DataChanged));
    assert_eq!(fired(deleted).await, node(EventType::Deleted));
    assert_eq!(fired(parent).await, node(EventType::ChildrenChanged));
    assert_eq!(fired(gone_parent).await, node(EventType::Deleted));
    assert_eq!(fired(exists).await, node(EventType::DataChanged));
    assert_eq!(fired(made).await, node(EventType::Created));
    assert_eq!(next(&mut stays).await.kind, WatchEventKind::MayHaveMissed);
    assert_eq!(next(&mut below).await.kind, WatchEventKind::MayHaveMissed);
    make(&here, &at("stays/child"), CreateMode::Persistent).await;
    make(&here, &at("below/child"), CreateMode::Persistent).await;
    let event = next(&mut stays).await;
    assert_eq!((event.kind, event.path), (node(EventType::ChildrenChanged), at("stays")));
    let event = next(&mut below).await;
    assert_eq!((event.kind, event.path), (node(EventType::Created), at("below/child")));
    assert_eq!(away.watch_count(), 2, "the one-shot watches are spent");
}

async fn every_kind_of_watch_that_did_not_fire_is_armed_again(flavor: Flavor) {
    let (proxy, away) = through_proxy(server(flavor)).await;
    let here = client(flavor).await;
    let top = top(&here, "again").await;
    let zk = away.zk();
    let missing = format!("{top}/missing");
    let (read, data) = zk.get_watch(&top, any());
    read.await.expect("data");
    let (read, child) = zk.children_watch(&top, any());
    read.await.expect("a list");
    let (read, exists) = zk.exists_watch(&missing, any());
    read.await.expect("an answer");
    for _ in 0..3 {
        let mut states = states_from_now(&away);
        proxy.cut_now();
        state(&mut states, State::Connected).await;
    }
    zk.sync("/", any()).await.expect("the watches are armed");
    here.zk().set(&top, b"x", -1, any()).await.expect("set");
    assert_eq!(fired(data).await, node(EventType::DataChanged));
    make(&here, &missing, CreateMode::Persistent).await;
    assert_eq!(fired(exists).await, node(EventType::Created));
    assert_eq!(fired(child).await, node(EventType::ChildrenChanged));
}

async fn watches_across_an_expiry(flavor: Flavor) {
    let (proxy, lost) = through_proxy(server(flavor)).await;
    let here = client(flavor).await;
    let top = top(&here, "expiry").await;
    let zk = lost.zk();
    let (read, data) = zk.get_watch(&top, any());
    read.await.expect("data");
    let (read, child) = zk.children_watch(&top, any());
    read.await.expect("a list");
    let mut stays = lost.add_watch(&top, WatchMode::Persistent).await.expect("added");
    let mut below = lost.add_watch(&top, WatchMode::PersistentRecursive).await.expect("added");
    let old = lost.session().id;
    let mut states = states_from_now(&lost);
    proxy.refuse(true);
    end_session(&lost, server(flavor).address(0)).await;
    state(&mut states, State::Suspended).await;
    let mut bound = Box::pin(zk.get(&top, any().on(old)));
    assert!(futures_pending(&mut bound).await, "the session may live, so it waits");
    proxy.refuse(false);
    let event = state(&mut states, State::Lost).await;
    assert_eq!((event.session, event.previous_session), (0, old));
    let event = state(&mut states, State::Connected).await;
    assert_ne!(event.session, old);
    assert_eq!(event.previous_session, old);
    assert_eq!(code(within("the bound read", bound).await), Code::SESSION_EXPIRED);
    assert_eq!(fired(data).await, WatchEventKind::SessionLost);
    assert_eq!(fired(child).await, WatchEventKind::SessionLost);
    assert_eq!(next(&mut stays).await.kind, WatchEventKind::MayHaveMissed);
    assert_eq!(next(&mut below).await.kind, WatchEventKind::MayHaveMissed);
    drop(stays);
    zk.sync("/", any()).await.expect("the watches are armed");
    make(&here, &format!("{top}/child"), CreateMode::Persistent).await;
    assert_eq!(next(&mut below).await.kind, node(EventType::Created));
}

/// Whether a future is still waiting.
async fn futures_pending(future: &mut (impl Future + Unpin)) -> bool {
    tokio::select! {
        biased;
        _ = future => false,
        () = std::future::ready(()) => true,
    }
}

async fn no_event_is_lost_between_two_of_one_transaction(flavor: Flavor) {
    // 3.9 names the transaction in each event; a client that then asks only for what came after it loses
    // the transaction's other event. The connection is cut behind the first event.
    let (proxy, away) = through_proxy(server(flavor)).await;
    let here = client(flavor).await;
    let top = top(&here, "cut").await;
    let zk = away.zk();
    // The answers to setWatches and to the sync behind it.
    let armed = 20 + 25;
    for extra in [0, 1, 10] {
        let child = make(&here, &format!("{top}/c"), CreateMode::Persistent).await;
        let (read, child_watch) = zk.get_watch(&child, any());
        read.await.expect("data");
        let (read, list_watch) = zk.children_watch(&top, any());
        read.await.expect("a list");
        let event = 4 + 16 + 12 + child.len();
        let mut states = states_from_now(&away);
        proxy.cut_after_bytes(Direction::ToClient, HANDSHAKE + armed + event + extra);
        proxy.cut_now();
        state(&mut states, State::Connected).await;
        zk.sync("/", any()).await.expect("all is armed");
        here.zk().delete(&child, -1, any()).await.expect("deleted");
        assert_eq!(fired(child_watch).await, node(EventType::Deleted));
        assert_eq!(fired(list_watch).await, node(EventType::ChildrenChanged));
        state(&mut states, State::Suspended).await;
        state(&mut states, State::Connected).await;
    }
}

async fn a_watch_that_stays_and_a_one_shot_on_one_path(flavor: Flavor) {
    // Servers before 3.9 keep one mode for each path: ZOOKEEPER-4466.
    let (watching, here) = (client(flavor).await, client(flavor).await);
    let top = top(&here, "mixed").await;
    let zk = watching.zk();
    for mode in [WatchMode::Persistent, WatchMode::PersistentRecursive] {
        let mut stays = watching.add_watch(&top, mode).await.expect("added");
        let (read, once) = zk.get_watch(&top, any());
        read.await.expect("data");
        let (read, list) = zk.children_watch(&top, any());
        read.await.expect("a list");
        zk.sync("/", any()).await.expect("all is armed");
        here.zk().set(&top, b"1", -1, any()).await.expect("set");
        assert_eq!(fired(once).await, node(EventType::DataChanged));
        assert_eq!(next(&mut stays).await.kind, node(EventType::DataChanged));
        here.zk().set(&top, b"2", -1, any()).await.expect("set");
        assert_eq!(next(&mut stays).await.kind, node(EventType::DataChanged), "{mode:?} stays");
        drop(stays);
        let child = make(&here, &format!("{top}/{mode:?}"), CreateMode::Persistent).await;
        assert_eq!(fired(list).await, node(EventType::ChildrenChanged), "it outlives the one that stayed");
        here.zk().delete(&child, -1, any()).await.expect("deleted");
    }
}

async fn a_chroot_holds_for_everything(flavor: Flavor) {
    let outside = client(flavor).await;
    let top = top(&outside, "chroot").await;
    let inside = connect(&format!("{}{top}", server(flavor).connect_string()), options()).await;
    let zk = inside.zk();
    let made = make(&inside, "/n-", CreateMode::EphemeralSequential).await;
    assert_eq!(made, "/n-0000000000");
    assert!(outside.zk().exists(&format!("{top}{made}"), any()).await.expect("an answer").is_some());
    assert_eq!(zk.ephemerals("/", any()).await.expect("a list"), [made.as_str()]);
    assert_eq!(zk.children("/", any()).await.expect("a list").0, ["n-0000000000"]);
    assert_eq!(zk.all_children_number("/", any()).await.expect("a number"), 1);
    let error = zk.get("/none", any()).await.expect_err("nothing there");
    assert_eq!(error.path(), Some("/none"));
    let mut below = inside.add_watch("/", WatchMode::PersistentRecursive).await.expect("added");
    let (read, watch) = zk.exists_watch("/x", any());
    read.await.expect("an answer");
    let results = zk.multi(vec![create_op("/x".to_owned(), false)], any()).await.expect("done");
    assert_eq!(results, [MultiResult::Create { path: "/x".to_owned() }]);
    let event = within("the watch", watch).await;
    assert_eq!((event.kind, event.path.as_str()), (node(EventType::Created), "/x"));
    assert_eq!(next(&mut below).await.path, "/x");
}

// ---- outcomes ----

async fn a_lost_reply_is_an_unknown_outcome_and_a_lost_read_is_read_again(flavor: Flavor) {
    let (proxy, client) = through_proxy(server(flavor)).await;
    let zk = client.zk();
    let top = top(&client, "outcome").await;
    let path = format!("{top}/made");
    let mut states = states_from_now(&client);
    proxy.cut_after_bytes(Direction::ToClient, HANDSHAKE + 1);
    proxy.cut_now();
    state(&mut states, State::Connected).await;
    let error =
        zk.create(&path, b"", &open_acl(), CreateMode::Persistent, any()).await.expect_err("no reply");
    assert_eq!(error.code(), Code::OUTCOME_UNKNOWN, "{error}");
    assert_eq!((error.path(), error.operation()), (Some(path.as_str()), "create"));
    assert!(zk.exists(&path, any()).await.expect("an answer").is_some(), "it was done");

    // A read whose reply is lost is asked again, and nobody notices.
    let mut states = states_from_now(&client);
    proxy.cut_after_bytes(Direction::ToClient, HANDSHAKE + 1);
    proxy.cut_now();
    state(&mut states, State::Connected).await;
    zk.get(&path, any()).await.expect("read on the next connection");

    // What is not sent waits for the next connection, or is refused where that is asked for.
    let mut states = states_from_now(&client);
    proxy.refuse(true);
    proxy.cut_now();
    state(&mut states, State::Suspended).await;
    let refuse = OpOptions { while_suspended: Some(WhileSuspended::Refuse), ..any() };
    assert_eq!(code(zk.set(&path, b"refused", -1, refuse).await), Code::NOT_SENT);
    let short = OpOptions::until(zk.now() + Duration::from_millis(100));
    let error = zk.set(&path, b"late", -1, short).await.expect_err("its deadline passes");
    assert_eq!(error.code(), Code::NOT_SENT);
    drop(zk.set(&path, b"cancelled", -1, any()));
    let waiting = zk.set(&path, b"waits", -1, any());
    proxy.refuse(false);
    assert_eq!(within("the set", waiting).await.expect("set").version, 1, "the others were never sent");
    assert_eq!(zk.get(&path, any()).await.expect("data").0, b"waits");
}

async fn a_session_is_attached_to_from_another_client(flavor: Flavor) {
    let (proxy, first) = through_proxy(server(flavor)).await;
    let path = make(&first, &format!("/{}", support::unique("attach")), CreateMode::Ephemeral).await;
    let credentials = first.credentials();
    assert!(!format!("{credentials:?}{first:?}").contains(&format!("{:?}", credentials.password)));
    let mut states = states_from_now(&first);
    proxy.refuse(true);
    proxy.cut_now();
    state(&mut states, State::Suspended).await;
    let address = server(flavor).connect_string();
    let second = connect(&address, Options { reattach: Some(credentials.clone()), ..options() }).await;
    assert_eq!(second.session().id, credentials.session_id);
    second.zk().set(&path, b"mine", -1, any()).await.expect("set");
    second.close(LIMIT).await.expect("closed");
    let other = client(flavor).await;
    assert_eq!(other.zk().exists(&path, any()).await.expect("an answer"), None);

    // With another password, or when it is over, there is a loss and then a new session.
    let wrong = Reattach { password: vec![7; 16], ..other.credentials() };
    for reattach in [wrong, credentials] {
        let old = reattach.session_id;
        let client =
            Client::new(&address, Options { reattach: Some(reattach), ..options() }).expect("a client");
        let mut states = client.states();
        assert_eq!(state(&mut states, State::Lost).await.previous_session, old);
        assert_ne!(state(&mut states, State::Connected).await.session, old);
    }
    other.zk().get("/", any()).await.expect("a wrong password harms nobody");
}

async fn a_request_too_large_is_refused_and_one_just_fitting_is_taken(flavor: Flavor) {
    let client = client(flavor).await;
    let top = top(&client, "large").await;
    let connection = client.session().connection;
    let fits = 0xf_ffff - (8 + 4 + top.len() + 4 + 4);
    let error = client.zk().set(&top, &vec![b'x'; fits + 1], -1, any()).await.expect_err("a byte too many");
    assert_eq!((error.code(), error.path()), (Code::TOO_LARGE, Some(top.as_str())));
    client.zk().set(&top, &vec![b'x'; fits], -1, any()).await.expect("set");
    assert_eq!(client.zk().get(&top, any()).await.expect("data").0.len(), fits);
    assert_eq!(client.session().connection, connection, "the connection lives");
}

// ---- what servers and networks do ----

/// A session that outlives a frozen server by 5 s: silence for 10 s of its 15 suspends it.
const PATIENT: Duration = Duration::from_secs(15);

fn patient() -> Options {
    Options { session_timeout: PATIENT, ..options() }
}

#[tokio::test]
async fn a_frozen_server_is_left_for_another_and_the_session_is_kept() {
    let zk = Ensemble::build(Flavor::Debian).servers(3).max_session_timeout(PATIENT).start();
    let client = connect(&zk.connect_string(), patient()).await;
    let path = make(&client, "/held", CreateMode::Ephemeral).await;
    let (read, watch) = client.zk().get_watch(&path, any());
    read.await.expect("data");
    let session = client.session().id;
    let at = support::eventually(LIMIT, "the session's server", || zk.server_of_session(session));
    let mut states = states_from_now(&client);
    zk.freeze(at);
    let event = state(&mut states, State::Suspended).await;
    let reason = event.reason.expect("a reason");
    assert!(reason.detail().contains("nothing heard for"), "{reason}");
    assert!(reason.detail().contains(&zk.address(at).to_string()), "{reason}");
    assert_eq!(state(&mut states, State::Connected).await.session, session);
    assert!(client.zk().exists(&path, any()).await.expect("an answer").is_some());
    let set = client.zk().set(&path, b"x", -1, any()).await.expect("a quorum is left");
    assert_eq!(set.version, 1);
    assert_eq!(fired(watch).await, node(EventType::DataChanged));
    zk.thaw(at);
}

#[tokio::test]
async fn a_single_frozen_server_suspends_and_thawed_in_time_keeps_the_session() {
    let zk = Ensemble::build(Flavor::Maven39).max_session_timeout(PATIENT).start();
    let client = connect(&zk.connect_string(), patient()).await;
    let session = client.session().id;
    let mut states = states_from_now(&client);
    zk.freeze(0);
    state(&mut states, State::Suspended).await;
    assert!(!client.session().connected);
    zk.thaw(0);
    assert_eq!(state(&mut states, State::Connected).await.session, session);
}

#[tokio::test]
async fn ten_thousand_watches_survive_the_restart_of_their_server() {
    const COUNT: usize = 10_000;
    let zk = Ensemble::single(Flavor::Debian);
    let client = connect(&zk.connect_string(), options()).await;
    let path = |i: usize| format!("/{}-{i:05}", "a-long-name-such-as-locks-have".repeat(3));
    let mut reads = Vec::with_capacity(COUNT);
    let mut watches = Vec::with_capacity(COUNT);
    for i in 0..COUNT {
        let (read, watch) = client.zk().exists_watch(&path(i), any());
        reads.push(read);
        watches.push(Some(watch));
    }
    for read in reads {
        assert_eq!(within("an answer", read).await.expect("an answer"), None);
    }
    assert_eq!(client.watch_count(), COUNT);
    let session = client.session().id;
    let mut states = states_from_now(&client);
    zk.restart(0);
    assert_eq!(state(&mut states, State::Connected).await.session, session);
    client.zk().sync("/", any()).await.expect("the watches are armed");
    // A server that has only just started may leave the question unanswered.
    let armed = || (zk.metric(0, "zk_watch_count") == Some(COUNT as u64)).then_some(());
    support::eventually(LIMIT, "all watches at the server", armed);
    for i in (0..COUNT).step_by(997) {
        make(&client, &path(i), CreateMode::Persistent).await;
        assert_eq!(fired(watches[i].take().expect("once")).await, node(EventType::Created));
    }
}

#[tokio::test]
async fn an_expiry_by_the_servers_clock_is_told_when_a_server_is_reached_again() {
    let zk = server(Flavor::Debian);
    let proxy = Proxy::new(zk.address(0));
    let short = Options { session_timeout: Duration::from_secs(1), ..options() };
    let client = connect(&proxy.address().to_string(), short).await;
    let path = make(&client, &format!("/{}", support::unique("expired")), CreateMode::Ephemeral).await;
    let old = client.session().id;
    let mut states = states_from_now(&client);
    proxy.refuse(true);
    proxy.cut_now();
    state(&mut states, State::Suspended).await;
    support::eventually(LIMIT, "the session's end", || (!zk.sessions().contains(&old)).then_some(()));
    assert_eq!(client.state(), State::Suspended, "until a server says so, it may live");
    proxy.refuse(false);
    let event = state(&mut states, State::Lost).await;
    assert_eq!((event.session, event.previous_session), (0, old));
    assert_ne!(state(&mut states, State::Connected).await.session, old);
    assert_eq!(client.zk().exists(&path, any()).await.expect("an answer"), None);
}

#[tokio::test]
async fn a_half_open_connection_is_noticed_by_its_silence() {
    let frozen = Proxy::new(server(Flavor::Debian).address(0));
    let client = connect(&frozen.address().to_string(), options()).await;
    let session = client.session().id;
    let mut states = states_from_now(&client);
    frozen.freeze(Direction::ToClient);
    let event = state(&mut states, State::Suspended).await;
    let reason = event.reason.expect("a reason");
    assert!(reason.detail().contains("nothing heard for"), "{reason}");
    frozen.thaw(Direction::ToClient);
    assert_eq!(state(&mut states, State::Connected).await.session, session);
}

#[tokio::test]
async fn a_reset_under_load_loses_no_request_without_a_word() {
    let (proxy, client) = through_proxy(server(Flavor::Maven39)).await;
    let top = top(&client, "reset").await;
    let session = client.session().id;
    let other = self::client(Flavor::Maven39).await;
    let (mut done, mut unknown) = (0, 0);
    for round in 0..6 {
        let before = client.zk().get(&top, any()).await.expect("data").1.version;
        if round % 2 == 0 {
            proxy.freeze(Direction::ToClient);
        }
        let writes: Vec<_> = (0..500).map(|_| client.zk().set(&top, b"x", -1, any())).collect();
        if round % 2 == 0 {
            // The server has done some of them, and nobody was told.
            while other.zk().get(&top, any()).await.expect("data").1.version == before {}
            proxy.cut_now();
            proxy.thaw(Direction::ToClient);
        }
        for write in writes {
            match within("an outcome", write).await {
                Ok(_) => done += 1,
                Err(error) if error.code() == Code::OUTCOME_UNKNOWN => unknown += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    let (_, stat) = client.zk().get(&top, any()).await.expect("data");
    let version = stat.version;
    assert!(
        version >= done && version <= done + unknown,
        "{done} done, {unknown} unknown, {version} applied"
    );
    assert_eq!((client.session().id, done + unknown), (session, 3000));
    assert!(unknown >= 3, "{unknown} unknown");
}

/// An address whose connections are never accepted: the queue of the listener is full.
struct Blackhole {
    listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Blackhole {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            queue.push(stream);
            assert!(queue.len() < 10_000, "the queue has no end");
        }
        Self { listener, _queue: queue }
    }

    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("its address")
    }
}

#[tokio::test]
async fn an_unreachable_first_host_costs_its_share_of_the_time_only() {
    let dark = Blackhole::new();
    let silent = Proxy::new(server(Flavor::Debian).address(0));
    silent.freeze(Direction::ToServer);
    logged();
    for unreachable in [dark.address(), silent.address()] {
        let address = format!("{unreachable},{}", server(Flavor::Debian).connect_string());
        // Some of these seeds have the unreachable one first.
        for seed in 0..6 {
            let options = Options { connect_timeout: Duration::from_secs(2), seed: Some(seed), ..options() };
            let client = connect(&address, options).await;
            client.zk().get("/", any()).await.expect("an answer");
        }
        assert_ne!(log_lines_with(&format!("{unreachable}: ")), 0, "it was tried first at least once");
    }
}

#[tokio::test]
async fn what_cannot_be_connected_to_is_named_in_a_clear_error() {
    let nobody = support::port::Port::reserve().address();
    let dark = Blackhole::new().address();
    let talker = TcpListener::bind("127.0.0.1:0").expect("a port");
    let talks = talker.local_addr().expect("its address");
    std::thread::spawn(move || {
        use std::io::Write;
        for stream in talker.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        }
    });
    for (address, why) in [
        (nobody.to_string(), "refused"),
        ("does-not-exist.invalid:2181".to_owned(), "does-not-exist.invalid:2181: "),
        (talks.to_string(), "a frame claims"),
        (dark.to_string(), ""),
    ] {
        let options = Options { connect_timeout: Duration::from_millis(1500), ..options() };
        let error =
            within("an error", Client::connect(&address, options)).await.expect_err("nothing to connect to");
        assert_eq!(error.code(), Code::CONNECTION_LOSS, "{error}");
        assert!(error.to_string().contains(&address) && error.to_string().contains(why), "{error}");
    }
}

#[tokio::test]
async fn attempts_are_spread_out_where_connections_end_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let (taken, mut attempts) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream);
            if taken.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    let client = Client::new(&address.to_string(), options()).expect("a client");
    let first = within("an attempt", attempts.recv()).await.expect("an attempt");
    for _ in 0..8 {
        within("an attempt", attempts.recv()).await.expect("an attempt");
    }
    // 25, 50, 100, 200, 400 and three times 500 ms at the least.
    assert!(first.elapsed() > Duration::from_millis(2000), "{:?}", first.elapsed());
    drop(client);
}

/// Tells this program, started by the test below, that it is the one whose processor time counts.
const IDLER: &str = "ZKHELPER_SESSION_IDLER";

/// Run alone in a process by the test below, which reads the processor time it took.
#[tokio::test]
async fn child_that_reaches_nothing() {
    if std::env::var_os(IDLER).is_none() {
        return;
    }
    let nobody = support::port::Port::reserve().address();
    let dark = Blackhole::new();
    let clients: Vec<_> = [
        nobody.to_string(),
        "does-not-exist.invalid:2181".to_owned(),
        dark.address().to_string(),
        format!("{nobody},{},does-not-exist.invalid", dark.address()),
    ]
    .iter()
    .map(|address| Client::new(address, options()).expect("a client"))
    .collect();
    let before = processor_time();
    tokio::time::sleep(Duration::from_secs(3)).await;
    println!("processor time: {}", (processor_time() - before).as_millis());
    drop(clients);
}

fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("our own figures");
    let fields: Vec<_> = stat.rsplit(") ").next().expect("after the name").split(' ').collect();
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().expect("a number")).sum();
    Duration::from_millis(ticks * 10)
}

#[test]
fn nothing_spins_while_nothing_can_be_reached() {
    let output = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "child_that_reaches_nothing", "--nocapture"])
        .env(IDLER, "1")
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let spent = text.lines().find_map(|line| line.split_once("processor time: ")).map(|(_, ms)| ms.trim());
    let spent: u64 = spent.and_then(|ms| ms.parse().ok()).unwrap_or_else(|| panic!("{text}"));
    assert!(spent < 300, "{spent} ms of processor time in 3 s, for four clients");
}

#[tokio::test]
async fn a_name_with_several_addresses_is_tried_by_each() {
    // The server listens on 127.0.0.1 alone; the name stands for ::1 as well on many machines.
    let port = server(Flavor::Debian).address(0).port();
    let client = connect(&format!("localhost:{port}"), options()).await;
    client.zk().get("/", any()).await.expect("an answer");
}

#[tokio::test]
async fn closing_is_bounded_while_no_server_answers() {
    let (proxy, client) = through_proxy(server(Flavor::Debian)).await;
    proxy.freeze(Direction::ToServer);
    let error = within("the close", client.close(Duration::from_millis(300))).await.expect_err("no answer");
    assert_eq!(error.code(), Code::CLOSED);
    assert_eq!(client.state(), State::Closed);

    let (proxy, client) = through_proxy(server(Flavor::Debian)).await;
    let mut states = states_from_now(&client);
    proxy.refuse(true);
    proxy.cut_now();
    state(&mut states, State::Suspended).await;
    let waiting = client.zk().set("/", b"", -1, any());
    let closed = within("the close", client.close(Duration::from_millis(300))).await;
    assert_eq!(closed.expect_err("no server").code(), Code::CLOSED);
    assert_eq!(code(waiting.await), Code::CLOSED);

    let client = Client::new(&proxy.address().to_string(), options()).expect("a client");
    within("the close", client.close(LIMIT)).await.expect("there is no session to end");
}

#[test]
fn an_address_is_checked_before_anything_is_dialled() {
    let refused = |address: &str| -> Error { Client::new(address, options()).expect_err(address) };
    for address in ["", "host:port", "a,,b", "[::1", "a:1/chroot/"] {
        let error = refused(address);
        assert_eq!(error.code(), Code::BAD_ADDRESS, "{error}");
        assert!(error.to_string().contains(&format!("{address:?}")), "{error}");
    }
    let options = Options { session_timeout: Duration::ZERO, ..options() };
    assert_eq!(Client::new("a:1", options).expect_err("no timeout").code(), Code::BAD_ARGUMENT);
}
