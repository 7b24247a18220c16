//go:build ignore

// Keeps a copy of a node up to date, by a watch that stays: go run watch.go [HOST:PORT PATH]
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"zkhelper"
	"zkhelper/zk"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	address, path := "embedded", "/setting"
	if len(os.Args) == 3 {
		address, path = os.Args[1], os.Args[2]
	}
	ctx := context.Background()
	conn, err := zkhelper.Dial(ctx, address)
	check(err)
	defer conn.Close()
	// Before the first read, so that no change in between is missed.
	watch, err := conn.AddWatch(ctx, path, zk.WatchPersistent)
	check(err)
	defer watch.Close()
	if address == "embedded" {
		go change(conn, path)
	}
	for event := range watch.Events() {
		// Each says that something happened, and EventMayHaveMissed that it may have: the node says what there is now.
		data, stat, err := conn.GetContext(ctx, path)
		switch {
		case errors.Is(err, zk.ErrNoNode):
			fmt.Printf("%v: there is no setting\n", event.Type)
			return
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Printf("%v: the setting is %s, in version %d\n", event.Type, data, stat.Version())
		}
	}
}

// change is what somebody else does.
func change(conn *zkhelper.MyZkConn, path string) {
	_, err := conn.Create(path, []byte("0"), 0, zk.WorldACL(zk.PermAll))
	check(err)
	for i := 1; i <= 3; i++ {
		_, err := conn.Set(path, []byte(fmt.Sprint(i)), -1)
		check(err)
	}
	check(conn.Delete(path, -1))
}
