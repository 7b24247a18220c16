//! What the conformance scenarios have in common.

pub(crate) use std::sync::Arc;
use std::sync::LazyLock;
pub(crate) use std::time::Duration;
use zkhelper::embedded::Server;
pub(crate) use zkhelper::proto::{
    Acl, CreateMode, EventType, MultiOp, MultiResult, Stat, WatchMode, permissions,
};
pub(crate) use zkhelper::zk::{OpOptions, WatchEvent, WatchEventKind};
pub(crate) use zkhelper::{
    Client, Code, Elector, ElectorOptions, Hold, Loss, Mutex, MutexOptions, Options, Outcome, Owner,
    Persistent, PidEvent, PidNode, PidNodeOptions, QueueLock, QueueLockOptions, Result, Standing, State,
    Stop, Strict, TakeOver, Term, Time, Tree, acl,
};

/// Ends a scenario that hangs; no working one comes near it.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);
/// The timeout of a lock that waits as long as it takes.
pub(crate) const WAIT: Option<Duration> = Some(LIMIT);
/// That of one that does not wait.
pub(crate) const TRY: Option<Duration> = Some(Duration::ZERO);
/// That of one that waits in vain.
pub(crate) const SHORT: Option<Duration> = Some(Duration::from_millis(100));
/// No options for a single request.
pub(crate) const O: OpOptions = OpOptions { deadline: None, session: None, while_suspended: None };
pub(crate) const PLAIN: CreateMode = CreateMode::Persistent;
pub(crate) const SESSION: Duration = Duration::from_secs(4);
/// Nobody waits for a delay of this length.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn embedded_server() -> &'static Server {
    static SERVER: LazyLock<Server> =
        LazyLock::new(|| Server::start_with_tick(0, Duration::from_millis(500)).expect("a server"));
    &SERVER
}

pub(crate) fn options() -> Options {
    Options { session_timeout: SESSION, ..Options::default() }
}

pub(crate) async fn connect(address: &str) -> Client {
    Client::connect(address, options()).await.expect("a connection")
}

/// Nobody listens there.
pub(crate) const NOBODY: &str = "127.0.0.1:1";

/// The node of one scenario, which is new.
pub(crate) async fn home(client: &Client) -> String {
    let path = format!("/zk/{}", crate::support::unique("conformance"));
    Tree::new(client).create(&path, b"", &acl::default(), PLAIN).await.expect("made")
}

pub(crate) async fn make(client: &Client, path: &str, mode: CreateMode) -> String {
    client.zk().create(path, b"", &acl::default(), mode, O).await.expect("made").0
}

pub(crate) async fn set(client: &Client, path: &str, data: &str) {
    client.zk().set(path, data.as_bytes(), -1, O).await.expect("set");
}

pub(crate) async fn delete(client: &Client, path: &str) {
    client.zk().delete(path, -1, O).await.expect("deleted");
}

pub(crate) async fn read(client: &Client, path: &str) -> (String, Stat) {
    let (data, stat) = client.zk().get(path, O).await.expect("there");
    (String::from_utf8(data).expect("text"), stat)
}

pub(crate) async fn stat(client: &Client, path: &str) -> Option<Stat> {
    client.zk().exists(path, O).await.expect("an answer")
}

/// The names of a node's children, sorted; none where it is not there.
pub(crate) async fn names(client: &Client, path: &str) -> Vec<String> {
    let mut names = match client.zk().children(path, O).await {
        Ok((names, _)) => names,
        Err(error) if error.code() == Code::NO_NODE => Vec::new(),
        Err(error) => panic!("{error}"),
    };
    names.sort();
    names
}

/// Asks until a node has so many children.
pub(crate) async fn until(client: &Client, path: &str, count: usize) {
    while names(client, path).await.len() != count {}
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.expect_err("an error").code()
}

/// Ends a client's session at the server, as its expiry would.
pub(crate) async fn end_session(client: &Client, address: &str) {
    let options = Options { reattach: Some(client.credentials()), ..options() };
    let thief = Client::connect(address, options).await.expect("re-attached");
    thief.close(LIMIT).await.expect("closed");
}

pub(crate) fn with(client: &Client, path: &str, options: MutexOptions) -> Mutex {
    Mutex::new(client, path, options).expect("a mutex")
}

pub(crate) fn mutex(client: &Client, path: &str) -> Mutex {
    with(client, path, MutexOptions::default())
}

pub(crate) fn strict(delay: Duration) -> MutexOptions {
    MutexOptions { strict: Some(Strict { lease: delay, delay }), ..MutexOptions::default() }
}

pub(crate) fn persistent(lease: Duration) -> MutexOptions {
    MutexOptions { persistent: Some(Persistent { lease }), ..MutexOptions::default() }
}

pub(crate) async fn lock(mutex: &Mutex) -> Hold {
    mutex.lock(WAIT, "").await.expect("the lock")
}

pub(crate) async fn tries(mutex: &Mutex) -> Result<Hold> {
    mutex.lock(TRY, "").await
}

/// A path's one child.
pub(crate) async fn only(client: &Client, path: &str) -> String {
    let names = names(client, path).await;
    assert_eq!(names.len(), 1, "{names:?}");
    format!("{path}/{}", names[0])
}

pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.expect("what is waited for")
}
