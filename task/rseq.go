package task

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/signal"
)

// RSeq is the registration of rseq(2) (linux/rseq.h). The zero value is none.
type RSeq struct {
	Address   uint64
	Length    uint32
	Signature uint32
}

// rseqSubsystem is the registration of restartable sequences. A child with a
// copy of the memory keeps it.
var rseqSubsystem = Subsystem{
	Name: "restartable sequences",
	Fork: func(parent, child *Task, a *CloneArgs) error {
		if a.Flags&unix.CLONE_VM == 0 {
			child.rseq = parent.rseq
		}
		return nil
	},
	Exec: func(t *Task, _ *Execution) { t.rseq = RSeq{} },
}

// The size and alignment of the first struct rseq, in bytes.
const rseqSize = 32

// RegisterRSeq is rseq(2): ENOSYS never, EINVAL for a bad area, EBUSY and EPERM
// as the kernel's documentation says.
func (t *Task) RegisterRSeq(r RSeq, flags int) error {
	const unregister = 1
	switch {
	case flags == unregister:
		return t.unregisterRSeq(r)
	case flags != 0:
		return unix.EINVAL
	case t.rseq.Address != 0:
		return t.registeredRSeq(r)
	case r.Address%rseqSize != 0 || r.Length != rseqSize || r.Address == 0:
		return unix.EINVAL
	}
	t.rseq = r
	t.Raise(entry.RestartableSequence) // the area is written before the call returns
	return nil
}

// registeredRSeq answers a second registration: EBUSY if it is the same.
func (t *Task) registeredRSeq(r RSeq) error {
	switch {
	case t.rseq.Address != r.Address || t.rseq.Length != r.Length:
		return unix.EINVAL
	case t.rseq.Signature != r.Signature:
		return unix.EPERM
	}
	return unix.EBUSY
}

func (t *Task) unregisterRSeq(r RSeq) error {
	switch {
	case t.rseq.Address == 0, t.rseq.Address != r.Address, t.rseq.Length != r.Length:
		return unix.EINVAL
	case t.rseq.Signature != r.Signature:
		return unix.EPERM
	}
	var p [8]byte
	binary.LittleEndian.PutUint32(p[rseqCPU:], rseqUninitialized)
	if err := t.CopyOut(t.rseq.Address, p[:]); err != nil {
		return err
	}
	t.rseq = RSeq{}
	return nil
}

// RaiseRSeq makes the task look at its restartable sequence before it returns
// to user mode: it was preempted, moved to another CPU, or gets a signal. The
// task's own goroutine calls it.
func (t *Task) RaiseRSeq() {
	if t.rseq.Address != 0 {
		entry.Raise(&t.Frame.ThreadFlags, entry.RestartableSequence)
	}
}

// Offsets in struct rseq and struct rseq_cs (linux/rseq.h).
const (
	rseqCPUStart = 0
	rseqCPU      = 4
	rseqCS       = 8
	rseqFlags    = 16

	rseqCSSize = 32

	rseqUninitialized = ^uint32(0) // RSEQ_CPU_ID_UNINITIALIZED
)

// criticalSection is struct rseq_cs.
type criticalSection struct {
	version, flags              uint32
	start, afterCommit, abortTo uint64
}

// serveRSeq aborts the sequence that the task was in, if it was in one, and
// writes the number of the CPU on which it goes on. An area that cannot be
// read or written, or that lies, is SIGSEGV (Linux, kernel/rseq.c). delivered is
// the signal that is being delivered, or 0.
func (t *Task) serveRSeq(f *amd64.Frame, delivered signal.Signal) {
	if t.rseq.Address == 0 {
		return
	}
	if !t.abortSequence(f) || !t.writeCPU(f) {
		t.forceSegmentationFault(delivered)
	}
}

// writeCPU stores cpu_id_start and cpu_id.
func (t *Task) writeCPU(f *amd64.Frame) bool {
	cpu := uint32(f.LastCPU())
	var p [8]byte
	binary.LittleEndian.PutUint32(p[rseqCPUStart:], cpu)
	binary.LittleEndian.PutUint32(p[rseqCPU:], cpu)
	return t.CopyOut(t.rseq.Address, p[:]) == nil
}

// abortSequence moves the task to the abort handler if RIP is inside of its
// critical section. It reports false for an area that is not as it must be.
func (t *Task) abortSequence(f *amd64.Frame) bool {
	var area [rseqSize]byte
	if t.CopyIn(t.rseq.Address, area[:]) != nil {
		return false
	}
	at := binary.LittleEndian.Uint64(area[rseqCS:])
	if at == 0 {
		return true
	}
	cs, ok := t.readCriticalSection(at)
	if !ok {
		return false
	}
	inside := f.RIP-cs.start < cs.afterCommit
	if inside && (cs.flags != 0 || binary.LittleEndian.Uint32(area[rseqFlags:]) != 0) {
		return false // NO_RESTART flags are gone since Linux 6.1
	}
	if t.ZeroOut(t.rseq.Address+rseqCS, 8) != nil {
		return false
	}
	if inside {
		f.RIP = cs.abortTo
	}
	return true
}

// readCriticalSection reads and checks a descriptor: its addresses are the
// user's, the handler is outside, and the signature stands before it.
func (t *Task) readCriticalSection(at uint64) (cs criticalSection, ok bool) {
	var p [rseqCSSize]byte
	if t.CopyIn(at, p[:]) != nil {
		return cs, false
	}
	cs.version, cs.flags = binary.LittleEndian.Uint32(p[0:]), binary.LittleEndian.Uint32(p[4:])
	cs.start = binary.LittleEndian.Uint64(p[8:])
	cs.afterCommit = binary.LittleEndian.Uint64(p[16:])
	cs.abortTo = binary.LittleEndian.Uint64(p[24:])
	end := cs.start + cs.afterCommit
	if cs.version != 0 || cs.start >= amd64.UserLimit || end >= amd64.UserLimit || end < cs.start ||
		cs.abortTo >= amd64.UserLimit || cs.abortTo-cs.start < cs.afterCommit {
		return cs, false
	}
	var signature [4]byte
	if t.CopyIn(cs.abortTo-4, signature[:]) != nil {
		return cs, false
	}
	return cs, binary.LittleEndian.Uint32(signature[:]) == t.rseq.Signature
}

// RegisterBarrier notes that the process has announced a command of
// membarrier(2).
func (t *Task) RegisterBarrier(command uint32) { t.group.barriers.Or(command) }

// BarrierRegistered reports whether it has.
func (t *Task) BarrierRegistered(command uint32) bool { return t.group.barriers.Load()&command != 0 }
