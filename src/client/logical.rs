//! One logical client over successive sessions, without IO: which server to dial and when, what waits,
//! what is sent again, which watches are armed, and what state all this is in.

use super::hosts::Host;
use super::options::{Auth, Options, WhileSuspended};
use super::session::{Event, Orphan, Session, Tag};
use super::state::{State, StateEvent};
use super::watches::{Kind, Sink, Watches, below};
use crate::error::{Code, Error, Result};
use crate::mutant::{Mutant, mutated};
use crate::path;
use crate::proto::{MultiOp, MultiResult, Request, Response, WatcherType};
use crate::time::Time;
use crate::zk::{Answer, OpOptions, ReplySender, SessionView, WatchEvent};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How many requests may be under way at once: enough to keep any network busy, few enough that the
/// answers, which may be long lists, do not pile up at the server.
const WINDOW: usize = 512;
/// So many requests are what one caller has under way, who sends them at once.
const QUIET: usize = 4;
/// How many bytes may wait to be written before further requests wait themselves.
const MAX_OUTPUT: usize = 1 << 20;
/// The first pause between two rounds over the servers.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
/// A connection that ended sooner than this was no success: the next pause is not shorter for it.
const SETTLED: Duration = Duration::from_secs(1);
/// The least time a server is given to accept a connection and answer the handshake.
const LEAST_ATTEMPT: Duration = Duration::from_millis(50);

/// What a watch of a request arms, and where its events go.
#[derive(Debug)]
pub(crate) enum NewWatch {
    Once(oneshot::Sender<WatchEvent>),
    Stream(mpsc::UnboundedSender<WatchEvent>),
}

impl NewWatch {
    /// Whether whoever waited for it has gone.
    fn is_closed(&self) -> bool {
        match self {
            Self::Once(sink) => sink.is_closed(),
            Self::Stream(sink) => sink.is_closed(),
        }
    }
}

/// An outcome to be delivered once no lock is held.
pub(crate) type Finished = (ReplySender, Result<Answer>);

#[derive(Debug)]
struct Op {
    request: Request,
    deadline: Time,
    refuse_suspended: bool,
    session: Option<i64>,
    /// Nobody waits for the client's own requests.
    reply: Option<ReplySender>,
    watch: Option<NewWatch>,
    sent: bool,
}

/// The transport's side of things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dial {
    /// The next attempt begins then.
    Due(Time),
    /// An attempt is under way: dialling, or since then in its handshake.
    Trying { deadline: Time, greeted: Option<Time> },
    /// Up since then.
    Up(Time),
    /// No further attempt.
    Over,
}

#[derive(Debug, Clone, Copy)]
struct Closing {
    deadline: Time,
    sent: bool,
}

/// Whom to dial, and until when the handshake has to be done.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) host: Host,
    pub(crate) deadline: Time,
}

#[derive(Debug)]
pub(crate) struct Logical {
    options: Options,
    chroot: String,
    hosts: Vec<Host>,
    next_host: usize,
    /// The server of the present attempt or connection, or of the last.
    server: Option<Host>,
    /// Attempts since a connection last settled.
    failures: u32,
    /// When a server last refused a connection or ended one.
    last_refusal: Time,
    rng: fastrand::Rng,
    session: Session,
    previous: i64,
    state: State,
    dial: Dial,
    closing: Option<Closing>,
    /// In order, as all that is ever gone through: what a client does depends on its seed alone.
    ops: BTreeMap<Tag, Op>,
    queue: VecDeque<Tag>,
    deadlines: BTreeSet<(Time, Tag)>,
    next_tag: Tag,
    watches: Watches,
    subscribers: Vec<mpsc::UnboundedSender<StateEvent>>,
    reason: Option<Error>,
    finished: Vec<Finished>,
}

impl Logical {
    pub(crate) fn new(hosts: Vec<Host>, chroot: &str, options: Options, now: Time) -> Self {
        let mut rng = options.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let mut hosts = hosts;
        rng.shuffle(&mut hosts);
        let mut session =
            Session::new(options.session_timeout, options.max_frame).with_max_silence(options.max_silence);
        if let Some(old) = &options.reattach {
            let first = rng.i32(1..i32::MAX / 2);
            session = session.reattach(old.session_id, old.password.clone(), old.last_zxid, first);
        }
        Self {
            chroot: chroot.to_owned(),
            hosts,
            next_host: 0,
            server: None,
            failures: 0,
            last_refusal: Time::default(),
            rng,
            session,
            previous: 0,
            state: State::Connecting,
            dial: Dial::Due(now),
            closing: None,
            ops: BTreeMap::new(),
            queue: VecDeque::new(),
            deadlines: BTreeSet::new(),
            next_tag: 1,
            watches: Watches::new(chroot),
            subscribers: Vec::new(),
            reason: None,
            finished: Vec::new(),
            options,
        }
    }

    // ---- what the client's users see ----

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn view(&self) -> SessionView {
        SessionView {
            id: self.session.id(),
            connected: self.state == State::Connected,
            connection: self.session.connection(),
            timeout: self.session.timeout(),
            last_heard: self.session.last_heard(),
            valid_until: self.session.valid_until(self.options.clock_drift),
            zxid: self.session.last_zxid(),
            without_lease: false,
        }
    }

    pub(crate) fn least_timeout(&self) -> Duration {
        self.session.least_timeout()
    }

    /// What another client needs to attach to the session: id, password, last zxid.
    pub(crate) fn credentials(&self) -> (i64, Vec<u8>, i64) {
        (self.session.id(), self.session.password().to_vec(), self.session.last_zxid())
    }

    pub(crate) fn watch_count(&self) -> usize {
        self.watches.len()
    }

    /// Why there is no connection, as far as that is known.
    pub(crate) fn last_reason(&self) -> Option<Error> {
        self.reason.clone()
    }

    /// Whether an attempt to connect is under way.
    pub(crate) fn is_trying(&self) -> bool {
        matches!(self.dial, Dial::Trying { .. })
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Closed
    }

    pub(crate) fn subscribe(&mut self) -> mpsc::UnboundedReceiver<StateEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let _ = sender.send(self.state_event());
        if !self.is_over() {
            self.subscribers.push(sender);
        }
        receiver
    }

    fn state_event(&self) -> StateEvent {
        StateEvent {
            state: self.state,
            session: self.session.id(),
            previous_session: self.previous,
            reason: self.reason.clone(),
        }
    }

    fn enter(&mut self, state: State, reason: Option<Error>) {
        if self.state == State::Closed {
            return;
        }
        self.state = state;
        self.reason = reason;
        let event = self.state_event();
        match &event.reason {
            Some(why) => log::info!("session {:#x}: {state:?}: {why}", event.session),
            None => log::info!("session {:#x}: {state:?}", event.session),
        }
        self.subscribers.retain(|subscriber| subscriber.send(event.clone()).is_ok());
        if state == State::Closed {
            self.subscribers.clear();
        }
    }

    /// Takes a request. `Err` hands the sender back with the reason: nothing was or will be sent.
    pub(crate) fn submit(
        &mut self,
        now: Time,
        mut request: Request,
        options: OpOptions,
        reply: Option<ReplySender>,
        watch: Option<NewWatch>,
    ) -> Result<Tag, (Option<ReplySender>, Error)> {
        if let Err(error) = self.admit(&mut request, options) {
            return Err((reply, error));
        }
        let connected = self.state == State::Connected;
        let refuse =
            options.while_suspended.unwrap_or(self.options.while_suspended) == WhileSuspended::Refuse;
        if refuse && !connected {
            let error =
                Error::new(Code::NOT_SENT).because(format!("no server is connected ({:?})", self.state));
            return Err((reply, error.during(request.name(), self.public(request.path()).as_deref())));
        }
        let deadline = options.deadline.unwrap_or(now + self.options.operation_timeout);
        let tag = self.next_tag;
        self.next_tag += 1;
        if watch.is_some()
            && let Some(path) = request.path()
        {
            self.watches.arming(path);
        }
        self.deadlines.insert((deadline, tag));
        let op = Op {
            request,
            deadline,
            refuse_suspended: refuse,
            session: options.session,
            reply,
            watch,
            sent: false,
        };
        self.ops.insert(tag, op);
        self.queue.push_back(tag);
        self.pump(now);
        Ok(tag)
    }

    /// Checks a request against everything that can be known before it is sent, and puts the chroot before
    /// its paths.
    fn admit(&self, request: &mut Request, options: OpOptions) -> Result<()> {
        check_paths(request)?;
        self.permit(request, options).map_err(|error| error.during(request.name(), request.path()))?;
        if !self.chroot.is_empty() {
            add_chroot(request, &self.chroot);
        }
        Ok(())
    }

    /// Whether such a request is anybody's to make, and may be made now.
    fn permit(&self, request: &Request, options: OpOptions) -> Result<()> {
        match request {
            // Measured: Apache ZooKeeper 3.8 never answers a check that stands alone.
            Request::Check { .. } => {
                return Err(Error::new(Code::BAD_ARGUMENT).because("a check belongs in a multi"));
            }
            Request::Ping
            | Request::SetWatches { .. }
            | Request::SetWatches2 { .. }
            | Request::CloseSession => {
                return Err(Error::new(Code::BAD_ARGUMENT).because("the client sends it by itself"));
            }
            _ => {}
        }
        if self.closing.is_some() || self.is_over() {
            return Err(match (&self.reason, self.state) {
                (Some(reason), State::Closed) => reason.clone(),
                _ => Code::CLOSED.into(),
            });
        }
        if let Some(wanted) = options.session
            && wanted != self.session.id()
        {
            let text = format!("session {wanted:#x} is over");
            return Err(Error::new(Code::SESSION_EXPIRED).because(text));
        }
        Ok(())
    }

    fn public(&self, path: Option<&str>) -> Option<String> {
        path.map(|path| below(path, &self.chroot).unwrap_or(path).to_owned())
    }

    /// Nobody may wait for this request any more. If no byte of it is written yet it is never sent, and
    /// this is true. Otherwise its answer is still to come, and tells whether to remove a watch it arms.
    pub(crate) fn withdraw(&mut self, tag: Tag) -> bool {
        let Some(op) = self.ops.get(&tag) else { return false };
        let unsent = !op.sent || self.session.withdraw(tag);
        if unsent {
            drop(self.take(tag));
        }
        unsent
    }

    /// Removes a request from the books.
    fn take(&mut self, tag: Tag) -> Option<Op> {
        let op = self.ops.remove(&tag)?;
        self.deadlines.remove(&(op.deadline, tag));
        if op.watch.is_some()
            && let Some(path) = op.request.path()
        {
            self.watches.armed(path);
        }
        // Its place in the queue is skipped later; a queue of nothing but such places is dropped.
        if self.queue.len() > 64 + 2 * self.ops.len() {
            let ops = &self.ops;
            self.queue.retain(|tag| ops.contains_key(tag));
        }
        Some(op)
    }

    fn finish(&mut self, tag: Tag, outcome: Result<Answer>) {
        if let Some(op) = self.take(tag) {
            let outcome =
                outcome.map_err(|e| e.during(op.request.name(), self.public(op.request.path()).as_deref()));
            if let Some(reply) = op.reply {
                self.finished.push((reply, outcome));
            }
        }
    }

    /// The outcomes to be delivered, once the caller holds no lock; `room`, which is empty, is for those to come.
    pub(crate) fn take_finished(&mut self, room: Vec<Finished>) -> Vec<Finished> {
        std::mem::replace(&mut self.finished, room)
    }

    /// Removes a watch here, and at the server if nobody else needs it.
    pub(crate) fn unwatch(&mut self, now: Time, path: &str, id: u64) {
        let Some(kind) = self.watches.remove(path, id) else { return };
        let kind = match kind {
            Kind::Data | Kind::Exist => WatcherType::Data,
            Kind::Child => WatcherType::Children,
            // Servers up to 3.8 know no narrower type for those that stay.
            Kind::Stays(_) => WatcherType::Any,
        };
        if self.state == State::Connected && self.closing.is_none() {
            let request = Request::RemoveWatches { path: path.to_owned(), kind };
            self.submit_own(now, request);
        }
    }

    /// A request of the client's own, with a path that has its chroot already.
    fn submit_own(&mut self, now: Time, request: Request) {
        let tag = self.next_tag;
        self.next_tag += 1;
        let deadline = now + self.options.operation_timeout;
        self.deadlines.insert((deadline, tag));
        let op = Op {
            request,
            deadline,
            refuse_suspended: true,
            session: Some(self.session.id()),
            reply: None,
            watch: None,
            sent: false,
        };
        self.ops.insert(tag, op);
        self.queue.push_back(tag);
        self.pump(now);
    }

    /// Adds credentials: sent now, and first on every later connection.
    pub(crate) fn add_auth(&mut self, auth: Auth) -> Request {
        let request = auth_request(&auth);
        if !self.options.auth.contains(&auth) {
            self.options.auth.push(auth);
        }
        request
    }

    /// Ends the session at the server; nothing further is taken. Bounded by the deadline.
    pub(crate) fn close(&mut self, now: Time, deadline: Time) {
        if self.is_over() {
            return;
        }
        if let Some(closing) = &mut self.closing {
            closing.deadline = closing.deadline.min(deadline);
            return;
        }
        self.closing = Some(Closing { deadline, sent: false });
        let waiting: Vec<_> = self.ops.iter().filter(|(_, op)| !op.sent).map(|(tag, _)| *tag).collect();
        for tag in waiting {
            self.finish(tag, Err(Error::new(Code::CLOSED).because("it was not sent")));
        }
        if self.session.id() == 0 {
            // There is nothing at any server to end.
            self.end(None);
        } else {
            self.pump(now);
        }
    }

    /// The client is over, whatever is still open.
    fn end(&mut self, reason: Option<Error>) {
        self.session.lost(Code::CLOSED.into());
        while let Some(event) = self.session.next_event() {
            if let Event::Down { orphans, .. } = event {
                for orphan in orphans.iter().filter(|orphan| !orphan.written) {
                    if let Some(op) = self.ops.get_mut(&orphan.tag) {
                        op.sent = false;
                    }
                }
            }
        }
        self.dial = Dial::Over;
        let tags: Vec<_> = self.ops.keys().copied().collect();
        for tag in tags {
            let error = match self.ops.get(&tag) {
                Some(op) if op.sent && !op.request.is_repeatable() => {
                    Error::new(Code::OUTCOME_UNKNOWN).because("the client was closed")
                }
                _ => reason.clone().unwrap_or_else(|| Code::CLOSED.into()),
            };
            self.finish(tag, Err(error));
        }
        self.enter(State::Closed, reason);
        self.watches.end_all();
    }

    // ---- what the driver calls ----

    /// The attempt to begin now, if one is due.
    pub(crate) fn poll_dial(&mut self, now: Time) -> Option<Attempt> {
        match self.dial {
            Dial::Due(at) if at <= now => {}
            _ => return None,
        }
        let host = self.hosts.get(self.next_host)?.clone();
        self.next_host = (self.next_host + 1) % self.hosts.len();
        self.server = Some(host.clone());
        let mut round = self.options.connect_timeout;
        if self.session.id() != 0 {
            round = round.min(self.session.timeout());
        }
        let mut share = round / u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        if self.is_alone() && self.was_heard_lately(now) {
            share = share.min(self.session.timeout() / 3);
        }
        let deadline = now + share.max(LEAST_ATTEMPT);
        self.dial = Dial::Trying { deadline, greeted: None };
        Some(Attempt { host, deadline })
    }

    /// One server, and a session that it may still have.
    ///
    /// A server that is starting may take a connection and never answer it. Where there is another server,
    /// that one is tried next; a lone one has to be tried again while it still has the session. But each
    /// handshake that reaches a server prolongs the session there, also if its answers do not reach us, and
    /// whoever waits for our locks would wait as long as the link stays so. So a lone server is tried in
    /// short attempts for one session timeout after its last sign of life; from then on a handshake is
    /// waited for until the session it may have prolonged is over.
    fn is_alone(&self) -> bool {
        self.hosts.len() == 1 && self.session.id() != 0
    }

    /// Within a session timeout of a server's last byte, refusal, or end of a connection.
    fn was_heard_lately(&self, now: Time) -> bool {
        now < self.session.last_heard().max(self.last_refusal) + self.session.timeout()
    }

    /// Until when an attempt whose time is over is to be left open all the same.
    ///
    /// A server rounds timeouts up by a tick, which is at most half of one by its default limits.
    fn patience(&self, now: Time, greeted: Option<Time>) -> Option<Time> {
        let until = greeted? + self.session.timeout() * 8 / 5;
        (self.is_alone() && !self.was_heard_lately(now) && now < until).then_some(until)
    }

    /// The transport of the attempt under way is open.
    pub(crate) fn opened(&mut self, now: Time) {
        if let Dial::Trying { greeted, .. } = &mut self.dial {
            *greeted = Some(now);
            self.session.open(now);
        }
    }

    /// The attempt under way did not get a transport; `refused` says that the server is there and would not.
    pub(crate) fn not_opened(&mut self, now: Time, why: &str, refused: bool) {
        if let Dial::Trying { .. } = self.dial {
            if refused {
                self.last_refusal = now;
            }
            self.attempt_failed(now, Error::new(Code::CONNECTION_LOSS).because(why.to_owned()));
        }
    }

    /// The transport broke.
    pub(crate) fn transport_lost(&mut self, now: Time, why: &str) {
        self.last_refusal = now;
        self.session.lost(Error::new(Code::CONNECTION_LOSS).because(why.to_owned()));
        self.settle(now);
    }

    /// Whether the driver is to keep the transport it has.
    pub(crate) fn wants_transport(&self) -> bool {
        self.session.has_transport()
    }

    pub(crate) fn output(&self) -> &[u8] {
        self.session.output()
    }

    /// Whether it is connected and has little under way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.session.is_up()
            && self.closing.is_none()
            && self.session.in_flight() <= QUIET
            && self.queue.is_empty()
    }

    pub(crate) fn wrote(&mut self, now: Time, n: usize) {
        self.session.wrote(n);
        if !self.queue.is_empty() {
            self.pump(now);
        }
    }

    pub(crate) fn received(&mut self, now: Time, bytes: &[u8]) {
        self.session.received(now, bytes);
        self.settle(now);
    }

    /// When [`Logical::tick`] is to be called at the latest.
    pub(crate) fn next_deadline(&self) -> Time {
        let dial = match self.dial {
            Dial::Due(at) => at,
            Dial::Trying { deadline, .. } => deadline,
            Dial::Up(_) | Dial::Over => Time::NEVER,
        };
        let op = self.deadlines.first().map_or(Time::NEVER, |(at, _)| *at);
        let close = self.closing.filter(|_| !self.is_over()).map_or(Time::NEVER, |c| c.deadline);
        self.session.next_deadline().min(dial).min(op).min(close)
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Time) {
        self.session.tick(now);
        if let Dial::Trying { deadline, greeted } = self.dial
            && now >= deadline
        {
            if let Some(deadline) = self.patience(now, greeted) {
                self.dial = Dial::Trying { deadline, greeted };
            } else if self.session.has_transport() {
                let error =
                    Error::new(Code::CONNECTION_LOSS).because("the server did not answer the handshake");
                self.session.lost(error);
            } else {
                self.attempt_failed(
                    now,
                    Error::new(Code::CONNECTION_LOSS).because("connecting took too long"),
                );
            }
        }
        self.settle(now);
        while let Some(&(at, tag)) = self.deadlines.first() {
            if at > now {
                break;
            }
            self.deadlines.remove(&(at, tag));
            self.give_up(tag);
        }
        if let Some(closing) = self.closing
            && now >= closing.deadline
            && !self.is_over()
        {
            let text = "the server did not confirm in time; the session ends there after its timeout";
            self.end(Some(Error::new(Code::CLOSED).because(text)));
        }
    }

    // ---- inside ----

    /// Ends a request whose deadline has passed.
    fn give_up(&mut self, tag: Tag) {
        let Some(op) = self.ops.get(&tag) else { return };
        if !op.sent || self.session.withdraw(tag) {
            let why = self.reason.as_ref().filter(|_| self.state != State::Connected);
            let error = Error::new(Code::NOT_SENT).because(match why {
                Some(why) => format!("its deadline passed before a server was connected: {why}"),
                None => "its deadline passed".to_owned(),
            });
            return self.finish(tag, Err(error));
        }
        let error = if op.request.is_repeatable() {
            Code::OPERATION_TIMEOUT.into()
        } else {
            Error::new(Code::OUTCOME_UNKNOWN).because("its deadline passed")
        };
        if op.watch.is_none() {
            return self.finish(tag, Err(error));
        }
        // The server arms the watch whatever we do: the reply tells whether to remove it.
        let error = error.during(op.request.name(), self.public(op.request.path()).as_deref());
        if let Some(reply) = self.ops.get_mut(&tag).and_then(|op| op.reply.take()) {
            self.finished.push((reply, Err(error)));
        }
    }

    /// Handles what the session has to tell.
    fn settle(&mut self, now: Time) {
        while let Some(event) = self.session.next_event() {
            match event {
                Event::Up { new } => self.up(now, new),
                Event::Expired => self.expired(now),
                Event::AuthFailed => {
                    self.end(Some(Code::AUTH_FAILED.into()));
                    return;
                }
                Event::Reply { tag, result, zxid, sent_at } => self.replied(now, tag, result, zxid, sent_at),
                Event::Watch { kind, path } => self.watches.fire(kind, &path),
                Event::WatchesRefused(code) => self.watches_refused(code),
                Event::Down { reason, orphans } => self.down(now, reason, orphans),
                Event::Closed => {
                    self.end(None);
                    return;
                }
            }
        }
        self.pump(now);
    }

    fn up(&mut self, now: Time, new: bool) {
        self.dial = Dial::Up(now);
        for auth in &self.options.auth {
            if let Err(error) = self.session.replay_auth(now, &auth_request(auth)) {
                log::warn!("session {:#x}: {auth:?}: {error}", self.session.id());
            }
        }
        if new {
            for (path, mode) in self.watches.staying() {
                self.session_request(now, Request::AddWatch { path, mode });
            }
        } else if !mutated(Mutant::WatchesNotRearmed) {
            let frames = self.watches.rearm(self.session.told_zxid(), self.options.max_frame);
            let refused = frames.iter().find_map(|frame| self.session.set_watches(now, frame).err());
            if let Some(error) = refused {
                self.watches_refused(error.code());
            }
        }
        self.watches.tell_missed();
        self.enter(State::Connected, None);
    }

    /// Watches could not be re-armed: nobody is left waiting for what will not come.
    fn watches_refused(&mut self, code: Code) {
        log::warn!("session {:#x}: watches could not be re-armed: {code:?}", self.session.id());
        self.watches.end_one_shots();
        self.watches.tell_missed();
    }

    /// Sends a request of the client's own before everything that waits.
    fn session_request(&mut self, now: Time, request: Request) {
        let tag = self.next_tag;
        self.next_tag += 1;
        if let Err(error) = self.session.send(now, tag, &request) {
            log::warn!("session {:#x}: {request:?}: {error}", self.session.id());
        }
    }

    fn expired(&mut self, now: Time) {
        self.previous = self.session.id();
        self.session = self.session.successor();
        if !mutated(Mutant::WatchesSurviveExpiry) {
            self.watches.end_one_shots();
        }
        let bound: Vec<_> = self
            .ops
            .iter()
            .filter(|(_, op)| op.session == Some(self.previous))
            .map(|(tag, _)| *tag)
            .collect();
        for tag in bound {
            self.finish(tag, Err(Error::new(Code::SESSION_EXPIRED).because("it was not sent")));
        }
        self.enter(State::Lost, Some(Code::SESSION_EXPIRED.into()));
        if self.closing.is_some() {
            self.end(None);
        } else {
            // Many clients lose their sessions together: they must not come back together.
            let pause = FIRST_BACKOFF.mul_f64(self.rng.f64());
            self.dial = Dial::Due(now + pause);
        }
    }

    fn down(&mut self, now: Time, reason: Error, orphans: Vec<Orphan>) {
        // Back to the front of the queue, in their order, with what may be sent again.
        for orphan in orphans.into_iter().rev() {
            let Some(op) = self.ops.get_mut(&orphan.tag) else { continue };
            if op.reply.as_ref().is_none_or(ReplySender::is_closed) {
                // Nobody waits for it, and the watch it may have armed has gone with the connection.
                drop(self.take(orphan.tag));
                continue;
            }
            let again = !orphan.written
                || op.request.is_repeatable()
                || (mutated(Mutant::CreateAgain) && matches!(op.request, Request::Create { .. }));
            if self.closing.is_some() || !again {
                let code = if again { Code::CLOSED } else { Code::OUTCOME_UNKNOWN };
                self.finish(orphan.tag, Err(Error::new(code).because(reason.to_string())));
            } else if op.refuse_suspended {
                let code = if orphan.written { Code::CONNECTION_LOSS } else { Code::NOT_SENT };
                self.finish(orphan.tag, Err(Error::new(code).because(reason.to_string())));
            } else {
                op.sent = false;
                self.queue.push_front(orphan.tag);
            }
        }
        if let Some(closing) = &mut self.closing {
            closing.sent = false;
        }
        match self.dial {
            Dial::Up(since) => {
                if now.since(since) >= SETTLED {
                    self.failures = 0;
                }
                // The first attempt is made at once, unless connections do not even settle.
                let pause = if self.failures == 0 { Duration::ZERO } else { self.backoff() };
                self.failures += 1;
                self.dial = Dial::Due(now + pause);
                let reason = self.named(reason);
                self.enter(State::Suspended, Some(reason));
                self.refuse_waiting();
            }
            Dial::Trying { .. } => self.attempt_failed(now, reason),
            Dial::Due(_) | Dial::Over => {}
        }
    }

    /// Operations that do not wait while suspended end when the suspension begins.
    fn refuse_waiting(&mut self) {
        let waiting: Vec<_> =
            self.ops.iter().filter(|(_, op)| op.refuse_suspended && !op.sent).map(|(tag, _)| *tag).collect();
        for tag in waiting {
            self.finish(tag, Err(Error::new(Code::NOT_SENT).because("no server is connected (Suspended)")));
        }
    }

    fn attempt_failed(&mut self, now: Time, reason: Error) {
        self.failures += 1;
        let hosts = u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        let pause = if self.failures.is_multiple_of(hosts) { self.backoff() } else { Duration::ZERO };
        self.dial = Dial::Due(now + pause);
        let reason = self.named(reason);
        log::info!("session {:#x}: {reason}", self.session.id());
        self.reason = Some(reason);
    }

    /// The reason, with the server it is about.
    fn named(&self, reason: Error) -> Error {
        let Some(server) = &self.server else { return reason };
        let detail = if reason.detail().is_empty() { reason.code().meaning() } else { reason.detail() };
        Error::new(reason.code()).because(format!("{server}: {detail}"))
    }

    /// Doubles with each round over the servers, up to the option's limit; half of it is chance.
    fn backoff(&mut self) -> Duration {
        let rounds = self.failures / u32::try_from(self.hosts.len()).unwrap_or(u32::MAX);
        let full = FIRST_BACKOFF.saturating_mul(1 << rounds.min(16)).min(self.options.max_backoff);
        full / 2 + (full / 2).mul_f64(self.rng.f64())
    }

    fn replied(&mut self, now: Time, tag: Tag, result: Result<Response, Code>, zxid: i64, sent_at: Time) {
        let Some(op) = self.ops.get_mut(&tag) else { return };
        if let Some(watch) = op.watch.take()
            && let Some(path) = op.request.path().map(str::to_owned)
        {
            self.watches.armed(&path);
            let kind = match (&op.request, &result) {
                (Request::Exists { .. } | Request::GetData { .. }, Ok(_)) => Some(Kind::Data),
                (Request::Exists { .. }, Err(code)) if *code == Code::NO_NODE => Some(Kind::Exist),
                (Request::GetChildren { .. } | Request::GetChildren2 { .. }, Ok(_)) => Some(Kind::Child),
                (Request::AddWatch { mode, .. }, Ok(_)) => Some(Kind::Stays(*mode)),
                _ => None,
            };
            if let Some(kind) = kind {
                let unwanted = watch.is_closed();
                let (sink, once) = match watch {
                    NewWatch::Once(sink) => (Sink::Once(sink), true),
                    NewWatch::Stream(sink) => (Sink::Stream(sink), false),
                };
                self.watches.add(&path, tag, kind, sink);
                if unwanted {
                    self.unwatch(now, &path, tag);
                }
                if once {
                    // Servers before 3.9 keep one mode for each path (ZOOKEEPER-4466): a one-shot watch
                    // makes one that stays a one-shot too, until it is added again.
                    for mode in self.watches.staying_on(&path) {
                        self.submit_own(now, Request::AddWatch { path: path.clone(), mode });
                    }
                }
            }
        }
        let (session, connection) = (self.session.id(), self.session.connection());
        let outcome = match result {
            Ok(response) => {
                let response = strip_chroot(response, &self.chroot);
                Ok(Answer { response, zxid, sent_at, session, connection })
            }
            Err(code) => Err(Error::new(code)),
        };
        self.finish(tag, outcome);
    }

    /// Sends what waits, as far as the window goes.
    fn pump(&mut self, now: Time) {
        if !self.session.is_up() {
            return;
        }
        while self.session.in_flight() < WINDOW && self.session.output().len() < MAX_OUTPUT {
            let Some(tag) = self.queue.pop_front() else { break };
            let Some(op) = self.ops.get_mut(&tag) else { continue };
            if op.sent {
                continue;
            }
            if op.deadline <= now {
                self.give_up(tag);
                continue;
            }
            match self.session.send(now, tag, &op.request) {
                Ok(()) => op.sent = true,
                Err(error) => self.finish(tag, Err(error)),
            }
        }
        if let Some(closing) = &mut self.closing
            && !closing.sent
            && self.session.send(now, 0, &Request::CloseSession).is_ok()
        {
            closing.sent = true;
        }
    }
}

fn auth_request(auth: &Auth) -> Request {
    Request::Auth { scheme: auth.scheme.clone(), auth: auth.credentials.clone() }
}

/// Refuses paths that no server would take, before anything is sent.
pub(crate) fn check_paths(request: &Request) -> Result<()> {
    let named = |result: Result<()>| {
        result.map_err(|e| {
            let detail = Error::new(e.code()).during(request.name(), e.path());
            match e.detail() {
                "" => detail,
                text => detail.because(text.to_owned()),
            }
        })
    };
    let create = |path: &str, sequential: bool| {
        if sequential { path::validate_sequential(path) } else { path::validate(path) }
    };
    match request {
        Request::Create { path, mode, .. } => named(create(path, mode.is_sequential())),
        Request::Multi(ops) | Request::MultiRead(ops) => ops.iter().try_for_each(|op| {
            named(match op {
                MultiOp::Create { path, mode, .. } => create(path, mode.is_sequential()),
                _ => path::validate(op.path()),
            })
        }),
        _ => request.path().map_or(Ok(()), |path| named(path::validate(path))),
    }
}

fn add_chroot(request: &mut Request, chroot: &str) {
    let add = |path: &mut String| {
        *path = if path == "/" { chroot.to_owned() } else { format!("{chroot}{path}") };
    };
    match request {
        Request::Multi(ops) | Request::MultiRead(ops) => ops.iter_mut().for_each(|op| add(op.path_mut())),
        _ => {
            if let Some(path) = request.path_mut() {
                add(path);
            }
        }
    }
}

fn strip_chroot(mut response: Response, chroot: &str) -> Response {
    if chroot.is_empty() {
        return response;
    }
    let strip = |path: &mut String| {
        if let Some(rest) = below(path, chroot) {
            *path = rest.to_owned();
        }
    };
    match &mut response {
        Response::Create { path } | Response::Create2 { path, .. } | Response::Path(path) => strip(path),
        Response::Ephemerals(paths) => {
            // A server compares text: it also names what lies beside the chroot, `/app2` beside `/app`.
            paths.retain(|path| below(path, chroot).is_some());
            paths.iter_mut().for_each(strip);
        }
        Response::Multi(results) => results.iter_mut().for_each(|result| match result {
            MultiResult::Create { path } | MultiResult::Create2 { path, .. } => strip(path),
            _ => {}
        }),
        _ => {}
    }
    response
}

#[cfg(test)]
mod tests;
