package zk_test

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"zkhelper/zk"
	"zkhelper/zkhtest"
)

// What else the old driver had.

func TestADialerOfTheProgramsMakesTheConnections(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		var dialed int32
		dialer := func(network, address string, timeout time.Duration) (net.Conn, error) {
			atomic.AddInt32(&dialed, 1)
			return net.DialTimeout(network, address, timeout)
		}
		conn, events, err := zk.ConnectWithDialer([]string{address}, 3*time.Second, dialer)
		check(t, err)
		defer conn.Close()
		for next(t, events).State != zk.StateHasSession {
		}
		_, err = conn.Create(root, []byte("x"), zk.FlagEphemeral, open)
		check(t, err)
		data, _, err := conn.Get(root)
		require(t, err == nil && string(data) == "x" && atomic.LoadInt32(&dialed) > 0, "it carries requests", err)
	})
}

func TestADialerThatFailsIsAskedAgain(t *testing.T) {
	server := zkhtest.NewServer(t)
	var dialed int32
	conn, events, err := zk.ConnectWithDialer([]string{server.Addr()}, 3*time.Second,
		func(network, address string, timeout time.Duration) (net.Conn, error) {
			if atomic.AddInt32(&dialed, 1) < 3 {
				return nil, net.ErrClosed
			}
			return net.DialTimeout(network, address, timeout)
		})
	check(t, err)
	for next(t, events).State != zk.StateHasSession {
	}
	conn.Close()
	require(t, atomic.LoadInt32(&dialed) >= 3, "as often as it takes")
}

func TestAProtectedNodeWhoseAnswerIsLostIsFoundAgain(t *testing.T) {
	server := zkhtest.NewServer(t)
	conn := server.Conn(t)
	_, err := conn.Create("/jobs", nil, 0, open)
	check(t, err)
	for i, cut := range []func(zkhtest.Operation, int){nil, server.CutBefore, server.CutAfter} {
		if cut != nil {
			cut(zkhtest.Create, 1)
		}
		path, err := conn.CreateProtectedEphemeralSequential("/jobs/job-", []byte("x"), open)
		check(t, err)
		require(t, strings.HasPrefix(path, "/jobs/_c_") && strings.Contains(path, "-job-000000"), path)
		children, _, err := conn.Children("/jobs")
		require(t, err == nil && len(children) == i+1, "there is one node more", children, err)
		exists, stat, err := conn.Exists(path)
		require(t, err == nil && exists && stat.EphemeralOwner() == conn.SessionID(), "it is ours", err)
	}
	_, err = conn.CreateProtectedEphemeralSequential("/none/job-", nil, open)
	require(t, err == zk.ErrNoNode, "errors are bare", err)
}

func TestTheDriversLockExcludes(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		first, second := connect(t, address), connect(t, address)
		one, two := zk.NewLock(first, root, open), zk.NewLock(second, root, open)
		require(t, one.Unlock() == zk.ErrNotLocked, "it is not held")
		check(t, one.Lock())
		require(t, one.Lock() == zk.ErrDeadlock, "it is held already")
		granted := make(chan error, 1)
		go func() { granted <- two.Lock() }()
		for {
			children, _, err := first.Children(root)
			check(t, err)
			if len(children) == 2 {
				break
			}
		}
		require(t, two.Unlock() == zk.ErrNotLocked, "it waits")
		check(t, one.Unlock())
		select {
		case err := <-granted:
			check(t, err)
		case <-time.After(limit):
			t.Fatal("it was not granted")
		}
		check(t, two.Unlock())
		require(t, two.Unlock() == zk.ErrNotLocked, "it is not held any more")
		require(t, zk.NewLock(first, "bad", open).Lock() != nil, "a bad path")
	})
}
