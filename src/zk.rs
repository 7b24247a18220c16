//! ZooKeeper as the recipes see it: one narrow trait between them and whatever carries their requests.

use crate::client::{StateEvent, WhileSuspended};
use crate::error::{Code, Error, Result};
use crate::path;
use crate::proto::{
    Acl, CreateMode, EventType, MultiOp, MultiResult, Names, Request, Response, Stat, WatchMode,
};
use crate::time::Time;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// A future on the heap.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What carries requests to ZooKeeper, tells of its sessions, and keeps time and tasks for recipes.
///
/// Requests leave in the order in which they are submitted, which need not be awaited in between:
/// several submitted one after the other make one flight.
pub trait Zk: Send + Sync {
    /// Submits a request. It is on its way, or queued, when this returns.
    fn submit(&self, request: Request, options: OpOptions) -> Reply;

    /// Submits a read (`exists`, `get` or `children`) that arms a one-shot watch if it is answered;
    /// `exists` also arms one where there is no node yet.
    fn submit_watch(&self, request: Request, options: OpOptions) -> (Reply, Watch);

    /// The session and the state of its connection.
    fn session(&self) -> SessionView;

    /// Every change of state from now on, the present state first.
    fn states(&self) -> mpsc::UnboundedReceiver<StateEvent>;

    /// The present time.
    fn now(&self) -> Time;

    /// Ends at the given time.
    fn sleep_until(&self, until: Time) -> BoxFuture<()>;

    /// Runs a task to its end, whoever waits for it.
    fn spawn(&self, task: BoxFuture<()>);

    /// The same, where the task may begin in the calling thread, before this returns: what it submits until it first
    /// waits leaves at once, and together. The caller holds no lock that the task takes.
    fn begin(&self, task: BoxFuture<()>) {
        self.spawn(task);
    }

    /// Random bits, for names and jitter.
    fn random(&self) -> u64;

    /// Waits in this thread until `done` ends, or for `at_most` that long; true if it ended. The thread may carry requests
    /// and answers meanwhile, other threads' too. Not for a thread that runs futures of its own.
    fn wait(&self, done: Pin<&mut dyn Future<Output = ()>>, at_most: Option<Duration>) -> bool {
        crate::client::helm::park(done, at_most)
    }

    /// Somebody waits for an outcome elsewhere than in [`Zk::wait`]: it is to come without delay.
    fn attend(&self) {}

    /// The client over it is closed: nothing more is asked of it. What is under way ends with [`Code::CLOSED`].
    fn close(&self) {}
}

/// How a single request is to be carried.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpOptions {
    /// When to give it up. Default: the client's operation timeout from now.
    pub deadline: Option<Time>,
    /// Carry it on this session only; once that is over, refuse it with [`Code::SESSION_EXPIRED`].
    pub session: Option<i64>,
    /// What to do while no server is connected. Default: as the client's options say.
    pub while_suspended: Option<WhileSuspended>,
}

impl OpOptions {
    /// With this deadline.
    pub fn until(deadline: Time) -> Self {
        Self { deadline: Some(deadline), ..Self::default() }
    }

    /// On this session only.
    #[must_use]
    pub fn on(mut self, session: i64) -> Self {
        self.session = Some(session);
        self
    }
}

/// The session at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionView {
    /// Its id; 0 while there is none.
    pub id: i64,
    /// Whether a server is connected.
    pub connected: bool,
    /// Names the present connection, or the last one.
    pub connection: u64,
    /// The negotiated timeout.
    pub timeout: Duration,
    /// When a server was last heard.
    pub last_heard: Time,
    /// Until when the session is certain to live at the servers; `None` while nothing proves it yet.
    /// It counts on the servers' session timeout and their tick, and on nothing else of theirs.
    pub valid_until: Option<Time>,
    /// The greatest transaction number that a server has told; what is asked for from now on gets a greater one. 0 where
    /// that is not known, as on some lent connections.
    pub zxid: i64,
    /// Whether nothing can prove how long the session lives, because this connection has no transactions. A lock
    /// is then believed as long as the connection stands, which proves little: see `docs/lent.md`.
    pub without_lease: bool,
}

/// An answered request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the server answered.
    pub response: Response,
    /// The last transaction the server had applied.
    pub zxid: i64,
    /// No later than the moment when the first byte of the request left.
    pub sent_at: Time,
    /// The session it was carried on.
    pub session: i64,
    /// The connection it was carried on.
    pub connection: u64,
}

/// Withdraws a request whose outcome nobody waits for any more.
pub(crate) trait Withdraw: Send + Sync {
    /// It is never sent if it was not sent yet; true if so.
    fn withdraw(&self, tag: u64) -> bool;
}

/// A request's outcome, to be awaited. Dropping it withdraws a request that was not sent yet.
#[must_use = "dropping it withdraws the request"]
pub struct Reply {
    outcome: oneshot::Receiver<Result<Answer>>,
    withdraw: Option<(Arc<dyn Withdraw>, u64)>,
}

/// The other end of a [`Reply`].
#[derive(Debug)]
pub struct ReplySender(oneshot::Sender<Result<Answer>>);

impl Reply {
    /// A reply and the end that completes it.
    pub fn channel() -> (ReplySender, Self) {
        let (sender, outcome) = oneshot::channel();
        (ReplySender(sender), Self { outcome, withdraw: None })
    }

    /// Withdraws the request if it was not sent yet. Otherwise its outcome is still to come.
    pub fn withdraw(mut self) -> Option<Self> {
        match self.withdraw.take() {
            Some((by, tag)) if by.withdraw(tag) => None,
            _ => Some(self),
        }
    }

    pub(crate) fn withdrawn_by(mut self, by: Arc<dyn Withdraw>, tag: u64) -> Self {
        self.withdraw = Some((by, tag));
        self
    }
}

impl ReplySender {
    /// Whether nobody waits for the outcome any more.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Ends when nobody waits for the outcome any more.
    pub(crate) async fn closed(&mut self) {
        self.0.closed().await;
    }

    /// Completes the reply.
    pub fn send(self, outcome: Result<Answer>) {
        // Whoever asked may have gone; that is theirs to decide.
        let _ = self.0.send(outcome);
    }
}

impl Future for Reply {
    type Output = Result<Answer>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.outcome).poll(cx));
        self.withdraw = None;
        Poll::Ready(outcome.unwrap_or_else(|_| Err(Code::CLOSED.into())))
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some((by, tag)) = self.withdraw.take() {
            by.withdraw(tag);
        }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}

/// What a watch saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WatchEventKind {
    /// Something happened to the node.
    Node(EventType),
    /// The session it was armed on is over, or the server would not re-arm it: nothing more comes
    /// from a one-shot watch.
    SessionLost,
    /// The connection was away: a persistent watch is armed again, but events may have been missed.
    MayHaveMissed,
}

/// An event of a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchEvent {
    /// What happened.
    pub kind: WatchEventKind,
    /// The path it happened to.
    pub path: String,
}

/// A one-shot watch. Dropping it removes it here, and at the server if nobody else watches.
#[must_use = "dropping it removes the watch"]
pub struct Watch {
    event: oneshot::Receiver<WatchEvent>,
    _registration: Option<Box<dyn Send + Sync>>,
}

impl Watch {
    /// A watch and the end that fires it. `registration` is dropped with the watch.
    pub fn channel(registration: Option<Box<dyn Send + Sync>>) -> (oneshot::Sender<WatchEvent>, Self) {
        let (sender, event) = oneshot::channel();
        (sender, Self::over(event, registration))
    }

    /// A watch that is fired through the other end of `event`. `registration` is dropped with it.
    pub fn over(event: oneshot::Receiver<WatchEvent>, registration: Option<Box<dyn Send + Sync>>) -> Self {
        Self { event, _registration: registration }
    }
}

impl Future for Watch {
    type Output = WatchEvent;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.event).poll(cx).map(|event| {
            // The other end goes without a word only with the client.
            event.unwrap_or(WatchEvent { kind: WatchEventKind::SessionLost, path: String::new() })
        })
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// An answer of another kind than the request asks for.
fn unexpected(operation: &'static str) -> Error {
    Error::new(Code::PROTOCOL).during(operation, None).because("the answer is of another kind")
}

/// The operations by name, over [`Zk::submit`]. Each is submitted when it is called.
impl dyn Zk {
    /// Creates a node; answers with its path, which differs from the one asked for if it is sequential, and its status.
    pub fn create(
        &self,
        path: &str,
        data: &[u8],
        acl: &[Acl],
        mode: CreateMode,
        options: OpOptions,
    ) -> impl Future<Output = Result<(String, Stat)>> + use<> {
        let reply = self.submit(
            Request::Create {
                path: path.to_owned(),
                data: data.to_vec(),
                acl: acl.to_vec(),
                mode,
                ttl_ms: 0,
                with_stat: true,
            },
            options,
        );
        async move {
            match reply.await?.response {
                Response::Create2 { path, stat } => Ok((path, stat)),
                _ => Err(unexpected("create")),
            }
        }
    }

    /// Deletes a node, at this version unless it is −1.
    pub fn delete(
        &self,
        path: &str,
        version: i32,
        options: OpOptions,
    ) -> impl Future<Output = Result<()>> + use<> {
        let reply = self.submit(Request::Delete { path: path.to_owned(), version }, options);
        async move { reply.await.map(|_| ()) }
    }

    /// A node's status, or `None` where there is no node.
    pub fn exists(
        &self,
        path: &str,
        options: OpOptions,
    ) -> impl Future<Output = Result<Option<Stat>>> + use<> {
        stat_or_none(self.submit(Request::Exists { path: path.to_owned(), watch: false }, options))
    }

    /// The same, with a watch for its creation, change or deletion.
    pub fn exists_watch(
        &self,
        path: &str,
        options: OpOptions,
    ) -> (impl Future<Output = Result<Option<Stat>>> + use<>, Watch) {
        let request = Request::Exists { path: path.to_owned(), watch: true };
        let (reply, watch) = self.submit_watch(request, options);
        (stat_or_none(reply), watch)
    }

    /// A node's data and status.
    pub fn get(
        &self,
        path: &str,
        options: OpOptions,
    ) -> impl Future<Output = Result<(Vec<u8>, Stat)>> + use<> {
        data(self.submit(Request::GetData { path: path.to_owned(), watch: false }, options))
    }

    /// The same, with a watch for its change or deletion.
    pub fn get_watch(
        &self,
        path: &str,
        options: OpOptions,
    ) -> (impl Future<Output = Result<(Vec<u8>, Stat)>> + use<>, Watch) {
        let request = Request::GetData { path: path.to_owned(), watch: true };
        let (reply, watch) = self.submit_watch(request, options);
        (data(reply), watch)
    }

    /// Sets a node's data, at this version unless it is −1; answers with its new status.
    pub fn set(
        &self,
        path: &str,
        data: &[u8],
        version: i32,
        options: OpOptions,
    ) -> impl Future<Output = Result<Stat>> + use<> {
        stat(
            self.submit(Request::SetData { path: path.to_owned(), data: data.to_vec(), version }, options),
            "set",
        )
    }

    /// The names of a node's children, in no order, and its status.
    pub fn children(
        &self,
        path: &str,
        options: OpOptions,
    ) -> impl Future<Output = Result<(Vec<String>, Stat)>> + use<> {
        children(self.submit(Request::GetChildren2 { path: path.to_owned(), watch: false }, options))
    }

    /// The same, without a string for each name.
    pub fn names(
        &self,
        path: &str,
        options: OpOptions,
    ) -> impl Future<Output = Result<(Names, Stat)>> + use<> {
        names(self.submit(Request::GetChildren2 { path: path.to_owned(), watch: false }, options))
    }

    /// The same, with a watch for a child that is created or deleted.
    pub fn children_watch(
        &self,
        path: &str,
        options: OpOptions,
    ) -> (impl Future<Output = Result<(Vec<String>, Stat)>> + use<>, Watch) {
        let request = Request::GetChildren2 { path: path.to_owned(), watch: true };
        let (reply, watch) = self.submit_watch(request, options);
        (children(reply), watch)
    }

    /// A node's access control list and status.
    pub fn get_acl(
        &self,
        path: &str,
        options: OpOptions,
    ) -> impl Future<Output = Result<(Vec<Acl>, Stat)>> + use<> {
        let reply = self.submit(Request::GetAcl { path: path.to_owned() }, options);
        async move {
            match reply.await?.response {
                Response::Acl { acl, stat } => Ok((acl, stat)),
                _ => Err(unexpected("getACL")),
            }
        }
    }

    /// Sets a node's access control list, at this ACL version unless it is −1.
    pub fn set_acl(
        &self,
        path: &str,
        acl: &[Acl],
        version: i32,
        options: OpOptions,
    ) -> impl Future<Output = Result<Stat>> + use<> {
        stat(
            self.submit(Request::SetAcl { path: path.to_owned(), acl: acl.to_vec(), version }, options),
            "setACL",
        )
    }

    /// Waits until the server has caught up with its leader. That proves no quorum.
    pub fn sync(&self, path: &str, options: OpOptions) -> impl Future<Output = Result<()>> + use<> {
        let reply = self.submit(Request::Sync { path: path.to_owned() }, options);
        async move { reply.await.map(|_| ()) }
    }

    /// Several changes as one transaction: all of them or none. If one fails, the error is that of the
    /// first that failed and names its path.
    pub fn multi(
        &self,
        ops: Vec<MultiOp>,
        options: OpOptions,
    ) -> impl Future<Output = Result<Vec<MultiResult>>> + use<> {
        let paths: Vec<_> = ops.iter().map(|op| op.path().to_owned()).collect();
        let reply = self.submit(Request::Multi(ops), options);
        async move { multi_results(reply.await?.response, &paths) }
    }

    /// Several reads in one request; each has its own result.
    pub fn multi_read(
        &self,
        ops: Vec<MultiOp>,
        options: OpOptions,
    ) -> impl Future<Output = Result<Vec<MultiResult>>> + use<> {
        let reply = self.submit(Request::MultiRead(ops), options);
        async move {
            match reply.await?.response {
                Response::Multi(results) => Ok(results),
                _ => Err(unexpected("multiRead")),
            }
        }
    }

    /// The paths of this session's ephemeral nodes that begin with `prefix` (servers from 3.6 on).
    pub fn ephemerals(
        &self,
        prefix: &str,
        options: OpOptions,
    ) -> impl Future<Output = Result<Vec<String>>> + use<> {
        let reply = self.submit(Request::GetEphemerals { prefix: prefix.to_owned() }, options);
        async move {
            match reply.await?.response {
                Response::Ephemerals(paths) => Ok(paths),
                _ => Err(unexpected("getEphemerals")),
            }
        }
    }

    /// The number of nodes below a path (servers from 3.6 on).
    pub fn all_children_number(
        &self,
        path: &str,
        options: OpOptions,
    ) -> impl Future<Output = Result<i32>> + use<> {
        let reply = self.submit(Request::GetAllChildrenNumber { path: path.to_owned() }, options);
        async move {
            match reply.await?.response {
                Response::Number(number) => Ok(number),
                _ => Err(unexpected("getAllChildrenNumber")),
            }
        }
    }

    /// Waits until a server is connected and answers with the session's id.
    pub fn connected(&self, deadline: Time) -> impl Future<Output = Result<i64>> + use<> {
        let view = self.session();
        let waiting = (!view.connected).then(|| (self.states(), self.sleep_until(deadline)));
        async move {
            let Some((mut states, timeout)) = waiting else { return Ok(view.id) };
            let mut last = None;
            tokio::pin!(timeout);
            loop {
                let event = tokio::select! {
                    biased;
                    event = states.recv() => event,
                    () = &mut timeout => {
                        let error = Error::new(Code::NOT_SENT).during("connect", None);
                        return Err(match last {
                            Some(why) => error.because(format!("no server connected in time: {why}")),
                            None => error.because("no server connected in time"),
                        });
                    }
                };
                use crate::client::State;
                match event {
                    Some(event) if event.state == State::Connected => return Ok(event.session),
                    Some(event) if event.state == State::Closed => {
                        return Err(event.reason.unwrap_or_else(|| Code::CLOSED.into()));
                    }
                    Some(event) => last = event.reason.or(last),
                    None => return Err(Code::CLOSED.into()),
                }
            }
        }
    }

    /// Creates the missing nodes of a path, plain and empty, with this ACL.
    pub fn create_parents(
        self: &Arc<Self>,
        path: &str,
        acl: &[Acl],
        options: OpOptions,
    ) -> impl Future<Output = Result<()>> + use<> {
        let zk = Arc::clone(self);
        let (path, acl) = (path.to_owned(), acl.to_vec());
        async move {
            'again: loop {
                // Up to the first ancestor that is there or can be made, then down again.
                let mut missing = Vec::new();
                let mut next = Some(path.as_str());
                while let Some(at) = next.filter(|at| *at != "/") {
                    match zk.create(at, b"", &acl, CreateMode::Persistent, options).await {
                        Err(e) if e.code() == Code::NO_NODE => missing.push(at),
                        Err(e) if e.code() == Code::NODE_EXISTS => break,
                        // It may be there now: the next creation below it tells.
                        Err(e) if e.code() == Code::OUTCOME_UNKNOWN => break,
                        Err(e) => return Err(e),
                        Ok(_) => break,
                    }
                    next = path::parent(at);
                }
                for at in missing.into_iter().rev() {
                    match zk.create(at, b"", &acl, CreateMode::Persistent, options).await {
                        // The creation above it was not applied after all, or somebody deleted that node.
                        Err(e) if e.code() == Code::NO_NODE => continue 'again,
                        Err(e) if e.code() != Code::NODE_EXISTS && e.code() != Code::OUTCOME_UNKNOWN => {
                            return Err(e);
                        }
                        _ => {}
                    }
                }
                return Ok(());
            }
        }
    }

    /// Adds a watch that stays.
    pub(crate) fn add_watch_request(path: &str, mode: WatchMode) -> Request {
        Request::AddWatch { path: path.to_owned(), mode }
    }
}

/// The results of a transaction on these paths; if one of its operations failed, the first that did is the error.
pub(crate) fn multi_results(response: Response, paths: &[String]) -> Result<Vec<MultiResult>> {
    let Response::Multi(results) = response else { return Err(unexpected("multi")) };
    let real = |code: i32| code != 0 && code != Code::RUNTIME_INCONSISTENCY.number();
    let failed = results.iter().position(|result| real(result.err()));
    match failed.and_then(|at| results.get(at).map(|result| (at, result.err()))) {
        None => Ok(results),
        Some((at, code)) => Err(Error::new(Code::from_number(code))
            .during("multi", paths.get(at).map(String::as_str))
            .because(format!("operation {} of {}", at + 1, results.len()))),
    }
}

async fn stat(reply: Reply, operation: &'static str) -> Result<Stat> {
    match reply.await?.response {
        Response::Stat(stat) => Ok(stat),
        _ => Err(unexpected(operation)),
    }
}

async fn stat_or_none(reply: Reply) -> Result<Option<Stat>> {
    match stat(reply, "exists").await {
        Ok(stat) => Ok(Some(stat)),
        Err(e) if e.code() == Code::NO_NODE => Ok(None),
        Err(e) => Err(e),
    }
}

pub(crate) async fn data(reply: Reply) -> Result<(Vec<u8>, Stat)> {
    match reply.await?.response {
        Response::Data { data, stat } => Ok((data, stat)),
        _ => Err(unexpected("get")),
    }
}

async fn children(reply: Reply) -> Result<(Vec<String>, Stat)> {
    names(reply).await.map(|(names, stat)| (names.to_vec(), stat))
}

pub(crate) async fn names(reply: Reply) -> Result<(Names, Stat)> {
    match reply.await?.response {
        Response::Children2 { children, stat } => Ok((children, stat)),
        _ => Err(unexpected("children")),
    }
}
