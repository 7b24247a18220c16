package conformance_test

import (
	"context"
	"math"
	"testing"
	"time"

	"zkhelper"
	"zkhelper/zk"
	"zkhelper/zkhtest"
)

// The embedded server and its faults: scenarios 96 to 104, each on a server of its own.

const at = "/zk/lock"

// stage is a server of a scenario's own, two clients of it, and a mutex of the first.
type stage struct {
	*ground
	server *zkhtest.Server
	a, b   *zkhelper.MyZkConn
	m      *zkhelper.Mutex
}

func own(t *testing.T) *stage {
	server := zkhtest.NewServer(t, zkhtest.Tick(200*time.Millisecond))
	g := &ground{t, server.Addr()}
	s := &stage{ground: g, server: server}
	s.a = g.dial(g.address, zk.SessionTimeout(time.Second))
	s.b = g.dial(g.address, zk.SessionTimeout(time.Second))
	s.m = g.mutex(s.a, at)
	return s
}

func (s *stage) locks() {
	s.Helper()
	s.ok(s.m.LockContext(ctx, ""))
}

func (s *stage) unlocks() {
	s.Helper()
	s.ok(s.m.Unlock())
}

func (s *stage) leaseRunsOut() {
	s.Helper()
	reason := s.lost(s.m)
	s.require(reason == zkhelper.LossLeaseRanOut && !s.m.Held(), reason)
}

func TestS96_embedded_is_one_server(t *testing.T) {
	g := &ground{t, "embedded"}
	one, two := g.join(), g.join()
	path := g.lockPath(one)
	g.held(one, path)
	g.fails(g.mutex(two, path).TryLock(ctx, ""), zkhelper.CodeTimeout)
}

func TestS97_lost_answer_leaves_one_node(t *testing.T) {
	s := own(t)
	s.locks()
	s.unlocks()
	for _, cut := range []func(operation zkhtest.Operation, n int){s.server.CutBefore, s.server.CutAfter} {
		for _, operation := range []zkhtest.Operation{zkhtest.Create, zkhtest.Delete} {
			cut(operation, 1)
			s.locks()
			s.until(s.b, at, 1)
			s.unlocks()
			s.require(s.children(s.b, at) == "", "no node is left")
		}
	}
}

func TestS98_frozen_server_is_a_loss_in_time(t *testing.T) {
	s := own(t)
	s.locks()
	s.server.Freeze()
	s.leaseRunsOut()
	s.server.Thaw()
}

func TestS99_no_quorum_is_a_loss_in_time(t *testing.T) {
	s := own(t)
	s.locks()
	s.server.Isolate()
	s.require(s.there(s.b, "/"), "a read is answered")
	s.leaseRunsOut()
	s.server.Rejoin()
}

func TestS100_expiry_serves_the_waiter(t *testing.T) {
	s := own(t)
	s.locks()
	other := s.mutex(s.b, at)
	token, outcome := s.m.Token(), locks(other)
	s.until(s.b, at, 2)
	s.server.Expire(s.a.SessionID())
	s.ok(within(s.ground, outcome))
	s.require(other.Token() > token, "the token is greater")
	s.lost(s.m)
}

func TestS101_end_of_the_sequence_is_refused(t *testing.T) {
	s := own(t)
	s.locks()
	s.unlocks()
	s.server.SetSequence(at, math.MaxInt32-4)
	s.fails(s.m.LockContext(ctx, ""), zkhelper.CodeSequenceExhausted, at)
	s.fails(s.queue(s.a, at).LockContext(ctx, ""), zkhelper.CodeSequenceExhausted, at)
	s.until(s.b, at, 0)
	s.ok(s.m.Reset(ctx))
	s.locks()
}

func TestS102_write_without_an_answer_is_unknown(t *testing.T) {
	s := own(t)
	path := s.home(s.a)
	s.server.CutAfter(zkhtest.Set, 1)
	_, err := s.a.SetContext(ctx, path, []byte("new"), -1)
	s.fails(err, zkhelper.CodeOutcomeUnknown, path)
	data, _ := s.data(s.a, path)
	s.require(data == "new", data)
}

func TestS103_read_without_an_answer_is_made_again(t *testing.T) {
	s := own(t)
	path, session := s.home(s.a), s.a.SessionID()
	s.server.CutBefore(zkhtest.Get, 1)
	data, _ := s.data(s.a, path)
	s.require(data == "" && s.a.SessionID() == session, data)
}

func TestS104_watches_survive_a_cut(t *testing.T) {
	s := own(t)
	top := s.home(s.a)
	path := s.make(s.b, top+"/n", 0)
	once, stays := s.dataWatch(s.a, top), s.watch(s.a, path, zk.WatchPersistent).Events()
	s.server.CutBefore(zkhtest.Exists, 1)
	s.require(s.there(s.a, top), "it is there")
	s.sees(stays, zk.EventMayHaveMissed, path)
	s.set(s.b, top, "1")
	s.set(s.b, path, "1")
	s.once(once, zk.EventNodeDataChanged, top)
	s.sees(stays, zk.EventNodeDataChanged, path)
}

// Lent connections: scenarios 105 and 106. The others are not for a Conn of the program's: it has no client of its own over it, and
// where it has no transactions they are done step by step.

// lending is a Conn of a program's, over another client, with the transactions of that.
type lending struct{ *zkhelper.MyZkConn }

func (l lending) Transact(ctx context.Context, ops ...zk.Op) ([]zk.OpResult, error) {
	return l.Commit(ctx, ops...)
}

func TestS105_lent_lock_excludes(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(b)
		m, rival := g.held(lending{a}, at), g.mutex(b, at)
		g.require(g.stat(b, g.only(b, at)).EphemeralOwner() == a.SessionID(), "the node is of the session that is lent")
		g.fails(rival.TryLock(ctx, ""), zkhelper.CodeTimeout, at)
		valid := time.Until(m.ValidUntil())
		g.require(valid > 0 && valid <= session, valid)
		g.ok(m.Unlock())
		g.ok(rival.TryLock(ctx, ""))
	})
}

func TestS106_lent_session_end_is_a_loss(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		m := g.held(lending{a}, g.lockPath(a))
		g.endSession(a)
		reason := g.lost(m)
		g.require(reason == zkhelper.LossSessionOver || reason == zkhelper.LossNodeDeleted, reason)
		g.require(!m.Held(), "it holds nothing")
	})
}
