package conformance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"zkhelper"
	"zkhelper/zk"
)

// The mutex: scenarios 33 to 53.

func TestS33_lock_and_unlock(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		m := g.held(a, at)
		g.require(g.children(b, at) == "lock-0000000000", "one node")
		stat := g.stat(b, g.only(b, at))
		g.require(stat.Czxid() == m.Token() && stat.EphemeralOwner() == a.SessionID() && m.Held(), stat)
		g.ok(m.Unlock())
		g.require(g.children(b, at) == "" && !m.Held() && m.Token() == 0, "nothing is left")
	})
}

func TestS34_contents_say_who(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		m := g.mutex(a, at, zkhelper.WithContents(map[string]interface{}{"role": "blue"}))
		g.ok(m.LockContext(ctx, "nightly"))
		data, _ := g.data(b, g.only(b, at))
		var contents struct {
			Hostname, Desc, Role, ID string
			Pid                      int
		}
		g.ok(json.Unmarshal([]byte(data), &contents))
		g.require(contents.Hostname != "" && contents.Pid == os.Getpid() && contents.Desc == "nightly" &&
			contents.Role == "blue" && len(contents.ID) == 36, data)
	})
}

func TestS35_try_fails_and_writes_nothing(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		m, other := g.held(a, at), g.mutex(b, at)
		before := g.stat(b, at).CVersion()
		g.fails(other.TryLock(ctx, ""), zkhelper.CodeTimeout, at)
		g.require(g.stat(b, at).CVersion() == before, "nothing was written")
		g.ok(m.Unlock())
		g.ok(other.TryLock(ctx, ""))
	})
}

func TestS36_timeout_leaves_no_node(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		g.held(a, at)
		g.require(g.mutex(b, at).LockWithTimeout(brief, "") == zkhelper.ErrTimeout, "it ends")
		g.require(g.children(b, at) == "lock-0000000000", "only the holder's node is there")
	})
}

func TestS37_first_come_first_served(t *testing.T) {
	both(t, func(g *ground) {
		const count = 4
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		m := g.held(a, at)
		var all [count]*zkhelper.Mutex
		var granted [count]<-chan error
		for i := range all {
			all[i] = g.mutex(b, at)
			granted[i] = locks(all[i])
			g.until(a, at, i+2)
		}
		token := m.Token()
		g.ok(m.Unlock())
		for i := range all {
			g.ok(within(g, granted[i]))
			g.require(all[i].Token() > token, "each token is greater")
			token = all[i].Token()
			for _, later := range granted[i+1:] {
				none(g, later)
			}
			g.ok(all[i].Unlock())
		}
	})
}

func TestS38_interrupt_ends_a_wait(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		g.held(a, at)
		m := g.mutex(b, at)
		outcome := locks(m)
		g.until(a, at, 2)
		m.Interrupt()
		g.fails(within(g, outcome), zkhelper.CodeInterrupted)
		g.until(a, at, 1)
	})
}

func TestS39_interrupt_is_remembered_once(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		m := g.mutex(a, g.lockPath(a))
		m.Interrupt()
		m.Interrupt()
		g.fails(m.LockContext(ctx, ""), zkhelper.CodeInterrupted)
		g.ok(m.LockContext(ctx, ""))
	})
}

func TestS40_cancel_leaves_no_node(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		g.held(a, at)
		m := g.mutex(b, at)
		cancelled, cancel := context.WithCancel(ctx)
		outcome := waiting(func() error { return m.LockContext(cancelled, "") })
		g.until(a, at, 2)
		cancel()
		err := within(g, outcome)
		g.fails(err, zkhelper.CodeCancelled)
		g.require(errors.Is(err, context.Canceled), err)
		g.require(g.children(a, at) == "lock-0000000000", "its node is gone")
	})
}

func TestS41_unlock_without_a_lock(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top := g.home(a)
		at := top + "/lock"
		g.make(a, at, 0)
		m := g.mutex(a, at)
		g.fails(m.Unlock(), zkhelper.CodeNotHeld)
		g.require(g.children(a, top) == "lock", "nothing is deleted")
		g.ok(m.LockContext(ctx, ""))
		g.ok(m.Unlock())
		g.fails(m.Unlock(), zkhelper.CodeNotHeld)
	})
}

func TestS42_unlock_is_for_its_own(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		m := g.held(a, at)
		g.fails(g.mutex(b, at).Unlock(), zkhelper.CodeNotHeld)
		g.require(m.Held() && g.children(b, at) == "lock-0000000000", "it still holds")
		g.ok(m.Unlock())
	})
}

func TestS43_second_lock_on_a_handle_queues(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		at := g.lockPath(a)
		m := g.held(a, at)
		g.fails(m.TryLock(ctx, ""), zkhelper.CodeTimeout)
		token, outcome := m.Token(), locks(m)
		none(g, outcome)
		g.ok(m.Unlock())
		g.ok(within(g, outcome))
		g.require(m.Token() > token, "it has a greater token")
	})
}

func TestS44_tokens_grow_over_a_new_parent(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		at := g.lockPath(a)
		m := g.held(a, at)
		token := m.Token()
		g.ok(m.Unlock())
		g.delete(a, at)
		g.ok(m.LockContext(ctx, ""))
		g.require(g.children(a, at) == "lock-0000000000" && m.Token() > token, m.Token(), token)
	})
}

func TestS45_foreign_children_do_not_block(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		at := g.make(a, g.lockPath(a), 0)
		g.make(a, at+"/config", 0)
		g.make(a, at+"/zzz", 0)
		m := g.mutex(a, at)
		g.ok(m.TryLock(ctx, ""))
		g.ok(m.Unlock())
		g.require(g.children(a, at) == "config zzz", "both are there")
	})
}

func TestS46_other_libraries_contend(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		for _, foreign := range []string{"_c_5-lock-", "5__lock__"} {
			at := g.make(a, g.lockPath(a), 0)
			node := g.make(b, at+"/"+foreign, zk.FlagEphemeral|zk.FlagSequence)
			m := g.mutex(a, at)
			g.fails(m.TryLock(ctx, ""), zkhelper.CodeTimeout)
			outcome := locks(m)
			g.until(b, at, 2)
			none(g, outcome)
			g.delete(b, node)
			g.ok(within(g, outcome))
		}
	})
}

func TestS47_extra_patterns_contend(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.make(a, g.lockPath(a), 0)
		g.make(b, at+"/turn-", zk.FlagEphemeral|zk.FlagSequence)
		g.fails(g.mutex(a, at, zkhelper.WithPatterns("turn-")).TryLock(ctx, ""), zkhelper.CodeTimeout)
		g.ok(g.mutex(a, at).TryLock(ctx, ""))
	})
}

func TestS48_deleted_node_is_a_loss(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		m := g.held(a, at)
		g.delete(b, g.only(b, at))
		g.require(g.lost(m) == zkhelper.LossNodeDeleted && !m.Held(), m.LossReason())
		g.fails(m.Unlock(), zkhelper.CodeLockLost)
	})
}

func TestS49_ended_session_is_a_loss(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		m, other := g.held(a, at), g.mutex(b, at)
		token, outcome := m.Token(), locks(other)
		g.until(b, at, 2)
		g.endSession(a)
		reason := g.lost(m)
		g.require(reason == zkhelper.LossSessionOver || reason == zkhelper.LossNodeDeleted, reason)
		g.ok(within(g, outcome))
		g.require(other.Token() > token, "the token is greater")
	})
}

func TestS50_validity_is_bounded(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		m := g.held(a, g.lockPath(a))
		valid := time.Until(m.ValidUntil())
		g.require(valid > 0 && valid <= session, valid)
		g.ok(m.Unlock())
		g.require(m.ValidUntil().IsZero(), "nothing is certain any more")
	})
}

func TestS51_closing_a_handle_ends_its_wait(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		g.held(a, at)
		m := g.mutex(b, at)
		outcome := locks(m)
		g.until(a, at, 2)
		m.Close()
		g.fails(within(g, outcome), zkhelper.CodeClosed)
		g.until(a, at, 1)
		g.fails(m.LockContext(ctx, ""), zkhelper.CodeClosed)
	})
}

func TestS52_closing_the_client_releases(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		m := g.held(a, at)
		a.Close()
		g.require(g.lost(m) == zkhelper.LossClientClosed, m.LossReason())
		g.ok(g.mutex(b, at).TryLock(ctx, ""))
	})
}

func TestS53_lock_node_has_the_list(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at, list := g.lockPath(a), zk.WorldACL(zk.PermAll&^zk.PermWrite)
		m := g.held(a, at, zkhelper.WithACL(list))
		read, _, err := b.GetACLContext(ctx, g.only(b, at))
		g.ok(err)
		g.require(fmt.Sprint(read) == fmt.Sprint(list), read)
		g.fails(g.mutex(b, at, zkhelper.WithACL(list)).TryLock(ctx, ""), zkhelper.CodeTimeout)
		g.ok(m.Unlock())
	})
}
