//! What is said to a ZooKeeper server over a plain socket: four-letter words, and a new session's greeting.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Sends one word and returns the whole answer. Each step on the socket is bounded by `limit`.
///
/// A server that is still starting may take the connection and never answer: ask again then.
pub fn four_letter_word(server: SocketAddr, word: &str, limit: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&server, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Asks for a session of four seconds, and ends it once it is there. Each step on the socket is bounded by `limit`.
pub fn try_session(server: SocketAddr, limit: Duration) -> io::Result<()> {
    const LENGTH: usize = 45;
    let mut greeting = [0; 4 + LENGTH];
    greeting[3] = LENGTH as u8;
    // Behind protocol version and last zxid; then session and password, all zero, and whether it may be read-only.
    greeting[16..20].copy_from_slice(&4000_i32.to_be_bytes());
    greeting[31] = 16;
    let mut stream = TcpStream::connect_timeout(&server, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(&greeting)?;
    let mut answer = [0; 4 + 36];
    stream.read_exact(&mut answer)?;
    // closeSession.
    stream.write_all(&[0, 0, 0, 8, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xf5])
}
