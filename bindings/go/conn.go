package zkhelper

import (
	"fmt"
	"strings"
	"time"

	"zkhelper/zk"
)

// Conn is what the functions here need of a connection. Those of ConnectToZk and NewConn have it, and anything
// else may: a wrapper that counts, a fake. What is weaker over a Conn of your own is in MIGRATION.md.
type Conn interface {
	Get(path string) (data []byte, stat zk.Stat, err error)
	GetW(path string) (data []byte, stat zk.Stat, watch <-chan zk.Event, err error)

	Children(path string) (children []string, stat zk.Stat, err error)
	ChildrenW(path string) (children []string, stat zk.Stat, watch <-chan zk.Event, err error)

	Exists(path string) (exist bool, stat zk.Stat, err error)
	ExistsW(path string) (exist bool, stat zk.Stat, watch <-chan zk.Event, err error)

	Create(path string, value []byte, flags int32, aclv []zk.ACL) (pathCreated string, err error)

	Set(path string, value []byte, version int32) (stat zk.Stat, err error)

	Delete(path string, version int32) (err error)

	Close()

	GetACL(path string) ([]zk.ACL, zk.Stat, error)
	SetACL(path string, aclv []zk.ACL, version int32) (zk.Stat, error)

	// Seq2Str is a number as it stands behind the name of a sequential node.
	Seq2Str(seq int64) string
}

// MyZkConn is a connection to ZooKeeper.
type MyZkConn struct {
	*zk.Conn
}

// Seq2Str is a number as it stands behind the name of a sequential node: ten digits at least.
func (conn *MyZkConn) Seq2Str(seq int64) string { return seq2str(seq) }

func seq2str(seq int64) string { return fmt.Sprintf("%.10d", seq) }

// ConnectToZk connects to the servers at "host:port,host:port", and returns at once: they are tried in the
// background. A connection that is silent for 3 seconds is given up for another.
func ConnectToZk(zkAddr string) (Conn, error) { return ConnectToZkWithTimeout(zkAddr, 3*time.Second) }

// ConnectToZkWithTimeout is ConnectToZk with another bound on a silent connection. It is not the session timeout, which is
// 30 seconds.
func ConnectToZkWithTimeout(zkAddr string, recvTime time.Duration) (Conn, error) {
	conn, _, err := zk.Connect(strings.Split(zkAddr, ","), recvTime)
	if err != nil {
		return nil, err
	}
	return &MyZkConn{Conn: conn}, nil
}

const (
	// PERM_DIRECTORY are the permissions for a node that has children.
	PERM_DIRECTORY = zk.PermAdmin | zk.PermCreate | zk.PermDelete | zk.PermRead | zk.PermWrite
	// PERM_FILE are the permissions for a node that has none.
	PERM_FILE = zk.PermAdmin | zk.PermRead | zk.PermWrite

	// MagicPrefix is the first part of every path that CreateRecursive takes.
	MagicPrefix = "zk"
)

// DefaultACLs lets anyone do everything.
func DefaultACLs() []zk.ACL { return zk.WorldACL(zk.PermAll) }

// DefaultDirACLs is for nodes that have children.
func DefaultDirACLs() []zk.ACL { return zk.WorldACL(PERM_DIRECTORY) }

// DefaultFileACLs is for nodes that have none.
func DefaultFileACLs() []zk.ACL { return zk.WorldACL(PERM_FILE) }

// IsDirectory says whether all entries of an ACL are those of a node that has children.
func IsDirectory(aclv []zk.ACL) bool {
	for _, acl := range aclv {
		if acl.Perms != PERM_DIRECTORY {
			return false
		}
	}
	return true
}

// ZkEventOk says whether an event came over a connection that stands.
func ZkEventOk(e zk.Event) bool {
	return e.State == zk.StateConnected || e.State == zk.StateSyncConnected || e.State == zk.StateHasSession
}

// NodeExists says whether there is a node.
func NodeExists(zconn Conn, zkPath string) (bool, error) {
	exists, _, err := zconn.Exists(zkPath)
	return exists, err
}
