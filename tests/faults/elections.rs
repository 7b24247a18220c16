//! Elections under faults: candidates, each a process of its own, lead in turn, quickly while nothing is
//! wrong, and the leader meets a fault again and again. No two tasks overlap on the clock that all share.
//!
//! A task ends when it is told to stop, after some tidying up within its grace. That of a process which
//! stood still cannot end meanwhile: it counts as long as its token was promised to be the only one, and its grace.

use crate::contender::say;
use crate::ground::{Ground, LIMIT, Servers, TIMEOUT, block_on, proving, server_of};
use crate::support::process::{Program, tail};
use crate::support::{eventually, unique};
use std::collections::BTreeMap;
use std::io::BufRead;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;
use tokio::sync::watch;
use zkhelper::{Client, Elector, ElectorOptions, Leadership, Options, Outcome, Time};

/// Names the servers and the path to a candidate, which is this same program.
const SERVERS: &str = "ZKHELPER_ELECTION_SERVERS";
const PATH: &str = "ZKHELPER_ELECTION_PATH";
/// How often a leader looks.
const GRAIN: Duration = Duration::from_millis(2);
/// How long a term lasts while nothing is wrong.
const QUICK: Duration = Duration::from_millis(10);
const GRACE: Duration = Duration::from_secs(1);
/// How long a task goes on after it was told to stop.
const TIDYING: Duration = Duration::from_millis(300);

// ---- in the candidate's process ----

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Quick,
    Stay,
    End,
}

#[test]
fn candidate() {
    let (Ok(servers), Ok(path)) = (std::env::var(SERVERS), std::env::var(PATH)) else { return };
    let (order, orders) = watch::channel(Order::Quick);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match line.as_str() {
                "quick" => order.send_replace(Order::Quick),
                "stay" => order.send_replace(Order::Stay),
                _ => break,
            };
        }
        order.send_replace(Order::End);
    });
    block_on(stand(&servers, &path, orders));
}

fn nanoseconds(time: Time) -> u128 {
    time.since_origin().as_nanos()
}

fn elector(client: &Client, path: &str) -> Elector {
    let options = ElectorOptions {
        lease: TIMEOUT,
        grace: Some(GRACE),
        min_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(1),
        ..ElectorOptions::default()
    };
    Elector::new(client, path, options).expect("an elector")
}

async fn stand(servers: &str, path: &str, mut orders: watch::Receiver<Order>) {
    let options = Options { session_timeout: TIMEOUT, ..Options::default() };
    let client = Client::connect(servers, options).await.expect("a connection");
    let elector = elector(&client, path);
    say("stands");
    let running = elector.run(|term| lead(client.clone(), elector.clone(), term, orders.clone()));
    let mut ending = orders.clone();
    tokio::select! {
        error = running => panic!("the election ended: {error}"),
        _ = ending.wait_for(|order| *order == Order::End) => {}
    }
    let _ = orders.wait_for(|order| *order == Order::End).await;
    client.close(TIMEOUT).await.expect("closed");
    say("over");
}

/// The task of one term.
async fn lead(
    client: Client,
    elector: Elector,
    term: Leadership,
    mut orders: watch::Receiver<Order>,
) -> Outcome {
    let token = term.token();
    let began = Time::now();
    say(&format!("leads {token} {} {}", nanoseconds(began), client.session().id));
    let (mut promised, mut why) = (began, "done".to_owned());
    let record = elector.leader().await.ok().flatten().and_then(|leader| leader.token);
    if term.is_leading() {
        assert!(
            record.is_none_or(|of| of == token),
            "it leads with {token}, and the record is of {record:?}"
        );
    }
    let mut stopped = Box::pin(term.stopped());
    loop {
        if let Some(until) = term.valid_until() {
            promised = promised.max(until);
        }
        let order = *orders.borrow_and_update();
        let over = order == Order::End || (order == Order::Quick && Time::now() >= began + QUICK);
        if over && term.is_leading() {
            break;
        }
        tokio::select! {
            biased;
            stop = &mut stopped => {
                tokio::time::sleep(TIDYING).await;
                why = format!("{stop:?}").replace(' ', "");
                break;
            }
            () = tokio::time::sleep(GRAIN) => {}
        }
    }
    say(&format!("ended {token} {} {} {why}", nanoseconds(promised), nanoseconds(Time::now())));
    Outcome::Done
}

// ---- in the test's process ----

/// One term, as its process told of it; times in nanoseconds of the clock that all share.
#[derive(Debug, Clone)]
struct Term {
    candidate: usize,
    token: i64,
    began: i128,
    session: i64,
    /// The last moment that it was promised, and when its task ended; none if its process was killed.
    ended: Option<(i128, i128, String)>,
}

impl Term {
    /// Until when its work went on. A process that was paused cannot end it, and one that was killed has.
    fn until(&self, stood_still: bool) -> i128 {
        match &self.ended {
            Some((promised, ended, _)) if stood_still => {
                (*ended).min(promised + i128::try_from(GRACE.as_nanos()).expect("a grace"))
            }
            Some((_, ended, _)) => *ended,
            None => self.began,
        }
    }
}

struct Candidates {
    servers: Vec<String>,
    path: String,
    /// All that ever were; those that were killed among them.
    programs: Vec<Program>,
    living: Vec<usize>,
}

impl Candidates {
    fn start(servers: Vec<String>, path: &str) -> Self {
        let mut all = Self { servers, path: path.to_owned(), programs: Vec::new(), living: Vec::new() };
        for at in 0..all.servers.len() {
            all.add(at);
        }
        all
    }

    /// Starts one more, which knows the servers with this number.
    fn add(&mut self, at: usize) {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "elections::candidate", "--nocapture"]);
        command.env(SERVERS, &self.servers[at]).env(PATH, &self.path);
        let mut program = Program::spawn(command);
        program.wait_for_line("@ stands", LIMIT);
        self.living.push(self.programs.len());
        self.programs.push(program);
    }

    fn order(&mut self, order: &str) {
        for i in &self.living {
            self.programs[*i].write_line(order);
        }
    }

    /// Every term so far, by token.
    #[track_caller]
    fn terms(&mut self) -> BTreeMap<i64, Term> {
        let mut terms = BTreeMap::new();
        for i in &self.living {
            let failed = self.programs[*i].try_wait();
            assert!(failed.is_none(), "{failed:?}:\n{}", tail(&self.programs[*i].output(), 60));
        }
        for (candidate, program) in self.programs.iter().enumerate() {
            for line in program.lines() {
                let Some(said) = line.text.split("@ ").nth(1) else { continue };
                let words: Vec<_> = said.split(' ').collect();
                let number = |at: usize| words[at].parse::<i128>().expect("a number");
                let token = || i64::try_from(number(1)).expect("a token");
                match words[0] {
                    "leads" => {
                        let session = i64::try_from(number(3)).expect("a session");
                        let (began, ended) = (number(2), None);
                        let term = Term { candidate, token: token(), began, session, ended };
                        assert!(terms.insert(token(), term).is_none(), "token {} twice", token());
                    }
                    "ended" => {
                        let term = terms.get_mut(&token()).expect("it began");
                        term.ended = Some((number(2), number(3), words[4].to_owned()));
                    }
                    _ => {}
                }
            }
        }
        terms
    }

    /// The leader of a term that has not ended.
    #[track_caller]
    fn wait_leader(&mut self) -> Term {
        eventually(LIMIT, "a leader", || {
            let (_, last) = self.terms().pop_last()?;
            last.ended.is_none().then_some(last)
        })
    }

    #[track_caller]
    fn wait_next(&mut self, after: i64) -> Term {
        eventually(LIMIT, "the next leader", || {
            self.terms().split_off(&(after + 1)).pop_first().map(|it| it.1)
        })
    }

    #[track_caller]
    fn wait_terms(&mut self, more: usize) {
        let before = self.terms().len();
        eventually(LIMIT, "quick terms", || (self.terms().len() >= before + more).then_some(()));
    }

    fn kill(&mut self, candidate: usize) {
        self.programs[candidate].kill();
        self.living.retain(|i| *i != candidate);
    }

    #[track_caller]
    fn end(&mut self) -> BTreeMap<i64, Term> {
        self.order("end");
        for i in std::mem::take(&mut self.living) {
            self.programs[i].wait_for_line("@ over", LIMIT);
            self.programs[i].wait_success(LIMIT);
        }
        self.terms()
    }
}

/// No two tasks overlap, and tokens grow: terms by token begin one after the other. Answers with the
/// milliseconds between a task that ended well and the next one.
#[track_caller]
fn judge(terms: &BTreeMap<i64, Term>, stood_still: &[i64]) -> Vec<i128> {
    let all: Vec<_> = terms.values().collect();
    let mut clean = Vec::new();
    for pair in all.windows(2) {
        let (one, next) = (pair[0], pair[1]);
        let until = one.until(stood_still.contains(&one.token));
        assert!(until <= next.began, "two tasks at once, for {} ns:\n{one:?}\n{next:?}", until - next.began);
        if one.ended.as_ref().is_some_and(|(_, _, why)| why == "done") {
            clean.push((next.began - until) / 1_000_000);
        }
    }
    clean.sort_unstable();
    clean
}

/// The records that an observer was told of never go back.
async fn observe(servers: String, path: String, mut over: watch::Receiver<bool>) -> usize {
    let client = Client::connect(&servers, Options::default()).await.expect("a connection");
    let mut leaders = elector(&client, &path).leaders();
    let (mut last, mut told) = (0, 0);
    loop {
        tokio::select! {
            _ = over.wait_for(|over| *over) => break,
            leader = leaders.recv() => {
                let leader = leader.expect("it goes on").expect("an answer");
                let token = leader.and_then(|leader| leader.token).unwrap_or_default();
                assert!(token >= last, "the record went back from {last} to {token}");
                (last, told) = (token, told + 1);
            }
        }
    }
    client.close(LIMIT).await.expect("closed");
    told
}

#[test]
fn leaders_cut_off_frozen_paused_and_killed_never_overlap_in_two_hundred_hand_overs() {
    let ground = Ground::of(Servers::Patient);
    let zk = ground.ensemble;
    let path = format!("/zk/{}", unique("election"));
    let all = zk.connect_string();
    let (over, is_over) = watch::channel(false);
    let observer = {
        let (servers, path) = (all.clone(), path.clone());
        std::thread::spawn(move || block_on(observe(servers, path, is_over)))
    };
    let mut candidates = Candidates::start(vec![all; 3], &path);
    let mut stood_still = Vec::new();
    let rounds = if proving() { 10 } else { 1 };
    for _ in 0..rounds {
        for fault in ["cut off", "server frozen", "paused", "killed"] {
            candidates.order("quick");
            candidates.wait_terms(50);
            candidates.order("stay");
            let leader = candidates.wait_leader();
            let (at, token) = (leader.candidate, leader.token);
            match fault {
                "cut off" => {
                    zk.cut_off(server_of(zk, leader.session));
                    sleep(TIMEOUT * 3 / 2);
                }
                "server frozen" => {
                    let server = zk.leader();
                    zk.freeze(server);
                    sleep(TIMEOUT * 3 / 2);
                    zk.thaw(server);
                }
                "paused" => {
                    stood_still.push(token);
                    candidates.programs[at].freeze();
                    candidates.wait_next(token);
                    sleep(TIMEOUT);
                    candidates.programs[at].thaw();
                }
                _ => {
                    candidates.kill(at);
                    candidates.wait_next(token);
                    candidates.add(0);
                }
            }
            ground.mend();
        }
    }
    candidates.order("quick");
    candidates.wait_terms(20);
    let terms = candidates.end();
    over.send_replace(true);
    let told = observer.join().expect("records that grow");
    let clean = judge(&terms, &stood_still);
    let median = clean[clean.len() / 2];
    println!(
        "{} terms, {} of them ended well and handed over within {} ms (median; {} at most), {told} news of the record",
        terms.len(),
        clean.len(),
        median,
        clean[clean.len() - 1],
    );
    assert!(terms.len() > 200 && clean.len() > 180);
    let delay = (TIMEOUT + GRACE).as_millis();
    assert!(u128::try_from(median).expect("no overlap") < delay, "a clean hand-over waits for the delay");
    ground.wait_empty(&[format!("{path}/candidates")]);
}

#[test]
fn a_leader_whose_server_freezes_has_ended_its_task_when_the_next_one_starts() {
    let ground = Ground::of(Servers::Patient);
    let zk = ground.ensemble;
    for _ in 0..if proving() { 20 } else { 1 } {
        let path = format!("/zk/{}", unique("frozen"));
        let follower = zk.follower();
        let one = zk.address(follower).to_string();
        let mut candidates = Candidates::start(vec![one], &path);
        candidates.order("stay");
        let leader = candidates.wait_leader();
        candidates.servers.push(ground.without(follower));
        candidates.add(1);
        candidates.order("stay");
        zk.freeze(follower);
        let next = candidates.wait_next(leader.token);
        let ended = candidates.terms()[&leader.token].ended.clone();
        let (promised, ended, why) = ended.expect("its task has ended");
        assert!(why.contains("Lost") && ended <= next.began && promised <= next.began, "{why}");
        println!("ended {} ms before the next one began", (next.began - ended) / 1_000_000);
        ground.mend();
        judge(&candidates.end(), &[]);
    }
}
