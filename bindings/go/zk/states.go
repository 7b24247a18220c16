package zk

import (
	"context"
	"sync"

	"zkhelper/internal/abi"
	"zkhelper/internal/stream"
)

// StateChange is a change of a connection's state.
type StateChange struct {
	// StateConnecting, StateHasSession, StateDisconnected, StateExpired; the last one is StateDisconnected or
	// StateAuthFailed.
	State State
	// The present session, 0 while there is none, and the one that was lost last: when StateHasSession follows
	// StateExpired they are the new one and the old one.
	SessionID, PreviousSessionID int64
	// Why, where there is a reason. That of the last change is never nil.
	Err error
	// Whether it is the last one.
	Over bool
}

func stateChange(change abi.StateChange) StateChange {
	changed := StateChange{SessionID: change.Session, PreviousSessionID: change.Previous, Err: change.Reason}
	switch change.State {
	case abi.Connecting:
		changed.State = StateConnecting
	case abi.Connected:
		changed.State = StateHasSession
	case abi.Suspended:
		changed.State = StateDisconnected
	case abi.Lost:
		changed.State = StateExpired
	default:
		changed.State, changed.Over = overState(change.Reason), true
		if changed.Err == nil {
			changed.Err = abi.OfCode(abi.Closed)
		}
	}
	return changed
}

// news is who is told of changes of state.
type news struct {
	mu    sync.Mutex
	last  *StateChange
	over  bool
	tells map[*func(StateChange)]func()
}

func (n *news) tell(change StateChange) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last = &change
	for tell := range n.tells {
		(*tell)(change)
	}
}

// end lets nobody be told any more.
func (n *news) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.over = true
	for _, ended := range n.tells {
		ended()
	}
	n.tells = nil
}

// add tells the present state, and each that follows. ended is called when none follows any more.
func (n *news) add(tell func(StateChange), ended func()) (stop func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last != nil {
		tell(*n.last)
	}
	if n.over {
		ended()
		return func() {}
	}
	if n.tells == nil {
		n.tells = make(map[*func(StateChange)]func())
	}
	key := &tell
	n.tells[key] = ended
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.tells, key)
	}
}

// OnState lets tell be called for the present state, if one is known already, and for every change of it, in order and
// before anything is answered behind it, until stop is called. It runs on a thread of the library and must return at once: it
// may not wait, nor call OnState, States or stop.
func (c *Conn) OnState(tell func(change StateChange)) (stop func()) {
	return c.core.news.add(tell, func() {})
}

// States tells the present state and every change of it, none left out, until the context ends or the connection is over;
// then the channel is closed. Whoever reads slowly makes others wait for nothing.
func (c *Conn) States(ctx context.Context) <-chan StateChange {
	changes := stream.New[StateChange](ctx.Done())
	stop := c.core.news.add(changes.Put, changes.End)
	if ctx.Done() != nil {
		go func() {
			<-ctx.Done()
			stop()
		}()
	}
	return changes.C()
}
