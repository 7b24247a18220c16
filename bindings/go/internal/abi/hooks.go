package abi

import (
	"log"
	"sync"
)

// What packages of this module tell each other without telling users: set by package zk.
var (
	// ClientOf is the client of a *zk.Conn.
	ClientOf func(conn interface{}) (*Client, bool)
	// ConnectLeniently makes a *zk.Conn for which an empty ACL lets anyone do everything.
	ConnectLeniently func(address string) (interface{}, error)
	// OpResults makes a []zk.OpResult.
	OpResults func(results []*Result) interface{}
)

var leaks struct {
	sync.Mutex
	tell func(what string)
}

// OnLeak sets who is told of what was dropped without Close; nil is the standard logger.
func OnLeak(tell func(what string)) {
	leaks.Lock()
	defer leaks.Unlock()
	leaks.tell = tell
}

// Leaked reports what was dropped without Close.
func Leaked(what string) {
	leaks.Lock()
	tell := leaks.tell
	leaks.Unlock()
	if tell == nil {
		log.Printf("zkhelper: %s", what)
		return
	}
	tell(what)
}
