package zkhelper

import (
	"context"
	"encoding/json"
	"runtime"
	"sync"
	"time"

	"zkhelper/internal/abi"
	"zkhelper/zk"
)

// ZLocker is a lock that may fail.
type ZLocker interface {
	Lock(desc string) error
	LockWithTimeout(wait time.Duration, desc string) error
	Unlock() error
	Interrupt()
}

// How long Lock waits.
const aYear = 365 * 24 * time.Hour

// How long the owner of a persistent lock believes after a renewal, where nothing else is asked for.
const persistentLease = 10 * time.Second

// MutexOption changes how a mutex behaves.
type MutexOption func(*mutexOptions)

type mutexOptions struct {
	abi.MutexOptions
	contents map[string]interface{}
}

// WithContents adds keys to the JSON object in the lock node, which has hostname, pid, desc and id already.
func WithContents(contents map[string]interface{}) MutexOption {
	return func(o *mutexOptions) { o.contents = contents }
}

// WithACL sets the ACL of the lock nodes, and of the parents that have to be made. Whoever is to contend needs to create,
// delete and read. The default lets anyone do everything.
func WithACL(acl []zk.ACL) MutexOption {
	return func(o *mutexOptions) {
		for _, entry := range acl {
			o.ACL = append(o.ACL, abi.ACL(entry))
		}
	}
}

// WithPatterns adds what stands before the number in the lock nodes of another library, which then excludes us and we it.
// Those of this library, its Go predecessor, Curator, go-zookeeper and kazoo are known already.
func WithPatterns(patterns ...string) MutexOption {
	return func(o *mutexOptions) { o.Patterns = append(o.Patterns, patterns...) }
}

// Strict lets a mutex exclude whatever the servers' clocks, stalls or partitions do: a holder believes no longer than
// lease after the last renewal, and a successor waits delay for a holder that did not leave cleanly. The delay belongs to
// the path: everyone who locks it has to use the same.
func Strict(lease, delay time.Duration) MutexOption {
	return func(o *mutexOptions) { o.Strict = &abi.Strict{Lease: lease, Delay: delay} }
}

// Persistent lets the lock outlive its owner's session: nobody else gets it until the owner releases it, or somebody
// releases it who has found the owner dead. The owner believes no longer than lease after the last renewal.
func Persistent(lease time.Duration) MutexOption {
	return func(o *mutexOptions) { o.MutexOptions.Persistent = &lease }
}

func encode(contents map[string]interface{}) (string, error) {
	if len(contents) == 0 {
		return "", nil
	}
	text, err := json.Marshal(contents)
	return string(text), err
}

// Mutex is a lock on a path: whoever locks the same path, from any language and any machine, is excluded, other
// mutexes of this process too. Any number of goroutines may use one: a second lock on a mutex that is held queues
// behind the first. Close ends it.
type Mutex struct {
	core *mutexCore
	old  bool // Nobody is asked to close it.
}

// mutexCore is a mutex without its handle for users: what the library's callback holds.
type mutexCore struct {
	mutex *abi.Mutex
	link  *link
	path  string

	mu    sync.Mutex
	token int64
	lost  chan struct{} // Closed when the hold with that token is lost.
	// Losses that came before the lock's own answer.
	early map[int64]abi.Loss
	why   abi.Loss

	closing sync.Once
}

// held keeps mutexes that hold their lock: one that nobody can reach any more keeps it until its connection ends, as a lock
// that was taken does.
var held sync.Map

// NewMutex makes a lock on a path, not yet taken. Its nodes are ephemeral: they end with the session of conn.
func NewMutex(conn Conn, path string, options ...MutexOption) (*Mutex, error) {
	var o mutexOptions
	for _, option := range options {
		option(&o)
	}
	var err error
	if o.JSON, err = encode(o.contents); err != nil {
		return nil, err
	}
	link, err := linkTo(conn)
	if err != nil {
		return nil, err
	}
	core := &mutexCore{link: link, path: path, lost: make(chan struct{}), early: make(map[int64]abi.Loss)}
	if core.mutex, err = link.client.NewMutex(path, o.MutexOptions, core.onLost); err != nil {
		link.release()
		return nil, err
	}
	m := &Mutex{core: core}
	runtime.SetFinalizer(m, (*Mutex).dropped)
	return m, nil
}

// CreateMutex makes a lock on a path, not yet taken. Its nodes are persistent, as they always were: a lock whose owner died
// stays until somebody releases it. NewMutex makes the ephemeral form, which is recommended. A path that no
// lock can have panics.
func CreateMutex(zconn Conn, zkPath string) ZLocker {
	mutex, err := CreateMutexWithContents(zconn, zkPath, nil)
	if err != nil {
		panic(err)
	}
	return mutex
}

// CreateMutexWithContents is CreateMutex with further keys for the JSON object in the lock node. The map is left
// as it is.
func CreateMutexWithContents(zconn Conn, zkPath string, contents map[string]interface{}) (ZLocker, error) {
	mutex, err := NewMutex(zconn, zkPath, WithContents(contents), Persistent(persistentLease))
	if err != nil {
		return nil, old(err)
	}
	mutex.old = true
	return mutex, nil
}

// dropped frees a mutex that nobody can reach. It holds no lock.
func (m *Mutex) dropped() {
	if m.core.close() && !m.old {
		abi.Leaked("a zkhelper.Mutex on " + m.core.path + " was dropped without Close")
	}
}

// close frees the handle, once.
func (c *mutexCore) close() (first bool) {
	c.closing.Do(func() {
		first = true
		c.mutex.Free()
		c.link.release()
		held.Delete(c)
	})
	return first
}

// Close ends the mutex: whoever waits for it gets CodeClosed, and a lock that it holds is released in the background. A
// second Close does nothing.
func (m *Mutex) Close() { m.core.close() }

func (c *mutexCore) onLost(token int64, reason abi.Loss) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if token != c.token {
		c.early[token] = reason
		return
	}
	c.lose(reason)
}

// lose tells of the present hold's loss.
func (c *mutexCore) lose(reason abi.Loss) {
	select {
	case <-c.lost:
	default:
		c.why = reason
		close(c.lost)
	}
}

// granted begins a hold.
func (m *Mutex) granted(token int64) {
	c := m.core
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token, c.lost = token, make(chan struct{})
	if reason, ok := c.early[token]; ok {
		c.lose(reason)
	}
	c.early = make(map[int64]abi.Loss)
	held.Store(c, m)
}

func (m *Mutex) lock(ctx context.Context, wait time.Duration, desc string) error {
	outcome := m.core.mutex.Lock(wait, desc).Wait(ctx)
	if outcome.Err != nil {
		return outcome.Err
	}
	m.granted(outcome.Value)
	return nil
}

// LockContext takes the lock, and waits for it until the context ends. Then the wait is cancelled and its outcome awaited: the
// error is nil where the lock was granted first, and otherwise no lock node stays. desc is for whoever looks at
// the node.
func (m *Mutex) LockContext(ctx context.Context, desc string) error { return m.lock(ctx, -1, desc) }

// TryLock takes the lock if nobody holds it or waits for it, and otherwise fails with CodeTimeout.
func (m *Mutex) TryLock(ctx context.Context, desc string) error { return m.lock(ctx, 0, desc) }

// Lock takes the lock, and waits for it, for a year at most. It ends with ErrInterrupted when it is interrupted.
func (m *Mutex) Lock(desc string) error { return m.LockWithTimeout(aYear, desc) }

// LockWithTimeout takes the lock, and waits for it at most so long; it ends with ErrTimeout then. A wait of zero takes
// it only if nobody holds it or waits for it.
func (m *Mutex) LockWithTimeout(wait time.Duration, desc string) error {
	if wait < 0 {
		wait = 0
	}
	return old(m.lock(context.Background(), wait, desc))
}

// Unlock releases the lock: its node is gone when it returns nil. In every case the mutex no longer holds the lock.
// The error is CodeNotHeld where it held none, CodeLockLost where it had lost it, and CodeOutcomeUnknown where the server
// did not confirm: the release then goes on by itself.
func (m *Mutex) Unlock() error {
	err := m.core.mutex.Unlock().Wait(context.Background()).Err
	if !m.core.mutex.Held() {
		held.Delete(m.core)
	}
	runtime.KeepAlive(m)
	if m.old {
		return old(err)
	}
	return err
}

// Interrupt ends one wait for the lock with ErrInterrupted. If nobody waits it is remembered, and ends the next wait. A
// lock that is held stays so.
func (m *Mutex) Interrupt() {
	// Only a mutex that is closed refuses, and nobody waits for it.
	_ = m.core.mutex.Interrupt()
}

// Lost is closed when the present hold, or the last one, is lost: by the time that ValidUntil gave at the latest. Each hold
// has its own, so ask for it after the lock was granted.
func (m *Mutex) Lost() <-chan struct{} {
	m.core.mu.Lock()
	defer m.core.mu.Unlock()
	return m.core.lost
}

// Loss is why a lock is lost, or a pid node.
type Loss = abi.Loss

// Why a lock is lost.
const (
	LossLeaseRanOut  = abi.LeaseRanOut  // Nothing proved in time that it was still held.
	LossSessionOver  = abi.SessionOver  // Its session was over.
	LossNodeDeleted  = abi.NodeDeleted  // Its node was deleted.
	LossClientClosed = abi.ClientClosed // Its connection was closed.
)

// LossReason is why the present hold, or the last one, was lost; 0 while Lost is not closed.
func (m *Mutex) LossReason() Loss {
	m.core.mu.Lock()
	defer m.core.mu.Unlock()
	select {
	case <-m.core.lost:
		return m.core.why
	default:
		return 0
	}
}

// Held says whether the lock is held for certain, at this moment.
func (m *Mutex) Held() bool { return m.core.mutex.Held() }

// Token is the fencing token of the present hold: greater than that of every earlier holder of the path. It is 0 where Held
// is false.
func (m *Mutex) Token() int64 { return m.core.mutex.Token() }

// ValidUntil is until when the present hold is certain if nothing renews it further; zero where Held is false. Over a
// Conn of your own it is as certain as that; see MIGRATION.md.
func (m *Mutex) ValidUntil() time.Time {
	now := time.Now()
	switch ms := m.core.mutex.ValidMs(); {
	case ms > 0:
		return now.Add(time.Duration(ms) * time.Millisecond)
	default:
		return time.Time{}
	}
}

// Path is the lock's path.
func (m *Mutex) Path() string { return m.core.path }

// Reset lets the numbers of an idle lock begin at 0 again: the remedy for CodeSequenceExhausted. It fails with CodeNotEmpty
// while anybody holds the lock or waits for it.
func (m *Mutex) Reset(ctx context.Context) error {
	defer runtime.KeepAlive(m)
	return m.core.mutex.Reset().Wait(ctx).Err
}
