package zkhelper

import (
	"context"
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
// What a Conn does not have is stood in for. It has no transactions: their parts are done one by one, behind checks of all of
// them. It does not say which session it is: a number stands for that, and the owner of a node that was made over this
// Conn is shown as that number. It does not tell of its state: errors do.

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
		client, err := abi.Lend(abi.ClientOptions{}, l.ask)
		if err != nil {
			return nil, err
		}
		l.client = client
		go l.serve()
		client.Enter(abi.Connected, l.session, lentSessionTimeout)
		if known {
			if lentConns.of == nil {
				lentConns.of = make(map[Conn]*lent)
			}
			lentConns.of[conn] = l
		}
	}
	l.users++
	var once sync.Once
	return &link{client: l.client, release: func() { once.Do(l.release) }, lenient: true, pidWait: lentPidWait}, nil
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
		request.Multi(l.multi(request.Parts))
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
	case abi.RequestExists, abi.RequestCheck:
		answer := l.exists(part.Path, watch)
		if answer.Code == 0 && part.Operation == abi.RequestCheck && part.Version != -1 &&
			part.Version != answer.Stat.Version {
			answer.Code = abi.BadVersion
		}
		return answer
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

// multi does the parts one by one, if checks of all of them pass first. The first that fails undoes those before it, as far
// as they were creates.
func (l *lent) multi(parts []abi.Part) []abi.Answer {
	answers := make([]abi.Answer, len(parts))
	fail := func(at int, code abi.Code) []abi.Answer {
		for i := range answers {
			answers[i] = abi.Answer{}
			if i > at {
				answers[i].Code = abi.RuntimeInconsistency
			}
		}
		answers[at].Code = code
		return answers
	}
	for i, part := range parts {
		if part.Operation == abi.RequestCheck {
			if answers[i] = l.part(part, abi.LentWatch{}); answers[i].Code != 0 {
				return fail(i, answers[i].Code)
			}
		}
	}
	for i, part := range parts {
		if part.Operation == abi.RequestCheck {
			continue
		}
		if answers[i] = l.part(part, abi.LentWatch{}); answers[i].Code != 0 {
			code := answers[i].Code
			for j := i - 1; j >= 0; j-- {
				if parts[j].Operation == abi.RequestCreate {
					l.part(abi.Part{Operation: abi.RequestDelete, Path: answers[j].Path, Version: -1}, abi.LentWatch{})
				}
			}
			return fail(i, code)
		}
	}
	return answers
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
