//go:build ignore

// Keeps a copy of a node up to date: go run watch.go
package main

import (
	"fmt"
	"log"
	"time"

	"zkhelper/zk"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	conn, _, err := zk.Connect([]string{"embedded"}, 3*time.Second)
	check(err)
	defer conn.Close()
	_, err = conn.Create("/setting", []byte("0"), zk.FlagEphemeral, zk.WorldACL(zk.PermAll))
	check(err)
	go func() {
		for i := 1; i <= 3; i++ {
			time.Sleep(50 * time.Millisecond)
			_, err := conn.Set("/setting", []byte(fmt.Sprint(i)), -1)
			check(err)
		}
	}()
	for {
		// Read and watched in one request: no change in between is missed.
		data, _, events, err := conn.GetW("/setting")
		check(err)
		fmt.Printf("the setting is %s\n", data)
		if string(data) == "3" {
			return
		}
		if event := <-events; event.Err != nil {
			log.Fatal(event.Err)
		}
	}
}
