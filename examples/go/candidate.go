//go:build ignore

// Stands in an election, and leads whenever it is elected, until it is killed:
//
//	go run candidate.go HOST:PORT NAME PATH [SESSION_TIMEOUT_MS LEASE_MS]
//
// After a leader that is killed the next one leads once that one's session and lease are over. Each line has the time in
// seconds, the name, the process and what happens. The session timeout of these packages is always 30 seconds, or the
// longest that the server grants; it is among the arguments for being the same as in other languages.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"zkhelper"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	if len(os.Args) < 4 {
		log.Fatal("usage: candidate HOST:PORT NAME PATH [SESSION_TIMEOUT_MS LEASE_MS]")
	}
	name, lease := os.Args[2], 10*time.Second
	if len(os.Args) > 5 {
		ms, err := strconv.Atoi(os.Args[5])
		check(err)
		lease = time.Duration(ms) * time.Millisecond
	}
	say := func(what string) {
		fmt.Printf("%.3f %s pid=%d %s\n", float64(time.Now().UnixNano())/1e9, name, os.Getpid(), what)
	}
	conn, err := zkhelper.ConnectToZk(os.Args[1])
	check(err)
	defer conn.Close()
	// The grace, in which the work of a leader has to end, is half of the lease.
	elector, err := zkhelper.NewElector(conn, os.Args[3],
		zkhelper.LeaderDescription(name), zkhelper.LeaderLease(lease, lease/2))
	check(err)
	defer elector.Close()

	say("stands")
	for {
		term, err := elector.Campaign(context.Background())
		check(err)
		say(fmt.Sprint("leads token=", term.Token()))
		// The work of a leader, which it does until it is told to stop.
		<-term.Stopped()
		say(fmt.Sprint("stops token=", term.Token()))
		_ = term.Resign()
	}
}
