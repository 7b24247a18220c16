//! Hostile bytes at the embedded server: nothing panics, memory does not grow, and a session that minds its own
//! business is never disturbed. Five seconds, or `ZKHELPER_FUZZ_SECONDS`.

mod random;
mod wire;

use fastrand::Rng;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use wire::{Answer, Session, Wire, handshake};
use zkhelper::Code;
use zkhelper::embedded::Server;
use zkhelper::proto::{CreateMode, Request, RequestHeader, Response, Writer};

/// What memory may grow by, beside the nodes that the attackers manage to create.
const GROWTH: usize = 48 << 20;

#[test]
fn hostile_bytes_disturb_nobody_else_and_cost_no_memory() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        usual(info);
    }));
    let seconds = std::env::var("ZKHELPER_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(5);
    let server = Server::start_with_tick(0, Duration::from_millis(100)).expect("a free port");
    let address = server.address().parse().expect("an address");
    let end = Instant::now() + Duration::from_secs(seconds);
    let stop = AtomicBool::new(false);
    let seed = fastrand::u64(..);

    let (attacks, checks) = thread::scope(|scope| {
        let attackers = [1, 2].map(|n| scope.spawn(move || attack(address, seed.wrapping_add(n), end)));
        let witness = scope.spawn(|| witness(address, &stop));
        let janitor = scope.spawn(|| clean_up(address, &stop));
        thread::sleep(Duration::from_secs(seconds) / 4);
        let early = memory(address);
        let attacks: u64 = attackers.into_iter().map(|a| a.join().expect("attackers go on")).sum();
        stop.store(true, Ordering::Relaxed);
        let checks = witness.join().expect("the witness is not disturbed");
        janitor.join().expect("the janitor is not disturbed");
        let late = memory(address);
        assert!(late < early + GROWTH, "from {early} to {late} bytes, seed {seed}");
        (attacks, checks)
    });
    assert_eq!(PANICS.load(Ordering::Relaxed), 0, "seed {seed}");
    println!("{attacks} attacks, {checks} checks by the witness in {seconds} s");
}

/// How long the witness may wait, on a machine that is busy with other things too.
const SLOWEST: Duration = Duration::from_secs(20);

/// What every name of the witness begins with.
const WITNESS: &str = "witness-7d0b52-";

/// Deletes what the attackers make, or the tree would grow without end.
fn clean_up(address: SocketAddr, stop: &AtomicBool) {
    let mut session = Session::open(address, 2_000);
    while !stop.load(Ordering::Relaxed) {
        clean_up_below(&mut session, "");
        thread::sleep(Duration::from_millis(50));
    }
}

fn clean_up_below(session: &mut Session, parent: &str) {
    let path = if parent.is_empty() { "/" } else { parent };
    let list = Request::GetChildren { path: path.to_owned(), watch: false };
    let Answer::Ok(Response::Children { children }) = session.ask(list) else { return };
    for name in children.iter().filter(|name| *name != "zookeeper" && !name.starts_with(WITNESS)) {
        let path = format!("{parent}/{name}");
        let delete = Request::Delete { path: path.clone(), version: -1 };
        if session.ask(delete.clone()) == Answer::Error(Code::NOT_EMPTY.number()) {
            clean_up_below(session, &path);
            session.ask(delete);
        }
    }
}

/// Bytes that this process holds, without those that nodes are made of.
fn memory(address: SocketAddr) -> usize {
    use std::io::{Read, Write};
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of it");
    let resident: usize = resident.trim().trim_end_matches(" kB").parse().expect("a number");
    let mut stream = std::net::TcpStream::connect(address).expect("the server listens");
    stream.write_all(b"mntr").expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let value = |name: &str| -> usize {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line of it");
        line.trim().parse().expect("a number")
    };
    // A node costs about so much beside its name and data.
    let nodes = value("zk_approximate_data_size") * 4 + value("zk_znode_count") * 1_024;
    (resident * 1_024).saturating_sub(nodes)
}

/// Goes about its business, and finds nothing changed.
fn witness(address: SocketAddr, stop: &AtomicBool) -> u64 {
    let mut session = Session::open(address, 2_000);
    let own = session.create(&format!("/{WITNESS}"), CreateMode::EphemeralSequential);
    let mut checks = 0;
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        let data = checks.to_string().into_bytes();
        let watched = Request::Exists { path: own.clone(), watch: true };
        assert!(matches!(session.ask(watched), Answer::Ok(_)));
        let set = Request::SetData { path: own.clone(), data: data.clone(), version: checks };
        assert!(matches!(session.ask(set), Answer::Ok(_)), "nobody else sets it");
        assert_eq!(std::mem::take(&mut session.events).len(), 1, "one event for one change");
        assert!(begin.elapsed() < SLOWEST, "answered in {:?}", begin.elapsed());
        checks += 1;
    }
    u64::try_from(checks).expect("not negative")
}

/// Attacks until the end, and counts.
fn attack(address: SocketAddr, seed: u64, end: Instant) -> u64 {
    let mut rng = Rng::with_seed(seed);
    let mut attacks = 0;
    while Instant::now() < end {
        let mut wire = Wire::open(address);
        match rng.u8(0..6) {
            0 => wire.write(&random_bytes(&mut rng, 2_000)),
            1 => {
                let claimed = [i32::MAX, -1, 0xf_ffff, 1 << 20, 0, 3][rng.usize(0..6)];
                wire.write(&claimed.to_be_bytes());
                wire.write(&random_bytes(&mut rng, 200));
            }
            2 => {
                let words = [b"ruok", b"mntr", b"srvr", b"cons", b"kill", b"\0\0\0\0"];
                wire.write(&words[rng.usize(0..words.len())][..rng.usize(0..5)]);
            }
            3 => {
                let mut w = Writer::new();
                w.frame(|w| shake(&mut rng).encode(w));
                let bytes = w.into_bytes();
                wire.write(&spoiled(&mut rng, bytes));
            }
            _ => {
                let mut w = Writer::new();
                w.frame(|w| shake(&mut rng).encode(w));
                wire.write(&w.into_bytes());
                // Some attackers look at what comes back and some never do.
                let reads = rng.bool();
                if reads && wire.read_frame().is_none() {
                    continue;
                }
                for _ in 0..rng.usize(1..40) {
                    let bytes = requests(&mut rng);
                    wire.write(&spoiled(&mut rng, bytes));
                }
                if reads {
                    let _ = wire.read_frame_within(Duration::from_millis(1));
                }
            }
        }
        attacks += 1;
    }
    attacks
}

fn shake(rng: &mut Rng) -> zkhelper::proto::ConnectRequest {
    let id = if rng.u8(0..4) == 0 { rng.i64(..) } else { 0 };
    let password = random_bytes(rng, 20);
    let seen = if rng.u8(0..4) == 0 { rng.i64(..) } else { 0 };
    handshake(rng.i32(0..1_000), id, &password, seen)
}

fn random_bytes(rng: &mut Rng, most: usize) -> Vec<u8> {
    (0..rng.usize(0..most)).map(|_| rng.u8(..)).collect()
}

/// A few frames, most of which the server can read.
fn requests(rng: &mut Rng) -> Vec<u8> {
    let mut w = Writer::new();
    for _ in 0..rng.usize(1..8) {
        let kind = rng.u8(0..random::REQUEST_KINDS);
        let mut request = random::request(rng, kind);
        if rng.bool()
            && let Some(path) = request.path_mut()
        {
            *path = ["/", "/a", "/a/b", "/zookeeper/config", ""][rng.usize(0..5)].to_owned();
        }
        let op = if rng.u8(0..20) == 0 { rng.i32(-20..110) } else { request.op_code() };
        w.frame(|w| {
            RequestHeader { xid: rng.i32(..), op }.encode(w);
            request.encode(w);
        });
    }
    w.into_bytes()
}

fn spoiled(rng: &mut Rng, mut bytes: Vec<u8>) -> Vec<u8> {
    if rng.bool() {
        return bytes;
    }
    for _ in 0..rng.usize(1..4) {
        if bytes.len() < 4 {
            break;
        }
        let at = rng.usize(0..bytes.len() - 3);
        match rng.u8(0..3) {
            0 => bytes[at] = rng.u8(..),
            1 => bytes.truncate(at),
            _ => bytes[at..at + 4].copy_from_slice(&rng.i32(..).to_be_bytes()),
        }
    }
    bytes
}
