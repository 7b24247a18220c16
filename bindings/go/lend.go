package zkhelper

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"zkhelper/internal/abi"
	"zkhelper/zk"
)

// A Conn that is none of ours is lent to the core: each request that a recipe makes becomes a call of the Conn's
// methods, one after the other, and its outcome the answer.
//
// What a Conn does not have is stood in for. It has no transactions: the core does their parts one by one, unless the Conn is
// a Transactor. It does not say which session it is: a number stands for that, and the owner of a node that was made over this
// Conn is shown as that number; it does not tell of its state: errors do. A SessionConn tells both.

// SessionConn is a Conn that knows its session and tells of its states, as a type does that embeds *MyZkConn. What locks over it may
// trust is then known as for a connection of ConnectToZk.
type SessionConn interface {
	Conn
	// SessionTimeout is the negotiated session timeout.
	SessionTimeout() time.Duration
	// OnState lets tell be called for the present state and every change of it, before anything is answered behind it, until
	// stop is called. tell does not wait.
	OnState(tell func(change zk.StateChange)) (stop func())
}

// Transactor is a Conn with transactions. No type becomes one by embedding *MyZkConn, since a transaction would then go around the
// methods that it has of its own; one whose methods add nothing that matters has
//
//	func (c *Wrapper) Transact(ctx context.Context, ops ...zk.Op) ([]zk.OpResult, error) {
//		return c.MyZkConn.Commit(ctx, ops...)
//	}
type Transactor interface {
	Conn
	// Transact does all of the operations or none, as zk.Conn.Commit.
	Transact(ctx context.Context, ops ...zk.Op) ([]zk.OpResult, error)
}

const (
	// What the core takes for the session timeout of a Conn, which does not tell it. Less than it is makes locks certain for
	// less time, and more would be wrong. The first lock takes a quarter of it, since nobody knows how old the session is.
	lentSessionTimeout = 6 * time.Second
	// How long a pid node waits over a Conn for somebody else's: one and a half of the old driver's session timeouts.
	lentPidWait = 45 * time.Second
)

// How long a Conn that nobody uses any more is waited for.
const closeTimeout = 2 * time.Second

// lent is a Conn that is lent, as long as somebody uses it.
type lent struct {
	conn   Conn
	client *abi.Client
	users  int // Guarded by lentConns.

	mu       sync.Mutex
	requests []*abi.Request
	wake     chan struct{}
	over     chan struct{}

	// Where the Conn tells of its session itself.
	told bool
	stop func()

	// The rest belongs to the goroutine that serves.
	session int64
	owner   int64 // The real owner of our ephemeral nodes, once it was seen.
	made    map[string]bool
}

var lentConns struct {
	sync.Mutex
	of       map[Conn]*lent
	sessions int64
}

// lend is a client over a Conn; all who use one Conn share it.
func lend(conn Conn) (*link, error) {
	known := reflect.TypeOf(conn).Comparable()
	lentConns.Lock()
	defer lentConns.Unlock()
	var l *lent
	if known {
		l = lentConns.of[conn]
	}
	if l == nil {
		lentConns.sessions++
		l = &lent{
			conn: conn, wake: make(chan struct{}, 1), over: make(chan struct{}),
			session: lentConns.sessions << 32, made: make(map[string]bool),
		}
		_, transactions := conn.(Transactor)
		client, err := abi.Lend(abi.ClientOptions{}, transactions, l.ask)
		if err != nil {
			return nil, err
		}
		l.client = client
		l.begin()
		go l.serve()
		if known {
			if lentConns.of == nil {
				lentConns.of = make(map[Conn]*lent)
			}
			lentConns.of[conn] = l
		}
	}
	l.users++
	var once sync.Once
	link := &link{client: l.client, release: func() { once.Do(l.release) }, lenient: true}
	if !l.told {
		link.pidWait = lentPidWait
	}
	return link, nil
}

// begin tells the core of the session.
func (l *lent) begin() {
	conn, told := l.conn.(SessionConn)
	if !told {
		l.client.Enter(abi.Connected, l.session, lentSessionTimeout)
		return
	}
	l.told = true
	l.stop = conn.OnState(func(change zk.StateChange) {
		switch {
		case change.Over:
			l.client.Enter(abi.StateOver, 0, 0)
		case change.State == zk.StateHasSession:
			l.client.Enter(abi.Connected, change.SessionID, conn.SessionTimeout())
		case change.State == zk.StateExpired:
			l.client.Enter(abi.Lost, 0, 0)
		default:
			l.client.Enter(abi.Suspended, 0, 0)
		}
	})
}

func (l *lent) release() {
	lentConns.Lock()
	l.users--
	last := l.users == 0
	if last && reflect.TypeOf(l.conn).Comparable() {
		delete(lentConns.of, l.conn)
	}
	lentConns.Unlock()
	if last {
		if l.stop != nil {
			l.stop()
		}
		// What is released in the background still needs the Conn.
		l.client.Close(closeTimeout).Wait(context.Background())
		l.client.Free()
		close(l.over)
	}
}

// ask is called by the library, in the order in which requests are to leave.
func (l *lent) ask(request *abi.Request) {
	l.mu.Lock()
	l.requests = append(l.requests, request)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *lent) serve() {
	for {
		select {
		case <-l.wake:
		case <-l.over:
			return
		}
		for {
			l.mu.Lock()
			if len(l.requests) == 0 {
				l.mu.Unlock()
				break
			}
			request := l.requests[0]
			l.requests = l.requests[1:]
			l.mu.Unlock()
			l.do(request)
		}
	}
}

func (l *lent) do(request *abi.Request) {
	switch request.Operation {
	case abi.RequestMulti:
		l.transact(request)
	case abi.RequestSync:
		request.Done(abi.Answer{})
	default:
		answer := l.part(request.Parts[0], request.Watch)
		if answer.Code != 0 {
			request.Fail(answer.Code)
		} else {
			request.Done(answer)
		}
	}
}

// failed is the code of an error of the Conn's, which is told to the core if it is about the connection.
func (l *lent) failed(err error) abi.Answer {
	code := lentCode(err)
	if l.told {
		return abi.Answer{Code: code}
	}
	switch code {
	case abi.SessionExpired:
		l.client.Enter(abi.Lost, 0, 0)
		l.session++
		l.owner, l.made = 0, make(map[string]bool)
		l.client.Enter(abi.Connected, l.session, lentSessionTimeout)
	case abi.ConnectionLoss:
		// What was proven before counts no more.
		l.client.Enter(abi.Suspended, 0, 0)
		l.client.Enter(abi.Connected, l.session, lentSessionTimeout)
	case abi.Closed:
		l.client.Enter(abi.StateOver, 0, 0)
	}
	return abi.Answer{Code: code}
}

// part does one operation.
func (l *lent) part(part abi.Part, watch abi.LentWatch) abi.Answer {
	switch part.Operation {
	case abi.RequestCreate:
		return l.create(part)
	case abi.RequestDelete:
		if err := l.conn.Delete(part.Path, part.Version); err != nil {
			return l.failed(err)
		}
		delete(l.made, part.Path)
		return abi.Answer{}
	case abi.RequestSet:
		stat, err := l.conn.Set(part.Path, part.Data, part.Version)
		if err != nil {
			return l.failed(err)
		}
		return abi.Answer{Stat: l.stat(part.Path, stat)}
	case abi.RequestGet:
		return l.get(part.Path, watch)
	case abi.RequestExists:
		return l.exists(part.Path, watch)
	case abi.RequestChildren:
		return l.children(part.Path, watch)
	}
	return abi.Answer{Code: abi.Unimplemented}
}

func (l *lent) create(part abi.Part) abi.Answer {
	acl := make([]zk.ACL, 0, len(part.ACL))
	for _, entry := range part.ACL {
		acl = append(acl, zk.ACL(entry))
	}
	path, err := l.conn.Create(part.Path, part.Data, part.Mode&(zk.FlagEphemeral|zk.FlagSequence), acl)
	if err != nil {
		return l.failed(err)
	}
	if part.Mode&zk.FlagEphemeral != 0 {
		l.made[path] = true
	}
	// A create of this interface answers without a status.
	answer := l.exists(path, abi.LentWatch{})
	if answer.Code == abi.NoNode {
		// It was made, and somebody deleted it already.
		answer = abi.Answer{Code: abi.ConnectionLoss}
	}
	answer.Path = path
	return answer
}

func (l *lent) get(path string, watch abi.LentWatch) abi.Answer {
	if !watch.Wanted() {
		data, stat, err := l.conn.Get(path)
		if err != nil {
			return l.failed(err)
		}
		return abi.Answer{Data: data, Stat: l.stat(path, stat)}
	}
	data, stat, events, err := l.conn.GetW(path)
	if err != nil {
		return l.failed(err)
	}
	l.await(events, watch)
	return abi.Answer{Data: data, Stat: l.stat(path, stat)}
}

func (l *lent) exists(path string, watch abi.LentWatch) abi.Answer {
	var exists bool
	var stat zk.Stat
	var events <-chan zk.Event
	var err error
	if watch.Wanted() {
		exists, stat, events, err = l.conn.ExistsW(path)
	} else {
		exists, stat, err = l.conn.Exists(path)
	}
	if err != nil && lentCode(err) != abi.NoNode {
		return l.failed(err)
	}
	l.await(events, watch)
	if err != nil || !exists {
		return abi.Answer{Code: abi.NoNode}
	}
	return abi.Answer{Stat: l.stat(path, stat)}
}

func (l *lent) children(path string, watch abi.LentWatch) abi.Answer {
	var children []string
	var stat zk.Stat
	var events <-chan zk.Event
	var err error
	if watch.Wanted() {
		children, stat, events, err = l.conn.ChildrenW(path)
	} else {
		children, stat, err = l.conn.Children(path)
	}
	if err != nil {
		return l.failed(err)
	}
	l.await(events, watch)
	return abi.Answer{Children: children, Stat: l.stat(path, stat)}
}

// transact makes a transaction.
func (l *lent) transact(request *abi.Request) {
	ops := make([]zk.Op, len(request.Parts))
	for i, part := range request.Parts {
		ops[i] = part.Op()
	}
	results, err := l.conn.(Transactor).Transact(context.Background(), ops...)
	if err == nil && len(results) == len(ops) {
		answers := make([]abi.Answer, len(ops))
		for i, result := range results {
			answers[i] = abi.Answer{Path: result.Path, Stat: l.stat(result.Path, result.Stat)}
		}
		request.Multi(answers)
		return
	}
	if err == nil {
		err = CodeOutcomeUnknown
	}
	answer := l.failed(err)
	failed := refusedPart(err, ops)
	if failed < 0 {
		request.Fail(answer.Code)
		return
	}
	answers := make([]abi.Answer, len(ops))
	for i := failed + 1; i < len(answers); i++ {
		answers[i].Code = abi.RuntimeInconsistency
	}
	answers[failed] = answer
	request.Multi(answers)
}

// refusedPart is the part of a transaction that the server refused; less than 0 where the connection failed.
func refusedPart(err error, ops []zk.Op) int {
	var e *Error
	if !errors.As(err, &e) || e.Code <= abi.BadHandle {
		return -1
	}
	switch e.Code {
	case abi.ConnectionLoss, abi.OperationTimeout, abi.SessionExpired, abi.SessionMoved, abi.AuthFailed:
		return -1
	}
	for i, op := range ops {
		if op.Path() == e.Path {
			return i
		}
	}
	return 0
}

// await tells what a watch sees.
func (l *lent) await(events <-chan zk.Event, watch abi.LentWatch) {
	if events == nil || !watch.Wanted() {
		return
	}
	go func() {
		select {
		case event, ok := <-events:
			watch.Fire(lentEvent(event, ok))
		case <-l.over:
		}
	}()
}

func lentEvent(event zk.Event, ok bool) abi.Event {
	if ok {
		switch event.Type {
		case zk.EventNodeCreated:
			return abi.EventCreated
		case zk.EventNodeDeleted:
			return abi.EventDeleted
		case zk.EventNodeDataChanged:
			return abi.EventDataChanged
		case zk.EventNodeChildrenChanged:
			return abi.EventChildrenChanged
		}
	}
	return abi.EventSessionLost
}

// stat is a status of the Conn's, with our number for our session.
func (l *lent) stat(path string, of zk.Stat) abi.Stat {
	if of == nil || reflect.ValueOf(of).Kind() == reflect.Ptr && reflect.ValueOf(of).IsNil() {
		return abi.Stat{EphemeralOwner: l.ownerOf(path, 0)}
	}
	return abi.Stat{
		Czxid: of.Czxid(), Mzxid: of.Mzxid(), Ctime: of.CTime().UnixNano() / int64(time.Millisecond),
		Mtime: of.MTime().UnixNano() / int64(time.Millisecond), Version: int32(of.Version()),
		Cversion: int32(of.CVersion()), Aversion: int32(of.AVersion()),
		EphemeralOwner: l.ownerOf(path, of.EphemeralOwner()), DataLength: int32(of.DataLength()),
		NumChildren: int32(of.NumChildren()), Pzxid: of.Pzxid(),
	}
}

func (l *lent) ownerOf(path string, owner int64) int64 {
	if l.told {
		return owner
	}
	if l.made[path] && owner != 0 {
		l.owner = owner
	}
	if l.made[path] || owner != 0 && owner == l.owner {
		return l.session
	}
	return owner
}

// Errors of a Conn's own that mean nothing to the core travel through it as codes, and come out as they went in.
var foreign struct {
	sync.Mutex
	errors map[Code]error
	last   int32
}

const (
	foreignFirst = -2_000_000
	foreignKept  = 1024
)

var lentCodes = []struct {
	err  error
	code Code
}{
	{zk.ErrNoNode, abi.NoNode}, {zk.ErrNoAuth, abi.NoAuth}, {zk.ErrBadVersion, abi.BadVersion},
	{zk.ErrNoChildrenForEphemerals, abi.NoChildrenForEphemerals}, {zk.ErrNodeExists, abi.NodeExists},
	{zk.ErrNotEmpty, abi.NotEmpty}, {zk.ErrSessionExpired, abi.SessionExpired}, {zk.ErrInvalidACL, abi.InvalidACL},
	{zk.ErrAuthFailed, abi.AuthFailed}, {zk.ErrClosing, abi.Closed}, {zk.ErrSessionMoved, abi.SessionMoved},
	{zk.ErrConnectionClosed, abi.ConnectionLoss}, {zk.ErrNoServer, abi.ConnectionLoss},
	{zk.ErrAPIError, abi.APIError},
}

func lentCode(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	for _, known := range lentCodes {
		if ZkErrorEqual(err, known.err) {
			return known.code
		}
	}
	code := Code(foreignFirst - atomic.AddInt32(&foreign.last, 1)%foreignKept)
	foreign.Lock()
	defer foreign.Unlock()
	if foreign.errors == nil {
		foreign.errors = make(map[Code]error)
	}
	foreign.errors[code] = err
	return code
}

// lentError is the error of a Conn's that a code stands for.
func lentError(code Code) (error, bool) {
	foreign.Lock()
	defer foreign.Unlock()
	err, ok := foreign.errors[code]
	return err, ok
}
