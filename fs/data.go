package fs

import "golang.org/x/sys/unix"

// Sink is the destination of a read: user memory or a kernel buffer.
type Sink interface {
	// Put appends p and returns how many bytes it stored. Less than len(p)
	// means that the sink is full (nil) or that user memory could not be
	// written (unix.EFAULT). It may sleep, because it may fault pages in.
	Put(p []byte) (int, error)
	// Remaining returns the number of bytes for which there is room.
	Remaining() int
}

// Source is the source of a write: user memory or a kernel buffer.
type Source interface {
	// Get fills p from the front of the source and returns how many bytes it
	// stored. Less than len(p) means that the source is empty (nil) or that
	// user memory could not be read (unix.EFAULT). It may sleep, like Sink.Put.
	Get(p []byte) (int, error)
	// Remaining returns the number of bytes left in the source.
	Remaining() int
}

// Unget returns the last n bytes to src. An operation that has read bytes and
// then returns EAGAIN calls it, and the next attempt reads them again. A source
// without an Unget method is for operations that are not repeated.
func Unget(src Source, n int) {
	if s, ok := src.(interface{ Unget(n int) }); ok {
		s.Unget(n)
	}
}

// PauseInterval is how many bytes a transfer moves before Pause lets others run.
const PauseInterval = 64 << 10

// Pause lets more urgent tasks run in the middle of a long transfer, if the system call allows it.
// A file operation that holds no lock calls it after each part of the transfer: total bytes were
// moved so far, and n of them by the last part.
func Pause(transfer any, total, n int) {
	if total/PauseInterval == (total-n)/PauseInterval {
		return
	}
	if t, ok := transfer.(interface{ Pause() }); ok {
		t.Pause()
	}
}

// CallerOf returns the task that makes a transfer with the Sink or Source, or nil if
// its memory is the kernel's. A file whose result depends on the credentials of the
// reader or writer, not of the opener, calls it.
func CallerOf(transfer any) Caller {
	if c, ok := transfer.(interface{ Caller() Caller }); ok {
		return c.Caller()
	}
	return nil
}

// BytesSink is a Sink over kernel memory.
type BytesSink struct{ free, all []byte }

// NewBytesSink returns a sink that fills buffer.
func NewBytesSink(buffer []byte) *BytesSink { return &BytesSink{free: buffer, all: buffer} }

// Put implements Sink.
func (b *BytesSink) Put(p []byte) (int, error) {
	n := copy(b.free, p)
	b.free = b.free[n:]
	return n, nil
}

// Remaining implements Sink.
func (b *BytesSink) Remaining() int { return len(b.free) }

// Bytes returns the bytes put so far.
func (b *BytesSink) Bytes() []byte { return b.all[:len(b.all)-len(b.free)] }

// BytesSource is a Source over kernel memory.
type BytesSource struct {
	all []byte
	got int
}

// NewBytesSource returns a source of the bytes of p.
func NewBytesSource(p []byte) *BytesSource { return &BytesSource{all: p} }

// Get implements Source.
func (b *BytesSource) Get(p []byte) (int, error) {
	n := copy(p, b.all[b.got:])
	b.got += n
	return n, nil
}

// Remaining implements Source.
func (b *BytesSource) Remaining() int { return len(b.all) - b.got }

// Unget returns the last n bytes to the source.
func (b *BytesSource) Unget(n int) { b.got -= n }

// PutAll puts p into dst and returns the result of a read: the number of bytes
// stored, or the error if none was.
func PutAll(dst Sink, p []byte) (int, error) {
	n, err := dst.Put(p)
	return Moved(n, err)
}

// PutRecord puts a record of fixed size into dst, and returns the result of a read: the
// size, or an error if not all of it was stored, as in Linux for eventfd and timerfd.
func PutRecord(dst Sink, record []byte) (int, error) {
	n, err := dst.Put(record)
	switch {
	case n == len(record):
		return n, nil
	case err == nil:
		err = unix.EFAULT
	}
	return 0, err
}

// GetAll reads limit bytes of src, or all if there are fewer, into a new slice. If
// user memory faults, the error is unix.EFAULT and the result empty, as in Linux
// for messages and for the pieces of a terminal's output.
func GetAll(src Source, limit int) ([]byte, error) {
	p := make([]byte, min(limit, src.Remaining()))
	n, err := src.Get(p)
	if n == len(p) {
		return p, nil
	}
	if err == nil {
		err = unix.EFAULT
	}
	return nil, err
}

// GetUnits is GetAll in units of the given number of bytes. The result ends before
// the unit in which user memory faults, as in Linux for the pages of a pipe. The
// error is reported only if that is the first unit.
func GetUnits(src Source, limit, unit int) ([]byte, error) {
	p := make([]byte, min(limit, src.Remaining()))
	for done := 0; done < len(p); {
		next := min(len(p)-done, unit)
		n, err := src.Get(p[done : done+next])
		if n < next {
			if err == nil {
				err = unix.EFAULT
			}
			_, err = Moved(done, err)
			return p[:done], err
		}
		done += next
	}
	return p, nil
}

// Moved returns the result of a transfer that moved n bytes before err: the
// error is reported only if n is 0, as in read(2) and write(2).
func Moved(n int, err error) (int, error) {
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// MaxTransfer is the most bytes that one read or write moves: INT_MAX rounded
// down to a page (read(2); MAX_RW_COUNT in Linux).
const MaxTransfer = 0x7ffff000

// checkOffset returns EINVAL for a negative offset of pread(2) or one of its
// variants.
func checkOffset(offset int64) error {
	if offset < 0 {
		return unix.EINVAL
	}
	return nil
}
