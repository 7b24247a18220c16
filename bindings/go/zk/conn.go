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

	news news
}

// Connect makes a connection and returns at once: the servers are tried in the background, in random order, until one
// answers. A connection that is silent for recvTimeout is given up for another; the session is asked for with 30 seconds,
// whatever recvTimeout is. The channel tells of changes of state and of every event of a node; when nobody
// reads it events are dropped, and Close closes it.
func Connect(servers []string, recvTimeout time.Duration) (*Conn, <-chan Event, error) {
	var options abi.ClientOptions
	options.Set(abi.SetSessionTimeout, sessionTimeout)
	if recvTimeout > 0 {
		options.Set(abi.SetMaxSilence, recvTimeout)
	}
	addresses := make([]string, 0, len(servers))
	for _, server := range servers {
		// As with a dialer, no host is this one.
		if strings.HasPrefix(server, ":") {
			server = "localhost" + server
		}
		addresses = append(addresses, server)
	}
	conn, err := open(strings.Join(addresses, ","), options, false)
	if err != nil {
		return nil, nil, err
	}
	return conn, conn.core.events, nil
}

func open(address string, options abi.ClientOptions, lenient bool) (*Conn, error) {
	client, err := abi.NewClient(address, options)
	if err != nil {
		return nil, err
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
		return nil, err
	}
	conn := &Conn{core: c}
	runtime.SetFinalizer(conn, (*Conn).dropped)
	return conn, nil
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
func (c *core) entered(change abi.StateChange) {
	c.become(change)
	c.news.tell(stateChange(change))
	if change.State == abi.StateOver {
		c.over()
		c.news.end()
	}
}

func (c *core) become(change abi.StateChange) {
	switch change.State {
	case abi.Connecting:
		c.enter(StateConnecting)
	case abi.Connected:
		c.enter(StateConnected)
		c.enter(StateHasSession)
	case abi.Suspended:
		c.enter(StateDisconnected)
		c.enter(StateConnecting)
	case abi.Lost:
		c.enter(StateExpired)
		c.enter(StateConnecting)
	case abi.StateOver:
		c.enter(overState(change.Reason))
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

// overState is the last state, which says why the connection is over.
func overState(reason error) State {
	if e, ok := reason.(*abi.Error); ok && e.Code == abi.AuthFailed {
		return StateAuthFailed
	}
	return StateDisconnected
}

func (c *core) enter(state State) {
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
	c.core.news.end()
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

// AddAuth shows credentials to the server, now and on every later connection. For the scheme "digest" they are
// "user:password".
func (c *Conn) AddAuth(scheme string, auth []byte) error {
	return bare(c.AddAuthContext(context.Background(), scheme, auth))
}

// Children lists the names of a node's children.
func (c *Conn) Children(path string) ([]string, Stat, error) {
	names, stat, err := c.ChildrenContext(context.Background(), path)
	return names, stat, bare(err)
}

// Get reads a node's data.
func (c *Conn) Get(path string) ([]byte, Stat, error) {
	data, stat, err := c.GetContext(context.Background(), path)
	return data, stat, bare(err)
}

// Exists says whether there is a node.
func (c *Conn) Exists(path string) (bool, Stat, error) {
	exists, stat, err := c.ExistsContext(context.Background(), path)
	return exists, stat, bare(err)
}

// Set sets a node's data, if they have this version; -1 is any.
func (c *Conn) Set(path string, data []byte, version int32) (Stat, error) {
	stat, err := c.SetContext(context.Background(), path, data, version)
	return stat, bare(err)
}

// Create creates a node and returns its path, which with FlagSequence ends in its number.
func (c *Conn) Create(path string, data []byte, flags int32, acl []ACL) (string, error) {
	created, err := c.CreateContext(context.Background(), path, data, flags, acl)
	return created, bare(err)
}

// Delete deletes a node without children, if its data have this version; -1 is any.
func (c *Conn) Delete(path string, version int32) error {
	return bare(c.DeleteContext(context.Background(), path, version))
}

// GetACL reads a node's ACL.
func (c *Conn) GetACL(path string) ([]ACL, Stat, error) {
	acl, stat, err := c.GetACLContext(context.Background(), path)
	return acl, stat, bare(err)
}

// SetACL sets a node's ACL, if that has this version (AVersion of its Stat); -1 is any.
func (c *Conn) SetACL(path string, acl []ACL, version int32) (Stat, error) {
	stat, err := c.SetACLContext(context.Background(), path, acl, version)
	return stat, bare(err)
}

// Sync lets the server catch up with its leader.
func (c *Conn) Sync(path string) (string, error) {
	if err := c.SyncContext(context.Background(), path); err != nil {
		return "", bare(err)
	}
	return path, nil
}
