//go:build ignore

// A worker that takes a lock again and again: go run handover.go HOST:PORT NAME PATH TIMES HOLD_MS
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
	if len(os.Args) != 6 {
		log.Fatal("usage: handover HOST:PORT NAME PATH TIMES HOLD_MS")
	}
	name := os.Args[2]
	times, err := strconv.Atoi(os.Args[4])
	check(err)
	hold, err := strconv.Atoi(os.Args[5])
	check(err)
	conn, err := zkhelper.ConnectToZk(os.Args[1])
	check(err)
	defer conn.Close()
	mutex, err := zkhelper.NewMutex(conn, os.Args[3])
	check(err)
	defer mutex.Close()
	for i := 0; i < times; i++ {
		check(mutex.LockContext(context.Background(), name))
		fmt.Println(name, "holds the lock; token", mutex.Token())
		time.Sleep(time.Duration(hold) * time.Millisecond)
		check(mutex.Unlock())
	}
}
