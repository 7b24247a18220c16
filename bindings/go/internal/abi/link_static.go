//go:build zkhelper_static

package abi

// #cgo pkg-config: --static zkhelper-static
import "C"
