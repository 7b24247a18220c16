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

// ClientSetting is an option of a client that is a number.
type ClientSetting int

// The numbers. All but the last two are in milliseconds.
const (
	SetSessionTimeout ClientSetting = iota
	SetConnectTimeout
	SetOperationTimeout
	SetMaxSilence
	SetRenewInterval
	SetMaxBackoff
	SetMaxFrame
	SetWhileSuspended
)

// What operations do while no server is connected.
const (
	WaitWhileSuspended   = C.ZKH_WHILE_SUSPENDED_WAIT
	RefuseWhileSuspended = C.ZKH_WHILE_SUSPENDED_REFUSE
)

// Credentials is what another client needs to go on with a session.
type Credentials struct {
	SessionID int64
	Password  []byte
	LastZxid  int64
}

// TLS is whom a client trusts, and what it shows.
type TLS struct {
	AuthorityFile            string
	Authorities              []byte
	CertificateFile, KeyFile string
	Certificate, Key         []byte
	ServerName               string
}

// ClientOptions is how a client behaves; what is not there has its default.
type ClientOptions struct {
	Numbers  map[ClientSetting]int64
	Auth     []Auth
	Reattach *Credentials
	TLS      *TLS
}

// Set sets a time.
func (o *ClientOptions) Set(setting ClientSetting, value time.Duration) {
	o.SetNumber(setting, exact(value))
}

// SetNumber sets a number.
func (o *ClientOptions) SetNumber(setting ClientSetting, value int64) {
	if o.Numbers == nil {
		o.Numbers = make(map[ClientSetting]int64)
	}
	o.Numbers[setting] = value
}

// exact is a time for the library to judge: less than nothing stays so.
func exact(d time.Duration) int64 {
	if d < 0 {
		return -1
	}
	return Milliseconds(d)
}

// set makes an options object.
func (o ClientOptions) build() (C.zkh_client_options, error) {
	var options C.zkh_client_options
	var err *C.zkh_error
	if status := C.zkh_client_options_new(&options, &err); status != C.ZKH_OK {
		return options, takeError(status, err)
	}
	if e := o.set(options); e != nil {
		C.zkh_client_options_free(options)
		return options, e
	}
	return options, nil
}

func (o ClientOptions) set(options C.zkh_client_options) error {
	for setting, value := range o.Numbers {
		if e := setNumber(options, setting, C.int64_t(value)); e != nil {
			return e
		}
	}
	for _, auth := range o.Auth {
		e := withText(auth.Scheme, func(scheme *C.char, err **C.zkh_error) C.zkh_status {
			data, size := some(auth.Data), C.size_t(len(auth.Data))
			return C.zkh_client_options_add_auth(options, scheme, unsafe.Pointer(&data[0]), size, err)
		})
		if e != nil {
			return e
		}
	}
	if o.TLS != nil {
		if e := o.TLS.set(options); e != nil {
			return e
		}
	}
	if o.Reattach == nil {
		return nil
	}
	return told(func(err **C.zkh_error) C.zkh_status {
		password, size := some(o.Reattach.Password), C.size_t(len(o.Reattach.Password))
		return C.zkh_client_options_set_reattach(options, C.int64_t(o.Reattach.SessionID),
			unsafe.Pointer(&password[0]), size, C.int64_t(o.Reattach.LastZxid), err)
	})
}

func setNumber(options C.zkh_client_options, setting ClientSetting, value C.int64_t) error {
	return told(func(err **C.zkh_error) C.zkh_status {
		switch setting {
		case SetSessionTimeout:
			return C.zkh_client_options_set_session_timeout_ms(options, value, err)
		case SetConnectTimeout:
			return C.zkh_client_options_set_connect_timeout_ms(options, value, err)
		case SetOperationTimeout:
			return C.zkh_client_options_set_operation_timeout_ms(options, value, err)
		case SetMaxSilence:
			return C.zkh_client_options_set_max_silence_ms(options, value, err)
		case SetRenewInterval:
			return C.zkh_client_options_set_renew_interval_ms(options, value, err)
		case SetMaxBackoff:
			return C.zkh_client_options_set_max_backoff_ms(options, value, err)
		case SetMaxFrame:
			return C.zkh_client_options_set_max_frame_bytes(options, value, err)
		default:
			return C.zkh_client_options_set_while_suspended(options, C.int32_t(value), err)
		}
	})
}

func (t *TLS) set(options C.zkh_client_options) error {
	if t.AuthorityFile != "" {
		e := withText(t.AuthorityFile, func(file *C.char, err **C.zkh_error) C.zkh_status {
			return C.zkh_client_options_set_tls_ca_file(options, file, err)
		})
		if e != nil {
			return e
		}
	}
	if len(t.Authorities) > 0 {
		e := told(func(err **C.zkh_error) C.zkh_status {
			size := C.size_t(len(t.Authorities))
			return C.zkh_client_options_set_tls_ca_pem(options, unsafe.Pointer(&t.Authorities[0]), size, err)
		})
		if e != nil {
			return e
		}
	}
	if t.CertificateFile != "" || t.KeyFile != "" {
		key, e := text(t.KeyFile)
		if e != nil {
			return e
		}
		defer free(key)
		e = withText(t.CertificateFile, func(file *C.char, err **C.zkh_error) C.zkh_status {
			return C.zkh_client_options_set_tls_certificate_file(options, file, key, err)
		})
		if e != nil {
			return e
		}
	}
	if len(t.Certificate) > 0 || len(t.Key) > 0 {
		e := told(func(err **C.zkh_error) C.zkh_status {
			certificate, key := some(t.Certificate), some(t.Key)
			return C.zkh_client_options_set_tls_certificate_pem(options, unsafe.Pointer(&certificate[0]),
				C.size_t(len(t.Certificate)), unsafe.Pointer(&key[0]), C.size_t(len(t.Key)), err)
		})
		if e != nil {
			return e
		}
	}
	if t.ServerName == "" {
		return nil
	}
	return withText(t.ServerName, func(name *C.char, err **C.zkh_error) C.zkh_status {
		return C.zkh_client_options_set_tls_server_name(options, name, err)
	})
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

// StateChange is a change of state: to which, with the present session and the one that was lost last.
type StateChange struct {
	State             State
	Session, Previous int64
	Reason            error
}

// OnState sets who is told of every change of state. It must not wait.
func (c *Client) OnState(tell func(change StateChange)) error {
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

// SessionTimeout is the session timeout, as the server negotiated it last.
func (c *Client) SessionTimeout() time.Duration {
	return time.Duration(C.zkh_client_session_timeout_ms(c.handle)) * time.Millisecond
}

// Credentials are what another client needs to go on with the session.
func (c *Client) Credentials() (Credentials, error) {
	var session, zxid C.int64_t
	var size C.size_t
	password := make([]byte, 64)
	e := told(func(err **C.zkh_error) C.zkh_status {
		at, room := unsafe.Pointer(&password[0]), C.size_t(len(password))
		return C.zkh_client_credentials(c.handle, &session, at, room, &size, &zxid, err)
	})
	return Credentials{SessionID: int64(session), Password: password[:size], LastZxid: int64(zxid)}, e
}

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
