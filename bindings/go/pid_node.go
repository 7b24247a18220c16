package zkhelper

import (
	"context"
	"runtime"
	"sync"
	"time"

	"zkhelper/internal/abi"
	"zkhelper/internal/stream"
	"zkhelper/zk"
)

// PidNodeOption changes how a pid node is made.
type PidNodeOption func(*abi.PidNodeOptions)

// PidACL sets the ACL that the node gets each time it is made. The default is DefaultFileACLs.
func PidACL(acl []zk.ACL) PidNodeOption {
	return func(o *abi.PidNodeOptions) { o.ACL = aclOf(acl) }
}

// PidWait sets how long somebody else's node is waited for. The default is one and a half session timeouts, after which the
// owner that left it there is known to live.
func PidWait(wait time.Duration) PidNodeOption {
	return func(o *abi.PidNodeOptions) { o.Wait = &wait }
}

// TakeOver says whose node may be replaced.
type TakeOver int32

// Whose node may be replaced when a pid node is first made.
const (
	TakeOverNever TakeOver = abi.TakeOverNever // Nobody's: the default.
	TakeOverDead  TakeOver = abi.TakeOverDead  // One that no session keeps.
	TakeOverLive  TakeOver = abi.TakeOverLive  // Anybody's, at once; its owner is told.
)

// PidTakeOver sets whose node may be replaced.
func PidTakeOver(whose TakeOver) PidNodeOption {
	return func(o *abi.PidNodeOptions) { o.TakeOver = int32(whose) }
}

// PidEventType is what becomes of a pid node.
type PidEventType int32

// What becomes of a pid node.
const (
	PidMade    PidEventType = abi.PidMade    // It is there.
	PidLost    PidEventType = abi.PidLost    // It is gone, and is being made again.
	PidRefused PidEventType = abi.PidRefused // It cannot be made for now; it is tried again.
)

// PidEvent tells what became of a pid node.
type PidEvent struct {
	Type PidEventType
	Loss Loss  // Why, with PidLost.
	Err  error // Why, with PidRefused.
}

// PidNode is a node that says that its owner lives: it is there while the owner is connected, is made again after its session's end
// or if somebody deletes it, and is gone when it is closed. CreatePidNode is the old package's form of it.
type PidNode struct {
	node    *abi.PidNode
	link    *link
	path    string
	events  *stream.Stream[PidEvent]
	closing sync.Once
	err     error
}

// NewPidNode makes a pid node that is not there yet: Start makes it on the server.
func NewPidNode(conn Conn, path string, data []byte, options ...PidNodeOption) (*PidNode, error) {
	link, err := linkTo(conn)
	if err != nil {
		return nil, err
	}
	var o abi.PidNodeOptions
	if link.pidWait != 0 {
		o.Wait = &link.pidWait
	}
	for _, option := range options {
		option(&o)
	}
	node, err := link.client.NewPidNode(path, data, o)
	if err != nil {
		link.release()
		return nil, err
	}
	p := &PidNode{node: node, link: link, path: path, events: stream.New[PidEvent](nil)}
	events := p.events
	err = node.OnEvent(func(event int32, loss abi.Loss, err error) {
		events.Put(PidEvent{PidEventType(event), loss, err})
	})
	if err != nil {
		node.Free()
		link.release()
		events.Drop()
		return nil, err
	}
	runtime.SetFinalizer(p, (*PidNode).dropped)
	return p, nil
}

// dropped reports a pid node that nobody can close any more. It stays, as the process does.
func (p *PidNode) dropped() {
	abi.Leaked("a zkhelper.PidNode on " + p.path + " was dropped without Close")
}

// Start makes the node on the server, whose parent has to exist, and keeps it. Somebody else's node in the way is waited for as the
// options say, and then refused with CodeNodeExists. When the context ends no node stays.
func (p *PidNode) Start(ctx context.Context) error {
	defer runtime.KeepAlive(p)
	return p.node.Start().Wait(ctx).Err
}

// Events tells what becomes of the node, in order; what is not read is kept. Close closes the channel.
func (p *PidNode) Events() <-chan PidEvent { return p.events.C() }

// IsThere says whether the node is there, as far as is known.
func (p *PidNode) IsThere() bool { return p.node.IsThere() }

// Path is the node's path.
func (p *PidNode) Path() string { return p.path }

// Close removes the node, and ends the pid node: it is gone when this returns nil. CodeOutcomeUnknown says that the server did not
// confirm: the removal then goes on by itself. A second Close does nothing.
func (p *PidNode) Close() error {
	p.closing.Do(func() {
		runtime.SetFinalizer(p, nil)
		p.err = p.node.Close().Wait(context.Background()).Err
		p.node.Free()
		p.link.release()
		p.events.Drop()
	})
	return p.err
}
