//go:build ignore

// A job in a queue waits for its turn: go run queue_lock.go
package main

import (
	"fmt"
	"log"
	"time"

	"zkhelper"
	"zkhelper/zk"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	conn, err := zkhelper.ConnectToZk("embedded")
	check(err)
	defer conn.Close()
	acl := zkhelper.DefaultDirACLs()
	_, err = zkhelper.CreateRecursive(conn, "/zk/demo/jobs", "", 0, acl)
	check(err)
	first, err := conn.Create("/zk/demo/jobs/job-", []byte("first"), zk.FlagEphemeral|zk.FlagSequence, acl)
	check(err)
	second, err := conn.Create("/zk/demo/jobs/job-", []byte("second"), zk.FlagEphemeral|zk.FlagSequence, acl)
	check(err)
	check(zkhelper.ObtainQueueLock(conn, first, time.Second, nil))
	fmt.Println(first, "has its turn")
	go func() {
		time.Sleep(100 * time.Millisecond)
		check(conn.Delete(first, -1))
	}()
	check(zkhelper.ObtainQueueLock(conn, second, 10*time.Second, nil))
	fmt.Println(second, "has its turn")
}
