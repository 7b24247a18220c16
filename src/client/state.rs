//! The states a client goes through.

use crate::error::Error;

/// What a client is doing about its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum State {
    /// There is no session yet; servers are being tried.
    Connecting = 0,
    /// A server is connected and the session lives.
    Connected = 1,
    /// No server is connected; the session may live or be over.
    Suspended = 2,
    /// The server says that the session is over: its ephemeral nodes and watches are gone. A new one
    /// is being made.
    Lost = 3,
    /// The client is over: closed, or its credentials were refused.
    Closed = 4,
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateEvent {
    /// The state entered.
    pub state: State,
    /// The present session's id; 0 while there is none.
    pub session: i64,
    /// The id of the session that was lost last; 0 if none was. When [`State::Connected`] follows
    /// [`State::Lost`], this is the old session and `session` the new one.
    pub previous_session: i64,
    /// Why, where there is a reason.
    pub reason: Option<Error>,
}
