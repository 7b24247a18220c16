//go:build ignore

// Makes a small tree, finds nodes by a pattern, lists and deletes it: go run tree.go
package main

import (
	"fmt"
	"log"

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
	acl := zkhelper.DefaultDirACLs()
	for _, path := range []string{"/zk/shop/shards/0/master", "/zk/shop/shards/1/master", "/zk/shop/rules"} {
		_, err := zkhelper.CreateRecursive(conn, path, "", 0, acl)
		check(err)
	}
	masters, err := zkhelper.ResolveWildcards(conn, []string{"/zk/shop/shards/*/master"})
	check(err)
	fmt.Println("masters:", masters)
	all, err := zkhelper.ChildrenRecursive(conn, "/zk/shop")
	check(err)
	fmt.Println("everything:", all)
	check(zkhelper.DeleteRecursive(conn, "/zk/shop", -1))
}
