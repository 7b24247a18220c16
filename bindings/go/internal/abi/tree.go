package abi

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import "unsafe"

// TreeCreate creates a node and its missing parents.
func (c *Client) TreeCreate(path string, value []byte, mode int32, list []ACL) *Call {
	data, size := some(value), C.size_t(len(value))
	return withACL(list, func(acl *C.zkh_acl) *Call {
		return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
			at := unsafe.Pointer(&data[0])
			return C.zkhgo_tree_create(c.handle, path, at, size, C.int32_t(mode), acl, user, op, err)
		})
	})
}

// TreeCreateOrUpdate creates a node, with its missing parents if recursive says so, or sets its data.
func (c *Client) TreeCreateOrUpdate(path string, value []byte, mode int32, list []ACL, recursive bool) *Call {
	data, size, parents := some(value), C.size_t(len(value)), C.bool(recursive)
	return withACL(list, func(acl *C.zkh_acl) *Call {
		return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
			at := unsafe.Pointer(&data[0])
			return C.zkhgo_tree_create_or_update(
				c.handle, path, at, size, C.int32_t(mode), acl, parents, user, op, err)
		})
	})
}

// TreeChildren lists everything below a node.
func (c *Client) TreeChildren(path string) *Call {
	return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_tree_children(c.handle, path, user, op, err)
	})
}

// TreeDelete deletes a node and everything below it.
func (c *Client) TreeDelete(path string, version int32) *Call {
	return about(path, func(path *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_tree_delete(c.handle, path, C.int32_t(version), user, op, err)
	})
}

// TreeGlob finds what patterns stand for.
func (c *Client) TreeGlob(patterns []string) *Call {
	// An array of C's, because it has pointers of C's.
	array := (**C.char)(C.calloc(C.size_t(len(patterns)+1), C.size_t(unsafe.Sizeof((*C.char)(nil)))))
	defer C.free(unsafe.Pointer(array))
	for i := range patterns {
		at, err := text(patterns[i])
		if err != nil {
			return refused(err)
		}
		defer free(at)
		unsafe.Slice(array, len(patterns))[i] = at
	}
	return start(func(user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_tree_glob(c.handle, array, C.size_t(len(patterns)), user, op, err)
	})
}

// HasWildcard says whether a path has a wildcard. Text that is not UTF-8, or has a zero byte, has none.
func HasWildcard(path string) bool {
	c, err := text(path)
	if err != nil {
		return false
	}
	defer free(c)
	return bool(C.zkh_path_has_wildcard(c))
}
