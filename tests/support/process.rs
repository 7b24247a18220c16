//! Child programs: each wait bounded, each line kept with its time, none left behind.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// Starts a program that dies with this process, also if this process is killed.
///
/// Linux sends the parent-death signal when the *thread* that forked ends, and a test has a thread of
/// its own. So one thread, which lives as long as the process, does all the forking.
pub fn spawn_tied(mut command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::SyncSender<io::Result<Child>>);
    static SPAWNER: LazyLock<Mutex<mpsc::Sender<Job>>> = LazyLock::new(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("test-spawner".into())
            .spawn(move || {
                for (mut command, reply) in jobs {
                    let _ = reply.send(command.spawn());
                }
            })
            .unwrap_or_else(|e| panic!("no thread for starting programs: {e}"));
        Mutex::new(sender)
    });

    let parent = Pid::this();
    // SAFETY: between fork and exec the closure calls prctl and getppid alone, both async-signal-safe, and
    // allocates nothing.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
            // The parent may have died before the line above took hold.
            if Pid::parent() == parent { Ok(()) } else { Err(nix::errno::Errno::ESRCH.into()) }
        });
    }
    let (reply, result) = mpsc::sync_channel(1);
    let gone = || io::Error::other("the thread that starts programs is gone");
    lock(&SPAWNER).send((command, reply)).map_err(|_| gone())?;
    result.recv().map_err(|_| gone())?
}

/// Sends a signal to a child that has not been reaped.
pub fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = pid(child) {
        let _ = kill(pid, signal);
    }
}

fn pid(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().filter(|id| *id > 0).map(Pid::from_raw)
}

/// Which of its two streams a program wrote a line to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
}

/// One line, and when it was read.
#[derive(Clone, Debug)]
pub struct Line {
    pub stream: Stream,
    pub text: String,
    pub at: Instant,
}

#[derive(Default)]
struct Captured {
    lines: Vec<Line>,
    open: u8,
}

type Shared = Arc<(Mutex<Captured>, Condvar)>;

/// A running program. Dropping it kills it and its process group.
pub struct Program {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    captured: Shared,
    taken: usize,
    status: Option<ExitStatus>,
}

impl Program {
    /// Starts the program in a process group of its own, with all three streams piped.
    #[track_caller]
    pub fn spawn(mut command: Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = spawn_tied(command).unwrap_or_else(|e| panic!("cannot start {name}: {e}"));
        let stdin = child.stdin.take();
        let captured = Shared::default();
        if let Some(out) = child.stdout.take() {
            capture(&captured, Stream::Out, out);
        }
        if let Some(err) = child.stderr.take() {
            capture(&captured, Stream::Err, err);
        }
        Self { name, child, stdin, captured, taken: 0, status: None }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes one line to the program's standard input.
    #[track_caller]
    pub fn write_line(&mut self, line: &str) {
        let Some(stdin) = &mut self.stdin else { panic!("{}: its input is closed", self.name) };
        if let Err(e) = writeln!(stdin, "{line}").and_then(|()| stdin.flush()) {
            panic!("{}: cannot write to it: {e}\n{}", self.name, self.output());
        }
    }

    /// Closes the program's standard input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// The next line of either stream; `None` when `limit` passed or both streams ended.
    pub fn next_line(&mut self, limit: Duration) -> Option<Line> {
        let deadline = Instant::now() + limit;
        let (captured, changed) = &*self.captured;
        let mut guard = lock(captured);
        loop {
            if let Some(line) = guard.lines.get(self.taken) {
                self.taken += 1;
                return Some(line.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if guard.open == 0 || left.is_zero() {
                return None;
            }
            guard = changed.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes lines until one contains `text`.
    ///
    /// # Panics
    ///
    /// When `limit` passed or the program ended first; the message has all it wrote.
    #[track_caller]
    pub fn wait_for_line(&mut self, text: &str, limit: Duration) -> Line {
        let deadline = Instant::now() + limit;
        while let Some(line) = self.next_line(deadline.saturating_duration_since(Instant::now())) {
            if line.text.contains(text) {
                return line;
            }
        }
        panic!("{}: no line with {text:?} within {limit:?}; it wrote:\n{}", self.name, self.output());
    }

    /// All lines so far, also those taken before.
    pub fn lines(&self) -> Vec<Line> {
        lock(&self.captured.0).lines.clone()
    }

    /// All lines so far as one text.
    pub fn output(&self) -> String {
        let mut text = String::new();
        for line in self.lines() {
            text += &line.text;
            text.push('\n');
        }
        text
    }

    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// Closes the input and waits for the end, and for the last line of the output.
    ///
    /// # Panics
    ///
    /// When `limit` passed; the program is killed, the message has all it wrote.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        self.close_input();
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.try_wait() {
                break status;
            }
            if start.elapsed() > limit {
                self.kill();
                panic!("{}: not ended within {limit:?}; it wrote:\n{}", self.name, self.output());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        // A grandchild may hold the pipes for longer: do not wait for that one.
        let (captured, changed) = &*self.captured;
        drop(changed.wait_timeout_while(lock(captured), Duration::from_secs(1), |c| c.open > 0));
        status
    }

    /// As `wait`, and the program must have succeeded. Returns what it wrote.
    #[track_caller]
    pub fn wait_success(&mut self, limit: Duration) -> String {
        let status = self.wait(limit);
        assert!(status.success(), "{}: {status}; it wrote:\n{}", self.name, self.output());
        self.output()
    }

    /// Sends a signal, unless the program was reaped already.
    pub fn signal(&mut self, signal_: Signal) {
        if self.try_wait().is_none() {
            signal(&self.child, signal_);
        }
    }

    /// SIGSTOP: the program stands still until `thaw`.
    pub fn freeze(&mut self) {
        self.signal(Signal::SIGSTOP);
    }

    /// SIGCONT.
    pub fn thaw(&mut self) {
        self.signal(Signal::SIGCONT);
    }

    /// SIGKILL to the program, and reaps it.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        if self.status.is_none() {
            self.status = self.child.wait().ok();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The group first, while the unreaped leader keeps its number from being given away.
        if self.try_wait().is_none()
            && let Some(group) = pid(&self.child)
        {
            let _ = killpg(group, Signal::SIGKILL);
        }
        self.kill();
    }
}

fn capture(shared: &Shared, stream: Stream, pipe: impl Read + Send + 'static) {
    lock(&shared.0).open += 1;
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut raw = Vec::new();
        while pipe.read_until(b'\n', &mut raw).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&raw).trim_end_matches(['\n', '\r']).to_owned();
            raw.clear();
            lock(&shared.0).lines.push(Line { stream, text, at: Instant::now() });
            shared.1.notify_all();
        }
        lock(&shared.0).open -= 1;
        shared.1.notify_all();
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last `count` lines of a text.
pub fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
