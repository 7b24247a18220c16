package zk

import (
	"context"

	"zkhelper/internal/abi"
)

// watch is a watch that somebody reads.
type watch struct {
	path   string
	events chan Event
	armed  *abi.Watch // Once it is armed; guarded by its connection's lock.
}

// end gives the watch its only event. It is called once: by whoever took it out of its connection's table.
func (w *watch) end(event Event) {
	w.events <- event
	close(w.events)
}

// watch reads and watches a node.
func (c *core) watch(path string, kind int32) (*abi.Result, <-chan Event, error) {
	w := &watch{path: path, events: make(chan Event, 1)}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, nil, ErrClosing
	}
	c.watches[w] = struct{}{}
	c.mu.Unlock()

	armed, call := c.client.Watch(path, kind, func(event abi.Event, path string) { c.fired(w, event, path) })
	outcome := call.Wait(context.Background())
	if outcome.Err != nil {
		c.take(w)
		armed.Free()
		return nil, nil, bare(outcome.Err)
	}
	c.mu.Lock()
	w.armed = armed
	over := c.closed
	c.mu.Unlock()
	if over {
		armed.Free()
	}
	return outcome.Result, w.events, nil
}

// take says whether the watch had no event yet, and that it has one now.
func (c *core) take(w *watch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, waiting := c.watches[w]
	delete(c.watches, w)
	return waiting
}

func (c *core) fired(w *watch, what abi.Event, path string) {
	event := Event{State: StateSyncConnected, Path: path}
	switch what {
	case abi.EventCreated:
		event.Type = EventNodeCreated
	case abi.EventDeleted:
		event.Type = EventNodeDeleted
	case abi.EventDataChanged:
		event.Type = EventNodeDataChanged
	case abi.EventChildrenChanged:
		event.Type = EventNodeChildrenChanged
	default:
		event = Event{Type: EventNotWatching, State: StateDisconnected, Path: w.path, Err: ErrSessionExpired}
	}
	if c.take(w) {
		c.announce(event)
		w.end(event)
	}
}

// GetW reads a node's data, and watches for their change and for its deletion. The channel gets one event and is closed.
// Where the session expires, or the connection is closed, that event is EventNotWatching with the reason in Err.
func (c *Conn) GetW(path string) ([]byte, Stat, <-chan Event, error) {
	result, events, err := c.core.watch(path, abi.WatchData)
	if err != nil {
		return nil, nil, nil, err
	}
	return result.Data, statOf(result), events, nil
}

// ChildrenW lists a node's children, and watches for one that is created or deleted, and for the node's deletion. The
// channel is as that of GetW.
func (c *Conn) ChildrenW(path string) ([]string, Stat, <-chan Event, error) {
	result, events, err := c.core.watch(path, abi.WatchChildren)
	if err != nil {
		return nil, nil, nil, err
	}
	return result.Names, statOf(result), events, nil
}

// ExistsW asks for a node, and watches for its creation, change or deletion. The channel is as that of GetW.
func (c *Conn) ExistsW(path string) (bool, Stat, <-chan Event, error) {
	result, events, err := c.core.watch(path, abi.WatchExists)
	if err != nil {
		return false, nil, nil, err
	}
	return result.Exists, statOf(result), events, nil
}
