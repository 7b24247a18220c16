package conformance_test

import (
	"context"
	"testing"
	"time"

	"zkhelper"
	"zkhelper/zk"
)

// Client and session: scenarios 1 to 10.

func TestS01_connect_and_close(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		states := a.States(ctx)
		g.require(a.State() == zk.StateHasSession && a.SessionID() != 0, a.State())
		g.require(within(g, states).SessionID == a.SessionID(), "the state names the session")
		a.Close()
		g.require(within(g, states).Over, "the state is closed")
		_, _, err := a.GetContext(ctx, "/")
		g.fails(err, zkhelper.CodeClosed)
		_, _, err = a.Get("/")
		g.require(err == zk.ErrClosing, err)
	})
}

func TestS02_close_removes_ephemerals(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.make(a, g.home(a)+"/e", zk.FlagEphemeral)
		a.Close()
		g.require(!g.there(b, at), "it is gone")
	})
}

func TestS03_chroot_is_below(t *testing.T) {
	both(t, func(g *ground) {
		b := g.join()
		top := g.home(b)
		a := g.dial(g.address + top)
		g.require(g.make(a, "/n", 0) == "/n", "the answer's path")
		g.set(a, "/n", "x")
		data, _ := g.data(b, top+"/n")
		g.require(data == "x", data)
	})
}

func TestS04_bad_addresses_are_refused(t *testing.T) {
	both(t, func(g *ground) {
		for _, bad := range []string{"", ":2181", "127.0.0.1:port", "127.0.0.1:2181/a/"} {
			_, err := zkhelper.Open(bad)
			g.fails(err, zkhelper.CodeBadAddress)
		}
	})
}

func TestS05_no_server_in_time(t *testing.T) {
	both(t, func(g *ground) {
		_, err := zkhelper.Dial(ctx, nobody, zk.ConnectTimeout(200*time.Millisecond))
		g.fails(err, zkhelper.CodeConnectionLoss, nobody)
	})
}

func TestS06_nothing_is_sent_without_a_server(t *testing.T) {
	both(t, func(g *ground) {
		a, err := zkhelper.Open(nobody, zk.OperationTimeout(brief))
		g.ok(err)
		defer a.Close()
		_, _, err = a.GetContext(ctx, "/")
		g.fails(err, zkhelper.CodeNotSent)
		_, err = a.CreateContext(ctx, "/a", nil, 0, open)
		g.fails(err, zkhelper.CodeNotSent, "/a")
	})
}

func TestS07_lost_session_is_told_and_replaced(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top, old := g.home(a), a.SessionID()
		listening, stop := context.WithCancel(ctx)
		defer stop()
		states := a.States(listening)
		g.endSession(a)
		var told zk.StateChange
		lost := false
		for told.State != zk.StateHasSession || told.SessionID == old {
			told = within(g, states)
			lost = lost || told.State == zk.StateExpired && told.PreviousSessionID == old
		}
		g.require(lost && told.PreviousSessionID == old && a.SessionID() == told.SessionID, told)
		g.set(a, top, "new")
	})
}

func TestS08_reattach_takes_the_session(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.make(a, g.home(a)+"/e", zk.FlagEphemeral)
		thief := g.dial(g.address, g.taking(a))
		g.require(g.stat(b, at).EphemeralOwner() == thief.SessionID(), "the session is the same")
		thief.Close()
		g.require(!g.there(b, at), "the node is gone")
	})
}

func TestS09_credentials_open_what_a_list_closes(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at, secret := g.home(a)+"/mine", []byte("me:secret")
		g.ok(a.AddAuthContext(ctx, "digest", secret))
		_, err := a.CreateContext(ctx, at, []byte("x"), 0, zk.AuthACL(zk.PermAll))
		g.ok(err)
		_, _, err = b.GetContext(ctx, at)
		g.fails(err, zkhelper.CodeNoAuth, at)
		g.ok(b.AddAuthContext(ctx, "digest", secret))
		for _, reader := range []*zkhelper.MyZkConn{b, g.dial(g.address, zk.Auth("digest", secret))} {
			data, _ := g.data(reader, at)
			g.require(data == "x", data)
		}
	})
}

func TestS10_who_am_i(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		g.ok(a.AddAuthContext(ctx, "digest", []byte("me:secret")))
		all, err := a.WhoAmI(ctx)
		g.ok(err)
		me := false
		for _, identity := range all {
			me = me || identity == zk.Identity{Scheme: "digest", ID: "me"}
		}
		g.require(me, all)
	})
}
