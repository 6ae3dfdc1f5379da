// Package buffer collects the records of the timeline on each CPU and sends them to the host.
//
// Each CPU fills a chunk, under a lock of its own. A full chunk waits for the sender, which
// is one goroutine. The number of chunks is fixed, so a program cannot make the kernel use
// more memory. A task that finds no room waits for the host, because a tool that counts must
// lose nothing; it waits until it is killed, and at most for a limit of time. A record that
// is written where the task cannot sleep is lost if there is no room even in the reserve.
// Losses are counted, and the count is sent.
package buffer

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"slowpath/clock"
	"slowpath/linkstream"
	"slowpath/timeline"
	"slowpath/wait"
)

const (
	// chunkSize is the size of a chunk, which is a batch: a frame of the link.
	chunkSize = 60 << 10
	// chunksPerCPU is how many chunks there are for each CPU. The last reservedChunks are for
	// records that cannot wait.
	chunksPerCPU   = 24
	reservedChunks = 4
	// period is how long records wait for others to fill a chunk.
	period = 10 * time.Millisecond
	// patience is how long a task waits for the host, in nanoseconds.
	patience = int64(10 * time.Second)
)

// Config has the parameters of a Buffer. All are required.
type Config struct {
	// CPUs is the number of CPUs, and CPU returns that of the caller, from 0.
	CPUs int
	CPU  func() int
	// Clock is the clock of the records.
	Clock timeline.Clock
	// Send sends a batch. It may wait for the host.
	Send func(batch []byte)
}

// Buffer has the records that were not sent yet. Its methods are safe for concurrent use.
type Buffer struct {
	config Config
	cpus   []cpu
	room   wait.Queue // of tasks that wait for a chunk

	mu      sync.Mutex
	changed *sync.Cond // full has a chunk, or there is a record
	full    [][]byte   // complete chunks in order
	free    [][]byte
	some    bool // a chunk that is not full has a record

	sending sync.Mutex // held while chunks are sent
	lost    atomic.Uint64
	stalled atomic.Bool // the host did not read for patience
}

// cpu is what one CPU fills. The padding keeps two CPUs out of one cache line.
type cpu struct {
	mu    sync.Mutex
	chunk []byte // nil if there is none
	_     [96]byte
}

// New returns a buffer, and starts the goroutine that sends it.
func New(c Config) *Buffer {
	b := &Buffer{config: c, cpus: make([]cpu, c.CPUs)}
	b.changed = sync.NewCond(&b.mu)
	for range c.CPUs * chunksPerCPU {
		b.free = append(b.free, make([]byte, 0, chunkSize))
	}
	go b.serve()
	return b
}

// Put appends a record, and sets its CPU. It waits for room if the host is slow.
func (b *Buffer) Put(t linkstream.Sleeper, record []byte) {
	if !b.try(reservedChunks, record) {
		b.await(t, bytes.Clone(record)) // the caller's record stays on its stack
	}
}

// await waits for room for a record. It is lost if the task is killed or the host does not
// read.
func (b *Buffer) await(t linkstream.Sleeper, record []byte) {
	if !b.stalled.Load() {
		try := func() bool { return b.try(reservedChunks, record) }
		if t.BlockKillable(&b.room, wait.Writable, clock.Monotonic()+patience, try) == nil {
			return
		}
		b.stalled.Store(b.stalled.Load() || !t.Killed())
	}
	b.lost.Add(1)
}

// PutNow is Put for a caller that must not sleep.
func (b *Buffer) PutNow(record []byte) {
	if !b.try(0, record) {
		b.lost.Add(1)
	}
}

// try appends a record if that leaves so many free chunks.
func (b *Buffer) try(reserve int, record []byte) bool {
	n := b.config.CPU()
	c := &b.cpus[n]
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.chunk) <= timeline.BatchHeader || len(c.chunk)+len(record) > cap(c.chunk) {
		if !b.turn(c, reserve, len(record)) {
			return false
		}
	}
	at := len(c.chunk)
	c.chunk = append(c.chunk, record...)
	timeline.SetCPU(c.chunk[at:], uint8(n))
	return true
}

// turn gives a CPU a chunk with room for n bytes, if that leaves enough free chunks. c is
// locked.
func (b *Buffer) turn(c *cpu, reserve, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.changed.Signal()
	b.some = true
	if cap(c.chunk) != 0 && len(c.chunk)+n <= cap(c.chunk) {
		return true // its first record
	}
	if len(b.free) <= reserve {
		return false
	}
	if cap(c.chunk) != 0 {
		b.full = append(b.full, c.chunk)
	}
	last := len(b.free) - 1
	c.chunk, b.free = b.empty(b.free[last]), b.free[:last]
	return true
}

// empty returns a chunk with the beginning of a batch. The number of losses is set when it is
// sent.
func (b *Buffer) empty(chunk []byte) []byte {
	return timeline.AppendBatchHeader(chunk[:0], b.config.Clock, 0)
}

// serve sends records while the machine runs.
func (b *Buffer) serve() {
	for {
		if !b.awaitRecords() {
			time.Sleep(period)
		}
		b.Flush()
	}
}

// awaitRecords waits for records, and reports whether a chunk is full.
func (b *Buffer) awaitRecords() (full bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.some && len(b.full) == 0 {
		b.changed.Wait()
	}
	return len(b.full) > 0
}

// Flush sends all records that were put before. It waits for the host.
func (b *Buffer) Flush() {
	b.sending.Lock()
	defer b.sending.Unlock()
	b.send()
	b.collect()
	b.send()
	if lost := b.lost.Swap(0); lost > 0 {
		b.config.Send(timeline.AppendBatchHeader(nil, b.config.Clock, lost))
	}
}

// collect moves the chunks of the CPUs that are not full to the list of the full ones. The
// CPUs get new ones with their next record.
func (b *Buffer) collect() {
	b.markCollected()
	for i := range b.cpus {
		b.collectOne(&b.cpus[i])
	}
}

func (b *Buffer) markCollected() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.some = false
}

func (b *Buffer) collectOne(c *cpu) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.chunk) <= timeline.BatchHeader {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.full = append(b.full, c.chunk)
	c.chunk = nil
}

// send sends the full chunks and frees them.
func (b *Buffer) send() {
	for {
		chunk := b.take()
		if chunk == nil {
			return
		}
		timeline.SetLost(chunk, b.lost.Swap(0))
		b.config.Send(chunk)
		b.release(chunk)
	}
}

// take returns the first full chunk, or nil.
func (b *Buffer) take() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.full) == 0 {
		return nil
	}
	chunk := b.full[0]
	b.full = b.full[1:]
	return chunk
}

// release frees a chunk, and wakes the tasks that wait for one.
func (b *Buffer) release(chunk []byte) {
	defer b.room.Wake(wait.Writable)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, chunk)
	b.stalled.Store(false)
}
