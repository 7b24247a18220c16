package zkhelper

import (
	"time"

	"zkhelper/internal/abi"
	"zkhelper/zk"
)

// link is a connection as the core sees it, for as long as it is not released.
type link struct {
	client  *abi.Client
	release func()
	// Where an empty ACL lets anyone do everything.
	lenient bool
	// How long a pid node waits for somebody else's; 0 is the core's default.
	pidWait time.Duration
}

// linkTo is the way from a connection to the core: its own client where it is one of ours, and otherwise one over
// the connection, which it lends.
func linkTo(conn Conn) (*link, error) {
	switch c := conn.(type) {
	case *MyZkConn:
		return own(c.Conn, false), nil
	case *memory:
		return own(c.Conn, true), nil
	}
	return lend(conn)
}

func own(conn *zk.Conn, lenient bool) *link {
	client, _ := abi.ClientOf(conn)
	return &link{client: client, release: func() {}, lenient: lenient}
}
