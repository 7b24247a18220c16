//! Until when a session is certain to live, from what its answers prove.
//!
//! A server's answer alone proves little: a follower that is cut off from its leader answers pings
//! and reads, and what it hears of a session reaches the leader, where sessions expire, only with its own pings.
//! What proves that the leader of the quorum started the session's clock no earlier than *a* is a chain on
//! one connection: a request sent at *a* was answered; a `sync` or write, sent later than that by more
//! than the servers' ping interval, was answered, so the leader heard from the follower what it had to tell; and a
//! write, sent after that, was answered, so that leader had its quorum. A connect request is
//! checked at the leader itself: it counts from its sending once a write was answered behind it.

use crate::mutant::{Mutant, mutated};
use crate::time::Time;
use std::collections::VecDeque;
use std::time::Duration;

/// What an answered request can prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Its server ran.
    Read,
    /// Its server's leader ran.
    Sync,
    /// A quorum committed it.
    Write,
}

/// More links than this are not kept: older ones prove less.
const LINKS: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Link {
    /// When the first request of the chain was sent.
    begun: Time,
    /// When the last one was answered.
    answered: Time,
}

/// The chains under way on the present connection, and what was proven so far.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    /// The connect request, until a write is answered behind it.
    connect: Option<Time>,
    /// Requests answered; the next link has to be sent a ping interval later.
    first: VecDeque<Link>,
    /// Chains that lack the last write.
    second: VecDeque<Link>,
    /// The session's clock was started at the leader no earlier than this.
    proven: Option<Time>,
}

impl Proof {
    /// A new connection, whose connect request was sent then. Chains end with their connection.
    pub(crate) fn connected(&mut self, sent: Time) {
        self.connect = Some(sent);
        self.first.clear();
        self.second.clear();
    }

    /// A new connection, of which it is not known when its connect request was sent.
    pub(crate) fn reconnected(&mut self) {
        self.connect = None;
        self.first.clear();
        self.second.clear();
    }

    /// The latest moment at or after which the leader is proven to have started the session's clock.
    pub(crate) fn proven(&self) -> Option<Time> {
        self.proven
    }

    /// A request that was sent then was answered now. `ping` is longer than the servers' ping interval.
    pub(crate) fn answered(&mut self, sent: Time, now: Time, weight: Weight, ping: Duration) {
        if weight == Weight::Read {
            return;
        }
        if weight == Weight::Write && mutated(Mutant::OneAnswerProves) {
            self.proven = self.proven.max(Some(sent));
        }
        if weight == Weight::Write {
            let ready = self.second.iter().take_while(|link| link.answered < sent).count();
            let proven = self.second.drain(..ready).next_back().map(|link| link.begun);
            self.proven = self.proven.max(proven).max(self.connect.take());
        }
        let ready = self.first.iter().take_while(|link| link.answered + ping < sent).count();
        if let Some(link) = self.first.drain(..ready).next_back() {
            push(&mut self.second, Link { begun: link.begun, answered: now });
        }
        // A busy connection would begin a chain with each request; a few for each ping interval will do.
        if self.first.back().is_none_or(|link| link.begun + ping / 4 < sent) {
            push(&mut self.first, Link { begun: sent, answered: now });
        }
    }
}

fn push(links: &mut VecDeque<Link>, link: Link) {
    if links.len() == LINKS {
        links.pop_front();
    }
    links.push_back(link);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: Duration = Duration::from_millis(100);

    fn at(ms: u64) -> Time {
        Time::from_origin(Duration::from_millis(ms))
    }

    fn proof() -> Proof {
        let mut proof = Proof::default();
        proof.connected(at(0));
        proof
    }

    #[test]
    fn the_connect_request_counts_once_a_write_is_answered() {
        let mut proof = proof();
        proof.answered(at(10), at(11), Weight::Read, PING);
        proof.answered(at(20), at(21), Weight::Sync, PING);
        assert_eq!(proof.proven(), None);
        proof.answered(at(30), at(31), Weight::Write, PING);
        assert_eq!(proof.proven(), Some(at(0)));
    }

    #[test]
    fn a_request_counts_once_two_later_ones_are_answered_a_ping_apart() {
        let mut proof = proof();
        proof.answered(at(1000), at(1010), Weight::Write, PING);
        // Too soon after the first answer to be its second link.
        proof.answered(at(1100), at(1105), Weight::Write, PING);
        proof.answered(at(1111), at(1115), Weight::Write, PING);
        assert_eq!(proof.proven(), Some(at(0)), "the second link is only just answered");
        proof.answered(at(1116), at(1120), Weight::Write, PING);
        assert_eq!(proof.proven(), Some(at(1000)));
    }

    #[test]
    fn reads_begin_no_chain_and_a_sync_ends_none() {
        let mut proof = proof();
        proof.answered(at(1000), at(1001), Weight::Sync, PING);
        proof.answered(at(1200), at(1201), Weight::Sync, PING);
        proof.answered(at(1400), at(1401), Weight::Read, PING);
        proof.answered(at(1500), at(1501), Weight::Sync, PING);
        assert_eq!(proof.proven(), None);
        // An idle session is kept alive by syncs: the first write after them finds its chain ready.
        proof.answered(at(1600), at(1601), Weight::Write, PING);
        assert_eq!(proof.proven(), Some(at(1200)));
    }

    #[test]
    fn a_write_sent_before_the_second_link_was_answered_does_not_end_the_chain() {
        let mut proof = proof();
        proof.answered(at(1000), at(1001), Weight::Write, PING);
        // Both were on their way at once.
        proof.answered(at(1200), at(1300), Weight::Sync, PING);
        proof.answered(at(1201), at(1301), Weight::Write, PING);
        assert_eq!(proof.proven(), Some(at(0)));
        proof.answered(at(1302), at(1303), Weight::Write, PING);
        assert_eq!(proof.proven(), Some(at(1000)));
    }

    #[test]
    fn a_chain_ends_with_its_connection_and_what_was_proven_stays() {
        let mut proof = proof();
        proof.answered(at(1000), at(1001), Weight::Write, PING);
        proof.answered(at(1200), at(1201), Weight::Sync, PING);
        proof.connected(at(1300));
        proof.answered(at(1290), at(1310), Weight::Read, PING);
        assert_eq!(proof.proven(), Some(at(0)));
        proof.answered(at(1311), at(1312), Weight::Write, PING);
        assert_eq!(proof.proven(), Some(at(1300)));
    }

    #[test]
    fn a_busy_connection_keeps_few_links_and_its_proof_stays_close() {
        let mut proof = proof();
        for ms in 1..100_000 {
            proof.answered(at(ms), at(ms), Weight::Write, PING);
            assert!(proof.first.len() <= LINKS && proof.second.len() <= LINKS);
        }
        let proven = proof.proven().expect("proven");
        assert!(proven > at(99_999 - 300), "{proven:?}");
    }
}
