package abi

// #include "bridge.h"
import "C"

import "unsafe"

// Multi is a transaction in the making. It is used once, and freed by Commit.
type Multi struct {
	handle C.zkh_multi
	err    error
}

// NewMulti begins a transaction.
func NewMulti() *Multi {
	var m Multi
	var err *C.zkh_error
	if status := C.zkh_multi_new(&m.handle, &err); status != C.ZKH_OK {
		m.err = takeError(status, err)
	}
	return &m
}

func (m *Multi) add(path string, add func(path *C.char, err **C.zkh_error) C.zkh_status) {
	if m.err != nil {
		return
	}
	c, e := text(path)
	if e != nil {
		m.err = e
		return
	}
	defer free(c)
	var err *C.zkh_error
	if status := add(c, &err); status != C.ZKH_OK {
		m.err = takeError(status, err)
	}
}

// Create adds a create.
func (m *Multi) Create(path string, value []byte, mode int32, list []ACL) {
	data, size := some(value), C.size_t(len(value))
	m.add(path, func(path *C.char, err **C.zkh_error) C.zkh_status {
		if list == nil {
			return C.zkh_multi_create(m.handle, path, unsafe.Pointer(&data[0]), size, C.int32_t(mode), 0, nil, err)
		}
		acl, e := newACL(list)
		if e != nil {
			m.err = e
			return C.ZKH_OK
		}
		defer C.zkh_acl_free(acl)
		return C.zkh_multi_create(m.handle, path, unsafe.Pointer(&data[0]), size, C.int32_t(mode), 0, &acl, err)
	})
}

// Delete adds a delete.
func (m *Multi) Delete(path string, version int32) {
	m.add(path, func(path *C.char, err **C.zkh_error) C.zkh_status {
		return C.zkh_multi_delete(m.handle, path, C.int32_t(version), err)
	})
}

// Set adds a set.
func (m *Multi) Set(path string, value []byte, version int32) {
	data, size := some(value), C.size_t(len(value))
	m.add(path, func(path *C.char, err **C.zkh_error) C.zkh_status {
		return C.zkh_multi_set(m.handle, path, unsafe.Pointer(&data[0]), size, C.int32_t(version), err)
	})
}

// Check adds a check of a version.
func (m *Multi) Check(path string, version int32) {
	m.add(path, func(path *C.char, err **C.zkh_error) C.zkh_status {
		return C.zkh_multi_check(m.handle, path, C.int32_t(version), err)
	})
}

// Commit does all of it or nothing.
func (c *Client) Commit(m *Multi) *Call {
	return m.once(func(user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_commit(c.handle, m.handle, user, op, err)
	})
}
