// Package abi is the C ABI of zkhelper in Go's types, and nothing else: each function hands its arguments over, and
// each completion comes back through a channel. It is the only package that uses cgo, because C's types
// cannot leave a package.
//
// A call that waits is the asynchronous form of the C function: its user_data is a cgo.Handle, its callback puts
// the outcome into a channel, and the goroutine waits there, so that it takes no thread of the operating system.
package abi
