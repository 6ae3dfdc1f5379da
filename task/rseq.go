package task

import "golang.org/x/sys/unix"

// RSeq is the registration of rseq(2) (linux/rseq.h). The zero value is none.
type RSeq struct {
	Address   uint64
	Length    uint32
	Signature uint32
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
	t.rseq = RSeq{}
	return nil
}

// RegisterBarrier notes that the process has announced a command of
// membarrier(2).
func (t *Task) RegisterBarrier(command uint32) { t.group.barriers.Or(command) }

// BarrierRegistered reports whether it has.
func (t *Task) BarrierRegistered(command uint32) bool { return t.group.barriers.Load()&command != 0 }
