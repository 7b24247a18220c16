// Command oldpeer takes a lock and stands in an election as the Go package github.com/ngaut/zkhelper does, for a while: oldpeer
// ADDRESS ROOT DIRECTORY SECONDS.
//
// That package itself cannot be counted on to be had any more, so this does what it does on ZooKeeper, in words of our own: lock nodes
// are "lock-" with a number, persistent for a mutex and ephemeral for a candidate; the lowest of all names holds; each
// watches the name before its own; a leader writes its contents to ROOT/election/leader without asking.
//
// Who holds makes a file in DIRECTORY that nobody else may have made meanwhile. At the end the program says how often it
// held: `mutex N`, `election N`.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

var open = zk.WorldACL(zk.PermAll)

func check(err error) {
	if err != nil {
		log.Output(2, err.Error())
		os.Exit(1)
	}
}

type quiet struct{}

func (quiet) Printf(string, ...interface{}) {}

func createAll(conn *zk.Conn, at string) {
	_, err := conn.Create(at, nil, 0, open)
	if errors.Is(err, zk.ErrNoNode) {
		createAll(conn, path.Dir(at))
		_, err = conn.Create(at, nil, 0, open)
	}
	if !errors.Is(err, zk.ErrNodeExists) {
		check(err)
	}
}

// lock returns the node by which the lock is held.
func lock(conn *zk.Conn, at string, flags int32) string {
	createAll(conn, at)
	contents := fmt.Sprintf(`{"hostname":"old","pid":%d,"desc":"oldpeer"}`, os.Getpid())
	node, err := conn.Create(at+"/lock-", []byte(contents), flags|zk.FlagSequence, open)
	check(err)
	mine := path.Base(node)
	for {
		children, _, err := conn.Children(at)
		check(err)
		sort.Strings(children)
		place := sort.SearchStrings(children, mine)
		if place == len(children) || children[place] != mine {
			log.Fatal("our node is gone")
		}
		if place == 0 {
			return node
		}
		exists, _, events, err := conn.ExistsW(at + "/" + children[place-1])
		check(err)
		if exists {
			<-events
		}
	}
}

// hold does a holder's work: nobody else may do it meanwhile.
func hold(file string, length time.Duration) {
	busy, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		log.Fatal("two hold at a time: ", err)
	}
	check(busy.Close())
	time.Sleep(length)
	check(os.Remove(file))
}

func main() {
	seconds, err := strconv.Atoi(os.Args[4])
	check(err)
	until := time.Now().Add(time.Duration(seconds) * time.Second)
	conn, _, err := zk.Connect(os.Args[1:2], 30*time.Second, zk.WithLogger(quiet{}))
	check(err)
	root, dir := os.Args[2], os.Args[3]
	var locks, terms int
	var both sync.WaitGroup
	both.Add(2)
	go func() {
		defer both.Done()
		for time.Now().Before(until) {
			node := lock(conn, root+"/mutex", 0)
			hold(dir+"/mutex", time.Millisecond)
			locks++
			check(conn.Delete(node, -1))
		}
	}()
	go func() {
		defer both.Done()
		createAll(conn, root+"/election/leader")
		for time.Now().Before(until) {
			node := lock(conn, root+"/election/candidates", zk.FlagEphemeral)
			_, err := conn.Set(root+"/election/leader", []byte(`{"hostname":"old"}`), -1)
			check(err)
			hold(dir+"/election", 100*time.Millisecond)
			terms++
			check(conn.Delete(node, -1))
		}
	}()
	both.Wait()
	conn.Close()
	fmt.Println("mutex", locks)
	fmt.Println("election", terms)
}
