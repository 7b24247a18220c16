//! A connection that is lent, as recipes see it: the trait `Zk` over a table of callbacks.
//!
//! What the program's connection cannot do is refused with `UNSUPPORTED`, and logged once. Its answers prove as
//! much of a session as our own client's do, as long as the program tells each change of the connection before it
//! completes what came behind it.

use super::boundary::UserData;
use super::call::{Call, LentWatch, zkh_call, zkh_request};
use super::dispatcher::Dispatcher;
use super::handles;
use crate::client::lease::{Proof, Weight};
use crate::client::logical::check_paths;
use crate::client::runtime::{IoThread, Runtime};
use crate::client::{Options, State, StateEvent};
use crate::error::{Code, Error, Result};
use crate::proto::Request;
use crate::sync::Mutex;
use crate::time::Time;
use crate::zk::{
    BoxFuture, OpOptions, Reply, ReplySender, SessionView, Watch, WatchEvent, WatchEventKind, Zk,
};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::c_void;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// What does an operation of the program's connection.
pub(super) type LendFn = unsafe extern "C" fn(*mut c_void, zkh_call, *const zkh_request);

/// The callbacks that are set, by the number of their operation.
pub(super) type Table = BTreeMap<i32, LendFn>;

pub(super) struct Lent {
    runtime: IoThread,
    process: usize,
    table: Table,
    /// Taken when it is dropped, to be destroyed where callbacks run.
    user: Mutex<Option<Arc<UserData>>>,
    dispatcher: Dispatcher,
    options: Options,
    link: Mutex<Link>,
    me: Weak<Lent>,
}

/// The connection and its session.
struct Link {
    state: State,
    session: i64,
    previous: i64,
    timeout: Duration,
    least_timeout: Duration,
    connection: u64,
    last_heard: Time,
    proof: Proof,
    subscribers: Vec<mpsc::UnboundedSender<StateEvent>>,
    /// What waits for a connection.
    waiting: VecDeque<Pending>,
    watches: BTreeMap<u64, Arc<LentWatch>>,
    /// Operations that the program was not told to be without so far.
    complained: Vec<i32>,
}

/// A request that was not handed to the program yet.
struct Pending {
    request: Request,
    operation: i32,
    options: OpOptions,
    deadline: Time,
    reply: ReplySender,
    watch: Option<u64>,
}

impl Pending {
    fn refuse(self, error: Error) {
        let error = error.during(self.request.name(), self.request.path());
        self.reply.send(Err(error));
    }
}

impl Lent {
    pub(super) fn new(table: Table, user: UserData, options: Options) -> Result<Arc<Self>> {
        let runtime = IoThread::get()?;
        let process = handles::process()?;
        let dispatcher = Dispatcher::new("zkhelper-lent");
        dispatcher.start()?;
        let link = Link {
            state: State::Connecting,
            session: 0,
            previous: 0,
            timeout: options.session_timeout,
            least_timeout: options.session_timeout,
            connection: 0,
            last_heard: runtime.now(),
            proof: Proof::default(),
            subscribers: Vec::new(),
            waiting: VecDeque::new(),
            watches: BTreeMap::new(),
            complained: Vec::new(),
        };
        Ok(Arc::new_cyclic(|me| Self {
            runtime,
            process,
            table,
            user: Mutex::new(Some(Arc::new(user))),
            dispatcher,
            options,
            link: Mutex::new(link),
            me: me.clone(),
        }))
    }

    /// Refuses to work in a child of the process that made it.
    fn at_home(&self) -> Result<()> {
        if handles::process().ok() == Some(self.process) {
            return Ok(());
        }
        Err(Error::new(Code::FORKED).because("lend a connection anew in this process"))
    }

    /// The program says what became of its connection.
    pub(super) fn entered(&self, state: State, session: i64, timeout: Duration) -> Result<()> {
        self.at_home()?;
        let (waiting, watches) = {
            let mut link = self.link.lock();
            if link.state == State::Closed {
                return Err(Code::CLOSED.into());
            }
            // A new session where the end of the old one was not told.
            if state == State::Connected && link.session != 0 && link.session != session {
                link.lose();
            }
            let over = matches!(state, State::Lost | State::Closed);
            if over {
                link.previous = if link.session == 0 { link.previous } else { link.session };
                link.session = 0;
            }
            if state == State::Connected {
                if link.session != session {
                    link.least_timeout = timeout;
                    link.proof = Proof::default();
                }
                link.session = session;
                link.timeout = timeout;
                link.least_timeout = link.least_timeout.min(timeout);
                link.last_heard = self.runtime.now();
            }
            // Chains of answers end with their connection.
            link.connection += 1;
            link.proof.reconnected();
            link.tell(state);
            let ready = matches!(state, State::Connected | State::Closed);
            let waiting = if ready { std::mem::take(&mut link.waiting) } else { VecDeque::new() };
            (waiting, if over { std::mem::take(&mut link.watches) } else { BTreeMap::new() })
        };
        watches.into_values().for_each(|watch| watch.lost());
        for pending in waiting {
            self.take(pending);
        }
        Ok(())
    }

    /// Hands a request to the program, or keeps it until there is a connection.
    fn take(&self, pending: Pending) {
        let mut link = self.link.lock();
        match link.state {
            State::Closed => {
                drop(link);
                pending.refuse(Code::CLOSED.into());
            }
            State::Connected => {
                let (session, connection) = (link.session, link.connection);
                drop(link);
                self.ask(pending, session, connection);
            }
            _ => link.waiting.push_back(pending),
        }
    }

    /// Gives up what nobody waits for any more, or what waited too long.
    fn expire(&self) {
        let now = self.runtime.now();
        let (late, waiting): (VecDeque<_>, _) = {
            let mut link = self.link.lock();
            let waiting = std::mem::take(&mut link.waiting);
            waiting.into_iter().partition(|p| p.reply.is_closed() || p.deadline <= now)
        };
        self.link.lock().waiting.extend(waiting);
        for pending in late {
            pending.refuse(Error::new(Code::NOT_SENT).because("no server was connected in time"));
        }
    }

    fn ask(&self, pending: Pending, session: i64, connection: u64) {
        if pending.options.session.is_some_and(|wanted| wanted != session) {
            return pending.refuse(Error::new(Code::SESSION_EXPIRED).because("its session is over"));
        }
        let Some(callback) = self.table.get(&pending.operation).copied() else {
            return pending.refuse(Code::UNSUPPORTED.into());
        };
        let (Some(me), Some(user)) = (self.me.upgrade(), self.user.lock().clone()) else {
            return pending.refuse(Code::CLOSED.into());
        };
        self.dispatcher.push(move || {
            if pending.reply.is_closed() {
                return;
            }
            let Pending { request, operation, deadline, reply, watch, .. } = pending;
            let shown = zkh_request::new(&request, operation, watch.unwrap_or_default());
            // No later than the first byte leaves: what the program does begins below.
            let sent_at = me.runtime.now();
            let (done, over) = oneshot::channel::<()>();
            let call = Arc::new(Call::new(
                &me, request, operation, reply, watch, sent_at, session, connection, done,
            ));
            let id = match handles::insert(Arc::clone(&call)) {
                Ok(id) => id,
                Err(error) => return call.end(Err(error)),
            };
            let (runtime, late) = (me.runtime.clone(), call);
            me.runtime.spawn(Box::pin(async move {
                tokio::select! {
                    biased;
                    _ = over => {}
                    () = runtime.sleep_until(deadline) => {
                        let _ = handles::remove::<Call>(id);
                        late.end(Err(Code::OPERATION_TIMEOUT.into()));
                    }
                }
            }));
            // SAFETY: the caller gave this callback for this pointer, which is not destroyed yet; the request
            // lives until it returns.
            unsafe { callback(user.as_ptr(), zkh_call { id }, &raw const shown) };
        });
    }

    /// An answer came on this connection to what was sent then.
    pub(super) fn answered(&self, sent_at: Time, connection: u64, weight: Weight) {
        let mut link = self.link.lock();
        let now = self.runtime.now();
        link.last_heard = now;
        if link.connection == connection {
            // As long as at the servers a ping may take: half a tick, where the timeout is two ticks at least.
            let ping = link.timeout / 4;
            link.proof.answered(sent_at, now, weight, ping);
        }
    }

    pub(super) fn forget(&self, watch: u64) {
        self.link.lock().watches.remove(&watch);
        let _ = handles::remove::<LentWatch>(watch);
    }

    fn submitted(&self, request: Request, options: OpOptions, watch: Option<u64>) -> Reply {
        let (reply, outcome) = Reply::channel();
        let operation = zkh_request::operation_of(&request);
        let deadline = options.deadline.unwrap_or(self.runtime.now() + self.options.operation_timeout);
        let pending =
            Pending { operation: operation.unwrap_or_default(), request, options, deadline, reply, watch };
        let checked = self.at_home().and_then(|()| check_paths(&pending.request));
        let known = operation.filter(|operation| self.table.contains_key(operation));
        match (checked, known) {
            (Err(error), _) => pending.refuse(error),
            (Ok(()), None) => self.cannot(pending),
            (Ok(()), Some(_)) => {
                let waits = self.link.lock().state != State::Connected;
                self.take(pending);
                if waits {
                    // It keeps nothing alive.
                    let (me, waking) = (self.me.clone(), self.runtime.sleep_until(deadline));
                    self.runtime.spawn(Box::pin(async move {
                        waking.await;
                        if let Some(me) = me.upgrade() {
                            me.expire();
                        }
                    }));
                }
            }
        }
        outcome
    }

    /// Says once for each operation that the program's connection does not have it.
    fn cannot(&self, pending: Pending) {
        let name = pending.request.name();
        let first = {
            let mut link = self.link.lock();
            let first = !link.complained.contains(&pending.operation);
            if first {
                link.complained.push(pending.operation);
            }
            first
        };
        if first {
            log::warn!("the lent connection has no {name}: what needs it is refused");
        }
        pending.refuse(Error::new(Code::UNSUPPORTED).because("the lent connection does not have it"));
    }
}

impl Link {
    fn tell(&mut self, state: State) {
        self.state = state;
        let event =
            StateEvent { state, session: self.session, previous_session: self.previous, reason: None };
        self.subscribers.retain(|subscriber| subscriber.send(event.clone()).is_ok());
        if state == State::Closed {
            self.subscribers.clear();
        }
    }

    fn lose(&mut self) {
        self.previous = self.session;
        self.session = 0;
        self.tell(State::Lost);
        for watch in std::mem::take(&mut self.watches).into_values() {
            watch.lost();
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let user = self.user.lock().take();
        let watches = std::mem::take(&mut self.link.lock().watches);
        self.dispatcher.push(move || {
            watches.into_values().for_each(|watch| watch.lost());
            drop(user);
        });
    }
}

/// Takes a watch of the program's back from the registry, with whoever waited for it.
struct Registration {
    lent: Weak<Lent>,
    id: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        match self.lent.upgrade() {
            Some(lent) => lent.forget(self.id),
            None => drop(handles::remove::<LentWatch>(self.id)),
        }
    }
}

impl Zk for Lent {
    fn submit(&self, request: Request, options: OpOptions) -> Reply {
        self.submitted(request, options, None)
    }

    fn submit_watch(&self, request: Request, options: OpOptions) -> (Reply, Watch) {
        let path = request.path().unwrap_or_default().to_owned();
        let (sink, event) = oneshot::channel();
        let watch = Arc::new(LentWatch::new(path, sink));
        let id = match handles::insert(Arc::clone(&watch)) {
            Ok(id) => id,
            Err(error) => {
                let (reply, outcome) = Reply::channel();
                reply.send(Err(error));
                watch.lost();
                return (outcome, Watch::over(event, None));
            }
        };
        self.link.lock().watches.insert(id, watch);
        let registration = Registration { lent: self.me.clone(), id };
        let reply = self.submitted(request, options, Some(id));
        (reply, Watch::over(event, Some(Box::new(registration))))
    }

    fn session(&self) -> SessionView {
        if self.at_home().is_err() {
            return SessionView::default();
        }
        let link = self.link.lock();
        let drift = self.options.clock_drift;
        let safe = link.least_timeout.mul_f64((1.0 - drift) / (1.0 + drift));
        SessionView {
            id: link.session,
            connected: link.state == State::Connected,
            connection: link.connection,
            timeout: link.timeout,
            last_heard: link.last_heard,
            valid_until: link.proof.proven().map(|proven| proven + safe),
            zxid: 0,
            without_lease: !self.table.contains_key(&super::call::ZKH_REQUEST_MULTI),
        }
    }

    fn states(&self) -> mpsc::UnboundedReceiver<StateEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let reason = self.at_home().err();
        let mut present =
            StateEvent { state: State::Closed, session: 0, previous_session: 0, reason: reason.clone() };
        if reason.is_some() {
            let _ = sender.send(present);
            return receiver;
        }
        let mut link = self.link.lock();
        (present.state, present.session, present.previous_session) =
            (link.state, link.session, link.previous);
        let _ = sender.send(present);
        if link.state != State::Closed {
            // Who asked only for the present state is gone already.
            link.subscribers.retain(|subscriber| !subscriber.is_closed());
            link.subscribers.push(sender);
        }
        receiver
    }

    fn now(&self) -> Time {
        self.runtime.now()
    }

    fn sleep_until(&self, until: Time) -> BoxFuture<()> {
        self.runtime.sleep_until(until)
    }

    fn spawn(&self, task: BoxFuture<()>) {
        self.runtime.spawn(task);
    }

    fn random(&self) -> u64 {
        self.runtime.random()
    }

    fn close(&self) {
        let _ = self.entered(State::Closed, 0, Duration::ZERO);
    }
}

/// What a watch of the program's saw.
pub(super) fn event(kind: WatchEventKind, path: &str) -> WatchEvent {
    WatchEvent { kind, path: path.to_owned() }
}
