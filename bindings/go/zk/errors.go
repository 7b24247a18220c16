package zk

import (
	"errors"

	"zkhelper/internal/abi"
)

// The errors, with the old driver's texts.
var (
	ErrConnectionClosed        = abi.ErrConnectionClosed // The connection was lost; a write may have had its effect.
	ErrUnknown                 = abi.ErrUnknown
	ErrAPIError                = abi.ErrAPIError
	ErrNoNode                  = abi.ErrNoNode
	ErrNoAuth                  = abi.ErrNoAuth
	ErrBadVersion              = abi.ErrBadVersion
	ErrNoChildrenForEphemerals = abi.ErrNoChildrenForEphemerals
	ErrNodeExists              = abi.ErrNodeExists
	ErrNotEmpty                = abi.ErrNotEmpty
	ErrSessionExpired          = abi.ErrSessionExpired
	ErrInvalidACL              = abi.ErrInvalidACL
	ErrAuthFailed              = abi.ErrAuthFailed
	ErrClosing                 = abi.ErrClosing // The connection was closed by Close.
	ErrSessionMoved            = abi.ErrSessionMoved
	ErrNoServer                = abi.ErrNoServer // No server could be reached in time: the request had no effect.
	ErrNothing                 = errors.New("zk: no server responsees to process")
)

// ErrCode is ZooKeeper's number of an error.
type ErrCode int32

// Error is what went wrong, with its code, the path, and one line that says what to do: what the methods with a
// context return. errors.Is finds it by the variable above that has the same meaning.
type Error = abi.Error

// Code says what went wrong, by the same name and number in every language of zkhelper.
type Code = abi.Code

// bare is the error variable that stands for an error, as the methods of Conn return it.
func bare(err error) error {
	e, ok := err.(*abi.Error)
	if !ok {
		return err
	}
	if old, ok := abi.Sentinel(e.Code); ok {
		return old
	}
	return ErrUnknown
}
