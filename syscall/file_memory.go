package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/fs"
	"slowpath/mm"
	"slowpath/task"
)

// maxVectors is IOV_MAX.
const maxVectors = 1024

// userMemory is a list of buffers in user memory: the destination of a read
// (fs.Sink) or the source of a write (fs.Source).
type userMemory struct {
	t       *task.Task
	vectors []abi.Iovec
	index   int          // of the current vector
	within  uint64       // bytes of the current vector already transferred
	left    int          // bytes not yet transferred
	single  [1]abi.Iovec // vectors of a call with only one buffer
	// unlocked is set if the system call holds no lock during the transfer.
	unlocked bool
}

// Pause implements fs.Pause.
func (u *userMemory) Pause() {
	if u.unlocked {
		u.t.CondResched()
	}
}

// newUserMemory returns the buffer of read(2) or write(2), cut at MaxTransfer
// bytes as in Linux. Errors: EINVAL for a negative length, EFAULT for a range
// outside user memory. The calls of a task reuse one userMemory, because
// allocating it would take a fifth of the instructions of a small read.
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
	*u = userMemory{t: t, left: left, single: [1]abi.Iovec{{Base: address, Len: uint64(left)}}}
	u.vectors = u.single[:]
	return u, nil
}

// userEnd is the end of user memory (TASK_SIZE_MAX).
const userEnd = mm.UserEnd

// newUserVectors returns the buffers of readv(2) or writev(2). Errors: EINVAL
// for too many vectors or a negative length, EFAULT, ENOMEM.
func newUserVectors(t *task.Task, address, count uint64) (*userMemory, error) {
	if count > maxVectors {
		return nil, unix.EINVAL
	}
	const fast, vectorBytes = 8, 16 // up to UIO_FASTIOV vectors are part of the task's share
	if count > fast {
		if err := t.Kernel().Memory().Admit(int64(count) * vectorBytes); err != nil {
			return nil, err
		}
	}
	u := &userMemory{t: t, vectors: make([]abi.Iovec, count)}
	if err := u.loadVectors(address); err != nil {
		return nil, err
	}
	return u, nil
}

// loadVectors reads the vectors at a user address. u has room for them and no length
// yet. Errors: EINVAL for a negative length, EFAULT.
func (u *userMemory) loadVectors(address uint64) error {
	if err := copyInVectors(u.t, address, u.vectors); err != nil {
		return err
	}
	for i := range u.vectors {
		v := &u.vectors[i]
		if int64(v.Len) < 0 {
			return unix.EINVAL
		}
		if v.Base > userEnd || v.Len > userEnd-v.Base {
			return unix.EFAULT
		}
		v.Len = min(v.Len, uint64(fs.MaxTransfer-u.left))
		u.left += int(v.Len)
	}
	return nil
}

// Caller returns the task; see fs.CallerOf.
func (u *userMemory) Caller() fs.Caller { return u.t }

// Remaining implements fs.Sink and fs.Source.
func (u *userMemory) Remaining() int { return u.left }

// move transfers the next len(p) bytes piece by piece with copyPiece. It
// returns EINTR if the task has been killed: a transfer takes long if all
// vectors name the same large buffer.
func (u *userMemory) move(p []byte, copyPiece func(p []byte, address uint64) (int, error)) (int, error) {
	p = p[:min(len(p), u.left)]
	done := 0
	for done < len(p) {
		if u.t.Killed() {
			return done, unix.EINTR
		}
		v := u.vectors[u.index]
		if u.within == v.Len {
			u.index, u.within = u.index+1, 0
			continue
		}
		n, err := copyPiece(p[done:done+int(min(uint64(len(p)-done), v.Len-u.within))], v.Base+u.within)
		done += n
		u.skip(n)
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// pageLeft returns how many of the next bytes are in one page and one vector.
func (u *userMemory) pageLeft() int {
	for u.within == u.vectors[u.index].Len {
		u.index, u.within = u.index+1, 0
	}
	v := u.vectors[u.index]
	toEnd := mm.PageSize - (v.Base+u.within)%mm.PageSize
	return int(min(toEnd, v.Len-u.within))
}

// Unget returns the last n bytes to the source; see fs.Unget.
func (u *userMemory) Unget(n int) {
	u.left += n
	for uint64(n) > u.within {
		n -= int(u.within)
		u.index--
		u.within = u.vectors[u.index].Len
	}
	u.within -= uint64(n)
}

// skip passes over n bytes of the current vector that a copy has transferred.
func (u *userMemory) skip(n int) {
	u.left -= n
	u.within += uint64(n)
}

// place returns the address of the next n bytes. It reports false unless one vector has
// all of them: then move transfers them.
func (u *userMemory) place(n int) (address uint64, ok bool) {
	if uint(n) > uint(u.left) || u.index >= len(u.vectors) {
		return 0, false
	}
	v := &u.vectors[u.index]
	return v.Base + u.within, uint64(n) <= v.Len-u.within
}

// Put implements fs.Sink. The first copy is the usual one, with fewer instructions.
func (u *userMemory) Put(p []byte) (int, error) {
	if address, ok := u.place(len(p)); ok && u.t.MM.TryCopyOut(address, p) {
		u.skip(len(p))
		return len(p), nil
	}
	return u.move(p, func(p []byte, address uint64) (int, error) { return u.t.CopyOutSome(address, p) })
}

// Get implements fs.Source.
func (u *userMemory) Get(p []byte) (int, error) {
	if address, ok := u.place(len(p)); ok && u.t.MM.TryCopyIn(p, address) {
		u.skip(len(p))
		return len(p), nil
	}
	return u.move(p, u.t.CopyInSome)
}
