package zkhelper

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"zkhelper/internal/abi"
	"zkhelper/zk"
)

// ElectorOption changes how an elector behaves.
type ElectorOption func(*electorOptions)

type electorOptions struct {
	abi.ElectorOptions
	contents map[string]interface{}
}

// LeaderContents adds keys to the JSON object in the candidate's node and in the leader's record, which has hostname, pid,
// desc, id, token and candidate already.
func LeaderContents(contents map[string]interface{}) ElectorOption {
	return func(o *electorOptions) { o.contents = contents }
}

// LeaderDescription sets the desc of the candidate's node and of the leader's record.
func LeaderDescription(desc string) ElectorOption {
	return func(o *electorOptions) { o.Description = desc }
}

// LeaderACL sets the ACL of the candidates' nodes, of the leader's record and of the parents that have to be made.
func LeaderACL(acl []zk.ACL) ElectorOption {
	return func(o *electorOptions) {
		for _, entry := range acl {
			o.ACL = append(o.ACL, abi.ACL(entry))
		}
	}
}

// LeaderPatterns adds what stands before the number in the candidates' nodes of another library: see WithPatterns.
func LeaderPatterns(patterns ...string) ElectorOption {
	return func(o *electorOptions) { o.Patterns = append(o.Patterns, patterns...) }
}

// LeaderLease sets how long a leader believes after the last renewal, and how long its work may take to end after it was
// told to stop. After a leader that did not leave cleanly the next one waits for both, so every candidate has to use the
// same. The defaults are 10 and 5 seconds. A negative grace is for ever, and two leaders may overlap then.
func LeaderLease(lease, grace time.Duration) ElectorOption {
	return func(o *electorOptions) { o.Lease, o.Grace = lease, grace }
}

// LeaderBackoff sets the pause before the next candidacy after a task that failed: it doubles from least to most. The
// defaults are 100 milliseconds and a minute.
func LeaderBackoff(least, most time.Duration) ElectorOption {
	return func(o *electorOptions) { o.MinBackoff, o.MaxBackoff = least, most }
}

// Elector is a part in an election: one leads among all that take part. It campaigns for one term at a time. Close ends
// it.
type Elector struct{ core *electorCore }

type electorCore struct {
	elector *abi.Elector
	link    *link
	path    string
	busy    chan struct{} // Has one in it while a campaign or a term is under way.
	closing sync.Once
	quiet   bool // Nobody is asked to close it.
	// Whether an interrupt of ours, which a context's end led to, was not needed any more: it is remembered, and meant for nobody.
	stale atomic.Bool

	mu   sync.Mutex
	term *Term // Of a campaign.
}

func (c *electorCore) setTerm(term *Term) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.term = term
}

// NewElector makes a part in the election at a path, not yet begun.
func NewElector(conn Conn, path string, options ...ElectorOption) (*Elector, error) {
	var o electorOptions
	for _, option := range options {
		option(&o)
	}
	var err error
	if o.JSON, err = encode(o.contents); err != nil {
		return nil, err
	}
	link, err := linkTo(conn)
	if err != nil {
		return nil, err
	}
	core := &electorCore{link: link, path: path, busy: make(chan struct{}, 1)}
	if core.elector, err = link.client.NewElector(path, o.ElectorOptions); err != nil {
		link.release()
		return nil, err
	}
	e := &Elector{core: core}
	runtime.SetFinalizer(e, (*Elector).dropped)
	return e, nil
}

func (c *electorCore) close() (first bool) {
	c.closing.Do(func() {
		first = true
		c.mu.Lock()
		term := c.term
		c.mu.Unlock()
		// Where it is closed already there is no more to do.
		_ = c.elector.Close()
		if term != nil {
			_ = term.Resign()
		}
		// Until a campaign or a task is over they ask the elector.
		c.busy <- struct{}{}
		c.elector.Free()
		<-c.busy
		c.link.release()
	})
	return first
}

// dropped frees an elector that nobody can reach, and that is not in a term: a term holds its elector.
func (e *Elector) dropped() {
	if e.core.close() && !e.core.quiet {
		abi.Leaked("a zkhelper.Elector on " + e.core.path + " was dropped without Close")
	}
}

// Close ends the elector: a campaign fails with CodeClosed, and its term is resigned, so its work has to be over; a task of Run
// is told to stop, and its end awaited, so do not call it from there. A second Close does nothing.
func (e *Elector) Close() { e.core.close() }

// Term is a time of leading. It ends by Resign, and has to end soon when Stopped says so.
type Term struct {
	elector *Elector
	term    abi.Term
	stopped chan struct{}
	over    chan error
	ending  sync.Once
	err     error
	reason  abi.Stop // Why it has to stop; set before stopped is closed.
	ofRun   bool     // Run ends it.
}

// Campaign stands for the lead and waits until this elector leads, or the context ends. Then the candidacy is withdrawn,
// and its end awaited: no node of it stays. A campaign while there is a term waits for that one's end first.
func (e *Elector) Campaign(ctx context.Context) (*Term, error) {
	select {
	case e.core.busy <- struct{}{}:
	case <-ctx.Done():
		return nil, cancelled(ctx, e.core.path)
	}
	for {
		term, err := e.stand(ctx)
		// An interrupt is ours alone: one that a campaign before this one did not need any more is not meant.
		if ctx.Err() == nil && errors.Is(err, CodeInterrupted) {
			continue
		}
		if err != nil {
			<-e.core.busy
		}
		return term, err
	}
}

func cancelled(ctx context.Context, path string) error {
	message := "campaign " + path + ": " + ctx.Err().Error()
	return abi.Because(&Error{Code: CodeCancelled, Name: "CANCELLED", Message: message, Path: path}, ctx.Err())
}

func (e *Elector) stand(ctx context.Context) (*Term, error) {
	defer runtime.KeepAlive(e)
	began := make(chan abi.Term, 1)
	term := &Term{elector: e, stopped: make(chan struct{}), over: make(chan error, 1)}
	run := &abi.Run{
		Begin: func(t abi.Term) { began <- t },
		Stop:  func(_ int64, reason abi.Stop) { term.stop(reason) },
		Over:  func(reason error) { term.over <- reason },
	}
	if err := e.core.elector.Run(run); err != nil {
		return nil, err
	}
	select {
	case term.term = <-began:
		e.core.setTerm(term)
		held.Store(e.core, e)
		return term, nil
	case err := <-term.over:
		return nil, err
	case <-ctx.Done():
	}
	// A candidacy ends at once, and a term that has just begun is ended by us.
	if err := e.core.elector.Interrupt(); err != nil {
		return nil, err
	}
	select {
	case begun := <-began:
		_ = begun.End(abi.TaskInterrupted)
		<-term.over
	case err := <-term.over:
		e.core.interrupted(err)
	}
	return nil, cancelled(ctx, e.core.path)
}

// Token is the term's fencing token: greater than that of every earlier leader.
func (t *Term) Token() int64 { return t.term.Token }

// Stopped is closed when the leader has to stop: the lead is lost, or the elector or its connection is closed. The
// leader's work has to be over within the grace after that, and Resign called.
func (t *Term) Stopped() <-chan struct{} { return t.stopped }

func (t *Term) stop(reason abi.Stop) {
	t.reason = reason
	close(t.stopped)
}

// Stop is why a leader has to stop.
type Stop = abi.Stop

// Why a leader has to stop. After the first four the next leader may start when the grace is over.
const (
	StopLeaseRanOut  = abi.StopLeaseRanOut  // Nothing proved in time that the lead was still held.
	StopSessionOver  = abi.StopSessionOver  // The session was over.
	StopNodeDeleted  = abi.StopNodeDeleted  // The candidate's node was deleted.
	StopClientClosed = abi.StopClientClosed // The connection was closed.
	StopInterrupted  = abi.StopInterrupted  // By Interrupt, or by the end of Run's context.
	StopResigned     = abi.StopResigned     // By Resign.
	StopClosed       = abi.StopClosed       // By Close.
)

// StopReason is why the leader has to stop; 0 while Stopped is not closed.
func (t *Term) StopReason() Stop {
	select {
	case <-t.stopped:
		return t.reason
	default:
		return 0
	}
}

// Leading says whether this leader leads for certain, at this moment.
func (t *Term) Leading() bool { return t.elector.core.elector.Leading() }

// ValidUntil is until when the lead is certain if nothing renews it further; zero where Leading is false.
func (t *Term) ValidUntil() time.Time {
	now := time.Now()
	if ms := t.elector.core.elector.ValidMs(); ms > 0 {
		return now.Add(time.Duration(ms) * time.Millisecond)
	}
	return time.Time{}
}

// Resign ends a campaign's term, once the leader's work is over: the next leader starts at once. It waits until the
// candidate's node is gone. A second Resign does nothing. A term of Run ends when its task returns: there Resign is Elector.Resign.
func (t *Term) Resign() error {
	if t.ofRun {
		return t.elector.Resign()
	}
	t.ending.Do(func() {
		t.err = t.term.End(abi.TaskInterrupted)
		if t.err == nil {
			<-t.over
		}
		t.elector.core.setTerm(nil)
		held.Delete(t.elector.core)
		<-t.elector.core.busy
	})
	return t.err
}

// Run takes part in the election until it is over for this elector: in each term it runs task, whose context ends when the leader has to
// stop, and stands again after the task has returned; where the task failed, after a pause that grows.
//
// It is over, with CodeInterrupted, when ctx ends, by Interrupt, and when a task returns an error that is CodeInterrupted or
// ErrInterrupted; with CodeClosed after Close; and with an error that does not pass, such as CodeNoAuth. A task that runs then is told to
// stop, and its end awaited. The error is never nil.
func (e *Elector) Run(ctx context.Context, task func(ctx context.Context, term *Term) error) error {
	defer runtime.KeepAlive(e)
	select {
	case e.core.busy <- struct{}{}:
	case <-ctx.Done():
		return cancelled(ctx, e.core.path)
	}
	defer func() { <-e.core.busy }()
	held.Store(e.core, e)
	defer held.Delete(e.core)
	for {
		led, err := e.run(ctx, task)
		// It ends the next candidacy at its beginning.
		if !led && ctx.Err() == nil && errors.Is(err, CodeInterrupted) && e.core.stale.Swap(false) {
			continue
		}
		return err
	}
}

// interrupted takes note of how the election ended that an interrupt of ours was for.
func (c *electorCore) interrupted(over error) { c.stale.Store(!errors.Is(over, CodeInterrupted)) }

// run takes part until the election is over, or the context ends, and says whether this elector led meanwhile.
func (e *Elector) run(
	ctx context.Context, task func(ctx context.Context, term *Term) error,
) (led bool, err error) {
	over := make(chan error, 1)
	var terms sync.WaitGroup
	var mu sync.Mutex
	var present *Term
	run := &abi.Run{
		Begin: func(t abi.Term) {
			term := &Term{elector: e, term: t, stopped: make(chan struct{}), ofRun: true}
			mu.Lock()
			present = term
			mu.Unlock()
			terms.Add(1)
			go func() {
				defer terms.Done()
				term.serve(ctx, task)
			}()
		},
		Stop: func(_ int64, reason abi.Stop) {
			mu.Lock()
			defer mu.Unlock()
			present.stop(reason)
		},
		Over: func(reason error) { over <- reason },
	}
	if err := e.core.elector.Run(run); err != nil {
		return false, err
	}
	select {
	case err = <-over:
	case <-ctx.Done():
		// An elector that is closed refuses, and is over.
		_ = e.core.elector.Interrupt()
		err = <-over
		e.core.interrupted(err)
		if errors.Is(err, CodeInterrupted) {
			err = abi.Because(err, ctx.Err())
		}
	}
	terms.Wait()
	return present != nil, err
}

// serve runs the task of a term of Run.
func (t *Term) serve(ctx context.Context, task func(ctx context.Context, term *Term) error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-t.stopped:
			cancel()
		case <-ctx.Done():
		}
	}()
	outcome := abi.TaskFailed
	defer func() { _ = t.term.End(outcome) }()
	switch err := task(ctx, t); {
	case err == nil:
		outcome = abi.TaskDone
	case errors.Is(err, CodeInterrupted), errors.Is(err, ErrInterrupted):
		outcome = abi.TaskInterrupted
	}
}

// Interrupt ends the election for this elector with CodeInterrupted: a candidacy of Run at once, and a term once its
// task has returned, which is told to stop. If there is neither it is remembered, and ends the next one.
func (e *Elector) Interrupt() {
	defer runtime.KeepAlive(e)
	// Only one that is closed refuses.
	_ = e.core.elector.Interrupt()
}

// Resign gives the lead up: the term is told to stop, and once it has ended somebody else's turn comes; Run stands again
// behind them. It fails with CodeNotHeld where this elector does not lead, or is stopping already.
func (e *Elector) Resign() error {
	defer runtime.KeepAlive(e)
	return e.core.elector.Resign()
}

// Candidates lists who leads and who stands for it, in the order of service. It costs one request for each of them.
func (e *Elector) Candidates(ctx context.Context) ([]Contender, error) {
	defer runtime.KeepAlive(e)
	outcome := e.core.elector.Candidates().Wait(ctx)
	return contendersOf(outcome.Contenders), outcome.Err
}

// Standing is how the leader of a record stands.
type Standing int

// How the leader of a record stands.
const (
	Leading         Standing = abi.StandingLeading // Its candidate's node is there.
	Gone            Standing = abi.StandingGone    // Its candidate's node is gone: nobody leads until the next record.
	StandingUnknown Standing = abi.StandingUnknown // The record is another library's.
)

// Leader is what a leader's record says.
type Leader struct {
	Token    int64 // 0 in a record that another library wrote.
	Standing Standing
	Since    time.Time // When the record was written, by the servers' clock.
	Data     []byte    // The record itself: a JSON object, if this library wrote it.
}

// Contents are the record's keys.
func (l *Leader) Contents() (map[string]interface{}, error) {
	var contents map[string]interface{}
	err := json.Unmarshal(l.Data, &contents)
	return contents, err
}

func leader(l *abi.Leader) *Leader {
	if l == nil {
		return nil
	}
	since := time.Unix(l.SinceMs/1000, l.SinceMs%1000*int64(time.Millisecond))
	return &Leader{Token: l.Token, Standing: Standing(l.Standing), Since: since, Data: l.Data}
}

// Leader is who leads, as the record says and the candidate's node confirms; nil where nobody ever led.
func (e *Elector) Leader(ctx context.Context) (*Leader, error) {
	defer runtime.KeepAlive(e)
	outcome := e.core.elector.Leader().Wait(ctx)
	return leader(outcome.Leader), outcome.Err
}

// Observe tells who leads, and every change of it, until the context ends or the elector is closed; then the channel is
// closed. A nil leader says that nobody ever led. Changes that come faster than they are read are told as one: the channel
// has the latest. One need not stand to observe. A second Observe takes the place of the first.
func (e *Elector) Observe(ctx context.Context) (<-chan *Leader, error) {
	latest := make(chan *Leader, 1)
	failed := make(chan struct{})
	tell := func(l *abi.Leader, err error) {
		if err != nil {
			close(failed)
			return
		}
		// Only this function puts something in, one call at a time.
		select {
		case <-latest:
		default:
		}
		latest <- leader(l)
	}
	if err := e.core.elector.Observe(tell); err != nil {
		return nil, err
	}
	leaders := make(chan *Leader)
	go func() {
		defer close(leaders)
		defer e.core.elector.Observe(nil)
		for {
			select {
			case <-ctx.Done():
				return
			case <-failed:
				return
			case l := <-latest:
				select {
				case leaders <- l:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return leaders, nil
}
