package conformance_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"zkhelper"
)

// Elections: scenarios 68 to 76.

func (g *ground) elector(conn zkhelper.Conn, path string, lease time.Duration) *zkhelper.Elector {
	g.Helper()
	e, err := zkhelper.NewElector(conn, path, zkhelper.LeaderLease(lease, 200*time.Millisecond),
		zkhelper.LeaderBackoff(5*time.Millisecond, 20*time.Millisecond))
	g.ok(err)
	g.Cleanup(e.Close)
	return e
}

// candidacy is an elector that runs: its terms as they begin, why they are told to stop, how they are to end, and how the
// election ended.
type candidacy struct {
	terms chan *zkhelper.Term
	stops chan zkhelper.Stop
	ends  chan error
	over  <-chan error
}

// interrupted is what a task ends the election with.
var interrupted error = zkhelper.CodeInterrupted

func (g *ground) stand(e *zkhelper.Elector) *candidacy {
	c := &candidacy{
		terms: make(chan *zkhelper.Term, 16), stops: make(chan zkhelper.Stop, 16), ends: make(chan error, 16),
	}
	c.over = waiting(func() error { return e.Run(ctx, c.serve) })
	// So that the elector's end does not wait for a task.
	g.Cleanup(func() { c.ends <- interrupted })
	return c
}

func (c *candidacy) serve(ctx context.Context, term *zkhelper.Term) error {
	c.terms <- term
	select {
	case <-ctx.Done():
		<-term.Stopped()
		c.stops <- term.StopReason()
		return <-c.ends
	case err := <-c.ends:
		return err
	}
}

func (g *ground) leads(c *candidacy) *zkhelper.Term {
	g.Helper()
	return within(g, c.terms)
}

func (g *ground) candidates(conn *zkhelper.MyZkConn, at string, count int) {
	g.Helper()
	g.until(conn, at+"/candidates", count)
}

func (g *ground) standing(e *zkhelper.Elector) (zkhelper.Standing, int64) {
	g.Helper()
	leader, err := e.Leader(ctx)
	g.ok(err)
	return leader.Standing, leader.Token
}

func TestS68_leader_record_says_who(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a) + "/election"
		one, two := g.elector(a, at, minute), g.elector(b, at, minute)
		c := g.stand(one)
		term := g.leads(c)
		standing, token := g.standing(two)
		g.require(standing == zkhelper.Leading && token == term.Token(), standing, token)
		c.ends <- interrupted
		g.fails(within(g, c.over), zkhelper.CodeInterrupted)
		standing, token = g.standing(two)
		g.require(standing == zkhelper.Gone && token == term.Token(), standing, token)
	})
}

func TestS69_one_leads_and_tokens_grow(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at, began := g.home(a)+"/election", time.Now()
		one, two := g.elector(a, at, minute), g.elector(b, at, minute)
		first := g.stand(one)
		term := g.leads(first)
		second := g.stand(two)
		g.candidates(b, at, 2)
		all, err := two.Candidates(ctx)
		g.ok(err)
		g.require(len(all) == 2 && all[0].Token == term.Token() && all[1].SessionID == b.SessionID(), all)
		none(g, second.terms)
		one.Interrupt()
		g.require(within(g, first.stops) == zkhelper.StopInterrupted, "it is told why")
		first.ends <- nil
		after := g.leads(second)
		g.require(after.Token() > term.Token() && time.Since(began) < minute, "at once")
	})
}

func TestS70_failed_task_is_elected_again(t *testing.T) {
	both(t, func(g *ground) {
		a := g.join()
		c := g.stand(g.elector(a, g.home(a)+"/election", minute))
		token := int64(0)
		for _, end := range []error{errors.New("the work failed"), nil, interrupted} {
			term := g.leads(c)
			g.require(term.Token() > token, "each term has a greater token")
			token = term.Token()
			c.ends <- end
		}
		g.fails(within(g, c.over), zkhelper.CodeInterrupted)
	})
}

// stops wants an elector that is told to stop to lead until its task has ended.
func stops(t *testing.T, tell func(e *zkhelper.Elector), reason zkhelper.Stop, code zkhelper.Code) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a) + "/election"
		e := g.elector(a, at, minute)
		c := g.stand(e)
		term := g.leads(c)
		told := waiting(func() error { tell(e); return nil })
		g.require(within(g, c.stops) == reason && term.Leading(), "it leads until the task has ended")
		c.ends <- nil
		g.fails(within(g, c.over), code)
		g.ok(within(g, told))
		g.candidates(b, at, 0)
	})
}

func TestS71_interrupt_stops_the_task(t *testing.T) {
	stops(t, (*zkhelper.Elector).Interrupt, zkhelper.StopInterrupted, zkhelper.CodeInterrupted)
}

func TestS72_resigned_leader_stands_again(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a) + "/election"
		one, two := g.elector(a, at, minute), g.elector(b, at, minute)
		first := g.stand(one)
		term := g.leads(first)
		second := g.stand(two)
		g.candidates(b, at, 2)
		g.ok(one.Resign())
		g.require(within(g, first.stops) == zkhelper.StopResigned, "its task is told so")
		first.ends <- nil
		after := g.leads(second)
		g.require(after.Token() > term.Token(), "the other leads")
		g.candidates(b, at, 2)
		none(g, first.terms)
	})
}

func TestS73_close_stops_the_task(t *testing.T) {
	stops(t, (*zkhelper.Elector).Close, zkhelper.StopClosed, zkhelper.CodeClosed)
}

func TestS74_ended_session_deposes(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a) + "/election"
		first := g.stand(g.elector(a, at, time.Second))
		term := g.leads(first)
		second := g.stand(g.elector(b, at, time.Second))
		g.candidates(b, at, 2)
		ending := time.Now()
		g.endSession(a)
		reason := within(g, first.stops)
		g.require(reason == zkhelper.StopSessionOver || reason == zkhelper.StopNodeDeleted ||
			reason == zkhelper.StopLeaseRanOut, reason)
		first.ends <- interrupted
		after := g.leads(second)
		g.require(after.Token() > term.Token() && time.Since(ending) >= 1199*time.Millisecond, time.Since(ending))
	})
}

func TestS75_observers_are_told(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a) + "/election"
		observing, stop := context.WithCancel(ctx)
		defer stop()
		leaders, err := g.elector(b, at, minute).Observe(observing)
		g.ok(err)
		g.require(within(g, leaders) == nil, "nobody leads")
		c := g.stand(g.elector(a, at, minute))
		term := g.leads(c)
		leader := within(g, leaders)
		g.require(leader.Standing == zkhelper.Leading && leader.Token == term.Token(), leader)
		c.ends <- interrupted
		for leader.Standing != zkhelper.Gone {
			leader = within(g, leaders)
		}
		g.require(leader.Token == term.Token(), leader)
	})
}

func TestS76_another_lease_is_refused(t *testing.T) {
	both(t, func(g *ground) {
		a, b := g.join(), g.join()
		at := g.home(a) + "/election"
		term := g.leads(g.stand(g.elector(a, at, minute)))
		other := g.stand(g.elector(b, at, 50*time.Second))
		g.fails(within(g, other.over), zkhelper.CodeBadArgument)
		g.require(term.Leading(), "the first leads on")
	})
}
