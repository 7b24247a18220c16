package zkhelper_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zkhelper"
	"zkhelper/zk"
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

func ExampleMutex_Guarded() {
	ctx := context.Background()
	conn, err := zkhelper.Dial(ctx, "embedded")
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	mutex, err := zkhelper.NewMutex(conn, "/zk/example/guard")
	if err != nil {
		panic(err)
	}
	defer mutex.Close()
	write := zk.CreateOp("/zk/example/report", []byte("done"), zk.FlagEphemeral, zkhelper.DefaultFileACLs())
	_, err = mutex.Guarded(ctx, write)
	fmt.Println("without the lock:", errors.Is(err, zkhelper.CodeNotHeld))
	if err := mutex.LockContext(ctx, "report"); err != nil {
		panic(err)
	}
	defer mutex.Unlock()
	results, err := mutex.Guarded(ctx, write)
	if err != nil {
		panic(err)
	}
	fmt.Println("with it:", results[0].Path)
	// Output:
	// without the lock: true
	// with it: /zk/example/report
}

func ExampleMutex_Revocations() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	conn, err := zkhelper.Dial(ctx, "embedded")
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	mutex, err := zkhelper.NewMutex(conn, "/zk/example/asked")
	if err != nil {
		panic(err)
	}
	defer mutex.Close()
	revocations, err := mutex.Revocations(ctx)
	if err != nil {
		panic(err)
	}
	if err := mutex.LockContext(ctx, "a long report"); err != nil {
		panic(err)
	}

	// Somebody else looks who has it, and asks.
	all, err := mutex.Contenders(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println("it is held for", all[0].Description)
	if err := mutex.RequestRevocation(ctx, all[0].Name, "an upgrade"); err != nil {
		panic(err)
	}

	fmt.Println("asked for", (<-revocations).Reason)
	fmt.Println("unlocked:", mutex.Unlock() == nil)
	// Output:
	// it is held for a long report
	// asked for an upgrade
	// unlocked: true
}

func ExampleElector_Run() {
	ctx, cancel := context.WithCancel(context.Background())
	conn, err := zkhelper.Dial(ctx, "embedded")
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	elector, err := zkhelper.NewElector(conn, "/zk/example/run")
	if err != nil {
		panic(err)
	}
	defer elector.Close()
	err = elector.Run(ctx, func(ctx context.Context, term *zkhelper.Term) error {
		fmt.Println("leading:", term.Leading())
		cancel() // The program ends.
		<-ctx.Done()
		return nil
	})
	fmt.Println("over:", errors.Is(err, context.Canceled))
	// Output:
	// leading: true
	// over: true
}

func ExampleNewQueueLock() {
	ctx := context.Background()
	conn, err := zkhelper.Dial(ctx, "embedded")
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	queue, err := zkhelper.NewQueueLock(conn, "/zk/example/queue")
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	if err := queue.LockContext(ctx, "first job"); err != nil {
		panic(err)
	}
	fmt.Println("it is our turn:", queue.Token() > 0)
	fmt.Println("done:", queue.Unlock() == nil)
	// Output:
	// it is our turn: true
	// done: true
}

func ExampleNewPidNode() {
	ctx := context.Background()
	conn, err := zkhelper.Dial(ctx, "embedded")
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	node, err := zkhelper.NewPidNode(conn, "/pid-of-example", []byte("4711"))
	if err != nil {
		panic(err)
	}
	if err := node.Start(ctx); err != nil {
		panic(err)
	}
	fmt.Println("made:", (<-node.Events()).Type == zkhelper.PidMade)
	fmt.Println("removed:", node.Close() == nil)
	// Output:
	// made: true
	// removed: true
}
