package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
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
	if err := t.storeRSeqCPU(0, rseqUninitialized); err != nil {
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

// rseqUninitialized is RSEQ_CPU_ID_UNINITIALIZED (linux/rseq.h).
const rseqUninitialized = ^uint32(0)

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

// writeCPU stores the current CPU. It reports false if it cannot.
func (t *Task) writeCPU(f *amd64.Frame) bool {
	cpu := uint32(f.LastCPU())
	return t.storeRSeqCPU(cpu, cpu) == nil
}

// storeRSeqCPU stores cpu_id_start and cpu_id, the first fields of struct rseq.
func (t *Task) storeRSeqCPU(start, cpu uint32) error {
	return abi.CopyOut(t, t.rseq.Address, [2]uint32{start, cpu})
}

// abortSequence moves the task to the abort handler if RIP is inside its
// restartable sequence. It reports false if the area is invalid.
func (t *Task) abortSequence(f *amd64.Frame) bool {
	area, err := abi.CopyIn[abi.Rseq](t, t.rseq.Address)
	if err != nil {
		return false
	}
	if area.RseqCS == 0 {
		return true
	}
	cs, ok := t.readSequence(area.RseqCS)
	if !ok {
		return false
	}
	inside := f.RIP-cs.StartIP < cs.PostCommitOffset
	if inside && (cs.Flags != 0 || area.Flags != 0) {
		return false // Linux 6.1 has no NO_RESTART flags any more
	}
	if abi.CopyOut(t, t.rseq.Address+abi.RseqCSOffset, uint64(0)) != nil {
		return false
	}
	if inside {
		f.RIP = cs.AbortIP
	}
	return true
}

// readSequence reads the descriptor of a sequence and checks that its addresses
// are the user's, that the abort handler is outside the sequence, and that the
// signature is in front of the handler.
func (t *Task) readSequence(address uint64) (cs abi.RseqCS, ok bool) {
	cs, err := abi.CopyIn[abi.RseqCS](t, address)
	if err != nil {
		return cs, false
	}
	end := cs.StartIP + cs.PostCommitOffset
	if cs.Version != 0 || cs.StartIP >= amd64.UserLimit || end >= amd64.UserLimit || end < cs.StartIP ||
		cs.AbortIP >= amd64.UserLimit || cs.AbortIP-cs.StartIP < cs.PostCommitOffset {
		return cs, false
	}
	signature, err := abi.CopyIn[uint32](t, cs.AbortIP-4)
	return cs, err == nil && signature == t.rseq.Signature
}

// RegisterBarrier notes that the process has announced a command of
// membarrier(2).
func (t *Task) RegisterBarrier(command uint32) { t.group.barriers.Or(command) }

// BarrierRegistered reports whether it has.
func (t *Task) BarrierRegistered(command uint32) bool { return t.group.barriers.Load()&command != 0 }
