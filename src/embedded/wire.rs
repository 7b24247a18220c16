//! The server side of the protocol on a loopback port: one thread, one task for each connection. Whatever
//! bytes come, they can spoil their own connection only.

use super::core::Core;
use super::frames::Next;
use super::outbox::{Flushed, Outbox};
use super::watches::ConnectionId;
use super::words;
use crate::proto::FrameReader;
use std::future::{Future, poll_fn};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// The longest frame a client may send; Apache ZooKeeper's default.
const MAX_FRAME: usize = 0xf_ffff;

/// Serves until the other end of `stop` is dropped.
pub(super) async fn serve(core: Arc<Core>, listener: std::net::TcpListener, mut stop: oneshot::Receiver<()>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    tokio::spawn(tick(Arc::clone(&core)));
    let mut accepting = pin!(accept(core, listener));
    poll_fn(|cx| {
        let stopped = pin!(&mut stop).poll(cx).is_ready();
        if stopped || accepting.as_mut().poll(cx).is_ready() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

async fn tick(core: Arc<Core>) {
    loop {
        tokio::time::sleep(core.until_tick()).await;
        core.tick();
    }
}

async fn accept(core: Arc<Core>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                // Answers are small and awaited. Without the option they only come later.
                let _ = stream.set_nodelay(true);
                tokio::spawn(Connection::new(&core, stream, address).run());
            }
            // Out of descriptors: one may be free a little later.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

struct Connection {
    core: Arc<Core>,
    stream: TcpStream,
    id: ConnectionId,
    outbox: Arc<Outbox>,
    faults: watch::Receiver<()>,
    frames: FrameReader,
    /// A frame that waits for the faults to change.
    held: Option<Vec<u8>>,
    /// The first bytes, until they are known to be a frame's or a four-letter word.
    first: Option<Vec<u8>>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.core.disconnected(self.id);
    }
}

impl Connection {
    fn new(core: &Arc<Core>, stream: TcpStream, address: SocketAddr) -> Self {
        let (id, outbox) = core.connected(address);
        Self {
            core: Arc::clone(core),
            stream,
            id,
            outbox,
            faults: core.subscribe(),
            frames: FrameReader::new(MAX_FRAME),
            held: None,
            first: Some(Vec::new()),
        }
    }

    async fn run(mut self) {
        let mut buffer = vec![0; 16 << 10];
        loop {
            self.faults.mark_unchanged();
            if self.core.is_frozen() {
                if self.faults.changed().await.is_err() {
                    return;
                }
                continue;
            }
            if self.held.is_some() {
                self.handle_frames();
            }
            let flushed = self.outbox.flush(&self.stream);
            if flushed == Flushed::Closed {
                return;
            }
            if !self.wait(flushed == Flushed::Part).await {
                continue;
            }
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => {
                    let delay = self.core.delay();
                    if !delay.is_zero() {
                        tokio::time::sleep(delay).await;
                    }
                    self.take(buffer.get(..n).unwrap_or_default());
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    /// Waits for whatever comes first; true if there may be bytes to read. While the peer does not read its
    /// answers, or a frame is held, nothing more is read from it.
    async fn wait(&mut self, unwritten: bool) -> bool {
        let read = !unwritten && self.held.is_none();
        let mut woken = pin!(self.outbox.wake.notified());
        let mut faults = pin!(self.faults.changed());
        let stream = &self.stream;
        poll_fn(|cx| {
            if read && stream.poll_read_ready(cx).is_ready() {
                return Poll::Ready(true);
            }
            let writable = unwritten && stream.poll_write_ready(cx).is_ready();
            if writable || woken.as_mut().poll(cx).is_ready() || faults.as_mut().poll(cx).is_ready() {
                return Poll::Ready(false);
            }
            Poll::Pending
        })
        .await
    }

    /// Takes bytes as they came.
    fn take(&mut self, bytes: &[u8]) {
        let Some(mut first) = self.first.take() else {
            self.frames.push(bytes);
            return self.handle_frames();
        };
        first.extend_from_slice(bytes);
        let Some(word) = first.first_chunk::<4>() else {
            self.first = Some(first);
            return;
        };
        if let Some(text) = words::answer(*word, || self.core.report()) {
            self.outbox.push_bytes(text.as_bytes());
            return self.outbox.close();
        }
        self.frames.push(&first);
        self.handle_frames();
    }

    fn handle_frames(&mut self) {
        if let Some(frame) = self.held.take() {
            match self.core.handle(self.id, &frame) {
                Next::Continue => {}
                Next::Hold => {
                    self.held = Some(frame);
                    return;
                }
                Next::Close => return self.outbox.close(),
            }
        }
        loop {
            match self.frames.next_frame() {
                Ok(None) => return,
                Err(_) => return self.outbox.close(),
                Ok(Some(frame)) => match self.core.handle(self.id, frame) {
                    Next::Continue => {}
                    Next::Hold => {
                        self.held = Some(frame.to_vec());
                        return;
                    }
                    Next::Close => return self.outbox.close(),
                },
            }
        }
    }
}
