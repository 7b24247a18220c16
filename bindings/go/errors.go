package zkhelper

import (
	"zkhelper/internal/abi"
)

// What the functions with old names return when a wait ends without success.
var (
	// ErrInterrupted ends a wait that was interrupted.
	ErrInterrupted = abi.ErrInterrupted
	// ErrTimeout ends a wait whose time is over.
	ErrTimeout = abi.ErrTimeout
)

// Error is what went wrong: its Code, the path, and one line that says what was being done and what to do.
type Error = abi.Error

// Code says what went wrong, in every language of zkhelper by the same name and number. It may be asked for with
// errors.Is(err, zkhelper.CodeLockLost).
type Code = abi.Code

// Codes that programs ask for. There are more: every code of the C header is a Code.
const (
	CodeNoNode            = abi.NoNode
	CodeNoAuth            = abi.NoAuth
	CodeBadVersion        = abi.BadVersion
	CodeNodeExists        = abi.NodeExists
	CodeNotEmpty          = abi.NotEmpty
	CodeSessionExpired    = abi.SessionExpired
	CodeInvalidACL        = abi.InvalidACL
	CodeAuthFailed        = abi.AuthFailed
	CodeConnectionLoss    = abi.ConnectionLoss
	CodeBadArgument       = abi.BadArgument
	CodeBadPath           = abi.BadPath
	CodeBadAddress        = abi.BadAddress
	CodeClosed            = abi.Closed
	CodeCancelled         = abi.Cancelled
	CodeInterrupted       = abi.Interrupted
	CodeTimeout           = abi.Timeout
	CodeNotSent           = abi.NotSent
	CodeOutcomeUnknown    = abi.OutcomeUnknown
	CodeNotHeld           = abi.NotHeld
	CodeLockLost          = abi.LockLost
	CodeSequenceExhausted = abi.SequenceExhausted
	CodeUnsupported       = abi.Unsupported
	CodeTooLarge          = abi.TooLarge
	CodeOperationTimeout  = abi.OperationTimeout
	CodeSessionMoved      = abi.SessionMoved
	CodeUnimplemented     = abi.Unimplemented
	CodeQuotaExceeded     = abi.QuotaExceeded

	CodeNoChildrenForEphemerals = abi.NoChildrenForEphemerals
)

// ZkError is an error with what was being done. The package itself returns bare errors; a Conn of your own may
// return these.
type ZkError struct {
	Code error
	Op   string
	Path string
}

// Error is the text of the code alone, so that ZkErrorEqual finds it.
func (ze *ZkError) Error() string { return ze.Code.Error() }

// Unwrap lets errors.Is find the code.
func (ze *ZkError) Unwrap() error { return ze.Code }

// ZkErrorEqual says whether two errors are none or have the same text.
func ZkErrorEqual(a, b error) bool {
	if a != nil && b != nil {
		return a.Error() == b.Error()
	}
	return a == b
}

// old is the error that a function with an old name returns: the old variable where there is one, bare.
func old(err error) error {
	if e, ok := err.(*Error); ok {
		if original, ok := lentError(e.Code); ok {
			return original
		}
		if bare, ok := abi.Sentinel(e.Code); ok {
			return bare
		}
	}
	return err
}
