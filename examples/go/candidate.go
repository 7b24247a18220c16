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

func milliseconds(text string) time.Duration {
	ms, err := strconv.Atoi(text)
	check(err)
	return time.Duration(ms) * time.Millisecond
}

func main() {
	if len(os.Args) < 4 {
		log.Fatal("usage: candidate HOST:PORT NAME PATH [SESSION_TIMEOUT_MS LEASE_MS]")
	}
	name, session, lease := os.Args[2], 10*time.Second, 10*time.Second
	if len(os.Args) > 5 {
		session, lease = milliseconds(os.Args[4]), milliseconds(os.Args[5])
	}
	say := func(what string) {
		fmt.Printf("%.3f %s pid=%d %s\n", float64(time.Now().UnixNano())/1e9, name, os.Getpid(), what)
	}
	ctx := context.Background()
	conn, err := zkhelper.Dial(ctx, os.Args[1], zk.SessionTimeout(session))
	check(err)
	defer conn.Close()
	// The grace, in which the work of a leader has to end, is half of the lease.
	elector, err := zkhelper.NewElector(conn, os.Args[3],
		zkhelper.LeaderDescription(name), zkhelper.LeaderLease(lease, lease/2))
	check(err)
	defer elector.Close()

	say("stands")
	for {
		term, err := elector.Campaign(ctx)
		check(err)
		say(fmt.Sprint("leads token=", term.Token()))
		// The work of a leader, which it does until it is told to stop.
		<-term.Stopped()
		say(fmt.Sprint("stops token=", term.Token()))
		_ = term.Resign()
	}
}
