package buffer

import (
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/timeline"
	"slowpath/wait"
)

// task is a linkstream.Sleeper. It waits for the queue, without a limit of time, unless impatient.
type task struct {
	sleeper   wait.Sleeper
	impatient bool
	killed    bool
}

func (t *task) Killed() bool { return t.killed }

func (t *task) BlockKillable(q *wait.Queue, mask wait.Events, deadline int64, ready func() bool) error {
	if t.impatient {
		return unix.ETIMEDOUT
	}
	w := t.sleeper.Waiter(mask)
	q.Add(w)
	defer q.Remove(w)
	for !ready() {
		t.sleeper.Sleep(0)
	}
	return nil
}

// host counts the records that arrive. It does not read while it is locked.
type host struct {
	sync.Mutex
	records, lost atomic.Uint64
}

func (h *host) send(batch []byte) {
	h.Lock()
	defer h.Unlock()
	b, err := timeline.Decode(batch)
	if err != nil {
		panic(err)
	}
	h.lost.Add(b.Lost)
	for {
		var r timeline.Record
		more, err := b.Next(&r)
		if err != nil {
			panic(err)
		}
		if !more {
			return
		}
		h.records.Add(1)
	}
}

// newBuffer returns a buffer for two CPUs, and its host. CPU is the next in turn.
func newBuffer() (*Buffer, *host) {
	h := new(host)
	var next atomic.Int64
	return New(Config{CPUs: 2, CPU: func() int { return int(next.Add(1) & 1) }, Clock: timeline.Clock{Scale: 1 << 32}, Send: h.send}), h
}

// record is one of the largest records.
func record() []byte {
	return timeline.AppendFault(nil, timeline.Header{}, &timeline.Fault{File: string(make([]byte, timeline.MaxText))})
}

// TestNoRecordOfTasksIsLost has tasks that put records faster than the host reads them.
func TestNoRecordOfTasksIsLost(t *testing.T) {
	b, h := newBuffer()
	const tasks, each = 4, 20000
	var done sync.WaitGroup
	for range tasks {
		done.Go(func() {
			own := new(task)
			for range each {
				b.Put(own, record())
			}
		})
	}
	done.Wait()
	b.Flush()
	if h.records.Load() != tasks*each || h.lost.Load() != 0 {
		t.Errorf("%d records arrived and %d were lost, want %d and none", h.records.Load(), h.lost.Load(), tasks*each)
	}
}

// TestLossesAreCounted has a host that does not read.
func TestLossesAreCounted(t *testing.T) {
	b, h := newBuffer()
	h.Lock()
	const all = 40000
	own := &task{impatient: true}
	for i := range all {
		if i%2 == 0 {
			b.Put(own, record())
		} else {
			b.PutNow(record())
		}
	}
	h.Unlock()
	b.Flush()
	records, lost := h.records.Load(), h.lost.Load()
	if records+lost != all || lost == 0 {
		t.Errorf("%d records arrived and %d were lost, want %d together", records, lost, all)
	}
}

// TestPutAllocatesNothing keeps the collector out of the recorded program.
func TestPutAllocatesNothing(t *testing.T) {
	b, _ := newBuffer()
	own := new(task)
	call := timeline.Call{Arguments: make([]uint64, 3)}
	if n := testing.AllocsPerRun(1000, func() {
		var room [timeline.MaxRecord]byte
		b.Put(own, timeline.AppendCall(room[:0], timeline.Header{}, &call))
	}); n > 0.5 {
		t.Errorf("a record allocates %v times", n)
	}
}

func BenchmarkPut(bench *testing.B) {
	b, _ := newBuffer()
	own := new(task)
	call := timeline.Call{Arguments: make([]uint64, 3)}
	for bench.Loop() {
		var room [timeline.MaxRecord]byte
		b.Put(own, timeline.AppendCall(room[:0], timeline.Header{}, &call))
	}
}
