package abi

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

func connected(t *testing.T) *Client {
	t.Helper()
	server, err := StartServer(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Free)
	client, err := NewClient(server.Address(), ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Free)
	if err := client.WaitConnected(-1).Wait(context.Background()).Err; err != nil {
		t.Fatal(err)
	}
	return client
}

func mutex(t *testing.T, client *Client, path string) *Mutex {
	t.Helper()
	m, err := client.NewMutex(path, MutexOptions{}, func(int64, Loss) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Free)
	return m
}

// settled fails where calls that are over are counted still.
func settled(t *testing.T) {
	t.Helper()
	if n := pending.Load(); n != 0 {
		t.Fatalf("%d calls are counted as pending", n)
	}
}

func TestACallThatIsAloneIsOverWhenItHasBegun(t *testing.T) {
	client := connected(t)
	m := mutex(t, client, "/zk/alone")
	const cycles = 500
	over := 0
	wait := func(call *Call) {
		over += len(call.done)
		if err := call.Wait(context.Background()).Err; err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < cycles; i++ {
		wait(m.Lock(-1, ""))
		wait(m.Unlock())
	}
	settled(t)
	t.Logf("%d of %d calls were over when they had begun", over, 2*cycles)
	// On a slow machine many may take longer than that.
	if over < cycles/5 {
		t.Fatalf("only %d of %d calls were over when they had begun", over, 2*cycles)
	}
}

func TestWhatTakesLongIsNoCompanyForOthers(t *testing.T) {
	client := connected(t)
	held, waiting := mutex(t, client, "/zk/long"), mutex(t, client, "/zk/long")
	if err := held.Lock(-1, "").Wait(context.Background()).Err; err != nil {
		t.Fatal(err)
	}
	call := waiting.Lock(-1, "")
	settled(t)
	over := 0
	for i := 0; i < 100; i++ {
		read := client.Get("/zk/long")
		over += len(read.done)
		if err := read.Wait(context.Background()).Err; err != nil {
			t.Fatal(err)
		}
	}
	if over < 10 {
		t.Fatalf("only %d of 100 reads were over when they had begun", over)
	}
	if err := held.Unlock().Wait(context.Background()).Err; err != nil {
		t.Fatal(err)
	}
	if err := call.Wait(context.Background()).Err; err != nil {
		t.Fatal(err)
	}
	settled(t)
}

func TestAContextEndsACallThatIsAlone(t *testing.T) {
	client := connected(t)
	held, waiting := mutex(t, client, "/zk/context"), mutex(t, client, "/zk/context")
	if err := held.Lock(-1, "").Wait(context.Background()).Err; err != nil {
		t.Fatal(err)
	}
	for _, limit := range []time.Duration{0, 300 * time.Microsecond, 5 * time.Millisecond} {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		outcome := waiting.Lock(-1, "").Wait(ctx)
		cancel()
		if !errors.Is(outcome.Err, context.DeadlineExceeded) {
			t.Fatal(outcome.Err)
		}
	}
	settled(t)
}

func TestCallsThatBeginTogetherWaitForNone(t *testing.T) {
	client := connected(t)
	calls := make([]*Call, 100)
	Together(func() {
		if pending.Load() != 1 {
			t.Error("the first would be alone")
		}
		for i := range calls {
			calls[i] = client.Get("/")
		}
	})
	for _, call := range calls {
		if err := call.Wait(context.Background()).Err; err != nil {
			t.Fatal(err)
		}
	}
	settled(t)
}

// Goroutines that are alone by turns, and in company: each call has one outcome, and none is counted twice.
func TestEveryCallIsCountedOnce(t *testing.T) {
	client := connected(t)
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		m := mutex(t, client, fmt.Sprintf("/zk/counted-%d", i/2))
		all.Add(1)
		go func(i int) {
			defer all.Done()
			for round := 0; round < 100; round++ {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(round*i)*20*time.Microsecond)
				err := m.Lock(-1, "").Wait(ctx).Err
				cancel()
				if err == nil {
					err = m.Unlock().Wait(context.Background()).Err
				} else if errors.Is(err, context.DeadlineExceeded) {
					err = nil
				}
				if err != nil {
					t.Error(err)
				}
				if round%10 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
		}(i)
	}
	all.Wait()
	settled(t)
}
