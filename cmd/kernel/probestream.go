package main

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"slowpath/clock"
	"slowpath/mm"
	"slowpath/probespec"
	"slowpath/task"
	"slowpath/wait"
)

// probeStream sends the records of probes to the host. Its memory is bounded: one batch
// that is filled, and maxPending batches that wait.
//
// A hit whose record finds no room waits for the host, because a tool that counts must not
// lose hits. It waits until it is killed, and at most hitPatience: then the host does not
// read, and the record is lost. The losses are counted, and the count is sent with the next
// batch. While the host does not read, later hits do not wait at all.
type probeStream struct {
	link    *link
	scratch sync.Pool  // of *scratch
	room    wait.Queue // of hits that wait for room

	mu      sync.Mutex
	changed *sync.Cond // there are records to send
	encoder probespec.Encoder
	pending [][]byte
	lost    uint64
	stalled bool // the host did not read for hitPatience

	sending sync.Mutex // held while batches are sent: they keep their order

	mapsMu sync.Mutex
	maps   map[uint32]uint64 // hashes of the mappings that were sent, by process
	seed   maphash.Seed
}

const (
	// batchSize is the size at which a batch is complete. A record fits behind it into a
	// frame of the link.
	batchSize  = 8 << 10
	maxPending = 64
	// hitPatience is how long a hit waits for the host, in nanoseconds.
	hitPatience = int64(10 * time.Second)
	// batchTime is how long records wait for others to fill a batch.
	batchTime = 2 * time.Millisecond
	// maxMappings is the number of processes whose mappings are remembered.
	maxMappings = 1024
)

// newProbeStream returns a stream and starts its goroutine.
func newProbeStream(l *link) *probeStream {
	s := &probeStream{link: l, maps: map[uint32]uint64{}, seed: maphash.MakeSeed()}
	s.scratch.New = func() any { return new(scratch) }
	s.changed = sync.NewCond(&s.mu)
	go s.serve()
	return s
}

// put appends a hit. It may wait for the host.
func (s *probeStream) put(t *task.Task, h *probespec.Hit) {
	if s.tryPut(h) {
		return
	}
	if s.patient() {
		err := t.BlockKillable(&s.room, wait.Writable, clock.Monotonic()+hitPatience, func() bool { return s.tryPut(h) })
		if err == nil {
			return
		}
	}
	s.lose(!t.Killed())
}

// tryPut appends a hit if there is room. The time of the record is taken with the lock, so
// records are in the order of their times.
func (s *probeStream) tryPut(h *probespec.Hit) bool {
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
func (s *probeStream) hasRoom() bool {
	if s.encoder.Len() < batchSize {
		return true
	}
	if len(s.pending) == maxPending {
		return false
	}
	s.pending = append(s.pending, s.encoder.Take())
	return true
}

// patient reports whether a hit should wait for the host.
func (s *probeStream) patient() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.stalled
}

// lose counts a hit that is lost. stalled tells that the host did not read.
func (s *probeStream) lose(stalled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost++
	s.stalled = s.stalled || stalled
}

// fail appends a probe that could not be set. Failures come before all hits, and their
// number is limited by that of the probes, so they need no room.
func (s *probeStream) fail(f probespec.Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.encoder.Len() >= batchSize {
		s.pending = append(s.pending, s.encoder.Take())
	}
	s.encoder.Failure(f)
}

// serve sends records while the machine runs.
func (s *probeStream) serve() {
	for {
		if !s.await() {
			time.Sleep(batchTime)
		}
		s.flush()
	}
}

// await waits for records. It reports whether a batch is complete.
func (s *probeStream) await() (complete bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.encoder.Len() == 0 && len(s.pending) == 0 {
		s.changed.Wait()
	}
	return len(s.pending) > 0
}

// flush sends all records. It waits for the host.
func (s *probeStream) flush() {
	s.sending.Lock()
	defer s.sending.Unlock()
	for {
		batches := s.take()
		if len(batches) == 0 {
			return
		}
		for _, b := range batches {
			s.link.writer.Probes(b)
		}
		s.room.Wake(wait.Writable)
	}
}

// take returns the batches to send.
func (s *probeStream) take() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost > 0 && s.encoder.Len() < batchSize {
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

// sendMaps sends the executable mappings of a process, if they are not the ones that were
// sent last.
func (s *probeStream) sendMaps(process uint32, space *mm.AddressSpace) {
	s.mapsMu.Lock()
	defer s.mapsMu.Unlock()
	var h maphash.Hash
	h.SetSeed(s.seed)
	visitCode(space, func(r *mm.Region) {
		maphash.WriteComparable(&h, [4]uint64{r.Start, r.End, r.Offset, r.Inode})
	})
	if sum, known := s.maps[process]; known && sum == h.Sum64() {
		return
	}
	var text bytes.Buffer
	visitCode(space, func(r *mm.Region) {
		if text.Len() < probespec.MaxMaps {
			fmt.Fprintf(&text, "%x-%x r-xp %x %s\n", r.Start, r.End, r.Offset, r.Name)
		}
	})
	if len(s.maps) >= maxMappings {
		clear(s.maps)
	}
	s.maps[process] = h.Sum64()
	s.putMaps(process, text.Bytes())
}

// visitCode calls f for the executable areas of files.
func visitCode(space *mm.AddressSpace, f func(r *mm.Region)) {
	space.VisitRegions(mm.WithoutPages, func(r *mm.Region) error {
		if r.Prot&mm.ProtExec != 0 && r.Inode != 0 {
			f(r)
		}
		return nil
	})
}

// putMaps appends mappings. They are not limited by the room: only a hit causes them, and
// the hit itself waits for room.
func (s *probeStream) putMaps(process uint32, text []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.encoder.Len() >= batchSize {
		s.pending = append(s.pending, s.encoder.Take())
	}
	s.encoder.Maps(process, text)
}
