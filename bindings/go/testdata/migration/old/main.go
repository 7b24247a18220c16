// A program written against the old package. The one beside it differs in its two import lines and in nothing else.
package main

import (
	"encoding/json"
	"errors"
	"log"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ngaut/go-zookeeper/zk"

	"github.com/ngaut/zkhelper"
)

func check(err error) {
	if err != nil {
		log.Output(2, err.Error())
		os.Exit(1)
	}
}

func require(ok bool, what string) {
	if !ok {
		log.Output(2, "not so: "+what)
		os.Exit(1)
	}
}

var root = "/zk/migration-" + strconv.Itoa(os.Getpid())

// counting is a Conn of the program's own.
type counting struct {
	zkhelper.Conn
	creates int32
}

func (c *counting) Create(path string, value []byte, flags int32, aclv []zk.ACL) (string, error) {
	atomic.AddInt32(&c.creates, 1)
	return c.Conn.Create(path, value, flags, aclv)
}

func nodes(conn zkhelper.Conn) {
	path, err := zkhelper.CreateRecursive(conn, root+"/shards/0/master", "a", 0, zkhelper.DefaultFileACLs())
	check(err)
	require(path == root+"/shards/0/master", "the path that was made is returned")
	_, err = zkhelper.CreateRecursive(conn, root+"/shards/0/master", "a", 0, zkhelper.DefaultFileACLs())
	require(zkhelper.ZkErrorEqual(err, zk.ErrNodeExists) && err == zk.ErrNodeExists, "a node that exists is told")
	_, err = zkhelper.CreateRecursive(conn, "/elsewhere", "", 0, zkhelper.DefaultDirACLs())
	require(err != nil, "only paths below /zk are made")
	_, err = zkhelper.CreateOrUpdate(conn, root+"/shards/1/master", "b", 0, zkhelper.DefaultDirACLs(), true)
	check(err)
	_, err = zkhelper.CreateOrUpdate(conn, root+"/shards/1/master", "c", 0, zkhelper.DefaultDirACLs(), true)
	check(err)

	data, stat, watch, err := conn.GetW(root + "/shards/1/master")
	check(err)
	require(string(data) == "c" && stat.Version() == 1, "what was set is read")
	_, err = conn.Set(root+"/shards/1/master", []byte("d"), int32(stat.Version()))
	check(err)
	event := <-watch
	require(event.Type == zk.EventNodeDataChanged && zkhelper.ZkEventOk(event), "a watch sees the change")
	_, err = conn.Set(root+"/shards/1/master", nil, 0)
	require(err == zk.ErrBadVersion, "an old version is refused")

	found, err := zkhelper.ResolveWildcards(conn, []string{root + "/shards/*/master", root + "/plain"})
	check(err)
	require(reflect.DeepEqual(found, []string{root + "/shards/0/master", root + "/shards/1/master", root + "/plain"}),
		"wildcards find what is there, and a plain path is not looked for")
	exists, err := zkhelper.NodeExists(conn, root+"/plain")
	check(err)
	require(!exists, "no node is no error")

	acl, _, err := conn.GetACL(root + "/shards/0/master")
	check(err)
	require(reflect.DeepEqual(acl, zk.WorldACL(zkhelper.PERM_FILE)), "a file has a file's ACL")
	acl, _, err = conn.GetACL(root + "/shards/0")
	check(err)
	require(zkhelper.IsDirectory(acl), "its parents have a directory's")
}

// contenders are the nodes of the lock.
func contenders(conn zkhelper.Conn) (names []string) {
	children, _, err := conn.Children(root + "/lock")
	check(err)
	for _, child := range children {
		if strings.HasPrefix(child, "lock-") {
			names = append(names, child)
		}
	}
	return names
}

func locks(conn, other zkhelper.Conn) {
	mutex, err := zkhelper.CreateMutexWithContents(conn, root+"/lock", map[string]interface{}{"owner": "me"})
	check(err)
	second := zkhelper.CreateMutex(other, root+"/lock")
	check(mutex.Lock("first"))
	require(len(contenders(conn)) == 1, "a lock is a node")
	data, _, err := conn.Get(root + "/lock/" + contenders(conn)[0])
	check(err)
	var contents map[string]interface{}
	check(json.Unmarshal(data, &contents))
	require(contents["owner"] == "me" && contents["desc"] == "first", "the node says who holds the lock")
	require(contents["pid"] == float64(os.Getpid()), "and in which process")

	require(second.LockWithTimeout(0, "second") == zkhelper.ErrTimeout, "a wait of 0 does not wait")
	require(second.LockWithTimeout(50*time.Millisecond, "second") == zkhelper.ErrTimeout, "a wait ends")
	interrupted := make(chan error)
	go func() { interrupted <- second.Lock("second") }()
	for len(contenders(conn)) < 2 {
		time.Sleep(10 * time.Millisecond)
	}
	second.Interrupt()
	require(<-interrupted == zkhelper.ErrInterrupted, "a wait is interrupted")
	check(mutex.Unlock())
	check(second.Lock("second"))
	check(second.Unlock())
}

// leader is a task that runs until its quit is closed.
type leader struct {
	quit chan struct{}
	once sync.Once
	runs int32
}

func (l *leader) Run() error {
	atomic.AddInt32(&l.runs, 1)
	<-l.quit
	return nil
}

func (l *leader) Stop() { l.once.Do(func() { close(l.quit) }) }

func (l *leader) Interrupted() bool { return true }

func elections(conn zkhelper.Conn) {
	elector, err := zkhelper.CreateElectionWithContents(conn, root+"/election", map[string]interface{}{"id": "one"})
	check(err)
	task := &leader{quit: make(chan struct{})}
	ended := make(chan error)
	go func() { ended <- elector.RunTask(task) }()
	for {
		data, _, err := conn.Get(root + "/election/leader")
		if err == nil && len(data) > 0 {
			var record map[string]interface{}
			check(json.Unmarshal(data, &record))
			require(record["id"] == "one", "the record names the leader")
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for atomic.LoadInt32(&task.runs) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	elector.Interrupt()
	require(<-ended == zkhelper.ErrInterrupted, "an interrupt ends the election")
	require(atomic.LoadInt32(&task.runs) == 1, "the task ran once")

	// An elector is a lock too.
	check(elector.LockWithTimeout(20*time.Second, "as a lock"))
	check(elector.Unlock())
}

func pids(conn zkhelper.Conn) {
	done := make(chan struct{})
	check(zkhelper.CreatePidNode(conn, root+"/pid", "me", done))
	data, stat, err := conn.Get(root + "/pid")
	check(err)
	require(string(data) == "me" && stat.EphemeralOwner() != 0, "the pid node is there, and ephemeral")
	close(done)
}

func queues(conn zkhelper.Conn) {
	_, err := zkhelper.CreateRecursive(conn, root+"/queue", "", 0, zkhelper.DefaultDirACLs())
	check(err)
	acl := zk.WorldACL(zkhelper.PERM_FILE)
	first, err := conn.Create(root+"/queue/task-", nil, zk.FlagEphemeral|zk.FlagSequence, acl)
	check(err)
	second, err := conn.Create(root+"/queue/task-", nil, zk.FlagEphemeral|zk.FlagSequence, acl)
	check(err)
	check(zkhelper.ObtainQueueLock(conn, first, time.Second, nil))
	require(zkhelper.ObtainQueueLock(conn, second, 0, nil) == zkhelper.ErrTimeout, "the second waits")
	check(conn.Delete(first, -1))
	check(zkhelper.ObtainQueueLock(conn, second, 10*time.Second, nil))
	interrupt := make(chan struct{})
	close(interrupt)
	third, err := conn.Create(root+"/queue/task-", nil, zk.FlagEphemeral|zk.FlagSequence, acl)
	check(err)
	err = zkhelper.ObtainQueueLock(conn, third, 10*time.Second, interrupt)
	require(err == zkhelper.ErrInterrupted, "a closed channel interrupts")
}

func main() {
	log.SetFlags(log.Lshortfile)
	conn, err := zkhelper.ConnectToZk(os.Args[1])
	check(err)
	defer conn.Close()
	other, err := zkhelper.ConnectToZkWithTimeout(os.Args[1], 5*time.Second)
	check(err)
	defer other.Close()
	nodes(conn)
	locks(conn, other)
	elections(conn)
	pids(conn)
	queues(conn)

	own := &counting{Conn: conn}
	_, err = zkhelper.CreateRecursive(own, root+"/own/node", "", 0, zkhelper.DefaultDirACLs())
	check(err)
	locker := zkhelper.CreateMutex(own, root+"/own/lock")
	check(locker.Lock("over a Conn of the program's own"))
	check(locker.Unlock())
	require(atomic.LoadInt32(&own.creates) > 2, "a Conn of the program's own is what is used")

	check(zkhelper.DeleteRecursive(conn, root, -1))
	exists, _, err := conn.Exists(root)
	check(err)
	require(!exists, "a tree is deleted")
	conn.Close()
	_, _, err = conn.Get("/")
	require(err == zk.ErrClosing || errors.Is(err, zk.ErrClosing), "a connection that was closed says so")
}
