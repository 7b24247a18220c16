//! The client's IO: dials servers and carries bytes between a transport and the logical client.

use super::Inner;
use super::logical::Attempt;
use super::tls::Connector;
use crate::time::Time;
use crate::zk::BoxFuture;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, lookup_host};

/// A byte stream to a server: TCP, or TLS over it.
trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// TCP, by itself or below TLS. By itself whoever submits a request may write it too. It writes one piece at a time, by a
/// call that raises no SIGPIPE; `writev`, which TLS would take otherwise, does.
pub(super) struct Plain {
    read: OwnedReadHalf,
    write: Arc<OwnedWriteHalf>,
}

impl Plain {
    fn new(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self { read, write: Arc::new(write) }
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.write.as_ref().as_ref().poll_write_ready(cx))?;
            match self.write.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A transport, and the end of it on which others than the driver may write, if it has one.
type Dialled = (Box<dyn Transport>, Option<Arc<OwnedWriteHalf>>);

type Dialling = Pin<Box<dyn Future<Output = io::Result<Dialled>> + Send>>;

/// How much is read at once.
const READ_SIZE: usize = 64 * 1024;
/// How many reads follow each other before those who wait for the answers are heard. Long lists that nobody has looked at
/// yet take memory.
const READS: usize = 4;

/// One client's IO, as a task on the IO thread. It ends when the client is over.
pub(super) struct Driver {
    client: Arc<Inner>,
    connector: Option<Connector>,
    transport: Option<Box<dyn Transport>>,
    dialling: Option<Dialling>,
    timer: Option<(Time, BoxFuture<()>)>,
    buffer: Box<[u8]>,
}

impl Driver {
    /// With a connector its connections are secure, without one they are plain.
    pub(super) fn new(client: Arc<Inner>, connector: Option<Connector>) -> Self {
        let buffer = vec![0; READ_SIZE].into_boxed_slice();
        Self { client, connector, transport: None, dialling: None, timer: None, buffer }
    }

    /// Begins an attempt that is due, and sees one under way to its end. True if something happened.
    fn dial(&mut self, cx: &mut Context<'_>) -> bool {
        if self.transport.is_some() {
            return false;
        }
        if let Some(dialling) = &mut self.dialling {
            match dialling.as_mut().poll(cx) {
                Poll::Pending if self.client.with(|logical, _| logical.is_trying()) => return false,
                // Given up meanwhile.
                Poll::Pending => {}
                Poll::Ready(Ok((transport, wire))) => {
                    self.client.with(|logical, now| logical.opened(now));
                    self.transport = Some(transport);
                    *self.client.wire.lock() = wire;
                }
                Poll::Ready(Err(error)) => {
                    self.client.with(|logical, now| {
                        let refused = error.kind() == io::ErrorKind::ConnectionRefused;
                        logical.not_opened(now, &error.to_string(), refused);
                    });
                }
            }
            self.dialling = None;
            return true;
        }
        match self.client.with(|logical, now| logical.poll_dial(now)) {
            Some(attempt) => {
                self.dialling = Some(Box::pin(dial(attempt, self.connector.clone())));
                true
            }
            None => false,
        }
    }

    /// Writes what is to be written and reads what has come. True if the transport ended.
    fn carry(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(transport) = &mut self.transport else { return false };
        let lost = |error: &io::Error| {
            self.client.with(|logical, now| {
                let perhaps = if logical.is_trying() { perhaps(error, self.connector.as_ref()) } else { "" };
                logical.transport_lost(now, &format!("{error}{perhaps}"));
            });
        };
        for reads in 1.. {
            let mut read = ReadBuf::new(&mut self.buffer);
            match Pin::new(&mut *transport).poll_read(cx, &mut read) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if read.filled().is_empty() => {
                    lost(&closed());
                    break;
                }
                Poll::Ready(Ok(())) => {
                    self.client.with(|logical, now| logical.received(now, read.filled()));
                    if reads == READS {
                        // Behind them.
                        cx.waker().wake_by_ref();
                        break;
                    }
                }
                Poll::Ready(Err(error)) => {
                    lost(&error);
                    break;
                }
            }
        }
        let broken = self.client.with(|logical, now| {
            logical.tick(now);
            while !logical.output().is_empty() {
                match Pin::new(&mut *transport).poll_write(cx, logical.output()) {
                    Poll::Pending => return None,
                    Poll::Ready(Ok(0)) => return Some(io::ErrorKind::WriteZero.into()),
                    Poll::Ready(Ok(n)) => logical.wrote(now, n),
                    Poll::Ready(Err(error)) => return Some(error),
                }
            }
            match Pin::new(&mut *transport).poll_flush(cx) {
                Poll::Ready(Err(error)) => Some(error),
                _ => None,
            }
        });
        if let Some(error) = broken {
            lost(&error);
        }
        if self.client.with(|logical, _| logical.wants_transport()) {
            return false;
        }
        // Before the next one opens: nobody writes its bytes on this one.
        *self.client.wire.lock() = None;
        self.transport = None;
        true
    }

    /// Sleeps until something is due. True if it is due now.
    fn wait(&mut self, cx: &mut Context<'_>) -> bool {
        // A timer that rings too early is left alone: with each request the next deadline moves on.
        let due = self.client.with(|logical, _| {
            let due = logical.next_deadline();
            let until = self.timer.as_ref().map_or(due, |(until, _)| due.min(*until));
            *self.client.sleeps_until.lock() = until;
            until
        });
        if self.timer.as_ref().is_none_or(|(until, _)| *until != due) {
            self.timer = Some((due, self.client.runtime.sleep_until(due)));
        }
        let over = self.timer.as_mut().is_some_and(|(_, timer)| timer.as_mut().poll(cx).is_ready());
        if over {
            self.timer = None;
        }
        over
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.client.driven_by(cx.waker());
        loop {
            let again = this.carry(cx) | this.dial(cx);
            if this.transport.is_none() {
                this.client.with(super::logical::Logical::tick);
            }
            if this.client.with(|logical, _| logical.is_over()) {
                return Poll::Ready(());
            }
            if !again && !this.wait(cx) {
                return Poll::Pending;
            }
        }
    }
}

/// A server that reads on and says nothing takes TLS for something else, or stands still.
const UNANSWERED: &str = "TLS: no answer to the handshake; is this a plain-text port?";

/// The end of a connection.
pub(super) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")
}

/// Why a connection may have ended that was open and not answered yet.
fn perhaps(error: &io::Error, connector: Option<&Connector>) -> &'static str {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    match (error.kind(), connector) {
        (BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof, None) => {
            "; it may not serve yet, or want TLS on this port"
        }
        (BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof, Some(tls)) => tls.perhaps(),
        _ => "",
    }
}

/// Connects to a server by one of its addresses; the time there is goes to them in equal shares.
async fn dial(attempt: Attempt, connector: Option<Connector>) -> io::Result<Dialled> {
    let Attempt { host, deadline } = attempt;
    let mut addresses: Vec<_> = lookup_host((host.name.as_str(), host.port)).await?.collect();
    addresses.reverse();
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut any_reached = false;
    while let Some(address) = addresses.pop() {
        let left = deadline.since(Time::now());
        let share = left / u32::try_from(addresses.len() + 1).unwrap_or(u32::MAX);
        let mut reached = false;
        let opening = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let plain = Plain::new(stream);
            let Some(connector) = &connector else {
                let write = Arc::clone(&plain.write);
                return Ok((Box::new(plain) as Box<dyn Transport>, Some(write)));
            };
            reached = true;
            Ok((Box::new(connector.secure(&host, plain).await?) as Box<dyn Transport>, None))
        };
        let failed = match tokio::time::timeout(share, opening).await {
            Ok(Ok(dialled)) => return Ok(dialled),
            Ok(Err(e)) => e,
            Err(_) if reached => io::Error::new(io::ErrorKind::TimedOut, UNANSWERED),
            Err(_) => io::Error::new(io::ErrorKind::TimedOut, "no answer to the connection request"),
        };
        // What was wrong with TLS says more than that nobody listens at another address of the host.
        if reached || !any_reached {
            error = failed;
        }
        any_reached |= reached;
    }
    Err(error)
}
