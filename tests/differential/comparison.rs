//! The course of a comparison: what is done, in which order, and when both must have said the same.

// Each test binary compiles the whole module and uses a part of it.
#![allow(dead_code)]

use crate::generate::{Generator, Op};
use crate::side::{Line, Side};
use fastrand::Rng;
use std::time::Duration;
use zkhelper::proto::{MultiOp, Request};

pub(crate) const SESSIONS: usize = 3;
const STEPS: usize = 60;
/// How long an expiry may take.
const EXPIRY_LIMIT: Duration = Duration::from_secs(20);

/// What a session does beside asking one thing after the other.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Expire,
    Reconnect,
    Close,
    /// A client ahead of the server, and a wrong password.
    RefusedHandshakes,
    /// What ends the connection.
    Fatal,
    Auth,
}

/// What is asked of both.
pub(crate) struct Script {
    pub(crate) has_39: bool,
    /// In how many of a thousand steps.
    pub(crate) steps: &'static [(u32, Step)],
    /// Whether this is; otherwise another operation is drawn.
    pub(crate) asks: fn(&Op) -> bool,
    /// Whether both know a wrong password.
    pub(crate) has_passwords: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) operations: u64,
    pub(crate) succeeded: u64,
    pub(crate) events: u64,
    pub(crate) reconnects: u64,
    pub(crate) outruns: u64,
    pub(crate) closes: u64,
    pub(crate) expiries: u64,
    /// Comparisons that were made once more.
    pub(crate) again: u64,
}

pub(crate) struct Comparison {
    sides: [Side; 2],
    script: Script,
    rng: Rng,
    generator: Generator,
    /// What has been done, for the report of a difference.
    history: Vec<String>,
    /// What each session heard of both, while nothing is judged.
    put_off: Option<[[Vec<Line>; 2]; SESSIONS]>,
}

impl Comparison {
    pub(crate) fn new(sides: [Side; 2], script: Script, seed: u64) -> Self {
        let generator = Generator::new(&format!("/s{seed:x}"), script.has_39);
        Self { sides, script, rng: Rng::with_seed(seed), generator, history: Vec::new(), put_off: None }
    }

    pub(crate) fn run(mut self, totals: &mut Totals) {
        for session in 0..SESSIONS {
            self.open(session, totals);
        }
        let root = self.generator.make_root();
        self.batch(0, vec![root], totals);
        for _ in 0..STEPS {
            let session = self.rng.usize(0..SESSIONS);
            let mut at = self.rng.u32(0..1_000);
            let step = self.script.steps.iter().find(|(share, _)| {
                let found = at < *share;
                at = at.saturating_sub(*share);
                found
            });
            match step.map(|(_, step)| *step) {
                Some(Step::Expire) => self.expire(session, totals),
                Some(Step::Reconnect) => self.reconnect(session, totals),
                Some(Step::Close) => self.close(session, totals),
                Some(Step::RefusedHandshakes) => self.refused_handshakes(session),
                Some(Step::Fatal) => {
                    let op = self.generator.fatal(&mut self.rng);
                    self.fatal(session, op, totals);
                }
                Some(Step::Auth) => {
                    let op = self.generator.auth(&mut self.rng);
                    self.batch(session, vec![op], totals);
                }
                None => {
                    let count = self.rng.usize(1..=48);
                    let mut ops: Vec<Op> = Vec::new();
                    // A list that is on its way into Apache ZooKeeper's tree does not count yet for writes that
                    // come close behind it: that is a race there, so nothing comes close behind it here.
                    while ops.len() < count
                        && !matches!(ops.last(), Some(Op::Request(Request::SetAcl { .. })))
                    {
                        ops.push(self.draw(Generator::operation));
                    }
                    self.batch(session, ops, totals);
                }
            }
        }
        for session in 0..SESSIONS {
            self.close_now(session, totals);
        }
        for side in self.sides {
            side.finish();
        }
    }

    /// The next of the generator's operations that is asked of both.
    fn draw(&mut self, next: fn(&Generator, &mut Rng) -> Op) -> Op {
        loop {
            let op = next(&self.generator, &mut self.rng);
            if (self.script.asks)(&op) {
                return op;
            }
        }
    }

    /// Sends operations back to back in one session, then waits until every session has heard all of it.
    pub(crate) fn batch(&mut self, session: usize, ops: Vec<Op>, totals: &mut Totals) {
        totals.operations += ops.len() as u64;
        self.history.extend(ops.iter().map(|op| format!("session {session}: {op:?}")));
        for side in &mut self.sides {
            side.send(session, &ops);
        }
        let heard = self.barrier(session, false, totals);
        self.generator.learn(&heard);
    }

    /// A ping in every session: what comes before its answer is all there is. The one that was busy goes
    /// first, or the others would be answered before its last requests are done.
    pub(crate) fn barrier(&mut self, busy: usize, any_order: bool, totals: &mut Totals) -> Vec<Line> {
        let mut all = Vec::new();
        self.sides.iter_mut().for_each(Side::keep_observer);
        let others: Vec<usize> = (0..SESSIONS).filter(|session| *session != busy).collect();
        for sessions in [&[busy], others.as_slice()] {
            for side in &mut self.sides {
                side.send_pings(sessions);
            }
            for session in sessions {
                let mut heard = self.sides.each_mut().map(|side| side.read_to_ping(*session));
                if let Some(put_off) = &mut self.put_off {
                    put_off[*session].iter_mut().zip(&mut heard).for_each(|(all, new)| all.append(new));
                }
                all.append(&mut self.judge(*session, heard, any_order, totals));
            }
        }
        all
    }

    /// Nothing is judged until `judge_all`: what comes by itself comes before one barrier or behind it.
    pub(crate) fn put_off(&mut self) {
        self.put_off = Some(Default::default());
    }

    pub(crate) fn judge_all(&mut self, totals: &mut Totals) {
        for (session, heard) in self.put_off.take().into_iter().flatten().enumerate() {
            self.judge(session, heard, false, totals);
        }
    }

    /// Both have heard the same.
    fn judge(
        &self,
        session: usize,
        heard: [Vec<Line>; 2],
        any_order: bool,
        totals: &mut Totals,
    ) -> Vec<Line> {
        let [mut ours, mut theirs] = heard;
        if any_order {
            ours.sort_by_key(|line| format!("{line:?}"));
            theirs.sort_by_key(|line| format!("{line:?}"));
        }
        totals.events += ours.iter().filter(|line| line.is_event()).count() as u64;
        totals.succeeded += ours.iter().filter(|line| line.is_success()).count() as u64;
        if ours == theirs {
            return ours;
        }
        let at = ours.iter().zip(&theirs).position(|(a, b)| a != b).unwrap_or(ours.len().min(theirs.len()));
        for line in self.history.iter().skip(self.history.len().saturating_sub(60)) {
            eprintln!("  {line}");
        }
        for line in ours.iter().take(at).skip(at.saturating_sub(3)) {
            eprintln!("both: {line:?}");
        }
        panic!(
            "session {session} hears different things\n{}: {:?}\n{}: {:?}",
            self.sides[0].name,
            ours.get(at),
            self.sides[1].name,
            theirs.get(at)
        );
    }

    pub(crate) fn open(&mut self, session: usize, totals: &mut Totals) {
        self.history.push(format!("session {session}: open"));
        let timeout_ms = self.rng.i32(9_000..20_000);
        let [ours, theirs] = self.sides.each_mut().map(|side| side.open(session, timeout_ms));
        assert_eq!(ours, theirs, "a new session");
        if self.sides[0].servers() > 1 {
            self.barrier(session, false, totals);
        }
    }

    fn reconnect(&mut self, session: usize, totals: &mut Totals) {
        totals.reconnects += 1;
        let drops = self.rng.bool();
        let servers = self.sides[0].servers();
        let from = self.sides[0].server_of(session);
        let to = if servers > 1 { self.rng.usize(0..servers) } else { from };
        self.history.push(format!("session {session}: reconnect, server {from} to {to}, drops={drops}"));
        let timeout_ms = self.rng.i32(9_000..20_000);
        if drops || to == from {
            for side in &mut self.sides {
                if drops {
                    side.drop_connection(session);
                    // What Apache ZooKeeper does if it sees that late is told at `runs::TRIES`.
                    side.pause(Duration::from_millis(20));
                }
                side.go_to(session, to);
            }
            self.attach(session, timeout_ms);
            if servers > 1 {
                self.barrier(session, false, totals);
            }
        } else {
            self.outrun(session, to, timeout_ms, totals);
            if self.rng.u8(0..3) == 0 {
                self.outrun_by_close(session, from, timeout_ms, totals);
                return;
            }
        }
        let op = self.draw(Generator::set_watches);
        self.batch(session, vec![op], totals);
    }

    /// Goes on by another server, with requests that come late by the connection to the one before.
    fn outrun(&mut self, session: usize, to: usize, timeout_ms: i32, totals: &mut Totals) {
        totals.outruns += 1;
        let mut ops = vec![self.draw(Generator::operation)];
        // The leader refuses reads too, and others only writes; what comes behind that may come too late.
        let by_leader = self.sides[0].server_of(session) + 1 == self.sides[0].servers();
        while !ops.last().is_some_and(|op| if by_leader { !is_empty(op) } else { is_refused(op) }) {
            ops.push(self.draw(Generator::operation));
        }
        totals.operations += ops.len() as u64;
        self.history.extend(ops.iter().map(|op| format!("session {session}, too late: {op:?}")));
        let heard = self.sides.each_mut().map(|side| side.outrun(session, to, timeout_ms, &ops));
        self.judge(session, heard, false, totals);
        // Nobody heard of the transaction that was refused, but of one behind it all do.
        let check = MultiOp::Check { path: "/".to_owned(), version: -1 };
        self.batch(session, vec![Op::Request(Request::Multi(vec![check]))], totals);
    }

    /// Goes on by another server, and what comes late by the connection before is the session's end.
    fn outrun_by_close(&mut self, session: usize, to: usize, timeout_ms: i32, totals: &mut Totals) {
        totals.closes += 1;
        totals.operations += 1;
        self.history.push(format!("session {session}, too late: close"));
        let close = [Op::Request(Request::CloseSession)];
        let heard = self.sides.each_mut().map(|side| side.outrun(session, to, timeout_ms, &close));
        self.judge(session, heard, true, totals);
        let heard = self.sides.each_mut().map(|side| side.read_to_end(session));
        self.judge(session, heard, true, totals);
        for side in &mut self.sides {
            side.forget(session);
        }
        self.barrier(session, true, totals);
        self.open(session, totals);
    }

    fn attach(&mut self, session: usize, timeout_ms: i32) -> Option<i32> {
        let [ours, theirs] = self.sides.each_mut().map(|side| side.attach(session, timeout_ms, true));
        assert_eq!(ours, theirs, "a session attached to again");
        ours
    }

    /// Handshakes that a server turns down: it has not seen as much, or does not know the password.
    fn refused_handshakes(&mut self, session: usize) {
        let [ours, theirs] = self.sides.each_mut().map(Side::open_ahead);
        assert_eq!(ours, theirs, "a client ahead of the server");
        if !self.script.has_passwords {
            return;
        }
        let [ours, theirs] = self.sides.each_mut().map(|side| side.attach(session, 10_000, false));
        assert_eq!(ours, theirs, "a wrong password");
        self.history.push(format!("session {session}: reconnect after a wrong password"));
        self.attach(session, 10_000);
    }

    /// Two sessions that nobody keeps alive end in the order of their timeouts, and the third one is told.
    pub(crate) fn expire_in_turn(&mut self, totals: &mut Totals) {
        for session in 0..SESSIONS {
            self.open(session, totals);
        }
        self.history.push("sessions 1 and 2: expire".to_owned());
        let mut paths = Vec::new();
        for (session, timeout_ms) in [(1, 0), (2, 9_000)] {
            let (op, path) = self.generator.marker();
            self.attach(session, timeout_ms);
            self.batch(session, vec![op], totals);
            paths.push(path);
        }
        let watches =
            paths.iter().map(|path| Op::Request(Request::Exists { path: path.clone(), watch: true }));
        self.batch(0, watches.collect(), totals);
        for side in &mut self.sides {
            side.drop_connection(1);
            side.drop_connection(2);
        }
        self.wait_for_end_of(&paths[1]);
        totals.expiries += 2;
        let heard = self.barrier(0, false, totals);
        let ended = |line: &Line| match line {
            Line::Event { event, .. } => Some(event.path.clone()),
            _ => None,
        };
        assert_eq!(heard.iter().filter_map(ended).collect::<Vec<_>>(), paths);
        self.close_now(0, totals);
    }

    /// An operation after which the server closes the connection.
    fn fatal(&mut self, session: usize, op: Op, totals: &mut Totals) {
        totals.operations += 1;
        self.history.push(format!("session {session}: {op:?}"));
        for side in &mut self.sides {
            side.send(session, std::slice::from_ref(&op));
        }
        let heard = self.sides.each_mut().map(|side| side.read_to_end(session));
        self.judge(session, heard, false, totals);
        self.attach(session, 10_000);
        self.barrier(session, false, totals);
    }

    fn close_now(&mut self, session: usize, totals: &mut Totals) {
        totals.closes += 1;
        totals.operations += 1;
        self.history.push(format!("session {session}: close"));
        let op = Op::Request(Request::CloseSession);
        for side in &mut self.sides {
            side.send(session, std::slice::from_ref(&op));
        }
        let heard = self.sides.each_mut().map(|side| side.read_to_end(session));
        // The session's nodes go in no particular order.
        self.judge(session, heard, true, totals);
        for side in &mut self.sides {
            side.forget(session);
        }
        self.barrier(session, true, totals);
    }

    fn close(&mut self, session: usize, totals: &mut Totals) {
        self.close_now(session, totals);
        self.open(session, totals);
    }

    pub(crate) fn wait_for_end_of(&mut self, path: &str) {
        for side in &mut self.sides {
            let start = side.now();
            while side.exists(path) {
                assert!(side.now() - start < EXPIRY_LIMIT, "{}: {path} does not end", side.name);
                side.pause(Duration::from_millis(20));
            }
        }
    }

    /// A session that nobody keeps alive: attached to with the shortest timeout, and left alone.
    fn expire(&mut self, session: usize, totals: &mut Totals) {
        totals.expiries += 1;
        self.history.push(format!("session {session}: expire"));
        let timeout_ms = self.attach(session, 0).and_then(|ms| u64::try_from(ms).ok()).expect("a session");
        let (op, path) = self.generator.marker();
        let last_heard = self.sides.each_ref().map(Side::now);
        self.batch(session, vec![op], totals);
        for side in &mut self.sides {
            side.drop_connection(session);
        }
        self.wait_for_end_of(&path);
        for (side, heard) in self.sides.iter().zip(last_heard) {
            let lived = side.now() - heard;
            // A clock may be a little fast.
            let least = Duration::from_millis(timeout_ms * 99 / 100);
            assert!(lived >= least, "{}: ended after {lived:?} of {timeout_ms} ms", side.name);
        }
        self.barrier(session, true, totals);
        // Another session comes by a server that has caught up; its own may lag, now that nobody asks it.
        let known = self.sides[0].server_of((session + 1) % SESSIONS);
        self.sides.iter_mut().for_each(|side| side.go_to(session, known));
        let expired = self.sides.each_mut().map(|side| side.attach(session, 10_000, true));
        assert_eq!(expired, [Some(0), Some(0)], "an expired session");
        for side in &mut self.sides {
            side.forget(session);
        }
        self.open(session, totals);
    }
}

/// A transaction of nothing, which asks nothing of its session.
fn is_empty(op: &Op) -> bool {
    matches!(op, Op::Request(Request::Multi(ops)) if ops.is_empty())
}

/// Whether a follower's leader refuses it once the session has moved, which ends the connection.
fn is_refused(op: &Op) -> bool {
    matches!(op, Op::Request(request) | Op::NullData(request) if request.is_write()) && !is_empty(op)
}
