package zk

import (
	"context"
	"sync"

	"zkhelper/internal/abi"
	"zkhelper/internal/stream"
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
	event := seen(what, path)
	if event.Type == EventNotWatching {
		event = Event{Type: EventNotWatching, State: StateDisconnected, Path: w.path, Err: ErrSessionExpired}
	}
	if c.take(w) {
		c.announce(event)
		w.end(event)
	}
}

func seen(what abi.Event, path string) Event {
	event := Event{Type: EventNotWatching, State: StateSyncConnected, Path: path}
	switch what {
	case abi.EventCreated:
		event.Type = EventNodeCreated
	case abi.EventDeleted:
		event.Type = EventNodeDeleted
	case abi.EventDataChanged:
		event.Type = EventNodeDataChanged
	case abi.EventChildrenChanged:
		event.Type = EventNodeChildrenChanged
	case abi.EventMayHaveMissed:
		event.Type = EventMayHaveMissed
	}
	return event
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

// WatchMode is what a watch that stays sees.
type WatchMode int32

// The kinds of watches that stay. Servers from 3.6 on know them; those before 3.9 keep only the later one of each connection and
// path.
const (
	// WatchPersistent sees the node's creation, changes and deletion, and changes of its list of children. There need be no
	// node.
	WatchPersistent WatchMode = abi.WatchPersistent
	// WatchRecursive sees creations, changes and deletions at the path and anywhere below it.
	WatchRecursive WatchMode = abi.WatchRecursive
)

// Watch is a watch that stays until it is closed. It survives reconnects and new sessions; after each of them EventMayHaveMissed
// says to read again what one relies on.
type Watch struct {
	core   *core
	events *stream.Stream[Event]
	armed  *abi.Lasting
	stop   func()
	once   sync.Once
}

// AddWatch adds a watch that stays. Its channel gets every event in order, whoever else watches, and is closed by Close and
// with the connection.
func (c *Conn) AddWatch(ctx context.Context, path string, mode WatchMode) (*Watch, error) {
	w := &Watch{core: c.core, events: stream.New[Event](nil)}
	armed, call := c.core.client.WatchOn(path, int32(mode), func(event abi.Event, path string) {
		w.events.Put(seen(event, path))
	})
	w.armed = armed
	if err := call.Wait(ctx).Err; err != nil {
		armed.Free()
		w.events.Drop()
		return nil, err
	}
	w.stop = c.core.news.add(func(StateChange) {}, w.events.End)
	return w, nil
}

// Events is where the watch's events come. What is not read is kept.
func (w *Watch) Events() <-chan Event { return w.events.C() }

// Close ends the watch, and closes its channel at once. A second Close does nothing.
func (w *Watch) Close() {
	w.once.Do(func() {
		w.stop()
		w.armed.Free()
		w.events.Drop()
	})
}
