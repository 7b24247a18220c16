//! Time, timers and tasks for a client: the IO thread's in a program, virtual ones in a simulation.

use super::process;
use crate::error::{Code, Error, Result};
use crate::time::Time;
use crate::zk::BoxFuture;
use nix::sys::signal::{SigSet, SigmaskHow};
use std::sync::{OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};

/// What a client needs of the world besides bytes.
pub(crate) trait Runtime: Send + Sync {
    fn now(&self) -> Time;
    fn sleep_until(&self, until: Time) -> BoxFuture<()>;
    fn spawn(&self, task: BoxFuture<()>);
    fn random(&self) -> u64;
}

/// The process's one IO thread.
#[derive(Debug, Clone)]
pub(crate) struct IoThread(Handle);

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
            let runtime = match built {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            if ready.send(Ok(Self(runtime.handle().clone()))).is_ok() {
                runtime.block_on(std::future::pending::<()>());
            }
        })?;
        started.recv().map_err(std::io::Error::other)?
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
        let handle = self.0.clone();
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
        drop(self.0.spawn(task));
    }

    fn random(&self) -> u64 {
        getrandom::u64().unwrap_or_else(|_| fastrand::u64(..))
    }
}
