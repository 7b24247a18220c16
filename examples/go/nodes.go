//go:build ignore

// Makes, reads and changes nodes, and does several changes as one transaction: go run nodes.go [HOST:PORT]
package main

import (
	"fmt"
	"log"
	"os"
	"time"

	"zkhelper/zk"
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
	conn, _, err := zk.Connect([]string{address}, 3*time.Second)
	check(err)
	defer conn.Close()
	path, err := conn.Create("/config-", []byte("old"), zk.FlagEphemeral|zk.FlagSequence, zk.WorldACL(zk.PermAll))
	check(err)
	data, stat, err := conn.Get(path)
	check(err)
	fmt.Printf("%s holds %q, version %d\n", path, data, stat.Version())

	// Only if nobody was quicker.
	_, err = conn.Set(path, []byte("new"), int32(stat.Version()))
	check(err)
	if _, err = conn.Set(path, []byte("late"), int32(stat.Version())); err == zk.ErrBadVersion {
		fmt.Println("a change that expects an old version is refused")
	}

	check(conn.Multi(zk.MultiOps{
		SetData: []zk.SetDataRequest{{Path: path, Data: []byte("last"), Version: -1}},
		Delete:  []zk.DeleteRequest{{Path: path, Version: -1}},
	}))
	exists, _, err := conn.Exists(path)
	check(err)
	fmt.Println("after the transaction it exists:", exists)
}
