package zk

import (
	"time"

	"zkhelper/internal/abi"
)

// What the other packages of this module need of a connection, and nobody else.
func init() {
	abi.ClientOf = func(conn interface{}) (*abi.Client, bool) {
		if c, ok := conn.(*Conn); ok {
			return c.core.client, true
		}
		return nil, false
	}
	abi.ConnectTo = func(address string, options abi.ClientOptions, lenient bool) (interface{}, error) {
		if options.SessionTimeout == time.Duration(0) {
			options.SessionTimeout = sessionTimeout
		}
		conn, _, err := connect([]string{address}, options, lenient)
		return conn, err
	}
}
