//! What a persistent lock does, on whichever server the test that takes this in names.

use crate::{server, support};
use std::io::Write;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use support::process::Program;
use support::proxy::{Direction, Proxy};
use tokio::sync::mpsc::UnboundedReceiver;
use zkhelper::client::Reattach;
use zkhelper::proto::{Acl, CreateMode, MultiOp, Request, permissions};
use zkhelper::zk::{Answer, BoxFuture, OpOptions, Reply, SessionView, Watch};
use zkhelper::{
    Client, Code, Hold, Loss, Mutex, MutexOptions, Options, Owner, Persistent, Result, StateEvent, Strict,
    Time, Zk,
};

/// Ends a test that hangs; no working test comes near it.
const LIMIT: Duration = Duration::from_secs(120);
/// Long enough to be told from no wait at all on a slow machine.
const LEASE: Duration = Duration::from_secs(3);

fn options() -> Options {
    // The shortest that a server with a tick of 500 ms grants.
    Options { session_timeout: Duration::from_secs(2), ..Options::default() }
}

fn persistent() -> MutexOptions {
    MutexOptions { persistent: Some(Persistent { lease: LEASE }), ..MutexOptions::default() }
}

/// Tells a worker, which is this same program, where to take a persistent lock and hold it until it is killed.
const WORKER: &str = "ZKHELPER_PERSISTENT_WORKER";

#[tokio::test]
async fn worker() {
    let Ok(place) = std::env::var(WORKER) else { return };
    let (address, path) = place.split_once(' ').expect("ADDRESS PATH");
    let client = client_of(address).await;
    let hold = kept(&client, path).lock(None, "to be killed").await.expect("the lock");
    let mut out = std::io::stdout().lock();
    writeln!(out, "@ held {}", hold.token()).and_then(|()| out.flush()).expect("written");
    std::future::pending::<()>().await;
}

async fn client_of(address: &str) -> Client {
    Client::connect(address, options()).await.expect("a connection")
}

async fn client() -> Client {
    client_of(&server().to_string()).await
}

fn path(name: &str) -> String {
    format!("/zk/{}", support::unique(name))
}

fn kept(client: &Client, path: &str) -> Mutex {
    Mutex::new(client, path, persistent()).expect("a mutex")
}

fn ephemeral(client: &Client, path: &str) -> Mutex {
    Mutex::new(client, path, MutexOptions::default()).expect("a mutex")
}

async fn lock(mutex: &Mutex) -> Hold {
    mutex.lock(Some(LIMIT), "test").await.expect("the lock")
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.expect_err("an error").code()
}

async fn children(client: &Client, path: &str) -> Vec<String> {
    let mut names = client.zk().children(path, OpOptions::default()).await.expect("a list").0;
    names.sort();
    names
}

/// Waits until the children of the path are as wanted.
async fn until(client: &Client, path: &str, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
    let start = Time::now();
    loop {
        let names = match client.zk().children(path, OpOptions::default()).await {
            Ok((names, _)) => names,
            Err(error) if error.code() == Code::NO_NODE => Vec::new(),
            Err(error) => panic!("{error}"),
        };
        if wanted(&names) {
            return names;
        }
        assert!(Time::now().since(start) < LIMIT, "{names:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn locks(names: &[String]) -> usize {
    names.iter().filter(|name| name.starts_with("lock-")).count()
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
async fn the_node_is_persistent_has_a_companion_and_both_go_with_the_release() {
    let client = client().await;
    let at = path("both");
    let handle = kept(&client, &at);
    let hold = lock(&handle).await;
    let names = children(&client, &at).await;
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(names[0], "lock-0000000000");
    let listed = handle.contenders().await.expect("a list").remove(0);
    assert_eq!((listed.stat.ephemeral_owner, listed.owner), (0, Owner::Living));
    assert_eq!((listed.stat.czxid, handle.token()), (hold.token(), Some(hold.token())));
    assert_eq!((listed.pid, listed.description.as_deref()), (Some(std::process::id().into()), Some("test")));
    assert!(listed.hostname.is_some() && listed.stat.ctime > 0);
    let contents: serde_json::Value = serde_json::from_slice(&listed.data).expect("JSON");
    assert_eq!(contents["lease"], u64::try_from(LEASE.as_millis()).expect("small"));
    assert_eq!(names[1], format!("owner-{}", contents["id"].as_str().expect("an id")));
    hold.release().await.expect("released");
    assert!(children(&client, &at).await.is_empty());
    handle.reset().await.expect("idle");
}

#[tokio::test]
async fn mutex_row_1_an_owner_that_is_killed_keeps_the_lock_until_it_is_released_after_the_lease() {
    let client = client().await;
    let at = path("killed");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "persistent::worker", "--nocapture"]).env(WORKER, format!("{} {at}", server()));
    let mut owner = Program::spawn(command);
    owner.wait_for_line("@ held", LIMIT);
    let tool = kept(&client, &at);
    let listed = tool.contenders().await.expect("a list").remove(0);
    assert_eq!((listed.owner, listed.description.as_deref()), (Owner::Living, Some("to be killed")));
    // While its session lives nobody can tell that it does not.
    owner.kill();
    assert_eq!(code(tool.release_dead(&listed.name).await), Code::NODE_EXISTS);
    let next = ephemeral(&client, &at);
    let next = next.lock(Some(LIMIT), "next");
    until(&client, &at, |names| locks(names) == 2 && names.len() == 2).await;
    let gone = tool.contenders().await.expect("a list").remove(0);
    assert_eq!((gone.owner, gone.stat.czxid), (Owner::Gone, listed.stat.czxid));
    assert_eq!(tool.contenders().await.expect("a list")[1].owner, Owner::Living);

    // A release that is given up changes nothing.
    {
        let released = tool.release_dead(&listed.name);
        tokio::pin!(released);
        tokio::select! {
            outcome = &mut released => panic!("{outcome:?}"),
            _ = until(&client, &at, |names| names.len() == 3) => {}
        }
        assert_eq!(tool.contenders().await.expect("a list")[0].owner, Owner::Gone);
    }
    until(&client, &at, |names| locks(names) == 2 && names.len() == 2).await;

    let start = Time::now();
    let granted = async { (next.await.expect("the lock"), Time::now()) };
    let (released, (next, granted)) = tokio::join!(tool.release_dead(&listed.name), granted);
    released.expect("released");
    assert!(granted.since(start) > LEASE, "granted after {:?}", granted.since(start));
    assert!(next.token() > listed.stat.czxid);
    assert_eq!(code(tool.release_dead(&listed.name).await), Code::NO_NODE);
    next.release().await.expect("released");
    assert!(children(&client, &at).await.is_empty());
}

#[tokio::test]
async fn the_end_of_its_session_takes_nothing_from_an_owner_that_lives() {
    let (owner, other) = (client().await, client().await);
    let at = path("kept");
    let handle = kept(&owner, &at);
    let mut losses = handle.losses();
    let hold = lock(&handle).await;
    let companion = children(&owner, &at).await.remove(1);
    let waiting = ephemeral(&other, &at);
    let mut waiting = waiting.lock(Some(LIMIT), "waits");
    until(&other, &at, |names| locks(names) == 2).await;
    for _ in 0..2 {
        let (old, before) = (owner.session().id, hold.valid_until().expect("held"));
        end_session(&owner).await;
        // The companion comes again, of a new session.
        let start = Time::now();
        loop {
            let found = other.zk().exists(&format!("{at}/{companion}"), OpOptions::default()).await;
            if found.expect("an answer").is_some_and(|stat| stat.ephemeral_owner != old) {
                break;
            }
            assert!(Time::now().since(start) < LIMIT);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(hold.is_held());
        assert_eq!(handle.contenders().await.expect("a list")[0].owner, Owner::Living);
        // And renewals count again.
        while hold.valid_until().expect("held") <= before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let target = path("target");
    let write = MultiOp::Create {
        path: target.clone(),
        data: Vec::new(),
        acl: vec![Acl::world(permissions::ALL)],
        mode: CreateMode::Persistent,
        ttl_ms: 0,
        with_stat: false,
    };
    handle.guarded(vec![write]).await.expect("committed");
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("granted beside a holder"),
        () = std::future::ready(()) => {}
    }
    assert!(losses.try_recv().is_err());
    let token = hold.token();
    hold.release().await.expect("released");
    let next = waiting.await.expect("the lock");
    assert!(next.token() > token);
    next.release().await.expect("released");
    assert!(children(&other, &at).await.is_empty());
}

#[tokio::test]
async fn an_owner_that_is_cut_off_stops_believing_and_excludes_until_it_lets_go() {
    let proxy = Proxy::new(server());
    let (owner, other) = (client_of(&proxy.address().to_string()).await, client().await);
    let at = path("cut");
    let handle = kept(&owner, &at);
    let mut losses = handle.losses();
    let hold = lock(&handle).await;
    proxy.refuse(true);
    proxy.cut_now();
    let promised = hold.valid_until().expect("held");
    let lost = losses.recv().await.expect("told");
    assert!((lost.token, lost.reason) == (hold.token(), Loss::LeaseRanOut) && !hold.is_held());
    assert!(promised <= Time::now() + Duration::from_millis(10), "told early");
    // Its session is over by now; nobody else gets in all the same.
    let waiting = kept(&other, &at);
    let mut waiting = waiting.lock(Some(LIMIT), "waits");
    until(&other, &at, |names| locks(names) == 2 && names.len() == 3).await;
    assert_eq!(handle_list(&other, &at).await, [Owner::Gone, Owner::Living]);
    proxy.refuse(false);
    owner.wait_connected(LIMIT).await.expect("connected");
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("granted beside a holder that may still be at work"),
        () = std::future::ready(()) => {}
    }
    assert_eq!(code(hold.release().await), Code::LOCK_LOST);
    let next = waiting.await.expect("the lock");
    assert!(next.token() > lost.token);
    // The handle can be used again, and queues.
    assert_eq!(code(handle.lock(Some(Duration::from_millis(50)), "").await), Code::TIMEOUT);
    next.release().await.expect("released");
    lock(&handle).await.release().await.expect("released");
    assert!(children(&other, &at).await.is_empty());
}

async fn handle_list(client: &Client, path: &str) -> Vec<Owner> {
    let listed = ephemeral(client, path).contenders().await.expect("a list");
    listed.into_iter().map(|contender| contender.owner).collect()
}

#[tokio::test]
async fn a_release_is_refused_while_the_owner_lives_and_by_force_with_another_czxid() {
    let (owner, human) = (client().await, client().await);
    let at = path("force");
    let handle = kept(&owner, &at);
    let mut losses = handle.losses();
    let hold = lock(&handle).await;
    let tool = ephemeral(&human, &at);
    let name = tool.contenders().await.expect("a list").remove(0).name;
    let error = tool.release_dead(&name).await.expect_err("refused");
    assert_eq!(error.code(), Code::NODE_EXISTS);
    assert!(error.to_string().contains("lives"), "{error}");
    assert_eq!(code(handle.release_dead(&name).await), Code::NODE_EXISTS, "its own owner neither");
    let error = tool.release_by_force(&name, hold.token() + 1).await.expect_err("refused");
    assert_eq!(error.code(), Code::BAD_VERSION);
    assert!(error.to_string().contains(&hold.token().to_string()), "{error}");
    assert!(hold.is_held() && children(&human, &at).await.len() == 2);
    for bad in ["", "owner-1", "../lock-0000000000", "lock-1"] {
        assert_eq!(code(tool.release_dead(bad).await), Code::BAD_ARGUMENT, "{bad}");
        assert_eq!(code(tool.release_by_force(bad, 1).await), Code::BAD_ARGUMENT, "{bad}");
    }
    assert_eq!(code(tool.release_dead("lock-0000000099").await), Code::NO_NODE);
    // What is meant is released, and its holder hears of it.
    tool.release_by_force(&name, hold.token()).await.expect("released");
    assert_eq!(losses.recv().await.expect("told").reason, Loss::NodeDeleted);
    assert_eq!(code(hold.release().await), Code::LOCK_LOST);
    until(&human, &at, |names| names.is_empty()).await;
    // An ephemeral lock needs no tool.
    let hold = lock(&tool).await;
    let name = tool.contenders().await.expect("a list").remove(0).name;
    assert_eq!(code(tool.release_dead(&name).await), Code::BAD_ARGUMENT);
    assert_eq!(code(tool.release_by_force(&name, hold.token()).await), Code::BAD_ARGUMENT);
    hold.release().await.expect("released");
}

#[tokio::test]
async fn a_lock_of_the_old_go_package_has_an_unknown_owner_and_goes_by_force_only() {
    let client = client().await;
    let at = path("old");
    let world = [Acl::world(permissions::ALL)];
    let options = OpOptions::default();
    client.zk().create_parents(&at, &world, options).await.expect("made");
    for data in [&br#"{"desc":"old","hostname":"h","pid":7}"#[..], b"", br#"{"id":"../x","lease":3000}"#] {
        let mode = CreateMode::PersistentSequential;
        client.zk().create(&format!("{at}/lock-"), data, &world, mode, options).await.expect("made");
    }
    let tool = kept(&client, &at);
    for _ in 0..3 {
        let listed = tool.contenders().await.expect("a list").remove(0);
        assert_eq!(listed.owner, Owner::Unknown);
        assert_eq!(code(tool.release_dead(&listed.name).await), Code::UNSUPPORTED);
        tool.release_by_force(&listed.name, listed.stat.czxid).await.expect("released");
    }
    lock(&tool).await.release().await.expect("released");
}

#[tokio::test]
async fn persistent_and_ephemeral_contenders_exclude_each_other_and_are_served_in_order() {
    let (one, two) = (client().await, client().await);
    let at = path("mixed");
    let handles = [kept(&one, &at), ephemeral(&two, &at), kept(&two, &at), ephemeral(&one, &at)];
    let mut hold = lock(&handles[0]).await;
    let mut waiting = Vec::new();
    for (count, handle) in handles.iter().enumerate().skip(1) {
        waiting.push(handle.lock(Some(LIMIT), "waits"));
        until(&one, &at, |names| locks(names) == count + 1).await;
    }
    for next in waiting {
        assert_eq!(code(kept(&one, &at).lock(Some(Duration::ZERO), "").await), Code::TIMEOUT);
        let token = hold.token();
        let at_work = hold.is_held();
        hold.release().await.expect("released");
        hold = next.await.expect("the lock");
        assert!(at_work && hold.token() > token);
    }
    hold.release().await.expect("released");
    assert!(children(&one, &at).await.is_empty());
}

#[tokio::test]
async fn a_waiter_leaves_no_node_however_it_ends() {
    let (holder, owner) = (client().await, client().await);
    let at = path("leave");
    let hold = lock(&ephemeral(&holder, &at)).await;
    let alone = |names: &[String]| names.len() == 1;
    let two = |names: &[String]| locks(names) == 2 && names.len() == 3;

    let handle = kept(&owner, &at);
    assert_eq!(code(handle.lock(Some(Duration::from_millis(50)), "").await), Code::TIMEOUT);
    assert_eq!(children(&holder, &at).await.len(), 1);

    let acquire = handle.lock(None, "");
    until(&holder, &at, two).await;
    assert_eq!(code(acquire.cancel().await), Code::CANCELLED);
    assert_eq!(children(&holder, &at).await.len(), 1);

    let acquire = handle.lock(None, "");
    until(&holder, &at, two).await;
    drop(acquire);
    until(&holder, &at, alone).await;
    for _ in 0..30 {
        drop(handle.lock(None, ""));
    }
    until(&holder, &at, alone).await;

    // The end of its session: it queues again, and the old node does not stay.
    let acquire = handle.lock(Some(LIMIT), "");
    let first = until(&holder, &at, two).await;
    end_session(&owner).await;
    until(&holder, &at, |names| two(names) && names.iter().filter(|name| first.contains(name)).count() == 1)
        .await;

    // A client that is closed: no session's end would take a persistent node along.
    owner.close(LIMIT).await.expect("closed");
    assert_eq!(code(acquire.await), Code::CLOSED);
    assert_eq!(children(&holder, &at).await.len(), 1);
    hold.release().await.expect("released");

    // And one that is closed right after the lock was let go.
    let owner = client().await;
    drop(lock(&kept(&owner, &at)).await);
    owner.close(LIMIT).await.expect("closed");
    assert!(children(&holder, &at).await.is_empty());
}

/// The exchange of an acquire is cut after each of its answer's bytes in turn, and of its request's.
#[tokio::test]
async fn an_acquire_cut_at_any_byte_makes_exactly_one_lock_node() {
    let proxy = Proxy::new(server());
    let watcher = client().await;
    let step = if std::env::var_os("ZKHELPER_PROVE").is_some() { 1 } else { 23 };
    for direction in [Direction::ToServer, Direction::ToClient] {
        let at = path("bytes");
        lock(&kept(&watcher, &at)).await.release().await.expect("released");
        let start = proxy.bytes(direction);
        let client = client_of(&proxy.address().to_string()).await;
        let handshake = proxy.bytes(direction) - start;
        let hold = lock(&kept(&client, &at)).await;
        let whole = proxy.bytes(direction) - start;
        hold.release().await.expect("released");
        client.close(LIMIT).await.expect("closed");
        for byte in (handshake..=whole).step_by(step) {
            proxy.cut_after_bytes(direction, byte);
            let client = client_of(&proxy.address().to_string()).await;
            let hold = lock(&kept(&client, &at)).await;
            let names = children(&watcher, &at).await;
            assert_eq!(locks(&names), 1, "{direction:?} cut after {byte} bytes: {names:?}");
            hold.release().await.expect("released");
            assert_eq!(locks(&children(&watcher, &at).await), 0);
            client.close(LIMIT).await.expect("closed");
        }
    }
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_a_request_is_sent() {
    let client = client().await;
    let refused = |change: &dyn Fn(&mut MutexOptions)| {
        let mut options = persistent();
        change(&mut options);
        let error = Mutex::new(&client, "/zk/refused", options).expect_err("refused");
        assert_eq!(error.code(), Code::BAD_ARGUMENT);
        error.to_string()
    };
    assert!(refused(&|o| o.strict = Some(Strict::default())).contains("either strict or persistent"));
    let lease = |lease| move |o: &mut MutexOptions| o.persistent.as_mut().expect("persistent").lease = lease;
    assert!(refused(&lease(Duration::from_millis(99))).contains("100 ms"));
    assert!(refused(&lease(Duration::from_micros(200_100))).contains("whole milliseconds"));
    assert!(refused(&|o| o.contents_json(r#"{"revoke": ""}"#).expect("JSON")).contains("revoke"));
}

/// A connection whose answers do not tell the number of their transaction, as one that is lent may.
struct Numberless(Arc<dyn Zk>);

impl Zk for Numberless {
    fn submit(&self, request: Request, options: OpOptions) -> Reply {
        let (sender, reply) = Reply::channel();
        let answer = self.0.submit(request, options);
        self.0.spawn(Box::pin(async move {
            sender.send(answer.await.map(|answer| Answer { zxid: 0, ..answer }));
        }));
        reply
    }

    fn submit_watch(&self, request: Request, options: OpOptions) -> (Reply, Watch) {
        self.0.submit_watch(request, options)
    }

    fn session(&self) -> SessionView {
        self.0.session()
    }

    fn states(&self) -> UnboundedReceiver<StateEvent> {
        self.0.states()
    }

    fn now(&self) -> Time {
        self.0.now()
    }

    fn sleep_until(&self, until: Time) -> BoxFuture<()> {
        self.0.sleep_until(until)
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.0.spawn(task);
    }

    fn random(&self) -> u64 {
        self.0.random()
    }
}

#[tokio::test]
async fn the_token_is_asked_for_where_the_answer_does_not_tell_it() {
    let client = client().await;
    let at = path("numberless");
    let zk: Arc<dyn Zk> = Arc::new(Numberless(Arc::clone(client.zk())));
    let handle = Mutex::over(zk, Arc::clone(client.keeper()), &at, persistent()).expect("a mutex");
    let hold = lock(&handle).await;
    let listed = kept(&client, &at).contenders().await.expect("a list").remove(0);
    assert_eq!((listed.stat.czxid, listed.owner), (hold.token(), Owner::Living));
    // Also of one that is dropped before its creation is answered nothing stays.
    for _ in 0..20 {
        drop(handle.lock(None, ""));
        drop(kept(&client, &at).lock(None, ""));
    }
    until(&client, &at, |names| names.len() == 2).await;
    hold.release().await.expect("released");
    until(&client, &at, |names| names.is_empty()).await;
}
