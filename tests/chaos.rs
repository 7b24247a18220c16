//! Four processes contend for one lock while the servers of their ensemble are killed and restarted,
//! the leader among them: tokens only grow, no two holds overlap, everybody is served, no node is left.

mod support;

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::process::Command;
use std::time::{Duration, Instant};
use support::process::{Program, Stream};
use support::zookeeper::{Ensemble, Flavor};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Mutex, MutexOptions, Options, State, Time};

/// Names the ensemble to a worker, which is this same program.
const WORKER: &str = "ZKHELPER_CHAOS_WORKER";
const PATH: &str = "/zk/chaos";
const WORKERS: usize = 4;
/// Ends a test that hangs; no working test comes near it.
const LIMIT: Duration = Duration::from_secs(180);

fn options() -> Options {
    Options { session_timeout: Duration::from_secs(10), ..Options::default() }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "@ {line}").and_then(|()| out.flush());
}

fn nanoseconds() -> u128 {
    Time::now().since_origin().as_nanos()
}

/// One contender: takes the lock again and again until its input ends. It says when it held it, by a
/// clock that all processes share: from after it was told that it has the lock until before it gives it back.
#[test]
fn worker() {
    let Some(address) = std::env::var_os(WORKER) else { return };
    let address = address.into_string().expect("an address");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(contend(&address));
}

async fn contend(address: &str) {
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    std::thread::spawn(move || {
        while std::io::stdin().lock().read_line(&mut String::new()).is_ok_and(|n| n > 0) {}
        stopped.store(true, std::sync::atomic::Ordering::SeqCst);
    });
    let client = Client::connect(address, options()).await.expect("a connection");
    let mut states = client.states();
    tokio::spawn(async move {
        while let Some(event) = states.recv().await {
            if matches!(event.state, State::Connected | State::Lost) {
                say(&format!("session {} {:?}", event.session, event.state));
            }
        }
    });
    let mutex = Mutex::new(&client, PATH, MutexOptions::default()).expect("a mutex");
    let mut random = fastrand::Rng::new();
    while !stop.load(std::sync::atomic::Ordering::SeqCst) {
        let hold = match mutex.lock(None, "chaos").await {
            Ok(hold) => hold,
            Err(error) => panic!("{error}"),
        };
        let (token, from) = (hold.token(), nanoseconds());
        tokio::time::sleep(Duration::from_micros(random.u64(0..15_000))).await;
        let until = nanoseconds();
        say(&format!("held {token} {from} {until}"));
        if let Err(error) = hold.release().await {
            say(&format!("release {error}"));
        }
    }
    client.close(LIMIT).await.expect("closed");
    say("done");
}

#[derive(Debug)]
struct Held {
    token: i64,
    from: u128,
    until: u128,
    worker: usize,
}

fn start_workers(address: &str) -> Vec<Program> {
    (0..WORKERS)
        .map(|_| {
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.args(["--exact", "worker", "--nocapture"]).env(WORKER, address);
            Program::spawn(command)
        })
        .collect()
}

fn words(text: &str) -> Vec<String> {
    text.trim_start_matches("@ ").split(' ').map(str::to_owned).collect()
}

/// The session a worker has now.
fn session_of(worker: &Program) -> Option<i64> {
    let lines = worker.lines();
    let last = lines.iter().rev().map(|line| words(&line.text)).find(|words| words[0] == "session")?;
    last.get(1)?.parse().ok()
}

/// Where the worker's session is connected.
fn server_of(ensemble: &Ensemble, worker: &Program) -> Option<usize> {
    ensemble.server_of_session(session_of(worker)?)
}

fn read_history(workers: &[Program]) -> Vec<Held> {
    let mut history = Vec::new();
    for (worker, program) in workers.iter().enumerate() {
        for line in program.lines().iter().filter(|line| line.stream == Stream::Out) {
            let words = words(&line.text);
            if words[0] == "held" {
                history.push(Held {
                    token: words[1].parse().expect("a token"),
                    from: words[2].parse().expect("a time"),
                    until: words[3].parse().expect("a time"),
                    worker,
                });
            }
        }
    }
    history.sort_by_key(|held| held.from);
    history
}

#[test]
fn servers_die_and_come_back_under_four_contending_processes() {
    let seconds = match std::env::var("ZKHELPER_CHAOS_SECONDS") {
        Ok(text) => text.parse().expect("a number of seconds"),
        Err(_) if std::env::var_os("ZKHELPER_PROVE").is_some() => 120,
        Err(_) => 60,
    };
    let ensemble = Ensemble::three(Flavor::Debian);
    let mut workers = start_workers(&ensemble.connect_string());
    for worker in &mut workers {
        worker.wait_for_line("held", LIMIT);
    }
    let start = Instant::now();
    let mut faults = HashMap::new();
    let mut round = 0;
    while start.elapsed() < Duration::from_secs(seconds) {
        // In turn: the leader, and the server of each worker, which at some moment holds and at others waits.
        let (what, server) = match round % (WORKERS + 1) {
            0 => ("leader", Some(ensemble.leader())),
            n => ("worker's server", workers.get(n - 1).and_then(|w| server_of(&ensemble, w))),
        };
        round += 1;
        let Some(server) = server else { continue };
        *faults.entry(what).or_insert(0) += 1;
        ensemble.kill(server);
        // With the server away, every worker goes on: each is served once more.
        serve_all(&mut workers);
        ensemble.restart(server);
        ensemble.wait_quorum();
        serve_all(&mut workers);
    }
    for worker in &mut workers {
        worker.close_input();
    }
    for worker in &mut workers {
        worker.wait_success(LIMIT);
    }
    let history = read_history(&workers);
    let mut last = Held { token: 0, from: 0, until: 0, worker: usize::MAX };
    for held in history {
        assert!(held.token > last.token, "a token did not grow: {last:?}, {held:?}");
        assert!(held.from >= last.until, "two holds overlap: {last:?}, {held:?}");
        last = held;
    }
    let history = read_history(&workers);
    let shares: Vec<_> =
        (0..WORKERS).map(|w| history.iter().filter(|held| held.worker == w).count()).collect();
    let lost: usize =
        workers.iter().map(|w| w.lines().iter().filter(|l| l.text.contains("Lost")).count()).sum();
    println!("{} holds, by worker {shares:?}; faults {faults:?}; sessions lost {lost}", history.len());
    assert!(no_node_left(&ensemble), "a lock node is left");
}

/// Waits until every worker has held the lock once more.
fn serve_all(workers: &mut [Program]) {
    for worker in workers {
        while worker.next_line(Duration::ZERO).is_some() {}
        worker.wait_for_line("held", LIMIT);
    }
}

fn no_node_left(ensemble: &Ensemble) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        let client = Client::connect(&ensemble.connect_string(), options()).await.expect("a connection");
        let zk = client.zk();
        zk.sync(PATH, OpOptions::default()).await.expect("synced");
        let (names, _) = zk.children(PATH, OpOptions::default()).await.expect("a list");
        client.close(LIMIT).await.expect("closed");
        names.is_empty()
    })
}
