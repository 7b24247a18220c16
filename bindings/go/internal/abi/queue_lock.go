package abi

// #include "bridge.h"
import "C"

import "time"

// QueueLockOptions is how the nodes are made that a queue lock makes; zero is the default of each.
type QueueLockOptions struct {
	ACL          []ACL
	Prefix, JSON string
}

func (o QueueLockOptions) set(options C.zkh_queue_lock_options) error {
	if o.ACL != nil {
		acl, e := newACL(o.ACL)
		if e != nil {
			return e
		}
		defer C.zkh_acl_free(acl)
		e = told(func(err **C.zkh_error) C.zkh_status {
			return C.zkh_queue_lock_options_set_acl(options, &acl, err)
		})
		if e != nil {
			return e
		}
	}
	if o.Prefix != "" {
		e := withText(o.Prefix, func(prefix *C.char, err **C.zkh_error) C.zkh_status {
			return C.zkh_queue_lock_options_set_prefix(options, prefix, err)
		})
		if e != nil {
			return e
		}
	}
	if o.JSON == "" {
		return nil
	}
	return withText(o.JSON, func(json *C.char, err **C.zkh_error) C.zkh_status {
		return C.zkh_queue_lock_options_set_contents_json(options, json, err)
	})
}

// QueueLock is a lock on a queue.
type QueueLock struct{ handle C.zkh_queue_lock }

// NewQueueLock makes a lock on the parent of the nodes that wait.
func (c *Client) NewQueueLock(queue string, o QueueLockOptions) (*QueueLock, error) {
	var options C.zkh_queue_lock_options
	e := told(func(err **C.zkh_error) C.zkh_status { return C.zkh_queue_lock_options_new(&options, err) })
	if e != nil {
		return nil, e
	}
	defer C.zkh_queue_lock_options_free(options)
	if e := o.set(options); e != nil {
		return nil, e
	}
	var lock QueueLock
	e = withText(queue, func(queue *C.char, err **C.zkh_error) C.zkh_status {
		return C.zkh_queue_lock_new(c.handle, queue, &options, &lock.handle, err)
	})
	if e != nil {
		return nil, e
	}
	return &lock, nil
}

// wait is a time to wait, where less than nothing is for ever.
func wait(timeout time.Duration) C.int64_t { return C.int64_t(exact(timeout)) }

// Obtain waits until a node of the queue is the first. A negative timeout waits for ever.
func (q *QueueLock) Obtain(name string, timeout time.Duration) *Call {
	return about(name, func(name *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_obtain(q.handle, name, wait(timeout), user, op, err)
	})
}

// Lock makes a node and waits until it is the first; the value is its czxid. A negative timeout waits for ever.
func (q *QueueLock) Lock(timeout time.Duration, description string) *Call {
	return about(description, func(text *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_queue_lock(q.handle, wait(timeout), text, user, op, err)
	})
}

// Unlock releases the lock.
func (q *QueueLock) Unlock() *Call {
	return start(func(user C.uintptr_t, _ *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_queue_unlock(q.handle, user, err)
	})
}

// Interrupt ends one wait, this or the next.
func (q *QueueLock) Interrupt() error {
	return told(func(err **C.zkh_error) C.zkh_status { return C.zkh_queue_lock_interrupt(q.handle, err) })
}

// Token is the czxid of the node by which the lock is held, 0 where it is not.
func (q *QueueLock) Token() int64 { return int64(C.zkh_queue_lock_token(q.handle)) }

// Free frees the handle.
func (q *QueueLock) Free() { C.zkh_queue_lock_free(q.handle) }
