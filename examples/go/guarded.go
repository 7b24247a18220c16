//go:build ignore

// Changes a node only while a lock is held, by one transaction with a check of the lock: go run guarded.go
package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	"zkhelper"
	"zkhelper/zk"
)

const (
	top    = "/zk/demo/guarded"
	report = top + "/report"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	ctx := context.Background()
	conn, err := zkhelper.Dial(ctx, "embedded")
	check(err)
	defer conn.Close()
	_, err = zkhelper.CreateRecursive(conn, report, "", 0, zkhelper.DefaultDirACLs())
	check(err)
	mutex, err := zkhelper.NewMutex(conn, top+"/lock")
	check(err)
	defer mutex.Close()
	check(mutex.LockContext(ctx, "the report"))
	_, err = mutex.Guarded(ctx, zk.SetOp(report, []byte("in time"), -1))
	check(err)

	// Somebody deletes the lock node, and has the lock next.
	nodes, _, err := conn.Children(mutex.Path())
	check(err)
	check(conn.Delete(mutex.Path()+"/"+nodes[0], -1))
	_, err = mutex.Guarded(ctx, zk.SetOp(report, []byte("too late"), -1))
	// CodeNotHeld where the loss was told already.
	if !errors.Is(err, zkhelper.CodeLockLost) && !errors.Is(err, zkhelper.CodeNotHeld) {
		log.Fatal("a write without the lock: ", err)
	}
	fmt.Println("the late write is refused")
	data, _, err := conn.Get(report)
	check(err)
	fmt.Printf("the report says %q\n", data)
	check(zkhelper.DeleteRecursive(conn, top, -1))
}
