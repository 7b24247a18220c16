package zkhelper_test

import (
	"context"
	"errors"
	"path"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zkhelper"
	"zkhelper/zk"
	"zkhelper/zkhtest"
)

// fake is a Conn that a program might have written for its tests: nodes in a map, one lock, one-shot watches.
type fake struct {
	mu      sync.Mutex
	nodes   map[string]*fakeNode
	watches map[string][]chan zk.Event // By path; and for its children, by path and "/".
	zxid    int64
	calls   int
	broken  error
}

type fakeNode struct {
	data             []byte
	acl              []zk.ACL
	flags            int32
	version, created int
	czxid            int64
}

func newFake() *fake {
	return &fake{nodes: map[string]*fakeNode{"/": {}}, watches: map[string][]chan zk.Event{}}
}

type fakeStat struct{ version int }

func (fakeStat) Mzxid() int64          { return 0 }
func (fakeStat) CTime() time.Time      { return time.Time{} }
func (fakeStat) MTime() time.Time      { return time.Time{} }
func (s fakeStat) Version() int        { return s.version }
func (fakeStat) CVersion() int         { return 0 }
func (fakeStat) AVersion() int         { return 0 }
func (fakeStat) EphemeralOwner() int64 { return 0 }
func (fakeStat) DataLength() int       { return 0 }
func (fakeStat) NumChildren() int      { return 0 }
func (fakeStat) Pzxid() int64          { return 0 }

// status is a fake's: it knows its transactions, and not much else.
type status struct {
	fakeStat
	czxid int64
}

func (s status) Czxid() int64 { return s.czxid }

func (f *fake) find(at string) (*fakeNode, error) {
	f.calls++
	if f.broken != nil {
		return nil, f.broken
	}
	if node := f.nodes[at]; node != nil {
		return node, nil
	}
	return nil, &zkhelper.ZkError{Code: zk.ErrNoNode, Op: "find", Path: at}
}

func (n *fakeNode) stat() zk.Stat { return status{fakeStat{n.version}, n.czxid} }

func (f *fake) watch(at string) <-chan zk.Event {
	events := make(chan zk.Event, 1)
	f.watches[at] = append(f.watches[at], events)
	return events
}

func (f *fake) tell(at string, kind zk.EventType) {
	for _, events := range f.watches[at] {
		events <- zk.Event{Type: kind, Path: at, State: zk.StateConnected}
		close(events)
	}
	delete(f.watches, at)
}

func (f *fake) Get(at string) ([]byte, zk.Stat, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	node, err := f.find(at)
	if err != nil {
		return nil, nil, err
	}
	return node.data, node.stat(), nil
}

func (f *fake) GetW(at string) ([]byte, zk.Stat, <-chan zk.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	node, err := f.find(at)
	if err != nil {
		return nil, nil, nil, err
	}
	return node.data, node.stat(), f.watch(at), nil
}

func (f *fake) names(at string) (names []string) {
	for other := range f.nodes {
		if other != "/" && path.Dir(other) == at {
			names = append(names, path.Base(other))
		}
	}
	sort.Strings(names)
	return names
}

func (f *fake) Children(at string) ([]string, zk.Stat, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	node, err := f.find(at)
	if err != nil {
		return nil, nil, err
	}
	return f.names(at), node.stat(), nil
}

func (f *fake) ChildrenW(at string) ([]string, zk.Stat, <-chan zk.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	node, err := f.find(at)
	if err != nil {
		return nil, nil, nil, err
	}
	return f.names(at), node.stat(), f.watch(at + "/"), nil
}

func (f *fake) Exists(at string) (bool, zk.Stat, error) {
	_, stat, err := f.Get(at)
	if zkhelper.ZkErrorEqual(err, zk.ErrNoNode) {
		return false, nil, nil
	}
	return err == nil, stat, err
}

func (f *fake) ExistsW(at string) (bool, zk.Stat, <-chan zk.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	node, err := f.find(at)
	if node == nil && !zkhelper.ZkErrorEqual(err, zk.ErrNoNode) {
		return false, nil, nil, err
	}
	if node == nil {
		return false, nil, f.watch(at), nil
	}
	return true, node.stat(), f.watch(at), nil
}

func (f *fake) Create(at string, value []byte, flags int32, aclv []zk.ACL) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	parent, err := f.find(path.Dir(at))
	if err != nil {
		return "", err
	}
	if flags&zk.FlagSequence != 0 {
		at += f.Seq2Str(int64(parent.created))
	}
	if f.nodes[at] != nil {
		return "", zk.ErrNodeExists
	}
	parent.created++
	f.zxid++
	f.nodes[at] = &fakeNode{data: value, acl: aclv, flags: flags, czxid: f.zxid}
	f.tell(at, zk.EventNodeCreated)
	f.tell(path.Dir(at)+"/", zk.EventNodeChildrenChanged)
	return at, nil
}

func (f *fake) Set(at string, value []byte, version int32) (zk.Stat, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	node, err := f.find(at)
	if err != nil {
		return nil, err
	}
	if version != -1 && int(version) != node.version {
		return nil, zk.ErrBadVersion
	}
	node.data = value
	node.version++
	f.tell(at, zk.EventNodeDataChanged)
	return node.stat(), nil
}

func (f *fake) Delete(at string, version int32) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	node, err := f.find(at)
	if err != nil {
		return err
	}
	if version != -1 && int(version) != node.version {
		return zk.ErrBadVersion
	}
	if len(f.names(at)) > 0 {
		return zk.ErrNotEmpty
	}
	delete(f.nodes, at)
	f.tell(at, zk.EventNodeDeleted)
	f.tell(path.Dir(at)+"/", zk.EventNodeChildrenChanged)
	return nil
}

func (f *fake) Close()                                          {}
func (f *fake) GetACL(string) ([]zk.ACL, zk.Stat, error)        { return nil, nil, nil }
func (f *fake) SetACL(string, []zk.ACL, int32) (zk.Stat, error) { return nil, nil }
func (f *fake) Seq2Str(seq int64) string                        { return (&zkhelper.MyZkConn{}).Seq2Str(seq) }
func (f *fake) breakWith(err error)                             { f.mu.Lock(); f.broken = err; f.mu.Unlock() }

// everything does what a program does with a Conn.
func everything(t *testing.T, conn, other zkhelper.Conn) {
	created, err := zkhelper.CreateRecursive(conn, "/zk/a/b/c", "v", 0, dirs)
	require(t, err == nil && created == "/zk/a/b/c", "CreateRecursive", created, err)
	_, err = zkhelper.CreateRecursive(conn, "/zk/a/b/c", "v", 0, dirs)
	require(t, err == zk.ErrNodeExists, "errors are bare", err)
	_, err = zkhelper.CreateOrUpdate(conn, "/zk/a/b/c", "w", 0, dirs, false)
	check(t, err)
	data, _, err := conn.Get("/zk/a/b/c")
	require(t, err == nil && string(data) == "w", "CreateOrUpdate", string(data), err)
	all, err := zkhelper.ChildrenRecursive(conn, "/zk/a")
	require(t, err == nil && strings.Join(all, " ") == "b b/c", "ChildrenRecursive", all, err)
	found, err := zkhelper.ResolveWildcards(conn, []string{"/zk/*/b/*"})
	require(t, err == nil && len(found) == 1 && found[0] == "/zk/a/b/c", "ResolveWildcards", found, err)

	first, second := zkhelper.CreateMutex(conn, "/zk/lock"), zkhelper.CreateMutex(other, "/zk/lock")
	check(t, first.Lock("first"))
	require(t, second.LockWithTimeout(0, "") == zkhelper.ErrTimeout, "a lock excludes")
	granted := make(chan error, 1)
	go func() { granted <- second.Lock("second") }()
	eventually(t, "a waiter", func() bool { return len(contenders(t, conn, "/zk/lock")) == 2 })
	check(t, first.Unlock())
	check(t, within(t, granted))
	check(t, second.Unlock())
	require(t, len(contenders(t, conn, "/zk/lock")) == 0, "nothing is left of a lock")

	ephemeral := mutex(t, conn, "/zk/ephemeral")
	check(t, ephemeral.Lock(""))
	check(t, ephemeral.Unlock())

	var running, overlapped int32
	election := zkhelper.CreateElection(conn, "/zk/election")
	one := newTask(&running, &overlapped)
	ended := make(chan error, 1)
	go func() { ended <- election.RunTask(one) }()
	eventually(t, "the task", func() bool { return atomic.LoadInt32(&one.runs) == 1 })
	election.Interrupt()
	require(t, within(t, ended) == zkhelper.ErrInterrupted, "an election")

	_, err = zkhelper.CreateRecursive(conn, "/zk/queue/1", "", 0, dirs)
	check(t, err)
	check(t, zkhelper.ObtainQueueLock(conn, "/zk/queue/1", 0, nil))

	done := make(chan struct{})
	check(t, zkhelper.CreatePidNode(conn, "/zk/pid", "me", done))
	close(done)
	eventually(t, "the end of the pid node", func() bool {
		exists, err := zkhelper.NodeExists(conn, "/zk/pid")
		return err == nil && !exists
	})
	check(t, zkhelper.DeleteRecursive(conn, "/zk", -1))
	exists, _, err := conn.Exists("/zk")
	require(t, err == nil && !exists, "DeleteRecursive", err)
}

// counter is a Conn that counts.
type counter struct {
	zkhelper.Conn
	creates int32
}

func (c *counter) Create(at string, value []byte, flags int32, aclv []zk.ACL) (string, error) {
	atomic.AddInt32(&c.creates, 1)
	return c.Conn.Create(at, value, flags, aclv)
}

func TestAWrapperOfTheUsersServesEverything(t *testing.T) {
	server := zkhtest.NewServer(t)
	conn := &counter{Conn: server.Conn(t)}
	everything(t, conn, server.Conn(t))
	require(t, conn.creates > 10, "and is what is used", conn.creates)
}

// embedder is a Conn that knows its session, since it embeds a connection.
type embedder struct {
	*zkhelper.MyZkConn
	creates int32
}

func (e *embedder) Create(at string, value []byte, flags int32, aclv []zk.ACL) (string, error) {
	atomic.AddInt32(&e.creates, 1)
	return e.MyZkConn.Create(at, value, flags, aclv)
}

// transactor has transactions, too.
type transactor struct {
	embedder
	transactions int32
}

func (c *transactor) Transact(ctx context.Context, ops ...zk.Op) ([]zk.OpResult, error) {
	atomic.AddInt32(&c.transactions, 1)
	return c.Commit(ctx, ops...)
}

func TestAConnThatEmbedsAConnectionServesEverything(t *testing.T) {
	server := zkhtest.NewServer(t)
	conn := &embedder{MyZkConn: server.Conn(t)}
	everything(t, conn, server.Conn(t))
	require(t, conn.creates > 10, "its own methods are what is used", conn.creates)
	m := mutex(t, conn, "/zk/lost")
	check(t, m.LockContext(context.Background(), ""))
	server.Expire(conn.SessionID())
	<-m.Lost()
	require(t, !m.Held(), "the end of its session is a loss")
}

func TestAConnWithTransactionsServesEverything(t *testing.T) {
	server := zkhtest.NewServer(t)
	conn := &transactor{embedder: embedder{MyZkConn: server.Conn(t)}}
	everything(t, conn, server.Conn(t))
	require(t, conn.transactions > 5, "its transactions are used", conn.transactions)
	ctx := context.Background()
	m := mutex(t, conn, "/zk/lock")
	write := zk.SetOp("/zk", []byte("x"), 7)
	check(t, m.LockContext(ctx, ""))
	_, err := m.Guarded(ctx, write)
	require(t, errors.Is(err, zkhelper.CodeBadVersion), "a transaction that is refused", err)
	node := "/zk/lock/" + contenders(t, conn, "/zk/lock")[0]
	check(t, server.Conn(t).Delete(node, -1))
	_, err = m.Guarded(ctx, zk.SetOp("/zk", []byte("x"), -1))
	require(t, errors.Is(err, zkhelper.CodeLockLost) || errors.Is(err, zkhelper.CodeNotHeld), "a lock that is lost", err)
	// Over a server that is cut off from its quorum nothing is renewed.
	check(t, mutex(t, conn, "/zk/other").LockContext(ctx, ""))
	last := mutex(t, conn, "/zk/last")
	check(t, last.LockContext(ctx, ""))
	server.Isolate()
	<-last.Lost()
	require(t, last.LossReason() == zkhelper.LossLeaseRanOut, "its lease runs out", last.LossReason())
	server.Rejoin()
}

func TestAFakeOfTheUsersServesEverything(t *testing.T) {
	conn := newFake()
	everything(t, conn, conn)
	conn.mu.Lock()
	defer conn.mu.Unlock()
	require(t, conn.calls > 50, "and is what is used", conn.calls)
	require(t, len(conn.nodes) == 1, "nothing is left", conn.nodes)
}

func TestAFakesOwnErrorsComeBackAsTheyAre(t *testing.T) {
	conn := newFake()
	boom := errors.New("boom")
	conn.breakWith(boom)
	_, err := zkhelper.CreateRecursive(conn, "/zk/a", "", 0, dirs)
	require(t, err == boom, "an error of the Conn's own", err)
	_, err = zkhelper.ChildrenRecursive(conn, "/zk")
	require(t, err == boom, "by every helper", err)
	conn.breakWith(nil)
	_, err = zkhelper.CreateRecursive(conn, "/zk/a", "", 0, dirs)
	check(t, err)
}
