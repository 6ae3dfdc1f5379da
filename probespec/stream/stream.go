// Package stream sends the records of probes from the kernel to the host.
package stream

import (
	"sync"
	"time"

	"slowpath/clock"
	"slowpath/probespec"
	"slowpath/wait"
)

// Stream sends records in batches. Its memory is bounded: one batch that is filled, and
// maxPending batches that wait.
//
// A hit whose record finds no room waits for the host, because a tool that counts must not
// lose hits. It waits until its task is killed, and at most Patience: then the host does
// not read, and the record is lost. The losses are counted, and the count is sent with the
// next batch. While the host does not read, later hits do not wait at all.
//
// Its methods are safe for concurrent use.
type Stream struct {
	// Patience is how long a hit waits for the host, in nanoseconds.
	Patience int64

	send func(batch []byte) error
	room wait.Queue // of hits that wait for room

	mu      sync.Mutex
	changed *sync.Cond // there are records to send
	encoder probespec.Encoder
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
func New(send func(batch []byte) error) *Stream {
	s := &Stream{send: send, Patience: patience}
	s.changed = sync.NewCond(&s.mu)
	go s.serve()
	return s
}

// Put appends a hit and sets its time. It may sleep.
func (s *Stream) Put(t Sleeper, h *probespec.Hit) {
	if s.tryPut(h) {
		return
	}
	if s.patient() {
		err := t.BlockKillable(&s.room, wait.Writable, clock.Monotonic()+s.Patience, func() bool { return s.tryPut(h) })
		if err == nil {
			return
		}
	}
	s.lose(t)
}

// tryPut appends a hit if there is room. The time of the record is taken with the lock, so
// records are in the order of their times.
func (s *Stream) tryPut(h *probespec.Hit) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.hasRoom() {
		return false
	}
	h.Time = uint64(clock.Monotonic())
	s.encoder.Hit(h)
	s.changed.Signal()
	return true
}

// hasRoom makes room for a record, and reports false if there is none. s.mu is held.
func (s *Stream) hasRoom() bool {
	if s.encoder.Len() < batchSize {
		return true
	}
	if len(s.pending) >= maxPending {
		return false
	}
	s.pending = append(s.pending, s.encoder.Take())
	return true
}

// patient reports whether a hit should wait for the host.
func (s *Stream) patient() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.stalled
}

// lose counts a hit that is lost. Unless its task was killed, the host does not read.
func (s *Stream) lose(t Sleeper) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost++
	s.stalled = s.stalled || !t.Killed()
}

// Fail appends a probe that could not be set. Failures come before all hits, and their
// number is limited by that of the probes, so they need no room.
func (s *Stream) Fail(f probespec.Failure) {
	s.always(func() { s.encoder.Failure(f) })
}

// Maps appends the executable mappings of a process. They need no room: a hit causes them,
// which then waits for room itself.
func (s *Stream) Maps(process uint32, maps []byte) {
	s.always(func() { s.encoder.Maps(process, maps) })
}

// always appends a record even if there is no room.
func (s *Stream) always(write func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.encoder.Len() >= batchSize {
		s.pending = append(s.pending, s.encoder.Take())
	}
	write()
	s.changed.Signal()
}

// serve sends records while the machine runs.
func (s *Stream) serve() {
	for {
		if !s.await() {
			time.Sleep(batchTime)
		}
		s.Flush()
	}
}

// await waits for records. It reports whether a batch is complete.
func (s *Stream) await() (complete bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.encoder.Len() == 0 && len(s.pending) == 0 {
		s.changed.Wait()
	}
	return len(s.pending) > 0
}

// Flush sends all records. It waits for the host.
func (s *Stream) Flush() {
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

// take returns the batches to send, and wakes the hits that wait for their room.
func (s *Stream) take() [][]byte {
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
