package zk_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"zkhelper/internal/apache"
	"zkhelper/zk"
	"zkhelper/zkhtest"
)

func TestMain(m *testing.M) { apache.Main(m) }

const limit = 60 * time.Second

var open = zk.WorldACL(zk.PermAll)

func onEach(t *testing.T, test func(t *testing.T, address, root string)) {
	root := "/" + strings.ReplaceAll(t.Name(), "/", "-")
	t.Run("embedded", func(t *testing.T) { test(t, zkhtest.NewServer(t).Addr(), root) })
	t.Run("apache", func(t *testing.T) { test(t, apache.Address, root) })
}

func connect(t *testing.T, address string) *zk.Conn {
	t.Helper()
	conn, _, err := zk.Connect([]string{address}, 3*time.Second)
	check(t, err)
	t.Cleanup(conn.Close)
	return conn
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func require(t *testing.T, ok bool, what string, values ...interface{}) {
	t.Helper()
	if !ok {
		t.Fatal(append([]interface{}{"not so: " + what}, values...)...)
	}
}

func next(t *testing.T, events <-chan zk.Event) zk.Event {
	t.Helper()
	select {
	case event, ok := <-events:
		require(t, ok, "the channel is open")
		return event
	case <-time.After(limit):
		t.Fatal("no event came in time")
		panic("unreachable")
	}
}

func TestEveryOperationReturnsWhatItDidAndBareErrors(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		path, err := conn.Create(root, []byte("one"), 0, open)
		require(t, err == nil && path == root, "create returns the path", path, err)
		_, err = conn.Create(root, nil, 0, open)
		require(t, err == zk.ErrNodeExists, "create", err)
		_, err = conn.Create(root+"/a/b", nil, 0, open)
		require(t, err == zk.ErrNoNode, "create without a parent", err)
		_, err = conn.Create(root+"/none", nil, 0, nil)
		require(t, err == zk.ErrInvalidACL, "create without an ACL", err)
		path, err = conn.Create(root+"/e-", nil, zk.FlagEphemeral|zk.FlagSequence, open)
		require(t, err == nil && path == root+"/e-0000000000", "sequential nodes have a number", path)
		_, err = conn.Create(path+"/child", nil, 0, open)
		require(t, err == zk.ErrNoChildrenForEphemerals, "create below an ephemeral", err)
		_, stat, err := conn.Get(path)
		check(t, err)
		require(t, stat.EphemeralOwner() == conn.SessionID(), "the owner is our session")

		data, stat, err := conn.Get(root)
		check(t, err)
		require(t, string(data) == "one" && stat.Version() == 0 && stat.DataLength() == 3, "get", data, stat)
		require(t, stat.Czxid() > 0 && stat.Czxid() == stat.Mzxid() && stat.NumChildren() == 1 && stat.CVersion() == 1 &&
			stat.Pzxid() > stat.Czxid() && stat.AVersion() == 0, "the status")
		require(t, time.Since(stat.CTime()) < time.Hour && stat.MTime().Equal(stat.CTime()), "the times")
		stat, err = conn.Set(root, []byte("two"), 0)
		require(t, err == nil && stat.Version() == 1, "set", err)
		_, err = conn.Set(root, nil, 0)
		require(t, err == zk.ErrBadVersion, "set with an old version", err)
		children, stat, err := conn.Children(root)
		require(t, err == nil && len(children) == 1 && stat.NumChildren() == 1, "children", children, err)
		exists, stat, err := conn.Exists(root)
		require(t, err == nil && exists && stat.Version() == 1, "exists", err)
		exists, stat, err = conn.Exists(root + "/none")
		require(t, err == nil && !exists && stat.Version() == 0, "what is not there has zeros", err)
		require(t, conn.Delete(root, -1) == zk.ErrNotEmpty, "delete with children")
		check(t, conn.Delete(path, 0))
		at, err := conn.Sync(root)
		require(t, err == nil && at == root, "sync", err)

		_, err = conn.SetACL(root, zk.WorldACL(zk.PermRead|zk.PermAdmin), 0)
		check(t, err)
		acl, stat, err := conn.GetACL(root)
		require(t, err == nil && reflect.DeepEqual(acl, zk.WorldACL(zk.PermRead|zk.PermAdmin)) && stat.AVersion() == 1,
			"an ACL is set and read", acl)
		_, err = conn.Set(root, nil, -1)
		require(t, err == zk.ErrNoAuth, "and obeyed", err)
		_, err = conn.Create("no-slash", nil, 0, open)
		require(t, err == zk.ErrUnknown, "a bad path", err)
		_, _, err = conn.Get(root + "\x00")
		require(t, err == zk.ErrUnknown, "a zero byte is not cut off", err)
	})
}

func TestCredentialsAndDigests(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		owner, other := connect(t, address), connect(t, address)
		check(t, owner.AddAuth("digest", []byte("user:secret")))
		_, err := owner.Create(root, []byte("mine"), 0, zk.DigestACL(zk.PermAll, "user", "secret"))
		check(t, err)
		_, err = owner.Create(root+"/auth", nil, 0, zk.AuthACL(zk.PermAll))
		check(t, err)
		_, _, err = other.Get(root)
		require(t, err == zk.ErrNoAuth, "nobody else may read", err)
		check(t, other.AddAuth("digest", []byte("user:secret")))
		data, _, err := other.Get(root)
		require(t, err == nil && string(data) == "mine", "but who knows the password", err)
	})
}

func TestATransactionIsAllOrNothing(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		ops := zk.MultiOps{
			Create:  []zk.CreateRequest{{Path: root, Acl: open}, {Path: root + "/a", Data: []byte("1"), Acl: open}},
			SetData: []zk.SetDataRequest{{Path: root + "/a", Data: []byte("2"), Version: 0}},
			Delete:  []zk.DeleteRequest{{Path: root + "/a", Version: 7}},
			Check:   []zk.CheckVersionRequest{{Path: root, Version: 0}},
		}
		require(t, conn.Multi(ops) == zk.ErrBadVersion, "the first failure is told")
		exists, _, err := conn.Exists(root)
		require(t, err == nil && !exists, "and nothing is done")
		ops.Delete = nil
		check(t, conn.Multi(ops))
		data, _, err := conn.Get(root + "/a")
		require(t, err == nil && string(data) == "2", "all is done", err)
	})
}

func TestWatchesSeeOneEventAndAreClosed(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn, other := connect(t, address), connect(t, address)
		exists, _, created, err := conn.ExistsW(root)
		require(t, err == nil && !exists, "there is nothing yet", err)
		_, _, _, err = conn.GetW(root)
		require(t, err == zk.ErrNoNode, "what is not there has no data to watch", err)
		_, err = other.Create(root, []byte("one"), 0, open)
		check(t, err)
		event := next(t, created)
		require(t, event == zk.Event{Type: zk.EventNodeCreated, State: zk.StateSyncConnected, Path: root}, "created", event)
		_, opened := <-created
		require(t, !opened, "the channel is closed after its event")

		data, stat, changed, err := conn.GetW(root)
		require(t, err == nil && string(data) == "one" && stat.Version() == 0, "it is read and watched", err)
		_, _, children, err := conn.ChildrenW(root)
		check(t, err)
		_, err = other.Set(root, []byte("two"), 0)
		check(t, err)
		require(t, next(t, changed).Type == zk.EventNodeDataChanged, "a change")
		_, err = other.Create(root+"/child", nil, 0, open)
		check(t, err)
		require(t, next(t, children).Type == zk.EventNodeChildrenChanged, "a child")
		check(t, other.Delete(root+"/child", -1))
		exists, _, deleted, err := conn.ExistsW(root)
		require(t, err == nil && exists, "it is there", err)
		check(t, other.Delete(root, -1))
		require(t, next(t, deleted).Type == zk.EventNodeDeleted, "a deletion")
	})
}

func TestConnectingReturnsWithoutAServerAndRequestsWaitForOne(t *testing.T) {
	server := zkhtest.NewServer(t)
	server.Freeze()
	conn, events, err := zk.Connect([]string{server.Addr()}, time.Second)
	check(t, err)
	defer conn.Close()
	require(t, conn.State() == zk.StateConnecting && conn.SessionID() == 0, "there is no session", conn.State())
	require(t, next(t, events).State == zk.StateConnecting, "which is told")
	created := make(chan error, 1)
	go func() {
		_, err := conn.Create("/a", nil, 0, open)
		created <- err
	}()
	server.Thaw()
	check(t, <-created)
	require(t, next(t, events).State == zk.StateConnected && next(t, events).State == zk.StateHasSession, "events")
	require(t, conn.State() == zk.StateHasSession && conn.SessionID() != 0, "the state")
}

func TestAddressesMayLackAPortOrAHost(t *testing.T) {
	for _, servers := range [][]string{{"localhost"}, {":2181"}, {"a", "b:1"}} {
		conn, _, err := zk.Connect(servers, time.Second)
		check(t, err)
		conn.Close()
	}
	_, _, err := zk.Connect([]string{"a:none"}, time.Second)
	require(t, err != nil, "a bad address is refused")
}

func TestAnExpiryIsToldEverywhereAndANewSessionIsMade(t *testing.T) {
	server := zkhtest.NewServer(t)
	conn, events, err := zk.Connect([]string{server.Addr()}, time.Second)
	check(t, err)
	defer conn.Close()
	_, err = conn.Create("/e", nil, zk.FlagEphemeral, open)
	check(t, err)
	_, _, watch, err := conn.GetW("/e")
	check(t, err)
	session := conn.SessionID()
	server.Expire(session)
	event := next(t, watch)
	require(t, event.Err == zk.ErrSessionExpired || event.Type == zk.EventNodeDeleted, "the watch hears of it", event)
	if event.Type != zk.EventNodeDeleted {
		want := zk.Event{Type: zk.EventNotWatching, State: zk.StateDisconnected, Path: "/e", Err: zk.ErrSessionExpired}
		require(t, event == want, "as the driver told it", event)
	}
	_, opened := <-watch
	require(t, !opened, "the channel is closed")
	for next(t, events).State != zk.StateExpired {
	}
	for next(t, events).State != zk.StateHasSession {
	}
	require(t, conn.SessionID() != session && conn.SessionID() != 0, "there is a new session")
	exists, _, err := conn.Exists("/e")
	require(t, err == nil && !exists, "the ephemeral node is gone", err)
}

func TestASilentServerIsGivenUpAndAWriteMayHaveHadItsEffect(t *testing.T) {
	server := zkhtest.NewServer(t)
	conn, events, err := zk.Connect([]string{server.Addr()}, 200*time.Millisecond)
	check(t, err)
	defer conn.Close()
	_, err = conn.Create("/a", nil, 0, open)
	check(t, err)
	server.CutAfter(zkhtest.Set, 1)
	_, err = conn.Set("/a", []byte("x"), -1)
	require(t, err == zk.ErrConnectionClosed, "an answer that is lost is told", err)
	data, _, err := conn.Get("/a")
	require(t, err == nil && string(data) == "x", "and the connection goes on", err)
	for next(t, events).State != zk.StateDisconnected {
	}
	for next(t, events).State != zk.StateHasSession {
	}
	server.Freeze()
	began := time.Now()
	for next(t, events).State != zk.StateDisconnected {
	}
	server.Thaw()
	// Two thirds of the session timeout of 2 s would be more.
	require(t, time.Since(began) < 1200*time.Millisecond, "silence is bounded by recvTimeout", time.Since(began))
}

func TestCloseEndsWatchesAndRequests(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn, events, err := zk.Connect([]string{address}, 3*time.Second)
		check(t, err)
		_, _, watch, err := conn.ExistsW(root)
		check(t, err)
		conn.Close()
		want := zk.Event{Type: zk.EventNotWatching, State: zk.StateDisconnected, Path: root, Err: zk.ErrClosing}
		event := next(t, watch)
		require(t, event == want, "a watch hears of it", event)
		for range events {
		}
		_, _, err = conn.Get(root)
		require(t, err == zk.ErrClosing, "requests are refused", err)
		_, _, _, err = conn.GetW(root)
		require(t, err == zk.ErrClosing, "watches too", err)
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		require(t, conn.WaitConnected(ctx) != nil, "it does not come back")
		conn.Close()
	})
}

func TestNames(t *testing.T) {
	require(t, zk.EventNotWatching.String() == "EventNotWatching" && zk.EventType(99).String() == "Unknown", "events")
	require(t, zk.StateHasSession.String() == "StateHasSession" && zk.State(99).String() == "Unknown", "states")
	digest := zk.DigestACL(zk.PermRead, "super", "test")
	require(t, digest[0].ID == "super:D/InIHSb7yEEbrWz8b9l71RjZJU=", "digests", digest)
}
