// Package rows has the rows of the comparison, with a goroutine for each worker.
package rows

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sort"
	"sync"
	"time"
)

const (
	paths    = 64
	sessions = 16
)

// Lock is a lock that may be taken again and again.
type Lock interface {
	Acquire()
	Release()
	Close()
}

// Session is one session of a client.
type Session interface {
	// Make makes a node that stays, with its parents.
	Make(path string)
	Lock(path string) Lock
	Count(path string) int
	// Lead leads once: calls led, then resign, which waits, and gives the lead up.
	Lead(path string, led, resign func())
	Close()
}

type cost struct {
	Cycles  int      `json:"cycles"`
	Seconds float64  `json:"seconds"`
	Median  *float64 `json:"median_us"`
}

func median(each []time.Duration) *float64 {
	sort.Slice(each, func(i, j int) bool { return each[i] < each[j] })
	us := each[len(each)/2].Seconds() * 1e6
	return &us
}

func cycles(lock Lock, count int) {
	defer lock.Close()
	for i := 0; i < count; i++ {
		lock.Acquire()
		lock.Release()
	}
}

func together(works []func()) time.Duration {
	var all sync.WaitGroup
	begin := time.Now()
	for _, work := range works {
		work := work
		all.Add(1)
		go func() {
			defer all.Done()
			work()
		}()
	}
	all.Wait()
	return time.Since(begin)
}

func alone(connect func() Session, path string, count int) cost {
	s := connect()
	defer s.Close()
	s.Make(path)
	lock := s.Lock(path)
	defer lock.Close()
	var each []time.Duration
	begin := time.Now()
	for i := 0; i < count; i++ {
		since := time.Now()
		lock.Acquire()
		lock.Release()
		each = append(each, time.Since(since))
	}
	return cost{count, time.Since(begin).Seconds(), median(each)}
}

func onPaths(connect func() Session, path string, count int) cost {
	s := connect()
	defer s.Close()
	var works []func()
	for i := 0; i < paths; i++ {
		at := fmt.Sprintf("%s/%d", path, i)
		s.Make(at)
		works = append(works, func() { cycles(s.Lock(at), count) })
	}
	return cost{paths * count, together(works).Seconds(), nil}
}

func handoff(connect func() Session, path string, count int) cost {
	var works []func()
	for i := 0; i < sessions; i++ {
		s := connect()
		defer s.Close()
		s.Make(path)
		works = append(works, func() { cycles(s.Lock(path), count) })
	}
	return cost{sessions * count, together(works).Seconds(), nil}
}

func drain(connect func() Session, path string, count int) cost {
	s := connect()
	defer s.Close()
	s.Make(path)
	first := s.Lock(path)
	defer first.Close()
	first.Acquire()
	var waiters sync.WaitGroup
	for i := 0; i < count; i++ {
		waiters.Add(1)
		go func() {
			defer waiters.Done()
			cycles(s.Lock(path), 1)
		}()
	}
	for s.Count(path) <= count {
		time.Sleep(50 * time.Millisecond)
	}
	// So that the last ones watch, too.
	time.Sleep(500 * time.Millisecond)
	begin := time.Now()
	first.Release()
	waiters.Wait()
	return cost{count, time.Since(begin).Seconds(), nil}
}

// election lets two candidates lead in turn; a fail-over counts from when the leader is told to give up.
func election(connect func() Session, path string, count int) cost {
	led, resign, over := make(chan time.Time), make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	for i := 0; i < 2; i++ {
		s := connect()
		s.Make(path)
		all.Add(1)
		go func() {
			defer all.Done()
			defer s.Close()
			for {
				select {
				case <-over:
					return
				default:
				}
				s.Lead(path, func() {
					select {
					case led <- time.Now():
					case <-over:
					}
				}, func() {
					select {
					case <-resign:
					case <-over:
					}
				})
			}
		}()
	}
	<-led
	var each []time.Duration
	begin := time.Now()
	for i := 0; i < count; i++ {
		// The other candidate stands ready by now.
		time.Sleep(20 * time.Millisecond)
		told := time.Now()
		resign <- struct{}{}
		each = append(each, (<-led).Sub(told))
	}
	seconds := time.Since(begin).Seconds()
	close(over)
	all.Wait()
	return cost{count, seconds, median(each)}
}

// Work does what each line of the input says, and answers with a line of JSON.
func Work(connect func() Session) {
	rows := map[string]func(func() Session, string, int) cost{
		"alone": alone, "paths": onPaths, "handoff": handoff, "drain": drain, "election": election,
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		var row, path string
		var count int
		if _, err := fmt.Sscan(in.Text(), &row, &path, &count); err != nil || rows[row] == nil {
			log.Fatalf("%q: want ROW PATH COUNT", in.Text())
		}
		answer, err := json.Marshal(rows[row](connect, path, count))
		Check(err)
		fmt.Println(string(answer))
	}
}

// Check ends the worker on an error.
func Check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
