package conformance_test

import (
	"testing"

	"zkhelper"
	"zkhelper/zk"
)

// Watches: scenarios 25 to 32.

func (g *ground) sees(events <-chan zk.Event, kind zk.EventType, path string) {
	g.Helper()
	event := within(g, events)
	g.require(event.Type == kind && event.Path == path, event.Type, event.Path, "in place of", kind, path)
}

// once wants one event, and the end of the channel behind it.
func (g *ground) once(events <-chan zk.Event, kind zk.EventType, path string) {
	g.Helper()
	g.sees(events, kind, path)
	_, open := <-events
	g.require(!open, "there is one event")
}

func (g *ground) watch(conn *zkhelper.MyZkConn, path string, mode zk.WatchMode) *zk.Watch {
	g.Helper()
	watch, err := conn.AddWatch(ctx, path, mode)
	g.ok(err)
	g.Cleanup(watch.Close)
	return watch
}

func (g *ground) dataWatch(conn *zkhelper.MyZkConn, path string) <-chan zk.Event {
	g.Helper()
	_, _, events, err := conn.GetW(path)
	g.ok(err)
	return events
}

func TestS25_data_watch_fires_once(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		top := g.home(a)
		first := g.dataWatch(a, top)
		g.set(b, top, "1")
		g.once(first, zk.EventNodeDataChanged, top)
		second := g.dataWatch(a, top)
		g.set(b, top, "2")
		g.once(second, zk.EventNodeDataChanged, top)
	})
}

func TestS26_exists_watch_sees_a_creation(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a) + "/n"
		exists, _, events, err := a.ExistsW(at)
		g.require(err == nil && !exists, "there is no node", err)
		g.make(b, at, 0)
		g.once(events, zk.EventNodeCreated, at)
	})
}

func TestS27_children_watch_sees_a_child(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		top := g.home(a)
		_, _, events, err := a.ChildrenW(top)
		g.ok(err)
		g.make(b, top+"/c", 0)
		g.once(events, zk.EventNodeChildrenChanged, top)
	})
}

func TestS28_data_watch_sees_a_deletion(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.make(a, g.home(a)+"/n", 0)
		events := g.dataWatch(a, at)
		g.delete(b, at)
		g.once(events, zk.EventNodeDeleted, at)
		_, _, _, err := a.GetW(at)
		g.require(err == zk.ErrNoNode, err)
	})
}

func TestS29_persistent_watch_stays(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a) + "/n"
		events := g.watch(a, at, zk.WatchPersistent).Events()
		g.make(b, at, 0)
		g.set(b, at, "1")
		g.delete(b, g.make(b, at+"/c", 0))
		g.delete(b, at)
		for _, kind := range []zk.EventType{
			zk.EventNodeCreated, zk.EventNodeDataChanged, zk.EventNodeChildrenChanged, zk.EventNodeChildrenChanged,
			zk.EventNodeDeleted,
		} {
			g.sees(events, kind, at)
		}
	})
}

func TestS30_recursive_watch_sees_what_is_below(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		top := g.home(a)
		events := g.watch(a, top, zk.WatchRecursive).Events()
		above := g.make(b, top+"/a", 0)
		at := g.make(b, above+"/b", 0)
		g.set(b, at, "1")
		g.delete(b, at)
		g.sees(events, zk.EventNodeCreated, above)
		g.sees(events, zk.EventNodeCreated, at)
		g.sees(events, zk.EventNodeDataChanged, at)
		g.sees(events, zk.EventNodeDeleted, at)
	})
}

func TestS31_freed_watch_is_silent(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		top := g.home(a)
		one, two := top+"/one", top+"/two"
		freed, kept := g.watch(a, one, zk.WatchPersistent), g.watch(a, two, zk.WatchPersistent)
		freed.Close()
		g.make(b, one, 0)
		g.make(b, two, 0)
		g.sees(kept.Events(), zk.EventNodeCreated, two)
		_, open := <-freed.Events()
		g.require(!open, "the first is told nothing")
	})
}

func TestS32_session_end_is_told_to_watches(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		top := g.home(a)
		at := g.make(b, top+"/n", 0)
		once, stays := g.dataWatch(a, top), g.watch(a, at, zk.WatchPersistent).Events()
		g.endSession(a)
		event := within(g, once)
		g.require(event.Type == zk.EventNotWatching && event.Err == zk.ErrSessionExpired, event)
		g.sees(stays, zk.EventMayHaveMissed, at)
		// The connection may have come and gone between the two clients of one session, and each time it is told. Behind
		// a read of its own client the watch is armed.
		told := zk.Event{Type: zk.EventMayHaveMissed}
		for told.Type == zk.EventMayHaveMissed {
			g.data(a, at)
			g.set(b, at, "after")
			told = within(g, stays)
		}
		g.require(told.Type == zk.EventNodeDataChanged && told.Path == at, told)
	})
}
