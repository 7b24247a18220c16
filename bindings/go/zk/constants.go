package zk

// DefaultPort is ZooKeeper's port, where an address names none.
const DefaultPort = 2181

// EventType is what an event tells.
type EventType int32

// The events. EventSession tells of a change of state; EventNotWatching is the last event of a watch that
// cannot see any more, and says why in Err.
const (
	EventNodeCreated         = EventType(1)
	EventNodeDeleted         = EventType(2)
	EventNodeDataChanged     = EventType(3)
	EventNodeChildrenChanged = EventType(4)

	EventSession     = EventType(-1)
	EventNotWatching = EventType(-2)
	// EventMayHaveMissed is an event of a Watch, which stays: the connection was away, so read again what you rely on.
	EventMayHaveMissed = EventType(-3)
)

// String is the constant's name.
func (t EventType) String() string {
	switch t {
	case EventNodeCreated:
		return "EventNodeCreated"
	case EventNodeDeleted:
		return "EventNodeDeleted"
	case EventNodeDataChanged:
		return "EventNodeDataChanged"
	case EventNodeChildrenChanged:
		return "EventNodeChildrenChanged"
	case EventSession:
		return "EventSession"
	case EventNotWatching:
		return "EventNotWatching"
	case EventMayHaveMissed:
		return "EventMayHaveMissed"
	}
	return "Unknown"
}

// State is the state of a connection.
type State int32

// The states. A connection is StateConnecting until a server answered, then StateConnected and at once
// StateHasSession; StateDisconnected when the server is away; StateExpired when the session is over.
// Events of nodes have StateSyncConnected.
const (
	StateUnknown           = State(-1)
	StateDisconnected      = State(0)
	StateConnecting        = State(1)
	StateSyncConnected     = State(3)
	StateAuthFailed        = State(4)
	StateConnectedReadOnly = State(5)
	StateSaslAuthenticated = State(6)
	StateExpired           = State(-112)

	StateConnected  = State(100)
	StateHasSession = State(101)
)

// String is the constant's name.
func (s State) String() string {
	switch s {
	case StateUnknown:
		return "StateUnknown"
	case StateDisconnected:
		return "StateDisconnected"
	case StateConnecting:
		return "StateConnecting"
	case StateSyncConnected:
		return "StateSyncConnected"
	case StateAuthFailed:
		return "StateAuthFailed"
	case StateConnectedReadOnly:
		return "StateConnectedReadOnly"
	case StateSaslAuthenticated:
		return "StateSaslAuthenticated"
	case StateExpired:
		return "StateExpired"
	case StateConnected:
		return "StateConnected"
	case StateHasSession:
		return "StateHasSession"
	}
	return "Unknown"
}

// What Conn.Create makes: a plain node is 0, and these may be added.
const (
	FlagEphemeral = 1
	FlagSequence  = 2
)

// Permissions in an ACL.
const (
	PermRead = 1 << iota
	PermWrite
	PermCreate
	PermDelete
	PermAdmin
	PermAll = 0x1f
)
