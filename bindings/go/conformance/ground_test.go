// Package conformance_test has the scenarios of tests/conformance.md in Go, by their numbers.
package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"zkhelper"
	"zkhelper/internal/abi"
	"zkhelper/internal/apache"
	"zkhelper/zk"
)

const (
	session = 4 * time.Second
	minute  = time.Minute
	brief   = 100 * time.Millisecond
	// How long something that comes without fail may take on a slow machine.
	limit = 120 * time.Second
	// Nobody listens there.
	nobody = "127.0.0.1:1"
)

// embedded is the server in this process that the scenarios share.
var embedded *abi.Server

func TestMain(m *testing.M) {
	server, err := abi.StartServer(0, 500*time.Millisecond)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	embedded = server
	apache.Main(m)
}

var ctx = context.Background()

var open = zk.WorldACL(zk.PermAll)

// ground is what a scenario stands on: a server, and clients of its own, which are closed at its end.
type ground struct {
	*testing.T
	address string
}

// both runs a scenario on Apache ZooKeeper and on the embedded server.
func both(t *testing.T, scenario func(g *ground)) {
	t.Run("embedded", func(t *testing.T) { scenario(&ground{t, embedded.Address()}) })
	t.Run("apache", func(t *testing.T) { scenario(&ground{t, apache.Address}) })
}

func (g *ground) ok(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

func (g *ground) require(so bool, values ...interface{}) {
	g.Helper()
	if !so {
		g.Fatal(append([]interface{}{"not so:"}, values...)...)
	}
}

// fails wants an error with this code that says these things.
func (g *ground) fails(err error, code zkhelper.Code, says ...string) {
	g.Helper()
	var e *zkhelper.Error
	if !errors.As(err, &e) || e.Code != code {
		g.Fatalf("in place of %v: %v", code, err)
	}
	for _, text := range says {
		if !strings.Contains(e.Message, text) {
			g.Fatalf("%q does not say %q", e.Message, text)
		}
	}
}

// within gets a value in time.
func within[T any](g *ground, from <-chan T) T {
	g.Helper()
	select {
	case value, open := <-from:
		g.require(open, "the channel is open")
		return value
	case <-time.After(limit):
		g.Fatal("nothing came in time")
		panic("unreachable")
	}
}

// ended waits for a channel to be closed.
func ended(g *ground, what <-chan struct{}) {
	g.Helper()
	select {
	case <-what:
	case <-time.After(limit):
		g.Fatal("no end came in time")
	}
}

// none says that nothing is in a channel.
func none[T any](g *ground, from <-chan T) {
	g.Helper()
	select {
	case value := <-from:
		g.Fatal("one came too many: ", value)
	default:
	}
}

func (g *ground) dial(address string, options ...zk.Option) *zkhelper.MyZkConn {
	g.Helper()
	conn, err := zkhelper.Dial(ctx, address, append([]zk.Option{zk.SessionTimeout(session)}, options...)...)
	g.ok(err)
	g.Cleanup(conn.Close)
	return conn
}

func (g *ground) join() *zkhelper.MyZkConn {
	g.Helper()
	return g.dial(g.address)
}

// taking is what takes another client's session.
func (g *ground) taking(of *zkhelper.MyZkConn) zk.Option {
	g.Helper()
	credentials, err := of.Credentials()
	g.ok(err)
	return zk.Reattach(credentials)
}

func (g *ground) endSession(of *zkhelper.MyZkConn) {
	g.Helper()
	g.dial(g.address, g.taking(of)).Close()
}

var homes int32

// home makes a new node.
func (g *ground) home(conn *zkhelper.MyZkConn) string {
	g.Helper()
	path := fmt.Sprintf("/zk/conformance-go-%d-%d", os.Getpid(), atomic.AddInt32(&homes, 1))
	_, err := zkhelper.CreateRecursive(conn, path, "", 0, open)
	g.ok(err)
	return path
}

func (g *ground) lockPath(conn *zkhelper.MyZkConn) string {
	g.Helper()
	return g.home(conn) + "/lock"
}

func (g *ground) make(conn *zkhelper.MyZkConn, path string, flags int32) string {
	g.Helper()
	made, err := conn.CreateContext(ctx, path, nil, flags, open)
	g.ok(err)
	return made
}

func (g *ground) set(conn *zkhelper.MyZkConn, path, data string) {
	g.Helper()
	_, err := conn.SetContext(ctx, path, []byte(data), -1)
	g.ok(err)
}

func (g *ground) delete(conn *zkhelper.MyZkConn, path string) {
	g.Helper()
	g.ok(conn.DeleteContext(ctx, path, -1))
}

func (g *ground) data(conn *zkhelper.MyZkConn, path string) (string, zk.Stat) {
	g.Helper()
	data, stat, err := conn.GetContext(ctx, path)
	g.ok(err)
	return string(data), stat
}

func (g *ground) there(conn *zkhelper.MyZkConn, path string) bool {
	g.Helper()
	exists, _, err := conn.ExistsContext(ctx, path)
	g.ok(err)
	return exists
}

func (g *ground) stat(conn *zkhelper.MyZkConn, path string) zk.Stat {
	g.Helper()
	exists, stat, err := conn.ExistsContext(ctx, path)
	g.ok(err)
	g.require(exists, path, "is there")
	return stat
}

// children are the names of a node's children, sorted and joined; none where there is no node.
func (g *ground) children(conn *zkhelper.MyZkConn, path string) string {
	g.Helper()
	names, _, err := conn.ChildrenContext(ctx, path)
	if !errors.Is(err, zkhelper.CodeNoNode) {
		g.ok(err)
	}
	sort.Strings(names)
	return strings.Join(names, " ")
}

func (g *ground) until(conn *zkhelper.MyZkConn, path string, count int) {
	g.Helper()
	for deadline := time.Now().Add(limit); len(strings.Fields(g.children(conn, path))) != count; {
		if time.Now().After(deadline) {
			g.Fatalf("there are never %d children of %s", count, path)
		}
	}
}

func (g *ground) only(conn *zkhelper.MyZkConn, path string) string {
	g.Helper()
	names := strings.Fields(g.children(conn, path))
	g.require(len(names) == 1, "there is one child", names)
	return path + "/" + names[0]
}

func (g *ground) mutex(conn zkhelper.Conn, path string, options ...zkhelper.MutexOption) *zkhelper.Mutex {
	g.Helper()
	m, err := zkhelper.NewMutex(conn, path, options...)
	g.ok(err)
	g.Cleanup(m.Close)
	return m
}

// held is a mutex that is locked.
func (g *ground) held(conn zkhelper.Conn, path string, options ...zkhelper.MutexOption) *zkhelper.Mutex {
	g.Helper()
	m := g.mutex(conn, path, options...)
	g.ok(m.LockContext(ctx, ""))
	return m
}

// waiting begins something that waits.
func waiting(wait func() error) <-chan error {
	outcome := make(chan error, 1)
	go func() { outcome <- wait() }()
	return outcome
}

func locks(m *zkhelper.Mutex) <-chan error {
	return waiting(func() error { return m.LockContext(ctx, "") })
}

// lost waits for the loss of a hold, and says why.
func (g *ground) lost(m *zkhelper.Mutex) zkhelper.Loss {
	g.Helper()
	ended(g, m.Lost())
	return m.LossReason()
}

func codeOf(err error) zkhelper.Code {
	var e *zkhelper.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}
