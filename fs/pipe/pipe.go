// Package pipe implements pipes and FIFOs (pipe(7), fifo(7)).
package pipe

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/mm"
	"slowpath/wait"
)

// Sizes of pipe(7), in bytes.
const (
	DefaultCapacity = 65536
	MinCapacity     = 4096    // F_SETPIPE_SZ rounds up to it
	MaxCapacity     = 1 << 20 // the initial pipe-max-size, see Limits
	// Atomic is PIPE_BUF: a write of up to Atomic bytes is not interleaved with
	// other writes.
	Atomic = 4096
)

// Pipe is the buffer of a pipe and the number of its open ends. The buffer is a
// ring that grows with its contents, up to the capacity.
type Pipe struct {
	queue  wait.Queue
	memory *mm.Memory   // admits the ring's growth
	size   atomic.Int64 // of the ring; HeldMemory reads it without the lock

	mu       sync.Mutex // guards the fields below
	charge   *charge    // of the capacity, while an end is open
	ring     []byte     // its size is a power of two, or 0
	start    int        // index of the oldest byte
	length   int
	capacity int
	readers  int
	writers  int
	// Number of times that the ends were opened. Opening a FIFO waits for a
	// change.
	readerOpens, writerOpens uint64
}

func newPipe(m *fs.Mounts) *Pipe { return &Pipe{memory: m.Memory()} }

// begin charges a pipe that has no open end to the caller's user. p.mu is held.
// Error: ENFILE.
func (p *Pipe) begin(m *fs.Mounts, c *cred.Credentials) error {
	if p.readers+p.writers > 0 {
		return nil
	}
	var err error
	p.charge, p.capacity, err = newCharge(m, c)
	return err
}

// end frees the contents of a pipe that has no open end. p.mu is held.
func (p *Pipe) end() {
	p.charge.set(0)
	p.charge = nil
	p.setRing(nil)
	p.start, p.length = 0, 0
}

func (p *Pipe) setRing(ring []byte) {
	p.ring = ring
	p.size.Store(int64(len(ring)))
}

// free returns the number of free bytes. p.mu is held.
func (p *Pipe) free() int { return p.capacity - p.length }

// reserve makes the ring large enough for n more bytes. Error: ENOMEM.
func (p *Pipe) reserve(n int) error {
	need := p.length + n
	if need <= len(p.ring) {
		return nil
	}
	size := max(len(p.ring), 512)
	for size < need {
		size *= 2
	}
	if err := p.memory.Reserve(int64(size)); err != nil {
		return err
	}
	defer p.memory.Unreserve(int64(size))
	p.resize(size)
	return nil
}

func (p *Pipe) resize(size int) {
	bigger := make([]byte, size)
	a, b := p.occupied()
	copy(bigger[copy(bigger, a):], b)
	p.setRing(bigger)
	p.start = 0
}

// occupied returns the bytes in the ring, in up to two pieces.
func (p *Pipe) occupied() (first, second []byte) {
	if p.length == 0 {
		return nil, nil
	}
	end := p.start + p.length
	if end <= len(p.ring) {
		return p.ring[p.start:end], nil
	}
	return p.ring[p.start:], p.ring[:end-len(p.ring)]
}

// vacant returns the room for n bytes after the last one, in up to two pieces. The
// ring has that room: see reserve.
func (p *Pipe) vacant(n int) (first, second []byte) {
	begin := (p.start + p.length) & (len(p.ring) - 1)
	if begin+n <= len(p.ring) {
		return p.ring[begin : begin+n], nil
	}
	return p.ring[begin:], p.ring[:begin+n-len(p.ring)]
}

// readMode says whether a read removes the bytes from the pipe.
type readMode uint8

const (
	consumeData readMode = iota
	keepData             // tee(2)
)

// read copies bytes to dst. p.mu is held while user memory is written. That
// cannot deadlock, because a page fault never takes it.
func (p *Pipe) read(dst fs.Sink, mode readMode) (int, error) {
	if dst.Remaining() == 0 {
		return 0, nil
	}
	p.mu.Lock()
	if p.length == 0 {
		err := error(unix.EAGAIN)
		if p.writers == 0 {
			err = nil
		}
		p.mu.Unlock()
		return 0, err
	}
	first, second := p.occupied()
	n, err := dst.Put(first)
	if n == len(first) && len(second) > 0 && err == nil {
		var m int
		m, err = dst.Put(second)
		n += m
	}
	if mode == consumeData {
		p.consume(n)
	}
	left := p.length
	p.mu.Unlock()
	if n > 0 && mode == consumeData {
		p.queue.Wake(wait.Writable)
	}
	if n > 0 && left > 0 {
		p.queue.Wake(wait.Readable) // for other readers of the same pipe
	}
	return fs.Moved(n, err)
}

func (p *Pipe) consume(n int) {
	p.length -= n
	if p.length == 0 {
		p.start = 0
		return
	}
	p.start = (p.start + n) & (len(p.ring) - 1)
}

// write moves the bytes of src for which there is room. Up to Atomic bytes are
// written completely or not at all. Errors: EPIPE, EAGAIN, EFAULT.
func (p *Pipe) write(src fs.Source) (int, error) {
	want := src.Remaining()
	if want == 0 {
		return 0, nil
	}
	p.mu.Lock()
	if p.readers == 0 {
		p.mu.Unlock()
		return 0, unix.EPIPE
	}
	room := p.free()
	if room <= 0 || want <= Atomic && want > room {
		p.mu.Unlock()
		return 0, unix.EAGAIN
	}
	count := min(want, room)
	if err := p.reserve(count); err != nil {
		p.mu.Unlock()
		return 0, err
	}
	first, second := p.vacant(count)
	n, err := src.Get(first)
	if n == len(first) && len(second) > 0 && err == nil {
		var m int
		m, err = src.Get(second)
		n += m
	}
	p.length += n
	p.mu.Unlock()
	if n > 0 {
		p.queue.Wake(wait.Readable)
	}
	return fs.Moved(n, err)
}

// SetCapacity is F_SETPIPE_SZ. It returns the new capacity in bytes. Errors:
// EINVAL; EPERM without CAP_SYS_RESOURCE above pipe-max-size, and above the limits
// of the user; EBUSY if the pipe contains more bytes.
func (p *Pipe) SetCapacity(size uint64, c *cred.Credentials) (int, error) {
	if size > 1<<31 {
		return 0, unix.EINVAL
	}
	capacity := MinCapacity
	for uint64(capacity) < size {
		capacity *= 2
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case capacity > p.capacity && p.charge.forbids(int64(capacity), c):
		return 0, unix.EPERM
	case capacity < p.length:
		return 0, unix.EBUSY
	case capacity > p.capacity:
		if err := p.charge.grow(int64(capacity), c); err != nil {
			return 0, err
		}
	}
	p.charge.set(int64(capacity))
	p.capacity = capacity
	if len(p.ring) > capacity {
		p.resize(capacity)
	}
	return capacity, nil
}

// Capacity is F_GETPIPE_SZ.
func (p *Pipe) Capacity() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.capacity
}

// Buffered returns the number of bytes in the pipe (FIONREAD).
func (p *Pipe) Buffered() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.length
}

// Tee copies the contents of p to dst without consuming them (tee(2)).
func (p *Pipe) Tee(dst fs.Sink) (int, error) { return p.read(dst, keepData) }

// Room returns the number of bytes that a write would take now. Errors: EAGAIN
// if the pipe is full, EPIPE if it has no reader.
func (p *Pipe) Room() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.readers == 0:
		return 0, unix.EPIPE
	case p.free() <= 0:
		return 0, unix.EAGAIN
	}
	return p.free(), nil
}
