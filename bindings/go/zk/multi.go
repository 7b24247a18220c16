package zk

import "context"

// PathVersionRequest names a node and the version that its data must have; -1 is any.
type PathVersionRequest struct {
	Path    string
	Version int32
}

// CheckVersionRequest is a check of a version.
type CheckVersionRequest PathVersionRequest

// DeleteRequest is a delete.
type DeleteRequest PathVersionRequest

// CreateRequest is a create.
type CreateRequest struct {
	Path  string
	Data  []byte
	Acl   []ACL
	Flags int32
}

// SetDataRequest is a set.
type SetDataRequest struct {
	Path    string
	Data    []byte
	Version int32
}

// MultiOps are the operations of a transaction. They are done in this order: creates, sets, deletes, checks.
type MultiOps struct {
	Create  []CreateRequest
	Delete  []DeleteRequest
	SetData []SetDataRequest
	Check   []CheckVersionRequest
}

// Multi does all the operations as one transaction, or none of them; the error is that of the first one that failed.
func (c *Conn) Multi(ops MultiOps) error {
	var all []Op
	for _, op := range ops.Create {
		all = append(all, CreateOp(op.Path, op.Data, op.Flags, op.Acl))
	}
	for _, op := range ops.SetData {
		all = append(all, SetOp(op.Path, op.Data, op.Version))
	}
	for _, op := range ops.Delete {
		all = append(all, DeleteOp(op.Path, op.Version))
	}
	for _, op := range ops.Check {
		all = append(all, CheckOp(op.Path, op.Version))
	}
	_, err := c.Commit(context.Background(), all...)
	return bare(err)
}
