package zk

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"time"

	"zkhelper/internal/abi"
)

const (
	sessionTimeout = 30 * time.Second
	closeTimeout   = 2 * time.Second
	// How many events of a connection wait for whoever reads them; what comes then is dropped.
	eventRoom = 16
)

// Event tells of a node or of the connection.
type Event struct {
	Type  EventType
	State State
	Path  string // The node that it is about.
	Err   error
}

// Conn is a connection to ZooKeeper: one session at a time, a new one after each that expired. Any number of
// goroutines may use one at once. Close ends it.
type Conn struct{ core *core }

// core is a connection without its handle for users: what the library's callbacks hold.
type core struct {
	client *abi.Client
	events chan Event
	// Where an empty ACL lets anyone do everything.
	lenient bool

	mu      sync.Mutex
	state   State
	closed  bool
	watches map[*watch]struct{}
}

// Connect makes a connection and returns at once: the servers are tried in the background, in random order, until one
// answers. A connection that is silent for recvTimeout is given up for another; the session is asked for with 30 seconds,
// whatever recvTimeout is. The channel tells of changes of state and of every event of a node; when nobody
// reads it events are dropped, and Close closes it.
func Connect(servers []string, recvTimeout time.Duration) (*Conn, <-chan Event, error) {
	return connect(servers, abi.ClientOptions{SessionTimeout: sessionTimeout, MaxSilence: recvTimeout}, false)
}

func connect(servers []string, options abi.ClientOptions, lenient bool) (*Conn, <-chan Event, error) {
	addresses := make([]string, 0, len(servers))
	for _, server := range servers {
		// As with a dialer, no host is this one.
		if strings.HasPrefix(server, ":") {
			server = "localhost" + server
		}
		addresses = append(addresses, server)
	}
	client, err := abi.NewClient(strings.Join(addresses, ","), options)
	if err != nil {
		return nil, nil, err
	}
	c := &core{
		client:  client,
		events:  make(chan Event, eventRoom),
		lenient: lenient,
		state:   StateConnecting,
		watches: make(map[*watch]struct{}),
	}
	if err := client.OnState(c.entered); err != nil {
		client.Free()
		return nil, nil, err
	}
	conn := &Conn{core: c}
	runtime.SetFinalizer(conn, (*Conn).dropped)
	return conn, c.events, nil
}

// dropped reports a connection that nobody can close any more. It stays, because nodes may count on its session.
func (c *Conn) dropped() {
	if !c.core.isClosed() {
		abi.Leaked("a zk.Conn was dropped without Close: its session stays until the process ends")
	}
}

func (c *core) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// entered is told of every change of state, in order.
func (c *core) entered(state abi.State, _ int64, reason error) {
	switch state {
	case abi.Connecting:
		c.become(StateConnecting)
	case abi.Connected:
		c.become(StateConnected)
		c.become(StateHasSession)
	case abi.Suspended:
		c.become(StateDisconnected)
		c.become(StateConnecting)
	case abi.Lost:
		c.become(StateExpired)
		c.become(StateConnecting)
	case abi.StateOver:
		if e, ok := reason.(*abi.Error); ok && e.Code == abi.AuthFailed {
			c.become(StateAuthFailed)
		} else {
			c.become(StateDisconnected)
		}
		c.over()
	}
}

// over is the end: nobody is told of anything any more.
func (c *core) over() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed = true
	for watch := range c.watches {
		watch.end(Event{Type: EventNotWatching, State: StateDisconnected, Path: watch.path, Err: ErrClosing})
		if watch.armed != nil {
			go watch.armed.Free()
		}
	}
	c.watches = nil
	close(c.events)
}

func (c *core) become(state State) {
	c.mu.Lock()
	c.state = state
	c.mu.Unlock()
	c.announce(Event{Type: EventSession, State: state})
}

func (c *core) announce(event Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	select {
	case c.events <- event:
	default:
	}
}

// Close ends the session, and with it every ephemeral node and watch. Whatever waits ends with ErrClosing. It waits up to two
// seconds for the server. A second Close does nothing.
func (c *Conn) Close() {
	c.core.client.Close(closeTimeout).Wait(context.Background())
	c.core.client.Free()
	c.core.over()
}

// State is the present state.
func (c *Conn) State() State {
	c.core.mu.Lock()
	defer c.core.mu.Unlock()
	return c.core.state
}

// SessionID is the present session, 0 while there is none.
func (c *Conn) SessionID() int64 { return c.core.client.SessionID() }

// WaitConnected waits until a server is connected or the context ends.
func (c *Conn) WaitConnected(ctx context.Context) error {
	return c.core.client.WaitConnected(-1).Wait(ctx).Err
}

// done waits for a request.
func done(call *abi.Call) (*abi.Result, error) {
	outcome := call.Wait(context.Background())
	return outcome.Result, bare(outcome.Err)
}

// AddAuth shows credentials to the server, now and on every later connection. For the scheme "digest" they are
// "user:password".
func (c *Conn) AddAuth(scheme string, auth []byte) error {
	_, err := done(c.core.client.AddAuth(scheme, auth))
	return err
}

// Children lists the names of a node's children.
func (c *Conn) Children(path string) ([]string, Stat, error) {
	result, err := done(c.core.client.Children(path))
	return names(result), statOf(result), err
}

func names(result *abi.Result) []string {
	if result == nil {
		return nil
	}
	return result.Names
}

// Get reads a node's data.
func (c *Conn) Get(path string) ([]byte, Stat, error) {
	result, err := done(c.core.client.Get(path))
	return data(result), statOf(result), err
}

func data(result *abi.Result) []byte {
	if result == nil {
		return nil
	}
	return result.Data
}

// Exists says whether there is a node.
func (c *Conn) Exists(path string) (bool, Stat, error) {
	result, err := done(c.core.client.Exists(path))
	return result != nil && result.Exists, statOf(result), err
}

// Set sets a node's data, if they have this version; -1 is any.
func (c *Conn) Set(path string, data []byte, version int32) (Stat, error) {
	result, err := done(c.core.client.Set(path, data, version))
	return statOf(result), err
}

// Create creates a node and returns its path, which with FlagSequence ends in its number.
func (c *Conn) Create(path string, data []byte, flags int32, acl []ACL) (string, error) {
	result, err := done(c.core.client.Create(path, data, flags&(FlagEphemeral|FlagSequence), c.core.list(acl)))
	if err != nil {
		return "", err
	}
	return result.Path, nil
}

func (c *core) list(acl []ACL) []abi.ACL {
	if c.lenient && len(acl) == 0 {
		return nil
	}
	return list(acl)
}

// Delete deletes a node without children, if its data have this version; -1 is any.
func (c *Conn) Delete(path string, version int32) error {
	_, err := done(c.core.client.Delete(path, version))
	return err
}

// GetACL reads a node's ACL.
func (c *Conn) GetACL(path string) ([]ACL, Stat, error) {
	result, err := done(c.core.client.GetACL(path))
	var acl []ACL
	if result != nil {
		for _, entry := range result.ACL {
			acl = append(acl, ACL(entry))
		}
	}
	return acl, statOf(result), err
}

// SetACL sets a node's ACL, if that has this version (AVersion of its Stat); -1 is any.
func (c *Conn) SetACL(path string, acl []ACL, version int32) (Stat, error) {
	result, err := done(c.core.client.SetACL(path, c.core.list(acl), version))
	return statOf(result), err
}

// Sync lets the server catch up with its leader.
func (c *Conn) Sync(path string) (string, error) {
	if _, err := done(c.core.client.Sync(path)); err != nil {
		return "", err
	}
	return path, nil
}
