package zkhelper_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"zkhelper"
	"zkhelper/zk"
	"zkhelper/zkhtest"
)

func TestALockExcludesAndItsTokensGrow(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn, other := connect(t, address), connect(t, address)
		first, second := mutex(t, conn, root), mutex(t, other, root)
		ctx := context.Background()
		check(t, first.LockContext(ctx, "first"))
		token := first.Token()
		require(t, token > 0 && first.Held() && first.ValidUntil().After(time.Now()), "the first holds the lock")
		err := second.TryLock(ctx, "second")
		require(t, errors.Is(err, zkhelper.CodeTimeout) && errors.Is(err, zkhelper.ErrTimeout), "it excludes", err)

		granted := make(chan error, 1)
		go func() { granted <- second.LockContext(ctx, "second") }()
		eventually(t, "a second contender", func() bool { return len(contenders(t, conn, root)) == 2 })
		check(t, first.Unlock())
		require(t, !first.Held() && first.Token() == 0 && first.ValidUntil().IsZero(), "the first holds it no more")
		check(t, within(t, granted))
		require(t, second.Token() > token, "the next token is larger")
		check(t, second.Unlock())
		require(t, len(contenders(t, conn, root)) == 0, "nothing is left")
	})
}

func TestALockNodeSaysWhoHoldsItAndTheCallersMapIsLeftAlone(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		mine := map[string]interface{}{"role": "blue", "id": "node 7"}
		locker, err := zkhelper.CreateMutexWithContents(conn, root, mine)
		check(t, err)
		require(t, len(mine) == 2, "the map is left as it was", mine)
		check(t, locker.Lock("a reason"))
		nodes := contenders(t, conn, root)
		require(t, len(nodes) == 1, "there is one contender")
		data, stat, err := conn.Get(root + "/" + nodes[0])
		check(t, err)
		require(t, stat.EphemeralOwner() == 0, "CreateMutex keeps persistent nodes")
		var contents map[string]interface{}
		check(t, json.Unmarshal(data, &contents))
		require(t, contents["role"] == "blue" && contents["id"] == "node 7", "the caller's keys are there", contents)
		require(t, contents["desc"] == "a reason" && contents["pid"] == float64(os.Getpid()), "and ours", contents)
		check(t, locker.Unlock())
	})
}

func TestAContextThatEndsCancelsTheWaitAndLeavesNoNode(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		holder, waiter := mutex(t, conn, root), mutex(t, conn, root)
		check(t, holder.LockContext(context.Background(), ""))
		ctx, cancel := context.WithCancel(context.Background())
		waited := make(chan error, 1)
		go func() { waited <- waiter.LockContext(ctx, "") }()
		eventually(t, "a second contender", func() bool { return len(contenders(t, conn, root)) == 2 })
		cancel()
		err := within(t, waited)
		require(t, errors.Is(err, context.Canceled) && errors.Is(err, zkhelper.CodeCancelled), "it was cancelled", err)
		require(t, len(contenders(t, conn, root)) == 1, "its node is gone when the call has returned")

		timed, done := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer done()
		err = waiter.LockContext(timed, "")
		require(t, errors.Is(err, context.DeadlineExceeded), "a deadline is told", err)
		var typed *zkhelper.Error
		require(t, errors.As(err, &typed) && typed.Path == root, "errors.As finds it, with its path", err)
	})
}

func TestAnInterruptEndsAWaitAndIsRememberedForOne(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		holder, waiter := mutex(t, conn, root), mutex(t, conn, root)
		check(t, holder.Lock(""))
		waiter.Interrupt()
		require(t, waiter.Lock("") == zkhelper.ErrInterrupted, "it is remembered")
		require(t, waiter.LockWithTimeout(10*time.Millisecond, "") == zkhelper.ErrTimeout, "for one wait")
		check(t, holder.Unlock())
	})
}

func TestASecondLockOnAMutexThatIsHeldQueues(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		m := mutex(t, connect(t, address), root)
		check(t, m.Lock(""))
		token := m.Token()
		granted := make(chan error, 1)
		go func() { granted <- m.Lock("") }()
		select {
		case err := <-granted:
			t.Fatal("granted beside the first: ", err)
		case <-time.After(50 * time.Millisecond):
		}
		check(t, m.Unlock())
		check(t, within(t, granted))
		require(t, m.Token() > token, "it is another hold")
		check(t, m.Unlock())
		err := m.Unlock()
		require(t, errors.Is(err, zkhelper.CodeNotHeld), "unlocking what is not held is an error", err)
	})
}

func TestALossIsTold(t *testing.T) {
	server := zkhtest.NewServer(t)
	conn := server.Conn(t)
	m := mutex(t, conn, "/zk/lost")
	check(t, m.Lock(""))
	select {
	case <-m.Lost():
		t.Fatal("lost without a reason")
	default:
	}
	server.Expire(conn.SessionID())
	within(t, m.Lost())
	require(t, !m.Held() && m.Token() == 0, "a lock that is lost is not held")
	err := m.Unlock()
	require(t, errors.Is(err, zkhelper.CodeLockLost), "and unlock says so", err)
	check(t, m.Lock(""))
	select {
	case <-m.Lost():
		t.Fatal("the next hold has the loss of the one before")
	default:
	}
	check(t, m.Unlock())
}

func TestALossIsToldByTheEndOfTheLeaseWhileTheServerIsFrozen(t *testing.T) {
	server := zkhtest.NewServer(t)
	conn := server.Conn(t)
	m := mutex(t, conn, "/zk/frozen")
	check(t, m.Lock(""))
	server.Freeze()
	defer server.Thaw()
	until := m.ValidUntil()
	within(t, m.Lost())
	require(t, !m.Held(), "it is not held")
	require(t, !until.IsZero(), "until when was known")
}

func TestAStrictLockExcludesToo(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		strict := zkhelper.Strict(500*time.Millisecond, time.Second)
		m := mutex(t, conn, root, strict)
		check(t, m.Lock(""))
		other := mutex(t, conn, root, strict)
		require(t, other.LockWithTimeout(0, "") == zkhelper.ErrTimeout, "it excludes")
		check(t, m.Unlock())
		_, err := zkhelper.NewMutex(conn, root, zkhelper.Strict(time.Second, time.Millisecond))
		require(t, errors.Is(err, zkhelper.CodeBadArgument), "a delay shorter than the lease is refused", err)
	})
}

func TestALockThatIsNotAllowedSaysSo(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		_, err := zkhelper.CreateRecursive(conn, root, "", 0, zkhelper.DefaultDirACLs())
		check(t, err)
		_, err = conn.SetACL(root, zk.WorldACL(zk.PermRead), -1)
		check(t, err)
		require(t, mutex(t, conn, root).Lock("") == zk.ErrNoAuth, "Lock returns the bare error")
		err = mutex(t, conn, root).LockContext(context.Background(), "")
		var typed *zkhelper.Error
		require(t, errors.As(err, &typed) && typed.Code == zkhelper.CodeNoAuth && errors.Is(err, zk.ErrNoAuth),
			"LockContext a typed one", err)
	})
}

func TestBadPathsAreRefusedAndCloseEndsAWait(t *testing.T) {
	server := zkhtest.NewServer(t)
	conn := server.Conn(t)
	for _, path := range []string{"", "a", "/a/", "/a//b", "/a/../b", "/\x00"} {
		_, err := zkhelper.NewMutex(conn, path)
		require(t, err != nil, "a bad path is refused", path)
	}
	holder, waiter := mutex(t, conn, "/zk/close"), mutex(t, conn, "/zk/close")
	check(t, holder.Lock(""))
	waited := make(chan error, 1)
	go func() { waited <- waiter.LockContext(context.Background(), "") }()
	eventually(t, "a waiter", func() bool { return len(contenders(t, conn, "/zk/close")) == 2 })
	waiter.Close()
	err := within(t, waited)
	require(t, errors.Is(err, zkhelper.CodeClosed), "Close ends a wait", err)
	waiter.Close()
	conn.Close()
	err = holder.LockContext(context.Background(), "")
	require(t, err != nil, "a mutex of a closed connection is over")
}
