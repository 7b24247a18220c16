//go:build ignore

// Three goroutines want one lock, and none takes a thread to wait: go run lock_async.go [HOST:PORT]
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"zkhelper"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	address := "embedded"
	if len(os.Args) > 1 {
		address = os.Args[1]
	}
	conn, err := zkhelper.ConnectToZk(address)
	check(err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var all sync.WaitGroup
	for _, name := range []string{"ann", "bob", "cid"} {
		all.Add(1)
		go func(name string) {
			defer all.Done()
			mutex, err := zkhelper.NewMutex(conn, "/zk/demo/lock")
			check(err)
			defer mutex.Close()
			check(mutex.LockContext(ctx, name))
			fmt.Println(name, "holds the lock with token", mutex.Token())
			check(mutex.Unlock())
		}(name)
	}
	all.Wait()
}
