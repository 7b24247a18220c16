// Command interop shows go-zookeeper working on the embedded server.
package main

import (
	"fmt"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zookeeper/zk"
)

const limit = 20 * time.Second

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func require(ok bool, what string) {
	if !ok {
		log.Fatal("not so: " + what)
	}
}

func shows(what string) { fmt.Println("go-zookeeper: " + what) }

type quiet struct{}

func (quiet) Printf(string, ...interface{}) {}

func connect(address string) *zk.Conn {
	conn, _, err := zk.Connect([]string{address}, 10*time.Second, zk.WithLogger(quiet{}))
	check(err)
	return conn
}

func heard(events <-chan zk.Event, kind zk.EventType) {
	select {
	case event := <-events:
		require(event.Type == kind, fmt.Sprintf("event %v instead of %v", event.Type, kind))
	case <-time.After(limit):
		log.Fatalf("no event %v", kind)
	}
}

func nodes(conn, other *zk.Conn) {
	open := zk.WorldACL(zk.PermAll)
	_, err := conn.Create("/g", []byte("one"), 0, open)
	check(err)
	data, stat, events, err := conn.GetW("/g")
	check(err)
	require(string(data) == "one" && stat.Version == 0, "what was created is read")
	_, _, children, err := conn.ChildrenW("/g")
	check(err)
	_, err = other.Set("/g", []byte("two"), 0)
	check(err)
	heard(events, zk.EventNodeDataChanged)
	path, err := other.Create("/g/s-", nil, zk.FlagEphemeral|zk.FlagSequence, open)
	check(err)
	require(path == "/g/s-0000000000", "the first sequence number is 0")
	heard(children, zk.EventNodeChildrenChanged)
	_, err = conn.Set("/g", nil, 7)
	require(err == zk.ErrBadVersion, "a wrong version is refused")
	require(conn.Delete("/g", -1) == zk.ErrNotEmpty, "a parent is not deleted")
	_, _, missing, err := conn.ExistsW("/later")
	check(err)
	_, err = other.CreateContainer("/later", nil, zk.FlagContainer, open)
	check(err)
	heard(missing, zk.EventNodeCreated)
	shows("nodes, sequences, containers, versions, watches of three kinds")
}

func lifetimes(conn *zk.Conn) {
	open := zk.WorldACL(zk.PermAll)
	_, err := conn.CreateTTL("/gottl", nil, zk.FlagTTL, open, time.Hour)
	check(err)
	path, err := conn.CreateProtectedEphemeralSequential("/g/p-", nil, open)
	check(err)
	found, stat, err := conn.Exists(path)
	check(err)
	require(found && stat.EphemeralOwner == conn.SessionID(), "an ephemeral node names its session")
	acl, _, err := conn.GetACL("/g")
	check(err)
	require(len(acl) == 1 && acl[0] == open[0], "the list is the one given")
	synced, err := conn.Sync("/g")
	check(err)
	require(synced == "/g", "sync answers with the path")
	shows("time to live, protected names, lists, sync")
}

func transactions(conn *zk.Conn) {
	open := zk.WorldACL(zk.PermAll)
	_, err := conn.Multi(
		&zk.CreateRequest{Path: "/m", Acl: open},
		&zk.SetDataRequest{Path: "/m", Data: []byte("x"), Version: 0},
		&zk.CheckVersionRequest{Path: "/m", Version: 1},
	)
	check(err)
	_, err = conn.Multi(
		&zk.DeleteRequest{Path: "/m", Version: -1},
		&zk.CheckVersionRequest{Path: "/none", Version: -1},
	)
	require(err == zk.ErrNoNode, "a transaction fails whole")
	found, _, err := conn.Exists("/m")
	check(err)
	require(found, "nothing of a failed transaction is done")
	shows("transactions")
}

func locks(address string) {
	var inside, most, rounds atomic.Int64
	var group sync.WaitGroup
	for i := 0; i < 4; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			conn := connect(address)
			defer conn.Close()
			for j := 0; j < 10; j++ {
				lock := zk.NewLock(conn, "/golocks/one", zk.WorldACL(zk.PermAll))
				check(lock.Lock())
				if now := inside.Add(1); now > most.Load() {
					most.Store(now)
				}
				rounds.Add(1)
				inside.Add(-1)
				check(lock.Unlock())
			}
		}()
	}
	group.Wait()
	require(most.Load() == 1 && rounds.Load() == 40, "one at a time")
	shows("40 locks by 4 clients, one at a time")
}

func access(address string) {
	ann, stranger := connect(address), connect(address)
	defer ann.Close()
	defer stranger.Close()
	check(ann.AddAuth("digest", []byte("ann:pw")))
	_, err := ann.Create("/gosecret", []byte("s"), 0, zk.AuthACL(zk.PermAll))
	check(err)
	_, _, err = stranger.Get("/gosecret")
	require(err == zk.ErrNoAuth, "strangers are refused")
	_, _, err = ann.Get("/gosecret")
	check(err)
	shows("access control by digest")
}

func main() {
	address := os.Args[1]
	conn, other := connect(address), connect(address)
	nodes(conn, other)
	lifetimes(conn)
	transactions(conn)
	locks(address)
	access(address)
	conn.Close()
	other.Close()
}
