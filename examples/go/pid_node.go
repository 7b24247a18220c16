//go:build ignore

// Says by a node that the program runs: go run pid_node.go
package main

import (
	"fmt"
	"log"
	"os"

	"zkhelper"
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
	_, err = zkhelper.CreateRecursive(conn, "/zk/demo/services", "", 0, zkhelper.DefaultDirACLs())
	check(err)
	done := make(chan struct{})
	// It is made again when its session ends, and removed when done is closed.
	check(zkhelper.CreatePidNode(conn, "/zk/demo/services/me", fmt.Sprint(os.Getpid()), done))
	_, stat, err := conn.Get("/zk/demo/services/me")
	check(err)
	fmt.Println("the node is there, ephemeral:", stat.EphemeralOwner() != 0)
	close(done)
}
