//! The codec under random values and under hostile bytes: what is written reads back, what is cut short is
//! an error, nothing panics, and no length that a peer claims makes the process allocate for it.
//!
//! `ZKHELPER_SEED` replays one seed; `ZKHELPER_FUZZ_SECONDS` runs for that long instead of a moment.

#![allow(unsafe_code)] // the counting allocator; the crate itself has none here

mod random;

use fastrand::Rng;
use random::{REQUEST_KINDS, bytes, request, responses, stat, text};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};
use zkhelper::proto::{
    ConnectRequest, ConnectResponse, CreateMode, FrameReader, Reader, ReplyHeader, Request, RequestHeader,
    Response, Stat, WatcherEvent, Writer, op_code,
};

/// Counts the bytes that one thread holds, and the most it held.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches const thread-locals only,
// which neither allocate nor run a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes held at once while `work` ran, beyond those held before.
fn peak_of(work: impl FnOnce()) -> usize {
    let before = HELD.get();
    PEAK.set(before);
    work();
    (PEAK.get() - before) as usize
}

/// Runs `case` over seeds: a fixed number of them, or for as long as was asked, or the one that was asked for.
fn for_seeds(count: u64, case: impl Fn(&mut Rng)) {
    let setting = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let run = |seed: u64| {
        let shown = ShowSeed(seed);
        case(&mut Rng::with_seed(seed));
        drop(shown);
    };
    match (setting("ZKHELPER_SEED"), setting("ZKHELPER_FUZZ_SECONDS")) {
        (Some(seed), _) => run(seed),
        (None, Some(seconds)) => {
            let end = Instant::now() + Duration::from_secs(seconds);
            let mut seed = fastrand::u64(..);
            while Instant::now() < end {
                run(seed);
                seed = seed.wrapping_add(1);
            }
        }
        (None, None) => (0..count).for_each(run),
    }
}

/// Says which seed it was when a case panics.
struct ShowSeed(u64);

impl Drop for ShowSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay with ZKHELPER_SEED={}", self.0);
        }
    }
}

fn encoded(encode: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut w = Writer::new();
    encode(&mut w);
    w.into_bytes()
}

/// `decode` gives `value` back from its bytes, reads them all, and refuses every beginning of them.
fn check_round_trip<T: PartialEq + std::fmt::Debug, E: std::fmt::Debug>(
    value: &T,
    bytes: &[u8],
    shorter_is_valid: impl Fn(usize) -> bool,
    decode: impl Fn(&mut Reader<'_>) -> Result<T, E>,
) {
    let mut r = Reader::new(bytes);
    assert_eq!(&decode(&mut r).expect("what was written reads back"), value);
    r.finish("record").expect("nothing is left over");
    for len in 0..bytes.len() {
        if !shorter_is_valid(len) {
            let cut = bytes.get(..len).expect("a beginning");
            assert!(decode(&mut Reader::new(cut)).is_err(), "{len} of {} bytes read: {value:?}", bytes.len());
        }
    }
}

#[test]
fn every_record_reads_back_and_none_reads_when_it_is_cut_short() {
    let never = |_: usize| false;
    for_seeds(200, |rng| {
        let value = stat(rng);
        check_round_trip(&value, &encoded(|w| value.encode(w)), never, Stat::decode);
        let value = WatcherEvent { kind: rng.i32(..), state: rng.i32(..), path: text(rng) };
        check_round_trip(&value, &encoded(|w| value.encode(w)), never, WatcherEvent::decode);
        let value = RequestHeader { xid: rng.i32(..), op: rng.i32(..) };
        check_round_trip(&value, &encoded(|w| value.encode(w)), never, RequestHeader::decode);
        let value = ReplyHeader { xid: rng.i32(..), zxid: rng.i64(..), err: rng.i32(..) };
        check_round_trip(&value, &encoded(|w| value.encode(w)), never, ReplyHeader::decode);

        // The last byte of a handshake is optional: peers before 3.4 do not know it.
        let value = ConnectRequest {
            protocol_version: rng.i32(..),
            last_zxid_seen: rng.i64(..),
            timeout_ms: rng.i32(..),
            session_id: rng.i64(..),
            password: bytes(rng),
            read_only: rng.bool(),
        };
        let bytes_of = encoded(|w| value.encode(w));
        check_round_trip(&value, &bytes_of, |len| len == bytes_of.len() - 1, ConnectRequest::decode);
        let value = ConnectResponse {
            protocol_version: rng.i32(..),
            timeout_ms: rng.i32(..),
            session_id: rng.i64(..),
            password: bytes(rng),
            read_only: rng.bool(),
        };
        let bytes_of = encoded(|w| value.encode(w));
        check_round_trip(&value, &bytes_of, |len| len == bytes_of.len() - 1, ConnectResponse::decode);
    });
}

/// `Debug` of a request hides its data, so requests are compared by value and shown by name.
#[test]
fn every_request_reads_back_and_none_reads_when_it_is_cut_short() {
    for_seeds(100, |rng| {
        for kind in 0..REQUEST_KINDS {
            let value = request(rng, kind);
            check_round_trip(
                &value,
                &encoded(|w| value.encode(w)),
                |_| false,
                |r| match Request::decode(value.op_code(), r) {
                    Ok(Some(request)) => Ok(request),
                    Ok(None) => Err("unknown operation".to_owned()),
                    Err(e) => Err(e.to_string()),
                },
            );
        }
    });
}

#[test]
fn every_answer_reads_back_and_none_reads_when_it_is_cut_short() {
    for_seeds(100, |rng| {
        for (op, value) in responses(rng) {
            let bytes = encoded(|w| value.encode(w));
            assert_eq!(
                Response::decode(op, Reader::new(&bytes)).expect("what was written reads back"),
                value
            );
            for len in 0..bytes.len() {
                let cut = bytes.get(..len).expect("a beginning");
                assert!(Response::decode(op, Reader::new(cut)).is_err(), "{len} of {} bytes", bytes.len());
            }
        }
    });
}

#[test]
fn frames_come_out_whole_however_the_stream_is_cut() {
    for_seeds(200, |rng| {
        let bodies: Vec<Vec<u8>> =
            (0..rng.usize(1..20)).map(|_| vec![rng.u8(..); rng.usize(0..300)]).collect();
        let stream = encoded(|w| {
            for body in &bodies {
                w.frame(|w| body.iter().for_each(|byte| w.bool(*byte & 1 == 1)));
            }
        });
        let mut reader = FrameReader::new(300);
        let mut seen = Vec::new();
        let mut rest = stream.as_slice();
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(rng.usize(1..=rest.len().min(64)));
            reader.push(head);
            while let Some(frame) = reader.next_frame().expect("no frame over the cap") {
                seen.push(frame.len());
            }
            rest = tail;
        }
        assert_eq!(seen, bodies.iter().map(Vec::len).collect::<Vec<_>>());
    });
}

#[test]
fn a_create_with_the_mode_of_another_operation_is_told_from_one_that_cannot_be_read() {
    let body = |flags: i32| {
        encoded(|w| {
            w.string("/a");
            w.bytes(b"");
            w.i32(0);
            w.i32(flags);
        })
    };
    let decode = |op, flags| Request::decode(op, &mut Reader::new(&body(flags)));
    for flags in [-1, 5, 6, 7] {
        assert_eq!(decode(op_code::CREATE, flags).expect_err("refused").field, "flags");
    }
    assert_eq!(decode(op_code::CREATE_CONTAINER, 0).expect_err("refused").field, "flags");
    assert!(matches!(
        decode(op_code::CREATE, 4),
        Ok(Some(Request::Create { mode: CreateMode::Persistent, with_stat: false, .. }))
    ));
}

/// What reading may hold at most for each byte that came: a vector of empty strings is the worst, with the
/// vector's doubling on top.
const HELD_FOR_A_BYTE: usize = 48;

fn read_everything(bytes: &[u8]) {
    let mut codes: Vec<i32> = (-12..=23).chain(99..=108).collect();
    codes.push(i32::MAX);
    for op in codes {
        drop(Request::decode(op, &mut Reader::new(bytes)));
        drop(Response::decode(op, Reader::new(bytes)));
    }
    drop(ConnectRequest::decode(&mut Reader::new(bytes)));
    drop(ConnectResponse::decode(&mut Reader::new(bytes)));
    drop(WatcherEvent::decode(&mut Reader::new(bytes)));
    drop(ReplyHeader::decode(&mut Reader::new(bytes)));
    drop(RequestHeader::decode(&mut Reader::new(bytes)));
    let mut frames = FrameReader::new(1 << 20);
    frames.push(bytes);
    while let Ok(Some(_)) = frames.next_frame() {}
}

#[test]
fn hostile_bytes_neither_panic_nor_make_a_reader_allocate() {
    let hostile = [i32::MAX, i32::MIN, -1, -2, 0x00ff_ffff, 1 << 20, 4096];
    for_seeds(1_000, |rng| {
        let mut bytes = match rng.u8(0..4) {
            0 => (0..rng.usize(0..400)).map(|_| rng.u8(..)).collect(),
            1 => vec![0; rng.usize(0..400)],
            2 => {
                let kind = rng.u8(0..REQUEST_KINDS);
                let value = request(rng, kind);
                encoded(|w| value.encode(w))
            }
            _ => {
                let mut all = responses(rng);
                let (_, value) = all.swap_remove(rng.usize(0..all.len()));
                encoded(|w| value.encode(w))
            }
        };
        for _ in 0..rng.usize(0..4) {
            if bytes.len() < 4 {
                break;
            }
            let at = rng.usize(0..bytes.len() - 3);
            match rng.u8(0..3) {
                0 => bytes[at] = rng.u8(..),
                1 => bytes.truncate(at),
                _ => bytes[at..at + 4].copy_from_slice(&hostile[rng.usize(0..hostile.len())].to_be_bytes()),
            }
        }
        let peak = peak_of(|| read_everything(&bytes));
        // An error and the first push of a vector cost a little whatever came.
        assert!(peak <= 2_048 + HELD_FOR_A_BYTE * bytes.len(), "{peak} bytes held for {}", bytes.len());
    });
}

#[test]
fn a_stream_that_claims_a_huge_frame_is_refused_or_holds_only_what_came() {
    let mut refused = FrameReader::new(1 << 20);
    refused.push(&i32::MAX.to_be_bytes());
    assert!(refused.next_frame().is_err());
    let mut negative = FrameReader::new(1 << 20);
    negative.push(&(-1i32).to_be_bytes());
    assert!(negative.next_frame().is_err());

    let peak = peak_of(|| {
        let mut waiting = FrameReader::new(1 << 30);
        waiting.push(&(1i32 << 30).to_be_bytes());
        waiting.push(&[0; 1_000]);
        assert!(matches!(waiting.next_frame(), Ok(None)));
    });
    assert!(peak < 8_192, "{peak} bytes held for 1,004");
}
