package zk

import "zkhelper/internal/abi"

// What the other packages of this module need of a connection, and nobody else.
func init() {
	abi.ClientOf = func(conn interface{}) (*abi.Client, bool) {
		if c, ok := conn.(*Conn); ok {
			return c.core.client, true
		}
		return nil, false
	}
	abi.ConnectLeniently = func(address string) (interface{}, error) {
		var options abi.ClientOptions
		options.Set(abi.SetSessionTimeout, sessionTimeout)
		return open(address, options, true)
	}
	abi.OpResults = func(results []*abi.Result) interface{} { return opResults(results) }
}
