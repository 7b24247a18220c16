package abi

// #include "bridge.h"
import "C"

import "unsafe"

// Stat is a node's status.
type Stat struct {
	Czxid, Mzxid, Ctime, Mtime  int64
	Version, Cversion, Aversion int32
	EphemeralOwner              int64
	DataLength, NumChildren     int32
	Pzxid                       int64
}

// ACL is an entry of an access control list.
type ACL struct {
	Perms  int32
	Scheme string
	ID     string
}

// Result is what an operation answered.
type Result struct {
	Path   string
	Data   []byte
	Stat   *Stat
	Exists bool
	Names  []string
	ACL    []ACL
	// Of each operation of a transaction or of several reads, and what a read of several failed with.
	Parts  []*Result
	Status Code
}

func copyResult(result *C.zkh_result) *Result {
	if result == nil {
		return nil
	}
	r := &Result{
		Path: C.GoString(C.zkh_result_path(result)), Exists: bool(C.zkh_result_exists(result)),
		Status: Code(C.zkh_result_status(result)),
	}
	var size C.size_t
	if data := C.zkh_result_data(result, &size); data != nil {
		r.Data = append([]byte{}, unsafe.Slice((*byte)(data), int(size))...)
	}
	var stat C.zkh_stat
	if C.zkh_result_stat(result, &stat) {
		r.Stat = &Stat{
			Czxid: int64(stat.czxid), Mzxid: int64(stat.mzxid), Ctime: int64(stat.ctime), Mtime: int64(stat.mtime),
			Version: int32(stat.version), Cversion: int32(stat.cversion), Aversion: int32(stat.aversion),
			EphemeralOwner: int64(stat.ephemeral_owner), DataLength: int32(stat.data_length),
			NumChildren: int32(stat.num_children), Pzxid: int64(stat.pzxid),
		}
	}
	count := C.zkh_result_count(result)
	for i := C.size_t(0); i < count; i++ {
		if name := C.zkh_result_name(result, i); name != nil {
			r.Names = append(r.Names, C.GoString(name))
		} else if scheme := C.zkh_result_scheme(result, i); scheme != nil {
			id := C.GoString(C.zkh_result_id(result, i))
			perms := int32(C.zkh_result_permissions(result, i))
			r.ACL = append(r.ACL, ACL{Perms: perms, Scheme: C.GoString(scheme), ID: id})
		} else if part := C.zkh_result_at(result, i); part != nil {
			r.Parts = append(r.Parts, copyResult(part))
		}
	}
	return r
}
