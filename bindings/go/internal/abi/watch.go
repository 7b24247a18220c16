package abi

// #include "bridge.h"
import "C"

import (
	"runtime/cgo"
	"sync"
)

// Event is what a watch saw.
type Event int32

// The events of a watch for one event.
const (
	EventCreated         Event = C.ZKH_EVENT_CREATED
	EventDeleted         Event = C.ZKH_EVENT_DELETED
	EventDataChanged     Event = C.ZKH_EVENT_DATA_CHANGED
	EventChildrenChanged Event = C.ZKH_EVENT_CHILDREN_CHANGED
	EventSessionLost     Event = C.ZKH_EVENT_SESSION_LOST
	EventMayHaveMissed   Event = C.ZKH_EVENT_MAY_HAVE_MISSED
)

// The kinds of watches: for one event, and those that stay.
const (
	WatchPersistent = C.ZKH_WATCH_PERSISTENT
	WatchRecursive  = C.ZKH_WATCH_RECURSIVE

	WatchData     = C.ZKH_WATCH_DATA
	WatchExists   = C.ZKH_WATCH_EXISTS
	WatchChildren = C.ZKH_WATCH_CHILDREN
)

// Watch is a watch for one event.
type Watch struct {
	tell  func(event Event, path string)
	known chan struct{} // closed once handle is
	once  sync.Once

	handle C.zkh_watch
}

// Watch reads a node and watches it for one event, in one request. After the event, and where the call
// fails, the watch is free.
func (c *Client) Watch(path string, kind int32, tell func(event Event, path string)) (*Watch, *Call) {
	w := &Watch{tell: tell, known: make(chan struct{})}
	defer close(w.known)
	user := cgo.NewHandle(w)
	given := false
	call := about(path, func(path *C.char, armed C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		given = true
		return C.zkhgo_watch_start(c.handle, path, C.int32_t(kind), C.uintptr_t(user), &w.handle, armed, op, err)
	})
	if !given {
		user.Delete()
	}
	return w, call
}

func (w *Watch) fire(event Event, path string) {
	<-w.known
	w.Free()
	w.tell(event, path)
}

// Free ends the watch, if it is not over. It waits for a callback that runs.
func (w *Watch) Free() { w.once.Do(func() { C.zkh_watch_free(w.handle) }) }

// Lasting is a watch that stays until it is freed.
type Lasting struct {
	once   sync.Once
	handle C.zkh_watch
}

// WatchOn adds a watch that stays. tell gets its events in order, and must not wait.
func (c *Client) WatchOn(path string, kind int32, tell func(event Event, path string)) (*Lasting, *Call) {
	w := &Lasting{}
	user := cgo.NewHandle(tell)
	given := false
	call := about(path, func(path *C.char, armed C.uintptr_t, op *C.zkh_op, err **C.zkh_error) C.zkh_status {
		given = true
		return C.zkhgo_watch_on(c.handle, path, C.int32_t(kind), C.uintptr_t(user), &w.handle, armed, op, err)
	})
	if !given {
		user.Delete()
	}
	return w, call
}

// Free ends the watch. It waits for a callback that runs.
func (w *Lasting) Free() { w.once.Do(func() { C.zkh_watch_free(w.handle) }) }
