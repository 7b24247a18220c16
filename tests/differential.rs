//! The embedded server against Apache ZooKeeper: the same seeded random operations from three sessions, over
//! raw sockets, to both; every reply, error, `Stat` field (times aside) and watch event has to be equal.
//!
//! `ZKHELPER_SEED` replays one seed, `ZKHELPER_OPERATIONS` says how many operations are sent
//! (100,000 to each server if `CI` is set), `ZKHELPER_FUZZ_SECONDS` goes on with new seeds for that long.

#[path = "differential/generate.rs"]
mod generate;
#[path = "differential/side.rs"]
mod side;
mod support;
mod wire;

use fastrand::Rng;
use generate::{Generator, Op};
use side::{Line, Side};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};
use support::zookeeper::{Ensemble, Flavor};
use zkhelper::embedded::Server;
use zkhelper::proto::{CreateMode, Request};

/// Session timeouts are 2 to 20 of these on both servers.
const TICK: Duration = Duration::from_millis(500);
/// How long an expiry may take.
const EXPIRY_LIMIT: Duration = Duration::from_secs(20);
const STEPS: usize = 60;
const SESSIONS: usize = 3;

#[test]
fn the_embedded_server_answers_what_apache_zookeeper_3_9_answers() {
    compare_with(Flavor::Maven39);
}

#[test]
fn the_embedded_server_answers_what_apache_zookeeper_3_8_answers() {
    compare_with(Flavor::Debian);
}

/// What ends by itself ends alike: a container after its last child, a node after its time to live.
#[test]
fn containers_and_nodes_with_a_time_to_live_end_as_apache_zookeepers_do() {
    let apache = Ensemble::build(Flavor::Debian)
        .tick(TICK)
        .system_property("zookeeper.extendedTypesEnabled", "true")
        .system_property("znode.container.checkIntervalMs", "100")
        .start();
    let embedded = Server::start_with_tick(0, TICK).expect("a free port");
    embedded.set_container_interval(Duration::from_millis(100));
    let addresses = [embedded.address().parse().expect("an address"), apache.address(0)];
    let mut comparison = Comparison::new(addresses, 0, false, Pace::new());
    let mut totals = Totals::default();
    for session in 0..SESSIONS {
        comparison.open(session);
    }
    let create = |path: &str, mode| Op::Request(wire::create(path, mode));
    let watch = |path: &str| Op::Request(Request::GetData { path: path.to_owned(), watch: true });
    let ops = vec![
        create("/kept", CreateMode::Container),
        create("/used", CreateMode::Container),
        create("/used/child", CreateMode::Persistent),
        watch("/used"),
        create("/short", CreateMode::PersistentTtl),
        watch("/short"),
    ];
    comparison.batch(0, ops, &mut totals);
    comparison.wait_for_end_of("/short");
    // Its child keeps the container, however long.
    std::thread::sleep(Duration::from_millis(300));
    let ops = vec![Op::Request(Request::Delete { path: "/used/child".to_owned(), version: -1 })];
    comparison.batch(1, ops, &mut totals);
    comparison.wait_for_end_of("/used");
    let ops = ["/", "/kept", "/used", "/short"]
        .map(|path| Op::Request(Request::GetChildren2 { path: path.to_owned(), watch: false }));
    comparison.batch(0, ops.to_vec(), &mut totals);
    assert_eq!(totals.events, 2);
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

/// The servers of one comparison after the other.
struct Servers {
    apache: Ensemble,
    embedded: Server,
}

impl Servers {
    fn start(flavor: Flavor) -> Self {
        let apache = Ensemble::build(flavor)
            .tick(TICK)
            .system_property("zookeeper.extendedTypesEnabled", "true")
            .system_property("znode.container.checkIntervalMs", "86400000")
            .start();
        let embedded = Server::start_with_tick(0, TICK).expect("a free port");
        embedded.set_container_interval(Duration::from_secs(86_400));
        Self { apache, embedded }
    }

    fn compare(&self, seed: u64, pace: &Pace, totals: &mut Totals) {
        let _shown = ShowSeed(seed);
        let addresses = [self.embedded.address().parse().expect("an address"), self.apache.address(0)];
        let has_39 = self.apache.srvr(0).is_ok_and(|text| text.contains("version: 3.9"));
        Comparison::new(addresses, seed, has_39, pace.clone()).run(totals);
        assert_eq!(self.embedded.sessions(), [], "every session was closed or has expired");
    }
}

/// How long nothing may go on: sessions that should be kept alive live for 9 s at least.
///
/// A machine may stand still for longer. And Apache ZooKeeper forgets which connection a session has if it sees
/// the end of the connection before only after the session was attached to anew: at the next attachment it then
/// leaves the second one open, until it was idle for a session timeout.
const STALL: Duration = Duration::from_secs(4);
/// How often in one comparison.
const STALLS: usize = 5;

/// The longest time in which nothing went on.
#[derive(Clone)]
struct Pace(Rc<Cell<(Instant, Duration)>>);

impl Pace {
    fn new() -> Self {
        Self(Rc::new(Cell::new((Instant::now(), Duration::ZERO))))
    }

    fn step(&self) {
        let (last, longest) = self.0.get();
        self.0.set((Instant::now(), longest.max(last.elapsed())));
    }

    fn stalled(&self) -> bool {
        self.step();
        self.0.get().1 > STALL
    }
}

fn compare_with(flavor: Flavor) {
    let start = Instant::now();
    let mut totals = Totals::default();
    let mut servers = Servers::start(flavor);
    let mut run = |seed: u64, totals: &mut Totals| {
        for _ in 0..STALLS {
            let pace = Pace::new();
            let compared = AssertUnwindSafe(|| servers.compare(seed, &pace, totals));
            let Err(difference) = catch_unwind(compared) else { return };
            if !pace.stalled() {
                resume_unwind(difference);
            }
            // Sessions that were to live have expired, on both sides, each at its own moment.
            eprintln!("nothing went on for {:?}: that seed again, on new servers", pace.0.get().1);
            servers = Servers::start(flavor);
        }
        panic!("{STALLS} times running, nothing went on for longer than {STALL:?}");
    };
    if let Some(seed) = setting("ZKHELPER_SEED") {
        run(seed, &mut totals);
    } else if let Some(seconds) = setting("ZKHELPER_FUZZ_SECONDS") {
        let mut seed = fastrand::u64(..);
        while start.elapsed() < Duration::from_secs(seconds) {
            run(seed, &mut totals);
            seed = seed.wrapping_add(1);
        }
    } else {
        let usual = if std::env::var_os("CI").is_some() { 100_000 } else { 20_000 };
        let wanted = setting("ZKHELPER_OPERATIONS").unwrap_or(usual);
        for seed in 0.. {
            run(seed, &mut totals);
            if totals.operations >= wanted {
                break;
            }
        }
    }
    println!("{flavor:?}: {totals:?} in {:?}", start.elapsed());
}

/// Says which seed it was when a comparison fails.
struct ShowSeed(u64);

impl Drop for ShowSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay with ZKHELPER_SEED={}", self.0);
        }
    }
}

#[derive(Debug, Default)]
#[allow(dead_code)] // read by Debug
struct Totals {
    operations: u64,
    succeeded: u64,
    events: u64,
    reconnects: u64,
    closes: u64,
    expiries: u64,
}

struct Comparison {
    sides: [Side; 2],
    rng: Rng,
    generator: Generator,
    /// What has been done, for the report of a difference.
    history: Vec<String>,
    pace: Pace,
}

impl Comparison {
    fn new(addresses: [std::net::SocketAddr; 2], seed: u64, has_39: bool, pace: Pace) -> Self {
        let sides = addresses.map(|address| Side::new(address, SESSIONS, has_39));
        let generator = Generator::new(&format!("/s{seed:x}"), has_39);
        Self { sides, rng: Rng::with_seed(seed), generator, history: Vec::new(), pace }
    }

    fn run(mut self, totals: &mut Totals) {
        for session in 0..SESSIONS {
            self.open(session);
        }
        let root = self.generator.make_root();
        self.batch(0, vec![root], totals);
        for _ in 0..STEPS {
            let session = self.rng.usize(0..SESSIONS);
            match self.rng.u32(0..1_000) {
                0..3 => self.expire(session, totals),
                3..33 => self.reconnect(session, totals),
                33..48 => self.close(session, totals),
                48..53 => self.refused_handshakes(session),
                53..60 => {
                    let op = self.generator.fatal(&mut self.rng);
                    self.fatal(session, op, totals);
                }
                60..120 => {
                    let op = self.generator.auth(&mut self.rng);
                    self.batch(session, vec![op], totals);
                }
                _ => {
                    let count = self.rng.usize(1..=48);
                    let mut ops: Vec<Op> = Vec::new();
                    // A list that is on its way into Apache ZooKeeper's tree does not count yet for writes that
                    // come close behind it: that is a race there, so nothing comes close behind it here.
                    while ops.len() < count
                        && !matches!(ops.last(), Some(Op::Request(Request::SetAcl { .. })))
                    {
                        ops.push(self.generator.operation(&mut self.rng));
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

    /// Sends operations back to back in one session, then waits until every session has heard all of it.
    fn batch(&mut self, session: usize, ops: Vec<Op>, totals: &mut Totals) {
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
    fn barrier(&mut self, busy: usize, any_order: bool, totals: &mut Totals) -> Vec<Line> {
        let mut all = Vec::new();
        let others: Vec<usize> = (0..SESSIONS).filter(|session| *session != busy).collect();
        for sessions in [&[busy], others.as_slice()] {
            for side in &mut self.sides {
                side.send_pings(sessions);
            }
            for session in sessions {
                let [mut ours, mut theirs] = self.sides.each_mut().map(|side| side.read_to_ping(*session));
                if any_order {
                    ours.sort_by_key(|line| format!("{line:?}"));
                    theirs.sort_by_key(|line| format!("{line:?}"));
                }
                self.pace.step();
                check_equal(&self.history, *session, &ours, &theirs);
                totals.events += ours.iter().filter(|line| line.is_event()).count() as u64;
                totals.succeeded += ours.iter().filter(|line| line.is_success()).count() as u64;
                all.append(&mut ours);
            }
        }
        all
    }

    fn open(&mut self, session: usize) {
        self.history.push(format!("session {session}: open"));
        let timeout_ms = self.rng.i32(9_000..20_000);
        let [ours, theirs] = self.sides.each_mut().map(|side| side.open(session, timeout_ms));
        assert_eq!(ours, theirs, "a new session");
    }

    fn reconnect(&mut self, session: usize, totals: &mut Totals) {
        totals.reconnects += 1;
        let drops = self.rng.bool();
        self.history.push(format!("session {session}: reconnect, drops={drops}"));
        if drops {
            self.sides.iter_mut().for_each(|side| side.drop_connection(session));
        }
        let timeout_ms = self.rng.i32(9_000..20_000);
        self.attach(session, timeout_ms);
        let op = self.generator.set_watches(&mut self.rng);
        self.batch(session, vec![op], totals);
    }

    fn attach(&mut self, session: usize, timeout_ms: i32) {
        let [ours, theirs] = self.sides.each_mut().map(|side| side.attach(session, timeout_ms, true));
        assert_eq!(ours, theirs, "a session attached to again");
    }

    /// Handshakes that a server turns down: it has not seen as much, or does not know the password.
    fn refused_handshakes(&mut self, session: usize) {
        let [ours, theirs] = self.sides.each_mut().map(Side::open_ahead);
        assert_eq!(ours, theirs, "a client ahead of the server");
        let [ours, theirs] = self.sides.each_mut().map(|side| side.attach(session, 10_000, false));
        assert_eq!(ours, theirs, "a wrong password");
        self.history.push(format!("session {session}: reconnect after a wrong password"));
        self.attach(session, 10_000);
    }

    /// An operation after which the server closes the connection.
    fn fatal(&mut self, session: usize, op: Op, totals: &mut Totals) {
        totals.operations += 1;
        self.history.push(format!("session {session}: {op:?}"));
        for side in &mut self.sides {
            side.send(session, std::slice::from_ref(&op));
        }
        let [ours, theirs] = self.sides.each_mut().map(|side| side.read_to_end(session));
        check_equal(&self.history, session, &ours, &theirs);
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
        let [mut ours, mut theirs] = self.sides.each_mut().map(|side| side.read_to_end(session));
        // The session's nodes go in no particular order.
        ours.sort_by_key(|line| format!("{line:?}"));
        theirs.sort_by_key(|line| format!("{line:?}"));
        check_equal(&self.history, session, &ours, &theirs);
        for side in &mut self.sides {
            side.forget(session);
        }
        self.barrier(session, true, totals);
    }

    fn close(&mut self, session: usize, totals: &mut Totals) {
        self.close_now(session, totals);
        self.open(session);
    }

    fn wait_for_end_of(&mut self, path: &str) {
        for side in &mut self.sides {
            let start = Instant::now();
            while side.exists(path) {
                assert!(start.elapsed() < EXPIRY_LIMIT, "{path} does not end");
                std::thread::sleep(Duration::from_millis(20));
                self.pace.step();
            }
        }
    }

    /// A session that nobody keeps alive: attached to with the shortest timeout, and left alone.
    fn expire(&mut self, session: usize, totals: &mut Totals) {
        totals.expiries += 1;
        self.history.push(format!("session {session}: expire"));
        self.attach(session, 0);
        let (op, path) = self.generator.marker();
        self.batch(session, vec![op], totals);
        for side in &mut self.sides {
            side.drop_connection(session);
        }
        self.wait_for_end_of(&path);
        self.barrier(session, true, totals);
        let expired = self.sides.each_mut().map(|side| side.attach(session, 10_000, true));
        assert_eq!(expired, [Some(0), Some(0)], "an expired session");
        for side in &mut self.sides {
            side.forget(session);
        }
        self.open(session);
    }
}

fn check_equal(history: &[String], session: usize, ours: &[Line], theirs: &[Line]) {
    if ours == theirs {
        return;
    }
    let at = ours.iter().zip(theirs).position(|(a, b)| a != b).unwrap_or(ours.len().min(theirs.len()));
    for line in history.iter().skip(history.len().saturating_sub(60)) {
        eprintln!("  {line}");
    }
    for line in ours.iter().take(at).skip(at.saturating_sub(3)) {
        eprintln!("both:     {line:?}");
    }
    panic!(
        "session {session} hears different things\nembedded: {:?}\napache:   {:?}",
        ours.get(at),
        theirs.get(at)
    );
}
