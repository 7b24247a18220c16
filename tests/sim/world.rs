//! A process: a clock of its own, timers and tasks, run one at a time in an order that the seed chooses.

use super::agenda::Micros;
use crate::locked::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use zkhelper::Time;
use zkhelper::simulation;
use zkhelper::zk::BoxFuture;

/// The client's IO among the tasks.
pub const IO: usize = 0;

/// How a process's clock runs against true time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    pub ahead: Micros,
    /// How much faster, in millionths.
    pub drift: i64,
}

impl Clock {
    pub fn local(self, at: Micros) -> Micros {
        let signed = i64::try_from(at).expect("small");
        self.ahead + at.saturating_add_signed(signed * self.drift / 1_000_000)
    }

    /// How long a time by this clock is in truth.
    pub fn stretch(self, local: Micros) -> Micros {
        let long = i128::from(local) * 1_000_000 / (1_000_000 + i128::from(self.drift));
        Micros::try_from(long).expect("short")
    }

    /// The first moment at which the clock shows `local`.
    pub fn global(self, local: Micros) -> Micros {
        let target = local.saturating_sub(self.ahead);
        let drift = i128::from(self.drift);
        let guess = i128::from(target) * 1_000_000 / (1_000_000 + drift);
        let mut at = Micros::try_from(guess).expect("small").saturating_sub(2);
        while self.local(at) < local {
            at += 1;
        }
        at
    }
}

pub fn time(local: Micros) -> Time {
    Time::from_origin(Duration::from_micros(local))
}

pub fn micros(time: Time) -> Option<Micros> {
    // Rounded up: a timer must not end early.
    let nanos = time.since_origin().as_nanos();
    Micros::try_from(nanos.div_ceil(1000)).ok().filter(|_| time != Time::NEVER)
}

#[derive(Default)]
pub struct Ready(Mutex<BTreeSet<usize>>);

struct TaskWaker {
    ready: Arc<Ready>,
    task: usize,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.0.lock().insert(self.task);
    }
}

struct State {
    spawned: Vec<BoxFuture<()>>,
    timers: BTreeMap<(Time, u64), Waker>,
    /// How many steps the tasks made, and who waits for how many.
    steps: u64,
    counting: BTreeMap<(u64, u64), Waker>,
    next_timer: u64,
    rng: fastrand::Rng,
    dead: bool,
}

/// What the tasks of one process share.
pub struct Shared {
    now: AtomicU64,
    state: Mutex<State>,
    ready: Arc<Ready>,
}

#[derive(Clone)]
pub struct World(pub Arc<Shared>);

impl World {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Shared {
            now: AtomicU64::new(0),
            state: Mutex::new(State {
                spawned: Vec::new(),
                timers: BTreeMap::new(),
                steps: 0,
                counting: BTreeMap::new(),
                next_timer: 0,
                rng: fastrand::Rng::with_seed(seed),
                dead: false,
            }),
            ready: Arc::default(),
        }))
    }

    pub fn random_below(&self, end: u64) -> u64 {
        self.0.state.lock().rng.u64(0..end.max(1))
    }

    /// Ends after so many further steps of the process's tasks: at any point where one of them awaits.
    pub fn after_steps(&self, steps: u64) -> BoxFuture<()> {
        let at = self.0.state.lock().steps + steps;
        Box::pin(Steps { world: self.clone(), at, id: None })
    }

    pub fn sleep(&self, micros: Micros) -> BoxFuture<()> {
        let until = simulation::World::now(self) + Duration::from_micros(micros);
        simulation::World::sleep_until(self, until)
    }
}

impl simulation::World for World {
    fn now(&self) -> Time {
        time(self.0.now.load(Ordering::Relaxed))
    }

    fn sleep_until(&self, until: Time) -> BoxFuture<()> {
        Box::pin(Sleep { world: self.clone(), until, timer: None })
    }

    fn spawn(&self, task: BoxFuture<()>) {
        let mut state = self.0.state.lock();
        if state.dead {
            drop(state);
            drop(task);
        } else {
            state.spawned.push(task);
        }
    }

    fn random(&self) -> u64 {
        self.0.state.lock().rng.u64(..)
    }
}

struct Sleep {
    world: World,
    until: Time,
    timer: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if simulation::World::now(&self.world) >= self.until {
            return Poll::Ready(());
        }
        let (world, until) = (self.world.clone(), self.until);
        let mut state = world.0.state.lock();
        let id = *self.timer.get_or_insert_with(|| {
            state.next_timer += 1;
            state.next_timer
        });
        if until != Time::NEVER {
            state.timers.insert((until, id), cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.timer {
            let waker = self.world.0.state.lock().timers.remove(&(self.until, id));
            drop(waker);
        }
    }
}

struct Steps {
    world: World,
    at: u64,
    id: Option<u64>,
}

impl Future for Steps {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let world = self.world.clone();
        let mut state = world.0.state.lock();
        if state.steps >= self.at {
            return Poll::Ready(());
        }
        let id = *self.id.get_or_insert_with(|| {
            state.next_timer += 1;
            state.next_timer
        });
        state.counting.insert((self.at, id), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let waker = self.world.0.state.lock().counting.remove(&(self.at, id));
            drop(waker);
        }
    }
}

struct Task {
    future: Option<BoxFuture<()>>,
    waker: Waker,
}

/// The tasks of one process. What is run next is chosen among all that can run.
pub struct Tasks {
    pub world: World,
    list: Vec<Task>,
}

impl Tasks {
    pub fn new(world: World) -> Self {
        let mut this = Self { world, list: Vec::new() };
        this.add(None);
        this
    }

    fn add(&mut self, future: Option<BoxFuture<()>>) -> usize {
        let task = self.list.len();
        let ready = Arc::clone(&self.world.0.ready);
        ready.0.lock().insert(task);
        self.list.push(Task { future, waker: Waker::from(Arc::new(TaskWaker { ready, task })) });
        task
    }

    pub fn start(&mut self, future: BoxFuture<()>) -> usize {
        self.add(Some(future))
    }

    pub fn waker(&self, task: usize) -> &Waker {
        &self.list[task].waker
    }

    pub fn is_live(&self, task: usize) -> bool {
        self.list[task].future.is_some()
    }

    /// How many tasks have not ended.
    pub fn live(&self) -> usize {
        self.list.iter().filter(|task| task.future.is_some()).count()
    }

    pub fn set_now(&self, local: Micros) {
        self.world.0.now.store(local, Ordering::Relaxed);
    }

    /// Wakes what has slept enough, and takes in what was spawned.
    pub fn prepare(&mut self) {
        let now = simulation::World::now(&self.world);
        loop {
            let due = {
                let mut state = self.world.0.state.lock();
                match state.timers.first_key_value() {
                    Some((&(at, _), _)) if at <= now => state.timers.pop_first(),
                    _ => None,
                }
            };
            match due {
                Some((_, waker)) => waker.wake(),
                None => break,
            }
        }
        let spawned = std::mem::take(&mut self.world.0.state.lock().spawned);
        for future in spawned {
            self.add(Some(future));
        }
    }

    /// The first timer.
    pub fn next_timer(&self) -> Time {
        self.world.0.state.lock().timers.first_key_value().map_or(Time::NEVER, |((at, _), _)| *at)
    }

    pub fn pick(&self, rng: &mut fastrand::Rng) -> Option<usize> {
        let mut ready = self.world.0.ready.0.lock();
        let at = match ready.len() {
            0 => return None,
            1 => 0,
            n => rng.usize(0..n),
        };
        let task = ready.iter().nth(at).copied()?;
        ready.remove(&task);
        Some(task)
    }

    /// One step of one task.
    pub fn poll(&mut self, task: usize) {
        let Some(mut future) = self.list[task].future.take() else { return };
        let waker = self.list[task].waker.clone();
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.list[task].future = Some(future);
        }
        let due = {
            let mut state = self.world.0.state.lock();
            state.steps += 1;
            let rest = (state.steps + 1, 0);
            let rest = state.counting.split_off(&rest);
            std::mem::replace(&mut state.counting, rest)
        };
        due.into_values().for_each(Waker::wake);
    }

    /// Drops a task wherever it is.
    pub fn abort(&mut self, task: usize) -> bool {
        self.list[task].future.take().is_some()
    }

    /// The end of the process: nothing runs any more, not even what is spawned by what is dropped.
    pub fn die(&mut self) {
        let spawned = {
            let mut state = self.world.0.state.lock();
            state.dead = true;
            std::mem::take(&mut state.spawned)
        };
        drop(spawned);
        for task in &mut self.list {
            drop(task.future.take());
        }
        self.world.0.ready.0.lock().clear();
    }
}
