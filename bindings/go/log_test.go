//go:build go1.21

package zkhelper_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"zkhelper"
	"zkhelper/zkhtest"
)

// lines is what a logger wrote.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *lines) has(what string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), what)
}

func TestASlogLoggerGetsTheRecordsOfItsLevels(t *testing.T) {
	var text lines
	logger := slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelInfo}))
	check(t, zkhelper.SetLogger(logger))
	defer zkhelper.SetLogger(nil)
	server := zkhtest.NewServer(t)
	e := elector(t, server.Conn(t), "/zk/logged")
	term, err := e.Campaign(context.Background())
	check(t, err)
	check(t, term.Resign())
	eventually(t, "a record of the lead", func() bool { return text.has("target=zkhelper::") && text.has("logged") })
	require(t, !text.has("level=DEBUG"), "levels that are not enabled are left out")
}
