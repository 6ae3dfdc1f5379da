package syscall

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/mm"
	"slowpath/task"
)

// vector is one piece of user memory (struct iovec).
type vector struct{ base, length uint64 }

// maxVectors is IOV_MAX.
const maxVectors = 1024

// userMemory is user memory as a destination of a read (fs.Sink) or an origin
// of a write (fs.Source): one or more pieces, one after the other.
type userMemory struct {
	t       *task.Task
	vectors []vector
	index   int    // of the vector that comes next
	within  uint64 // bytes of it that are done
	left    int
	single  [1]vector
}

// newUserMemory is the buffer of read(2) or write(2). As in Linux, a transfer
// is cut at MaxTransfer. EFAULT for a range that is not user memory at all. A
// system call has one such buffer, and the next takes its place: allocating it
// would be a fifth of a small read's instructions.
func newUserMemory(t *task.Task, address, length uint64) (*userMemory, error) {
	if int64(length) < 0 {
		return nil, unix.EINVAL
	}
	if address > userEnd || length > userEnd-address {
		return nil, unix.EFAULT
	}
	u, ok := t.Transfer.(*userMemory)
	if !ok {
		u = new(userMemory)
		t.Transfer = u
	}
	left := int(min(length, fs.MaxTransfer))
	*u = userMemory{t: t, left: left, single: [1]vector{{address, uint64(left)}}}
	u.vectors = u.single[:]
	return u, nil
}

// userEnd is where user memory ends (TASK_SIZE_MAX).
const userEnd = mm.UserEnd

// newUserVectors is the buffers of readv(2) or writev(2): EINVAL for too many
// or for a sum that overflows, EFAULT.
func newUserVectors(t *task.Task, address, count uint64) (*userMemory, error) {
	if count > maxVectors {
		return nil, unix.EINVAL
	}
	raw := make([]byte, count*16)
	if err := t.CopyIn(address, raw); err != nil {
		return nil, err
	}
	u := &userMemory{t: t, vectors: make([]vector, 0, count)}
	for ; len(raw) > 0; raw = raw[16:] {
		v := vector{binary.LittleEndian.Uint64(raw), binary.LittleEndian.Uint64(raw[8:])}
		if int64(v.length) < 0 {
			return nil, unix.EINVAL
		}
		if v.base > userEnd || v.length > userEnd-v.base {
			return nil, unix.EFAULT
		}
		v.length = min(v.length, uint64(fs.MaxTransfer-u.left))
		u.left += int(v.length)
		u.vectors = append(u.vectors, v)
	}
	return u, nil
}

// Remaining implements fs.Sink and fs.Source.
func (u *userMemory) Remaining() int { return u.left }

// move does the next len(p) bytes by copying them piece by piece. EINTR when
// the task is to die: vectors may name the same memory a thousand times, so a
// transfer may take long.
func (u *userMemory) move(p []byte, copyPiece func(p []byte, address uint64) (int, error)) (int, error) {
	p = p[:min(len(p), u.left)]
	done := 0
	for done < len(p) {
		if u.t.Killed() {
			return done, unix.EINTR
		}
		v := u.vectors[u.index]
		if u.within == v.length {
			u.index, u.within = u.index+1, 0
			continue
		}
		n, err := copyPiece(p[done:done+int(min(uint64(len(p)-done), v.length-u.within))], v.base+u.within)
		done += n
		u.left -= n
		u.within += uint64(n)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// Unget gives the last n bytes back: see fs.Unget.
func (u *userMemory) Unget(n int) {
	u.left += n
	for uint64(n) > u.within {
		n -= int(u.within)
		u.index--
		u.within = u.vectors[u.index].length
	}
	u.within -= uint64(n)
}

// Put implements fs.Sink.
func (u *userMemory) Put(p []byte) (int, error) {
	return u.move(p, func(p []byte, address uint64) (int, error) { return u.t.CopyOutSome(address, p) })
}

// Get implements fs.Source.
func (u *userMemory) Get(p []byte) (int, error) { return u.move(p, u.t.CopyInSome) }

// packer builds a structure of the user interface, little-endian.
type packer []byte

func (p *packer) u16(v uint16) { *p = binary.LittleEndian.AppendUint16(*p, v) }
func (p *packer) u32(v uint32) { *p = binary.LittleEndian.AppendUint32(*p, v) }
func (p *packer) u64(v uint64) { *p = binary.LittleEndian.AppendUint64(*p, v) }
func (p *packer) i64(v int64)  { p.u64(uint64(v)) }

// zeros appends n zero bytes.
func (p *packer) zeros(n int) { *p = append(*p, make([]byte, n)...) }

// timespec appends a time in nanoseconds as struct timespec.
func (p *packer) timespec(ns int64) {
	seconds, rest := splitTime(ns)
	p.i64(seconds)
	p.i64(rest)
}

// splitTime splits a time in nanoseconds, which may lie before 1970.
func splitTime(ns int64) (seconds, nanoseconds int64) {
	seconds, nanoseconds = ns/1e9, ns%1e9
	if nanoseconds < 0 {
		seconds, nanoseconds = seconds-1, nanoseconds+1e9
	}
	return seconds, nanoseconds
}

// readUint64 loads a word of user memory.
func readUint64(t *task.Task, address uint64) (uint64, error) {
	var p [8]byte
	err := t.CopyIn(address, p[:])
	return binary.LittleEndian.Uint64(p[:]), err
}

func writeUint64(t *task.Task, address, value uint64) error {
	var p [8]byte
	binary.LittleEndian.PutUint64(p[:], value)
	return t.CopyOut(address, p[:])
}
