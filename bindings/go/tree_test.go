package zkhelper_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"zkhelper"
	"zkhelper/zk"
	"zkhelper/zkhtest"
)

var dirs = zkhelper.DefaultDirACLs()

func TestCreateRecursiveMakesPlainParents(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		path, err := zkhelper.CreateRecursive(conn, root+"/a/b/leaf-", "v", zk.FlagEphemeral|zk.FlagSequence,
			zkhelper.DefaultFileACLs())
		check(t, err)
		require(t, path == root+"/a/b/leaf-0000000000", "the path is returned, with its number", path)
		_, stat, err := conn.Get(path)
		check(t, err)
		require(t, stat.EphemeralOwner() == conn.SessionID(), "the flags are the leaf's")
		_, stat, err = conn.Get(root + "/a/b")
		check(t, err)
		require(t, stat.EphemeralOwner() == 0, "and not its parents'")
		acl, _, err := conn.GetACL(root + "/a")
		check(t, err)
		require(t, zkhelper.IsDirectory(acl), "parents are directories", acl)
		for _, bad := range []string{"", "a", "/", "/other/a", "zk/a", "/zk/a/", "/zk//a"} {
			_, err := zkhelper.CreateRecursive(conn, bad, "", 0, dirs)
			require(t, err != nil, "a bad path is refused", bad)
		}
		_, err = zkhelper.CreateRecursive(conn, root+"/none", "", 0, nil)
		require(t, err == zk.ErrInvalidACL, "an empty ACL is refused", err)
	})
}

func TestCreateOrUpdateReturnsThePathAndHonoursFlags(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		for i, value := range []string{"one", "two"} {
			path, err := zkhelper.CreateOrUpdate(conn, root+"/node", value, zk.FlagEphemeral, dirs, true)
			check(t, err)
			data, stat, err := conn.Get(root + "/node")
			check(t, err)
			require(t, path == root+"/node" && string(data) == value && stat.Version() == i, "it is there", path, data)
			require(t, stat.EphemeralOwner() != 0, "the flags are honoured")
		}
		_, err := zkhelper.CreateOrUpdate(conn, root+"/x/y", "", 0, dirs, false)
		require(t, err == zk.ErrNoNode, "parents are made only on request", err)
	})
}

func TestListsAreCompleteAndSortedAndTreesAreDeleted(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		for i := 9; i >= 0; i-- {
			_, err := zkhelper.CreateRecursive(conn, fmt.Sprintf("%s/%d/x", root, i), "", 0, dirs)
			check(t, err)
		}
		all, err := zkhelper.ChildrenRecursive(conn, root)
		check(t, err)
		require(t, len(all) == 20 && all[0] == "0" && all[1] == "0/x" && all[19] == "9/x", "the list", all)
		found, err := zkhelper.ResolveWildcards(conn, []string{root + "/[3-5]/x", root + "/*", root + "/no/*"})
		check(t, err)
		require(t, len(found) == 13 && found[0] == root+"/3/x" && found[3] == root+"/0", "the matches", found)
		_, err = zkhelper.ResolveWildcards(conn, []string{root + "/[a"})
		require(t, err != nil, "a malformed pattern is refused")

		require(t, zkhelper.DeleteRecursive(conn, root, 7) == zk.ErrBadVersion, "the version guards the top node")
		all, err = zkhelper.ChildrenRecursive(conn, root)
		check(t, err)
		require(t, len(all) == 20, "and nothing is deleted")
		check(t, zkhelper.DeleteRecursive(conn, root, 0))
		require(t, zkhelper.DeleteRecursive(conn, root, -1) == zk.ErrNoNode, "it is gone")
	})
}

func TestWildcards(t *testing.T) {
	for path, has := range map[string]bool{
		"/a/b": false, "/a/*": true, "/a?": true, "/[a]": true, `/\*`: false, `/a\`: true, "": false,
	} {
		require(t, zkhelper.HasWildcard(path) == has, "wildcards", path)
	}
}

func TestAQueueLockIsTheLowestName(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		_, err := zkhelper.CreateRecursive(conn, root, "", 0, dirs)
		check(t, err)
		var nodes []string
		for i := 0; i < 2; i++ {
			node, err := conn.Create(root+"/q-", nil, zk.FlagEphemeral|zk.FlagSequence, dirs)
			check(t, err)
			nodes = append(nodes, node)
		}
		check(t, zkhelper.ObtainQueueLock(conn, nodes[0], 0, nil))
		err = zkhelper.ObtainQueueLock(conn, nodes[1], 20*time.Millisecond, nil)
		require(t, err == zkhelper.ErrTimeout, "the second waits", err)
		interrupted, ended := make(chan struct{}), make(chan error, 1)
		go func() { ended <- zkhelper.ObtainQueueLock(conn, nodes[1], limit, interrupted) }()
		close(interrupted)
		require(t, within(t, ended) == zkhelper.ErrInterrupted, "an interrupt ends the wait")
		go func() { ended <- zkhelper.ObtainQueueLock(conn, nodes[1], limit, nil) }()
		check(t, conn.Delete(nodes[0], -1))
		check(t, within(t, ended))
		err = zkhelper.ObtainQueueLock(conn, root+"/q-none", time.Second, nil)
		require(t, err != nil, "a node that is not in the queue is an error")
	})
}

func TestAPidNodeComesBackAndIsNotTakenFromALiveOwner(t *testing.T) {
	server := zkhtest.NewServer(t)
	conn, other := server.Conn(t), server.Conn(t)
	_, err := conn.Create("/zk", nil, 0, dirs)
	check(t, err)
	done := make(chan struct{})
	check(t, zkhelper.CreatePidNode(conn, "/zk/pid", "me", done))
	session := conn.SessionID()
	server.Expire(session)
	eventually(t, "the node on the next session", func() bool {
		_, stat, err := other.Get("/zk/pid")
		return err == nil && stat.EphemeralOwner() != session
	})
	acl, _, err := other.GetACL("/zk/pid")
	check(t, err)
	require(t, reflect.DeepEqual(acl, zkhelper.DefaultFileACLs()), "with the same permissions", acl)
	err = zkhelper.CreatePidNode(other, "/zk/pid", "other", make(chan struct{}))
	require(t, err != nil, "a live owner's node is not taken")
	data, _, err := other.Get("/zk/pid")
	check(t, err)
	require(t, string(data) == "me", "it is still the first's")
	close(done)
	eventually(t, "its end", func() bool {
		exists, err := zkhelper.NodeExists(other, "/zk/pid")
		return err == nil && !exists
	})
}

func TestTheInMemoryConnectionIsAsItWas(t *testing.T) {
	conn := zkhelper.NewConn()
	defer conn.Close()
	another := zkhelper.NewConn()
	defer another.Close()

	_, err := conn.Create("/zk", nil, 0, nil)
	check(t, err)
	exists, _, err := another.Exists("/zk")
	require(t, err == nil && !exists, "each has a tree of its own")
	acl, _, err := conn.GetACL("/zk")
	check(t, err)
	require(t, reflect.DeepEqual(acl, zkhelper.DefaultACLs()), "an empty ACL lets anyone do everything", acl)
	_, err = conn.Create("/zk/plain", nil, 0, nil)
	check(t, err)
	for i, deleted := 1, false; i <= 3; i++ {
		path, err := conn.Create("/zk/", nil, zk.FlagSequence, nil)
		check(t, err)
		require(t, path == "/zk/"+conn.Seq2Str(int64(i)), "sequences begin at 1", path)
		if !deleted {
			check(t, conn.Delete(path, -1))
			deleted = true
		}
	}
	exists, stat, err := conn.Exists("/zk/none")
	require(t, err == nil && !exists && stat == nil, "what is not there has no status")
	_, _, err = conn.Get("/zk/none")
	require(t, err == zk.ErrNoNode && zkhelper.ZkErrorEqual(err, zk.ErrNoNode), "errors are bare")
	_, stat, watch, err := conn.ExistsW("/zk/later")
	require(t, err == nil && stat == nil, "a watch for what is not there")
	_, err = zkhelper.CreateRecursive(conn, "/zk/later", "", 0, nil)
	check(t, err)
	require(t, within(t, watch).Type == zk.EventNodeCreated, "sees it come")
	mutex := zkhelper.CreateMutex(conn, "/zk/lock")
	check(t, mutex.Lock("a test"))
	check(t, mutex.Unlock())
	_, err = conn.SetACL("/zk/later", nil, -1)
	check(t, err)
	conn.Close()
	conn.Close()
}

func TestAnInMemoryConnectionFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nodes.json")
	text := `{"/zk/a": {"deep": [1, 2]}, "/zk/a/b/c": "text", "/zk/d": 7}`
	check(t, os.WriteFile(file, []byte(text), 0o600))
	conn := zkhelper.NewConnFromFile(file)
	defer conn.Close()
	for path, want := range map[string]string{"/zk/a": `{"deep":[1,2]}`, "/zk/a/b/c": `"text"`, "/zk/d": "7", "/zk": ""} {
		data, _, err := conn.Get(path)
		check(t, err)
		require(t, string(data) == want, "the data of "+path, string(data))
	}
	defer func() { require(t, recover() != nil, "a missing file panics") }()
	zkhelper.NewConnFromFile(file + ".none")
}

func TestSmallThings(t *testing.T) {
	require(t, (&zkhelper.MyZkConn{}).Seq2Str(42) == "0000000042", "ten digits")
	require(t, zkhelper.IsDirectory(zkhelper.DefaultDirACLs()) && !zkhelper.IsDirectory(zkhelper.DefaultFileACLs()),
		"directories and files")
	require(t, zkhelper.ZkEventOk(zk.Event{State: zk.StateConnected}) &&
		!zkhelper.ZkEventOk(zk.Event{State: zk.StateDisconnected}), "events")
	wrapped := &zkhelper.ZkError{Code: zk.ErrNoNode, Op: "get", Path: "/a"}
	require(t, zkhelper.ZkErrorEqual(wrapped, zk.ErrNoNode) && zkhelper.ZkErrorEqual(nil, nil) &&
		!zkhelper.ZkErrorEqual(nil, wrapped), "errors are compared by their text")
	require(t, zkhelper.Version() != "", "there is a version")
}
