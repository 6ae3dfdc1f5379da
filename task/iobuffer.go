package task

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// IOBuffer is user memory as the files below see it: where a read puts its
// data, where a write gets it from. It implements fs.Sink and fs.Source. Each
// task has one, so a read or write allocates nothing; it serves one transfer
// at a time, on the task's own goroutine.
type IOBuffer struct {
	task      *Task
	vectors   []IOVector // what is left, the first one partly
	one       [1]IOVector
	remaining int
}

// IOVector is struct iovec (readv(2)).
type IOVector struct{ Base, Length uint64 }

// maxTransfer is how much one read or write moves at the most: MAX_RW_COUNT
// of Linux.
const maxTransfer = 0x7ffff000

// maxVectors is UIO_MAXIOV.
const maxVectors = 1024

// Buffer returns the task's IOBuffer over n bytes at a user address.
func (t *Task) Buffer(address uint64, n uint64) *IOBuffer {
	b := &t.io
	b.task = t
	b.one[0] = IOVector{address, min(n, maxTransfer)}
	b.vectors = b.one[:]
	b.remaining = int(b.one[0].Length)
	return b
}

// BufferVector returns the task's IOBuffer over the vectors at a user address
// (readv(2)). Errors: EINVAL for a bad count or a negative length, EFAULT.
func (t *Task) BufferVector(address uint64, count uint64) (*IOBuffer, error) {
	if count > maxVectors {
		return nil, unix.EINVAL
	}
	raw := make([]byte, 16*count)
	if err := t.CopyIn(address, raw); err != nil {
		return nil, err
	}
	b := &t.io
	b.task = t
	b.vectors = make([]IOVector, count)
	total := uint64(0)
	for i := range b.vectors {
		base := binary.LittleEndian.Uint64(raw[16*i:])
		length := binary.LittleEndian.Uint64(raw[16*i+8:])
		if int64(length) < 0 {
			return nil, unix.EINVAL
		}
		length = min(length, maxTransfer-total)
		total += length
		b.vectors[i] = IOVector{base, length}
	}
	b.remaining = int(total)
	return b, nil
}

// Remaining implements fs.Sink and fs.Source.
func (b *IOBuffer) Remaining() int { return b.remaining }

// Put implements fs.Sink: it copies p to the user.
func (b *IOBuffer) Put(p []byte) (int, error) {
	return b.move(p, (*Task).putSome)
}

// Get implements fs.Source: it fills p from the user.
func (b *IOBuffer) Get(p []byte) (int, error) {
	return b.move(p, (*Task).getSome)
}

func (t *Task) putSome(address uint64, p []byte) (int, error) { return t.CopyOutSome(address, p) }
func (t *Task) getSome(address uint64, p []byte) (int, error) { return t.CopyInSome(p, address) }

// move copies between p and the user's memory until either is used up.
func (b *IOBuffer) move(p []byte, some func(*Task, uint64, []byte) (int, error)) (int, error) {
	done := 0
	for done < len(p) && b.remaining > 0 {
		v := &b.vectors[0]
		if v.Length == 0 {
			b.vectors = b.vectors[1:]
			continue
		}
		piece := p[done:min(len(p), done+int(min(v.Length, maxTransfer)))]
		n, err := some(b.task, v.Base, piece)
		done += n
		v.Base += uint64(n)
		v.Length -= uint64(n)
		b.remaining -= n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}
