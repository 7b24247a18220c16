package abi

// #include "bridge.h"
import "C"

import "errors"

// Code says what went wrong. ZooKeeper's own codes keep their numbers, those of zkhelper begin at -1001. A code is an
// error too, so that errors.Is(err, code) asks for it.
type Code int32

// The codes.
const (
	SystemError             Code = C.ZKH_SYSTEM_ERROR
	RuntimeInconsistency    Code = C.ZKH_RUNTIME_INCONSISTENCY
	DataInconsistency       Code = C.ZKH_DATA_INCONSISTENCY
	ConnectionLoss          Code = C.ZKH_CONNECTION_LOSS
	Unimplemented           Code = C.ZKH_UNIMPLEMENTED
	OperationTimeout        Code = C.ZKH_OPERATION_TIMEOUT
	BadArguments            Code = C.ZKH_BAD_ARGUMENTS
	APIError                Code = C.ZKH_API_ERROR
	NoNode                  Code = C.ZKH_NO_NODE
	NoAuth                  Code = C.ZKH_NO_AUTH
	BadVersion              Code = C.ZKH_BAD_VERSION
	NoChildrenForEphemerals Code = C.ZKH_NO_CHILDREN_FOR_EPHEMERALS
	NodeExists              Code = C.ZKH_NODE_EXISTS
	NotEmpty                Code = C.ZKH_NOT_EMPTY
	SessionExpired          Code = C.ZKH_SESSION_EXPIRED
	InvalidACL              Code = C.ZKH_INVALID_ACL
	AuthFailed              Code = C.ZKH_AUTH_FAILED
	SessionMoved            Code = C.ZKH_SESSION_MOVED
	QuotaExceeded           Code = C.ZKH_QUOTA_EXCEEDED
	BadHandle               Code = C.ZKH_BAD_HANDLE
	BadArgument             Code = C.ZKH_BAD_ARGUMENT
	BadUTF8                 Code = C.ZKH_BAD_UTF8
	BadPath                 Code = C.ZKH_BAD_PATH
	BadAddress              Code = C.ZKH_BAD_ADDRESS
	Closed                  Code = C.ZKH_CLOSED
	Cancelled               Code = C.ZKH_CANCELLED
	Interrupted             Code = C.ZKH_INTERRUPTED
	Timeout                 Code = C.ZKH_TIMEOUT
	NotSent                 Code = C.ZKH_NOT_SENT
	OutcomeUnknown          Code = C.ZKH_OUTCOME_UNKNOWN
	NotHeld                 Code = C.ZKH_NOT_HELD
	LockLost                Code = C.ZKH_LOCK_LOST
	SequenceExhausted       Code = C.ZKH_SEQUENCE_EXHAUSTED
	WouldDeadlock           Code = C.ZKH_WOULD_DEADLOCK
	Forked                  Code = C.ZKH_FORKED
	Panic                   Code = C.ZKH_PANIC
	Protocol                Code = C.ZKH_PROTOCOL
	TooLarge                Code = C.ZKH_TOO_LARGE
	Unsupported             Code = C.ZKH_UNSUPPORTED
	OutOfResources          Code = C.ZKH_OUT_OF_RESOURCES
)

// Error says the code's name.
func (c Code) Error() string { return "zkhelper: " + c.name() }

func (c Code) name() string { return C.GoString(C.zkh_code_name(C.zkh_status(c))) }

// The errors of the old driver and the old package, with their texts. They are variables that callers compare.
var (
	ErrConnectionClosed        = errors.New("zk: connection closed")
	ErrUnknown                 = errors.New("zk: unknown error")
	ErrAPIError                = errors.New("zk: api error")
	ErrNoNode                  = errors.New("zk: node does not exist")
	ErrNoAuth                  = errors.New("zk: not authenticated")
	ErrBadVersion              = errors.New("zk: version conflict")
	ErrNoChildrenForEphemerals = errors.New("zk: ephemeral nodes may not have children")
	ErrNodeExists              = errors.New("zk: node already exists")
	ErrNotEmpty                = errors.New("zk: node has children")
	ErrSessionExpired          = errors.New("zk: session has been expired by the server")
	ErrInvalidACL              = errors.New("zk: invalid ACL specified")
	ErrAuthFailed              = errors.New("zk: client authentication failed")
	ErrClosing                 = errors.New("zk: zookeeper is closing")
	ErrSessionMoved            = errors.New("zk: session moved to another server, so operation is ignored")
	ErrNoServer                = errors.New("zk: could not connect to a server")

	ErrInterrupted = errors.New("zkutil: obtaining lock was interrupted")
	ErrTimeout     = errors.New("zkutil: obtaining lock timed out")
)

var sentinels = map[Code]error{
	NoNode: ErrNoNode, NoAuth: ErrNoAuth, BadVersion: ErrBadVersion, NodeExists: ErrNodeExists, NotEmpty: ErrNotEmpty,
	NoChildrenForEphemerals: ErrNoChildrenForEphemerals, SessionExpired: ErrSessionExpired, APIError: ErrAPIError,
	InvalidACL: ErrInvalidACL, AuthFailed: ErrAuthFailed, SessionMoved: ErrSessionMoved,
	// What the old driver told when it was closed, had no connection, or lost one.
	Closed: ErrClosing, BadHandle: ErrClosing, NotSent: ErrNoServer, ConnectionLoss: ErrConnectionClosed,
	OutcomeUnknown: ErrConnectionClosed, OperationTimeout: ErrConnectionClosed,
	Interrupted: ErrInterrupted, Timeout: ErrTimeout,
}

// Sentinel is the old error for a code; false if it has none.
func Sentinel(code Code) (error, bool) {
	err, ok := sentinels[code]
	return err, ok
}

// Error is what went wrong. Its text is one line: what was being done, to which path, why, and what to do.
//
// errors.Is finds it by its Code, by the error of package zk or zkhelper that has the same meaning, and, where a context
// ended a wait, by that context's error.
type Error struct {
	Code      Code
	Name      string // The code's name, such as "NO_NODE".
	Message   string
	Path      string // What it is about, if it is about one path.
	Retriable bool   // Whether the same call may succeed if it is made again.

	cause error
}

func (e *Error) Error() string { return e.Message }

// Is makes errors.Is find the error by its code and by the old error of the same meaning.
func (e *Error) Is(target error) bool {
	if code, ok := target.(Code); ok {
		return code == e.Code
	}
	old, ok := sentinels[e.Code]
	return ok && target == old
}

// Unwrap is the error of the context that ended the wait, if one did.
func (e *Error) Unwrap() error { return e.cause }

// Because is an error that a context's end led to.
func Because(err, cause error) error {
	e, ok := err.(*Error)
	if !ok {
		return err
	}
	copied := *e
	copied.cause = cause
	return &copied
}

// OfCode is an error of which no more is known than its code; nil for none.
func OfCode(code Code) error {
	if code == 0 {
		return nil
	}
	return &Error{Code: code, Name: code.name(), Message: code.Error()}
}

// seenError copies an error that belongs to the library.
func seenError(status C.zkh_status, err *C.zkh_error) error {
	if status == C.ZKH_OK {
		return nil
	}
	code := Code(status)
	if code == BadHandle {
		// Handles are freed here by Close alone.
		return &Error{
			Code: Closed, Name: Closed.name(), Path: C.GoString(C.zkh_error_path(err)),
			Message: "it was closed before (" + Closed.name() + ")",
		}
	}
	if err == nil {
		return &Error{Code: code, Name: code.name(), Message: code.Error()}
	}
	return &Error{
		Code:      code,
		Name:      code.name(),
		Message:   C.GoString(C.zkh_error_message(err)),
		Path:      C.GoString(C.zkh_error_path(err)),
		Retriable: bool(C.zkh_error_is_retriable(err)),
	}
}

// takeError copies an error that is ours, and frees it.
func takeError(status C.zkh_status, err *C.zkh_error) error {
	defer C.zkh_error_free(err)
	return seenError(status, err)
}
