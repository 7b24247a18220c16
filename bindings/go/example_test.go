package zkhelper_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zkhelper"
)

func ExampleNewMutex() {
	conn, err := zkhelper.ConnectToZk("embedded")
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	mutex, err := zkhelper.NewMutex(conn, "/zk/example/lock")
	if err != nil {
		panic(err)
	}
	defer mutex.Close()

	if err := mutex.LockContext(context.Background(), "nightly report"); err != nil {
		panic(err)
	}
	fmt.Println("held:", mutex.Held())

	// Somebody else does not get it meanwhile.
	other, err := zkhelper.NewMutex(conn, "/zk/example/lock")
	if err != nil {
		panic(err)
	}
	defer other.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err = other.LockContext(ctx, "the same report")
	fmt.Println("in vain:", errors.Is(err, context.DeadlineExceeded))
	fmt.Println("unlocked:", mutex.Unlock() == nil)
	// Output:
	// held: true
	// in vain: true
	// unlocked: true
}

func ExampleElector_Campaign() {
	conn, err := zkhelper.ConnectToZk("embedded")
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	elector, err := zkhelper.NewElector(conn, "/zk/example/election")
	if err != nil {
		panic(err)
	}
	defer elector.Close()

	term, err := elector.Campaign(context.Background())
	if err != nil {
		panic(err)
	}
	select {
	case <-term.Stopped():
		fmt.Println("the lead is lost")
	default:
		fmt.Println("leading:", term.Leading())
	}
	fmt.Println("resigned:", term.Resign() == nil)
	// Output:
	// leading: true
	// resigned: true
}

func ExampleCreateMutex() {
	conn := zkhelper.NewConn()
	defer conn.Close()
	locker := zkhelper.CreateMutex(conn, "/zk/example/lock")
	if err := locker.LockWithTimeout(5*time.Second, "as ever"); err == zkhelper.ErrTimeout {
		return
	}
	fmt.Println("held")
	fmt.Println(locker.Unlock())
	// Output:
	// held
	// <nil>
}

func ExampleResolveWildcards() {
	conn := zkhelper.NewConn()
	defer conn.Close()
	for _, shard := range []string{"0", "1"} {
		path := "/zk/example/shards/" + shard + "/master"
		if _, err := zkhelper.CreateRecursive(conn, path, "", 0, zkhelper.DefaultDirACLs()); err != nil {
			panic(err)
		}
	}
	fmt.Println(zkhelper.ResolveWildcards(conn, []string{"/zk/example/shards/*/master"}))
	// Output:
	// [/zk/example/shards/0/master /zk/example/shards/1/master] <nil>
}
