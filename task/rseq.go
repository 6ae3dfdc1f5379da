package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/signal"
)

// RSeq is a registration of rseq(2) (linux/rseq.h). The zero value stands for no
// registration.
type RSeq struct {
	Address   uint64 // user address of struct rseq
	Length    uint32 // its size in bytes
	Signature uint32 // the word in front of every abort handler
}

// rseqSubsystem is the registration of restartable sequences. A child with its own
// copy of the memory inherits the registration.
var rseqSubsystem = Subsystem{
	Name: "restartable sequences",
	Fork: func(parent, child *Task, a *CloneArgs) error {
		if a.Flags&unix.CLONE_VM == 0 {
			child.rseq = parent.rseq
			child.RaiseRSeq() // its area has the number of the parent's CPU
		}
		return nil
	},
	Exec: func(t *Task, _ *Execution) { t.rseq = RSeq{} },
}

// rseqSize is the size and the alignment of struct rseq in its original version, in
// bytes.
const rseqSize = 32

// RegisterRSeq is rseq(2): it registers the area r, or unregisters it with flag 1
// (RSEQ_FLAG_UNREGISTER). Only the task's own goroutine calls it; it may sleep.
//
// Errors: EINVAL for unknown flags or a bad area, EBUSY if r is registered already,
// EPERM for another signature than the registered one, EFAULT.
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

// RSeq returns the registration. Only the task's own goroutine calls it, or that of the
// tracer while it has frozen the task.
func (t *Task) RSeq() RSeq { return t.rseq }

// registeredRSeq returns the error of a registration while one exists: EBUSY if it
// is the same.
func (t *Task) registeredRSeq(r RSeq) error {
	switch {
	case t.rseq.Address != r.Address || t.rseq.Length != r.Length:
		return unix.EINVAL
	case t.rseq.Signature != r.Signature:
		return unix.EPERM
	}
	return unix.EBUSY
}

// unregisterRSeq removes the registration r and resets the CPU number in its area.
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

// RaiseRSeq raises the duty of rseq(2), if the task has a registration: serveRSeq
// runs before the return to user mode. It is called after a preemption or a
// migration to another CPU. Only the task's own goroutine calls it.
func (t *Task) RaiseRSeq() {
	if t.rseq.Address != 0 {
		entry.Raise(&t.Frame.ThreadFlags, entry.RestartableSequence)
	}
}

// rseqUninitialized is RSEQ_CPU_ID_UNINITIALIZED (linux/rseq.h).
const rseqUninitialized = ^uint32(0)

// serveRSeq aborts the restartable sequence that the task is executing, if any, and
// writes the number of the current CPU into the area. If the area is invalid or
// cannot be accessed, it sends SIGSEGV (Linux: kernel/rseq.c). delivered is the
// signal whose frame is being built, or 0.
func (t *Task) serveRSeq(f *amd64.Frame, delivered signal.Signal) {
	if t.rseq.Address == 0 {
		return
	}
	if !t.abortSequence(f) || !t.writeCPU(f) {
		t.forceSegmentationFault(delivered)
	}
}

// writeCPU stores the number of the current CPU in the area. It reports false if
// the area cannot be written.
func (t *Task) writeCPU(f *amd64.Frame) bool {
	cpu := uint32(f.LastCPU())
	return t.storeRSeqCPU(cpu, cpu) == nil
}

// storeRSeqCPU stores cpu_id_start and cpu_id, the first fields of struct rseq.
func (t *Task) storeRSeqCPU(start, cpu uint32) error {
	return abi.CopyOut(t, t.rseq.Address, [2]uint32{start, cpu})
}

// abortSequence sets RIP to the abort handler if it is inside the restartable
// sequence. It reports false if the area is invalid.
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
		return false // Linux 6.1 rejects all flags; the NO_RESTART flags were removed
	}
	if abi.CopyOut(t, t.rseq.Address+abi.RseqCSOffset, uint64(0)) != nil {
		return false
	}
	if inside {
		f.RIP = cs.AbortIP
	}
	return true
}

// readSequence reads the descriptor of a sequence (struct rseq_cs). It reports false
// unless the addresses are user addresses, the abort handler is outside the
// sequence, and the signature is in front of the handler.
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

// RegisterBarrier records that the process has registered for the membarrier(2)
// commands in command, a bit mask of MEMBARRIER_CMD_REGISTER_ values. Any goroutine
// may call it.
func (t *Task) RegisterBarrier(command uint32) { t.group.barriers.Or(command) }

// BarrierRegistered reports whether the process has registered for one of the
// commands in command. Any goroutine may call it.
func (t *Task) BarrierRegistered(command uint32) bool { return t.group.barriers.Load()&command != 0 }
