// Command contend contends with go-zookeeper's lock until its input ends: contend ADDRESS PATH.
//
// It says when it held: `@ held FROM UNTIL`, in nanoseconds of CLOCK_MONOTONIC.
package main

import (
	"fmt"
	"io"
	"log"
	"math/rand"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/go-zookeeper/zk"
)

const clockMonotonic = 1

// now reads the clock that the other contenders read; package time does not show what it counts from.
func now() int64 {
	var at syscall.Timespec
	_, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&at)), 0)
	if errno != 0 {
		log.Fatal(errno)
	}
	return at.Nano()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

type quiet struct{}

func (quiet) Printf(string, ...interface{}) {}

func main() {
	var stop atomic.Bool
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop.Store(true)
	}()
	conn, _, err := zk.Connect(os.Args[1:2], 10*time.Second, zk.WithLogger(quiet{}))
	check(err)
	lock := zk.NewLock(conn, os.Args[2], zk.WorldACL(zk.PermAll))
	for !stop.Load() {
		check(lock.Lock())
		from := now()
		time.Sleep(time.Duration(1000+rand.Intn(4000)) * time.Microsecond)
		until := now()
		check(lock.Unlock())
		fmt.Println("@ held", from, until)
	}
	conn.Close()
	fmt.Println("@ done")
}
