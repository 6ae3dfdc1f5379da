// Package pipe implements pipes and FIFOs (pipe(7), fifo(7)).
package pipe

import (
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/wait"
)

// Sizes of pipe(7), in bytes.
const (
	DefaultCapacity = 65536
	MinCapacity     = 4096    // F_SETPIPE_SZ rounds up to it
	maxCapacity     = 1 << 31 // for every caller
	// Atomic is PIPE_BUF: a write of up to Atomic bytes is not interleaved with
	// other writes.
	Atomic = 4096
)

// Pipe is the buffer of a pipe and the number of its open ends. The buffer is a
// ring that grows with its contents, up to the capacity.
type Pipe struct {
	queue wait.Queue

	mu       sync.Mutex // guards the fields below
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

func newPipe() *Pipe { return &Pipe{capacity: DefaultCapacity} }

// free returns the number of free bytes. p.mu is held.
func (p *Pipe) free() int { return p.capacity - p.length }

// reserve makes the ring large enough for n more bytes.
func (p *Pipe) reserve(n int) {
	need := p.length + n
	if need <= len(p.ring) {
		return
	}
	size := max(len(p.ring), 512)
	for size < need {
		size *= 2
	}
	p.resize(size)
}

func (p *Pipe) resize(size int) {
	bigger := make([]byte, size)
	a, b := p.occupied()
	copy(bigger[copy(bigger, a):], b)
	p.ring, p.start = bigger, 0
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

// vacant returns room for n bytes after the last one, in up to two pieces.
func (p *Pipe) vacant(n int) (first, second []byte) {
	p.reserve(n)
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
	first, second := p.vacant(min(want, room))
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

// SetCapacity is F_SETPIPE_SZ. It returns the new capacity in bytes. most is the
// greatest capacity that the caller may set (/proc/sys/fs/pipe-max-size). Errors:
// EINVAL, EPERM above most, EBUSY if the pipe contains more bytes.
func (p *Pipe) SetCapacity(size, most uint64) (int, error) {
	if size > maxCapacity {
		return 0, unix.EINVAL
	}
	capacity := MinCapacity
	for uint64(capacity) < size {
		capacity *= 2
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if capacity > p.capacity && size > most {
		return 0, unix.EPERM
	}
	if p.length > capacity {
		return 0, unix.EBUSY
	}
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
