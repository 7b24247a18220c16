// Package stream is a channel that takes without waiting: what nobody has read yet is kept, in order.
package stream

import "sync"

// Stream is a channel of any length. Its ends are Put and C.
type Stream[T any] struct {
	mu      sync.Mutex
	waiting []T
	ended   bool
	wake    chan struct{}
	out     chan T
	dropped chan struct{}
}

// New makes a stream, which is closed when done is closed; a nil done never is.
func New[T any](done <-chan struct{}) *Stream[T] {
	s := &Stream[T]{wake: make(chan struct{}, 1), out: make(chan T), dropped: make(chan struct{})}
	go s.run(done)
	return s
}

// C is where values come out. It is closed at the stream's end.
func (s *Stream[T]) C() <-chan T { return s.out }

// Put puts a value in, and never waits. After the end it is dropped.
func (s *Stream[T]) Put(value T) {
	s.mu.Lock()
	if !s.ended {
		s.waiting = append(s.waiting, value)
	}
	s.mu.Unlock()
	s.nudge()
}

// End closes the stream behind what was put in before.
func (s *Stream[T]) End() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.nudge()
}

// Drop closes the stream at once, with what nobody has read. It is called once.
func (s *Stream[T]) Drop() {
	s.End()
	close(s.dropped)
}

func (s *Stream[T]) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// next is the next value, if there is one; over says that there will be none.
func (s *Stream[T]) next() (value T, some, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return value, false, s.ended
	}
	value = s.waiting[0]
	s.waiting = s.waiting[1:]
	return value, true, false
}

func (s *Stream[T]) run(done <-chan struct{}) {
	defer close(s.out)
	for {
		value, some, over := s.next()
		switch {
		case over:
			return
		case some:
			select {
			case s.out <- value:
			case <-done:
				return
			case <-s.dropped:
				return
			}
		default:
			select {
			case <-s.wake:
			case <-done:
				return
			case <-s.dropped:
				return
			}
		}
	}
}
