package conformance_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"zkhelper"
	"zkhelper/zk"
)

// Queue locks: scenarios 77 to 81; pid nodes: 82 to 86; trees and globs: 87 to 92.

func (g *ground) queue(conn zkhelper.Conn, path string) *zkhelper.QueueLock {
	g.Helper()
	q, err := zkhelper.NewQueueLock(conn, path)
	g.ok(err)
	g.Cleanup(q.Close)
	return q
}

// queues waits for the lock behind one other node.
func (g *ground) queues(q *zkhelper.QueueLock, conn *zkhelper.MyZkConn) <-chan error {
	g.Helper()
	outcome := waiting(func() error { return q.LockContext(ctx, "") })
	g.until(conn, q.Path(), 2)
	return outcome
}

func TestS77_queue_lock_and_unlock(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a)
		first, second := g.queue(a, at), g.queue(b, at)
		g.ok(first.LockContext(ctx, ""))
		token := first.Token()
		g.require(g.stat(b, at+"/"+node).Czxid() == token, token)
		g.fails(second.TryLock(ctx, ""), zkhelper.CodeTimeout, at)
		g.require(g.children(b, at) == node, "its node is gone")
		outcome := g.queues(second, a)
		g.ok(first.Unlock())
		g.ok(within(g, outcome))
		g.require(second.Token() > token, "the token is greater")
	})
}

func TestS78_obtain_waits_for_lower_names(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a)
		g.make(a, at+"/a", 0)
		g.make(a, at+"/b", 0)
		q := g.queue(a, at)
		g.ok(q.Obtain(ctx, "a"))
		g.fails(q.TryObtain(ctx, "b"), zkhelper.CodeTimeout, at)
		outcome := waiting(func() error { return q.Obtain(ctx, "b") })
		g.delete(b, at+"/a")
		g.ok(within(g, outcome))
		g.require(g.children(b, at) == "b", "it stays with the caller")
	})
}

func TestS79_queue_timeout_removes_its_own_node_alone(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a)
		first, q := g.queue(a, at), g.queue(b, at)
		g.ok(first.LockContext(ctx, ""))
		g.fails(q.LockWithTimeout(brief, ""), zkhelper.CodeTimeout, at)
		g.require(g.children(b, at) == node, "no node stays")
		g.make(b, at+"/zzz", 0)
		err := zkhelper.ObtainQueueLock(b, at+"/zzz", brief, nil)
		g.require(err == zkhelper.ErrTimeout && g.children(b, at) == node+" zzz", "its own node stays", err)
	})
}

func TestS80_queue_interrupt(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a)
		first, q := g.queue(a, at), g.queue(b, at)
		g.ok(first.LockContext(ctx, ""))
		outcome := g.queues(q, a)
		q.Interrupt()
		g.fails(within(g, outcome), zkhelper.CodeInterrupted)
		g.until(a, at, 1)
		q.Interrupt()
		g.fails(q.LockContext(ctx, ""), zkhelper.CodeInterrupted)
	})
}

func TestS81_obtain_of_a_missing_node(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		at := g.home(a)
		q := g.queue(a, at)
		g.fails(q.Obtain(ctx, "none"), zkhelper.CodeNoNode, "none")
		g.fails(q.Obtain(ctx, "a/b"), zkhelper.CodeBadArgument, "a/b")
		g.fails(q.Unlock(), zkhelper.CodeNotHeld, at)
	})
}

func (g *ground) pidNode(conn zkhelper.Conn, path string, options ...zkhelper.PidNodeOption) *zkhelper.PidNode {
	g.Helper()
	p, err := zkhelper.NewPidNode(conn, path, []byte("4711"), options...)
	g.ok(err)
	g.Cleanup(func() { _ = p.Close() })
	return p
}

func (g *ground) started(conn zkhelper.Conn, path string, options ...zkhelper.PidNodeOption) *zkhelper.PidNode {
	g.Helper()
	p := g.pidNode(conn, path, options...)
	g.ok(p.Start(ctx))
	return p
}

// owner is whose a pid node is, whose data is there.
func (g *ground) owner(conn *zkhelper.MyZkConn, path string) int64 {
	g.Helper()
	data, stat := g.data(conn, path)
	g.require(data == "4711", data)
	return stat.EphemeralOwner()
}

func (g *ground) becomes(p *zkhelper.PidNode, kind zkhelper.PidEventType) zkhelper.PidEvent {
	g.Helper()
	event := within(g, p.Events())
	g.require(event.Type == kind, event)
	return event
}

func TestS82_pid_node_until_it_is_closed(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a) + "/pid"
		p := g.started(a, at)
		g.require(g.owner(b, at) == a.SessionID() && p.IsThere(), "it is there")
		g.ok(p.Close())
		g.require(!g.there(b, at), "it is gone")
	})
}

func TestS83_pid_node_is_not_taken(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a) + "/pid"
		g.started(a, at)
		g.fails(g.pidNode(b, at, zkhelper.PidWait(brief)).Start(ctx), zkhelper.CodeNodeExists, at)
		g.require(g.owner(b, at) == a.SessionID(), "it is the first one's")
	})
}

func TestS84_pid_node_is_taken_if_asked(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a) + "/pid"
		p := g.started(a, at)
		g.becomes(p, zkhelper.PidMade)
		g.started(b, at, zkhelper.PidTakeOver(zkhelper.TakeOverLive))
		g.require(g.becomes(p, zkhelper.PidLost).Loss == zkhelper.LossNodeDeleted, "it is told")
		g.ok(p.Close())
		g.require(g.owner(b, at) == b.SessionID(), "it is the second one's")
	})
}

func TestS85_pid_node_is_made_again(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a) + "/pid"
		p := g.started(a, at)
		g.becomes(p, zkhelper.PidMade)
		g.delete(b, at)
		g.require(g.becomes(p, zkhelper.PidLost).Loss == zkhelper.LossNodeDeleted, "it is told")
		g.becomes(p, zkhelper.PidMade)
		g.require(g.owner(b, at) == a.SessionID(), "it is as it was")
	})
}

func TestS86_pid_node_keeps_its_list(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at, list, old := g.home(a)+"/pid", zk.WorldACL(zk.PermRead), a.SessionID()
		p := g.started(a, at, zkhelper.PidACL(list))
		g.becomes(p, zkhelper.PidMade)
		g.endSession(a)
		for within(g, p.Events()).Type != zkhelper.PidMade {
		}
		g.require(g.owner(b, at) != old, "it is of the new session")
		read, _, err := b.GetACLContext(ctx, at)
		g.require(err == nil && len(read) == 1 && read[0] == list[0], read, err)
	})
}

func (g *ground) grow(conn *zkhelper.MyZkConn, top string, names ...string) {
	g.Helper()
	for _, name := range names {
		_, err := zkhelper.CreateRecursive(conn, top+"/"+name, "", 0, open)
		g.ok(err)
	}
}

func (g *ground) treeIs(conn *zkhelper.MyZkConn, top, names string) {
	g.Helper()
	all, err := zkhelper.ChildrenRecursive(conn, top)
	g.ok(err)
	g.require(strings.Join(all, " ") == names, all)
}

func TestS87_parents_are_plain(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top := g.home(a)
		at := top + "/t/a/b"
		_, err := zkhelper.CreateRecursive(a, at, "x", zk.FlagEphemeral, zkhelper.DefaultFileACLs())
		g.ok(err)
		g.require(g.stat(a, at).EphemeralOwner() == a.SessionID(), "it is ephemeral")
		for _, parent := range []string{top + "/t", top + "/t/a"} {
			list, stat, err := a.GetACLContext(ctx, parent)
			g.ok(err)
			g.require(fmt.Sprint(list) == fmt.Sprint(zkhelper.DefaultDirACLs()) && stat.EphemeralOwner() == 0 &&
				stat.DataLength() == 0, list)
		}
	})
}

func TestS88_create_or_update(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		at := g.home(a) + "/u/v"
		_, err := zkhelper.CreateOrUpdate(a, at, "0", 0, open, false)
		g.require(err == zk.ErrNoNode, err)
		for _, value := range []string{"1", "2"} {
			path, err := zkhelper.CreateOrUpdate(a, at, value, 0, open, true)
			g.require(err == nil && path == at, path, err)
		}
		data, stat := g.data(a, at)
		g.require(data == "2" && stat.Version() == 1, data)
	})
}

func TestS89_children_are_sorted_and_relative(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top := g.home(a)
		g.grow(a, top, "b", "a/x", "a-b")
		g.treeIs(a, top, "a a-b a/x b")
		_, err := zkhelper.ChildrenRecursive(a, top+"/none")
		g.require(err == zk.ErrNoNode, err)
	})
}

func TestS90_delete_is_guarded_by_the_version(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top := g.home(a)
		g.grow(a, top, "a/b", "c")
		g.require(zkhelper.DeleteRecursive(a, top, 5) == zk.ErrBadVersion, "at a wrong version")
		g.treeIs(a, top, "a a/b c")
		g.ok(zkhelper.DeleteRecursive(a, top, 0))
		g.require(zkhelper.DeleteRecursive(a, top, -1) == zk.ErrNoNode, "all is gone")
	})
}

func TestS91_glob_matches(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top := g.home(a)
		g.grow(a, top, "nyc/7", "nyc/1", "nyc/0", "sfo/5")
		for pattern, names := range map[string]string{
			"*/[0-5]": "nyc/0 nyc/1 sfo/5", "s?o": "sfo", "[^n]*": "sfo", "none": "none",
		} {
			found, err := zkhelper.ResolveWildcards(a, []string{top + "/" + pattern})
			g.ok(err)
			g.require(strings.ReplaceAll(strings.Join(found, " "), top+"/", "") == names, pattern, found)
		}
	})
}

func TestS92_glob_refuses_bad_patterns(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		_, err := zkhelper.ResolveWildcards(a, []string{"/a/["})
		g.fails(err, zkhelper.CodeBadArgument, "/a/[")
		_, err = zkhelper.ResolveWildcards(a, []string{"a/*"})
		g.fails(err, zkhelper.CodeBadPath)
		found, err := zkhelper.ResolveWildcards(a, []string{g.home(a) + "/none/*"})
		g.require(err == nil && len(found) == 0, found, err)
	})
}

// Errors and bad input: scenarios 93 to 95.

func TestS93_bad_paths_are_refused_unsent(t *testing.T) {
	both(t, func(g *ground) {
		a, err := zkhelper.Open(nobody)
		g.ok(err)
		defer a.Close()
		for _, bad := range []string{"", "a", "/a/", "/a//b", "/a/../b"} {
			_, err := a.CreateContext(ctx, bad, nil, 0, open)
			g.fails(err, zkhelper.CodeBadPath, bad)
			_, err = zkhelper.NewMutex(a, bad)
			g.fails(err, zkhelper.CodeBadPath, bad)
			_, err = zkhelper.CreateOrUpdate(a, bad, "", 0, open, true)
			g.fails(err, zkhelper.CodeBadPath, bad)
		}
	})
}

func TestS94_errors_say_what_and_where(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		missing := g.home(a) + "/none"
		_, _, err := a.GetContext(ctx, missing)
		g.fails(err, zkhelper.CodeNoNode, "NO_NODE", missing)
		e := err.(*zkhelper.Error)
		g.require(int(e.Code) == -101 && e.Name == "NO_NODE" && e.Path == missing && !e.Retriable, e)
		g.held(a, missing)
		err = g.mutex(a, missing).TryLock(ctx, "")
		g.require(int(codeOf(err)) == -1009, err)
	})
}

func TestS95_bad_options_are_refused(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		at := g.lockPath(a)
		for says, options := range map[string][]zkhelper.MutexOption{
			"delay":      {zkhelper.Strict(minute, time.Second)},
			"persistent": {strict(minute), zkhelper.Persistent(minute)},
			"pattern":    {zkhelper.WithPatterns("")},
		} {
			_, err := zkhelper.NewMutex(a, at, options...)
			g.fails(err, zkhelper.CodeBadArgument, says)
		}
		// Contents that are no JSON object cannot be given here: but what JSON does not have.
		_, err := zkhelper.NewMutex(a, at, zkhelper.WithContents(map[string]interface{}{"work": func() {}}))
		g.require(err != nil, "contents that JSON does not have")
		_, err = zkhelper.NewPidNode(a, at, nil, zkhelper.PidWait(-time.Second))
		g.fails(err, zkhelper.CodeBadArgument)
		_, err = zkhelper.Open(g.address, zk.SessionTimeout(0))
		g.fails(err, zkhelper.CodeBadArgument)
	})
}
