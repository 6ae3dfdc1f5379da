package linkstream

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/hostlink"
	"slowpath/probespec"
	"slowpath/wait"
)

// sleeper is a task of a test.
type sleeper struct {
	wait.Sleeper
	killed atomic.Bool
	slept  atomic.Int32
}

func (s *sleeper) Killed() bool { return s.killed.Load() }

func (s *sleeper) BlockKillable(q *wait.Queue, mask wait.Events, deadline int64, ready func() bool) error {
	s.slept.Add(1)
	w := s.Waiter(mask)
	q.Add(w)
	defer q.Remove(w)
	for !ready() {
		if s.Killed() {
			return unix.EINTR
		}
		if clock.Monotonic() >= deadline {
			return unix.ETIMEDOUT
		}
		s.Sleep(deadline)
	}
	return nil
}

// host is the host's end.
type host struct {
	mu       sync.Mutex
	hits     map[uint32]int // by thread
	last     map[uint32]uint32
	lost     uint64
	longest  int
	disorder bool
	lastTime uint64
}

func newHost() *host { return &host{hits: map[uint32]int{}, last: map[uint32]uint32{}} }

func (h *host) Hit(hit *probespec.Hit) {
	h.hits[hit.Thread]++
	if last, known := h.last[hit.Thread]; known && hit.ID <= last || hit.Time < h.lastTime {
		h.disorder = true
	}
	h.last[hit.Thread], h.lastTime = hit.ID, hit.Time
}
func (h *host) Lost(n uint64)             { h.lost += n }
func (h *host) Maps(uint32, []byte)       {}
func (h *host) Failure(probespec.Failure) {}
func (h *host) receive(batch []byte) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.longest = max(h.longest, len(batch))
	return probespec.Decode(batch, h)
}

func (h *host) total() (n int) {
	for _, hits := range h.hits {
		n += hits
	}
	return n
}

// hitOf returns a hit with the largest record.
func hitOf(thread, number uint32) *probespec.Hit {
	return &probespec.Hit{
		ID: number, Thread: thread, Values: make([]byte, probespec.MaxValues), Registers: make([]byte, probespec.RegisterBytes),
		Stack: make([]byte, probespec.MaxStack),
	}
}

func TestNoHitIsLostWhileTheHostReads(t *testing.T) {
	h := newHost()
	s := New(new(probespec.Encoder), h.receive)
	const threads, each = 8, 200
	var wg sync.WaitGroup
	for thread := range uint32(threads) {
		wg.Go(func() {
			for n := range uint32(each) {
				s.Put(&sleeper{}, hitOf(thread, n))
			}
		})
	}
	wg.Wait()
	s.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.total() != threads*each || h.lost != 0 || h.disorder {
		t.Errorf("%d of %d hits have arrived, %d are lost, out of order: %v", h.total(), threads*each, h.lost, h.disorder)
	}
	if h.longest > hostlink.MaxPayload {
		t.Errorf("a batch has %d bytes, more than a frame", h.longest)
	}
}

// blocked returns a stream to a host that does not read before the gate is closed. The
// stream is sending one hit, of thread 99.
func blocked(h *host) (s *Stream[probespec.Hit, *probespec.Encoder], gate chan struct{}) {
	gate = make(chan struct{})
	sending := make(chan struct{}, 1)
	s = New(new(probespec.Encoder), func(batch []byte) error {
		select {
		case sending <- struct{}{}:
		default:
		}
		<-gate
		return h.receive(batch)
	})
	s.Put(&sleeper{}, hitOf(99, 0))
	<-sending
	return s, gate
}

func TestHostThatDoesNotReadCostsOneWait(t *testing.T) {
	h := newHost()
	s, gate := blocked(h)
	s.Patience = int64(50 * time.Millisecond)
	task := &sleeper{}
	const hits = 500
	for n := range uint32(hits) {
		s.Put(task, hitOf(1, n))
	}
	if n := task.slept.Load(); n != 1 {
		t.Errorf("the task has waited %d times for a host that does not read", n)
	}
	held := 0
	s.mu.Lock()
	for _, b := range s.pending {
		held += len(b)
	}
	s.mu.Unlock()
	if held > (maxPending+1)*hostlink.MaxPayload {
		t.Errorf("the stream holds %d bytes", held)
	}
	close(gate)
	s.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost == 0 || h.total()+int(h.lost) != hits+1 {
		t.Errorf("%d hits have arrived and %d are counted as lost, of %d", h.total(), h.lost, hits)
	}
}

func TestKilledTaskDoesNotWait(t *testing.T) {
	h := newHost()
	s, gate := blocked(h)
	task := &sleeper{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := range uint32(maxPending * 4) {
			s.Put(task, hitOf(1, n))
			if task.Killed() {
				return
			}
		}
	}()
	for task.slept.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	task.killed.Store(true)
	task.Wake()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("a killed task waits for the host")
	}
	if !s.patient() {
		t.Error("a killed task makes other hits give up")
	}
	close(gate)
	s.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost != 1 {
		t.Errorf("%d hits are counted as lost, want 1", h.lost)
	}
}

func TestRecordsThatNeedNoRoomAreBounded(t *testing.T) {
	h := newHost()
	s, gate := blocked(h)
	text := make([]byte, probespec.MaxMaps)
	const records = 1000
	written := 0
	for range records {
		if s.Always(func(e *probespec.Encoder) { e.Maps(1, text) }) {
			written++
		}
	}
	if written < maxPending || written > 2*maxPending+1 {
		t.Errorf("%d records of %d were written for a host that does not read", written, records)
	}
	close(gate)
	s.Flush()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lost != uint64(records-written) {
		t.Errorf("%d losses are counted, want %d", h.lost, records-written)
	}
}
