"""The exceptions of zkhelper: one class for each code of the library.

Made by ``tools/make_errors.py`` from the library's table of codes; do not edit.
"""


class ZkhelperError(Exception):
    """Whatever goes wrong. A code of a newer server, which has no class here, is this class itself.

    ``code`` is the number, which never changes its meaning: ZooKeeper's own codes keep theirs, the library's
    begin at -1001. ``name`` is its name, ``path`` the path it is about or ``None``, ``operation`` what was being
    done, and ``retriable`` says whether the same call may succeed if it is made again later.
    """

    code: int = 0
    name: str = "UNKNOWN"
    retriable: bool = False
    path: str | None
    operation: str

    def __init__(self, message: str = "", path: str | None = None, operation: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.operation = operation

    def __reduce__(self) -> tuple[object, ...]:
        return from_code, (self.code, str(self), self.path, self.operation, self.retriable)


class ServerSystemError(ZkhelperError):
    """The server failed. Worth another try."""

    code = -1
    name = "SYSTEM_ERROR"
    retriable = True


class RuntimeInconsistencyError(ZkhelperError):
    """Not done, because another operation of the transaction failed."""

    code = -2
    name = "RUNTIME_INCONSISTENCY"
    retriable = False


class DataInconsistencyError(ZkhelperError):
    """The server found its data inconsistent."""

    code = -3
    name = "DATA_INCONSISTENCY"
    retriable = False


class ConnectionLossError(ZkhelperError, ConnectionError):
    """The connection to the server was lost. Worth another try."""

    code = -4
    name = "CONNECTION_LOSS"
    retriable = True


class MarshallingError(ZkhelperError):
    """The server could not read the request."""

    code = -5
    name = "MARSHALLING_ERROR"
    retriable = False


class UnimplementedError(ZkhelperError):
    """The server does not know the operation."""

    code = -6
    name = "UNIMPLEMENTED"
    retriable = False


class OperationTimeout(ZkhelperError, TimeoutError):
    """The operation's deadline passed. Worth another try."""

    code = -7
    name = "OPERATION_TIMEOUT"
    retriable = True


class BadArgumentsError(ZkhelperError):
    """The server refused an argument."""

    code = -8
    name = "BAD_ARGUMENTS"
    retriable = False


class UnknownSessionError(ZkhelperError):
    """The server does not know the session."""

    code = -12
    name = "UNKNOWN_SESSION"
    retriable = False


class NewConfigNoQuorumError(ZkhelperError):
    """No quorum of the new configuration is connected."""

    code = -13
    name = "NEW_CONFIG_NO_QUORUM"
    retriable = False


class ReconfigInProgressError(ZkhelperError):
    """Another reconfiguration is in progress. Worth another try."""

    code = -14
    name = "RECONFIG_IN_PROGRESS"
    retriable = True


class ApiError(ZkhelperError):
    """The server refused the request."""

    code = -100
    name = "API_ERROR"
    retriable = False


class NoNodeError(ZkhelperError):
    """The node does not exist."""

    code = -101
    name = "NO_NODE"
    retriable = False


class NoAuthError(ZkhelperError):
    """The node's access control list does not allow it."""

    code = -102
    name = "NO_AUTH"
    retriable = False


class BadVersionError(ZkhelperError):
    """The node has another version."""

    code = -103
    name = "BAD_VERSION"
    retriable = False


class NoChildrenForEphemeralsError(ZkhelperError):
    """An ephemeral node cannot have children."""

    code = -108
    name = "NO_CHILDREN_FOR_EPHEMERALS"
    retriable = False


class NodeExistsError(ZkhelperError):
    """The node exists already."""

    code = -110
    name = "NODE_EXISTS"
    retriable = False


class NotEmptyError(ZkhelperError):
    """The node has children."""

    code = -111
    name = "NOT_EMPTY"
    retriable = False


class SessionExpiredError(ZkhelperError):
    """The session has expired."""

    code = -112
    name = "SESSION_EXPIRED"
    retriable = False


class InvalidCallbackError(ZkhelperError):
    """The callback is not valid."""

    code = -113
    name = "INVALID_CALLBACK"
    retriable = False


class InvalidAclError(ZkhelperError):
    """The access control list is not valid."""

    code = -114
    name = "INVALID_ACL"
    retriable = False


class AuthFailedError(ZkhelperError):
    """The server refused the authentication."""

    code = -115
    name = "AUTH_FAILED"
    retriable = False


class SessionMovedError(ZkhelperError):
    """The session has moved to another connection. Worth another try."""

    code = -118
    name = "SESSION_MOVED"
    retriable = True


class NotReadOnlyError(ZkhelperError):
    """A server without a quorum refused to write. Worth another try."""

    code = -119
    name = "NOT_READ_ONLY"
    retriable = True


class EphemeralOnLocalSessionError(ZkhelperError):
    """A local session cannot own ephemeral nodes."""

    code = -120
    name = "EPHEMERAL_ON_LOCAL_SESSION"
    retriable = False


class NoWatcherError(ZkhelperError):
    """There is no such watch."""

    code = -121
    name = "NO_WATCHER"
    retriable = False


class RequestTimeout(ZkhelperError, TimeoutError):
    """The server gave the request up. Worth another try."""

    code = -122
    name = "REQUEST_TIMEOUT"
    retriable = True


class ReconfigDisabledError(ZkhelperError):
    """Reconfiguration is disabled on the server."""

    code = -123
    name = "RECONFIG_DISABLED"
    retriable = False


class SessionClosedRequireSaslAuthError(ZkhelperError):
    """The server demands authentication by SASL."""

    code = -124
    name = "SESSION_CLOSED_REQUIRE_SASL_AUTH"
    retriable = False


class QuotaExceededError(ZkhelperError):
    """A quota of the server would be exceeded."""

    code = -125
    name = "QUOTA_EXCEEDED"
    retriable = False


class ThrottledOpError(ZkhelperError):
    """The server is overloaded and did not take the request. Worth another try."""

    code = -127
    name = "THROTTLED_OP"
    retriable = True


class BadHandleError(ZkhelperError):
    """The handle is null, freed, of another type or was never given out."""

    code = -1001
    name = "BAD_HANDLE"
    retriable = False


class BadArgumentError(ZkhelperError, ValueError):
    """An argument is not valid."""

    code = -1002
    name = "BAD_ARGUMENT"
    retriable = False


class BadUtf8Error(ZkhelperError, ValueError):
    """The text is not valid UTF-8."""

    code = -1003
    name = "BAD_UTF8"
    retriable = False


class BadPathError(ZkhelperError, ValueError):
    """The path is not valid."""

    code = -1004
    name = "BAD_PATH"
    retriable = False


class BadAddressError(ZkhelperError, ValueError):
    """The address is not valid."""

    code = -1005
    name = "BAD_ADDRESS"
    retriable = False


class ClosedError(ZkhelperError):
    """The handle or its client was closed."""

    code = -1006
    name = "CLOSED"
    retriable = False


class Cancelled(ZkhelperError):
    """The operation was cancelled."""

    code = -1007
    name = "CANCELLED"
    retriable = False


class Interrupted(ZkhelperError):
    """The wait was interrupted."""

    code = -1008
    name = "INTERRUPTED"
    retriable = False


class LockTimeout(ZkhelperError, TimeoutError):
    """The wait timed out. Worth another try."""

    code = -1009
    name = "TIMEOUT"
    retriable = True


class NotSentError(ZkhelperError):
    """The request was not sent, so it had no effect. Worth another try."""

    code = -1010
    name = "NOT_SENT"
    retriable = True


class OutcomeUnknownError(ZkhelperError):
    """The request was sent, but no answer came: it may have had its effect. Worth another try."""

    code = -1011
    name = "OUTCOME_UNKNOWN"
    retriable = True


class NotHeldError(ZkhelperError):
    """The lock is not held."""

    code = -1012
    name = "NOT_HELD"
    retriable = False


class LockLost(ZkhelperError):
    """The lock was lost while it was held."""

    code = -1013
    name = "LOCK_LOST"
    retriable = False


class SequenceExhaustedError(ZkhelperError):
    """The sequence numbers of the lock's parent are used up."""

    code = -1014
    name = "SEQUENCE_EXHAUSTED"
    retriable = False


class WouldDeadlockError(ZkhelperError):
    """A blocking call was made inside a callback."""

    code = -1015
    name = "WOULD_DEADLOCK"
    retriable = False


class ForkedError(ZkhelperError):
    """The handle belongs to the parent process."""

    code = -1016
    name = "FORKED"
    retriable = False


class PanicError(ZkhelperError):
    """A defect in this library was caught."""

    code = -1017
    name = "PANIC"
    retriable = False


class ProtocolError(ZkhelperError):
    """The server's bytes break the protocol. Worth another try."""

    code = -1018
    name = "PROTOCOL"
    retriable = True


class TooLargeError(ZkhelperError):
    """The request is larger than a server accepts."""

    code = -1019
    name = "TOO_LARGE"
    retriable = False


class UnsupportedError(ZkhelperError):
    """The server or this build does not support it."""

    code = -1020
    name = "UNSUPPORTED"
    retriable = False


class OutOfResourcesError(ZkhelperError):
    """A limit of the process or this library was reached. Worth another try."""

    code = -1021
    name = "OUT_OF_RESOURCES"
    retriable = True


_CLASSES: dict[int, type[ZkhelperError]] = {
    -1: ServerSystemError,
    -2: RuntimeInconsistencyError,
    -3: DataInconsistencyError,
    -4: ConnectionLossError,
    -5: MarshallingError,
    -6: UnimplementedError,
    -7: OperationTimeout,
    -8: BadArgumentsError,
    -12: UnknownSessionError,
    -13: NewConfigNoQuorumError,
    -14: ReconfigInProgressError,
    -100: ApiError,
    -101: NoNodeError,
    -102: NoAuthError,
    -103: BadVersionError,
    -108: NoChildrenForEphemeralsError,
    -110: NodeExistsError,
    -111: NotEmptyError,
    -112: SessionExpiredError,
    -113: InvalidCallbackError,
    -114: InvalidAclError,
    -115: AuthFailedError,
    -118: SessionMovedError,
    -119: NotReadOnlyError,
    -120: EphemeralOnLocalSessionError,
    -121: NoWatcherError,
    -122: RequestTimeout,
    -123: ReconfigDisabledError,
    -124: SessionClosedRequireSaslAuthError,
    -125: QuotaExceededError,
    -127: ThrottledOpError,
    -1001: BadHandleError,
    -1002: BadArgumentError,
    -1003: BadUtf8Error,
    -1004: BadPathError,
    -1005: BadAddressError,
    -1006: ClosedError,
    -1007: Cancelled,
    -1008: Interrupted,
    -1009: LockTimeout,
    -1010: NotSentError,
    -1011: OutcomeUnknownError,
    -1012: NotHeldError,
    -1013: LockLost,
    -1014: SequenceExhaustedError,
    -1015: WouldDeadlockError,
    -1016: ForkedError,
    -1017: PanicError,
    -1018: ProtocolError,
    -1019: TooLargeError,
    -1020: UnsupportedError,
    -1021: OutOfResourcesError,
}


def from_code(
    code: int, message: str, path: str | None = None, operation: str = "", retriable: bool = False
) -> ZkhelperError:
    """The exception for a code, an instance of its class."""
    known = _CLASSES.get(code)
    if known is not None:
        return known(message, path, operation)
    error = ZkhelperError(message, path, operation)
    error.code = code
    error.retriable = retriable
    return error


__all__ = [
    "ApiError",
    "AuthFailedError",
    "BadAddressError",
    "BadArgumentError",
    "BadArgumentsError",
    "BadHandleError",
    "BadPathError",
    "BadUtf8Error",
    "BadVersionError",
    "Cancelled",
    "ClosedError",
    "ConnectionLossError",
    "DataInconsistencyError",
    "EphemeralOnLocalSessionError",
    "ForkedError",
    "Interrupted",
    "InvalidAclError",
    "InvalidCallbackError",
    "LockLost",
    "LockTimeout",
    "MarshallingError",
    "NewConfigNoQuorumError",
    "NoAuthError",
    "NoChildrenForEphemeralsError",
    "NoNodeError",
    "NoWatcherError",
    "NodeExistsError",
    "NotEmptyError",
    "NotHeldError",
    "NotReadOnlyError",
    "NotSentError",
    "OperationTimeout",
    "OutOfResourcesError",
    "OutcomeUnknownError",
    "PanicError",
    "ProtocolError",
    "QuotaExceededError",
    "ReconfigDisabledError",
    "ReconfigInProgressError",
    "RequestTimeout",
    "RuntimeInconsistencyError",
    "SequenceExhaustedError",
    "ServerSystemError",
    "SessionClosedRequireSaslAuthError",
    "SessionExpiredError",
    "SessionMovedError",
    "ThrottledOpError",
    "TooLargeError",
    "UnimplementedError",
    "UnknownSessionError",
    "UnsupportedError",
    "WouldDeadlockError",
    "ZkhelperError",
]
