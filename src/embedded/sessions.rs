//! Sessions: who they are, and when they end. Time is an argument, never read.

use super::watches::ConnectionId;
use std::collections::HashMap;

/// What the machine is told about the time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    /// ms since the epoch: for the times in a `Stat`.
    pub(super) wall_ms: i64,
    /// ms on a clock that only goes forward: for whatever ends after a while.
    pub(super) elapsed_ms: i64,
}

/// Where a session stands.
pub(super) struct Session {
    pub(super) password: [u8; 16],
    pub(super) timeout_ms: i32,
    pub(super) connection: Option<ConnectionId>,
    expires_ms: i64,
}

/// All sessions that live.
pub(super) struct Sessions {
    tick_ms: i64,
    next_id: Option<i64>,
    live: HashMap<i64, Session>,
}

impl Sessions {
    pub(super) fn new(tick_ms: i64) -> Self {
        Self { tick_ms: tick_ms.max(1), next_id: None, live: HashMap::new() }
    }

    /// The timeout a client gets that asks for `asked` ms.
    pub(super) fn negotiate(&self, asked: i32) -> i32 {
        let bound = |ticks: i64| i32::try_from(self.tick_ms.saturating_mul(ticks)).unwrap_or(i32::MAX);
        asked.clamp(bound(2), bound(20))
    }

    /// Opens a session; ids grow, and start at the time like Apache ZooKeeper's.
    pub(super) fn open(&mut self, timeout_ms: i32, connection: ConnectionId, now: Now) -> i64 {
        let id = self.next_id.unwrap_or((now.wall_ms << 24 >> 8) & 0x00ff_ffff_ffff_ffff);
        self.next_id = Some(id.wrapping_add(1));
        let mut password = [0; 16];
        fastrand::Rng::new().fill(&mut password);
        let session = Session { password, timeout_ms, connection: Some(connection), expires_ms: 0 };
        self.live.insert(id, session);
        self.touch(id, now);
        id
    }

    pub(super) fn get(&self, id: i64) -> Option<&Session> {
        self.live.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: i64) -> Option<&mut Session> {
        self.live.get_mut(&id)
    }

    /// Puts the session's end off. Ends are rounded up to whole ticks, so a session lives a little longer
    /// than its timeout.
    pub(super) fn touch(&mut self, id: i64, now: Now) {
        if let Some(session) = self.live.get_mut(&id) {
            let end = now.elapsed_ms.saturating_add(i64::from(session.timeout_ms));
            session.expires_ms = (end / self.tick_ms).saturating_add(1).saturating_mul(self.tick_ms);
        }
    }

    /// Those whose end has come, the earliest first.
    pub(super) fn overdue(&self, now: Now) -> Vec<i64> {
        let mut overdue: Vec<_> = self
            .live
            .iter()
            .filter(|(_, session)| session.expires_ms <= now.elapsed_ms)
            .map(|(id, session)| (session.expires_ms, *id))
            .collect();
        overdue.sort_unstable();
        overdue.into_iter().map(|(_, id)| id).collect()
    }

    /// Ends a session.
    pub(super) fn close(&mut self, id: i64) -> Option<Session> {
        self.live.remove(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, &Session)> {
        self.live.iter().map(|(id, session)| (*id, session))
    }

    pub(super) fn len(&self) -> usize {
        self.live.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Now {
        Now { wall_ms: 1_700_000_000_000 + ms, elapsed_ms: ms }
    }

    #[test]
    fn timeouts_are_kept_between_two_and_twenty_ticks() {
        let sessions = Sessions::new(100);
        assert_eq!([-1, 0, 300, i32::MAX].map(|asked| sessions.negotiate(asked)), [200, 200, 300, 2000]);
    }

    #[test]
    fn a_session_ends_a_whole_tick_after_its_timeout_unless_it_is_touched() {
        let mut sessions = Sessions::new(100);
        let id = sessions.open(250, 1, at(0));
        assert!(sessions.overdue(at(299)).is_empty());
        sessions.touch(id, at(299));
        assert!(sessions.overdue(at(599)).is_empty());
        assert_eq!(sessions.overdue(at(600)), [id]);
    }

    #[test]
    fn ids_are_positive_and_different() {
        let mut sessions = Sessions::new(100);
        let (a, b) = (sessions.open(250, 1, at(0)), sessions.open(250, 2, at(0)));
        assert!(0 < a && a < b);
    }
}
