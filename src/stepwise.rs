//! Transactions over a connection that has none: step by step, as far as single operations go.
//!
//! The checks of a transaction are reads, all of them in one flight; its changes follow one by one once every check holds. If
//! one is refused, the nodes that were created before it are deleted again. What that cannot promise is said in
//! `docs/lent.md`: others may come in between, and a read proves less than a write that a quorum commits.

use crate::client::lease::{Proof, Weight};
use crate::client::{Options, StateEvent};
use crate::error::{Code, Error, Result};
use crate::proto::{MultiOp, MultiResult, Request, Response};
use crate::sync::Mutex;
use crate::time::Time;
use crate::zk::{Answer, BoxFuture, OpOptions, Reply, ReplySender, SessionView, Watch, WatchEvent, Zk};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// A connection without transactions, with stand-ins for them. Requests that are submitted behind a transaction with
/// changes wait for its end, so that the order in which they are submitted is kept.
pub struct Stepwise {
    inner: Arc<Inner>,
}

struct Inner {
    zk: Arc<dyn Zk>,
    line: Mutex<Line>,
    lease: Mutex<Lease>,
}

/// What waits behind a transaction with changes.
#[derive(Default)]
struct Line {
    busy: bool,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    request: Request,
    options: OpOptions,
    reply: ReplySender,
    watch: Option<oneshot::Sender<WatchEvent>>,
}

/// What transactions prove of the session, if their checks may be believed.
#[derive(Default)]
struct Lease {
    session: i64,
    connection: u64,
    least_timeout: Duration,
    proof: Proof,
}

impl Stepwise {
    /// Stands in for the transactions of this connection.
    pub fn over(zk: Arc<dyn Zk>) -> Self {
        let (line, lease) = (Mutex::default(), Mutex::default());
        Self { inner: Arc::new(Inner { zk, line, lease }) }
    }
}

impl std::fmt::Debug for Stepwise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stepwise").finish_non_exhaustive()
    }
}

impl Inner {
    /// The session, with the lease as far as it goes.
    fn view(&self) -> SessionView {
        let view = self.zk.session();
        let mut lease = self.lease.lock();
        if lease.session != view.id {
            *lease = Lease { session: view.id, least_timeout: view.timeout, ..Lease::default() };
        }
        if lease.connection != view.connection {
            lease.connection = view.connection;
            lease.proof.reconnected();
        }
        lease.least_timeout = lease.least_timeout.min(view.timeout);
        let drift = Options::default().clock_drift;
        let safe = lease.least_timeout.mul_f64((1.0 - drift) / (1.0 + drift));
        let valid_until = lease.proof.proven().map(|proven| proven + safe).max(view.valid_until);
        SessionView { valid_until, without_lease: false, ..view }
    }

    /// A transaction came to an end that the connection had an answer for.
    fn answered(&self, sent_at: Time, connection: u64) {
        let view = self.view();
        let mut lease = self.lease.lock();
        if view.connection == connection && (lease.session, lease.connection) == (view.id, connection) {
            lease.proof.answered(sent_at, self.zk.now(), Weight::Write, view.timeout / 4);
        }
    }

    /// Sends a request when its turn has come.
    fn queue(self: &Arc<Self>, line: &mut Line, waiting: Waiting) {
        if line.busy {
            line.waiting.push_back(waiting);
        } else {
            line.busy = self.send(waiting);
        }
    }

    /// Sends a request, and says whether those behind it have to wait.
    fn send(self: &Arc<Self>, waiting: Waiting) -> bool {
        let Waiting { request, options, reply, watch } = waiting;
        let ops = match request {
            Request::Multi(ops) => ops,
            request => {
                self.pass(request, options, reply, watch);
                return false;
            }
        };
        let changes = ops.iter().any(|op| !matches!(op, MultiOp::Check { .. }));
        let view = self.zk.session();
        // All of its parts are of one session.
        let session = options.session.unwrap_or(view.id);
        let mut steps = Steps {
            zk: Arc::clone(&self.zk),
            options: if session == 0 { options } else { options.on(session) },
            sent_at: self.zk.now(),
            session,
            connection: view.connection,
            zxid: 0,
            results: vec![MultiResult::Error(0); ops.len()],
        };
        // The checks leave now, in their order with what was submitted before and is behind.
        let checks = steps.check(&ops);
        let me = Arc::clone(self);
        self.zk.spawn(Box::pin(async move {
            let outcome = steps.run(&ops, checks).await;
            if outcome.is_ok() {
                me.answered(steps.sent_at, steps.connection);
            }
            reply.send(outcome.map_err(|error| error.during("multi", ops.first().map(MultiOp::path))));
            if changes {
                me.go_on();
            }
        }));
        changes
    }

    /// Hands a request on as it is.
    fn pass(
        &self,
        request: Request,
        options: OpOptions,
        reply: ReplySender,
        watch: Option<oneshot::Sender<WatchEvent>>,
    ) {
        let Some(mut sink) = watch else {
            self.zk.spawn(Box::pin(hand_over(self.zk.submit(request, options), reply)));
            return;
        };
        let (answer, event) = self.zk.submit_watch(request, options);
        self.zk.spawn(Box::pin(hand_over(answer, reply)));
        self.zk.spawn(Box::pin(async move {
            tokio::select! {
                event = event => {
                    // Who waited may have gone meanwhile.
                    let _ = sink.send(event);
                }
                () = sink.closed() => {}
            }
        }));
    }

    /// A transaction with changes is over: what waited behind it goes on, up to the next one.
    fn go_on(self: &Arc<Self>) {
        let mut line = self.line.lock();
        line.busy = false;
        while let Some(next) = line.waiting.pop_front() {
            if next.reply.is_closed() {
                continue;
            }
            if self.send(next) {
                line.busy = true;
                return;
            }
        }
    }
}

/// Passes an answer on; where nobody waits for it any more the request is withdrawn.
async fn hand_over(answer: Reply, mut to: ReplySender) {
    tokio::select! {
        outcome = answer => to.send(outcome),
        () = to.closed() => {}
    }
}

/// One transaction under way.
struct Steps {
    zk: Arc<dyn Zk>,
    options: OpOptions,
    sent_at: Time,
    session: i64,
    connection: u64,
    zxid: i64,
    results: Vec<MultiResult>,
}

impl Steps {
    /// Submits the checks: the place of each, and its answer to come.
    fn check(&self, ops: &[MultiOp]) -> Vec<(usize, i32, Reply)> {
        let checks = ops.iter().enumerate().filter_map(|(at, op)| match op {
            MultiOp::Check { path, version } => {
                let request = Request::Exists { path: path.clone(), watch: false };
                Some((at, *version, self.zk.submit(request, self.options)))
            }
            _ => None,
        });
        checks.collect()
    }

    async fn run(&mut self, ops: &[MultiOp], checks: Vec<(usize, i32, Reply)>) -> Result<Answer> {
        let mut failed = None;
        for (at, version, reply) in checks {
            let code = match self.step(reply).await? {
                Ok(Response::Stat(stat)) if version == -1 || version == stat.version => {
                    self.put(at, MultiResult::Check);
                    continue;
                }
                Ok(_) => Code::BAD_VERSION,
                Err(code) => code,
            };
            // The first of them counts.
            failed = failed.or(Some((at, code)));
        }
        if let Some((at, code)) = failed {
            return Ok(self.refused(at, code));
        }
        for (at, op) in ops.iter().enumerate() {
            let request = match op {
                MultiOp::Check { .. } => continue,
                MultiOp::Create { path, data, acl, mode, ttl_ms, .. } => Request::Create {
                    path: path.clone(),
                    data: data.clone(),
                    acl: acl.clone(),
                    mode: *mode,
                    ttl_ms: *ttl_ms,
                    with_stat: true,
                },
                MultiOp::Delete { path, version } => {
                    Request::Delete { path: path.clone(), version: *version }
                }
                MultiOp::SetData { path, data, version } => {
                    Request::SetData { path: path.clone(), data: data.clone(), version: *version }
                }
                MultiOp::GetData { .. } | MultiOp::GetChildren { .. } => {
                    return Err(Error::new(Code::BAD_ARGUMENT).because("a transaction has no reads in it"));
                }
            };
            let reply = self.zk.submit(request, self.options);
            let response = match self.step(reply).await {
                Ok(Ok(response)) => response,
                Ok(Err(code)) => {
                    self.undo(at).await?;
                    return Ok(self.refused(at, code));
                }
                Err(error) => return Err(self.cut_short(at, error)),
            };
            self.put(at, result(op, response));
        }
        Ok(self.answer())
    }

    fn put(&mut self, at: usize, result: MultiResult) {
        if let Some(place) = self.results.get_mut(at) {
            *place = result;
        }
    }

    /// What a step answered: a refusal of the server's is its code, and an error is one of the connection's.
    async fn step(&mut self, reply: Reply) -> Result<Result<Response, Code>> {
        match reply.await {
            Ok(answer) => {
                self.zxid = self.zxid.max(answer.zxid);
                self.session = answer.session;
                self.connection = answer.connection;
                Ok(Ok(answer.response))
            }
            Err(error) if of_the_connection(error.code()) => Err(error),
            Err(error) => Ok(Err(error.code())),
        }
    }

    /// Deletes what was created before the step that failed.
    async fn undo(&mut self, failed: usize) -> Result<()> {
        let before = self.results.iter().take(failed).rev();
        let made: Vec<_> = before
            .filter_map(|result| match result {
                MultiResult::Create { path } | MultiResult::Create2 { path, .. } => Some(path.clone()),
                _ => None,
            })
            .collect();
        for path in made {
            let reply = self.zk.submit(Request::Delete { path: path.clone(), version: -1 }, self.options);
            match self.step(reply).await {
                Ok(Ok(_) | Err(Code::NO_NODE)) => {}
                Ok(Err(code)) => {
                    return Err(half_done(format!("{path} could not be deleted again: {code:?}")));
                }
                Err(error) => return Err(half_done(format!("{path} could not be deleted again: {error}"))),
            }
        }
        Ok(())
    }

    /// The connection failed at this step: where a change was made before, nobody can tell what stands.
    fn cut_short(&self, at: usize, error: Error) -> Error {
        let changed =
            self.results.iter().take(at).any(|r| !matches!(r, MultiResult::Check | MultiResult::Error(_)));
        let over = matches!(error.code(), Code::SESSION_EXPIRED | Code::CLOSED | Code::AUTH_FAILED);
        if changed && !over { half_done(error.to_string()) } else { error }
    }

    /// The results of a transaction that this operation's refusal ended.
    fn refused(&mut self, failed: usize, code: Code) -> Answer {
        for (at, result) in self.results.iter_mut().enumerate() {
            *result = MultiResult::Error(match at {
                _ if at < failed => 0,
                _ if at == failed => code.number(),
                _ => Code::RUNTIME_INCONSISTENCY.number(),
            });
        }
        self.answer()
    }

    fn answer(&mut self) -> Answer {
        let response = Response::Multi(std::mem::take(&mut self.results));
        let Self { zxid, sent_at, session, connection, .. } = *self;
        Answer { response, zxid, sent_at, session, connection }
    }
}

fn half_done(detail: String) -> Error {
    Error::new(Code::OUTCOME_UNKNOWN).because(format!("a part of the transaction may stand: {detail}"))
}

/// Whether a code says that the connection failed, and not that the server refused the operation.
fn of_the_connection(code: Code) -> bool {
    let ours = (-1999..=-1000).contains(&code.number());
    ours || matches!(
        code,
        Code::CONNECTION_LOSS
            | Code::OPERATION_TIMEOUT
            | Code::SESSION_EXPIRED
            | Code::SESSION_MOVED
            | Code::AUTH_FAILED
    )
}

fn result(op: &MultiOp, response: Response) -> MultiResult {
    match (op, response) {
        (_, Response::Create2 { path, stat }) => MultiResult::Create2 { path, stat },
        (_, Response::Create { path }) => MultiResult::Create { path },
        (MultiOp::SetData { .. }, Response::Stat(stat)) => MultiResult::SetData { stat },
        _ => MultiResult::Delete,
    }
}

impl Zk for Stepwise {
    fn submit(&self, request: Request, options: OpOptions) -> Reply {
        let mut line = self.inner.line.lock();
        if !line.busy && !matches!(request, Request::Multi(_)) {
            return self.inner.zk.submit(request, options);
        }
        let (reply, outcome) = Reply::channel();
        self.inner.queue(&mut line, Waiting { request, options, reply, watch: None });
        outcome
    }

    fn submit_watch(&self, request: Request, options: OpOptions) -> (Reply, Watch) {
        let mut line = self.inner.line.lock();
        if !line.busy {
            return self.inner.zk.submit_watch(request, options);
        }
        let (reply, outcome) = Reply::channel();
        let (sink, watch) = Watch::channel(None);
        self.inner.queue(&mut line, Waiting { request, options, reply, watch: Some(sink) });
        (outcome, watch)
    }

    fn session(&self) -> SessionView {
        self.inner.view()
    }

    fn states(&self) -> mpsc::UnboundedReceiver<StateEvent> {
        self.inner.zk.states()
    }

    fn now(&self) -> Time {
        self.inner.zk.now()
    }

    fn sleep_until(&self, until: Time) -> BoxFuture<()> {
        self.inner.zk.sleep_until(until)
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.inner.zk.spawn(task);
    }

    fn random(&self) -> u64 {
        self.inner.zk.random()
    }

    fn wait(&self, done: Pin<&mut dyn Future<Output = ()>>, at_most: Option<Duration>) -> bool {
        self.inner.zk.wait(done, at_most)
    }

    fn attend(&self) {
        self.inner.zk.attend();
    }

    fn close(&self) {
        self.inner.zk.close();
    }
}
