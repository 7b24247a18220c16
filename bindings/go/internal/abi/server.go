package abi

// #include "bridge.h"
import "C"

import "time"

// Server is an embedded server.
type Server struct{ handle C.zkh_server }

// The operations that a connection can be cut at.
const (
	OperationAny         = C.ZKH_OPERATION_ANY
	OperationConnect     = C.ZKH_OPERATION_CONNECT
	OperationCreate      = C.ZKH_OPERATION_CREATE
	OperationDelete      = C.ZKH_OPERATION_DELETE
	OperationSet         = C.ZKH_OPERATION_SET_DATA
	OperationMulti       = C.ZKH_OPERATION_MULTI
	OperationExists      = C.ZKH_OPERATION_EXISTS
	OperationGet         = C.ZKH_OPERATION_GET_DATA
	OperationGetChildren = C.ZKH_OPERATION_GET_CHILDREN
	OperationPing        = C.ZKH_OPERATION_PING
)

// The moments at which it can.
const (
	BeforeApplying = C.ZKH_MOMENT_BEFORE_APPLYING
	AfterApplying  = C.ZKH_MOMENT_AFTER_APPLYING
)

// StartServer starts a server; a tick of 0 is the default.
func StartServer(port int, tick time.Duration) (*Server, error) {
	var server Server
	var err *C.zkh_error
	status := C.zkh_server_start(C.int32_t(port), C.int64_t(Milliseconds(tick)), &server.handle, &err)
	if status != C.ZKH_OK {
		return nil, takeError(status, err)
	}
	return &server, nil
}

// Address is what clients connect to.
func (s *Server) Address() string {
	var buffer [64]C.char
	C.zkh_server_address(s.handle, &buffer[0], C.size_t(len(buffer)))
	return C.GoString(&buffer[0])
}

func told(do func(err **C.zkh_error) C.zkh_status) error {
	var err *C.zkh_error
	if status := do(&err); status != C.ZKH_OK {
		return takeError(status, err)
	}
	return nil
}

// Free stops the server.
func (s *Server) Free() { C.zkh_server_free(s.handle) }

// Cut cuts the connection that asks for the n-th such operation.
func (s *Server) Cut(operation, n, moment int) error {
	return told(func(err **C.zkh_error) C.zkh_status {
		return C.zkh_server_cut(s.handle, C.int32_t(operation), C.int32_t(n), C.int32_t(moment), err)
	})
}

// SetFrozen stops all answers.
func (s *Server) SetFrozen(frozen bool) error {
	return told(func(err **C.zkh_error) C.zkh_status { return C.zkh_server_set_frozen(s.handle, C.bool(frozen), err) })
}

// SetIsolated cuts the server off from a quorum.
func (s *Server) SetIsolated(isolated bool) error {
	return told(func(err **C.zkh_error) C.zkh_status {
		return C.zkh_server_set_isolated(s.handle, C.bool(isolated), err)
	})
}

// SetLenient lets it answer as the old in-memory connection.
func (s *Server) SetLenient(lenient bool) error {
	return told(func(err **C.zkh_error) C.zkh_status { return C.zkh_server_set_lenient(s.handle, C.bool(lenient), err) })
}

// SetDelay delays every answer.
func (s *Server) SetDelay(delay time.Duration) error {
	return told(func(err **C.zkh_error) C.zkh_status {
		return C.zkh_server_set_delay_ms(s.handle, C.int64_t(Milliseconds(delay)), err)
	})
}

// Expire ends a session.
func (s *Server) Expire(session int64) error {
	return told(func(err **C.zkh_error) C.zkh_status { return C.zkh_server_expire(s.handle, C.int64_t(session), err) })
}

// SetSequence sets the number of the next sequential child.
func (s *Server) SetSequence(path string, next int32) error {
	return withText(path, func(path *C.char, err **C.zkh_error) C.zkh_status {
		return C.zkh_server_set_sequence(s.handle, path, C.int32_t(next), err)
	})
}
