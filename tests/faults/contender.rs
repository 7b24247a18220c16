//! Contenders for a lock, each a process of its own, and the verdict on what they say.
//!
//! A contender takes the lock when it is told `take` and gives it back when it is told `give`, once in each
//! of its modes. While it holds, it looks again and again until when the lock is certain to be its own, as a
//! program does before each step of its work. So it *believes* from the grant until the latest such
//! moment that it saw, or until it was told of the loss, or gave the lock back.

use crate::ground::{Ground, LIMIT, TIMEOUT, block_on, rounds};
use crate::support::process::{Program, tail};
use crate::support::unique;
use std::io::{BufRead, Write};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use zkhelper::{Client, Code, Mutex, MutexOptions, Options, Strict, Time};

/// Names the servers and the path to a contender, which is this same program.
const SERVERS: &str = "ZKHELPER_FAULTS_SERVERS";
const PATH: &str = "ZKHELPER_FAULTS_PATH";
/// How often a holder looks.
const GRAIN: Duration = Duration::from_millis(2);

// ---- in the contender's process ----

pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "@ {line}").and_then(|()| out.flush());
}

fn nanoseconds(time: Time) -> u128 {
    time.since_origin().as_nanos()
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Wait,
    Take,
    Give,
    End,
}

#[test]
fn contender() {
    let (Ok(servers), Ok(path)) = (std::env::var(SERVERS), std::env::var(PATH)) else { return };
    let (order, orders) = watch::channel(Order::Wait);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            match line.as_str() {
                "take" => order.send_replace(Order::Take),
                "give" => order.send_replace(Order::Give),
                _ => break,
            };
        }
        order.send_replace(Order::End);
    });
    block_on(contend(&servers, &path, orders));
}

/// What the library has to say, for whoever looks into a failure.
struct Diary;

impl log::Log for Diary {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Info
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("{} {} {}", nanoseconds(Time::now()), record.level(), record.args());
        }
    }

    fn flush(&self) {}
}

async fn contend(servers: &str, path: &str, mut orders: watch::Receiver<Order>) {
    log::set_logger(&Diary).expect("the first logger");
    log::set_max_level(log::LevelFilter::Info);
    let options = Options { session_timeout: TIMEOUT, ..Options::default() };
    let client = Client::connect(servers, options).await.expect("a connection");
    say(&format!("session {}", client.session().id));
    let strict =
        MutexOptions { strict: Some(Strict { lease: TIMEOUT, delay: TIMEOUT }), ..MutexOptions::default() };
    let lock = |mode: &str, options| Mutex::new(&client, &path_of(path, mode), options).expect("a mutex");
    tokio::join!(
        hold("strict", lock("strict", strict), orders.clone()),
        hold("default", lock("default", MutexOptions::default()), orders.clone()),
    );
    let _ = orders.wait_for(|order| *order == Order::End).await;
    let _ = client.close(TIMEOUT).await;
}

/// One take and give.
async fn hold(mode: &str, mutex: Mutex, mut orders: watch::Receiver<Order>) {
    let mut losses = mutex.losses();
    let _ = orders.wait_for(|order| *order >= Order::Take).await;
    let mut acquire = mutex.lock(None, mode);
    let in_line = async {
        while !mutex.contenders().await.is_ok_and(|all| all.len() > 1) {
            tokio::time::sleep(GRAIN * 10).await;
        }
        say(&format!("waiting {mode}"));
        std::future::pending().await
    };
    let hold = tokio::select! {
        biased;
        hold = &mut acquire => hold,
        never = in_line => never,
    };
    let hold = hold.expect("the lock");
    let from = Time::now();
    let token = hold.token();
    say(&format!("granted {mode} {token} {}", nanoseconds(from)));
    let mut promised = from;
    let (until, why) = loop {
        let look = Time::now();
        match hold.valid_until() {
            Some(until) => promised = promised.max(until),
            // Why comes with the notice.
            None => break (look, None),
        }
        tokio::select! {
            biased;
            lost = losses.recv() => break (Time::now(), lost),
            _ = orders.wait_for(|order| *order >= Order::Give) => {
                let given = Time::now();
                let (until, why) = match hold.release().await {
                    Err(error) if error.code() == Code::LOCK_LOST => (Time::now(), "LockLost"),
                    _ => (given, "released"),
                };
                let (promised, until) = (nanoseconds(promised), nanoseconds(until));
                return say(&format!("ended {mode} {token} {promised} {until} {why}"));
            }
            () = tokio::time::sleep(GRAIN) => {}
        }
    };
    let why = match why {
        Some(lost) => lost,
        None => losses.recv().await.expect("the notice"),
    };
    assert_eq!(why.token, token);
    say(&format!("ended {mode} {token} {} {} {:?}", nanoseconds(promised), nanoseconds(until), why.reason));
}

fn path_of(base: &str, mode: &str) -> String {
    format!("{base}/{mode}")
}

// ---- in the test's process ----

/// When one process believed to hold the lock; times in nanoseconds of the clock that all share.
#[derive(Debug, Clone)]
pub(crate) struct Belief {
    pub(crate) token: i64,
    pub(crate) from: i128,
    /// The latest `valid_until` that it saw.
    pub(crate) promised: i128,
    /// When it gave the lock back, or heard of its loss.
    pub(crate) told: i128,
    pub(crate) why: String,
}

impl Belief {
    pub(crate) fn until(&self) -> i128 {
        self.promised.min(self.told)
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.why != "released"
    }
}

/// A contender's process.
pub(crate) struct Contender {
    pub(crate) program: Program,
}

impl Contender {
    #[track_caller]
    pub(crate) fn start(servers: &str, path: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "contender::contender", "--nocapture"]);
        command.env(SERVERS, servers).env(PATH, path);
        Self::run(command)
    }

    /// Another program that says the same.
    #[track_caller]
    pub(crate) fn run(command: Command) -> Self {
        let mut contender = Self { program: Program::spawn(command) };
        contender.wait_said(&["session"]);
        contender
    }

    pub(crate) fn session(&mut self) -> i64 {
        self.wait_said(&["session"])[1].parse().expect("a session")
    }

    /// What it said, as words, of the line that begins with these.
    fn said(&self, begin: &[&str]) -> Option<Vec<String>> {
        self.program.lines().iter().find_map(|line| {
            let words: Vec<_> = line.text.split("@ ").nth(1)?.split(' ').map(str::to_owned).collect();
            begin.iter().zip(&words).all(|(want, word)| want == word).then_some(words)
        })
    }

    #[track_caller]
    fn wait_said(&mut self, begin: &[&str]) -> Vec<String> {
        self.wait_either(&[begin])
    }

    #[track_caller]
    fn wait_either(&mut self, begins: &[&[&str]]) -> Vec<String> {
        let start = Instant::now();
        loop {
            // Before looking at its words, or the last ones might be missed.
            let over = self.program.try_wait().is_some() || start.elapsed() > LIMIT;
            if let Some(said) = begins.iter().find_map(|begin| self.said(begin)) {
                return said;
            }
            assert!(!over, "it never said {begins:?}; it wrote:\n{}", tail(&self.program.output(), 60));
            std::thread::sleep(GRAIN);
        }
    }

    #[track_caller]
    pub(crate) fn wait_granted(&mut self, mode: &str) {
        self.wait_said(&["granted", mode]);
    }

    #[track_caller]
    pub(crate) fn wait_ended(&mut self, mode: &str) -> Belief {
        let number = |word: &String| word.parse::<i128>().expect("a number");
        let (granted, ended) = (self.wait_said(&["granted", mode]), self.wait_said(&["ended", mode]));
        assert_eq!(granted[2], ended[2], "a contender holds once");
        Belief {
            token: ended[2].parse().expect("a token"),
            from: number(&granted[3]),
            promised: number(&ended[3]),
            told: number(&ended[4]),
            why: ended[5].clone(),
        }
    }
}

/// One holder, to whom something happens, and one who waits for the lock meanwhile.
pub(crate) struct Pair {
    pub(crate) holder: Contender,
    pub(crate) next: Contender,
    pub(crate) modes: &'static [&'static str],
}

pub(crate) const MODES: &[&str] = &["strict", "default"];

impl Pair {
    /// The holder holds, the next one waits.
    #[track_caller]
    pub(crate) fn ready(holder: Contender, next: Contender, modes: &'static [&'static str]) -> Self {
        let mut pair = Self { holder, next, modes };
        pair.holder.program.write_line("take");
        for mode in modes {
            pair.holder.wait_granted(mode);
        }
        pair.next.program.write_line("take");
        for mode in modes {
            // On a busy machine the lock may be lost before anything is done to its holder.
            pair.next.wait_either(&[&["waiting", mode], &["granted", mode]]);
        }
        pair
    }

    #[track_caller]
    pub(crate) fn wait_next_granted(&mut self) {
        for mode in self.modes {
            self.next.wait_granted(mode);
        }
    }

    /// The fault is over: whoever holds gives the lock back. Answers with both beliefs for each mode.
    #[track_caller]
    pub(crate) fn finish(&mut self) -> Vec<(Belief, Belief)> {
        self.holder.program.write_line("give");
        self.wait_next_granted();
        self.next.program.write_line("give");
        let both = |mode: &&str| (self.holder.wait_ended(mode), self.next.wait_ended(mode));
        self.modes.iter().map(both).collect()
    }
}

/// What came of the rounds of one schedule in one mode.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) lost: usize,
    pub(crate) overlaps: usize,
    /// Milliseconds from the end of the holder's belief until the next one's grant.
    pub(crate) leads: Vec<i128>,
    /// The same from the notice of the loss.
    pub(crate) told: Vec<i128>,
}

impl Outcome {
    pub(crate) fn add(&mut self, holder: &Belief, next: &Belief) {
        assert!(holder.token < next.token, "a token did not grow: {holder:?}, {next:?}");
        self.leads.push((next.from - holder.until()) / 1_000_000);
        self.overlaps += usize::from(holder.until() > next.from);
        if holder.is_lost() {
            self.lost += 1;
            self.told.push((next.from - holder.told) / 1_000_000);
        }
    }

    pub(crate) fn print(&self, schedule: &str, mode: &str) {
        let span = |of: &[i128]| match (of.iter().min(), of.iter().max()) {
            (Some(least), Some(most)) => format!("{least} to {most} ms"),
            _ => "-".to_owned(),
        };
        println!(
            "{schedule}, {mode}: {} rounds, {} lost, {} overlaps; from the belief's end to the next grant {}, from the notice of a loss {}",
            self.leads.len(),
            self.lost,
            self.overlaps,
            span(&self.leads),
            span(&self.told),
        );
    }
}

/// Runs a schedule so many times with fresh contenders. `fault` does what is to be done while the holder
/// holds and the next one waits, and undoes it. Nothing may be left below the paths after each round.
#[track_caller]
pub(crate) fn run(
    ground: &Ground,
    schedule: &str,
    contenders: impl Fn(&str) -> (Contender, Contender),
    fault: impl Fn(&mut Pair),
) -> [Outcome; 2] {
    let base = format!("/zk/{}", unique("faults"));
    let mut outcomes = [Outcome::default(), Outcome::default()];
    for _ in 0..rounds() {
        let (holder, next) = contenders(&base);
        let mut pair = Pair::ready(holder, next, MODES);
        fault(&mut pair);
        ground.revive();
        let beliefs = pair.finish();
        for (outcome, (holder, next)) in outcomes.iter_mut().zip(&beliefs) {
            outcome.add(holder, next);
        }
        ground.mend();
        ground.wait_empty(&MODES.map_paths(&base));
        assert_eq!(outcomes[0].overlaps, 0, "{schedule}: two strict holders at once: {beliefs:#?}");
    }
    for (outcome, mode) in outcomes.iter().zip(MODES) {
        outcome.print(schedule, mode);
    }
    outcomes
}

trait MapPaths {
    fn map_paths(&self, base: &str) -> Vec<String>;
}

impl MapPaths for &[&str] {
    fn map_paths(&self, base: &str) -> Vec<String> {
        self.iter().map(|mode| path_of(base, mode)).collect()
    }
}
