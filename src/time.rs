//! The one place where the clock is read.

use nix::time::{ClockId, clock_gettime};
use std::ops::{Add, Sub};
use std::time::Duration;

/// An instant of a clock that never jumps and that runs on while the machine is suspended
/// (`CLOCK_BOOTTIME`), or of a simulation's virtual clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(Duration);

impl Time {
    /// The greatest instant: never.
    pub const NEVER: Self = Self(Duration::MAX);

    /// The clock's reading.
    pub fn now() -> Self {
        // The call cannot fail with this clock on Linux; were it to, the clock would stand still at
        // its end, where every lease has run out.
        clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Self::NEVER, |t| Self(t.into()))
    }

    /// The instant this long after the clock's origin.
    pub const fn from_origin(since: Duration) -> Self {
        Self(since)
    }

    /// How long after the clock's origin it is.
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// How long after `earlier` it is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(rhs))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(rhs))
    }
}
