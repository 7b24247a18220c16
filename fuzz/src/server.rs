//! Bytes at the embedded server: whatever comes, it goes on serving others, and never panics.

use crate::Bytes;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use zkhelper::embedded::Server;

/// A server grows by what attackers create: after so many inputs there is a new one.
const INPUTS: usize = 2_000;
/// How long an answer is waited for; a server that never closes the connection is no fault.
const PATIENCE: Duration = Duration::from_millis(300);

/// Speaks to the server with these bytes: some sessions at once, each frame of which is well formed or not.
///
/// # Panics
///
/// Where the server does not answer another client afterwards.
pub fn play(bytes: &[u8]) {
    static SERVER: Mutex<Option<Server>> = Mutex::new(None);
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let mut server = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    if count.is_multiple_of(INPUTS) {
        *server = None;
    }
    let server =
        server.get_or_insert_with(|| Server::start_with_tick(0, Duration::from_millis(100)).expect("a port"));
    let mut bytes = Bytes::new(bytes);
    let mut streams: Vec<_> = (0..1 + bytes.below(3)).map(|_| open(server.address())).collect();
    for stream in &mut streams {
        if !bytes.byte().is_multiple_of(8) {
            // Most inputs are to get past the handshake.
            let _ = stream.write_all(&handshake(&mut bytes));
        }
    }
    while !bytes.is_empty() {
        let at = bytes.below(streams.len());
        let length = usize::from(bytes.byte());
        let _ = match bytes.byte() % 8 {
            // Bytes as they are.
            0 => streams[at].write_all(bytes.take(length)),
            // A frame that says what the input wants of its length.
            1 => {
                let claimed = bytes.word().to_be_bytes();
                streams[at].write_all(&claimed[..4]).and_then(|()| streams[at].write_all(bytes.take(length)))
            }
            // A request: xid, a small operation, and whatever it is about.
            2..5 => {
                let mut frame = vec![0, 0, 0, bytes.byte(), 0, 0, 0, bytes.byte() % 110];
                frame.extend(bytes.take(length));
                streams[at].write_all(&framed(&frame))
            }
            // One about a path, which most operations begin with.
            5..7 => {
                let mut frame = vec![0, 0, 0, bytes.byte(), 0, 0, 0, bytes.byte() % 110];
                let path = bytes.choose(&[
                    "/",
                    "/a",
                    "/a/b",
                    "/a/",
                    "",
                    "a",
                    "/zookeeper",
                    "/zookeeper/config",
                    "/\0",
                ]);
                frame.extend(framed(path.as_bytes()));
                frame.extend(bytes.take(length));
                streams[at].write_all(&framed(&frame))
            }
            _ => {
                streams[at] = open(server.address());
                Ok(())
            }
        };
    }
    for mut stream in streams {
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let mut word = open(server.address());
    let mut said = String::new();
    word.write_all(b"ruok").expect("written");
    word.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    word.read_to_string(&mut said).expect("an answer");
    assert_eq!(said, "imok");
}

fn open(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    stream
}

fn framed(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("short");
    [&length.to_be_bytes(), bytes].concat()
}

/// Version, last zxid, timeout, a new session, password, read-only.
fn handshake(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend([0, 0, bytes.byte(), bytes.byte()]);
    frame.extend([0; 8]);
    frame.extend(framed(&[0; 16]));
    frame.push(0);
    framed(&frame)
}
