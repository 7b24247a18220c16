package abi

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"runtime/cgo"
	"strings"
	"sync/atomic"
	"unsafe"
)

// Outcome is how a call ended.
type Outcome struct {
	Value  int64
	Result *Result
	Leader *Leader
	// Who holds and who waits, in the order of service.
	Contenders []Contender
	Err        error
}

// Call is a call under way. Its outcome comes exactly once.
type Call struct {
	done    chan Outcome
	op      C.zkh_op
	counted atomic.Bool // Whether it is one of pending.
}

// starting bounds how many goroutines begin a call at once. A call may write to the socket, and Go adds a thread for each
// that lasts longer than its scheduler waits, and keeps it.
var starting = make(chan struct{}, 4)

// pending is how many calls are under way, but for those that are known to take long.
var pending atomic.Int32

// patience is for how many milliseconds a call that is alone waits in C. There it takes its answer from the socket
// itself, if it is one of many in a row, and its callback comes in the same thread: nobody has to be woken. What takes
// longer is waited for without a thread.
const patience = 1

// Together begins calls that are to be under way at the same time.
func Together(begin func()) {
	pending.Add(1)
	defer pending.Add(-1)
	begin()
}

// start makes an asynchronous call. What it is given it passes on to C.
func start(call func(user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status) *Call {
	c := &Call{done: make(chan Outcome, 1)}
	handle := cgo.NewHandle(c)
	var op C.zkh_op
	var err *C.zkh_error
	var status C.zkh_status
	c.counted.Store(true)
	if pending.Add(1) == 1 {
		// What lingers is the thread.
		runtime.LockOSThread()
		C.zkh_thread_set_linger(patience, nil)
		status = call(C.uintptr_t(handle), &op, &err)
		C.zkh_thread_set_linger(0, nil)
		runtime.UnlockOSThread()
		// If it is not over by now, it is no company for others: a lock may be waited for all day.
		c.uncount()
	} else {
		starting <- struct{}{}
		status = call(C.uintptr_t(handle), &op, &err)
		<-starting
	}
	if status != C.ZKH_OK {
		c.uncount()
		handle.Delete()
		c.done <- Outcome{Err: takeError(status, err)}
		return c
	}
	c.op = op
	return c
}

// uncount lets it be pending no more.
func (c *Call) uncount() {
	if c.counted.CompareAndSwap(true, false) {
		pending.Add(-1)
	}
}

// Done has the outcome, once.
func (c *Call) Done() <-chan Outcome { return c.done }

// Cancel asks the call to end early. It has its outcome all the same.
func (c *Call) Cancel() {
	if c.op.id != 0 {
		// One that has completed meanwhile is no mistake.
		C.zkh_op_cancel(c.op, nil)
	}
}

// Wait waits for the outcome. When the context ends the call is cancelled, and its outcome awaited all the same: what was
// granted before is granted.
func (c *Call) Wait(ctx context.Context) Outcome {
	select {
	case outcome := <-c.done:
		return outcome
	case <-ctx.Done():
	}
	c.Cancel()
	outcome := <-c.done
	if e, ok := outcome.Err.(*Error); ok && e.Code == Cancelled {
		e.cause = ctx.Err()
	}
	return outcome
}

// refused is a call that was never made.
func refused(err error) *Call {
	c := &Call{done: make(chan Outcome, 1)}
	c.done <- Outcome{Err: err}
	return c
}

// text makes a C text, to be freed with free.
func text(s string) (*C.char, error) {
	if at := strings.IndexByte(s, 0); at >= 0 {
		message := fmt.Sprintf("%q has a zero byte at %d (%s)", s, at, BadArgument.name())
		return nil, &Error{Code: BadArgument, Name: BadArgument.name(), Message: message}
	}
	return C.CString(s), nil
}

func free(text *C.char) { C.free(unsafe.Pointer(text)) }

// about makes a call that is about a path.
func about(path string, call func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status) *Call {
	c, err := text(path)
	if err != nil {
		return refused(err)
	}
	defer free(c)
	return start(func(user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return call(c, user, op, err)
	})
}

// some is data with a first byte to point to; its length is passed beside it. That has to stand as &data[0] in the call
// itself: so cgo checks these bytes alone, and not what else is in the memory around them.
func some(data []byte) []byte {
	if len(data) == 0 {
		return []byte{0}
	}
	return data
}
