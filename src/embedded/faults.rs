//! Faults on request: what a test wants to see its program survive.

use super::Server;
use crate::error::{Code, Error, Result};
use crate::proto::Request;
use std::time::Duration;

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Whatever comes.
    Any,
    /// The handshake of a connection.
    Connect,
    /// `create` in all its forms.
    Create,
    /// `delete`.
    Delete,
    /// `setData`.
    SetData,
    /// `setACL`.
    SetAcl,
    /// `multi`.
    Multi,
    /// `exists`.
    Exists,
    /// `getData`.
    GetData,
    /// `getChildren` with and without `Stat`.
    GetChildren,
    /// `sync`.
    Sync,
    /// A ping.
    Ping,
    /// `setWatches` in both forms: a client came back with its watches.
    SetWatches,
    /// `closeSession`.
    CloseSession,
    /// Any other read.
    OtherRead,
}

impl Operation {
    pub(super) fn of(request: &Request) -> Self {
        match request {
            Request::Create { .. } => Self::Create,
            Request::Delete { .. } => Self::Delete,
            Request::SetData { .. } => Self::SetData,
            Request::SetAcl { .. } => Self::SetAcl,
            Request::Multi(_) => Self::Multi,
            Request::Exists { .. } => Self::Exists,
            Request::GetData { .. } => Self::GetData,
            Request::GetChildren { .. } | Request::GetChildren2 { .. } => Self::GetChildren,
            Request::Sync { .. } => Self::Sync,
            Request::Ping => Self::Ping,
            Request::SetWatches { .. } | Request::SetWatches2 { .. } => Self::SetWatches,
            Request::CloseSession => Self::CloseSession,
            Request::GetAcl { .. }
            | Request::Check { .. }
            | Request::MultiRead(_)
            | Request::RemoveWatches { .. }
            | Request::CheckWatches { .. }
            | Request::AddWatch { .. }
            | Request::GetEphemerals { .. }
            | Request::GetAllChildrenNumber { .. }
            | Request::WhoAmI
            | Request::Auth { .. } => Self::OtherRead,
        }
    }
}

/// When a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Moment {
    /// The operation has no effect.
    BeforeApplying,
    /// The operation has its effect, but its answer is lost.
    AfterApplying,
}

/// The faults that are asked for.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) frozen: bool,
    pub(super) isolated: bool,
    pub(super) delay: Duration,
    cuts: Vec<Cut>,
}

struct Cut {
    operation: Operation,
    left: u32,
    moment: Moment,
}

impl Plan {
    /// Counts an operation, and says whether its connection is to be cut.
    pub(super) fn cut(&mut self, operation: Operation) -> Option<Moment> {
        for cut in &mut self.cuts {
            if cut.operation == Operation::Any || cut.operation == operation {
                cut.left = cut.left.saturating_sub(1);
            }
        }
        let due = self.cuts.iter().position(|cut| cut.left == 0)?;
        Some(self.cuts.remove(due).moment)
    }
}

/// A session, as [`Server::sessions`] shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its id.
    pub id: i64,
    /// Its negotiated timeout.
    pub timeout: Duration,
    /// Whether a connection is attached to it.
    pub connected: bool,
}

/// Faults. Each takes effect before the call returns.
impl Server {
    /// Cuts the connection that asks for the `n`-th operation of this kind from now on; 1 is the next one.
    /// Each call cuts once.
    pub fn cut(&self, operation: Operation, n: u32, moment: Moment) {
        self.core.with_plan(|plan| plan.cuts.push(Cut { operation, left: n.max(1), moment }));
    }

    /// How many cuts were asked for and have not happened yet.
    pub fn cuts_left(&self) -> usize {
        self.core.with_plan(|plan| plan.cuts.len())
    }

    /// Forgets the cuts that have not happened yet.
    pub fn clear_cuts(&self) {
        self.core.with_plan(|plan| plan.cuts.clear());
    }

    /// Cuts every connection. Sessions stay.
    pub fn disconnect_all(&self) {
        self.core.disconnect_all();
    }

    /// Stops answering anything, like a stopped process. Connections stay, and so do sessions until [`thaw`].
    ///
    /// [`thaw`]: Self::thaw
    pub fn freeze(&self) {
        self.core.with_plan(|plan| plan.frozen = true);
    }

    /// Goes on after [`freeze`](Self::freeze): first the sessions end whose time has passed meanwhile, then
    /// what clients sent is answered.
    pub fn thaw(&self) {
        self.core.resume(|plan| plan.frozen = false);
    }

    /// Answers pings and reads but commits nothing, like a follower cut off from its quorum: writes, `sync`
    /// and handshakes wait, and what a session asks for after a write waits with it.
    pub fn isolate(&self) {
        self.core.with_plan(|plan| plan.isolated = true);
    }

    /// Goes on after [`isolate`](Self::isolate): first the sessions end that nobody could keep alive for
    /// their timeout, then the writes that waited are done.
    pub fn rejoin(&self) {
        self.core.resume(|plan| plan.isolated = false);
    }

    /// Waits so long before each batch of requests of a connection is looked at; zero is the default.
    pub fn set_delay(&self, delay: Duration) {
        self.core.with_plan(|plan| plan.delay = delay);
    }

    /// The sessions that live, by id.
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.core.sessions()
    }

    /// Ends a session now, as if its timeout had passed: its ephemeral nodes go, its connection is closed.
    ///
    /// # Errors
    ///
    /// `SESSION_EXPIRED` if there is no such session.
    pub fn expire(&self, session: i64) -> Result<()> {
        if self.core.expire(session) {
            Ok(())
        } else {
            Err(Error::new(Code::SESSION_EXPIRED).during("expire", None))
        }
    }

    /// Makes `next` the sequence number of the next child of `path`, for instance one near 2³¹, where
    /// sequences come to their end.
    ///
    /// # Errors
    ///
    /// `NO_NODE` if there is no such node.
    pub fn set_sequence(&self, path: &str, next: i32) -> Result<()> {
        if self.core.set_sequence(path, next) {
            Ok(())
        } else {
            Err(Error::new(Code::NO_NODE).during("set sequence", Some(path)))
        }
    }

    /// How often to look for containers without children and for nodes whose time to live has passed: once a
    /// minute if nothing else is asked for, and at ticks only.
    pub fn set_container_interval(&self, interval: Duration) {
        self.core.set_container_interval(interval);
    }

    /// Deletes now what that check would delete.
    pub fn check_containers(&self) {
        self.core.delete_outlived();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_comes_at_the_nth_operation_of_its_kind_and_once() {
        let mut plan = Plan::default();
        plan.cuts.push(Cut { operation: Operation::Create, left: 2, moment: Moment::AfterApplying });
        plan.cuts.push(Cut { operation: Operation::Any, left: 5, moment: Moment::BeforeApplying });
        let seen =
            [Operation::Create, Operation::Delete, Operation::Create, Operation::Create, Operation::Ping]
                .map(|operation| plan.cut(operation));
        assert_eq!(seen, [None, None, Some(Moment::AfterApplying), None, Some(Moment::BeforeApplying)]);
        assert!(plan.cuts.is_empty());
    }
}
