package zk

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"path"
	"strings"

	"zkhelper/internal/abi"
)

// How often a creation is tried whose answer does not come.
const protectedTries = 3

// CreateProtectedEphemeralSequential creates an ephemeral node with a number, and finds it again where the answer is lost, so that
// there is one node or none: its name begins with "_c_" and a text that nobody else has. The locks of this library find
// theirs in their own way.
func (c *Conn) CreateProtectedEphemeralSequential(at string, data []byte, acl []ACL) (string, error) {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", err
	}
	dir, name := path.Split(at)
	prefix := "_c_" + hex.EncodeToString(id[:]) + "-"
	ctx := context.Background()
	for try := 1; ; try++ {
		created, err := c.CreateContext(ctx, dir+prefix+name, data, FlagEphemeral|FlagSequence, acl)
		if err == nil || !errors.Is(err, abi.OutcomeUnknown) {
			return created, bare(err)
		}
		if found, there, looked := c.find(ctx, dir, prefix); there {
			return found, nil
		} else if !looked || try == protectedTries {
			return "", bare(err)
		}
	}
}

// find looks for the node whose name begins with prefix.
func (c *Conn) find(ctx context.Context, dir, prefix string) (found string, there, looked bool) {
	parent := path.Clean(dir)
	// A transaction is committed behind what the session sent before: after it the node is there or never will be.
	if _, err := c.Commit(ctx, CheckOp(parent, -1)); err != nil {
		return "", false, false
	}
	children, _, err := c.ChildrenContext(ctx, parent)
	for _, child := range children {
		if strings.HasPrefix(child, prefix) {
			return dir + child, true, true
		}
	}
	return "", false, err == nil
}
