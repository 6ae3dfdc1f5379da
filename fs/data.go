package fs

import "golang.org/x/sys/unix"

// Sink is where a read puts its bytes: user memory, or a buffer of the kernel.
type Sink interface {
	// Put appends p and returns how much of it was taken. Less than len(p)
	// means that the sink is full (nil) or that user memory could not be
	// written (unix.EFAULT). It may fault pages in, so it may sleep.
	Put(p []byte) (int, error)
	// Remaining is the number of bytes that the sink still takes.
	Remaining() int
}

// Source is where a write gets its bytes from.
type Source interface {
	// Get fills p from the front of the source and returns how much it filled.
	// Less than len(p) means that the source is empty (nil) or that user
	// memory could not be read (unix.EFAULT). It may sleep, as Sink.Put.
	Get(p []byte) (int, error)
	// Remaining is the number of bytes still in the source.
	Remaining() int
}

// Unget gives the last n bytes back to src, for an operation that had to look
// at them to find that it would have to wait: the next try gets them again. A
// source without an Unget method is one whose user does not try again.
func Unget(src Source, n int) {
	if s, ok := src.(interface{ Unget(n int) }); ok {
		s.Unget(n)
	}
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

// Unget gives the last n bytes back.
func (b *BytesSource) Unget(n int) { b.got -= n }

// PutAll puts p and returns what a read of one piece returns: the bytes that
// arrived, or the error if none did.
func PutAll(dst Sink, p []byte) (int, error) {
	n, err := dst.Put(p)
	return Moved(n, err)
}

// GetAll takes up to limit bytes out of src into fresh memory. A fault on the
// way shortens the result; a fault at once is unix.EFAULT.
func GetAll(src Source, limit int) ([]byte, error) {
	p := make([]byte, min(limit, src.Remaining()))
	n, err := src.Get(p)
	if n == 0 && err != nil {
		return nil, err
	}
	return p[:n], nil
}

// Moved is the result of a transfer that moved n bytes and then met err: an
// error counts only if nothing was moved, as in read(2) and write(2).
func Moved(n int, err error) (int, error) {
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// MaxTransfer is the most that one read or write moves, in bytes (read(2),
// MAX_RW_COUNT in the kernel): INT_MAX rounded down to a page.
const MaxTransfer = 0x7ffff000

// checkOffset is the check of the offset of pread(2) and its variants.
func checkOffset(offset int64) error {
	if offset < 0 {
		return unix.EINVAL
	}
	return nil
}
