//! How a client behaves.

use super::tls::Tls;
use crate::error::{Code, Error, Result};
use std::fmt;
use std::time::Duration;

/// What to do with an operation while no server is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhileSuspended {
    /// Keep it until a server is connected or its deadline passes.
    #[default]
    Wait,
    /// Refuse it at once with [`Code::NOT_SENT`].
    Refuse,
}

/// A client's options.
#[derive(Clone)]
pub struct Options {
    /// The session timeout asked for, in whole milliseconds; the server negotiates it into its own limits,
    /// by default 2 to 20 of its ticks. Default 10 s.
    pub session_timeout: Duration,
    /// How long one round over all the servers may take, shared evenly among them; also how long
    /// [`crate::Client::connect`] waits for the first session. While there is a session, a round takes no
    /// longer than its timeout; a server is given 50 ms at the least, and a lone one that was silent for a
    /// session timeout takes 1.6 of them to answer a handshake. Default 10 s.
    pub connect_timeout: Duration,
    /// How long a connection may be silent before it is given up and another one is made, at most two thirds
    /// of the session timeout. Default: these.
    pub max_silence: Option<Duration>,
    /// The deadline of an operation that is given none. Default 15 s.
    pub operation_timeout: Duration,
    /// What to do with operations while no server is connected. Default: they wait.
    pub while_suspended: WhileSuspended,
    /// The longest pause between two rounds over the servers. The first round after a connection that held
    /// has no pause before it; then they double from 50 ms, and half of each is chance. Default 1 s.
    pub max_backoff: Duration,
    /// The longest frame, in bytes, accepted from a server and sent to one: its `jute.maxbuffer`. Default 1
    /// MiB less one byte, as the servers'; 64 KiB are added to what is accepted. A server breaks the
    /// connection over a longer request, so it is refused here.
    pub max_frame: usize,
    /// Credentials, replayed first on every connection: scheme and what the scheme wants.
    pub auth: Vec<Auth>,
    /// Connect by TLS, and how. Default: in plain text. [`crate::Client::new`] says what is wrong with it.
    pub tls: Option<Tls>,
    /// Re-attach to this session instead of asking for a new one. If it is over, that is told as a loss,
    /// and a new one is made.
    pub reattach: Option<Reattach>,
    /// How often the locks of this client are renewed: one write for all of them. Default: at a sixth
    /// of the session timeout, or of the shortest lease in strict mode.
    pub renew_interval: Option<Duration>,
    /// How much faster or slower than another machine's this machine's clock may run, as a fraction.
    /// Default 0.01.
    pub clock_drift: f64,
    /// The seed of what is random here: the order of servers and the jitter. Default: from the system.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            session_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            max_silence: None,
            operation_timeout: Duration::from_secs(15),
            while_suspended: WhileSuspended::Wait,
            max_backoff: Duration::from_secs(1),
            max_frame: 0xf_ffff,
            auth: Vec::new(),
            tls: None,
            reattach: None,
            renew_interval: None,
            clock_drift: 0.01,
            seed: None,
        }
    }
}

/// Credentials are not shown.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("session_timeout", &self.session_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("max_silence", &self.max_silence)
            .field("operation_timeout", &self.operation_timeout)
            .field("while_suspended", &self.while_suspended)
            .field("max_backoff", &self.max_backoff)
            .field("max_frame", &self.max_frame)
            .field("auth", &self.auth)
            .field("tls", &self.tls)
            .field("renew_interval", &self.renew_interval)
            .field("clock_drift", &self.clock_drift)
            .field("reattach", &self.reattach)
            .field("seed", &self.seed)
            .finish()
    }
}

impl Options {
    /// Refuses values that cannot work with [`Code::BAD_ARGUMENT`], and names them.
    pub fn validate(&self) -> Result<()> {
        let range = |name: &str, value: Duration, least: u64, most: u64| {
            let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
            if value < least || value > most {
                let text = format!("{name} is {value:?}, it must be within {least:?} and {most:?}");
                return Err(Error::new(Code::BAD_ARGUMENT).because(text));
            }
            Ok(())
        };
        // The wire has 31 bits of milliseconds for the session timeout.
        range("session_timeout", self.session_timeout, 1, i32::MAX as u64)?;
        range("connect_timeout", self.connect_timeout, 1, i32::MAX as u64)?;
        range("operation_timeout", self.operation_timeout, 1, i32::MAX as u64)?;
        range("max_backoff", self.max_backoff, 1, 3_600_000)?;
        if let Some(silence) = self.max_silence {
            range("max_silence", silence, 10, i32::MAX as u64)?;
        }
        if let Some(interval) = self.renew_interval {
            range("renew_interval", interval, 1, i32::MAX as u64)?;
        }
        if !(0.0..=0.5).contains(&self.clock_drift) {
            let text = format!("clock_drift is {}, it must be within 0 and 0.5", self.clock_drift);
            return Err(Error::new(Code::BAD_ARGUMENT).because(text));
        }
        if self.max_frame < 1024 || self.max_frame > 1 << 30 {
            let text = format!("max_frame is {}, it must be within 1024 and {}", self.max_frame, 1 << 30);
            return Err(Error::new(Code::BAD_ARGUMENT).because(text));
        }
        Ok(())
    }
}

/// Credentials of one scheme.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth {
    /// `digest`, …
    pub scheme: String,
    /// For `digest`: `user:password`.
    pub credentials: Vec<u8>,
}

/// The credentials are not shown.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}

/// A session to re-attach to.
#[derive(Clone, PartialEq, Eq)]
pub struct Reattach {
    /// Its id.
    pub session_id: i64,
    /// Its password.
    pub password: Vec<u8>,
    /// The last zxid its client had seen; 0 if that is not known.
    pub last_zxid: i64,
}

/// The password is not shown.
impl fmt::Debug for Reattach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reattach({:#x})", self.session_id)
    }
}
