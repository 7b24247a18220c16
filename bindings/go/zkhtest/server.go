// Package zkhtest gives tests a ZooKeeper: an in-memory server in the test's own process, which is up in milliseconds,
// speaks the real protocol on a loopback port, and can be spoiled at will.
//
//	func TestReports(t *testing.T) {
//		server := zkhtest.NewServer(t)
//		conn := server.Conn(t)
//		...
//		server.Freeze()
//	}
package zkhtest

import (
	"context"
	"time"

	"zkhelper"
	"zkhelper/internal/abi"
	"zkhelper/zk"
)

// TB is what a test or benchmark has, as far as it is needed here.
type TB interface {
	Helper()
	Fatalf(format string, args ...interface{})
	Cleanup(func())
}

// The default lets sessions end within seconds.
const tick = 100 * time.Millisecond

// Option changes how a server is started.
type Option func(*options)

type options struct {
	port int
	tick time.Duration
}

// Tick sets the server's tick: session timeouts lie between 2 and 20 ticks. The default is 100 milliseconds.
func Tick(tick time.Duration) Option {
	return func(o *options) { o.tick = tick }
}

// Port sets the server's port on 127.0.0.1. The default is a free one.
func Port(port int) Option {
	return func(o *options) { o.port = port }
}

// Operation is what a connection can be cut at.
type Operation int

// The operations that a connection can be cut at.
const (
	Any         Operation = abi.OperationAny
	Handshake   Operation = abi.OperationConnect
	Create      Operation = abi.OperationCreate
	Delete      Operation = abi.OperationDelete
	Set         Operation = abi.OperationSet
	Multi       Operation = abi.OperationMulti
	Exists      Operation = abi.OperationExists
	Get         Operation = abi.OperationGet
	GetChildren Operation = abi.OperationGetChildren
	Ping        Operation = abi.OperationPing
)

// Server is a server of a test's own. The test's end stops it. Session timeouts are at most two seconds, unless Tick says
// otherwise.
type Server struct {
	t      TB
	server *abi.Server
}

// NewServer starts a server, which is stopped when the test ends.
func NewServer(t TB, opts ...Option) *Server {
	t.Helper()
	o := options{tick: tick}
	for _, option := range opts {
		option(&o)
	}
	server, err := abi.StartServer(o.port, o.tick)
	if err != nil {
		t.Fatalf("zkhtest: %v", err)
	}
	t.Cleanup(server.Free)
	return &Server{t: t, server: server}
}

// Addr is what clients connect to.
func (s *Server) Addr() string { return s.server.Address() }

// Conn makes a connection to the server, and waits until it stands. It is closed when the test ends.
func (s *Server) Conn(t TB) *zkhelper.MyZkConn {
	t.Helper()
	conn, _, err := zk.Connect([]string{s.Addr()}, time.Second)
	if err != nil {
		t.Fatalf("zkhtest: %v", err)
	}
	t.Cleanup(conn.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := conn.WaitConnected(ctx); err != nil {
		t.Fatalf("zkhtest: %v", err)
	}
	return &zkhelper.MyZkConn{Conn: conn}
}

func (s *Server) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("zkhtest: %v", err)
	}
}

// Freeze lets the server answer nothing and expire nobody, like a stopped process.
func (s *Server) Freeze() { s.must(s.server.SetFrozen(true)) }

// Thaw lets it go on: sessions whose time has passed meanwhile end.
func (s *Server) Thaw() { s.must(s.server.SetFrozen(false)) }

// Isolate lets the server answer pings and reads, and no writes, like one that is cut off from its quorum.
func (s *Server) Isolate() { s.must(s.server.SetIsolated(true)) }

// Rejoin lets it go on.
func (s *Server) Rejoin() { s.must(s.server.SetIsolated(false)) }

// Delay delays every answer from now on.
func (s *Server) Delay(delay time.Duration) { s.must(s.server.SetDelay(delay)) }

// Expire ends a session, as if its time had passed: see zk.Conn.SessionID.
func (s *Server) Expire(session int64) { s.must(s.server.Expire(session)) }

// CutBefore cuts the connection that asks for the n-th such operation from now on, which has no effect.
func (s *Server) CutBefore(operation Operation, n int) {
	s.must(s.server.Cut(int(operation), n, abi.BeforeApplying))
}

// CutAfter cuts the connection that asks for the n-th such operation from now on, which has its effect, but no
// answer.
func (s *Server) CutAfter(operation Operation, n int) {
	s.must(s.server.Cut(int(operation), n, abi.AfterApplying))
}

// SetSequence lets the next sequential node below path have this number.
func (s *Server) SetSequence(path string, next int32) { s.must(s.server.SetSequence(path, next)) }
