package abi

// #include "bridge.h"
import "C"

// Op is one operation of several that go together.
type Op struct {
	kind    opKind
	path    string
	data    []byte
	acl     []ACL
	mode    int32
	version int32
}

type opKind int

const (
	opCreate opKind = iota
	opDelete
	opSet
	opCheck
	opGet
	opChildren
)

// CreateOp is a create.
func CreateOp(path string, data []byte, mode int32, list []ACL) Op {
	return Op{kind: opCreate, path: path, data: data, mode: mode, acl: list}
}

// DeleteOp is a delete.
func DeleteOp(path string, version int32) Op { return Op{kind: opDelete, path: path, version: version} }

// SetOp is a set.
func SetOp(path string, data []byte, version int32) Op {
	return Op{kind: opSet, path: path, data: data, version: version}
}

// CheckOp is a check of a version.
func CheckOp(path string, version int32) Op { return Op{kind: opCheck, path: path, version: version} }

// GetOp is a read.
func GetOp(path string) Op { return Op{kind: opGet, path: path} }

// ChildrenOp is a list of children.
func ChildrenOp(path string) Op { return Op{kind: opChildren, path: path} }

// Path is what an operation is about.
func (o Op) Path() string { return o.path }

// list is the ACL for the core, where nil lets anyone do everything.
func (o Op) list(lenient bool) []ACL {
	if lenient && len(o.acl) == 0 {
		return nil
	}
	if o.acl == nil {
		return []ACL{}
	}
	return o.acl
}

// NewMultiOf makes a transaction, or several reads, of these.
func NewMultiOf(ops []Op, lenient bool) *Multi {
	multi := NewMulti()
	for _, op := range ops {
		switch op.kind {
		case opCreate:
			multi.Create(op.path, op.data, op.mode, op.list(lenient))
		case opDelete:
			multi.Delete(op.path, op.version)
		case opSet:
			multi.Set(op.path, op.data, op.version)
		case opCheck:
			multi.Check(op.path, op.version)
		case opGet:
			multi.get(op.path)
		case opChildren:
			multi.children(op.path)
		}
	}
	return multi
}

func (m *Multi) get(path string) {
	m.add(path, func(path *C.char, err **C.zkh_error) C.zkh_status { return C.zkh_multi_get(m.handle, path, err) })
}

func (m *Multi) children(path string) {
	m.add(path, func(path *C.char, err **C.zkh_error) C.zkh_status {
		return C.zkh_multi_children(m.handle, path, err)
	})
}

// Submit makes the operation by itself. One that cannot be alone is refused.
func (c *Client) Submit(op Op, lenient bool) *Call {
	switch op.kind {
	case opCreate:
		return c.Create(op.path, op.data, op.mode, op.list(lenient))
	case opDelete:
		return c.Delete(op.path, op.version)
	case opSet:
		return c.Set(op.path, op.data, op.version)
	case opGet:
		return c.Get(op.path)
	case opChildren:
		return c.Children(op.path)
	}
	return refused(&Error{
		Code: BadArgument, Name: BadArgument.name(), Path: op.path,
		Message: "check " + op.path + ": a check is a part of a transaction only (" + BadArgument.name() + ")",
	})
}

// MultiRead does reads in one request.
func (c *Client) MultiRead(m *Multi) *Call {
	return m.once(func(user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_multi_read(c.handle, m.handle, user, op, err)
	})
}

// Guarded commits a transaction only while the lock is held.
func (m *Mutex) Guarded(multi *Multi) *Call {
	return multi.once(func(user C.uintptr_t, _ *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_guarded(m.handle, multi.handle, user, err)
	})
}

// once uses it, and frees it.
func (m *Multi) once(use func(user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status) *Call {
	defer C.zkh_multi_free(m.handle)
	if m.err != nil {
		return refused(m.err)
	}
	return start(use)
}

// Ephemerals lists the session's ephemeral nodes below a prefix.
func (c *Client) Ephemerals(prefix string) *Call {
	return about(prefix, func(prefix *C.char, user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_ephemerals(c.handle, prefix, user, op, err)
	})
}

// WhoAmI asks whom the server takes the client for.
func (c *Client) WhoAmI() *Call {
	return start(func(user C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		return C.zkhgo_who_am_i(c.handle, user, op, err)
	})
}
