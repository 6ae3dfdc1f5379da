// Package linkstream sends records of tasks from the kernel to the host: hits of probes, and
// system calls. It sends them in batches and makes tasks wait for a slow host.
package linkstream

import (
	"sync"
	"time"

	"slowpath/clock"
	"slowpath/wait"
)

// Encoder appends records of type R to a batch. The stream serialises its use.
type Encoder[R any] interface {
	// Len returns the size of the batch in bytes.
	Len() int
	// Take returns the batch and begins a new one.
	Take() []byte
	// Append appends a record with the time now, in nanoseconds since boot.
	Append(record *R, now uint64)
	// Lost appends the number of records that were given up.
	Lost(n uint64)
}

// Stream sends records of type R, which an Encoder of type E encodes, in batches. Its memory
// is bounded: one batch that is filled, and maxPending batches that wait, or twice as many with
// the records of Always.
//
// A task whose record finds no room waits for the host, because a tool that counts must not
// lose records. It waits until its task is killed, and at most Patience: then the host does
// not read, and the record is lost. The losses are counted, and the count is sent with the
// next batch. While the host does not read, later records do not wait at all.
//
// Its methods are safe for concurrent use.
type Stream[R any, E Encoder[R]] struct {
	// Patience is how long a task waits for the host, in nanoseconds.
	Patience int64

	send func(batch []byte) error
	room wait.Queue // of tasks that wait for room

	mu      sync.Mutex
	changed *sync.Cond // there are records to send
	encoder E
	pending [][]byte
	lost    uint64
	stalled bool // the host did not read for Patience

	sending sync.Mutex // held while batches are sent: they keep their order
}

const (
	// batchSize is the size at which a batch is complete. A record that is appended to a
	// batch of almost that size still fits into a frame of the link.
	batchSize  = 8 << 10
	maxPending = 64
	// batchTime is how long records wait for others to fill a batch.
	batchTime = 2 * time.Millisecond
	// patience is the default of Stream.Patience.
	patience = int64(10 * time.Second)
)

// Sleeper is a task that can wait.
type Sleeper interface {
	// BlockKillable sleeps until ready returns true, the deadline has passed or the task
	// is killed (task.Task).
	BlockKillable(q *wait.Queue, mask wait.Events, deadline int64, ready func() bool) error
	// Killed reports whether the task must exit.
	Killed() bool
}

// New returns a stream and starts its goroutine. send sends a batch of at most
// hostlink.MaxPayload bytes, and may wait.
func New[R any, E Encoder[R]](encoder E, send func(batch []byte) error) *Stream[R, E] {
	s := &Stream[R, E]{encoder: encoder, send: send, Patience: patience}
	s.changed = sync.NewCond(&s.mu)
	go s.serve()
	return s
}

// Put appends a record. It may sleep.
func (s *Stream[R, E]) Put(t Sleeper, record *R) {
	if s.tryPut(record) {
		return
	}
	if s.patient() {
		err := t.BlockKillable(&s.room, wait.Writable, clock.Monotonic()+s.Patience, func() bool { return s.tryPut(record) })
		if err == nil {
			return
		}
	}
	s.lose(t)
}

// PutNow appends a record in a context that must not sleep. The record is lost if there is
// no room.
func (s *Stream[R, E]) PutNow(record *R) {
	if s.tryPut(record) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost++
}

// tryPut appends a record if there is room. The time of the record is taken with the lock, so
// records are in the order of their times.
func (s *Stream[R, E]) tryPut(record *R) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hasRoom() {
		return false
	}
	s.encoder.Append(record, uint64(clock.Monotonic()))
	s.changed.Signal()
	return true
}

// hasRoom makes room for a record, and reports false if there is none. s.mu is held.
func (s *Stream[R, E]) hasRoom() bool {
	if s.encoder.Len() < batchSize {
		return true
	}
	if len(s.pending) >= maxPending {
		return false
	}
	s.pending = append(s.pending, s.encoder.Take())
	return true
}

// patient reports whether a task should wait for the host.
func (s *Stream[R, E]) patient() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.stalled
}

// lose counts a record that is lost. Unless its task was killed, the host does not read.
func (s *Stream[R, E]) lose(t Sleeper) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost++
	s.stalled = s.stalled || !t.Killed()
}

// Always lets write append records even if there is no room: they come before all others, or
// a record that waits for room itself causes them. While the host does not read, records do
// not wait, so their number is limited too: Always then counts a loss, and reports false.
func (s *Stream[R, E]) Always(write func(E)) (written bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.encoder.Len() >= batchSize {
		if len(s.pending) >= 2*maxPending {
			s.lost++
			return false
		}
		s.pending = append(s.pending, s.encoder.Take())
	}
	write(s.encoder)
	s.changed.Signal()
	return true
}

// serve sends records while the machine runs.
func (s *Stream[R, E]) serve() {
	for {
		if !s.await() {
			time.Sleep(batchTime)
		}
		s.Flush()
	}
}

// await waits for records. It reports whether a batch is complete.
func (s *Stream[R, E]) await() (complete bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.encoder.Len() == 0 && len(s.pending) == 0 {
		s.changed.Wait()
	}
	return len(s.pending) > 0
}

// Flush sends all records. It waits for the host.
func (s *Stream[R, E]) Flush() {
	s.sending.Lock()
	defer s.sending.Unlock()
	for {
		batches := s.take()
		if len(batches) == 0 {
			return
		}
		for _, b := range batches {
			s.send(b) // the link reports its end itself
		}
	}
}

// take returns the batches to send, and wakes the tasks that wait for their room.
func (s *Stream[R, E]) take() [][]byte {
	defer s.room.Wake(wait.Writable)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost > 0 {
		s.encoder.Lost(s.lost)
		s.lost = 0
	}
	batches := s.pending
	s.pending = nil
	if s.encoder.Len() > 0 {
		batches = append(batches, s.encoder.Take())
	}
	s.stalled = false
	return batches
}
