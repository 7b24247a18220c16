//! Bytes from a server at our client, in virtual time: whatever comes, every request ends, and nothing panics.

use crate::Bytes;
use parking_lot::{Mutex as Locked, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use zkhelper::client::simulation::{self, Link};
use zkhelper::proto::{CreateMode, MultiOp, WatchMode};
use zkhelper::zk::{BoxFuture, OpOptions};
use zkhelper::{Client, Mutex, MutexOptions, Options, State, Time, acl};

/// Time stands still but for what the input lets pass, and tasks run when we poll them.
#[derive(Default)]
struct Inner {
    now: Locked<Duration>,
    tasks: Locked<Vec<BoxFuture<()>>>,
    chance: AtomicU64,
}

#[derive(Clone, Default)]
struct World(Arc<Inner>);

fn lock<T>(of: &Locked<T>) -> MutexGuard<'_, T> {
    of.lock()
}

impl World {
    fn advance(&self, ms: u64) {
        *lock(&self.0.now) += Duration::from_millis(ms);
    }
}

impl simulation::World for World {
    fn now(&self) -> Time {
        Time::from_origin(*lock(&self.0.now))
    }

    fn sleep_until(&self, until: Time) -> BoxFuture<()> {
        let world = self.clone();
        Box::pin(std::future::poll_fn(move |_| {
            if simulation::World::now(&world) >= until { Poll::Ready(()) } else { Poll::Pending }
        }))
    }

    fn spawn(&self, task: BoxFuture<()>) {
        lock(&self.0.tasks).push(task);
    }

    fn random(&self) -> u64 {
        self.0.chance.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
    }
}

struct Rig {
    world: World,
    client: Client,
    link: Link,
    /// What was asked and has not ended.
    asked: Vec<BoxFuture<()>>,
}

impl Rig {
    /// Lets everything run until it waits.
    fn run(&mut self) {
        let context = &mut Context::from_waker(Waker::noop());
        for _ in 0..4 {
            self.link.tick();
            self.asked.retain_mut(|asked| asked.as_mut().poll(context).is_pending());
            let mut tasks = std::mem::take(&mut *lock(&self.world.0.tasks));
            tasks.retain_mut(|task| task.as_mut().poll(context).is_pending());
            lock(&self.world.0.tasks).append(&mut tasks);
        }
    }

    fn ask(&mut self, bytes: &mut Bytes<'_>) {
        let (zk, default) = (self.client.zk().clone(), OpOptions::default());
        let path = *bytes.choose(&["/a", "/", "/a/b", "/lock"]);
        let asked: BoxFuture<()> = match bytes.below(10) {
            0 => {
                let (read, watch) = zk.get_watch(path, default);
                Box::pin(async move {
                    let _watch = watch;
                    let _ = read.await;
                })
            }
            1 => {
                let (list, watch) = zk.children_watch(path, default);
                Box::pin(async move {
                    let _watch = watch;
                    let _ = list.await;
                })
            }
            2 => {
                let made = zk.create(path, b"x", &acl::default(), CreateMode::EphemeralSequential, default);
                Box::pin(async move { drop(made.await) })
            }
            3 => {
                let check = MultiOp::Check { path: path.to_owned(), version: 1 };
                let several = zk.multi(vec![check.clone(), check], default);
                Box::pin(async move { drop(several.await) })
            }
            4 => {
                let ephemerals = zk.ephemerals(path, default);
                Box::pin(async move { drop(ephemerals.await) })
            }
            5 => {
                let read = zk.get_acl(path, default);
                Box::pin(async move { drop(read.await) })
            }
            6 => {
                let client = self.client.clone();
                Box::pin(async move {
                    let mode = WatchMode::PersistentRecursive;
                    drop(client.add_watch("/a", mode).await);
                })
            }
            7 => {
                let mutex = Mutex::new(&self.client, "/lock", MutexOptions::default()).expect("a path");
                Box::pin(async move { drop(mutex.lock(Some(Duration::from_millis(500)), "").await) })
            }
            8 => {
                let reads = vec![
                    MultiOp::GetData { path: path.to_owned() },
                    MultiOp::GetChildren { path: path.to_owned() },
                ];
                let reads = zk.multi_read(reads, default);
                Box::pin(async move { drop(reads.await) })
            }
            _ => {
                let synced = zk.sync(path, default);
                Box::pin(async move { drop(synced.await) })
            }
        };
        self.asked.push(asked);
    }
}

/// A client asks for this and that, and its server answers with these bytes.
///
/// # Panics
///
/// Where a request does not end once the client is closed.
pub fn play(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let world = World::default();
    let options = Options { session_timeout: Duration::from_secs(3), seed: Some(1), ..Options::default() };
    let (client, link) = simulation::client("a:1,b:2/app", options, world.clone()).expect("an address");
    link.driven_by(Waker::noop());
    let mut rig = Rig { world, client, link, asked: Vec::new() };
    let mut states = rig.client.states();
    while !bytes.is_empty() {
        if rig.link.poll_dial().is_some() {
            match bytes.byte() % 16 {
                0 => rig.link.not_opened("refused"),
                fate => {
                    rig.link.opened();
                    drop(rig.link.take_output());
                    rig.link.received(&if fate == 1 {
                        bytes.take(50).to_vec()
                    } else {
                        greeting(&mut bytes)
                    });
                }
            }
        }
        let length = usize::from(bytes.byte());
        match bytes.byte() % 12 {
            0 => rig.link.received(bytes.take(length)),
            1 => {
                let claimed = bytes.word().to_be_bytes();
                rig.link.received(&claimed[..4]);
                rig.link.received(bytes.take(length));
            }
            2 => {
                let mut frame = vec![255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, bytes.byte(), 0, 0, 0, 0];
                frame.extend([0, 0, 0, bytes.byte() % 6, 0, 0, 0, 3]);
                frame.extend(framed(
                    bytes.choose(&["/app/a", "/app/lock/lock-0000000001", "/app", "/", "x"]).as_bytes(),
                ));
                rig.link.received(&framed(&frame));
            }
            3 => rig.world.advance(u64::from(bytes.byte()) * 8),
            4 => rig.link.transport_lost("reset"),
            5 => drop(rig.link.take_output()),
            6..9 => rig.ask(&mut bytes),
            // An answer: xid, zxid, error, and whatever it is.
            _ => {
                drop(rig.link.take_output());
                let (xid, zxid) = (bytes.byte().cast_signed(), bytes.byte());
                let mut frame = i32::from(xid).to_be_bytes().to_vec();
                frame.extend(u64::from(zxid).to_be_bytes());
                let error = bytes.choose(&[0, 0, 0, -101, -110, -112, -4, i32::MIN]);
                frame.extend(error.to_be_bytes());
                frame.extend(bytes.take(length));
                rig.link.received(&framed(&frame));
            }
        }
        rig.run();
        while states.try_recv().is_ok() {}
    }
    let client = rig.client.clone();
    rig.asked.push(Box::pin(async move { drop(client.close(Duration::from_millis(10)).await) }));
    // The clean-up of an acquire has a deadline of its own, and then the session is over.
    for _ in 0..1_000 {
        rig.run();
        rig.world.advance(100);
        if rig.asked.is_empty() && lock(&rig.world.0.tasks).is_empty() {
            break;
        }
    }
    assert_eq!(rig.asked.len(), 0, "requests that never end");
    assert_eq!(lock(&rig.world.0.tasks).len(), 0, "tasks that never end");
    assert_eq!(rig.client.state(), State::Closed);
}

fn greeting(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let mut frame = vec![0, 0, 0, 0, 0, 0, 5, 0xdc];
    frame.extend([0, 0, 0, 0, 0, 0, 0, u8::from(!bytes.byte().is_multiple_of(16))]);
    frame.extend(framed(&[7; 16]));
    frame.push(0);
    framed(&frame)
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("short");
    [&length.to_be_bytes(), bytes].concat()
}
