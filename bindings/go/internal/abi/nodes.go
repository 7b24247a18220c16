package abi

// #include "bridge.h"
import "C"

import "unsafe"

// The modes of a create.
const (
	CreatePersistent           = C.ZKH_CREATE_PERSISTENT
	CreateEphemeral            = C.ZKH_CREATE_EPHEMERAL
	CreatePersistentSequential = C.ZKH_CREATE_PERSISTENT_SEQUENTIAL
	CreateEphemeralSequential  = C.ZKH_CREATE_EPHEMERAL_SEQUENTIAL
)

// withACL makes a list for the length of a call. A nil list is the null pointer, which lets anyone do everything.
func withACL(list []ACL, use func(acl *C.zkh_acl) *Call) *Call {
	if list == nil {
		return use(nil)
	}
	acl, err := newACL(list)
	if err != nil {
		return refused(err)
	}
	defer C.zkh_acl_free(acl)
	return use(&acl)
}

func newACL(list []ACL) (C.zkh_acl, error) {
	var acl C.zkh_acl
	var err *C.zkh_error
	if status := C.zkh_acl_new(C.ZKH_ACL_EMPTY, &acl, &err); status != C.ZKH_OK {
		return acl, takeError(status, err)
	}
	for _, entry := range list {
		if e := addACL(acl, entry); e != nil {
			C.zkh_acl_free(acl)
			return acl, e
		}
	}
	return acl, nil
}

func addACL(acl C.zkh_acl, entry ACL) error {
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
	if status := C.zkh_acl_add(acl, C.int32_t(entry.Perms), scheme, id, &err); status != C.ZKH_OK {
		return takeError(status, err)
	}
	return nil
}

// Create creates a node; the result has its path and status.
func (c *Client) Create(path string, value []byte, mode int32, list []ACL) *Call {
	data, size := some(value), C.size_t(len(value))
	return withACL(list, func(acl *C.zkh_acl) *Call {
		return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
			return C.zkhgo_create(c.handle, path, unsafe.Pointer(&data[0]), size, C.int32_t(mode), acl, user, op, err)
		})
	})
}

// Get reads a node.
func (c *Client) Get(path string) *Call {
	return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_get(c.handle, path, user, op, err)
	})
}

// Set sets a node's data.
func (c *Client) Set(path string, value []byte, version int32) *Call {
	data, size := some(value), C.size_t(len(value))
	return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_set(c.handle, path, unsafe.Pointer(&data[0]), size, C.int32_t(version), user, op, err)
	})
}

// Delete deletes a node.
func (c *Client) Delete(path string, version int32) *Call {
	return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_delete(c.handle, path, C.int32_t(version), user, op, err)
	})
}

// Exists asks for a node.
func (c *Client) Exists(path string) *Call {
	return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_exists(c.handle, path, user, op, err)
	})
}

// Children lists a node's children.
func (c *Client) Children(path string) *Call {
	return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_children(c.handle, path, user, op, err)
	})
}

// GetACL reads a node's access control list.
func (c *Client) GetACL(path string) *Call {
	return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_get_acl(c.handle, path, user, op, err)
	})
}

// SetACL sets a node's access control list.
func (c *Client) SetACL(path string, list []ACL, version int32) *Call {
	return withACL(list, func(acl *C.zkh_acl) *Call {
		return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
			return C.zkhgo_set_acl(c.handle, path, acl, C.int32_t(version), user, op, err)
		})
	})
}

// Sync lets the server catch up with its leader.
func (c *Client) Sync(path string) *Call {
	return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_sync(c.handle, path, user, op, err)
	})
}
