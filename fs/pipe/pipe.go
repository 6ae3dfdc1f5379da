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
	MinCapacity     = 4096 // F_SETPIPE_SZ rounds up to it
	// Atomic is PIPE_BUF: a write of up to Atomic bytes is not interleaved with
	// other writes.
	Atomic = 4096
)

// Pipe is the buffer of a pipe and the number of its open ends. The bytes are in a
// ring that grows with its contents. As in Linux they belong to pages, and a pipe
// whose pages are all in use is full, even if they are not filled.
type Pipe struct {
	queue  wait.Queue
	memory *mm.Memory   // admits the ring's growth
	size   atomic.Int64 // of the ring; HeldMemory reads it without the lock

	mu       sync.Mutex // guards the fields below
	charge   *charge    // of the capacity, while an end is open
	ring     []byte     // its size is a power of two, or 0
	start    int        // index of the oldest byte
	length   int
	pages    []page  // in use, the oldest first
	onePage  [1]page // of pages, while one is in use: the usual case allocates nothing
	capacity int     // a multiple of pageSize
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
	p.start, p.length, p.pages = 0, 0, p.onePage[:0]
}

func (p *Pipe) setRing(ring []byte) {
	p.ring = ring
	p.size.Store(int64(len(ring)))
}

// page is a page of a pipe. A write adds its bytes to the last page if they fit
// behind the bytes there.
type page struct {
	end  int // where the next bytes go, 0 to pageSize
	left int // bytes that are not read yet
}

// freePages returns the number of unused pages. p.mu is held.
func (p *Pipe) freePages() int { return max(0, p.capacity/pageSize-len(p.pages)) }

// reserve makes the ring large enough for n more bytes. Error: ENOMEM.
func (p *Pipe) reserve(n int) error {
	size := p.sizeFor(n)
	if size == len(p.ring) {
		return nil
	}
	if err := p.memory.Reserve(int64(size)); err != nil {
		return err
	}
	defer p.memory.Unreserve(int64(size))
	p.resize(size)
	return nil
}

// sizeFor returns the size of a ring that has room for n more bytes.
func (p *Pipe) sizeFor(n int) int {
	size := max(len(p.ring), 512)
	for size < p.length+n {
		size *= 2
	}
	return size
}

func (p *Pipe) resize(size int) {
	bigger := make([]byte, size)
	a, b := p.bytes(0, p.length)
	copy(bigger[copy(bigger, a):], b)
	p.setRing(bigger)
	p.start = 0
}

// readMode says whether a read removes the bytes from the pipe.
type readMode uint8

const (
	consumeData readMode = iota
	keepData             // tee(2)
)

// read copies bytes to dst. A page whose bytes do not fit into user memory because
// of a fault stays in the pipe; the error is reported only if that is the first
// page. p.mu is held while user memory is written. That cannot deadlock, because a
// page fault never takes it.
func (p *Pipe) read(dst fs.Sink, mode readMode) (int, error) {
	if dst.Remaining() == 0 {
		return 0, nil
	}
	n, room, err := p.drain(dst, mode)
	if room {
		p.queue.Wake(wait.Writable)
	}
	return fs.Moved(n, err)
}

// drain is read without the wake-up. It reports whether a full pipe has room now.
func (p *Pipe) drain(dst fs.Sink, mode readMode) (n int, room bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pages) == 0 {
		if p.writers == 0 {
			return 0, false, nil
		}
		return 0, false, unix.EAGAIN
	}
	wasFull := p.freePages() == 0
	n, err = p.copyOut(dst)
	if mode == consumeData {
		p.consume(n)
		room = wasFull && n > 0
	}
	return n, room, err
}

// copyOut copies pages to dst until dst is full. p.mu is held.
func (p *Pipe) copyOut(dst fs.Sink) (int, error) {
	total := 0
	for _, from := range p.pages {
		want := min(from.left, dst.Remaining())
		if want == 0 {
			break
		}
		if err := p.move(total, want, dst.Put); err != nil {
			return total, err
		}
		total += want
	}
	return total, nil
}

// bytes returns n bytes of the ring that begin at an offset from the oldest byte, in
// up to two pieces. The room for more bytes is at the offset p.length.
func (p *Pipe) bytes(offset, n int) (first, second []byte) {
	begin := (p.start + offset) & (len(p.ring) - 1)
	if begin+n <= len(p.ring) {
		return p.ring[begin : begin+n], nil
	}
	return p.ring[begin:], p.ring[:begin+n-len(p.ring)]
}

// move transfers n bytes of the ring, that begin at an offset from the oldest byte, to
// or from user memory. Error: EFAULT if it could not transfer all of them. p.mu is held.
func (p *Pipe) move(offset, n int, transfer func([]byte) (int, error)) error {
	first, second := p.bytes(offset, n)
	done, err := transfer(first)
	if done == len(first) && len(second) > 0 && err == nil {
		var more int
		more, err = transfer(second)
		done += more
	}
	switch {
	case done == n:
		return nil
	case err == nil:
		return unix.EFAULT
	}
	return err
}

// consume removes the n oldest bytes, and the pages that become empty. p.mu is held.
func (p *Pipe) consume(n int) {
	p.length -= n
	p.start = (p.start + n) & max(0, len(p.ring)-1)
	for n > 0 && n >= p.pages[0].left {
		n -= p.pages[0].left
		p.pages = p.pages[1:]
	}
	if n > 0 {
		p.pages[0].left -= n
	}
	if len(p.pages) == 0 {
		p.start, p.pages = 0, p.onePage[:0]
	}
}

// write moves the bytes of src for which there is room. Up to Atomic bytes are
// written completely or not at all. Like Linux it drops the page in which user
// memory faults. Errors: EPIPE, EAGAIN, EFAULT.
func (p *Pipe) write(src fs.Source) (int, error) {
	if src.Remaining() == 0 {
		return 0, nil
	}
	n, err := p.fill(src)
	if n > 0 {
		p.queue.Wake(wait.Readable)
	}
	return fs.Moved(n, err)
}

// fill is write without the wake-up.
func (p *Pipe) fill(src fs.Source) (total int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readers == 0 {
		return 0, unix.EPIPE
	}
	left := src.Remaining()
	part := left % pageSize
	if last := len(p.pages) - 1; last >= 0 && part > 0 && p.pages[last].end+part <= pageSize {
		if err := p.copyIn(src, part); err != nil {
			return 0, err
		}
		p.pages[last].end += part
		p.pages[last].left += part
		total = part
	}
	for total < left {
		if p.freePages() == 0 {
			return total, unix.EAGAIN
		}
		n := min(pageSize, left-total)
		if err := p.copyIn(src, n); err != nil {
			return total, err
		}
		p.pages = append(p.pages, page{end: n, left: n})
		total += n
	}
	return total, nil
}

// copyIn appends the next n bytes of src to the ring, or none. p.mu is held. Errors:
// EFAULT, ENOMEM.
func (p *Pipe) copyIn(src fs.Source, n int) error {
	if err := p.reserve(n); err != nil {
		return err
	}
	err := p.move(p.length, n, src.Get)
	if err == nil {
		p.length += n
	}
	return err
}

// AddPage moves up to a page of src, at most limit bytes, into a page of its own, as
// vmsplice(2) does. Errors: EPIPE, EAGAIN without an unused page, EFAULT.
func (p *Pipe) AddPage(src fs.Source, limit int) (int, error) {
	n := min(limit, src.Remaining(), pageSize)
	if err := p.addPage(src, n); err != nil {
		return 0, err
	}
	p.queue.Wake(wait.Readable)
	return n, nil
}

func (p *Pipe) addPage(src fs.Source, n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readers == 0 {
		return unix.EPIPE
	}
	if p.freePages() == 0 {
		return unix.EAGAIN
	}
	if err := p.copyIn(src, n); err != nil {
		return err
	}
	// Nothing is added behind these bytes: a page of vmsplice(2) belongs to the
	// program.
	p.pages = append(p.pages, page{end: pageSize, left: n})
	return nil
}

// Unread puts bytes that were read back to the front of the pipe, for a splice(2)
// whose destination did not take them.
func (p *Pipe) Unread(b []byte) {
	if len(b) == 0 {
		return
	}
	p.unread(b)
	p.queue.Wake(wait.Readable)
}

func (p *Pipe) unread(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resize(p.sizeFor(len(b))) // these bytes were in the kernel's heap before
	p.start = (p.start - len(b)) & (len(p.ring) - 1)
	p.length += len(b)
	first, second := p.bytes(0, len(b))
	copy(second, b[copy(first, b):])
	var front []page
	for left := len(b); left > 0; left -= pageSize {
		front = append(front, page{end: pageSize, left: min(left, pageSize)})
	}
	p.pages = append(front, p.pages...)
}

// maxCapacity is the greatest capacity in bytes, for privileged users too: 4 MiB, the
// greatest kmalloc of Linux, has the pipe_buffer of 65536 pages.
const maxCapacity = 65536 * pageSize

// SetCapacity is F_SETPIPE_SZ. It returns the new capacity in bytes. Errors:
// EINVAL; ENOMEM; EPERM without CAP_SYS_RESOURCE above pipe-max-size, and above the limits
// of the user; EBUSY if the pipe has more pages in use.
func (p *Pipe) SetCapacity(size uint64, c *cred.Credentials) (int, error) {
	if size > 1<<31 {
		return 0, unix.EINVAL
	}
	capacity := MinCapacity
	for uint64(capacity) < size {
		capacity *= 2
	}
	if capacity > maxCapacity {
		return 0, unix.ENOMEM
	}
	if err := p.setCapacity(capacity, c); err != nil {
		return 0, err
	}
	p.queue.Wake(wait.Writable)
	return capacity, nil
}

func (p *Pipe) setCapacity(capacity int, c *cred.Credentials) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case capacity > p.capacity && p.charge.forbids(int64(capacity), c):
		return unix.EPERM
	case len(p.pages) > capacity/pageSize:
		return unix.EBUSY
	case capacity > p.capacity:
		if err := p.charge.grow(int64(capacity), c); err != nil {
			return err
		}
	}
	p.charge.set(int64(capacity))
	p.capacity = capacity
	if len(p.ring) > capacity {
		p.resize(capacity)
	}
	return nil
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

// Room returns the number of bytes that fit into the unused pages. Errors: EAGAIN
// if the pipe is full, EPIPE if it has no reader.
func (p *Pipe) Room() (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.readers == 0:
		return 0, unix.EPIPE
	case p.freePages() == 0:
		return 0, unix.EAGAIN
	}
	return p.freePages() * pageSize, nil
}
