//! Time, timers and tasks for a client: the IO thread's in a program, virtual ones in a simulation.

use super::helm::{self, Helm};
use super::process;
use crate::error::{Code, Error, Result};
use crate::sync::Mutex;
use crate::time::Time;
use crate::zk::BoxFuture;
use nix::sys::signal::{SigSet, SigmaskHow};
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, mpsc};
use std::task::{Context, Wake, Waker};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};

/// What a client needs of the world besides bytes.
pub(crate) trait Runtime: Send + Sync {
    fn now(&self) -> Time;
    fn sleep_until(&self, until: Time) -> BoxFuture<()>;
    fn spawn(&self, task: BoxFuture<()>);
    /// Runs a task to its end, and may begin with it in this thread.
    fn begin(&self, task: BoxFuture<()>) {
        self.spawn(task);
    }
    fn random(&self) -> u64;
    /// See [`crate::zk::Zk::wait`].
    fn wait(&self, done: Pin<&mut dyn Future<Output = ()>>, at_most: Option<Duration>) -> bool {
        helm::park(done, at_most)
    }
    /// See [`crate::zk::Zk::attend`].
    fn attend(&self) {}
}

/// The process's one IO thread.
#[derive(Clone)]
pub(crate) struct IoThread(Arc<Helm>);

static IO_THREADS: [OnceLock<Result<IoThread, String>>; process::DEPTH] =
    [const { OnceLock::new() }; process::DEPTH];

impl IoThread {
    /// The thread, started if this process has none yet.
    pub(crate) fn get() -> Result<Self> {
        let failed = |why: String| Error::new(Code::OUT_OF_RESOURCES).because(why);
        let slot = process::index().and_then(|index| IO_THREADS.get(index));
        let slot = slot.ok_or_else(|| failed(format!("more than {} nested forks", process::DEPTH)))?;
        slot.get_or_init(|| Self::start().map_err(|e| format!("the IO thread did not start: {e}")))
            .clone()
            .map_err(failed)
    }

    fn start() -> std::io::Result<Self> {
        let (ready, started) = mpsc::channel();
        spawn_thread("zkhelper-io", move || {
            let built = Builder::new_current_thread().enable_io().enable_time().build();
            let helm = match built {
                Ok(runtime) => Arc::new(Helm::new(runtime)),
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            IS_IO_THREAD.set(true);
            if ready.send(Ok(Self(Arc::clone(&helm)))).is_ok() {
                helm.run();
            }
        })?;
        started.recv().map_err(std::io::Error::other)?
    }
}

thread_local! {
    static IS_IO_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// Does something in this thread as the IO thread would.
pub(super) fn as_io_thread<R>(work: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            IS_IO_THREAD.set(self.0);
        }
    }
    let _restore = Restore(IS_IO_THREAD.replace(true));
    work()
}

/// Whether this is the IO thread, or does its work.
pub(crate) fn is_io_thread() -> bool {
    IS_IO_THREAD.try_with(Cell::get).unwrap_or(false)
}

/// A task that was begun in a thread of the program's: it goes on, on the IO thread, once it is woken. So no thread is
/// woken only to find that the task waits for a server.
struct Begun {
    io: Handle,
    stage: Mutex<Stage>,
}

enum Stage {
    /// It is being polled for the first time; whether it was woken meanwhile.
    First {
        woken: bool,
    },
    Waiting(BoxFuture<()>),
    /// It is over, or a task of the IO thread's like every other.
    Gone,
}

impl Begun {
    fn begin(io: Handle, mut task: BoxFuture<()>) {
        let begun = Arc::new(Self { io, stage: Mutex::new(Stage::First { woken: false }) });
        let waker = Waker::from(Arc::clone(&begun));
        if task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            return;
        }
        let mut stage = begun.stage.lock();
        match *stage {
            Stage::First { woken: false } => *stage = Stage::Waiting(task),
            _ => {
                *stage = Stage::Gone;
                drop(stage);
                drop(begun.io.spawn(task));
            }
        }
    }
}

impl Wake for Begun {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut stage = self.stage.lock();
        match std::mem::replace(&mut *stage, Stage::Gone) {
            Stage::First { .. } => *stage = Stage::First { woken: true },
            Stage::Waiting(task) => {
                drop(stage);
                drop(self.io.spawn(task));
            }
            Stage::Gone => {}
        }
    }
}

/// Starts a thread that takes none of the host program's signals.
pub(crate) fn spawn_thread(
    name: &str,
    body: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    before.thread_set_mask()?;
    spawned
}

impl Runtime for IoThread {
    fn now(&self) -> Time {
        Time::now()
    }

    fn sleep_until(&self, until: Time) -> BoxFuture<()> {
        let handle = self.0.handle().clone();
        Box::pin(async move {
            loop {
                let left = until.since(Time::now());
                if left.is_zero() {
                    return;
                }
                // The timer's clock stands still while the machine is suspended; ours does not.
                let nap = {
                    let _context = handle.enter();
                    tokio::time::sleep(left.min(Duration::from_secs(3600)))
                };
                nap.await;
            }
        })
    }

    fn spawn(&self, task: BoxFuture<()>) {
        drop(self.0.handle().spawn(task));
    }

    fn begin(&self, task: BoxFuture<()>) {
        if is_io_thread() {
            self.spawn(task);
        } else {
            Begun::begin(self.0.handle().clone(), task);
        }
    }

    fn wait(&self, done: Pin<&mut dyn Future<Output = ()>>, at_most: Option<Duration>) -> bool {
        self.0.wait(done, at_most)
    }

    fn attend(&self) {
        self.0.recall();
    }

    fn random(&self) -> u64 {
        getrandom::u64().unwrap_or_else(|_| fastrand::u64(..))
    }
}
