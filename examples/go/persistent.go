//go:build ignore

// A lock that outlasts its owner, for work that must not be begun anew while half of it is done:
//
//	go run persistent.go HOST:PORT PATH hold         takes the lock and keeps it until somebody asks for it
//	go run persistent.go HOST:PORT PATH list         who has it and who waits
//	go run persistent.go HOST:PORT PATH ask REASON   asks the holder to give it up
//	go run persistent.go HOST:PORT PATH release      releases it where the holder is gone
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"zkhelper"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) < 4 {
		log.Fatal("usage: persistent HOST:PORT PATH hold | list | ask REASON | release")
	}
	reason := ""
	if len(os.Args) > 4 {
		reason = os.Args[4]
	}
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3], reason); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, address, path, what, reason string) error {
	conn, err := zkhelper.Dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	mutex, err := zkhelper.NewMutex(conn, path, zkhelper.Persistent(2*time.Second))
	if err != nil {
		return err
	}
	defer mutex.Close()
	if what == "hold" {
		return hold(ctx, mutex)
	}
	all, err := mutex.Contenders(ctx)
	if err != nil {
		return err
	}
	for i, c := range all {
		fmt.Println(c.Name, "on", c.Hostname, "pid", c.Pid, c.Description, "gone:", c.Owner == zkhelper.OwnerGone)
		switch {
		case what == "ask" && i == 0:
			return mutex.RequestRevocation(ctx, c.Name, reason)
		case what == "release" && c.Owner == zkhelper.OwnerGone:
			// Waits as long as its owner may still believe.
			return mutex.ReleaseDead(ctx, c.Name)
		}
	}
	return nil
}

func hold(ctx context.Context, mutex *zkhelper.Mutex) error {
	requests, err := mutex.Revocations(ctx)
	if err != nil {
		return err
	}
	if err := mutex.LockContext(ctx, "half of the work"); err != nil {
		return err
	}
	fmt.Println("holds it with token", mutex.Token())
	select {
	case request := <-requests:
		fmt.Println("asked:", request.Reason)
		return mutex.Unlock()
	case <-mutex.Lost():
		return errors.New("the lock is lost: " + mutex.LossReason().String())
	}
}
