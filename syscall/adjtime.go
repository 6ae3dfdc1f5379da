package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/cred"
	"slowpath/task"
)

// copyInTimex reads a struct timex. Its padding is kept, because Linux writes it back.
func copyInTimex(t *task.Task, address uint64) (unix.Timex, abi.Timex, error) {
	if hasTime32(t) {
		n, err := abi.CopyIn[compat.Timex](t, address)
		return n.Wide(), abi.Timex{}, err
	}
	v, err := abi.CopyIn[abi.Timex](t, address)
	return v.Values(), v, err
}

// copyOutTimex writes a struct timex, with the padding of the one that was read.
func copyOutTimex(t *task.Task, address uint64, x *unix.Timex, padding abi.Timex) error {
	if hasTime32(t) {
		return abi.CopyOut(t, address, compat.NarrowTimex(*x))
	}
	padding.Set(x)
	return abi.CopyOut(t, address, padding)
}

// adjust obeys the struct timex at an address and returns the state of the clock. Errors:
// EPERM, EINVAL.
func adjust(t *task.Task, x *unix.Timex) (uint64, error) {
	if err := clock.CheckAdjust(x, t.Credentials().Has(cred.SysTime)); err != nil {
		return 0, err
	}
	state, err := t.Kernel().AdjustWall(x)
	return uint64(state), err
}

// sysAdjtimex is adjtimex(2). It writes the structure also if it fails, as Linux does.
func sysAdjtimex(t *task.Task, a *amd64.Args) (uint64, error) {
	x, padding, err := copyInTimex(t, a[0])
	if err != nil {
		return 0, err
	}
	state, err := adjust(t, &x)
	if fault := copyOutTimex(t, a[0], &x, padding); fault != nil {
		return 0, fault
	}
	return state, err
}

// sysClockAdjtime is clock_adjtime(2). Errors: EINVAL for an unknown clock, EOPNOTSUPP for
// another than CLOCK_REALTIME.
func sysClockAdjtime(t *task.Task, a *amd64.Args) (uint64, error) {
	x, padding, err := copyInTimex(t, a[1])
	if err != nil {
		return 0, err
	}
	if id := int32(a[0]); id != unix.CLOCK_REALTIME {
		return 0, noAdjustment(id)
	}
	state, err := adjust(t, &x)
	if err != nil {
		return 0, err
	}
	return state, copyOutTimex(t, a[1], &x, padding)
}

// noAdjustment returns the error of clock_adjtime(2) for another clock than CLOCK_REALTIME. A
// negative number is a clock of CPU time or, if its kind says so, a descriptor of a device, of
// which there is none.
func noAdjustment(id int32) error {
	const kinds, ofDescriptor = 7, 3
	const unused = 10
	if id > unix.CLOCK_TAI || id == unused || id < 0 && id&kinds == ofDescriptor {
		return unix.EINVAL
	}
	return unix.EOPNOTSUPP
}
