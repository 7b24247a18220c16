//go:build ignore

// Takes a lock and releases it: go run lock.go [HOST:PORT]
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"zkhelper"
)

func main() {
	address := "embedded"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	conn, err := zkhelper.ConnectToZk(address)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	mutex, err := zkhelper.NewMutex(conn, "/zk/demo/lock")
	if err != nil {
		log.Fatal(err)
	}
	defer mutex.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := mutex.LockContext(ctx, "nightly report"); err != nil {
		log.Fatal(err)
	}
	fmt.Println("held; the fencing token is", mutex.Token())
	if err := mutex.Unlock(); err != nil {
		log.Fatal(err)
	}
}
