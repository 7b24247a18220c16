//! The status codes, as C sees them. The table in `crate::error` is where they come from; a test compares.

/// What a call answers: `ZKH_OK`, or what went wrong. ZooKeeper's own codes keep their numbers, this
/// library's begin at -1001. A number that is not listed here came from a newer server.
pub type zkh_status = i32;

/// No error.
pub const ZKH_OK: zkh_status = 0;
/// The server failed. Worth another try.
pub const ZKH_SYSTEM_ERROR: zkh_status = -1;
/// Not done, because another operation of the transaction failed.
pub const ZKH_RUNTIME_INCONSISTENCY: zkh_status = -2;
/// The server found its data inconsistent.
pub const ZKH_DATA_INCONSISTENCY: zkh_status = -3;
/// The connection to the server was lost. Worth another try.
pub const ZKH_CONNECTION_LOSS: zkh_status = -4;
/// The server could not read the request.
pub const ZKH_MARSHALLING_ERROR: zkh_status = -5;
/// The server does not know the operation.
pub const ZKH_UNIMPLEMENTED: zkh_status = -6;
/// The operation's deadline passed. Worth another try.
pub const ZKH_OPERATION_TIMEOUT: zkh_status = -7;
/// The server refused an argument.
pub const ZKH_BAD_ARGUMENTS: zkh_status = -8;
/// The server does not know the session.
pub const ZKH_UNKNOWN_SESSION: zkh_status = -12;
/// No quorum of the new configuration is connected.
pub const ZKH_NEW_CONFIG_NO_QUORUM: zkh_status = -13;
/// Another reconfiguration is in progress. Worth another try.
pub const ZKH_RECONFIG_IN_PROGRESS: zkh_status = -14;
/// The server refused the request.
pub const ZKH_API_ERROR: zkh_status = -100;
/// The node does not exist.
pub const ZKH_NO_NODE: zkh_status = -101;
/// The node's access control list does not allow it.
pub const ZKH_NO_AUTH: zkh_status = -102;
/// The node has another version.
pub const ZKH_BAD_VERSION: zkh_status = -103;
/// An ephemeral node cannot have children.
pub const ZKH_NO_CHILDREN_FOR_EPHEMERALS: zkh_status = -108;
/// The node exists already.
pub const ZKH_NODE_EXISTS: zkh_status = -110;
/// The node has children.
pub const ZKH_NOT_EMPTY: zkh_status = -111;
/// The session has expired.
pub const ZKH_SESSION_EXPIRED: zkh_status = -112;
/// The callback is not valid.
pub const ZKH_INVALID_CALLBACK: zkh_status = -113;
/// The access control list is not valid.
pub const ZKH_INVALID_ACL: zkh_status = -114;
/// The server refused the authentication.
pub const ZKH_AUTH_FAILED: zkh_status = -115;
/// The session has moved to another connection. Worth another try.
pub const ZKH_SESSION_MOVED: zkh_status = -118;
/// A server without a quorum refused to write. Worth another try.
pub const ZKH_NOT_READ_ONLY: zkh_status = -119;
/// A local session cannot own ephemeral nodes.
pub const ZKH_EPHEMERAL_ON_LOCAL_SESSION: zkh_status = -120;
/// There is no such watch.
pub const ZKH_NO_WATCHER: zkh_status = -121;
/// The server gave the request up. Worth another try.
pub const ZKH_REQUEST_TIMEOUT: zkh_status = -122;
/// Reconfiguration is disabled on the server.
pub const ZKH_RECONFIG_DISABLED: zkh_status = -123;
/// The server demands authentication by SASL.
pub const ZKH_SESSION_CLOSED_REQUIRE_SASL_AUTH: zkh_status = -124;
/// A quota of the server would be exceeded.
pub const ZKH_QUOTA_EXCEEDED: zkh_status = -125;
/// The server is overloaded and did not take the request. Worth another try.
pub const ZKH_THROTTLED_OP: zkh_status = -127;
/// The handle is null, freed, of another type or was never given out.
pub const ZKH_BAD_HANDLE: zkh_status = -1001;
/// An argument is not valid.
pub const ZKH_BAD_ARGUMENT: zkh_status = -1002;
/// The text is not valid UTF-8.
pub const ZKH_BAD_UTF8: zkh_status = -1003;
/// The path is not valid.
pub const ZKH_BAD_PATH: zkh_status = -1004;
/// The address is not valid.
pub const ZKH_BAD_ADDRESS: zkh_status = -1005;
/// The handle or its client was closed.
pub const ZKH_CLOSED: zkh_status = -1006;
/// The operation was cancelled.
pub const ZKH_CANCELLED: zkh_status = -1007;
/// The wait was interrupted.
pub const ZKH_INTERRUPTED: zkh_status = -1008;
/// The wait timed out. Worth another try.
pub const ZKH_TIMEOUT: zkh_status = -1009;
/// The request was not sent, so it had no effect. Worth another try.
pub const ZKH_NOT_SENT: zkh_status = -1010;
/// The request was sent, but no answer came: it may have had its effect. Worth another try.
pub const ZKH_OUTCOME_UNKNOWN: zkh_status = -1011;
/// The lock is not held.
pub const ZKH_NOT_HELD: zkh_status = -1012;
/// The lock was lost while it was held.
pub const ZKH_LOCK_LOST: zkh_status = -1013;
/// The sequence numbers of the lock's parent are used up.
pub const ZKH_SEQUENCE_EXHAUSTED: zkh_status = -1014;
/// A blocking call was made inside a callback.
pub const ZKH_WOULD_DEADLOCK: zkh_status = -1015;
/// The handle belongs to the parent process.
pub const ZKH_FORKED: zkh_status = -1016;
/// A defect in this library was caught.
pub const ZKH_PANIC: zkh_status = -1017;
/// The server's bytes break the protocol. Worth another try.
pub const ZKH_PROTOCOL: zkh_status = -1018;
/// The request is larger than a server accepts.
pub const ZKH_TOO_LARGE: zkh_status = -1019;
/// The server or this build does not support it.
pub const ZKH_UNSUPPORTED: zkh_status = -1020;
/// A limit of the process or this library was reached. Worth another try.
pub const ZKH_OUT_OF_RESOURCES: zkh_status = -1021;

#[cfg(test)]
mod tests {
    use crate::error::CODES;

    /// One line for each row of the table, as this file has them.
    #[test]
    fn the_constants_are_the_table_of_codes() {
        let table: String = CODES
            .iter()
            .map(|info| format!("pub const ZKH_{}: zkh_status = {};\n", info.name, info.code.number()))
            .collect();
        let here: String = include_str!("codes.rs")
            .lines()
            .filter(|line| line.starts_with("pub const ZKH_"))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(here, table);
    }
}
