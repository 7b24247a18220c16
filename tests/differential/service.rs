//! What answers: servers behind sockets, or anything else that takes connections and frames.

use crate::wire::Wire;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use zkhelper::proto::{ConnectRequest, ConnectResponse, Reader, Writer};

/// One server, or an ensemble whose last one leads.
pub(crate) trait Service {
    fn servers(&self) -> usize;

    /// A connection to one of the servers that has not shaken hands.
    fn open(&self, server: usize) -> Box<dyn Link>;

    /// Lets so much of its time pass.
    fn pause(&self, time: Duration);

    /// Its time, from any moment on.
    fn now(&self) -> Duration;
}

/// A connection.
pub(crate) trait Link {
    /// Writes bytes as they are.
    fn write(&mut self, bytes: &[u8]);

    /// The next frame; `None` at the end of the connection.
    fn read_frame(&mut self) -> Option<Vec<u8>>;
}

impl Link for Wire {
    fn write(&mut self, bytes: &[u8]) {
        Self::write(self, bytes);
    }

    fn read_frame(&mut self) -> Option<Vec<u8>> {
        Self::read_frame(self)
    }
}

/// Shakes hands; `None` if the server closes without an answer.
pub(crate) fn connect(
    service: &dyn Service,
    server: usize,
    request: &ConnectRequest,
) -> Option<(Box<dyn Link>, ConnectResponse)> {
    let mut link = service.open(server);
    let mut w = Writer::new();
    w.frame(|w| request.encode(w));
    link.write(&w.into_bytes());
    let answer = link.read_frame()?;
    let response = ConnectResponse::decode(&mut Reader::new(&answer)).expect("a handshake");
    Some((link, response))
}

/// Servers that listen.
pub(crate) struct Sockets {
    addresses: Vec<SocketAddr>,
    began: Instant,
}

impl Sockets {
    pub(crate) fn new(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses, began: Instant::now() }
    }
}

impl Service for Sockets {
    fn servers(&self) -> usize {
        self.addresses.len()
    }

    fn open(&self, server: usize) -> Box<dyn Link> {
        Box::new(Wire::open(self.addresses[server]))
    }

    fn pause(&self, time: Duration) {
        thread::sleep(time);
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}
