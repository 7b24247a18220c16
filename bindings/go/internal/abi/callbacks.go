package abi

// #include "bridge.h"
import "C"

import (
	"runtime/cgo"
	"time"
)

// The exported functions run on threads of the library, or on one that lingers in a call. None of them waits, but for a
// lock that nobody holds while waiting.

func of[T any](handle C.uintptr_t) T { return cgo.Handle(handle).Value().(T) }

// complete ends a call: its handle has no further use.
func complete(handle C.uintptr_t, outcome Outcome) {
	call := of[*Call](handle)
	cgo.Handle(handle).Delete()
	call.uncount()
	call.done <- outcome
}

//export zkhGoDone
func zkhGoDone(handle C.uintptr_t, status C.zkh_status, value C.int64_t, err *C.zkh_error) {
	complete(handle, Outcome{Value: int64(value), Err: seenError(status, err)})
}

//export zkhGoResult
func zkhGoResult(handle C.uintptr_t, status C.zkh_status, result *C.zkh_result, err *C.zkh_error) {
	complete(handle, Outcome{Result: copyResult(result), Err: seenError(status, err)})
}

//export zkhGoLeader
func zkhGoLeader(handle C.uintptr_t, status C.zkh_status, leader *C.zkh_leader, err *C.zkh_error) {
	complete(handle, Outcome{Leader: copyLeader(leader), Err: seenError(status, err)})
}

//export zkhGoObserved
func zkhGoObserved(handle C.uintptr_t, status C.zkh_status, leader *C.zkh_leader, err *C.zkh_error) {
	of[func(*Leader, error)](handle)(copyLeader(leader), seenError(status, err))
}

//export zkhGoState
func zkhGoState(handle C.uintptr_t, state C.int32_t, session, previous C.int64_t, reason *C.zkh_error) {
	why := seenError(C.zkh_error_code(reason), reason)
	of[func(StateChange)](handle)(StateChange{State(state), int64(session), int64(previous), why})
}

//export zkhGoEvent
func zkhGoEvent(handle C.uintptr_t, event C.int32_t, path *C.char) {
	of[func(Event, string)](handle)(Event(event), C.GoString(path))
}

//export zkhGoContenders
func zkhGoContenders(handle C.uintptr_t, status C.zkh_status, all *C.zkh_contenders, err *C.zkh_error) {
	complete(handle, Outcome{Contenders: copyContenders(all), Err: seenError(status, err)})
}

//export zkhGoRevoke
func zkhGoRevoke(handle C.uintptr_t, token C.int64_t, reason *C.char) {
	of[func(int64, string)](handle)(int64(token), C.GoString(reason))
}

//export zkhGoPid
func zkhGoPid(handle C.uintptr_t, event, loss C.int32_t, err *C.zkh_error) {
	of[func(int32, Loss, error)](handle)(int32(event), Loss(loss), seenError(C.zkh_error_code(err), err))
}

//export zkhGoWatch
func zkhGoWatch(handle C.uintptr_t, event C.int32_t, path *C.char) {
	// Its handle may not be known here yet, and freeing it waits for this to return.
	go of[*Watch](handle).fire(Event(event), C.GoString(path))
}

//export zkhGoLost
func zkhGoLost(handle C.uintptr_t, token C.int64_t, reason C.int32_t) {
	of[func(int64, Loss)](handle)(int64(token), Loss(reason))
}

//export zkhGoBegin
func zkhGoBegin(handle C.uintptr_t, term C.uint64_t, token, valid C.int64_t) {
	run := of[*Run](handle)
	run.Begin(Term{id: term, Token: int64(token), Valid: time.Duration(valid) * time.Millisecond})
}

//export zkhGoStop
func zkhGoStop(handle C.uintptr_t, token C.int64_t, reason C.int32_t) {
	of[*Run](handle).Stop(int64(token), Stop(reason))
}

//export zkhGoOver
func zkhGoOver(handle C.uintptr_t, err *C.zkh_error) {
	of[*Run](handle).Over(seenError(C.zkh_error_code(err), err))
}

//export zkhGoLog
func zkhGoLog(handle C.uintptr_t, level C.int32_t, target, message *C.char) {
	of[func(int, string, string)](handle)(int(level), C.GoString(target), C.GoString(message))
}

//export zkhGoDestroy
func zkhGoDestroy(handle C.uintptr_t) { cgo.Handle(handle).Delete() }
