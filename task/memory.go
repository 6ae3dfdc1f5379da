package task

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/mm"
)

// The functions below copy between the kernel and the task's memory. They may
// sleep, and must not be called with a lock held that a page fault takes. No other
// code accesses user addresses. Only the task's own goroutine calls them.

// CopyIn reads len(p) bytes at the user address: all of them, or EFAULT.
func (t *Task) CopyIn(address uint64, p []byte) error {
	if t.MM.TryCopyIn(p, address) {
		return nil
	}
	_, err := t.CopyInSome(p, address)
	return err
}

// CopyOut writes p to the user address: all of it, or EFAULT.
func (t *Task) CopyOut(address uint64, p []byte) error {
	if t.MM.TryCopyOut(address, p) {
		return nil
	}
	_, err := t.CopyOutSome(address, p)
	return err
}

// CopyInSome is CopyIn that also returns how many bytes were copied before the
// EFAULT.
func (t *Task) CopyInSome(p []byte, address uint64) (int, error) {
	for done := 0; ; {
		n, err := t.MM.CopyIn(p[done:], address+uint64(done))
		done += n
		if err = t.retryAfterOOM(err); err != errAgain {
			return done, err
		}
	}
}

// CopyOutSome is CopyOut that also returns how many bytes were copied before the
// EFAULT.
func (t *Task) CopyOutSome(address uint64, p []byte) (int, error) {
	for done := 0; ; {
		n, err := t.MM.CopyOut(address+uint64(done), p[done:])
		done += n
		if err = t.retryAfterOOM(err); err != errAgain {
			return done, err
		}
	}
}

// ZeroOut writes n zeros to the user address: all of them, or EFAULT.
func (t *Task) ZeroOut(address uint64, n int) error {
	for done := 0; ; {
		copied, err := t.MM.ZeroOut(address+uint64(done), n-done)
		done += copied
		if err = t.retryAfterOOM(err); err != errAgain {
			return err
		}
	}
}

// CopyInString reads a NUL-terminated string of at most max bytes, including the
// NUL. Errors: ENAMETOOLONG if there is no NUL, EFAULT.
func (t *Task) CopyInString(address uint64, max int) (string, error) {
	for {
		s, err := t.MM.CopyInString(address, max)
		if err = t.retryAfterOOM(err); err != errAgain {
			return s, err
		}
	}
}

// CopyInPath reads a path name. Errors: ENAMETOOLONG from 4096 bytes on (path(7)),
// EFAULT.
func (t *Task) CopyInPath(address uint64) (string, error) {
	name, err := t.CopyInString(address, unix.PathMax)
	if err == nil && t.names != nil {
		t.names.Named(address, name)
	}
	return name, err
}

// LoadUint32 reads a word of user memory, atomically if it is aligned. Error: EFAULT.
func (t *Task) LoadUint32(address uint64) (value uint32, err error) {
	if address&3 != 0 {
		return abi.CopyIn[uint32](t, address)
	}
	for {
		value, err = t.MM.LoadUint32(address)
		if err = t.retryAfterOOM(err); err != errAgain {
			return value, err
		}
	}
}

// StoreUint32 writes a word of user memory, atomically if it is aligned. Error:
// EFAULT.
func (t *Task) StoreUint32(address uint64, value uint32) error {
	if address&3 != 0 {
		return abi.CopyOut(t, address, value)
	}
	for {
		err := t.retryAfterOOM(t.MM.StoreUint32(address, value))
		if err != errAgain {
			return err
		}
	}
}

// ReadOther reads p at an address of another process, and returns how many bytes were
// read before the error: EFAULT. Only the task's own goroutine calls it; it may sleep.
// The caller holds a reference to the address space, such as that of InspectMemory.
func (t *Task) ReadOther(space *mm.AddressSpace, address uint64, p []byte, rights mm.RemoteRights) (int, error) {
	for done := 0; ; {
		n, err := space.ReadRemote(p[done:], address+uint64(done), rights)
		done += n
		if err == nil {
			return done, nil
		}
		if err = t.retryAfterOOM(err); err != errAgain {
			return done, err
		}
	}
}

// WriteOther is like ReadOther, but writes p.
func (t *Task) WriteOther(space *mm.AddressSpace, address uint64, p []byte, rights mm.RemoteRights) (int, error) {
	for done := 0; ; {
		n, err := space.WriteRemote(address+uint64(done), p[done:], rights)
		done += n
		if err == nil {
			return done, nil
		}
		if err = t.retryAfterOOM(err); err != errAgain {
			return done, err
		}
	}
}

// wordBytes returns the bytes of a word in memory.
func wordBytes(value uint32) []byte { return binary.LittleEndian.AppendUint32(nil, value) }

// errAgain means that memory was freed, and that the access must be retried.
const errAgain = unix.EAGAIN

// retryAfterOOM handles ENOMEM of an access to user memory: it lets the OOM killer
// free memory and returns errAgain. It returns EFAULT if the task itself must exit,
// or if there is no process to kill. Other errors are returned as they are.
func (t *Task) retryAfterOOM(err error) error {
	if err != unix.ENOMEM {
		return err
	}
	if t.Killed() || !t.kernel.OOMKill() || t.Killed() {
		return unix.EFAULT
	}
	return errAgain
}

// AddressSpace returns the address space with a reference, which the caller drops
// by DecRef, or nil if the task has none. Any goroutine may call it.
func (t *Task) AddressSpace() *mm.AddressSpace {
	t.resources.Lock()
	defer t.resources.Unlock()
	if t.MM == nil || !t.MM.TryIncRef() {
		return nil
	}
	return t.MM
}

// memorySubsystem is the address space.
var memorySubsystem = Subsystem{
	Name: "memory",
	Fork: (*Task).forkMemory,
	Undo: func(child *Task) {
		if child.MM != nil {
			child.MM.DecRef()
		}
	},
	Exec: func(t *Task, x *Execution) { t.replaceMemory(x.image.memory, x.Program) },
	Exit: (*Task).releaseMemory,
}

// forkMemory shares the address space, or copies it.
func (t *Task) forkMemory(child *Task, a *CloneArgs) error {
	memory := t.MM
	if a.Flags&unix.CLONE_VM != 0 {
		memory.IncRef()
	} else {
		var err error
		if memory, err = t.MM.Fork(t.Stops); err != nil {
			return err
		}
	}
	child.MM = memory
	child.Frame.SetRoot(memory.Root())
	return nil
}

// replaceMemory releases the address space and sets next instead, with the program
// that is loaded in it: the new program's in execve(2), nil in exit.
func (t *Task) replaceMemory(next *mm.AddressSpace, p *Program) {
	old := t.MM
	if old != nil {
		t.kernel.subsystems.leaveMemory(t)
		t.group.noteResident(old)
	}
	cell := newProgramCell(p)
	t.resources.Lock()
	t.MM = next
	if next != nil {
		t.program.Store(cell)
	}
	t.resources.Unlock()
	if next != nil {
		t.Frame.SetRoot(next.Root())
	}
	switch {
	case old == nil:
	case next == nil:
		old.DecRefInPieces(t.Stops)
	default:
		old.DecRef() // execve(2) holds locks
	}
}

func (t *Task) releaseMemory() { t.replaceMemory(nil, nil) }

// noteResident records the peak resident set size for getrusage(2).
func (g *ThreadGroup) noteResident(as *mm.AddressSpace) {
	peak := as.Usage().PeakResident * (mm.PageSize / 1024)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.endedTimes.MaxResident = max(g.endedTimes.MaxResident, peak)
}
