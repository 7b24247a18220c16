//go:build ignore

// Two candidates lead one after the other, and an observer hears of it: go run elector.go
package main

import (
	"context"
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
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, name := range []string{"ann", "bob"} {
		conn, err := zkhelper.ConnectToZk("embedded")
		check(err)
		defer conn.Close()
		elector, err := zkhelper.NewElector(conn, "/zk/demo/election",
			zkhelper.LeaderContents(map[string]interface{}{"name": name}))
		check(err)
		defer elector.Close()
		term, err := elector.Campaign(ctx)
		check(err)
		leader, err := elector.Leader(ctx)
		check(err)
		contents, err := leader.Contents()
		check(err)
		fmt.Println(contents["name"], "leads, with token", term.Token())
		select {
		case <-term.Stopped():
			fmt.Println("the lead is lost")
		default:
			// The work of a leader, which ends soon after Stopped is closed.
		}
		check(term.Resign())
	}
}
