//go:build !zkhelper_static

package zkhelper_test

const tags = ""
