package abi

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"time"
	"unsafe"
)

// TreeCreate creates a node and its missing parents.
func (c *Client) TreeCreate(path string, value []byte, mode int32, list []ACL) *Call {
	data, size := some(value), C.size_t(len(value))
	return withACL(list, func(acl *C.zkh_acl) *Call {
		return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
			at := unsafe.Pointer(&data[0])
			return C.zkhgo_tree_create(c.handle, path, at, size, C.int32_t(mode), acl, user, op, err)
		})
	})
}

// TreeCreateOrUpdate creates a node, with its missing parents if recursive says so, or sets its data.
func (c *Client) TreeCreateOrUpdate(path string, value []byte, mode int32, list []ACL, recursive bool) *Call {
	data, size, parents := some(value), C.size_t(len(value)), C.bool(recursive)
	return withACL(list, func(acl *C.zkh_acl) *Call {
		return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
			at := unsafe.Pointer(&data[0])
			return C.zkhgo_tree_create_or_update(
				c.handle, path, at, size, C.int32_t(mode), acl, parents, user, op, err)
		})
	})
}

// TreeChildren lists everything below a node.
func (c *Client) TreeChildren(path string) *Call {
	return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_tree_children(c.handle, path, user, op, err)
	})
}

// TreeDelete deletes a node and everything below it.
func (c *Client) TreeDelete(path string, version int32) *Call {
	return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_tree_delete(c.handle, path, C.int32_t(version), user, op, err)
	})
}

// TreeGlob finds what patterns stand for.
func (c *Client) TreeGlob(patterns []string) *Call {
	// An array of C's, because it has pointers of C's.
	array := (**C.char)(C.calloc(C.size_t(len(patterns)+1), C.size_t(unsafe.Sizeof((*C.char)(nil)))))
	defer C.free(unsafe.Pointer(array))
	for i := range patterns {
		at, err := text(patterns[i])
		if err != nil {
			return refused(err)
		}
		defer free(at)
		unsafe.Slice(array, len(patterns))[i] = at
	}
	return start(func(user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_tree_glob(c.handle, array, C.size_t(len(patterns)), user, op, err)
	})
}

// HasWildcard says whether a path has a wildcard. Text that is not UTF-8, or has a zero byte, has none.
func HasWildcard(path string) bool {
	c, err := text(path)
	if err != nil {
		return false
	}
	defer free(c)
	return bool(C.zkh_path_has_wildcard(c))
}

// QueueLock is a lock on a queue.
type QueueLock struct{ handle C.zkh_queue_lock }

// NewQueueLock makes a lock on the parent of the nodes that wait.
func (c *Client) NewQueueLock(queue string) (*QueueLock, error) {
	var lock QueueLock
	err := withText(queue, func(queue *C.char, err **C.zkh_error) C.zkh_status {
		return C.zkh_queue_lock_new(c.handle, queue, nil, &lock.handle, err)
	})
	if err != nil {
		return nil, err
	}
	return &lock, nil
}

// Obtain waits until a node of the queue is the first.
func (q *QueueLock) Obtain(name string, timeout time.Duration) *Call {
	ms := C.int64_t(Milliseconds(timeout))
	return about(name, func(name *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_obtain(q.handle, name, ms, user, op, err)
	})
}

// Free frees the handle.
func (q *QueueLock) Free() { C.zkh_queue_lock_free(q.handle) }

// PidNode is a node that says that its owner lives.
type PidNode struct{ handle C.zkh_pid_node }

// NewPidNode makes a pid node that is not there yet. A nil list is the default: anyone, as
// for a file; so is a wait of 0.
func (c *Client) NewPidNode(path string, value []byte, list []ACL, wait time.Duration) (*PidNode, error) {
	var options C.zkh_pid_node_options
	var err *C.zkh_error
	if status := C.zkh_pid_node_options_new(&options, &err); status != C.ZKH_OK {
		return nil, takeError(status, err)
	}
	defer C.zkh_pid_node_options_free(options)
	if list != nil {
		acl, e := newACL(list)
		if e != nil {
			return nil, e
		}
		defer C.zkh_acl_free(acl)
		if status := C.zkh_pid_node_options_set_acl(options, &acl, &err); status != C.ZKH_OK {
			return nil, takeError(status, err)
		}
	}
	if wait != 0 {
		ms := C.int64_t(Milliseconds(wait))
		if status := C.zkh_pid_node_options_set_wait_ms(options, ms, &err); status != C.ZKH_OK {
			return nil, takeError(status, err)
		}
	}
	var node PidNode
	data, size := some(value), C.size_t(len(value))
	e := withText(path, func(path *C.char, err **C.zkh_error) C.zkh_status {
		return C.zkh_pid_node_new(c.handle, path, unsafe.Pointer(&data[0]), size, &options, &node.handle, err)
	})
	if e != nil {
		return nil, e
	}
	return &node, nil
}

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
