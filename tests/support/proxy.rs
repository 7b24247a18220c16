//! A TCP proxy on the loopback interface whose connections a test can hold up, delay, count and reset.
//!
//! One thread of the process serves all proxies. Every method that changes something returns when the
//! change is in force.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::port::Port;

/// Which way bytes travel through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From who connected to the proxy towards its target.
    ToServer,
    /// From the target back.
    ToClient,
}

/// Bytes that one direction of one connection may hold up (by delay) before it stops reading.
const HELD_LIMIT: usize = 4 << 20;

/// A proxy for one target. Dropping it resets its connections and closes its port.
pub struct Proxy {
    shared: Arc<Shared>,
    refuse: mpsc::UnboundedSender<Refuse>,
    port: Port,
}

struct Refuse {
    on: bool,
    done: std::sync::mpsc::SyncSender<io::Result<()>>,
}

type Greeting = Box<dyn Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync>;

struct Shared {
    state: watch::Sender<State>,
    /// Connections now, by number.
    open: Mutex<BTreeSet<u64>>,
    closed: Condvar,
    accepted: AtomicU64,
    cut_after: Mutex<Option<(Direction, usize)>>,
    greeting: OnceLock<Greeting>,
    bytes: [AtomicUsize; 2],
    chunks: [AtomicUsize; 2],
    frames: [AtomicUsize; 2],
}

#[derive(Clone)]
struct State {
    target: SocketAddr,
    frozen: [bool; 2],
    delay: Duration,
    patience: Duration,
    /// Connections with a lower number are to be reset.
    cut_below: u64,
}

impl Proxy {
    #[track_caller]
    pub fn new(target: SocketAddr) -> Self {
        let port = Port::reserve();
        let (refuse, orders) = mpsc::unbounded_channel();
        let state = State {
            target,
            frozen: [false; 2],
            delay: Duration::ZERO,
            patience: Duration::ZERO,
            cut_below: 0,
        };
        let shared = Arc::new(Shared {
            state: watch::Sender::new(state),
            open: Mutex::default(),
            closed: Condvar::new(),
            accepted: AtomicU64::new(0),
            cut_after: Mutex::default(),
            greeting: OnceLock::new(),
            bytes: Default::default(),
            chunks: Default::default(),
            frames: Default::default(),
        });
        proxies().spawn(serve(Arc::clone(&shared), port.address(), orders));
        let proxy = Self { shared, refuse, port };
        proxy.refuse(false);
        proxy
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Ends every fault: bytes travel on at once, new connections are taken.
    #[track_caller]
    pub fn pass(&self) {
        *lock(&self.shared.cut_after) = None;
        self.change(|state| {
            state.frozen = [false; 2];
            state.delay = Duration::ZERO;
        });
        self.refuse(false);
    }

    /// Holds the bytes of one direction. Nothing is lost and neither end is told, not even of a close. While
    /// the way to the server is frozen, a new connection is taken but the target does not see it.
    pub fn freeze(&self, direction: Direction) {
        self.change(|state| state.frozen[direction as usize] = true);
    }

    /// Lets the held bytes of one direction travel on.
    pub fn thaw(&self, direction: Direction) {
        self.change(|state| state.frozen[direction as usize] = false);
    }

    /// Resets every connection, both sides (RST); held bytes are lost. New connections are taken.
    pub fn cut_now(&self) {
        let below = self.shared.accepted.load(Ordering::SeqCst);
        self.change(|state| state.cut_below = below);
        let open = lock(&self.shared.open);
        let some_left = |open: &mut BTreeSet<u64>| open.first().is_some_and(|&oldest| oldest < below);
        drop(self.shared.closed.wait_while(open, some_left));
    }

    /// Refuses new connections, as a port where nobody listens does; those open stay as they are.
    #[track_caller]
    pub fn refuse(&self, on: bool) {
        let (done, result) = std::sync::mpsc::sync_channel(1);
        let result = self.refuse.send(Refuse { on, done }).ok().and_then(|()| result.recv().ok());
        match result {
            Some(Ok(())) => {}
            Some(Err(e)) => panic!("proxy {}: cannot listen: {e}", self.address()),
            None => panic!("proxy {}: it is gone", self.address()),
        }
    }

    /// Lets exactly `count` bytes through in one direction of the *next* connection, then resets both sides.
    pub fn cut_after_bytes(&self, direction: Direction, count: usize) {
        *lock(&self.shared.cut_after) = Some((direction, count));
    }

    /// Every byte takes this much longer from now on, each way. Order and pipelining are kept.
    pub fn delay(&self, delay: Duration) {
        self.change(|state| state.delay = delay);
    }

    /// Sends new connections to another target.
    pub fn retarget(&self, target: SocketAddr) {
        self.change(|state| state.target = target);
    }

    /// How many connections were ever taken.
    pub fn connections(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        lock(&self.shared.open).len()
    }

    /// How many bytes were passed on in one direction, all connections together.
    pub fn bytes(&self, direction: Direction) -> usize {
        self.shared.bytes[direction as usize].load(Ordering::SeqCst)
    }

    /// How many reads brought those bytes: at most the number of writes of the sender, so that requests of
    /// one flight count as one where they were written together.
    pub fn chunks(&self, direction: Direction) -> usize {
        self.shared.chunks[direction as usize].load(Ordering::SeqCst)
    }

    /// The frames that went this way: ZooKeeper's requests and answers, the handshake among them.
    pub fn frames(&self, direction: Direction) -> usize {
        self.shared.frames[direction as usize].load(Ordering::SeqCst)
    }

    /// How long a connection is kept waiting while nobody listens at the target, before it is reset.
    pub fn wait_for_target(&self, patience: Duration) {
        self.change(|state| state.patience = patience);
    }

    /// Rewrites the opening of every connection to the server: nothing is passed on until `rewrite`, given all
    /// that came so far, returns what to send in its place.
    #[track_caller]
    pub fn set_greeting(&self, rewrite: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + Sync + 'static) {
        assert!(self.shared.greeting.set(Box::new(rewrite)).is_ok(), "a proxy rewrites one greeting");
    }

    fn change(&self, f: impl FnOnce(&mut State)) {
        self.shared.state.send_modify(f);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.change(|state| state.cut_below = u64::MAX);
    }
}

/// The thread of all proxies.
fn proxies() -> &'static tokio::runtime::Handle {
    static PROXIES: LazyLock<tokio::runtime::Handle> = LazyLock::new(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.unwrap_or_else(|e| panic!("no runtime for the proxies: {e}"));
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("test-proxies".into())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .unwrap_or_else(|e| panic!("no thread for the proxies: {e}"));
        handle
    });
    &PROXIES
}

/// Takes connections until the proxy is dropped.
async fn serve(shared: Arc<Shared>, address: SocketAddr, mut orders: mpsc::UnboundedReceiver<Refuse>) {
    let mut listener: Option<TcpListener> = None;
    // While connections are refused the port is kept, bound and not listened at, or another program takes it.
    let mut kept: Option<TcpSocket> = None;
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => {
                let Some(Refuse { on, done }) = order else { return };
                let result = if on {
                    listener = None;
                    if kept.is_none() { bound(address).await.map(|socket| kept = Some(socket)) } else { Ok(()) }
                } else if listener.is_none() {
                    let socket = match kept.take() {
                        Some(socket) => Ok(socket),
                        None => bound(address).await,
                    };
                    socket.and_then(|socket| socket.listen(1024)).map(|heard| listener = Some(heard))
                } else {
                    Ok(())
                };
                let _ = done.send(result);
            }
            stream = accept(listener.as_ref()) => {
                let number = {
                    let mut open = lock(&shared.open);
                    let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
                    open.insert(number);
                    number
                };
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    connection(&shared, number, stream).await;
                    lock(&shared.open).remove(&number);
                    shared.closed.notify_all();
                });
            }
        }
    }
}

/// How long a port is waited for that was ours a moment ago.
const PORT_PATIENCE: Duration = Duration::from_secs(10);

/// A program that is being started has all our descriptors until it runs, so a listener that was just closed may
/// be there for a moment longer.
async fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let begun = Instant::now();
    loop {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        match socket.bind(address) {
            Ok(()) => return Ok(socket),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < PORT_PATIENCE => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(e) => return Err(e),
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // No descriptors left, or the like: it may pass.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Why the two ends are to get a reset and not an orderly close.
struct Reset;

impl From<io::Error> for Reset {
    fn from(_: io::Error) -> Self {
        Self
    }
}

async fn connection(shared: &Shared, number: u64, mut client: TcpStream) {
    let mut server: Option<TcpStream> = None;
    let cut_after = lock(&shared.cut_after).take();
    let limit = |way| cut_after.filter(|(direction, _)| *direction == way).map(|(_, count)| count);
    let mut state = shared.state.subscribe();

    let flow = async {
        let mut state = shared.state.subscribe();
        let started = Instant::now();
        let stream = loop {
            let (target, patience) = {
                let now = state.wait_for(|s| !s.frozen[Direction::ToServer as usize]).await;
                let now = now.map_err(|_| Reset)?;
                (now.target, now.patience)
            };
            match TcpStream::connect(target).await {
                Ok(stream) => break stream,
                Err(_) if started.elapsed() < patience => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(e) => return Err(e.into()),
            }
        };
        let server = server.insert(stream);
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let greeting = shared.greeting.get();
        tokio::try_join!(
            pump(shared, Direction::ToServer, from_client, to_server, limit(Direction::ToServer), greeting),
            pump(shared, Direction::ToClient, from_server, to_client, limit(Direction::ToClient), None),
        )?;
        Ok::<(), Reset>(())
    };
    let orderly = tokio::select! {
        biased;
        _ = state.wait_for(|s| s.cut_below > number) => false,
        result = flow => result.is_ok(),
    };
    if !orderly {
        for stream in [Some(&client), server.as_ref()].into_iter().flatten() {
            let _ = stream.set_zero_linger();
        }
    }
}

/// Passes on one direction of one connection until its end of stream.
async fn pump(
    shared: &Shared,
    direction: Direction,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut limit: Option<usize>,
    mut greeting: Option<&Greeting>,
) -> Result<(), Reset> {
    let way = direction as usize;
    let mut state = shared.state.subscribe();
    let mut buffer = vec![0; 64 << 10];
    let mut opening = Vec::new();
    let mut held: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut held_bytes = 0;
    let mut ended = false;
    let mut frames = Frames::default();
    loop {
        let (frozen, delay) = {
            let state = state.borrow_and_update();
            (state.frozen[way], state.delay)
        };
        let due = held.front().map(|(due, _)| *due);
        if ended && due.is_none() {
            to.shutdown().await?;
            return Ok(());
        }
        tokio::select! {
            changed = state.changed() => changed.map_err(|_| Reset)?,
            count = from.read(&mut buffer), if !ended && !frozen && held_bytes < HELD_LIMIT => {
                let mut bytes = buffer[..count?].to_vec();
                ended = bytes.is_empty();
                if let Some(rewrite) = greeting {
                    opening.append(&mut bytes);
                    let Some(rewritten) = rewrite(&opening) else { continue };
                    bytes = rewritten;
                    greeting = None;
                }
                if !bytes.is_empty() {
                    held_bytes += bytes.len();
                    held.push_back((Instant::now() + delay, bytes));
                }
            }
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if !frozen && due.is_some() => {
                let Some((_, mut bytes)) = held.pop_front() else { continue };
                held_bytes -= bytes.len();
                let cut = limit.is_some_and(|left| left <= bytes.len());
                if let Some(left) = &mut limit {
                    bytes.truncate(*left);
                    *left -= bytes.len();
                }
                to.write_all(&bytes).await?;
                shared.bytes[way].fetch_add(bytes.len(), Ordering::SeqCst);
                shared.chunks[way].fetch_add(1, Ordering::SeqCst);
                shared.frames[way].fetch_add(frames.count(&bytes), Ordering::SeqCst);
                if cut {
                    return Err(Reset);
                }
            }
        }
    }
}

/// Counts the frames of a stream: each a length of four bytes, and so many bytes.
#[derive(Default)]
struct Frames {
    header: Vec<u8>,
    /// What is still to come of the present frame.
    left: usize,
}

impl Frames {
    /// How many frames begin in these bytes.
    fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut count = 0;
        while !bytes.is_empty() {
            let passed = self.left.min(bytes.len());
            self.left -= passed;
            bytes = &bytes[passed..];
            let missing = (4 - self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if let Ok(length) = <[u8; 4]>::try_from(self.header.as_slice()) {
                self.left = usize::try_from(i32::from_be_bytes(length)).unwrap_or(0);
                self.header.clear();
                count += 1;
            }
        }
        count
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
