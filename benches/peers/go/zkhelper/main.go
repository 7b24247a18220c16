// Command zkhelper measures zkhelper from Go: zkhelper ADDRESS.
package main

import (
	"context"
	"errors"
	"os"

	"peers/rows"
	"zkhelper"
	"zkhelper/zk"
)

type session struct{ conn zkhelper.Conn }

type lock struct{ *zkhelper.Mutex }

func (l lock) Acquire() { rows.Check(l.LockContext(context.Background(), "")) }
func (l lock) Release() { rows.Check(l.Unlock()) }

func (s session) Make(path string) {
	_, err := zkhelper.CreateRecursive(s.conn, path, "", 0, zkhelper.DefaultDirACLs())
	if !errors.Is(err, zk.ErrNodeExists) {
		rows.Check(err)
	}
}

func (s session) Lock(path string) rows.Lock {
	mutex, err := zkhelper.NewMutex(s.conn, path)
	rows.Check(err)
	return lock{mutex}
}

func (s session) Count(path string) int {
	names, _, err := s.conn.Children(path)
	rows.Check(err)
	return len(names)
}

func (s session) Lead(path string, led, resign func()) {
	elector, err := zkhelper.NewElector(s.conn, path)
	rows.Check(err)
	term, err := elector.Campaign(context.Background())
	rows.Check(err)
	led()
	resign()
	rows.Check(term.Resign())
	elector.Close()
}

func (s session) Close() { s.conn.Close() }

func main() {
	rows.Work(func() rows.Session {
		conn, err := zkhelper.ConnectToZk(os.Args[1])
		rows.Check(err)
		return session{conn}
	})
}
