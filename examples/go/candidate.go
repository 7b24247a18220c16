//go:build ignore

// Stands in an election, and leads whenever it is elected, until it is killed:
//
//	go run candidate.go HOST:PORT NAME PATH [SESSION_TIMEOUT_MS LEASE_MS]
//
// After a leader that is killed the next one leads once that one's session and lease are over. Each line has the time in
// seconds, the name, the process and what happens.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"zkhelper"
	"zkhelper/zk"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// milliseconds is an argument, or what it is by default.
func milliseconds(at, otherwise int) time.Duration {
	if len(os.Args) > at {
		ms, err := strconv.Atoi(os.Args[at])
		check(err)
		otherwise = ms
	}
	return time.Duration(otherwise) * time.Millisecond
}

func main() {
	if len(os.Args) < 4 {
		log.Fatal("usage: candidate HOST:PORT NAME PATH [SESSION_TIMEOUT_MS LEASE_MS]")
	}
	name, session, lease := os.Args[2], milliseconds(4, 10000), milliseconds(5, 10000)
	say := func(what string) {
		fmt.Printf("%.3f %s pid=%d %s\n", float64(time.Now().UnixNano())/1e9, name, os.Getpid(), what)
	}
	conn, err := zkhelper.Dial(context.Background(), os.Args[1], zk.SessionTimeout(session))
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
