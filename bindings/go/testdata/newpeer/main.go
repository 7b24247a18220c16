// Command newpeer contends as tests/interop/go/oldpeer does, with the same arguments, by this package's functions with old
// names.
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"
	"time"

	"zkhelper"
)

func check(err error) {
	if err != nil {
		log.Output(2, err.Error())
		os.Exit(1)
	}
}

func hold(file string, length time.Duration) {
	busy, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		log.Fatal("two hold at a time: ", err)
	}
	check(busy.Close())
	time.Sleep(length)
	check(os.Remove(file))
}

type task struct {
	file  string
	until time.Time
	runs  int
}

func (t *task) Run() error {
	hold(t.file, 100*time.Millisecond)
	t.runs++
	return nil
}

func (t *task) Stop() {}

func (t *task) Interrupted() bool { return time.Now().After(t.until) }

func main() {
	seconds, err := strconv.Atoi(os.Args[4])
	check(err)
	until := time.Now().Add(time.Duration(seconds) * time.Second)
	conn, err := zkhelper.ConnectToZk(os.Args[1])
	check(err)
	root, dir := os.Args[2], os.Args[3]
	var locks int
	var both sync.WaitGroup
	both.Add(2)
	go func() {
		defer both.Done()
		mutex := zkhelper.CreateMutex(conn, root+"/mutex")
		for time.Now().Before(until) {
			check(mutex.Lock("newpeer"))
			hold(dir+"/mutex", time.Millisecond)
			locks++
			check(mutex.Unlock())
		}
	}()
	terms := &task{file: dir + "/election", until: until}
	go func() {
		defer both.Done()
		election := zkhelper.CreateElection(conn, root+"/election")
		over := time.AfterFunc(time.Until(until), election.Interrupt)
		defer over.Stop()
		if err := election.RunTask(terms); !errors.Is(err, zkhelper.ErrInterrupted) {
			check(err)
		}
	}()
	both.Wait()
	conn.Close()
	fmt.Println("mutex", locks)
	fmt.Println("election", terms.runs)
}
