// Command gozk measures go-zookeeper's lock: gozk ADDRESS.
package main

import (
	"errors"
	"os"
	"strings"
	"time"

	"github.com/go-zookeeper/zk"
	"peers/rows"
)

type quiet struct{}

func (quiet) Printf(string, ...interface{}) {}

type session struct{ conn *zk.Conn }

type lock struct{ *zk.Lock }

func (l lock) Acquire() { rows.Check(l.Lock.Lock()) }
func (l lock) Release() { rows.Check(l.Unlock()) }
func (l lock) Close()   {}

func (s session) Make(path string) {
	for i := range path + "/" {
		if i > 0 && (i == len(path) || path[i] == '/') {
			if _, err := s.conn.Create(path[:i], nil, 0, zk.WorldACL(zk.PermAll)); !errors.Is(err, zk.ErrNodeExists) {
				rows.Check(err)
			}
		}
	}
}

func (s session) Lock(path string) rows.Lock {
	return lock{zk.NewLock(s.conn, path, zk.WorldACL(zk.PermAll))}
}

func (s session) Count(path string) int {
	names, _, err := s.conn.Children(path)
	rows.Check(err)
	return len(names)
}

// It has no election: a bare lock stands in.
func (s session) Lead(path string, led, resign func()) {
	l := s.Lock(path)
	l.Acquire()
	led()
	resign()
	l.Release()
}

func (s session) Close() { s.conn.Close() }

func main() {
	rows.Work(func() rows.Session {
		conn, _, err := zk.Connect(strings.Split(os.Args[1], ","), 30*time.Second, zk.WithLogger(quiet{}))
		rows.Check(err)
		return session{conn}
	})
}
