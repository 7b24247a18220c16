package abi

// #include <stdlib.h>
// #include "lend.h"
import "C"

import (
	"runtime/cgo"
	"time"
	"unsafe"
)

// What is asked of a lent connection.
const (
	RequestCreate   = C.ZKH_REQUEST_CREATE
	RequestDelete   = C.ZKH_REQUEST_DELETE
	RequestExists   = C.ZKH_REQUEST_EXISTS
	RequestGet      = C.ZKH_REQUEST_GET
	RequestSet      = C.ZKH_REQUEST_SET
	RequestChildren = C.ZKH_REQUEST_CHILDREN
	RequestMulti    = C.ZKH_REQUEST_MULTI
	RequestSync     = C.ZKH_REQUEST_SYNC
	RequestCheck    = C.ZKH_REQUEST_CHECK
)

// Op is a part of a transaction as an operation.
func (p Part) Op() Op {
	switch p.Operation {
	case RequestCreate:
		return CreateOp(p.Path, p.Data, p.Mode, p.ACL)
	case RequestDelete:
		return DeleteOp(p.Path, p.Version)
	case RequestSet:
		return SetOp(p.Path, p.Data, p.Version)
	}
	return CheckOp(p.Path, p.Version)
}

// Part is one operation that is asked for.
type Part struct {
	Operation int
	Path      string
	Data      []byte
	Version   int32
	Mode      int32
	ACL       []ACL
}

// Request is a request to a lent connection, of one part unless it is a transaction. It is completed once.
type Request struct {
	call      C.zkh_call
	Operation int
	Watch     LentWatch
	Parts     []Part
}

// LentWatch is a watch to be armed with a read.
type LentWatch struct{ id C.uint64_t }

// Wanted says whether there is one.
func (w LentWatch) Wanted() bool { return w.id != 0 }

// Fire tells what the watch saw. That nobody waits for it any more is no mistake.
func (w LentWatch) Fire(event Event) {
	C.zkh_lent_watch_fire(C.zkh_lent_watch(w), C.int32_t(event), nil)
}

// Lend makes a client over a connection. ask is called for each request, in order, and must not wait. Where the connection has no
// transactions they are done step by step, and none is asked for.
func Lend(options ClientOptions, transactions bool, ask func(request *Request)) (*Client, error) {
	built, e := options.build()
	if e != nil {
		return nil, e
	}
	defer C.zkh_client_options_free(built)
	var client Client
	var err *C.zkh_error
	user := C.uintptr_t(cgo.NewHandle(ask))
	if status := C.zkhgo_lend(&built, C.bool(transactions), user, &client.handle, &err); status != C.ZKH_OK {
		return nil, takeError(status, err)
	}
	return &client, nil
}

// Enter tells what became of the lent connection.
func (c *Client) Enter(state State, session int64, timeout time.Duration) {
	// It fails only where the client is over already.
	C.zkh_client_lent_state(c.handle, C.int32_t(state), C.int64_t(session), C.int64_t(Milliseconds(timeout)), nil)
}

//export zkhGoAsked
func zkhGoAsked(handle C.uintptr_t, call C.uint64_t, asked *C.zkh_request) {
	request := &Request{
		call:      C.zkh_call{id: call},
		Operation: int(C.zkh_request_operation(asked)),
		Watch:     LentWatch{C.zkh_request_watch(asked).id},
	}
	for i := C.size_t(0); i < C.zkh_request_count(asked); i++ {
		part := Part{
			Operation: int(C.zkh_request_part(asked, i)),
			Path:      C.GoString(C.zkh_request_path(asked, i)),
			Version:   int32(C.zkh_request_version(asked, i)),
			Mode:      int32(C.zkh_request_mode(asked, i, nil)),
		}
		var size C.size_t
		if data := C.zkh_request_data(asked, i, &size); data != nil {
			part.Data = append([]byte{}, unsafe.Slice((*byte)(data), int(size))...)
		}
		for entry := C.size_t(0); ; entry++ {
			var scheme, id *C.char
			perms := C.zkh_request_acl(asked, i, entry, &scheme, &id)
			if scheme == nil {
				break
			}
			acl := ACL{Perms: int32(perms), Scheme: C.GoString(scheme), ID: C.GoString(id)}
			part.ACL = append(part.ACL, acl)
		}
		request.Parts = append(request.Parts, part)
	}
	of[func(*Request)](handle)(request)
}

func (s *Stat) c() C.zkh_stat {
	return C.zkh_stat{
		czxid: C.int64_t(s.Czxid), mzxid: C.int64_t(s.Mzxid), ctime: C.int64_t(s.Ctime), mtime: C.int64_t(s.Mtime),
		version: C.int32_t(s.Version), cversion: C.int32_t(s.Cversion), aversion: C.int32_t(s.Aversion),
		ephemeral_owner: C.int64_t(s.EphemeralOwner), data_length: C.int32_t(s.DataLength),
		num_children: C.int32_t(s.NumChildren), pzxid: C.int64_t(s.Pzxid),
	}
}

// Fail completes a request that failed. A request that was given up meanwhile needs no answer; so for the other ways to complete it.
func (r *Request) Fail(code Code) { C.zkh_call_fail(r.call, C.zkh_status(code), nil) }

// Answer is what one part answered.
type Answer struct {
	Code     Code
	Path     string
	Data     []byte
	Stat     Stat
	Children []string
}

// texts makes an array of C texts; one with a zero byte is cut off there.
func texts(values []string) (array **C.char, release func()) {
	array = (**C.char)(C.calloc(C.size_t(len(values)+1), C.size_t(unsafe.Sizeof((*C.char)(nil)))))
	list := unsafe.Slice(array, len(values))
	for i, value := range values {
		list[i] = C.CString(value)
	}
	return array, func() {
		for _, text := range list {
			free(text)
		}
		C.free(unsafe.Pointer(array))
	}
}

// Done completes a request that is no transaction.
func (r *Request) Done(answer Answer) {
	stat := answer.Stat.c()
	switch r.Operation {
	case RequestGet:
		data := some(answer.Data)
		C.zkh_call_data(r.call, unsafe.Pointer(&data[0]), C.size_t(len(answer.Data)), &stat, nil)
	case RequestChildren:
		names, release := texts(answer.Children)
		defer release()
		C.zkh_call_children(r.call, names, C.size_t(len(answer.Children)), &stat, nil)
	default:
		path := C.CString(answer.Path)
		defer free(path)
		C.zkh_call_done(r.call, path, &stat, nil)
	}
}

// Multi completes a transaction, with an answer for each part.
func (r *Request) Multi(answers []Answer) {
	count := len(answers)
	if count == 0 {
		C.zkh_call_multi(r.call, nil, nil, nil, 0, nil)
		return
	}
	codes, paths, stats := make([]C.zkh_status, count), make([]string, count), make([]C.zkh_stat, count)
	for i, answer := range answers {
		codes[i], paths[i], stats[i] = C.zkh_status(answer.Code), answer.Path, answer.Stat.c()
	}
	names, release := texts(paths)
	defer release()
	C.zkh_call_multi(r.call, &codes[0], names, &stats[0], C.size_t(count), nil)
}
