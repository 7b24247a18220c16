package abi

// #include "bridge.h"
import "C"

import (
	"runtime/cgo"
	"time"
)

// Stop is why a term has to end.
type Stop int32

// Why a term has to end.
const (
	StopLeaseRanOut  Stop = C.ZKH_STOP_LEASE_RAN_OUT
	StopSessionOver  Stop = C.ZKH_STOP_SESSION_OVER
	StopNodeDeleted  Stop = C.ZKH_STOP_NODE_DELETED
	StopClientClosed Stop = C.ZKH_STOP_CLIENT_CLOSED
	StopInterrupted  Stop = C.ZKH_STOP_INTERRUPTED
	StopResigned     Stop = C.ZKH_STOP_RESIGNED
	StopClosed       Stop = C.ZKH_STOP_CLOSED
)

// String says it in words.
func (s Stop) String() string {
	switch s {
	case StopLeaseRanOut:
		return "the lease ran out"
	case StopSessionOver:
		return "the session was over"
	case StopNodeDeleted:
		return "the node was deleted"
	case StopClientClosed:
		return "the connection was closed"
	case StopInterrupted:
		return "interrupted"
	case StopResigned:
		return "resigned"
	case StopClosed:
		return "the elector was closed"
	}
	return "not stopped"
}

// How the task of a term ended.
const (
	TaskDone        = C.ZKH_TASK_DONE
	TaskFailed      = C.ZKH_TASK_FAILED
	TaskInterrupted = C.ZKH_TASK_INTERRUPTED
)

// How a record's leader stands.
const (
	StandingLeading = C.ZKH_STANDING_LEADING
	StandingGone    = C.ZKH_STANDING_GONE
	StandingUnknown = C.ZKH_STANDING_UNKNOWN
)

// ElectorOptions is how an elector behaves; zero is the default of each.
type ElectorOptions struct {
	ACL                    []ACL
	JSON                   string
	Description            string
	Patterns               []string
	Lease, Grace           time.Duration // Both or none; a negative grace is for ever.
	MinBackoff, MaxBackoff time.Duration // Both or none.
}

func (o ElectorOptions) build() (C.zkh_elector_options, error) {
	var options C.zkh_elector_options
	var err *C.zkh_error
	if status := C.zkh_elector_options_new(&options, &err); status != C.ZKH_OK {
		return options, takeError(status, err)
	}
	if e := o.set(options); e != nil {
		C.zkh_elector_options_free(options)
		return options, e
	}
	return options, nil
}

func (o ElectorOptions) set(options C.zkh_elector_options) error {
	var err *C.zkh_error
	if o.ACL != nil {
		acl, e := newACL(o.ACL)
		if e != nil {
			return e
		}
		defer C.zkh_acl_free(acl)
		if s := C.zkh_elector_options_set_acl(options, &acl, &err); s != C.ZKH_OK {
			return takeError(s, err)
		}
	}
	if o.JSON != "" {
		e := withText(o.JSON, func(json *C.char, err **C.zkh_error) C.zkh_status {
			return C.zkh_elector_options_set_contents_json(options, json, err)
		})
		if e != nil {
			return e
		}
	}
	if o.Description != "" {
		e := withText(o.Description, func(description *C.char, err **C.zkh_error) C.zkh_status {
			return C.zkh_elector_options_set_description(options, description, err)
		})
		if e != nil {
			return e
		}
	}
	for _, pattern := range o.Patterns {
		e := withText(pattern, func(pattern *C.char, err **C.zkh_error) C.zkh_status {
			return C.zkh_elector_options_add_extra_lock_pattern(options, pattern, err)
		})
		if e != nil {
			return e
		}
	}
	if o.Lease != 0 || o.Grace != 0 {
		grace := C.int64_t(-1)
		if o.Grace >= 0 {
			grace = C.int64_t(Milliseconds(o.Grace))
		}
		s := C.zkh_elector_options_set_lease_ms(options, C.int64_t(Milliseconds(o.Lease)), grace, &err)
		if s != C.ZKH_OK {
			return takeError(s, err)
		}
	}
	if o.MinBackoff != 0 || o.MaxBackoff != 0 {
		least, most := C.int64_t(Milliseconds(o.MinBackoff)), C.int64_t(Milliseconds(o.MaxBackoff))
		if s := C.zkh_elector_options_set_backoff_ms(options, least, most, &err); s != C.ZKH_OK {
			return takeError(s, err)
		}
	}
	return nil
}

// Elector is a part in an election.
type Elector struct{ handle C.zkh_elector }

// NewElector makes a part in an election, not yet begun.
func (c *Client) NewElector(path string, options ElectorOptions) (*Elector, error) {
	built, e := options.build()
	if e != nil {
		return nil, e
	}
	defer C.zkh_elector_options_free(built)
	var elector Elector
	e = withText(path, func(path *C.char, err **C.zkh_error) C.zkh_status {
		return C.zkh_elector_new(c.handle, path, &built, &elector.handle, err)
	})
	if e != nil {
		return nil, e
	}
	return &elector, nil
}

// Term is a term that is served.
type Term struct {
	id    C.uint64_t
	Token int64
	Valid time.Duration
}

// End ends the term with one of Task….
func (t Term) End(outcome int) error {
	var err *C.zkh_error
	if status := C.zkh_term_end(C.zkh_term{id: t.id}, C.int32_t(outcome), &err); status != C.ZKH_OK {
		return takeError(status, err)
	}
	return nil
}

// Run is who is told of terms. None of the functions may wait.
type Run struct {
	Begin func(term Term)
	Stop  func(token int64, reason Stop)
	Over  func(reason error)
}

// Run takes part until the election is over for this elector.
func (e *Elector) Run(run *Run) error {
	var err *C.zkh_error
	// Where it fails the library has destroyed the handle.
	if status := C.zkhgo_run(e.handle, C.uintptr_t(cgo.NewHandle(run)), &err); status != C.ZKH_OK {
		return takeError(status, err)
	}
	return nil
}

// Interrupt ends the election for this elector, or the next one.
func (e *Elector) Interrupt() error {
	var err *C.zkh_error
	if status := C.zkh_elector_interrupt(e.handle, &err); status != C.ZKH_OK {
		return takeError(status, err)
	}
	return nil
}

// Leading says whether this elector leads for certain.
func (e *Elector) Leading() bool { return bool(C.zkh_elector_is_leading(e.handle)) }

// ValidMs is for how many milliseconds the lead is certain.
func (e *Elector) ValidMs() int64 { return int64(C.zkh_elector_valid_ms(e.handle)) }

// Leader is what a leader's record says.
type Leader struct {
	Token    int64
	Standing int
	SinceMs  int64
	Data     []byte
}

func copyLeader(leader *C.zkh_leader) *Leader {
	if leader == nil {
		return nil
	}
	var size C.size_t
	data := C.zkh_leader_data(leader, &size)
	return &Leader{
		Token:    int64(C.zkh_leader_token(leader)),
		Standing: int(C.zkh_leader_standing(leader)),
		SinceMs:  int64(C.zkh_leader_since_ms(leader)),
		Data:     []byte(C.GoStringN(data, C.int(size))),
	}
}

// Leader asks who leads.
func (e *Elector) Leader() *Call {
	return start(func(user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_leader_now(e.handle, user, op, err)
	})
}

// Observe sets who is told of leaders; nil sets nobody.
func (e *Elector) Observe(tell func(leader *Leader, err error)) error {
	var user C.uintptr_t
	if tell != nil {
		user = C.uintptr_t(cgo.NewHandle(tell))
	}
	var err *C.zkh_error
	if status := C.zkhgo_observe(e.handle, user, &err); status != C.ZKH_OK {
		return takeError(status, err)
	}
	return nil
}

// Free frees the elector. It waits for the end of a term.
func (e *Elector) Free() { C.zkh_elector_free(e.handle) }
