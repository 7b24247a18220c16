//! Ports on the loopback interface that stay ours.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// A port that is ours until drop, also while nobody listens on it.
///
/// It lies below the range that the kernel takes outgoing ports from, and an abstract Unix socket of the
/// same number keeps other test processes off it.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _reservation: UnixListener,
}

impl Port {
    #[track_caller]
    pub fn reserve() -> Self {
        const FIRST: u32 = 16_000;
        const COUNT: u32 = 16_000;
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let start = std::process::id().wrapping_mul(97);
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let Ok(number) = u16::try_from(FIRST + start.wrapping_add(step) % COUNT) else { continue };
            let name = format!("zkhelper-test-port-{number}");
            let Ok(name) = std::os::unix::net::SocketAddr::from_abstract_name(name) else { continue };
            let Ok(reservation) = UnixListener::bind_addr(&name) else { continue };
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self { number, _reservation: reservation };
            }
        }
        panic!("no free port from {FIRST} to {}", FIRST + COUNT - 1);
    }

    pub fn number(&self) -> u16 {
        self.number
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}
