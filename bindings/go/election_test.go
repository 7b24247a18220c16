package zkhelper_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zkhelper"
	"zkhelper/zk"
	"zkhelper/zkhtest"
)

// short leases let a test be short: everyone in an election has the same.
var short = zkhelper.LeaderLease(500*time.Millisecond, 500*time.Millisecond)

func elector(t *testing.T, conn zkhelper.Conn, path string, options ...zkhelper.ElectorOption) *zkhelper.Elector {
	t.Helper()
	e, err := zkhelper.NewElector(conn, path, append([]zkhelper.ElectorOption{short}, options...)...)
	check(t, err)
	t.Cleanup(e.Close)
	return e
}

func TestCampaignsLeadOneAfterTheOther(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		ctx := context.Background()
		first := elector(t, connect(t, address), root, zkhelper.LeaderContents(map[string]interface{}{"name": "first"}))
		second := elector(t, connect(t, address), root)
		nobody, err := first.Leader(ctx)
		require(t, err == nil && nobody == nil, "nobody led yet", err)

		observed, stop := context.WithCancel(ctx)
		leaders, err := elector(t, connect(t, address), root).Observe(observed)
		check(t, err)
		require(t, within(t, leaders) == nil, "an observer hears that nobody leads")

		term, err := first.Campaign(ctx)
		check(t, err)
		require(t, term.Leading() && term.Token() > 0 && term.ValidUntil().After(time.Now()), "the first leads")
		leader, err := second.Leader(ctx)
		check(t, err)
		contents, err := leader.Contents()
		check(t, err)
		require(t, leader.Token == term.Token() && leader.Standing == zkhelper.Leading && contents["name"] == "first",
			"the record says so", contents)
		require(t, within(t, leaders).Token == term.Token(), "and the observer hears it")

		next := make(chan *zkhelper.Term, 1)
		go func() {
			term, err := second.Campaign(ctx)
			check(t, err)
			next <- term
		}()
		eventually(t, "a second candidate", func() bool {
			return len(contenders(t, connect(t, address), root+"/candidates")) == 2
		})
		check(t, term.Resign())
		check(t, term.Resign())
		after := within(t, next)
		require(t, after.Token() > term.Token(), "the second leads, with a larger token")
		for leader := within(t, leaders); leader.Token != after.Token(); {
			leader = within(t, leaders)
		}
		check(t, after.Resign())
		stop()
		eventually(t, "the end of the observer", func() bool {
			select {
			case _, open := <-leaders:
				return !open
			default:
				return false
			}
		})
	})
}

func TestACampaignWhoseContextEndsLeavesNoCandidate(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		leader, candidate := elector(t, conn, root), elector(t, conn, root)
		term, err := leader.Campaign(context.Background())
		check(t, err)
		for i := 0; i < 3; i++ {
			ctx, cancel := context.WithCancel(context.Background())
			failed := make(chan error, 1)
			go func() {
				_, err := candidate.Campaign(ctx)
				failed <- err
			}()
			eventually(t, "a candidate", func() bool { return len(contenders(t, conn, root+"/candidates")) == 2 })
			cancel()
			err := within(t, failed)
			require(t, errors.Is(err, context.Canceled), "it was cancelled", err)
			require(t, len(contenders(t, conn, root+"/candidates")) == 1, "its node is gone")
		}
		check(t, term.Resign())
		term, err = candidate.Campaign(context.Background())
		check(t, err)
		check(t, term.Resign())
	})
}

func TestALeaderIsToldToStop(t *testing.T) {
	server := zkhtest.NewServer(t)
	conn := server.Conn(t)
	e := elector(t, conn, "/zk/stop")
	term, err := e.Campaign(context.Background())
	check(t, err)
	server.Expire(conn.SessionID())
	within(t, term.Stopped())
	require(t, !term.Leading(), "it leads no more")
	check(t, term.Resign())
	again, err := e.Campaign(context.Background())
	check(t, err)
	require(t, again.Token() > term.Token(), "it may lead again")
	check(t, again.Resign())
}

// task counts those of its kind that run.
type task struct {
	running     *int32
	overlapped  *int32
	runs        int32
	quit        chan struct{}
	stopping    sync.Once
	interrupted int32
	fail        error
}

func newTask(running, overlapped *int32) *task {
	return &task{running: running, overlapped: overlapped, quit: make(chan struct{})}
}

func (k *task) Run() error {
	if atomic.AddInt32(k.running, 1) > 1 {
		atomic.StoreInt32(k.overlapped, 1)
	}
	defer atomic.AddInt32(k.running, -1)
	atomic.AddInt32(&k.runs, 1)
	if k.fail != nil {
		return k.fail
	}
	<-k.quit
	return nil
}

func (k *task) Stop() { k.stopping.Do(func() { close(k.quit) }) }

func (k *task) Interrupted() bool { return atomic.LoadInt32(&k.interrupted) != 0 }

func TestRunTaskElectsTheNextWhenATaskWasInterrupted(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		var running, overlapped int32
		tasks, ended := []*task{}, []chan error{}
		for i := 0; i < 3; i++ {
			elector, err := zkhelper.CreateElectionWithContents(connect(t, address), root, map[string]interface{}{"id": i})
			check(t, err)
			one, end := newTask(&running, &overlapped), make(chan error, 1)
			tasks, ended = append(tasks, one), append(ended, end)
			go func() { end <- elector.RunTask(one) }()
			watcher := connect(t, address)
			eventually(t, "a candidate", func() bool {
				return len(contenders(t, watcher, root+"/candidates")) == i+1
			})
		}
		for i, one := range tasks {
			one := one
			eventually(t, "its turn", func() bool { return atomic.LoadInt32(&one.runs) == 1 })
			data, _, err := connect(t, address).Get(root + "/leader")
			check(t, err)
			var record map[string]interface{}
			check(t, json.Unmarshal(data, &record))
			require(t, record["id"] == float64(i), "the record names the leader", record)
			atomic.StoreInt32(&one.interrupted, 1)
			one.Stop()
			require(t, within(t, ended[i]) == zkhelper.ErrInterrupted, "an interrupted task ends the election")
		}
		require(t, overlapped == 0, "no two tasks ran at a time")
		require(t, len(contenders(t, connect(t, address), root+"/candidates")) == 0, "no candidate is left")
	})
}

func TestRunTaskBacksOffAfterATaskThatFails(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		var running, overlapped int32
		election := zkhelper.CreateElection(connect(t, address), root)
		one := newTask(&running, &overlapped)
		one.fail = errors.New("cannot start")
		ended := make(chan error, 1)
		began := time.Now()
		go func() { ended <- election.RunTask(one) }()
		eventually(t, "four runs", func() bool { return atomic.LoadInt32(&one.runs) == 4 })
		// At least half of 100, 200 and 400 ms.
		require(t, time.Since(began) >= 350*time.Millisecond, "there are pauses, and they grow", time.Since(began))
		election.Interrupt()
		require(t, within(t, ended) == zkhelper.ErrInterrupted, "an interrupt ends it")
	})
}

func TestClosingTheConnectionStopsTheTaskAndEndsTheElection(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		var running, overlapped int32
		election := zkhelper.CreateElection(conn, root)
		one := newTask(&running, &overlapped)
		ended := make(chan error, 1)
		go func() { ended <- election.RunTask(one) }()
		eventually(t, "its turn", func() bool { return atomic.LoadInt32(&one.runs) == 1 })
		conn.Close()
		require(t, within(t, ended) == zk.ErrClosing, "the election is over")
		require(t, atomic.LoadInt32(&running) == 0, "the task has ended")
	})
}

func TestAnElectorIsALockToo(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		var locker zkhelper.ZLocker = zkhelper.CreateElection(conn, root)
		check(t, locker.Lock(""))
		require(t, zkhelper.CreateElection(conn, root).LockWithTimeout(0, "") == zkhelper.ErrTimeout, "it excludes")
		check(t, locker.Unlock())
		locker.Interrupt()
		require(t, locker.Lock("") == zkhelper.ErrInterrupted, "an interrupt is remembered")
		election := zkhelper.CreateElection(conn, root)
		election.Interrupt()
		var running, overlapped int32
		err := election.RunTask(newTask(&running, &overlapped))
		require(t, err == zkhelper.ErrInterrupted, "by RunTask too", err)
	})
}
