package zkhelper

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"zkhelper/internal/abi"
	"zkhelper/zk"
)

// done waits for a call of a helper.
func done(call *abi.Call) (*abi.Result, error) {
	outcome := call.Wait(context.Background())
	return outcome.Result, old(outcome.Err)
}

// acls is a list for the core, where nil lets anyone do everything. A server refuses an empty one.
func (l *link) acls(list []zk.ACL) []abi.ACL {
	if len(list) == 0 && l.lenient {
		return nil
	}
	converted := make([]abi.ACL, 0, len(list))
	for _, entry := range list {
		converted = append(converted, abi.ACL(entry))
	}
	return converted
}

func mode(flags int) int32 { return int32(flags) & (zk.FlagEphemeral | zk.FlagSequence) }

// CreateRecursive creates a node and its missing parents, and returns its path. The path has to begin with "/zk/" or be
// "/zk". The parents are plain and empty, whatever the flags are, and get the same ACL, with all permissions for whoever
// may administer it.
func CreateRecursive(zconn Conn, zkPath, value string, flags int, aclv []zk.ACL) (pathCreated string, err error) {
	if parts := strings.Split(zkPath, "/"); len(parts) < 2 || parts[0] != "" || parts[1] != MagicPrefix {
		return "", fmt.Errorf("zkutil: non /%v path: %v", MagicPrefix, zkPath)
	}
	link, err := linkTo(zconn)
	if err != nil {
		return "", err
	}
	defer link.release()
	result, err := done(link.client.TreeCreate(zkPath, []byte(value), mode(flags), link.acls(aclv)))
	if err != nil {
		return "", err
	}
	return result.Path, nil
}

// CreateOrUpdate creates a node, with its missing parents where recursive is true, or sets its data where it is there, and
// returns its path.
func CreateOrUpdate(
	zconn Conn, zkPath, value string, flags int, aclv []zk.ACL, recursive bool,
) (pathCreated string, err error) {
	link, err := linkTo(zconn)
	if err != nil {
		return "", err
	}
	defer link.release()
	result, err := done(link.client.TreeCreateOrUpdate(zkPath, []byte(value), mode(flags), link.acls(aclv), recursive))
	if err != nil {
		return "", err
	}
	return result.Path, nil
}

// ChildrenRecursive lists everything below a node: paths relative to it, sorted.
func ChildrenRecursive(zconn Conn, zkPath string) ([]string, error) {
	link, err := linkTo(zconn)
	if err != nil {
		return nil, err
	}
	defer link.release()
	result, err := done(link.client.TreeChildren(zkPath))
	if err != nil {
		return nil, err
	}
	return append([]string{}, result.Names...), nil
}

// DeleteRecursive deletes a node and everything below it. The version is that of the node's own data; -1 is any. No ACL is
// touched.
func DeleteRecursive(zconn Conn, zkPath string, version int) error {
	link, err := linkTo(zconn)
	if err != nil {
		return err
	}
	defer link.release()
	_, err = done(link.client.TreeDelete(zkPath, int32(version)))
	return err
}

// HasWildcard says whether a path has a wildcard: *, ? or [ without a backslash before it.
func HasWildcard(path string) bool { return abi.HasWildcard(path) }

// ResolveWildcards finds the existing paths that patterns stand for, in the order of the patterns and sorted for each:
//
//	/zk/nyc/shards/*/action
//
// A path without a wildcard is returned as it is, whether it exists or not.
func ResolveWildcards(zconn Conn, zkPaths []string) ([]string, error) {
	link, err := linkTo(zconn)
	if err != nil {
		return nil, err
	}
	defer link.release()
	result, err := done(link.client.TreeGlob(zkPaths))
	if err != nil {
		return nil, err
	}
	return append([]string{}, result.Names...), nil
}

// ObtainQueueLock waits until a node that is there already has the lowest name in its directory: as long as wait
// says, or until interrupted is closed or sent to. A wait of 0 is a check that does not wait. The node stays the
// caller's; deleting it lets the next one in.
func ObtainQueueLock(zconn Conn, zkPath string, wait time.Duration, interrupted chan struct{}) error {
	link, err := linkTo(zconn)
	if err != nil {
		return err
	}
	defer link.release()
	lock, err := link.client.NewQueueLock(path.Dir(zkPath), abi.QueueLockOptions{})
	if err != nil {
		return old(err)
	}
	defer lock.Free()
	if wait < 0 {
		wait = 0
	}
	call := lock.Obtain(path.Base(zkPath), wait)
	select {
	case outcome := <-call.Done():
		return old(outcome.Err)
	case <-interrupted:
	}
	call.Cancel()
	outcome := <-call.Done()
	if e, ok := outcome.Err.(*Error); ok && e.Code == CodeCancelled {
		return ErrInterrupted
	}
	return old(outcome.Err)
}

// CreatePidNode makes an ephemeral node that says that this process lives, and keeps it: it is made again, with
// the same permissions, after its session's end. It is removed when done is closed. Somebody else's node in the
// way is waited for until its owner is known to live, and then refused; it is never deleted.
func CreatePidNode(zconn Conn, zkPath string, contents string, done chan struct{}) error {
	link, err := linkTo(zconn)
	if err != nil {
		return err
	}
	var options abi.PidNodeOptions
	if link.pidWait != 0 {
		options.Wait = &link.pidWait
	}
	node, err := link.client.NewPidNode(zkPath, []byte(contents), options)
	if err == nil {
		if err = node.Start().Wait(context.Background()).Err; err != nil {
			node.Free()
		}
	}
	if err != nil {
		link.release()
		return &pidError{zkPath, old(err)}
	}
	go func() {
		<-done
		node.Close().Wait(context.Background())
		node.Free()
		link.release()
	}()
	return nil
}

// pidError says which pid node could not be made, and unwraps to the reason.
type pidError struct {
	path string
	err  error
}

func (e *pidError) Error() string {
	return fmt.Sprintf("zkutil: failed creating pid node: %v: %v", e.path, e.err)
}

func (e *pidError) Unwrap() error { return e.err }
