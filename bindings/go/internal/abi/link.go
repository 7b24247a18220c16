//go:build !zkhelper_static

package abi

// #cgo pkg-config: zkhelper
import "C"
