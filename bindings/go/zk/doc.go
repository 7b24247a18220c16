// Package zk has the types and the connection of the old driver github.com/ngaut/go-zookeeper/zk, over zkhelper's client.
//
// A program that imported the old driver imports this package instead and compiles: Connect, Conn, ACL, Stat, Event,
// State, the flags, permissions and errors have their old names, signatures and texts. The methods of Conn return the error
// variables of this package themselves, so they may be compared with ==.
//
// What a connection does by itself: it tries the servers until one answers, asks for a session of 30 seconds, makes a
// new session where one has expired, and carries on watches through reconnects. While no server is connected a request
// waits up to 15 seconds for one.
package zk
