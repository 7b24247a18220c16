package zkhelper_test

import (
	"context"
	"testing"

	"zkhelper"
	"zkhelper/zkhtest"
)

// What a call costs from Go, on the embedded server: go test -run - -bench .

func BenchmarkVersion(b *testing.B) {
	for i := 0; i < b.N; i++ {
		_ = zkhelper.Version()
	}
}

func BenchmarkGet(b *testing.B) {
	conn := zkhtest.NewServer(b).Conn(b)
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if _, _, err := conn.Get("/"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGetParallel(b *testing.B) {
	conn := zkhtest.NewServer(b).Conn(b)
	b.ResetTimer()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := conn.Get("/"); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkLockAndUnlock(b *testing.B) {
	conn := zkhtest.NewServer(b).Conn(b)
	m, err := zkhelper.NewMutex(conn, "/zk/bench")
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if err := m.LockContext(context.Background(), ""); err != nil {
			b.Fatal(err)
		}
		if err := m.Unlock(); err != nil {
			b.Fatal(err)
		}
	}
}
