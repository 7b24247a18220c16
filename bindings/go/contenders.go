package zkhelper

import (
	"context"
	"runtime"
	"time"

	"zkhelper/internal/abi"
	"zkhelper/internal/stream"
	"zkhelper/zk"
)

// Owner says whether a contender lives.
type Owner = abi.Owner

// Whether a contender lives.
const (
	OwnerLiving  = abi.OwnerLiving  // Its node is ephemeral, or has its companion.
	OwnerGone    = abi.OwnerGone    // Its node is persistent, and its owner's session is over: ReleaseDead releases it.
	OwnerUnknown = abi.OwnerUnknown // Its node is persistent and does not say, as those of the old package.
)

// Contender is somebody who holds a lock or waits for it.
type Contender struct {
	Name        string    // The node's name, such as "lock-0000000007".
	Token       int64     // The fencing token, once it holds the lock.
	SessionID   int64     // The session that the node ends with, 0 if it is persistent.
	Since       time.Time // Since when, by the servers' clock.
	Owner       Owner
	Hostname    string
	Pid         int
	Description string // What it wants the lock for.
	Asked       bool   // Whether it was asked to give the lock up, for AskedFor.
	AskedFor    string
	Data        []byte // What the node holds: of this library's locks a JSON object.
}

func contendersOf(all []abi.Contender) []Contender {
	contenders := make([]Contender, 0, len(all))
	for _, c := range all {
		contenders = append(contenders, Contender{
			Name: c.Name, Token: c.Token, SessionID: c.Session, Owner: c.Owner, Hostname: c.Hostname, Pid: int(c.Pid),
			Since:       time.Unix(c.Since/1000, c.Since%1000*int64(time.Millisecond)),
			Description: c.Description, Asked: c.Asked, AskedFor: c.Reason, Data: c.Data,
		})
	}
	return contenders
}

// Contenders lists who holds the lock and who waits for it, in the order of service: the first holds it, or is about to. It
// costs one request for each of them.
func (m *Mutex) Contenders(ctx context.Context) ([]Contender, error) {
	defer runtime.KeepAlive(m)
	outcome := m.core.mutex.Contenders().Wait(ctx)
	return contendersOf(outcome.Contenders), outcome.Err
}

// Revocation is a request to give a lock up. Nothing is forced: the holder decides.
type Revocation struct {
	Token  int64 // The hold that is asked for.
	Reason string
}

// Revocations tells of every request to give up a lock that this mutex holds, from RequestRevocation or Curator's Revoker, until
// the context ends; then the channel is closed. One that was made while this mutex waited for the lock comes when it has
// it. A second call takes the place of the first, whose channel gets nothing more.
func (m *Mutex) Revocations(ctx context.Context) (<-chan Revocation, error) {
	asked := stream.New[Revocation](ctx.Done())
	err := m.core.mutex.OnRevoke(func(token int64, reason string) { asked.Put(Revocation{token, reason}) })
	if err != nil {
		asked.Drop()
		return nil, err
	}
	return asked.C(), nil
}

// RequestRevocation asks the contender with this node to give the lock up; reason is for it to judge. It fails with CodeNoNode where
// there is no such node, and with CodeUnsupported for that of a library that knows no such request.
func (m *Mutex) RequestRevocation(ctx context.Context, name, reason string) error {
	defer runtime.KeepAlive(m)
	return m.core.mutex.RequestRevocation(name, reason).Wait(ctx).Err
}

// ReleaseDead releases the persistent lock node of this name if its owner is gone, so that the next in line has the lock. It waits
// for as long as the owner may still believe. It fails with CodeNodeExists while the owner lives, and with CodeUnsupported
// where the node does not say who owns it: ReleaseByForce is left then.
func (m *Mutex) ReleaseDead(ctx context.Context, name string) error {
	defer runtime.KeepAlive(m)
	return m.core.mutex.ReleaseDead(name).Wait(ctx).Err
}

// ReleaseByForce releases the persistent lock node of this name, whether its owner lives or not: for a human who knows that nobody
// relies on it any more. czxid says which node is meant, as Contender.Token shows it; CodeBadVersion says that it is
// another one by now, and nothing was deleted. An owner that lives hears of it as of a loss.
func (m *Mutex) ReleaseByForce(ctx context.Context, name string, czxid int64) error {
	defer runtime.KeepAlive(m)
	return m.core.mutex.ReleaseByForce(name, czxid).Wait(ctx).Err
}

// Guarded commits a transaction only while this mutex holds the lock: all of its operations or none. It fails with CodeNotHeld
// where the mutex holds no lock, with CodeLockLost where that was lost, and with the code of the operation that failed: nothing
// was changed then.
func (m *Mutex) Guarded(ctx context.Context, ops ...zk.Op) ([]zk.OpResult, error) {
	defer runtime.KeepAlive(m)
	outcome := m.core.mutex.Guarded(abi.NewMultiOf(ops, m.core.link.lenient)).Wait(ctx)
	if outcome.Err != nil {
		return nil, outcome.Err
	}
	return abi.OpResults(outcome.Result.Parts).([]zk.OpResult), nil
}
