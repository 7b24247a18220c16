package zkhelper_test

import (
	"context"
	"errors"
	"math/rand"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zkhelper"
)

// threads is the number of threads that the operating system has for this process.
func threads(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	check(t, err)
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, "Threads:") {
			count, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "Threads:")))
			check(t, err)
			return count
		}
	}
	t.Fatal("no number of threads")
	return 0
}

func TestAThousandWaitingGoroutinesTakeNoThreads(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		const waiters = 1000
		conn := connect(t, address)
		holder := mutex(t, conn, root)
		check(t, holder.Lock(""))
		before := threads(t)
		ctx, cancel := context.WithCancel(context.Background())
		var all sync.WaitGroup
		var granted, cancelled int32
		for i := 0; i < waiters; i++ {
			m := mutex(t, conn, root)
			all.Add(1)
			go func() {
				defer all.Done()
				switch err := m.LockContext(ctx, ""); {
				case err == nil:
					atomic.AddInt32(&granted, 1)
					check(t, m.Unlock())
				case errors.Is(err, context.Canceled):
					atomic.AddInt32(&cancelled, 1)
				default:
					t.Error(err)
				}
			}()
		}
		eventually(t, "all of them waiting", func() bool { return len(contenders(t, conn, root)) == waiters+1 })
		more := threads(t) - before
		t.Logf("%d goroutines wait, %d threads more", waiters, more)
		require(t, more <= 12, "they take at most a dozen threads", more)
		// One is served, and all others are cancelled.
		check(t, holder.Unlock())
		eventually(t, "one that is served", func() bool { return atomic.LoadInt32(&granted) > 0 })
		cancel()
		all.Wait()
		require(t, int(granted+cancelled) == waiters, "each has one outcome", granted, cancelled)
		require(t, len(contenders(t, conn, root)) == 0, "no node is left")
	})
}

func TestRandomCancelsLeakNothing(t *testing.T) {
	rounds := 400
	if prove() {
		rounds = 10_000
	}
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		mutexes := make([]*zkhelper.Mutex, 8)
		for i := range mutexes {
			mutexes[i] = mutex(t, conn, root)
		}
		before := runtime.NumGoroutine()
		var all sync.WaitGroup
		var granted, cancelled, holding int32
		for i := range mutexes {
			m, random := mutexes[i], rand.New(rand.NewSource(int64(i)))
			all.Add(1)
			go func() {
				defer all.Done()
				for round := 0; round < rounds/len(mutexes); round++ {
					ctx, cancel := context.WithTimeout(context.Background(),
						time.Duration(random.Intn(4000))*time.Microsecond)
					err := m.LockContext(ctx, "")
					cancel()
					switch {
					case err == nil:
						if atomic.AddInt32(&holding, 1) != 1 {
							t.Error("two hold the lock")
						}
						atomic.AddInt32(&granted, 1)
						atomic.AddInt32(&holding, -1)
						if err := m.Unlock(); err != nil {
							t.Error(err)
						}
					case errors.Is(err, context.DeadlineExceeded):
						atomic.AddInt32(&cancelled, 1)
					default:
						t.Error(err)
					}
				}
			}()
		}
		all.Wait()
		t.Logf("%d granted, %d cancelled", granted, cancelled)
		require(t, granted > 0 && cancelled > 0, "both happen")
		require(t, len(contenders(t, conn, root)) == 0, "no node is left")
		eventually(t, "the goroutines' ends", func() bool { return runtime.NumGoroutine() <= before })
	})
}

// TestWhatIsDroppedIsReported drops what should have been closed.
func TestWhatIsDroppedIsReported(t *testing.T) {
	onEach(t, func(t *testing.T, address, root string) {
		conn := connect(t, address)
		reports := make(chan string, 100)
		check(t, zkhelper.SetLogFunc(zkhelper.LogError, func(_ zkhelper.LogLevel, target, message string) {
			if target == "zkhelper::go" {
				reports <- message
			}
		}))
		defer zkhelper.SetLogFunc(zkhelper.LogOff, nil)
		for i := 0; i < 3; i++ {
			_, err := zkhelper.NewMutex(conn, root+"/dropped")
			check(t, err)
			_, err = zkhelper.NewElector(conn, root+"/dropped-election")
			check(t, err)
		}
		// One that holds its lock keeps it.
		func() {
			m, err := zkhelper.NewMutex(conn, root+"/held")
			check(t, err)
			check(t, m.Lock(""))
		}()
		heard := map[string]bool{}
		eventually(t, "reports", func() bool {
			runtime.GC()
			for {
				select {
				case report := <-reports:
					require(t, !strings.Contains(report, "/held "), "what is held is not dropped", report)
					heard[report] = true
				default:
					return len(heard) == 2
				}
			}
		})
		require(t, len(contenders(t, conn, root+"/held")) == 1, "a lock that is held stays")
	})
}
