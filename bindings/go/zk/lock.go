package zk

import (
	"context"
	"errors"
	"sync"

	"zkhelper/internal/abi"
)

var (
	// ErrDeadlock says that a Lock is held already.
	ErrDeadlock = errors.New("zk: trying to acquire a lock twice")
	// ErrNotLocked says that a Lock is not held.
	ErrNotLocked = errors.New("zk: not locked")
)

// Lock is the old driver's lock, over the core's: ephemeral, and excluded by every other lock on its path. zkhelper.NewMutex
// makes one that knows contexts and tells of its loss.
type Lock struct {
	conn *Conn
	path string
	acl  []ACL

	mu    sync.Mutex
	mutex *abi.Mutex // While it is wanted or held.
}

// NewLock makes a lock on a path, not yet taken. A path that no lock can have is refused by Lock.
func NewLock(c *Conn, path string, acl []ACL) *Lock { return &Lock{conn: c, path: path, acl: acl} }

// Lock takes the lock, and waits for it. It fails with ErrDeadlock where this Lock holds it already or waits for it.
func (l *Lock) Lock() error {
	l.mu.Lock()
	if l.mutex != nil {
		l.mu.Unlock()
		return ErrDeadlock
	}
	options := abi.MutexOptions{ACL: l.conn.core.list(l.acl)}
	mutex, err := l.conn.core.client.NewMutex(l.path, options, func(int64, abi.Loss) {})
	l.mutex = mutex
	l.mu.Unlock()
	if err != nil {
		return bare(err)
	}
	err = mutex.Lock(-1, "").Wait(context.Background()).Err
	if err != nil {
		l.end()
	}
	return bare(err)
}

func (l *Lock) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mutex != nil {
		l.mutex.Free()
		l.mutex = nil
	}
}

// Unlock releases the lock. It fails with ErrNotLocked where it is not held, or is held no more.
func (l *Lock) Unlock() error {
	l.mu.Lock()
	mutex := l.mutex
	l.mu.Unlock()
	if mutex == nil {
		return ErrNotLocked
	}
	err := mutex.Unlock().Wait(context.Background()).Err
	if e, ok := err.(*Error); ok && e.Code == abi.NotHeld {
		// Somebody waits for it, or it was unlocked meanwhile.
		return ErrNotLocked
	}
	l.end()
	if e, ok := err.(*Error); ok && e.Code == abi.LockLost {
		return ErrNotLocked
	}
	return bare(err)
}
