package zkhelper

import (
	"context"
	"runtime"
	"sync"
	"time"

	"zkhelper/internal/abi"
	"zkhelper/zk"
)

// QueueLockOption changes how the nodes are made that a queue lock makes.
type QueueLockOption func(*queueLockOptions)

type queueLockOptions struct {
	abi.QueueLockOptions
	contents map[string]interface{}
}

// QueueACL sets the ACL of the nodes, and of the parents that have to be made. The default lets anyone do everything.
func QueueACL(acl []zk.ACL) QueueLockOption {
	return func(o *queueLockOptions) { o.ACL = aclOf(acl) }
}

// QueuePrefix sets what stands before the number in the nodes' names: the same for all who wait in a queue. The default is
// "lock-".
func QueuePrefix(prefix string) QueueLockOption {
	return func(o *queueLockOptions) { o.Prefix = prefix }
}

// QueueContents adds keys to the JSON object in a node, which has hostname, pid, desc and id already.
func QueueContents(contents map[string]interface{}) QueueLockOption {
	return func(o *queueLockOptions) { o.contents = contents }
}

func aclOf(acl []zk.ACL) []abi.ACL {
	converted := make([]abi.ACL, 0, len(acl))
	for _, entry := range acl {
		converted = append(converted, abi.ACL(entry))
	}
	return converted
}

// QueueLock is a lock on a queue: of all its nodes, the one with the lowest name holds it. It is for queues whose nodes have
// another purpose besides. There is no lease: who has to know how long a lock may be trusted takes a Mutex. Any number of
// goroutines may use one. Close ends it. ObtainQueueLock is the old package's form of it.
type QueueLock struct {
	lock    *abi.QueueLock
	link    *link
	path    string
	closing sync.Once
}

// NewQueueLock makes a lock on a queue: on the parent of the nodes that wait.
func NewQueueLock(conn Conn, path string, options ...QueueLockOption) (*QueueLock, error) {
	var o queueLockOptions
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
	lock, err := link.client.NewQueueLock(path, o.QueueLockOptions)
	if err != nil {
		link.release()
		return nil, err
	}
	q := &QueueLock{lock: lock, link: link, path: path}
	runtime.SetFinalizer(q, (*QueueLock).dropped)
	return q, nil
}

// dropped reports a queue lock that nobody can close any more. It stays, since it may hold its lock.
func (q *QueueLock) dropped() {
	abi.Leaked("a zkhelper.QueueLock on " + q.path + " was dropped without Close")
}

// Close ends the queue lock: whoever waits for it gets CodeClosed, and what it holds by Lock is released in the background. A
// second Close does nothing.
func (q *QueueLock) Close() {
	q.closing.Do(func() {
		runtime.SetFinalizer(q, nil)
		q.lock.Free()
		q.link.release()
	})
}

func (q *QueueLock) wait(ctx context.Context, call *abi.Call) error {
	defer runtime.KeepAlive(q)
	return call.Wait(ctx).Err
}

// LockContext makes a node at the end of the queue, ephemeral and numbered, and waits until it is the first, or the context
// ends: then no node stays. desc is for whoever looks at the node.
func (q *QueueLock) LockContext(ctx context.Context, desc string) error {
	return q.wait(ctx, q.lock.Lock(-1, desc))
}

// TryLock takes the lock if nobody is before it, and otherwise fails with CodeTimeout. It makes a node for that, and removes
// it.
func (q *QueueLock) TryLock(ctx context.Context, desc string) error {
	return q.wait(ctx, q.lock.Lock(0, desc))
}

// Obtain waits until a node of the queue that is there already is the first, or the context ends. The node stays the caller's:
// deleting it lets the next one in. It fails with CodeNoNode where the node is not in the queue.
func (q *QueueLock) Obtain(ctx context.Context, name string) error {
	return q.wait(ctx, q.lock.Obtain(name, -1))
}

// TryObtain asks whether a node of the queue is the first: otherwise it fails with CodeTimeout.
func (q *QueueLock) TryObtain(ctx context.Context, name string) error {
	return q.wait(ctx, q.lock.Obtain(name, 0))
}

// Unlock releases what LockContext or TryLock took: its node is gone when it returns nil. The error is CodeNotHeld where there is
// nothing, and CodeLockLost where the node was gone before.
func (q *QueueLock) Unlock() error { return q.wait(context.Background(), q.lock.Unlock()) }

// LockWithTimeout is LockContext with a time in place of a context: CodeTimeout says that it is over.
func (q *QueueLock) LockWithTimeout(wait time.Duration, desc string) error {
	if wait < 0 {
		wait = 0
	}
	return q.wait(context.Background(), q.lock.Lock(wait, desc))
}

// Interrupt ends one wait with CodeInterrupted. If nobody waits it is remembered, and ends the next wait.
func (q *QueueLock) Interrupt() {
	// Only one that is closed refuses.
	_ = q.lock.Interrupt()
}

// Token is the czxid of the node by which the lock is held; 0 where it is not.
func (q *QueueLock) Token() int64 { return q.lock.Token() }

// Path is the queue's path.
func (q *QueueLock) Path() string { return q.path }
