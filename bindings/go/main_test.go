package zkhelper_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"zkhelper"
	"zkhelper/internal/apache"
	"zkhelper/zk"
	"zkhelper/zkhtest"
)

func TestMain(m *testing.M) { apache.Main(m) }

// How long something that comes without fail may take on a slow machine.
const limit = 60 * time.Second

// prove says that the long tests are asked for.
func prove() bool { return os.Getenv("ZKHELPER_PROVE") != "" }

// onEach runs a test on the embedded server and on Apache ZooKeeper, with a path of its own below /zk.
func onEach(t *testing.T, test func(t *testing.T, address, root string)) {
	root := "/zk/" + strings.ReplaceAll(t.Name(), "/", "-")
	t.Run("embedded", func(t *testing.T) { test(t, zkhtest.NewServer(t).Addr(), root) })
	t.Run("apache", func(t *testing.T) { test(t, apache.Address, root) })
}

func connect(t *testing.T, address string) *zkhelper.MyZkConn {
	t.Helper()
	conn, err := zkhelper.ConnectToZk(address)
	check(t, err)
	t.Cleanup(conn.Close)
	own := conn.(*zkhelper.MyZkConn)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	check(t, own.WaitConnected(ctx))
	return own
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

// within gets a value in time.
func within[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(limit):
		t.Fatal("nothing came in time")
		panic("unreachable")
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never came: " + what)
		}
	}
}

func mutex(t *testing.T, conn zkhelper.Conn, path string, options ...zkhelper.MutexOption) *zkhelper.Mutex {
	t.Helper()
	m, err := zkhelper.NewMutex(conn, path, options...)
	check(t, err)
	t.Cleanup(m.Close)
	return m
}

// contenders are the lock nodes at a path.
func contenders(t *testing.T, conn zkhelper.Conn, path string) (names []string) {
	t.Helper()
	children, _, err := conn.Children(path)
	if err != zk.ErrNoNode {
		check(t, err)
	}
	for _, child := range children {
		if strings.HasPrefix(child, "lock-") {
			names = append(names, child)
		}
	}
	return names
}
