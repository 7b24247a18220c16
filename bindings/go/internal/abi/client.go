package abi

// #include "bridge.h"
import "C"

import (
	"runtime/cgo"
	"time"
	"unsafe"
)

// Milliseconds is a duration as the ABI takes it: a part of one counts as a whole, and less than nothing as nothing.
func Milliseconds(d time.Duration) int64 {
	if d <= 0 {
		return 0
	}
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// State is a client's state.
type State int32

// The states of a client.
const (
	Connecting State = C.ZKH_STATE_CONNECTING
	Connected  State = C.ZKH_STATE_CONNECTED
	Suspended  State = C.ZKH_STATE_SUSPENDED
	Lost       State = C.ZKH_STATE_LOST
	StateOver  State = C.ZKH_STATE_CLOSED
)

// Auth is what is shown to the server on every connection.
type Auth struct {
	Scheme string
	Data   []byte
}

// ClientOptions is how a client behaves; zero is the default of each.
type ClientOptions struct {
	SessionTimeout, ConnectTimeout, OperationTimeout, MaxSilence, RenewInterval time.Duration
	Auth                                                                        []Auth
}

// set makes an options object.
func (o ClientOptions) build() (C.zkh_client_options, error) {
	var options C.zkh_client_options
	var err *C.zkh_error
	if status := C.zkh_client_options_new(&options, &err); status != C.ZKH_OK {
		return options, takeError(status, err)
	}
	status := C.zkh_status(C.ZKH_OK)
	set := func(value time.Duration, call func(ms C.int64_t) C.zkh_status) {
		if status == C.ZKH_OK && value != 0 {
			status = call(C.int64_t(Milliseconds(value)))
		}
	}
	set(o.SessionTimeout, func(ms C.int64_t) C.zkh_status {
		return C.zkh_client_options_set_session_timeout_ms(options, ms, &err)
	})
	set(o.ConnectTimeout, func(ms C.int64_t) C.zkh_status {
		return C.zkh_client_options_set_connect_timeout_ms(options, ms, &err)
	})
	set(o.OperationTimeout, func(ms C.int64_t) C.zkh_status {
		return C.zkh_client_options_set_operation_timeout_ms(options, ms, &err)
	})
	set(o.MaxSilence, func(ms C.int64_t) C.zkh_status {
		return C.zkh_client_options_set_max_silence_ms(options, ms, &err)
	})
	set(o.RenewInterval, func(ms C.int64_t) C.zkh_status {
		return C.zkh_client_options_set_renew_interval_ms(options, ms, &err)
	})
	for _, auth := range o.Auth {
		if status == C.ZKH_OK {
			scheme, e := text(auth.Scheme)
			if e != nil {
				C.zkh_client_options_free(options)
				return options, e
			}
			data := some(auth.Data)
			size := C.size_t(len(auth.Data))
			status = C.zkh_client_options_add_auth(options, scheme, unsafe.Pointer(&data[0]), size, &err)
			free(scheme)
		}
	}
	if status != C.ZKH_OK {
		C.zkh_client_options_free(options)
		return options, takeError(status, err)
	}
	return options, nil
}

// Client is a client.
type Client struct{ handle C.zkh_client }

// NewClient makes a client, which begins to connect.
func NewClient(address string, options ClientOptions) (*Client, error) {
	built, e := options.build()
	if e != nil {
		return nil, e
	}
	defer C.zkh_client_options_free(built)
	c, e := text(address)
	if e != nil {
		return nil, e
	}
	defer free(c)
	var client Client
	var err *C.zkh_error
	if status := C.zkh_client_new(c, &built, &client.handle, &err); status != C.ZKH_OK {
		return nil, takeError(status, err)
	}
	return &client, nil
}

// OnState sets who is told of every change of state.
func (c *Client) OnState(tell func(state State, session int64, reason error)) error {
	var err *C.zkh_error
	handle := C.uintptr_t(cgo.NewHandle(tell))
	if status := C.zkhgo_on_state(c.handle, handle, &err); status != C.ZKH_OK {
		return takeError(status, err)
	}
	return nil
}

// State is the present state.
func (c *Client) State() State { return State(C.zkh_client_state(c.handle)) }

// SessionID is the present session, 0 while there is none.
func (c *Client) SessionID() int64 { return int64(C.zkh_client_session_id(c.handle)) }

// WaitConnected waits until a server is connected; less than nothing waits for ever.
func (c *Client) WaitConnected(timeout time.Duration) *Call {
	ms := C.int64_t(-1)
	if timeout >= 0 {
		ms = C.int64_t(Milliseconds(timeout))
	}
	return start(func(user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_wait_connected(c.handle, ms, user, op, err)
	})
}

// AddAuth adds credentials.
func (c *Client) AddAuth(scheme string, auth []byte) *Call {
	data := some(auth)
	return about(scheme, func(scheme *C.char, user C.uintptr_t, _ *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_add_auth(c.handle, scheme, unsafe.Pointer(&data[0]), C.size_t(len(auth)), user, err)
	})
}

// Close ends the session.
func (c *Client) Close(timeout time.Duration) *Call {
	ms := C.int64_t(Milliseconds(timeout))
	return start(func(user C.uintptr_t, _ *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_close(c.handle, ms, user, err)
	})
}

// Free frees the client.
func (c *Client) Free() { C.zkh_client_free(c.handle) }
