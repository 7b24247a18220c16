//go:build go1.21

package zkhelper

import (
	"context"
	"log/slog"
)

// SetLogger sets the logger that gets the library's log records of the levels that it has enabled now; nil sets
// none. The part of the library that a record is from is the attribute "target".
func SetLogger(logger *slog.Logger) error {
	if logger == nil {
		return SetLogFunc(LogOff, nil)
	}
	ctx := context.Background()
	level := LogOff
	for l := LogError; l <= LogTrace && logger.Enabled(ctx, slogLevel(l)); l++ {
		level = l
	}
	return SetLogFunc(level, func(level LogLevel, target, message string) {
		logger.LogAttrs(ctx, slogLevel(level), message, slog.String("target", target))
	})
}

func slogLevel(level LogLevel) slog.Level {
	switch level {
	case LogError:
		return slog.LevelError
	case LogWarn:
		return slog.LevelWarn
	case LogInfo:
		return slog.LevelInfo
	case LogDebug:
		return slog.LevelDebug
	}
	return slog.LevelDebug - 4
}
