//! The rows of the comparison, over any client with futures.

use super::{Cost, Order, PATHS, SESSIONS};
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::spawn_local;

/// One session of a client, and its lock.
pub trait Peer: Clone + 'static {
    type Lock;
    type Held;
    async fn connect(address: &str) -> Self;
    /// Makes a node that stays, with its parents.
    async fn make(&self, path: &str);
    fn lock_on(&self, path: &str) -> Self::Lock;
    async fn acquire(&self, lock: &Self::Lock) -> Self::Held;
    async fn release(&self, held: Self::Held);
    async fn count(&self, path: &str) -> usize;
    /// Leads once, as a candidate of its own: says so, and gives up the lead at once when told.
    async fn lead(&self, path: &str, led: mpsc::UnboundedSender<Instant>, resign: Rc<tokio::sync::Notify>);
    async fn close(self);
}

pub async fn run<P: Peer>(address: &str, order: &Order) -> Cost {
    match order.row.as_str() {
        "alone" => alone::<P>(address, order).await,
        "paths" => paths::<P>(address, order).await,
        "handoff" => handoff::<P>(address, order).await,
        "drain" => drain::<P>(address, order).await,
        "election" => election::<P>(address, order).await,
        other => panic!("no row {other}"),
    }
}

async fn alone<P: Peer>(address: &str, order: &Order) -> Cost {
    let session = P::connect(address).await;
    session.make(&order.path).await;
    let lock = session.lock_on(&order.path);
    let mut each = Vec::with_capacity(order.count);
    let begin = Instant::now();
    for _ in 0..order.count {
        let begin = Instant::now();
        let held = session.acquire(&lock).await;
        session.release(held).await;
        each.push(begin.elapsed());
    }
    let total = begin.elapsed();
    drop(lock);
    session.close().await;
    Cost { cycles: order.count, total, each }
}

async fn cycles<P: Peer>(session: P, path: String, count: usize) {
    let lock = session.lock_on(&path);
    for _ in 0..count {
        let held = session.acquire(&lock).await;
        session.release(held).await;
    }
}

async fn paths<P: Peer>(address: &str, order: &Order) -> Cost {
    let session = P::connect(address).await;
    let paths: Vec<_> = (0..PATHS).map(|i| format!("{}/{i}", order.path)).collect();
    for path in &paths {
        session.make(path).await;
    }
    let begin = Instant::now();
    let tasks: Vec<_> = paths.into_iter().map(|path| spawn_local(cycles(session.clone(), path, order.count))).collect();
    for task in tasks {
        task.await.expect("a worker");
    }
    let total = begin.elapsed();
    session.close().await;
    Cost { cycles: PATHS * order.count, total, each: Vec::new() }
}

async fn handoff<P: Peer>(address: &str, order: &Order) -> Cost {
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(P::connect(address).await);
    }
    sessions[0].make(&order.path).await;
    let begin = Instant::now();
    let tasks: Vec<_> =
        sessions.iter().map(|session| spawn_local(cycles(session.clone(), order.path.clone(), order.count))).collect();
    for task in tasks {
        task.await.expect("a worker");
    }
    let total = begin.elapsed();
    for session in sessions {
        session.close().await;
    }
    Cost { cycles: SESSIONS * order.count, total, each: Vec::new() }
}

async fn drain<P: Peer>(address: &str, order: &Order) -> Cost {
    let session = P::connect(address).await;
    session.make(&order.path).await;
    let first = session.lock_on(&order.path);
    let held = session.acquire(&first).await;
    let tasks: Vec<_> =
        (0..order.count).map(|_| spawn_local(cycles(session.clone(), order.path.clone(), 1))).collect();
    while session.count(&order.path).await <= order.count {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // So that the last ones watch, too.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begin = Instant::now();
    session.release(held).await;
    for task in tasks {
        task.await.expect("a waiter");
    }
    let total = begin.elapsed();
    drop(first);
    session.close().await;
    Cost { cycles: order.count, total, each: Vec::new() }
}

/// Two candidates lead in turn. A fail-over is counted from the moment that the leader is told to give up.
async fn election<P: Peer>(address: &str, order: &Order) -> Cost {
    let (led, mut news) = mpsc::unbounded_channel();
    let resign = Rc::new(tokio::sync::Notify::new());
    let over = Rc::new(Cell::new(false));
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let session = P::connect(address).await;
        session.make(&order.path).await;
        sessions.push(session);
    }
    let candidates: Vec<_> = sessions
        .iter()
        .map(|session| {
            let (session, path) = (session.clone(), order.path.clone());
            let (led, resign, over) = (led.clone(), Rc::clone(&resign), Rc::clone(&over));
            spawn_local(async move {
                while !over.get() {
                    session.lead(&path, led.clone(), Rc::clone(&resign)).await;
                }
            })
        })
        .collect();
    news.recv().await;
    let mut each = Vec::new();
    let begin = Instant::now();
    for _ in 0..order.count {
        // The other candidate stands ready by now.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let told = Instant::now();
        resign.notify_one();
        let leads = news.recv().await.expect("a leader");
        each.push(leads.saturating_duration_since(told));
    }
    let total = begin.elapsed();
    over.set(true);
    resign.notify_one();
    news.recv().await;
    resign.notify_one();
    for candidate in candidates {
        candidate.await.expect("a candidate");
    }
    for session in sessions {
        session.close().await;
    }
    Cost { cycles: order.count, total, each }
}
