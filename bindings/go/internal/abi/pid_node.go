package abi

// #include "bridge.h"
import "C"

import (
	"runtime/cgo"
	"time"
	"unsafe"
)

// Whose node a pid node may take the place of.
const (
	TakeOverNever = C.ZKH_TAKE_OVER_NEVER
	TakeOverDead  = C.ZKH_TAKE_OVER_DEAD
	TakeOverLive  = C.ZKH_TAKE_OVER_LIVE
)

// What becomes of a pid node.
const (
	PidMade    = C.ZKH_PID_MADE
	PidLost    = C.ZKH_PID_LOST
	PidRefused = C.ZKH_PID_REFUSED
)

// PidNodeOptions is how a pid node is made; what is not there has its default.
type PidNodeOptions struct {
	ACL      []ACL
	TakeOver int32
	Wait     *time.Duration
}

func (o PidNodeOptions) set(options C.zkh_pid_node_options) error {
	if o.ACL != nil {
		acl, e := newACL(o.ACL)
		if e != nil {
			return e
		}
		defer C.zkh_acl_free(acl)
		e = told(func(err **C.zkh_error) C.zkh_status {
			return C.zkh_pid_node_options_set_acl(options, &acl, err)
		})
		if e != nil {
			return e
		}
	}
	if o.Wait != nil {
		ms := C.int64_t(exact(*o.Wait))
		e := told(func(err **C.zkh_error) C.zkh_status {
			return C.zkh_pid_node_options_set_wait_ms(options, ms, err)
		})
		if e != nil {
			return e
		}
	}
	return told(func(err **C.zkh_error) C.zkh_status {
		return C.zkh_pid_node_options_set_take_over(options, C.int32_t(o.TakeOver), err)
	})
}

// PidNode is a node that says that its owner lives.
type PidNode struct{ handle C.zkh_pid_node }

// NewPidNode makes a pid node that is not there yet.
func (c *Client) NewPidNode(path string, value []byte, o PidNodeOptions) (*PidNode, error) {
	var options C.zkh_pid_node_options
	e := told(func(err **C.zkh_error) C.zkh_status { return C.zkh_pid_node_options_new(&options, err) })
	if e != nil {
		return nil, e
	}
	defer C.zkh_pid_node_options_free(options)
	if e := o.set(options); e != nil {
		return nil, e
	}
	var node PidNode
	data, size := some(value), C.size_t(len(value))
	e = withText(path, func(path *C.char, err **C.zkh_error) C.zkh_status {
		return C.zkh_pid_node_new(c.handle, path, unsafe.Pointer(&data[0]), size, &options, &node.handle, err)
	})
	if e != nil {
		return nil, e
	}
	return &node, nil
}

// OnEvent sets who is told what becomes of the node. It must not wait.
func (p *PidNode) OnEvent(tell func(event int32, loss Loss, err error)) error {
	user := C.uintptr_t(cgo.NewHandle(tell))
	return told(func(err **C.zkh_error) C.zkh_status { return C.zkhgo_pid_on_event(p.handle, user, err) })
}

// IsThere says whether the node is there, as far as is known.
func (p *PidNode) IsThere() bool { return bool(C.zkh_pid_node_is_there(p.handle)) }

// Start makes the node on the server, and keeps it.
func (p *PidNode) Start() *Call {
	return start(func(user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_pid_start(p.handle, user, op, err)
	})
}

// Close removes the node.
func (p *PidNode) Close() *Call {
	return start(func(user C.uintptr_t, _ *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_pid_close(p.handle, user, err)
	})
}

// Free frees the handle.
func (p *PidNode) Free() { C.zkh_pid_node_free(p.handle) }
