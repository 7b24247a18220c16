//! The processes that play: where they are to contend, how they are started, and what they say.

use crate::history::{Event, History, Life, Nanos, What};
use crate::support::installed::{ROOT, STRICT, run, target};
use crate::support::process::{signal, spawn_tied};
use crate::support::proxy::Proxy;
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many clients there are.
pub(crate) const CLIENTS: usize = 5;

/// The clock that all processes share.
pub(crate) fn now() -> Nanos {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("a clock");
    i128::try_from(Duration::from(time).as_nanos()).expect("a time")
}

/// What a client has to know, as its arguments have it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) servers: String,
    pub(crate) lock: String,
    pub(crate) counter: String,
    pub(crate) election: String,
    /// Of the session, and in strict mode the lease and the delay.
    pub(crate) timeout: Duration,
    pub(crate) grace: Duration,
}

impl Place {
    pub(crate) fn from_arguments(words: &[String]) -> Self {
        let [servers, lock, counter, election, timeout, grace] = words else { panic!("{words:?}") };
        let ms = |word: &String| Duration::from_millis(word.parse().expect("milliseconds"));
        let [servers, lock, counter, election] = [servers, lock, counter, election].map(Clone::clone);
        Self { servers, lock, counter, election, timeout: ms(timeout), grace: ms(grace) }
    }

    fn arguments(&self, servers: &str) -> [String; 6] {
        let ms = |time: Duration| time.as_millis().to_string();
        let [lock, counter, election] = [&self.lock, &self.counter, &self.election].map(Clone::clone);
        [servers.to_owned(), lock, counter, election, ms(self.timeout), ms(self.grace)]
    }
}

/// Which program a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    C,
    Python,
    /// kazoo's lock, as the control.
    Kazoo,
}

impl Language {
    fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::C => "C",
            Self::Python => "Python",
            Self::Kazoo => "kazoo",
        }
    }
}

/// The programs, ready to be started.
pub(crate) struct Programs {
    c: PathBuf,
    python: PathBuf,
}

impl Programs {
    /// Compiles the client in C, against what `make build` built.
    ///
    /// # Panics
    ///
    /// Where that, or what `scripts/python.sh install` makes, is missing.
    pub(crate) fn prepare(dir: &Path, languages: &[Language]) -> Self {
        let (release, c) = (target().join("release"), dir.join("worker"));
        let python = target().join("python/venv/bin/python");
        let wants = |language| languages.contains(&language);
        if wants(Language::Python) || wants(Language::Kazoo) {
            assert!(python.exists(), "no {}: run scripts/python.sh install", python.display());
        }
        if wants(Language::C) {
            let config = |what: &str| {
                let mut command = Command::new("pkg-config");
                run(command.args([what, "zkhelper"]).env("PKG_CONFIG_PATH", &release))
            };
            let mut cc = Command::new("cc");
            cc.args(STRICT).args(["-g", "-pthread", "-o"]).arg(&c);
            cc.arg(Path::new(ROOT).join("tests/nemesis/worker.c"));
            cc.args(config("--cflags").split_whitespace()).args(config("--libs").split_whitespace());
            run(&mut cc);
        }
        Self { c, python }
    }

    fn command(&self, language: Language) -> Command {
        let script = |path: &str| {
            let mut command = Command::new(&self.python);
            command.arg(Path::new(ROOT).join(path));
            command
        };
        match language {
            Language::Rust => {
                let mut command = Command::new(std::env::current_exe().expect("this program"));
                command.arg("worker");
                command
            }
            Language::C => Command::new(&self.c),
            Language::Python => script("bindings/python/tools/nemesis_worker.py"),
            Language::Kazoo => script("tests/nemesis/kazoo_worker.py"),
        }
    }
}

pub(crate) type Shared = Arc<Mutex<History>>;

/// The numbers of the clients that hold for long now, or lead, and how often somebody began to hold for long.
#[derive(Default)]
pub(crate) struct Latest {
    pub(crate) holder: AtomicUsize,
    pub(crate) leader: AtomicUsize,
    pub(crate) stays: AtomicUsize,
}

pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes down what the nemesis does: `+ kind: to whom` begins, `- …` ends.
pub(crate) fn note(history: &Shared, text: &str) {
    lock(history).events.push(Event { at: now(), life: None, what: What::Fault { text: text.to_owned() } });
}

/// One of the five: a process, in one life after the other, behind proxies of its own.
pub(crate) struct Client {
    number: usize,
    pub(crate) language: Language,
    /// One for each server.
    pub(crate) proxies: Vec<Proxy>,
    child: Option<Child>,
    life: usize,
    /// How often it was granted the lock.
    grants: Arc<AtomicUsize>,
    latest: Arc<Latest>,
    history: Shared,
}

impl Client {
    pub(crate) fn new(
        number: usize,
        language: Language,
        proxies: Vec<Proxy>,
        latest: &Arc<Latest>,
        history: &Shared,
    ) -> Self {
        let (latest, history) = (Arc::clone(latest), Arc::clone(history));
        Self { number, language, proxies, child: None, life: 0, grants: Arc::default(), latest, history }
    }

    pub(crate) fn start(&mut self, programs: &Programs, place: &Place) {
        let servers: Vec<_> = self.proxies.iter().map(|proxy| proxy.address().to_string()).collect();
        let mut command = programs.command(self.language);
        command.args(place.arguments(&servers.join(",")));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            spawn_tied(command).unwrap_or_else(|e| panic!("cannot start {:?}: {e}", self.language));
        self.life = {
            let mut history = lock(&self.history);
            let language = self.language.name();
            history.lives.push(Life { name: format!("{} ({language})", self.number), language });
            history.lives.len() - 1
        };
        if let Some(out) = child.stdout.take() {
            let (history, grants, life) = (Arc::clone(&self.history), Arc::clone(&self.grants), self.life);
            let (latest, number) = (Arc::clone(&self.latest), self.number);
            std::thread::spawn(move || {
                for line in BufReader::new(out).lines().map_while(Result::ok) {
                    if let Some(words) = line.strip_prefix("@ ") {
                        let (at, what) = heard(words);
                        match what {
                            What::Granted { .. } => {
                                grants.fetch_add(1, Ordering::Relaxed);
                            }
                            What::Stays { .. } => {
                                latest.holder.store(number, Ordering::Relaxed);
                                latest.stays.fetch_add(1, Ordering::Relaxed);
                            }
                            What::Leads { .. } => latest.leader.store(number, Ordering::Relaxed),
                            _ => {}
                        }
                        lock(&history).events.push(Event { at, life: Some(life), what });
                    }
                }
            });
        }
        self.child = Some(child);
    }

    pub(crate) fn kill(&mut self) {
        let at = now();
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        lock(&self.history).events.push(Event { at, life: Some(self.life), what: What::Killed });
    }

    pub(crate) fn signal(&self, what: Signal) {
        if let Some(child) = &self.child {
            signal(child, what);
        }
    }

    /// What it says if it ended by itself, which it must not.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok().flatten()?;
        Some(format!("client {} ({}) ended by itself: {status}", self.number, self.language.name()))
    }

    pub(crate) fn grants(&self) -> usize {
        self.grants.load(Ordering::Relaxed)
    }

    /// Lets it end in good order; false if it does not within the limit.
    pub(crate) fn end(&mut self, limit: Duration) -> bool {
        let Some(child) = &mut self.child else { return true };
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.flush();
        }
        let begun = Instant::now();
        while begun.elapsed() < limit {
            if let Ok(Some(status)) = child.try_wait() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// One line of a client: a time, a word, and what belongs to it.
fn heard(line: &str) -> (Nanos, What) {
    let words: Vec<_> = line.split(' ').collect();
    let time = |at: usize| words.get(at).and_then(|word| word.parse::<i128>().ok());
    let number = |at: usize| time(at).and_then(|number| i64::try_from(number).ok());
    let rest = |at: usize| words.get(at..).map(|words| words.join(" "));
    let what = || {
        Some(match *words.get(1)? {
            "granted" => What::Granted { token: number(2)?, asked: time(3)?, promised: time(4)? },
            "stays" => What::Stays { token: number(2)? },
            "until" => What::Until { token: number(2)?, promised: time(3)? },
            "read" => What::Read { token: number(2)?, value: number(3)? },
            "write" => What::Write { token: number(2)?, value: number(3)? },
            "wrote" => What::Wrote { token: number(2)?, value: number(3)? },
            "refused" => What::Refused { token: number(2)?, value: number(3)? },
            "ended" => What::Ended { token: number(2)?, why: rest(3)? },
            "gave-up" => What::GaveUp { asked: time(2)?, why: rest(3)? },
            "leads" => What::Leads { token: number(2)?, promised: time(3)? },
            "leads-until" => What::LeadsUntil { token: number(2)?, promised: time(3)? },
            "record" => What::Record { token: number(2)?, found: number(3)? },
            "resigned" => What::Resigned { token: number(2)?, why: rest(3)? },
            "gap" => What::Gap { from: time(2)? },
            "bad" => What::Bad { text: rest(2)? },
            "over" => What::Over,
            _ => return None,
        })
    };
    let unclear = || What::Bad { text: format!("a line that nobody understands: {line:?}") };
    (time(0).unwrap_or_else(now), what().unwrap_or_else(unclear))
}
