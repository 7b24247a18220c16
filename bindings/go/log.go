package zkhelper

import "zkhelper/internal/abi"

// LogLevel is how grave a log record is.
type LogLevel int

// The levels, the gravest first.
const (
	LogOff   LogLevel = abi.LogOff
	LogError LogLevel = abi.LogError
	LogWarn  LogLevel = abi.LogWarn
	LogInfo  LogLevel = abi.LogInfo
	LogDebug LogLevel = abi.LogDebug
	LogTrace LogLevel = abi.LogTrace
)

// LogFunc gets a log record: target is the part of the library, message is one line.
type LogFunc func(level LogLevel, target, message string)

// SetLogFunc sets who gets the library's log records of this level and the graver ones, and what was dropped without Close;
// nil sets nobody. Records wait in a queue of bounded length: where log is too slow some are dropped, and one
// says how many. See SetLogger for log/slog (Go 1.21).
func SetLogFunc(level LogLevel, log LogFunc) error {
	if log == nil {
		abi.OnLeak(nil)
		return abi.SetLog(abi.LogOff, nil)
	}
	abi.OnLeak(func(what string) { log(LogWarn, "zkhelper::go", what) })
	return abi.SetLog(int(level), func(level int, target, message string) {
		log(LogLevel(level), target, message)
	})
}

// Version is the version of the C library.
func Version() string { return abi.Version() }
