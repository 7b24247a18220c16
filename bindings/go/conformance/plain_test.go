package conformance_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"zkhelper"
	"zkhelper/zk"
)

// Plain operations: scenarios 11 to 24.

func TestS11_create_get_set_delete(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		at := g.home(a) + "/n"
		made, err := a.CreateContext(ctx, at, []byte("one"), 0, open)
		g.ok(err)
		g.require(made == at && g.stat(a, at).Version() == 0, made)
		stat, err := a.SetContext(ctx, at, []byte("two"), 0)
		g.ok(err)
		data, read := g.data(a, at)
		g.require(data == "two" && stat.Version() == 1 && read.Version() == 1, data)
		g.ok(a.DeleteContext(ctx, at, 1))
		g.require(!g.there(a, at), "it is gone")
	})
}

func TestS12_sequential_names(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top := g.home(a)
		for i, flags := range []int32{zk.FlagSequence, zk.FlagSequence, zk.FlagEphemeral | zk.FlagSequence} {
			g.require(g.make(a, top+"/job-", flags) == fmt.Sprintf("%s/job-%010d", top, i), "the path ends in its number")
		}
		g.require(g.children(a, top) == "job-0000000000 job-0000000001 job-0000000002", "the list has them")
	})
}

func TestS13_ephemerals_have_an_owner(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top := g.home(a)
		g.require(g.stat(a, g.make(a, top+"/p", 0)).EphemeralOwner() == 0, "nobody's")
		at := g.make(a, top+"/e", zk.FlagEphemeral)
		g.require(g.stat(a, at).EphemeralOwner() == a.SessionID(), "the session's")
		_, err := a.CreateContext(ctx, at+"/c", nil, 0, open)
		g.fails(err, zkhelper.CodeNoChildrenForEphemerals, at)
	})
}

func TestS14_wrong_version_changes_nothing(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top := g.home(a)
		_, err := a.SetContext(ctx, top, []byte("new"), 5)
		g.fails(err, zkhelper.CodeBadVersion, top)
		g.fails(a.DeleteContext(ctx, top, 5), zkhelper.CodeBadVersion, top)
		data, stat := g.data(a, top)
		g.require(data == "" && stat.Version() == 0, data)
	})
}

func TestS15_codes_of_what_is_there_and_is_not(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top := g.home(a)
		missing := top + "/none"
		_, _, err := a.GetContext(ctx, missing)
		g.fails(err, zkhelper.CodeNoNode, missing)
		_, err = a.SetContext(ctx, missing, nil, -1)
		g.fails(err, zkhelper.CodeNoNode, missing)
		g.fails(a.DeleteContext(ctx, missing, -1), zkhelper.CodeNoNode, missing)
		_, _, err = a.ChildrenContext(ctx, missing)
		g.fails(err, zkhelper.CodeNoNode, missing)
		_, err = a.CreateContext(ctx, missing+"/c", nil, 0, open)
		g.fails(err, zkhelper.CodeNoNode, missing)
		g.require(!g.there(a, missing), "an answer, not an error")
		g.make(a, top+"/c", 0)
		_, err = a.CreateContext(ctx, top, nil, 0, open)
		g.fails(err, zkhelper.CodeNodeExists, top)
		g.fails(a.DeleteContext(ctx, top, -1), zkhelper.CodeNotEmpty, top)
	})
}

func TestS16_list_has_its_own_version(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		at := g.make(a, g.home(a)+"/n", 0)
		list := zk.WorldACL(zk.PermRead | zk.PermAdmin)
		_, err := a.SetACLContext(ctx, at, list, 0)
		g.ok(err)
		read, stat, err := a.GetACLContext(ctx, at)
		g.ok(err)
		g.require(len(read) == 1 && read[0] == list[0] && stat.AVersion() == 1 && stat.Version() == 0, read)
		_, err = a.SetACLContext(ctx, at, list, 0)
		g.fails(err, zkhelper.CodeBadVersion, at)
	})
}

func TestS17_multi_is_all_or_nothing(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top := g.home(a)
		create := zk.CreateOp(top+"/a", nil, 0, open)
		_, err := a.Commit(ctx, create, zk.SetOp(top+"/none", nil, -1))
		g.fails(err, zkhelper.CodeNoNode, "none")
		g.require(!g.there(a, top+"/a"), "nothing was made")
		results, err := a.Commit(ctx, create)
		g.ok(err)
		g.require(len(results) == 1 && results[0].Path == top+"/a" && g.there(a, top+"/a"), results)
	})
}

func TestS18_multi_checks_versions(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top := g.home(a)
		_, err := a.Commit(ctx, zk.CheckOp(top, 0), zk.CreateOp(top+"/a", nil, 0, open))
		g.ok(err)
		_, err = a.Commit(ctx, zk.CheckOp(top, 7), zk.CreateOp(top+"/b", nil, 0, open))
		g.fails(err, zkhelper.CodeBadVersion, top)
		g.require(g.children(a, top) == "a", "nothing was made")
	})
}

func TestS19_multi_read_answers_each(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top := g.home(a)
		at := g.make(a, top+"/n", 0)
		g.set(a, at, "data")
		all, err := a.ReadAll(ctx, zk.GetOp(at), zk.ChildrenOp(top), zk.GetOp(top+"/none"))
		g.ok(err)
		g.require(len(all) == 3 && string(all[0].Data) == "data" && all[0].Stat.Version() == 1, all)
		g.require(len(all[1].Children) == 1 && all[1].Children[0] == "n" && all[1].Err == nil, all)
		g.require(codeOf(all[2].Err) == zkhelper.CodeNoNode, all)
	})
}

func TestS20_data_of_every_kind(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top, large := g.home(a), make([]byte, 100000)
		for i := range large {
			large[i] = byte(i)
		}
		for _, data := range [][]byte{nil, large[:256], large} {
			_, err := a.SetContext(ctx, top, data, -1)
			g.ok(err)
			read, _, err := a.GetContext(ctx, top)
			g.ok(err)
			g.require(bytes.Equal(read, data), len(data), "bytes come back as they were")
		}
	})
}

func TestS21_too_large_is_refused_unsent(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top := g.home(a)
		listening, stop := context.WithCancel(ctx)
		defer stop()
		states, session := a.States(listening), a.SessionID()
		g.require(within(g, states).State == zk.StateHasSession, "the present state")
		_, err := a.SetContext(ctx, top, make([]byte, 2000000), -1)
		g.fails(err, zkhelper.CodeTooLarge, top)
		g.set(a, top, "small")
		g.require(a.SessionID() == session, "the session is the same")
		none(g, states)
	})
}

func TestS22_many_at_once_keep_their_order(t *testing.T) {
	both(t, func(g *ground) {
		const count = 200
		a := g.join()
		top := g.home(a)
		ops := make([]zk.Op, count)
		for i := range ops {
			ops[i] = zk.SetOp(top, []byte(fmt.Sprint(i)), -1)
		}
		for i, result := range a.Pipeline(ctx, ops...) {
			g.ok(result.Err)
			g.require(result.Stat.Version() == i+1, "they keep their order", i, result.Stat.Version())
		}
		data, stat := g.data(a, top)
		g.require(data == fmt.Sprint(count-1) && stat.Version() == count, data)
	})
}

func TestS23_sync_then_read(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		top := g.home(a)
		g.set(a, top, "new")
		g.ok(b.SyncContext(ctx, top))
		data, _ := g.data(b, top)
		g.require(data == "new", data)
	})
}

func TestS24_ephemerals_of_the_session(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		top := g.home(a)
		one, two := g.make(a, top+"/one", zk.FlagEphemeral), g.make(a, top+"/two", zk.FlagEphemeral)
		g.make(g.join(), top+"/three", zk.FlagEphemeral)
		all, err := a.Ephemerals(ctx, top)
		g.ok(err)
		g.require(len(all) == 2 && all[0] != all[1], all)
		for _, path := range all {
			g.require(path == one || path == two, all)
		}
	})
}
