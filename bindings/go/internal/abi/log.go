package abi

// #include "bridge.h"
import "C"

import "runtime/cgo"

// The levels of log records.
const (
	LogOff   = C.ZKH_LOG_OFF
	LogError = C.ZKH_LOG_ERROR
	LogWarn  = C.ZKH_LOG_WARN
	LogInfo  = C.ZKH_LOG_INFO
	LogDebug = C.ZKH_LOG_DEBUG
	LogTrace = C.ZKH_LOG_TRACE
)

// SetLog sets who gets log records of this level and the graver ones; nil sets nobody.
func SetLog(level int, tell func(level int, target, message string)) error {
	var user C.uintptr_t
	if tell != nil {
		user = C.uintptr_t(cgo.NewHandle(tell))
	}
	return told(func(err **C.zkh_error) C.zkh_status { return C.zkhgo_set_log(C.int32_t(level), user, err) })
}

// LogDropped is how many records were dropped.
func LogDropped() uint64 { return uint64(C.zkh_log_dropped()) }

// Version is the library's version.
func Version() string { return C.GoString(C.zkh_version()) }
