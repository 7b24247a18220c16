//! Who carries the bytes: the IO thread, or a thread of the program's that waits alone.
//!
//! A thread that waits for an answer is woken by the IO thread, which the answer woke: two changes of threads, where a
//! blocking socket has one. So a thread that waits again and again, with nobody else waiting, takes the IO thread's work
//! over while it waits. The first few calls of such a row are carried as ever, since a hand-over costs more than it
//! saves for one; and when the row ends the IO thread is back after [`LULL`]. A timer may ring that much late then.

use super::runtime::as_io_thread;
use crate::sync::{Condvar, Mutex};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::Notify;

/// How long after a wait the next one belongs to the same row.
const LULL: Duration = Duration::from_millis(1);
/// How many waits of a row are carried by the IO thread.
const ROW: u32 = 8;
/// How many lulls a caller has been at it before the IO thread sleeps until it is called.
const NAPS: u32 = 8;

/// The runtime, and who drives it.
pub(super) struct Helm {
    runtime: Runtime,
    /// How many threads wait.
    waiting: AtomicUsize,
    /// Whether the IO thread does not drive.
    away: AtomicBool,
    watch: Mutex<Watch>,
    changed: Condvar,
    /// Asks the IO thread to stop driving.
    relief: Notify,
}

struct Watch {
    /// Whether the IO thread waits to be woken, not only for a lull.
    sleeps: bool,
    /// Whether a caller drives, or is about to.
    relieved: bool,
    /// How many callers have driven.
    reliefs: u64,
    /// Whether somebody wants the IO thread back who does not wait in a thread.
    recalled: bool,
    /// Waits without company, each soon after the one before it.
    row: u32,
    last: Instant,
}

impl Helm {
    pub(super) fn new(runtime: Runtime) -> Self {
        let watch = Watch {
            sleeps: false,
            relieved: false,
            reliefs: 0,
            recalled: false,
            row: 0,
            last: Instant::now(),
        };
        Self {
            runtime,
            waiting: AtomicUsize::new(0),
            away: AtomicBool::new(false),
            watch: Mutex::new(watch),
            changed: Condvar::new(),
            relief: Notify::new(),
        }
    }

    pub(super) fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// The IO thread's life.
    pub(super) fn run(&self) {
        loop {
            self.runtime.block_on(self.relief.notified());
            let mut watch = self.watch.lock();
            let mut naps = 0;
            loop {
                let reliefs = watch.reliefs;
                if !watch.recalled || watch.relieved {
                    watch = self.changed.wait_timeout(watch, LULL);
                }
                naps += 1;
                if watch.relieved && naps >= NAPS {
                    naps = 0;
                    watch.sleeps = true;
                    while watch.relieved {
                        watch = self.changed.wait(watch);
                    }
                    watch.sleeps = false;
                }
                let wanted = watch.recalled || self.waiting.load(Ordering::Relaxed) > 0;
                if !watch.relieved && (wanted || watch.reliefs == reliefs) {
                    break;
                }
            }
            watch.recalled = false;
            self.away.store(false, Ordering::Relaxed);
        }
    }

    /// Waits in this thread until `done` ends, or for `at_most` that long. True if it ended.
    pub(super) fn wait(
        &self,
        mut done: Pin<&mut dyn Future<Output = ()>>,
        at_most: Option<Duration>,
    ) -> bool {
        // What has ended already needs nobody. In the child of a fork everything has, and none of the rest is touched:
        // another thread of the parent's may have held the lock.
        if done.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready() {
            return true;
        }
        let company = self.waiting.fetch_add(1, Ordering::Relaxed) > 0;
        let drives = self.takes_over(company);
        let over = if drives {
            as_io_thread(|| {
                self.runtime.block_on(async {
                    match at_most {
                        Some(limit) => tokio::time::timeout(limit, done).await.is_ok(),
                        None => {
                            done.await;
                            true
                        }
                    }
                })
            })
        } else {
            park(done, at_most)
        };
        let company = self.waiting.fetch_sub(1, Ordering::Relaxed) > 1;
        let mut watch = self.watch.lock();
        watch.last = Instant::now();
        if company {
            watch.row = 0;
        }
        if drives {
            watch.relieved = false;
            watch.reliefs += 1;
            // Whoever else wants to be served is, at once.
            if watch.sleeps || watch.recalled || company {
                self.changed.notify_one();
            }
        }
        over
    }

    fn takes_over(&self, company: bool) -> bool {
        let mut watch = self.watch.lock();
        if company || watch.last.elapsed() > LULL {
            watch.row = 0;
            return false;
        }
        watch.row = watch.row.saturating_add(1);
        let may = watch.row > ROW && !watch.relieved;
        // A runtime cannot be driven by a thread that drives another one.
        if !may || Handle::try_current().is_ok() {
            return false;
        }
        watch.relieved = true;
        if !self.away.swap(true, Ordering::Relaxed) {
            self.relief.notify_one();
        }
        true
    }

    /// Somebody wants to be served who does not wait in a thread: the IO thread comes back now.
    pub(super) fn recall(&self) {
        if !self.away.load(Ordering::Relaxed) {
            return;
        }
        let mut watch = self.watch.lock();
        watch.row = 0;
        watch.recalled = self.away.load(Ordering::Relaxed);
        if watch.recalled && !watch.relieved {
            self.changed.notify_one();
        }
    }
}

/// Wakes a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// The same as [`Helm::wait`], for a thread that has no part in the work.
pub(crate) fn park(done: Pin<&mut dyn Future<Output = ()>>, at_most: Option<Duration>) -> bool {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut done = pin!(done);
    let until = at_most.map(|limit| Instant::now() + limit);
    loop {
        if let Poll::Ready(()) = done.as_mut().poll(&mut context) {
            return true;
        }
        match until.map(|until| until.saturating_duration_since(Instant::now())) {
            None => thread::park(),
            Some(Duration::ZERO) => return false,
            Some(left) => thread::park_timeout(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::runtime::Builder;
    use tokio::sync::oneshot;

    fn helm() -> Arc<Helm> {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let helm = Arc::new(Helm::new(runtime));
        let io = Arc::clone(&helm);
        thread::spawn(move || io.run());
        helm
    }

    /// A call whose answer a task gives: which thread carried it.
    fn call(helm: &Helm) -> thread::ThreadId {
        let (answer, mut answered) = oneshot::channel();
        drop(helm.handle().spawn(async move {
            tokio::task::yield_now().await;
            let _ = answer.send(thread::current().id());
        }));
        let mut carrier = None;
        let done = async { carrier = (&mut answered).await.ok() };
        assert!(helm.wait(pin!(done), None));
        carrier.expect("an answer")
    }

    /// Calls in a row, until this thread carries one. On a slow machine a row may end early.
    fn until_it_carries(helm: &Helm) {
        while call(helm) != thread::current().id() {}
    }

    #[test]
    fn a_row_of_calls_is_carried_by_the_thread_that_makes_them_but_not_its_first() {
        let helm = helm();
        for _ in 0..ROW {
            assert_ne!(call(&helm), thread::current().id());
        }
        until_it_carries(&helm);
    }

    #[test]
    fn whoever_does_not_wait_in_a_thread_is_served_once_a_row_is_over() {
        let helm = helm();
        for recalls in [false, true] {
            until_it_carries(&helm);
            let (answer, answered) = std::sync::mpsc::channel();
            drop(helm.handle().spawn(async move { answer.send(thread::current().id()) }));
            if recalls {
                helm.recall();
            }
            assert_ne!(answered.recv(), Ok(thread::current().id()));
        }
    }

    #[test]
    fn a_wait_ends_at_its_limit_whoever_carries() {
        let helm = helm();
        let limit = Some(Duration::from_millis(5));
        assert!(!helm.wait(pin!(std::future::pending()), limit));
        until_it_carries(&helm);
        assert!(!helm.wait(pin!(std::future::pending()), limit));
    }

    #[test]
    fn every_call_of_many_threads_is_answered() {
        let helm = helm();
        let calls = |count: u64| {
            let helm = Arc::clone(&helm);
            move || {
                for n in 0..count {
                    call(&helm);
                    match n % 97 {
                        0 => helm.recall(),
                        // So that rows begin and end.
                        1 => thread::sleep(LULL * 2),
                        _ => {}
                    }
                }
            }
        };
        thread::scope(|scope| {
            for count in [1000, 2000, 3000, 4000] {
                scope.spawn(calls(count));
            }
        });
    }
}
