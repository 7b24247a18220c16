package abi

// #include "bridge.h"
import "C"

import (
	"runtime/cgo"
	"time"
)

// Loss is why a lock is lost.
type Loss int32

// Why a lock is lost.
const (
	LeaseRanOut  Loss = C.ZKH_LOSS_LEASE_RAN_OUT
	SessionOver  Loss = C.ZKH_LOSS_SESSION_OVER
	NodeDeleted  Loss = C.ZKH_LOSS_NODE_DELETED
	ClientClosed Loss = C.ZKH_LOSS_CLIENT_CLOSED
)

// String says it in words.
func (l Loss) String() string {
	switch l {
	case LeaseRanOut:
		return "the lease ran out"
	case SessionOver:
		return "the session was over"
	case NodeDeleted:
		return "the node was deleted"
	case ClientClosed:
		return "the connection was closed"
	}
	return "not lost"
}

// MutexOptions is how a mutex behaves; zero is the default of each.
type MutexOptions struct {
	ACL      []ACL
	JSON     string // Further keys of the node's JSON object.
	Patterns []string
	// The lease of a persistent lock.
	Persistent *time.Duration
	Strict     *Strict
}

// Strict is what a strict lock counts on.
type Strict struct{ Lease, Delay time.Duration }

func (o MutexOptions) build() (C.zkh_mutex_options, error) {
	var options C.zkh_mutex_options
	var err *C.zkh_error
	if status := C.zkh_mutex_options_new(&options, &err); status != C.ZKH_OK {
		return options, takeError(status, err)
	}
	if e := o.set(options); e != nil {
		C.zkh_mutex_options_free(options)
		return options, e
	}
	return options, nil
}

func (o MutexOptions) set(options C.zkh_mutex_options) error {
	for _, entry := range o.ACL {
		scheme, e := text(entry.Scheme)
		if e != nil {
			return e
		}
		defer free(scheme)
		id, e := text(entry.ID)
		if e != nil {
			return e
		}
		defer free(id)
		var err *C.zkh_error
		if s := C.zkh_mutex_options_add_acl(options, C.int32_t(entry.Perms), scheme, id, &err); s != C.ZKH_OK {
			return takeError(s, err)
		}
	}
	if o.JSON != "" {
		e := withText(o.JSON, func(json *C.char, err **C.zkh_error) C.zkh_status {
			return C.zkh_mutex_options_set_contents_json(options, json, err)
		})
		if e != nil {
			return e
		}
	}
	for _, pattern := range o.Patterns {
		e := withText(pattern, func(pattern *C.char, err **C.zkh_error) C.zkh_status {
			return C.zkh_mutex_options_add_extra_lock_pattern(options, pattern, err)
		})
		if e != nil {
			return e
		}
	}
	var err *C.zkh_error
	if o.Persistent != nil {
		ms := C.int64_t(Milliseconds(*o.Persistent))
		if s := C.zkh_mutex_options_set_persistent(options, ms, &err); s != C.ZKH_OK {
			return takeError(s, err)
		}
	}
	if o.Strict != nil {
		lease, delay := C.int64_t(Milliseconds(o.Strict.Lease)), C.int64_t(Milliseconds(o.Strict.Delay))
		if s := C.zkh_mutex_options_set_strict(options, lease, delay, &err); s != C.ZKH_OK {
			return takeError(s, err)
		}
	}
	return nil
}

func withText(value string, use func(c *C.char, err **C.zkh_error) C.zkh_status) error {
	c, e := text(value)
	if e != nil {
		return e
	}
	defer free(c)
	var err *C.zkh_error
	if status := use(c, &err); status != C.ZKH_OK {
		return takeError(status, err)
	}
	return nil
}

// Mutex is a lock on a path.
type Mutex struct{ handle C.zkh_mutex }

// NewMutex makes a lock, not yet taken.
func (c *Client) NewMutex(path string, options MutexOptions, lost func(token int64, reason Loss)) (*Mutex, error) {
	built, e := options.build()
	if e != nil {
		return nil, e
	}
	defer C.zkh_mutex_options_free(built)
	var m Mutex
	e = withText(path, func(path *C.char, err **C.zkh_error) C.zkh_status {
		return C.zkh_mutex_new(c.handle, path, &built, &m.handle, err)
	})
	if e != nil {
		return nil, e
	}
	var err *C.zkh_error
	if status := C.zkhgo_on_lost(m.handle, C.uintptr_t(cgo.NewHandle(lost)), &err); status != C.ZKH_OK {
		C.zkh_mutex_free(m.handle)
		return nil, takeError(status, err)
	}
	return &m, nil
}

// Lock takes the lock; the value is its token. A negative timeout waits for ever.
func (m *Mutex) Lock(timeout time.Duration, description string) *Call {
	ms := C.int64_t(-1)
	if timeout >= 0 {
		ms = C.int64_t(Milliseconds(timeout))
	}
	return about(description, func(text *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_lock(m.handle, ms, text, user, op, err)
	})
}

// Unlock releases the lock.
func (m *Mutex) Unlock() *Call {
	return start(func(user C.uintptr_t, _ *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_unlock(m.handle, user, err)
	})
}

// Reset lets the numbers of an idle lock begin at 0.
func (m *Mutex) Reset() *Call {
	return start(func(user C.uintptr_t, _ *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_reset(m.handle, user, err)
	})
}

// Interrupt ends one wait, this or the next.
func (m *Mutex) Interrupt() error {
	var err *C.zkh_error
	if status := C.zkh_mutex_interrupt(m.handle, &err); status != C.ZKH_OK {
		return takeError(status, err)
	}
	return nil
}

// Held says whether the lock is held for certain.
func (m *Mutex) Held() bool { return bool(C.zkh_mutex_is_held(m.handle)) }

// Token is the fencing token, 0 where the lock is not held for certain.
func (m *Mutex) Token() int64 { return int64(C.zkh_mutex_token(m.handle)) }

// ValidMs is for how many milliseconds the lock is certain; -1 where nothing can tell.
func (m *Mutex) ValidMs() int64 { return int64(C.zkh_mutex_valid_ms(m.handle)) }

// Free frees the handle; a lock that it holds is released in the background.
func (m *Mutex) Free() { C.zkh_mutex_free(m.handle) }
