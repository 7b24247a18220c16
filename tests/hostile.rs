//! A client whose server cannot be trusted: whatever comes over the wire, nothing panics, memory stays
//! bounded by what came and not by what was claimed, and the client works once the server does.
//! Three seconds, or `ZKHELPER_FUZZ_SECONDS`.

#![allow(unsafe_code)]

mod support;

use fastrand::Rng;
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};
use support::proxy::Proxy;
use zkhelper::embedded::Server;
use zkhelper::proto::{ConnectResponse, ReplyHeader, WatchMode, WatcherEvent, Writer, xid};
use zkhelper::zk::OpOptions;
use zkhelper::{Client, Options};

/// What all threads hold, the most they held, and the largest piece asked for.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged; counting touches atomics only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(held, Relaxed);
        LARGEST.fetch_max(layout.size(), Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A frame may have 1 MiB and some slack, and a buffer that grows is for a moment held twice.
const LARGEST_PIECE: usize = 4 << 20;
/// For some dozen requests under way, the proxy, both ends of each connection, and all threads.
const MOST_HELD: usize = 24 << 20;

static PANICS: AtomicUsize = AtomicUsize::new(0);

fn frame(body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::new();
    w.frame(body);
    w.into_bytes()
}

/// One connection of the hostile server. It claims no transactions: no honest server would take a client
/// any more that has seen some of the future.
fn attack(rng: &mut Rng, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(20)))?;
    let mut heard = [0; 4096];
    let _ = stream.read(&mut heard)?;
    let greeting = frame(|w| {
        ConnectResponse {
            protocol_version: 0,
            timeout_ms: [0, -1, 1, 200, 4000, i32::MAX][rng.usize(..6)],
            session_id: rng.i64(0..2),
            password: vec![7; 16],
            read_only: rng.bool(),
        }
        .encode(w);
    });
    match rng.u8(..8) {
        0 => return stream.write_all(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
        1 => {
            let mut garbage = vec![0; rng.usize(..3000)];
            rng.fill(&mut garbage);
            return stream.write_all(&garbage);
        }
        _ => stream.write_all(&greeting)?,
    }
    for _ in 0..rng.usize(1..30) {
        let claim = |length: i32, rest: &[u8]| [&length.to_be_bytes()[..], rest].concat();
        let bytes = match rng.u8(..9) {
            0 => claim(i32::MAX, &[0; 100]),
            1 => claim(0xf_ffff, &vec![0; rng.usize(..0x8_0000)]),
            2 => claim(-rng.i32(1..1000), b"x"),
            // An event whose path claims more than its frame holds.
            3 => frame(|w| {
                ReplyHeader { xid: xid::NOTIFICATION, zxid: 0, err: 0 }.encode(w);
                w.i32(1);
                w.i32(3);
                w.i32(rng.i32(..));
            }),
            // A list of two thousand million names.
            4 => frame(|w| {
                ReplyHeader { xid: rng.i32(1..4), zxid: 0, err: 0 }.encode(w);
                w.i32(i32::MAX);
                w.string("a");
            }),
            5 => frame(|w| {
                ReplyHeader { xid: rng.i32(-10..10), zxid: rng.i64(..=0), err: rng.i32(-130..5) }.encode(w);
            }),
            // Two thousand events in one go.
            6 => (0..2000)
                .flat_map(|_| {
                    frame(|w| {
                        ReplyHeader { xid: xid::NOTIFICATION, zxid: -1, err: 0 }.encode(w);
                        WatcherEvent { kind: rng.i32(1..5), state: 3, path: "/a".to_owned() }.encode(w);
                    })
                })
                .collect(),
            7 => {
                let _ = stream.read(&mut heard);
                continue;
            }
            _ => {
                let mut frame = greeting.clone();
                let at = rng.usize(..frame.len());
                frame[at] = rng.u8(..);
                frame
            }
        };
        stream.write_all(&bytes)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_hostile_server_costs_no_panic_and_no_memory_and_the_client_recovers() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Relaxed);
        usual(info);
    }));
    let seconds = std::env::var("ZKHELPER_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(3);
    let seed = std::env::var("ZKHELPER_FUZZ_SEED").ok().and_then(|s| s.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    static STOP: AtomicBool = AtomicBool::new(false);
    static ATTACKS: AtomicUsize = AtomicUsize::new(0);

    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy = Proxy::new(listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        let mut rng = Rng::with_seed(seed);
        for stream in listener.incoming().flatten() {
            if STOP.load(Relaxed) {
                return;
            }
            let _ = attack(&mut rng, stream);
            ATTACKS.fetch_add(1, Relaxed);
        }
    });

    let options = Options {
        session_timeout: Duration::from_secs(4),
        max_backoff: Duration::from_millis(1),
        operation_timeout: Duration::from_millis(50),
        ..Options::default()
    };
    let client = Client::new(&proxy.address().to_string(), options).expect("a client");
    let zk = client.zk();
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let any = OpOptions::default();
        let reads: Vec<_> = (0..8).map(|_| zk.children("/a", any)).collect();
        let (data, watch) = zk.get_watch("/a", any);
        let (there, missing) = zk.exists_watch("/a", any);
        let _ = client.add_watch("/a", WatchMode::PersistentRecursive).await;
        let _ = (data.await, there.await, zk.set("/a", &[1; 5000], -1, any).await);
        drop((watch, missing));
        for read in reads {
            let _ = read.await;
        }
    }
    let (peak, largest) = (PEAK.load(Relaxed), LARGEST.load(Relaxed));
    println!("{} attacks, at most {peak} bytes held, {largest} in one piece", ATTACKS.load(Relaxed));
    assert!(largest < LARGEST_PIECE && peak < MOST_HELD, "{largest}, {peak}, seed {seed}");

    let server = Server::start_with_tick(0, Duration::from_millis(100)).expect("a free port");
    proxy.retarget(server.address().parse().expect("an address"));
    STOP.store(true, Relaxed);
    proxy.cut_now();
    client.wait_connected(Duration::from_secs(60)).await.expect("an honest server at last");
    let patient = OpOptions::until(zk.now() + Duration::from_secs(60));
    zk.children("/", patient).await.expect("an answer");
    client.close(Duration::from_secs(60)).await.expect("closed");
    assert_eq!(PANICS.load(Relaxed), 0, "seed {seed}");
}
