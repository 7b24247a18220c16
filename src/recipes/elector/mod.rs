//! The election: `PATH/candidates` is a lock in strict mode, and whoever holds it leads; `PATH/leader` says
//! who that is.
//!
//! Kept here: two terms never overlap. A leader is told to stop when its lease runs out, or as soon as
//! its lock is lost; it has the grace to do so, and the next one waits for lease and grace together unless
//! it sees that the one before it left cleanly. That is the delay of the lock's strict mode, so all
//! candidates of an election have to use the same lease and grace. The leader's record is written in a
//! transaction that also checks that its candidate is there, after the wait and before the term.
//!
//! Three ways to use it, each made of the one before: [`Elector::campaign`], one term; [`Course`], term
//! after term with pauses between them; [`Elector::run`], a task that is run in each term.

mod course;
mod record;
mod term;

pub use course::{Course, Outcome};
pub use record::{Leader, Standing};
pub use term::{Leadership, Stop, Term};

use super::contents;
use super::keeper::Keeper;
use super::mutex::{ContenderInfo, Hold, Mutex, MutexOptions, Strict};
use super::node::{Pause, is_passing};
use crate::client::Client;
use crate::error::{Code, Error, Result};
use crate::mutant::{Mutant, mutated};
use crate::path;
use crate::proto::{Acl, CreateMode, MultiOp, permissions};
use crate::sync::Mutex as Locked;
use crate::zk::Zk;
use serde_json::{Map, Value};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};

/// How an election is taken part in.
#[derive(Debug, Clone)]
pub struct ElectorOptions {
    /// The access control list of the candidates' nodes, of the leader's record and of the parents that have
    /// to be made. Default: anyone, everything.
    pub acl: Vec<Acl>,
    /// Further keys of the JSON object in the candidate's node and the record; `hostname`, `pid`, `desc`
    /// and `id` are added, and in the record `token` and `candidate`.
    pub contents: Map<String, Value>,
    /// What the candidate's node has as `desc`. Default: "election".
    pub description: String,
    /// What goes before the sequence number in the names of other libraries' candidates; see
    /// [`MutexOptions::extra_lock_patterns`].
    pub extra_lock_patterns: Vec<String>,
    /// How long a leader believes after it sent the last renewal that a quorum committed. All candidates
    /// need the same. Default 10 s.
    pub lease: Duration,
    /// How long a task may take to end after it was told to stop. All candidates need the same. `None` is for
    /// ever, and gives up the promise that two terms never overlap. Default 5 s.
    pub grace: Option<Duration>,
    /// Whether the process is aborted when a task outlives its grace after its lock was lost, that is when
    /// another leader may be about to start. Default: it is only reported.
    pub abort_when_overdue: bool,
    /// The pause before the next campaign of a [`Course`] after a term that failed; it doubles up to
    /// [`Self::max_backoff`], each time shortened at random by up to a half. Default 100 ms.
    pub min_backoff: Duration,
    /// The longest pause. Default 60 s.
    pub max_backoff: Duration,
    /// How much faster or slower than another candidate's this machine's clock may run, as a fraction.
    /// Default 0.01.
    pub clock_drift: f64,
}

impl Default for ElectorOptions {
    fn default() -> Self {
        Self {
            acl: vec![Acl::world(permissions::ALL)],
            contents: Map::new(),
            description: "election".to_owned(),
            extra_lock_patterns: Vec::new(),
            lease: Duration::from_secs(10),
            grace: Some(Duration::from_secs(5)),
            abort_when_overdue: false,
            min_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(60),
            clock_drift: 0.01,
        }
    }
}

impl ElectorOptions {
    /// Sets the further keys from the text of a JSON object.
    pub fn contents_json(&mut self, text: &str) -> Result<()> {
        self.contents = contents::parse(text)?;
        Ok(())
    }

    /// Refuses values that cannot work.
    pub fn validate(&self) -> Result<()> {
        let refuse = |why: String| Err(Error::new(Code::BAD_ARGUMENT).because(why));
        if self.min_backoff.is_zero() || self.min_backoff > self.max_backoff {
            return refuse(format!(
                "the back-off must be more than 0 and at most its maximum, not {:?} of {:?}",
                self.min_backoff, self.max_backoff
            ));
        }
        if self.abort_when_overdue && self.grace.is_none() {
            return refuse("a task with unlimited grace is never overdue".to_owned());
        }
        self.lock().validate()
    }

    /// The lock of the candidates.
    fn lock(&self) -> MutexOptions {
        MutexOptions {
            acl: self.acl.clone(),
            contents: self.contents.clone(),
            extra_lock_patterns: self.extra_lock_patterns.clone(),
            strict: Some(Strict {
                lease: self.lease,
                delay: self.lease.saturating_add(self.grace.unwrap_or_default()),
            }),
            persistent: None,
            clock_drift: self.clock_drift,
        }
    }
}

/// A part in an election. Clones are the same part: one term at a time.
#[derive(Clone)]
pub struct Elector {
    inner: Arc<Inner>,
}

struct Inner {
    zk: Arc<dyn Zk>,
    candidates: Mutex,
    path: String,
    leader: String,
    options: ElectorOptions,
    /// Keeps one interrupt until a campaign or a term takes it.
    interrupt: Notify,
    closed: watch::Sender<bool>,
    term: Locked<Weak<term::Shared>>,
    overdue: Locked<Vec<mpsc::UnboundedSender<i64>>>,
}

impl Elector {
    /// A part in the election at this path, not yet begun. Nothing is sent.
    pub fn new(client: &Client, path: &str, options: ElectorOptions) -> Result<Self> {
        Self::over(Arc::clone(client.zk()), Arc::clone(client.keeper()), path, options)
    }

    /// The same, over anything that carries requests to ZooKeeper. One keeper serves all the locks of
    /// a connection.
    pub fn over(zk: Arc<dyn Zk>, keeper: Arc<Keeper>, path: &str, options: ElectorOptions) -> Result<Self> {
        let context = |error: Error| error.during("elector", Some(path));
        path::validate(path).map_err(context)?;
        options.validate().map_err(context)?;
        if options.grace.is_none() {
            log::warn!("election {path:?}: with unlimited grace two leaders' tasks may overlap");
        }
        let candidates =
            Mutex::over(Arc::clone(&zk), keeper, &path::join(path, "candidates"), options.lock())?;
        Ok(Self {
            inner: Arc::new(Inner {
                zk,
                candidates,
                path: path.to_owned(),
                leader: path::join(path, "leader"),
                options,
                interrupt: Notify::new(),
                closed: watch::Sender::new(false),
                term: Locked::new(Weak::new()),
                overdue: Locked::new(Vec::new()),
            }),
        })
    }

    /// The path of the election.
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    /// The lock of the candidates, for whoever wants to hold it as a lock.
    pub fn candidates_lock(&self) -> &Mutex {
        &self.inner.candidates
    }

    /// Waits until this elector leads. The term begins when this returns, and ends when it is dropped or
    /// [`Term::end`] is called, which is for the caller to do soon after [`Leadership::stopped`].
    ///
    /// Connection trouble is waited out. Errors: [`Code::INTERRUPTED`], [`Code::CLOSED`],
    /// [`Code::BAD_ARGUMENT`] where the other candidates use another lease and grace, and the
    /// server's own, such as [`Code::NO_AUTH`]. Dropping the future withdraws the candidacy.
    pub async fn campaign(&self) -> Result<Term> {
        let inner = &self.inner;
        loop {
            // Before the lock is asked for, so that no loss of it is missed.
            let losses = inner.candidates.losses();
            let hold = inner.stand().await?;
            match inner.unless_over(inner.accept(&hold)).await {
                // A process that was paused meanwhile learns here that its time is over.
                Ok(Ok(())) if hold.is_held() || mutated(Mutant::BeginsTermBlindly) => {
                    return Ok(Term::begin(inner, hold, losses));
                }
                Ok(Ok(())) => {
                    log::info!("election {:?}: the lease ran out before the term began", inner.path);
                }
                Ok(Err(error)) if error.code() == Code::LOCK_LOST => {
                    log::info!("election {:?}: lost before the term began: {error}", inner.path);
                }
                Ok(Err(error)) | Err(error) => {
                    // There was no term: whoever is next need not wait for its end.
                    let _ = hold.release().await;
                    return Err(error);
                }
            }
        }
    }

    /// Terms one after the other, with pauses between them.
    pub fn course(&self) -> Course {
        Course::new(self.clone())
    }

    /// Runs a task in each term, and is a candidate again after it ended, until it says that it was
    /// interrupted, or [`Elector::interrupt`] or [`Elector::close`] is called; then the task is told to
    /// stop, and its end awaited. Returns why it ended.
    ///
    /// The task has to end when [`Leadership::stopped`] does. It is polled where this future is polled;
    /// that the lease ran out is noticed elsewhere.
    pub async fn run<F, T>(&self, mut task: F) -> Error
    where
        F: FnMut(Leadership) -> T,
        T: Future<Output = Outcome>,
    {
        let mut course = self.course();
        loop {
            let term = match course.next().await {
                Ok(term) => term,
                Err(error) => return error,
            };
            let outcome = task(term.leadership()).await;
            if let Err(error) = course.ended(term, outcome).await {
                return error;
            }
        }
    }

    /// Ends a campaign with [`Code::INTERRUPTED`], or a term by [`Stop::Interrupted`]. If there is neither
    /// it is remembered, and ends the next campaign at its beginning.
    pub fn interrupt(&self) {
        self.inner.interrupt.notify_one();
    }

    /// Gives the lead up: the term is told to stop, and once it ended somebody else's turn comes. False if
    /// there is no term.
    pub fn resign(&self) -> bool {
        self.leadership().is_some_and(|leadership| leadership.resign())
    }

    /// Ends this elector and its clones: a campaign ends with [`Code::CLOSED`], and a term is told to
    /// stop.
    pub fn close(&self) {
        self.inner.closed.send_replace(true);
    }

    /// The term there is, if there is one.
    pub fn leadership(&self) -> Option<Leadership> {
        let term = self.inner.term.lock().upgrade()?;
        (!term.is_ended()).then(|| Leadership::of(term))
    }

    /// The tokens of terms whose task outlived its grace after its lock was lost, each once, from now on.
    /// Two leaders' tasks may overlap from that moment.
    pub fn overdue(&self) -> mpsc::UnboundedReceiver<i64> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.inner.overdue.lock().push(sender);
        receiver
    }

    /// Who leads, as its record says and its candidate's node confirms; `None` if nobody ever did.
    pub async fn leader(&self) -> Result<Option<Leader>> {
        record::read(&self.inner.zk, &self.inner.path).await
    }

    /// Who leads now, and every change from now on; changes in quick succession are told as one. An error
    /// that does not pass is told and ends it.
    pub fn leaders(&self) -> mpsc::UnboundedReceiver<Result<Option<Leader>>> {
        record::observe(&self.inner.zk, &self.inner.path)
    }

    /// Everybody who leads or stands for it, in the order of service.
    pub async fn candidates(&self) -> Result<Vec<ContenderInfo>> {
        self.inner.candidates.contenders().await
    }
}

impl fmt::Debug for Elector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Elector")
            .field("path", &self.inner.path)
            .field("term", &self.leadership())
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// Ends, with the reason, when the election is over for this elector.
    async fn over(&self) -> Error {
        let mut closed = self.closed.subscribe();
        let code = tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => Code::CLOSED,
            () = self.interrupt.notified() => Code::INTERRUPTED,
        };
        Error::new(code).during("campaign", Some(&self.path))
    }

    async fn unless_over<T>(&self, work: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            error = self.over() => Err(error),
            done = work => Ok(done),
        }
    }

    /// Waits until the candidates' lock is ours.
    async fn stand(&self) -> Result<Hold> {
        let mut acquire = self.candidates.lock(None, &self.options.description);
        match self.unless_over(&mut acquire).await {
            Ok(outcome) => outcome,
            Err(over) => {
                // With the candidate's node gone, unless the lock was granted at this moment.
                if let Ok(hold) = acquire.cancel().await {
                    let _ = hold.release().await;
                }
                Err(over)
            }
        }
    }

    /// Writes the leader's record. Writing it again does no harm, so neither does an answer that was lost.
    async fn accept(&self, hold: &Hold) -> Result<()> {
        let (zk, token) = (&self.zk, hold.token());
        let mut extra = self.options.contents.clone();
        record::sign(&mut extra, token, &hold.name().unwrap_or_default());
        let id = contents::uuid(zk.random(), zk.random());
        let data = contents::render(&extra, &[], &self.options.description, &id);
        let set = MultiOp::SetData { path: self.leader.clone(), data: data.clone(), version: -1 };
        let create = MultiOp::Create {
            path: self.leader.clone(),
            data,
            acl: self.options.acl.clone(),
            mode: CreateMode::Persistent,
            ttl_ms: 0,
            with_stat: false,
        };
        let mut op = set.clone();
        let mut pause = Pause::new();
        loop {
            let written = if mutated(Mutant::LeaderUnchecked) {
                zk.multi(vec![op.clone()], crate::zk::OpOptions::default()).await
            } else {
                self.candidates.guarded(vec![op.clone()]).await
            };
            match written {
                Ok(_) => return Ok(()),
                Err(error) if error.code() == Code::NO_NODE => op = create.clone(),
                Err(error) if error.code() == Code::NODE_EXISTS => op = set.clone(),
                Err(error) if is_passing(&error) => pause.rest(zk).await,
                Err(error) => return Err(error),
            }
        }
    }
}
