package abi

// #include "bridge.h"
import "C"

import (
	"runtime/cgo"
	"unsafe"
)

// Owner says whether a contender lives.
type Owner int32

// Whether a contender lives.
const (
	OwnerLiving  Owner = C.ZKH_OWNER_LIVING
	OwnerGone    Owner = C.ZKH_OWNER_GONE
	OwnerUnknown Owner = C.ZKH_OWNER_UNKNOWN
)

// Contender is somebody who holds a lock or waits for it.
type Contender struct {
	Name                  string
	Token, Session, Since int64
	Owner                 Owner
	Hostname              string
	Pid                   int64
	Description           string
	Asked                 bool
	Reason                string
	Data                  []byte
}

func copyContenders(all *C.zkh_contenders) []Contender {
	count := C.zkh_contenders_count(all)
	list := make([]Contender, 0, int(count))
	for i := C.size_t(0); i < count; i++ {
		contender := Contender{
			Name:        C.GoString(C.zkh_contenders_name(all, i)),
			Token:       int64(C.zkh_contenders_token(all, i)),
			Session:     int64(C.zkh_contenders_session_id(all, i)),
			Since:       int64(C.zkh_contenders_since_ms(all, i)),
			Owner:       Owner(C.zkh_contenders_owner(all, i)),
			Hostname:    C.GoString(C.zkh_contenders_hostname(all, i)),
			Pid:         int64(C.zkh_contenders_pid(all, i)),
			Description: C.GoString(C.zkh_contenders_description(all, i)),
		}
		if reason := C.zkh_contenders_asked(all, i); reason != nil {
			contender.Asked, contender.Reason = true, C.GoString(reason)
		}
		var size C.size_t
		if data := C.zkh_contenders_data(all, i, &size); data != nil {
			contender.Data = append([]byte{}, unsafe.Slice((*byte)(data), int(size))...)
		}
		list = append(list, contender)
	}
	return list
}

// Contenders lists who holds the lock and who waits for it.
func (m *Mutex) Contenders() *Call {
	return start(func(user C.uintptr_t, _ *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_list_contenders(m.handle, user, err)
	})
}

// Candidates lists who leads and who stands for it.
func (e *Elector) Candidates() *Call {
	return start(func(user C.uintptr_t, _ *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_list_candidates(e.handle, user, err)
	})
}

// OnRevoke sets who is told that somebody asks for the lock; nil sets nobody. It must not wait.
func (m *Mutex) OnRevoke(tell func(token int64, reason string)) error {
	var user C.uintptr_t
	if tell != nil {
		user = C.uintptr_t(cgo.NewHandle(tell))
	}
	return told(func(err **C.zkh_error) C.zkh_status { return C.zkhgo_on_revoke(m.handle, user, err) })
}

// RequestRevocation asks a contender to give the lock up.
func (m *Mutex) RequestRevocation(name, reason string) *Call {
	why, e := text(reason)
	if e != nil {
		return refused(e)
	}
	defer free(why)
	return about(name, func(name *C.char, user C.uintptr_t, _ *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_ask_for(m.handle, name, why, user, err)
	})
}

// ReleaseDead releases a persistent lock whose owner is gone.
func (m *Mutex) ReleaseDead(name string) *Call {
	return about(name, func(name *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_release_dead(m.handle, name, user, op, err)
	})
}

// ReleaseByForce releases a persistent lock, whoever owns it.
func (m *Mutex) ReleaseByForce(name string, czxid int64) *Call {
	return about(name, func(name *C.char, user C.uintptr_t, _ *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_release_by_force(m.handle, name, C.int64_t(czxid), user, err)
	})
}

// Resign gives the lead up.
func (e *Elector) Resign() error {
	return told(func(err **C.zkh_error) C.zkh_status { return C.zkh_elector_resign(e.handle, err) })
}

// Close ends the election for this elector, now and in future. It does not wait.
func (e *Elector) Close() error {
	return told(func(err **C.zkh_error) C.zkh_status { return C.zkh_elector_close(e.handle, err) })
}
