package zk

import (
	"context"

	"zkhelper/internal/abi"
)

// Op is one operation of several that go together: in a transaction (Commit), in one request of reads (ReadAll), or one after the
// other without waiting in between (Pipeline).
type Op = abi.Op

// CreateOp is a create; flags are as for Conn.Create.
func CreateOp(path string, data []byte, flags int32, acl []ACL) Op {
	return abi.CreateOp(path, data, mode(flags), list(acl))
}

// SetOp is a set of a node's data, if they have this version; -1 is any.
func SetOp(path string, data []byte, version int32) Op { return abi.SetOp(path, data, version) }

// DeleteOp is a delete of a node whose data have this version; -1 is any.
func DeleteOp(path string, version int32) Op { return abi.DeleteOp(path, version) }

// CheckOp lets a transaction fail unless the node is there and its data have this version; -1 is any.
func CheckOp(path string, version int32) Op { return abi.CheckOp(path, version) }

// GetOp reads a node's data.
func GetOp(path string) Op { return abi.GetOp(path) }

// ChildrenOp lists the names of a node's children.
func ChildrenOp(path string) Op { return abi.ChildrenOp(path) }

// OpResult is what one operation of several answered.
type OpResult struct {
	Path     string   // Of a node that was created.
	Data     []byte   // Of a get.
	Children []string // Of a list.
	Stat     Stat     // Of the node, where the server tells; otherwise zeros.
	Err      error    // What this operation failed with, where each has an outcome of its own.
}

func opResult(result *abi.Result, err error) OpResult {
	if result == nil {
		return OpResult{Stat: statOf(nil), Err: err}
	}
	if err == nil {
		err = abi.OfCode(result.Status)
	}
	return OpResult{result.Path, result.Data, result.Names, statOf(result), err}
}

func opResults(results []*abi.Result) []OpResult {
	all := make([]OpResult, len(results))
	for i, result := range results {
		all[i] = opResult(result, nil)
	}
	return all
}

// Commit does all of the operations as one transaction or, where one fails, none: then the error is that of the first that failed, with
// its path. There is a result for each, in their order.
func (c *Conn) Commit(ctx context.Context, ops ...Op) ([]OpResult, error) {
	result, err := waited(ctx, c.core.client.Commit(abi.NewMultiOf(ops, c.core.lenient)))
	if err != nil {
		return nil, err
	}
	return opResults(result.Parts), nil
}

// ReadAll does reads in one request. There is a result for each, in their order, and one may fail without the others.
// Servers from 3.6 on know it.
func (c *Conn) ReadAll(ctx context.Context, reads ...Op) ([]OpResult, error) {
	result, err := waited(ctx, c.core.client.MultiRead(abi.NewMultiOf(reads, false)))
	if err != nil {
		return nil, err
	}
	return opResults(result.Parts), nil
}

// Pipeline submits operations one after the other, in their order, and waits for them only then. Each is done for itself,
// and has its own result.
func (c *Conn) Pipeline(ctx context.Context, ops ...Op) []OpResult {
	calls := make([]*abi.Call, len(ops))
	abi.Together(func() {
		for i, op := range ops {
			calls[i] = c.core.client.Submit(op, c.core.lenient)
		}
	})
	results := make([]OpResult, len(ops))
	for i, call := range calls {
		results[i] = opResult(waited(ctx, call))
	}
	return results
}
