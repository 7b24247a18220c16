package zkhelper

import (
	"path"
	"sync"
	"time"

	"zkhelper/internal/abi"
)

// The lease and the grace of an election, and so the lease and the delay of its candidates' lock.
const (
	electionLease = 10 * time.Second
	electionGrace = 5 * time.Second
)

// ElectorTask is the task of a leader: it runs until something bad happens, or until it is stopped.
type ElectorTask interface {
	// Run does the work, and returns when it is over.
	Run() error
	// Stop tells the task to end, once; Run has to return soon.
	Stop()
	// Interrupted says, after Run has returned, whether the election is over for this elector.
	Interrupted() bool
}

// ZElector takes part in an election, by RunTask, or as the lock of the candidates.
type ZElector struct {
	*candidate
}

// candidate is one part in an election, as a lock and as an elector.
type candidate struct {
	lock    *Mutex
	elector *Elector

	mu sync.Mutex
	// Tasks and waits under way, and an interrupt that came while there was none.
	tasks, waits int
	interrupted  bool
}

// CreateElection takes part in the election at a path; RunTask begins. A path that no election can have panics.
func CreateElection(zconn Conn, zkPath string) ZElector {
	elector, err := CreateElectionWithContents(zconn, zkPath, nil)
	if err != nil {
		panic(err)
	}
	return elector
}

// CreateElectionWithContents is CreateElection with further keys for the candidate's node and the leader's record. The map is
// left as it is.
func CreateElectionWithContents(zconn Conn, zkPath string, contents map[string]interface{}) (ZElector, error) {
	lock, err := NewMutex(zconn, path.Join(zkPath, "candidates"), WithContents(contents),
		Strict(electionLease, electionLease+electionGrace))
	if err != nil {
		return ZElector{}, old(err)
	}
	lock.old = true
	elector, err := NewElector(zconn, zkPath, LeaderContents(contents), LeaderDescription("RunTask"),
		LeaderLease(electionLease, electionGrace))
	if err != nil {
		lock.Close()
		return ZElector{}, old(err)
	}
	elector.core.quiet = true
	return ZElector{&candidate{lock: lock, elector: elector}}, nil
}

// begin counts what an interrupt can end, unless one came before.
func (c *candidate) begin(what *int) (end func(), err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.interrupted {
		c.interrupted = false
		return nil, ErrInterrupted
	}
	*what++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		*what--
	}, nil
}

// Lock takes the candidates' lock as a lock, and waits for it.
func (c *candidate) Lock(desc string) error { return c.LockWithTimeout(aYear, desc) }

// LockWithTimeout takes the candidates' lock as a lock, and waits for it at most so long.
func (c *candidate) LockWithTimeout(wait time.Duration, desc string) error {
	end, err := c.begin(&c.waits)
	if err != nil {
		return err
	}
	defer end()
	return c.lock.LockWithTimeout(wait, desc)
}

// Unlock releases the candidates' lock that was taken as a lock.
func (c *candidate) Unlock() error { return c.lock.Unlock() }

// Interrupt ends RunTask with ErrInterrupted, after its task was stopped and has ended; or a wait for the lock. If there
// is neither it is remembered, and ends the next one.
func (c *candidate) Interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.tasks > 0:
		// Only an elector that is closed refuses.
		_ = c.elector.core.elector.Interrupt()
	case c.waits > 0:
		c.lock.Interrupt()
	default:
		c.interrupted = true
	}
}

// RunTask takes part in the election: whenever it leads it runs the task, and after the task ended it stands again, after a
// pause that grows where the task failed. It ends with ErrInterrupted when the task says that it was interrupted, or
// by Interrupt, and with an error that does not pass, such as zk.ErrNoAuth or zk.ErrClosing. The task is told to stop when
// the lead is lost, and has five seconds then.
func (ze *ZElector) RunTask(task ElectorTask) error {
	c := ze.candidate
	end, err := c.begin(&c.tasks)
	if err != nil {
		return err
	}
	defer end()
	c.elector.core.busy <- struct{}{}
	defer func() { <-c.elector.core.busy }()

	var stops sync.WaitGroup
	defer stops.Wait()
	over := make(chan error, 1)
	run := &abi.Run{
		Begin: func(term abi.Term) {
			go func() {
				outcome := abi.TaskFailed
				if task.Run() == nil {
					outcome = abi.TaskDone
				}
				if task.Interrupted() {
					outcome = abi.TaskInterrupted
				}
				// The term is there until now.
				_ = term.End(outcome)
			}()
		},
		// A task of the user's may wait in Stop, and nothing of ours may.
		Stop: func(int64, abi.Stop) {
			stops.Add(1)
			go func() {
				defer stops.Done()
				task.Stop()
			}()
		},
		Over: func(reason error) { over <- reason },
	}
	if err := c.elector.core.elector.Run(run); err != nil {
		return old(err)
	}
	return old(<-over)
}
