package task

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
)

// The options of arch_prctl(2) that concern the bases of FS and GS.
const (
	archSetGS = 0x1001
	archSetFS = 0x1002
	archGetFS = 0x1003
	archGetGS = 0x1004
)

// SegmentBase is arch_prctl(2) for the bases of FS and GS. The options that read store
// the base at the address argument of m, the memory of the caller. The caller is the
// task itself, or its tracer while it has frozen the task. Errors: EINVAL for another
// option, EPERM for a base that is no user address, EFAULT.
func (t *Task) SegmentBase(m abi.UserMemory, option, argument uint64) error {
	f := t.Frame
	base := &f.GSBase
	switch option {
	case archSetFS, archGetFS:
		base = &f.FSBase
	case archSetGS, archGetGS:
		amd64.Release(f) // a CPU may still hold GS base
	default:
		return unix.EINVAL
	}
	switch {
	case option == archGetFS || option == archGetGS:
		return abi.CopyOut(m, argument, *base)
	case argument >= amd64.UserLimit:
		return unix.EPERM
	}
	*base = argument
	return nil
}
