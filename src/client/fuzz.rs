//! A client between a caller who does anything in any order and a server whose bytes cannot be
//! trusted. It runs `ZKHELPER_FUZZ_SECONDS`, 3 if that is not set; a failure names the seed.

use super::fake::*;
use super::options::{Auth, Options, WhileSuspended};
use crate::proto::{EventType, MultiOp, MultiResult, Request, Response, Stat, WatchMode, Writer, xid};
use crate::zk::{OpOptions, WatchEvent};
use fastrand::Rng;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// For `ZKHELPER_FUZZ_SECONDS`, split among so many tests that run at the same time.
fn rounds(mut round: impl FnMut(u64)) -> u64 {
    let seconds = std::env::var("ZKHELPER_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    if let Some(seed) = std::env::var("ZKHELPER_FUZZ_SEED").ok().and_then(|text| text.parse().ok()) {
        round(seed);
        return 1;
    }
    let (begun, first) = (Instant::now(), fastrand::u64(..));
    let mut count = 0;
    while begun.elapsed() < Duration::from_secs(seconds) {
        let seed = first.wrapping_add(count);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| round(seed)));
        assert!(caught.is_ok(), "run again with ZKHELPER_FUZZ_SEED={seed}");
        count += 1;
    }
    count
}

fn path(rng: &mut Rng) -> String {
    ["/", "/a", "/a/b", "/app", "/app/x", "/app2", "/ä"][rng.usize(..7)].to_owned()
}

fn request(rng: &mut Rng) -> Request {
    let path = path(rng);
    match rng.u8(..12) {
        0 => set(&path),
        1 => delete(&path),
        2 => Request::Multi(vec![
            MultiOp::Check { path, version: 1 },
            MultiOp::Delete { path: "/d".to_owned(), version: 1 },
        ]),
        3 => Request::GetEphemerals { prefix: path },
        4 => Request::WhoAmI,
        5 => Request::Auth { scheme: "digest".to_owned(), auth: b"u:p".to_vec() },
        6 if rng.u8(..10) == 0 => Request::SetData { path, data: vec![7; rng.usize(..1 << 21)], version: -1 },
        7 => Request::Sync { path },
        8 => Request::GetAcl { path },
        9 => Request::MultiRead(vec![MultiOp::GetData { path }]),
        _ => get(&path),
    }
}

fn honest(rng: &mut Rng, request: &Request) -> Response {
    match request {
        Request::GetData { .. } => Response::Data { data: vec![1; rng.usize(..50)], stat: Stat::default() },
        Request::Exists { .. } | Request::SetData { .. } => stat(),
        Request::GetChildren2 { .. } => {
            Response::Children2 { children: ["c"].iter().collect(), stat: Stat::default() }
        }
        Request::AddWatch { .. } => Response::Code(0),
        Request::Multi(_) => Response::Multi(vec![MultiResult::Check, MultiResult::Error(-101)]),
        Request::GetEphemerals { .. } => Response::Ephemerals(vec![path(rng), path(rng)]),
        Request::Sync { path } => Response::Path(path.clone()),
        _ => Response::Empty,
    }
}

/// What the server says to what it heard: mostly the truth.
fn say(rng: &mut Rng, hostile: bool, sent: &[Sent]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for sent in sent {
        let zxid = rng.i64(0..100);
        bytes.extend(match if hostile { rng.u8(..40) } else { 9 } {
            0 => continue,
            1 => error(sent.xid, zxid, -rng.i32(0..130)),
            2 => reply(sent.xid, zxid, &Response::Create { path: path(rng) }),
            3 => reply(rng.i32(-10..100), zxid, &Response::Empty),
            4 => error(sent.xid, i64::MIN, i32::MIN),
            _ => reply(sent.xid, zxid, &honest(rng, &sent.request)),
        });
        if rng.u8(..4) == 0 {
            let kinds =
                [EventType::Created, EventType::Deleted, EventType::DataChanged, EventType::ChildrenChanged];
            bytes.extend(event(kinds[rng.usize(..4)], &path(rng), zxid));
        }
    }
    if hostile {
        for xid in [xid::SET_WATCHES, xid::PING, xid::AUTH] {
            if rng.u8(..30) == 0 {
                bytes.extend(error(xid, 5, 0));
            }
        }
        spoil(rng, &mut bytes);
    }
    bytes
}

fn spoil(rng: &mut Rng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() || rng.u8(..8) != 0 {
        return;
    }
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..bytes.len());
        match rng.u8(..5) {
            0 => bytes[at] = rng.u8(..),
            1 => bytes[at] ^= 1 << rng.u8(..8),
            2 => bytes.truncate(at.max(1)),
            3 => drop(bytes.splice(at..at, std::iter::repeat_with(|| rng.u8(..)).take(5))),
            _ => {
                let length = [0x7f, 0xff, 0xff, 0xff];
                let end = (at + 4).min(bytes.len());
                bytes[at..end].copy_from_slice(&length[..end - at]);
            }
        }
    }
}

/// A life; answers with how many requests were answered, and how many ended otherwise.
fn one_life(seed: u64) -> (u64, u64) {
    let mut rng = Rng::with_seed(seed);
    let hostile = rng.u8(..3) != 0;
    let options = Options {
        seed: Some(seed),
        auth: vec![Auth { scheme: "digest".to_owned(), credentials: b"a:b".to_vec() }],
        while_suspended: if rng.bool() { WhileSuspended::Wait } else { WhileSuspended::Refuse },
        ..Options::default()
    };
    let mut rig = Rig::new(["a:1", "a:1,b:1/app"][rng.usize(..2)], options);
    let mut asked: Vec<Asked> = Vec::new();
    let mut watches: Vec<(Asked, oneshot::Receiver<WatchEvent>)> = Vec::new();
    let mut streams = Vec::new();
    let mut heard: Vec<Sent> = Vec::new();
    for _ in 0..rng.usize(10..300) {
        match rng.u8(..20) {
            0..4 => {
                let options = OpOptions {
                    deadline: rng.bool().then(|| rig.now + ms(rng.u64(..3000))),
                    session: (rng.u8(..8) == 0).then_some(SESSION),
                    while_suspended: None,
                };
                let request = request(&mut rng);
                asked.push(rig.ask_with(request, options));
            }
            4..7 if rig.logical.state() == super::State::Connected => {
                let path = path(&mut rng);
                let request = [get_watch, exists_watch, children_watch][rng.usize(..3)](&path);
                watches.push(rig.watch(request));
            }
            7 if rig.logical.state() == super::State::Connected => {
                let mode = [WatchMode::Persistent, WatchMode::PersistentRecursive][rng.usize(..2)];
                streams.push(rig.stream(Request::AddWatch { path: path(&mut rng), mode }));
            }
            8 if !asked.is_empty() => {
                let asked = asked.swap_remove(rng.usize(..asked.len()));
                rig.logical.withdraw(asked.tag);
            }
            9 if !watches.is_empty() => {
                let (asked, watch) = watches.swap_remove(rng.usize(..watches.len()));
                rig.logical.withdraw(asked.tag);
                drop(watch);
                rig.logical.unwatch(rig.now, "/a", asked.tag);
            }
            10 => rig.advance(ms(rng.u64(..if hostile { 3000 } else { 800 }))),
            11 if rng.u8(..3) == 0 => rig.lose(),
            12 if rng.u8(..40) == 0 => rig.logical.close(rig.now, rig.now + ms(rng.u64(..5000))),
            13 => {
                // A part of the output, the rest later or never.
                let n = rng.usize(..=rig.logical.output().len());
                let bytes = rig.logical.output()[..n].to_vec();
                rig.logical.wrote(rig.now, n);
                heard.extend(rig.hear(&bytes));
            }
            14 => {
                let mut garbage = vec![0; rng.usize(..100)];
                rng.fill(&mut garbage);
                if hostile && rng.u8(..5) == 0 {
                    rig.feed(&garbage);
                }
            }
            _ => {
                let bytes = rig.logical.output().to_vec();
                rig.logical.wrote(rig.now, bytes.len());
                heard.extend(rig.hear(&bytes));
                let mut bytes = say(&mut rng, hostile, &std::mem::take(&mut heard));
                while !bytes.is_empty() {
                    let rest = bytes.split_off(rng.usize(1..=bytes.len()));
                    rig.feed(&bytes);
                    bytes = rest;
                }
            }
        }
        if rig.logical.poll_dial(rig.now).is_some() {
            heard.clear();
            if rng.u8(..5) == 0 {
                rig.logical.not_opened(rig.now, "refused", true);
            } else {
                rig.logical.opened(rig.now);
                rig.forget();
                let bytes = rig.logical.output().to_vec();
                rig.logical.wrote(rig.now, bytes.len());
                rig.hear(&bytes);
                let mut answer = match rng.u8(..10) {
                    0 => expired(),
                    1 if hostile => handshake(SESSION, rng.i32(..)),
                    _ => handshake(SESSION, rng.i32(1000..10_000)),
                };
                if hostile {
                    spoil(&mut rng, &mut answer);
                }
                rig.feed(&answer);
            }
        }
    }
    rig.logical.close(rig.now, rig.now + ms(100));
    rig.advance(ms(100));
    assert_eq!(rig.logical.state(), super::State::Closed);
    let (mut answered, mut failed) = (0, 0);
    for mut asked in asked.into_iter().chain(watches.into_iter().map(|(asked, _)| asked)) {
        match asked.outcome().expect("every request has ended") {
            Ok(_) => answered += 1,
            // Were its sender dropped without a word, no operation would be named.
            Err(error) => {
                assert_ne!(error.operation(), "", "{error}");
                failed += 1;
            }
        }
    }
    assert_eq!(rig.logical.watch_count(), 0);
    (answered, failed)
}

#[test]
fn no_order_of_calls_and_no_bytes_panic_or_leave_a_request_without_an_end() {
    let (mut answered, mut failed) = (0, 0);
    let count = rounds(|seed| {
        let (more_answered, more_failed) = one_life(seed);
        answered += more_answered;
        failed += more_failed;
    });
    println!("{count} lives of a client, {answered} requests answered and {failed} not");
}

#[test]
fn random_bytes_never_panic() {
    let count = rounds(|seed| {
        let mut rng = Rng::with_seed(seed);
        let mut rig = Rig::connected("a:1", Options::default());
        for _ in 0..rng.usize(..20) {
            let request = request(&mut rng);
            rig.ask(request);
        }
        let mut w = Writer::new();
        // A frame of a fitting length, a header of a kind, then chance.
        w.frame(|w| {
            w.i32([-1, -2, -4, -8, 1, 2, 3][rng.usize(..7)]);
            w.i64(rng.i64(..));
            w.i32(if rng.bool() { 0 } else { rng.i32(..) });
            for _ in 0..rng.usize(..30) {
                match rng.u8(..3) {
                    0 => w.i32(rng.i32(-2..20)),
                    1 => w.i32(rng.i32(..)),
                    _ => w.string("/a"),
                }
            }
        });
        rig.feed(&w.into_bytes());
    });
    println!("{count} answers");
}
