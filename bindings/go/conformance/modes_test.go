package conformance_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"zkhelper"
	"zkhelper/zk"
)

// Strict and persistent mutexes: scenarios 54 to 62; contenders, revocation and guarded writes: 63 to 67.

func strict(delay time.Duration) zkhelper.MutexOption { return zkhelper.Strict(delay, delay) }

func TestS54_strict_clean_hand_over_is_at_once(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at, began := g.lockPath(a), time.Now()
		first, second := g.held(a, at, strict(minute)), g.mutex(b, at, strict(minute))
		g.ok(first.Unlock())
		g.ok(second.LockContext(ctx, ""))
		outcome := locks(first)
		g.until(b, at, 2)
		g.ok(second.Unlock())
		g.ok(within(g, outcome))
		g.require(time.Since(began) < minute, "nobody waits for the delay")
		valid := time.Until(first.ValidUntil())
		g.require(valid > 0 && valid <= minute, valid)
	})
}

func TestS55_strict_waits_after_an_unclean_end(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		g.held(a, at, strict(time.Second))
		outcome := locks(g.mutex(b, at, strict(time.Second)))
		g.until(b, at, 2)
		gone := time.Now()
		a.Close()
		g.ok(within(g, outcome))
		g.require(time.Since(gone) >= time.Second, "no sooner", time.Since(gone))
	})
}

func TestS56_strict_refuses_another_delay(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		g.ok(g.held(a, at, strict(minute)).Unlock())
		g.fails(g.mutex(b, at, strict(50*time.Second)).LockContext(ctx, ""), zkhelper.CodeBadArgument, "60000")
		g.until(b, at, 0)
	})
}

func TestS57_strict_keeps_foreign_data(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.make(a, g.lockPath(a), 0)
		g.set(a, at, "mine")
		g.fails(g.mutex(a, at, strict(minute)).LockContext(ctx, ""), zkhelper.CodeBadArgument, at)
		data, _ := g.data(b, at)
		g.require(data == "mine", data)
		g.until(b, at, 0)
	})
}

const node = "lock-0000000000"

// first is the first contender, which is the only one.
func (g *ground) first(m *zkhelper.Mutex) zkhelper.Contender {
	g.Helper()
	all, err := m.Contenders(ctx)
	g.ok(err)
	g.require(len(all) == 1 && all[0].Name == node, all)
	return all[0]
}

func TestS58_persistent_node_and_companion(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		m := g.held(a, at, zkhelper.Persistent(minute))
		names := strings.Fields(g.children(b, at))
		g.require(len(names) == 2 && names[0] == node && strings.HasPrefix(names[1], "owner-"), names)
		g.require(g.stat(b, at+"/"+node).EphemeralOwner() == 0, "the lock has no owner session")
		g.require(g.stat(b, at+"/"+names[1]).EphemeralOwner() == a.SessionID(), "its companion has")
		g.ok(m.Unlock())
		g.until(b, at, 0)
	})
}

func TestS59_persistent_lock_outlives_its_session(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		g.held(a, at, zkhelper.Persistent(300*time.Millisecond))
		a.Close()
		other := g.mutex(b, at)
		g.fails(other.TryLock(ctx, ""), zkhelper.CodeTimeout)
		g.require(g.first(other).Owner == zkhelper.OwnerGone, "its owner is gone")
		g.ok(other.ReleaseDead(ctx, node))
		g.ok(other.TryLock(ctx, ""))
	})
}

func TestS60_live_owner_is_not_released(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		m := g.held(a, at, zkhelper.Persistent(minute))
		g.fails(g.mutex(b, at).ReleaseDead(ctx, node), zkhelper.CodeNodeExists, at)
		g.require(m.Held(), "it still holds")
		g.ok(m.Unlock())
	})
}

func TestS61_force_needs_the_czxid(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		m, other := g.held(a, at, zkhelper.Persistent(minute)), g.mutex(b, at)
		token := m.Token()
		g.fails(other.ReleaseByForce(ctx, node, token+1), zkhelper.CodeBadVersion, at)
		g.require(m.Held(), "nothing was deleted")
		g.ok(other.ReleaseByForce(ctx, node, token))
		g.lost(m)
	})
}

func TestS62_old_lock_is_unknown(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.make(b, g.lockPath(a), 0)
		g.make(b, at+"/lock-", zk.FlagSequence)
		m := g.mutex(a, at)
		found := g.first(m)
		g.require(found.Owner == zkhelper.OwnerUnknown, found.Owner)
		g.fails(m.ReleaseDead(ctx, node), zkhelper.CodeUnsupported, at)
		g.fails(m.TryLock(ctx, ""), zkhelper.CodeTimeout)
		g.ok(m.ReleaseByForce(ctx, node, found.Token))
		g.ok(m.TryLock(ctx, ""))
	})
}

func TestS63_contenders_in_order(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		m, other := g.mutex(a, at), g.mutex(b, at)
		g.ok(m.LockContext(ctx, "nightly"))
		locks(other)
		g.until(b, at, 2)
		all, err := other.Contenders(ctx)
		g.ok(err)
		g.require(len(all) == 2 && all[0].Token == m.Token() && all[0].SessionID == a.SessionID() &&
			all[0].Pid == os.Getpid() && all[0].Description == "nightly" && all[0].Owner == zkhelper.OwnerLiving &&
			!all[0].Asked && time.Since(all[0].Since) < time.Hour, all)
		g.require(all[1].SessionID == b.SessionID() && all[1].Token > all[0].Token, all)
	})
}

func TestS64_revocation_is_told(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.lockPath(a)
		m, other := g.mutex(a, at), g.mutex(b, at)
		listening, stop := context.WithCancel(ctx)
		defer stop()
		revocations, err := m.Revocations(listening)
		g.ok(err)
		g.ok(m.LockContext(ctx, ""))
		g.ok(other.RequestRevocation(ctx, node, "upgrade"))
		told := within(g, revocations)
		g.require(told == zkhelper.Revocation{Token: m.Token(), Reason: "upgrade"} && m.Held(), told)
		asked := g.first(other)
		g.require(asked.Asked && asked.AskedFor == "upgrade", asked)
	})
}

func TestS65_revocation_of_nobody(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		m := g.mutex(a, g.make(a, g.lockPath(a), 0))
		g.fails(m.RequestRevocation(ctx, "lock-0000000099", ""), zkhelper.CodeNoNode)
		g.fails(m.RequestRevocation(ctx, "config", ""), zkhelper.CodeBadArgument)
	})
}

func TestS66_guarded_while_held(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top := g.home(a)
		m := g.mutex(a, top+"/lock")
		set := zk.SetOp(top, []byte("x"), -1)
		_, err := m.Guarded(ctx, set)
		g.fails(err, zkhelper.CodeNotHeld)
		g.ok(m.LockContext(ctx, ""))
		results, err := m.Guarded(ctx, set)
		g.ok(err)
		g.require(len(results) == 1 && results[0].Stat.Version() == 1, results)
		g.ok(m.Unlock())
		_, err = m.Guarded(ctx, set)
		g.fails(err, zkhelper.CodeNotHeld)
	})
}

func TestS67_guarded_changes_nothing_once_lost(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		top := g.home(a)
		at := top + "/lock"
		m := g.held(a, at)
		g.delete(b, g.only(b, at))
		_, err := m.Guarded(ctx, zk.SetOp(top, []byte("x"), -1))
		if codeOf(err) != zkhelper.CodeNotHeld {
			g.fails(err, zkhelper.CodeLockLost)
		}
		data, _ := g.data(b, top)
		g.require(data == "", data)
	})
}
