//go:build ignore

// Works only while the lock is certain to be held, and hears of its loss: go run watchful.go
package main

import (
	"context"
	"fmt"
	"log"
	"time"

	"zkhelper"
)

func main() {
	conn, err := zkhelper.ConnectToZk("embedded")
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	mutex, err := zkhelper.NewMutex(conn, "/zk/demo/watchful")
	if err != nil {
		log.Fatal(err)
	}
	defer mutex.Close()
	if err := mutex.LockContext(context.Background(), "piece work"); err != nil {
		log.Fatal(err)
	}
	lost := mutex.Lost()
	for piece := 1; piece <= 3; piece++ {
		// A piece of work that takes less time than this is done under the lock.
		if left := time.Until(mutex.ValidUntil()); left < time.Second {
			log.Fatal("the lock is not certain for long enough")
		}
		select {
		case <-lost:
			log.Fatal("the lock is lost")
		case <-time.After(50 * time.Millisecond):
			fmt.Println("piece", piece, "done, with token", mutex.Token())
		}
	}
	if err := mutex.Unlock(); err != nil {
		log.Fatal(err)
	}
}
