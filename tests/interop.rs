//! We exclude the locks of kazoo, Curator and go-zookeeper, and they us: processes of each contend for one
//! path, no two holds overlap, everybody is served, nothing is left.
//!
//! Curator does not count kazoo's names, so there are two groups. What a machine lacks fails the test.

mod support;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as Locked, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use support::process::Program;
use support::zookeeper::{Ensemble, Flavor};
use zkhelper::embedded::Server;
use zkhelper::proto::{Acl, CreateMode, permissions};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Code, Mutex, MutexOptions, Options, Strict};

/// Tells a worker, which is this same program, where to contend.
const WORKER: &str = "ZKHELPER_INTEROP_WORKER";
/// Ends a test that hangs; no working test comes near it. Java starts slowly on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Us,
    /// Us in strict mode.
    Strict,
    Kazoo,
    Curator,
    Go,
}

const WITH_KAZOO: [Kind; 4] = [Kind::Us, Kind::Us, Kind::Kazoo, Kind::Go];
const WITH_CURATOR: [Kind; 4] = [Kind::Us, Kind::Us, Kind::Curator, Kind::Go];

/// How strict mode is set here. Foreigners leave no mark, so after each of them it waits for the delay.
const STRICT: Strict = Strict { lease: Duration::from_millis(1000), delay: Duration::from_millis(1000) };

fn mutex_options(kind: Kind) -> MutexOptions {
    MutexOptions { strict: (kind == Kind::Strict).then_some(STRICT), ..MutexOptions::default() }
}

fn options() -> Options {
    Options { session_timeout: Duration::from_secs(10), ..Options::default() }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(work)
}

// ---- one of us ----

/// The clock that contenders in every language can read.
fn now() -> u128 {
    Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock")).as_nanos()
}

/// Takes the lock again and again until its input ends, and says when it held: from after it was told that
/// it has the lock until before it gives it back.
#[test]
fn worker() {
    let Ok(place) = std::env::var(WORKER) else { return };
    let place: Vec<&str> = place.split(' ').collect();
    let [address, path, mode] = place[..] else { panic!("{WORKER} is \"ADDRESS PATH MODE\"") };
    let kind = if mode == "Strict" { Kind::Strict } else { Kind::Us };
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    std::thread::spawn(move || {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        stopped.store(true, Ordering::SeqCst);
    });
    block_on(async {
        let client = Client::connect(address, options()).await.expect("a connection");
        let mutex = Mutex::new(&client, path, mutex_options(kind)).expect("a mutex");
        while !stop.load(Ordering::SeqCst) {
            let hold = mutex.lock(None, "interop").await.expect("the lock");
            let from = now();
            tokio::time::sleep(Duration::from_micros(fastrand::u64(1_000..5_000))).await;
            let until = now();
            let token = hold.token();
            hold.release().await.expect("released");
            let mut out = std::io::stdout().lock();
            writeln!(out, "@ held {from} {until} {token}").and_then(|()| out.flush()).expect("written");
        }
        client.close(LIMIT).await.expect("closed");
    });
}

// ---- the others ----

/// Where `prepare.sh` put the foreign clients.
fn clients() -> &'static PathBuf {
    static PREPARED: OnceLock<PathBuf> = OnceLock::new();
    PREPARED.get_or_init(|| support::foreign::prepare(&[]))
}

fn start(kind: Kind, address: &str, path: &str) -> Program {
    let dir = clients();
    let mut command = match kind {
        Kind::Us | Kind::Strict => {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command
                .args(["--exact", "worker", "--nocapture"])
                .env(WORKER, format!("{address} {path} {kind:?}"));
            return Program::spawn(command);
        }
        Kind::Kazoo => {
            let mut command = Command::new(dir.join("venv/bin/python"));
            command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/kazoo_contend.py"));
            command
        }
        Kind::Go => Command::new(dir.join("go/contend")),
        Kind::Curator => {
            let jars = dir.join("curator");
            let mut command = Command::new("java");
            command.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]);
            command.arg(format!("{}:{}/*", jars.display(), jars.display())).arg("Contend");
            command
        }
    };
    command.args([address, path]);
    Program::spawn(command)
}

// ---- a round ----

#[derive(Debug)]
struct Held {
    from: u128,
    until: u128,
    /// Ours have one.
    token: Option<i64>,
    worker: usize,
}

fn history(workers: &[Program]) -> Vec<Held> {
    let mut history = Vec::new();
    for (worker, program) in workers.iter().enumerate() {
        for line in program.lines() {
            // The test harness's own words may stand before ours on a line.
            let Some((_, said)) = line.text.split_once("@ held ") else { continue };
            let mut words = said.split(' ');
            let mut time = || words.next().and_then(|word| word.parse().ok()).expect("a time");
            let (from, until) = (time(), time());
            let token = words.next().map(|word| word.parse().expect("a token"));
            history.push(Held { from, until, token, worker });
        }
    }
    history.sort_by_key(|held| held.from);
    history
}

/// Lets a group contend for a path, with `group[first]` there before all others, and checks what it did.
fn contend(what: &str, address: &str, path: &str, group: &[Kind], first: usize, time: Duration) {
    let mut workers: Vec<Option<Program>> = group.iter().map(|_| None).collect();
    let mut pioneer = start(group[first], address, path);
    pioneer.wait_for_line("@ held", LIMIT);
    workers[first] = Some(pioneer);
    let mut workers: Vec<Program> = workers
        .into_iter()
        .zip(group)
        .map(|(running, kind)| running.unwrap_or_else(|| start(*kind, address, path)))
        .collect();
    // The time counts from when everybody is there.
    for worker in &mut workers {
        worker.wait_for_line("@ held", LIMIT);
    }
    let begin = Instant::now();
    while begin.elapsed() < time {
        std::thread::sleep(Duration::from_millis(50));
        for worker in &mut workers {
            assert!(worker.try_wait().is_none(), "a contender ended:\n{}", worker.output());
        }
    }
    workers.iter_mut().for_each(Program::close_input);
    for worker in &mut workers {
        worker.wait_success(LIMIT);
    }
    let history = history(&workers);
    let shares: Vec<_> = (0..group.len())
        .map(|worker| (group[worker], history.iter().filter(|held| held.worker == worker).count()))
        .collect();
    println!("{what}, {:?} first, {} s: {} holds, {shares:?}", group[first], time.as_secs(), history.len());
    for pair in history.windows(2) {
        let name = |held: &Held| group[held.worker];
        let (a, b) = (&pair[0], &pair[1]);
        assert!(b.from >= a.until, "{:?} and {:?} overlap: {a:?}, {b:?}", name(a), name(b));
    }
    let tokens: Vec<_> = history.iter().filter_map(|held| held.token).collect();
    assert!(tokens.is_sorted_by(|a, b| a < b), "a token did not grow");
    // In turn, each would hold about as often as every other. Strict mode waits once for a foreigner's delay.
    let turn = if group.contains(&Kind::Strict) { 4 * STRICT.delay } else { Duration::from_secs(1) };
    let least = 1 + usize::try_from(time.as_millis() / turn.as_millis()).expect("a number");
    assert!(shares.iter().all(|(_, holds)| *holds >= least), "not everybody held {least} times: {shares:?}");
}

/// How long the long round of a group takes.
fn long() -> Duration {
    let seconds = match std::env::var("ZKHELPER_INTEROP_SECONDS") {
        Ok(text) => text.parse().expect("a number of seconds"),
        Err(_) if std::env::var_os("ZKHELPER_PROVE").is_some() => 60,
        Err(_) => 10,
    };
    Duration::from_secs(seconds)
}

const SHORT: Duration = Duration::from_secs(2);

/// One group at a time: they measure each other's turns.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Locked<()> = Locked::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn children(address: &str, path: &str) -> Vec<String> {
    block_on(async {
        let client = Client::connect(address, options()).await.expect("a connection");
        let found = match client.zk().children(path, OpOptions::default()).await {
            Ok((mut names, _)) => {
                names.sort();
                names
            }
            // A container goes by itself once it is empty.
            Err(error) if error.code() == Code::NO_NODE => Vec::new(),
            Err(error) => panic!("{error}"),
        };
        client.close(LIMIT).await.expect("closed");
        found
    })
}

/// Makes persistent nodes, parents first.
fn make(address: &str, nodes: &[(&str, &str)]) {
    block_on(async {
        let client = Client::connect(address, options()).await.expect("a connection");
        let open = [Acl::world(permissions::ALL)];
        for (path, data) in nodes {
            let made = client.zk().create(
                path,
                data.as_bytes(),
                &open,
                CreateMode::Persistent,
                OpOptions::default(),
            );
            made.await.expect("made");
        }
        client.close(LIMIT).await.expect("closed");
    });
}

/// The long round with us first, and a short one with each other kind first: who comes first makes the parent.
fn rounds(server: &str, address: &str, group: &[Kind], time: Duration) {
    for (first, kind) in group.iter().enumerate() {
        if group[..first].contains(kind) {
            continue;
        }
        let path = format!("/interop/{kind:?}/first");
        contend(server, address, &path, group, first, if first == 0 { time } else { SHORT });
        assert_eq!(children(address, &path), [""; 0], "a lock node is left");
    }
}

#[test]
fn kazoo_go_zookeeper_and_we_exclude_each_other() {
    let _alone = alone();
    let server = Ensemble::single(Flavor::Debian);
    rounds("Apache ZooKeeper", &server.connect_string(), &WITH_KAZOO, long());
}

#[test]
fn curator_go_zookeeper_and_we_exclude_each_other() {
    let _alone = alone();
    let server = Ensemble::single(Flavor::Debian);
    rounds("Apache ZooKeeper", &server.connect_string(), &WITH_CURATOR, long());
}

#[test]
fn both_groups_exclude_each_other_on_the_embedded_server() {
    let _alone = alone();
    let server = Server::start_with_tick(0, Duration::from_millis(500)).expect("a free port");
    for (name, group) in [("kazoo", WITH_KAZOO), ("curator", WITH_CURATOR)] {
        let path = format!("/interop/{name}");
        contend("embedded server", server.address(), &path, &group, 2, long() / 3);
        assert_eq!(children(server.address(), &path), [""; 0], "a lock node is left");
    }
}

/// They work on it at all: nodes, watches, transactions, lists of access, recipes, recovery.
#[test]
fn kazoo_and_go_zookeeper_work_on_the_embedded_server() {
    let _alone = alone();
    let server = Server::start_with_tick(0, Duration::from_millis(500)).expect("a free port");
    let mut kazoo = Command::new(clients().join("venv/bin/python"));
    kazoo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/embedded_kazoo.py"));
    for mut command in [kazoo, Command::new(clients().join("go/clients"))] {
        command.arg(server.address());
        print!("{}", Program::spawn(command).wait_success(LIMIT));
    }
}

/// What each of the others makes of a marker in the parent's data, and strict mode of holders without a mark.
/// The parent is theirs: Curator's is a container.
#[test]
fn in_strict_mode_we_and_all_others_exclude_each_other() {
    let _alone = alone();
    let server = Ensemble::single(Flavor::Debian);
    let address = server.connect_string();
    for foreign in [Kind::Kazoo, Kind::Curator] {
        let path = format!("/interop/strict/{foreign:?}");
        let group = [Kind::Strict, Kind::Us, foreign, Kind::Go];
        contend("Apache ZooKeeper, strict", &address, &path, &group, 2, long() / 2);
        assert_eq!(children(&address, &path), [""; 0], "a lock node is left");
    }
}

#[test]
fn data_in_the_parent_and_children_that_are_no_contenders_are_in_nobodys_way() {
    let _alone = alone();
    let server = Ensemble::single(Flavor::Debian);
    let address = server.connect_string();
    make(&address, &[("/interop", ""), ("/interop/data", "somebody's own"), ("/interop/odd", "[1, 2]")]);
    contend("parent with data", &address, "/interop/data", &WITH_KAZOO, 2, SHORT);
    // go-zookeeper gives up at a child without a number, and Curator takes any child for a contender.
    let odd = ["0000000000", "aaa", "lock-", "lock-12", "lock-abc", "zzz"];
    for name in odd {
        make(&address, &[(&format!("/interop/odd/{name}"), "")]);
    }
    let group = [Kind::Us, Kind::Us, Kind::Kazoo];
    contend("odd children", &address, "/interop/odd", &group, 0, SHORT);
    assert_eq!(children(&address, "/interop/odd"), odd);
    assert_eq!(children(&address, "/interop/data"), [""; 0]);
}
