package syscall

import (
	"math"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/task"
)

var futexCalls = []Row{
	{Number: unix.SYS_FUTEX, Name: "futex", Arguments: args(Pointer, Hex, Uint, Pointer, Pointer, Hex), Handler: sysFutex,
		Partial: "Priority inheritance fails with ENOSYS: tasks have no priorities that could be inherited."},
	{Number: unix.SYS_FUTEX_WAITV, Name: "futex_waitv", Arguments: args(Pointer, Uint, Hex, Pointer, Int), Handler: sysFutexWaitv},
}

// The operations and flags of futex(2).
const (
	futexWait       = 0
	futexWake       = 1
	futexRequeue    = 3
	futexCmpRequeue = 4
	futexWakeOp     = 5
	futexWaitBitset = 9
	futexWakeBitset = 10

	futexPrivate  = 128
	futexRealtime = 256
)

func sysFutex(t *task.Task, a *amd64.Args) (uint64, error) {
	operation := uint32(a[1]) &^ (futexPrivate | futexRealtime)
	scope := futexScope(a[1])
	value := uint32(a[2])
	if a[1]&futexRealtime != 0 && operation != futexWaitBitset {
		return 0, unix.ENOSYS
	}
	switch operation {
	case futexWait:
		return futexSleep(t, a, scope, task.FutexMatchAny, relativeTimeout)
	case futexWaitBitset:
		return futexSleep(t, a, scope, uint32(a[5]), absoluteTimeout)
	case futexWake:
		n, err := t.FutexWake(a[0], int(int32(value)), scope, task.FutexMatchAny)
		return uint64(n), err
	case futexWakeBitset:
		n, err := t.FutexWake(a[0], int(int32(value)), scope, uint32(a[5]))
		return uint64(n), err
	case futexRequeue:
		return futexMove(t, a, scope, nil)
	case futexCmpRequeue:
		expected := uint32(a[5])
		return futexMove(t, a, scope, &expected)
	case futexWakeOp:
		n, err := t.FutexWakeOp(a[0], a[4], int(int32(value)), int(int32(a[3])), scope, uint32(a[5]))
		return uint64(n), err
	}
	return 0, unix.ENOSYS
}

// futexScope reads FUTEX_PRIVATE_FLAG, or FUTEX2_PRIVATE with the same value.
func futexScope(flags uint64) task.FutexScope {
	if flags&futexPrivate != 0 {
		return task.PrivateFutex
	}
	return task.SharedFutex
}

// timeoutKind is how a futex operation interprets its timeout.
type timeoutKind uint8

const (
	relativeTimeout timeoutKind = iota // from now on
	absoluteTimeout                    // a time of the operation's clock
)

// futexSleep is FUTEX_WAIT, which has a relative timeout, and
// FUTEX_WAIT_BITSET, which has an absolute one.
func futexSleep(t *task.Task, a *amd64.Args, scope task.FutexScope, bits uint32, kind timeoutKind) (uint64, error) {
	deadline := int64(0)
	if a[3] != 0 {
		ns, err := loadTimespec(t, a[3])
		if err != nil {
			return 0, err
		}
		switch {
		case kind == relativeTimeout:
			deadline = after(clock.Monotonic(), ns)
		case a[1]&futexRealtime != 0:
			deadline = monotonicDeadline(t, unix.CLOCK_REALTIME, ns)
		default:
			deadline = monotonicDeadline(t, unix.CLOCK_MONOTONIC, ns)
		}
	}
	return 0, t.FutexWait(a[0], uint32(a[2]), scope, bits, deadline)
}

// futexMove is FUTEX_REQUEUE, without an expected value, and FUTEX_CMP_REQUEUE.
// Both return the number of woken waiters plus the number of requeued ones.
func futexMove(t *task.Task, a *amd64.Args, scope task.FutexScope, expected *uint32) (uint64, error) {
	n, _, err := t.FutexRequeue(a[0], a[4], int(int32(a[2])), int(int32(a[3])), scope, expected)
	return uint64(n), err
}

// futexSize32 is FUTEX2_SIZE_U32, the only futex size of futex_waitv(2).
const futexSize32 = 2

func sysFutexWaitv(t *task.Task, a *amd64.Args) (uint64, error) {
	count := uint32(a[1])
	if a[2] != 0 || a[0] == 0 || count == 0 || count > task.MaxFutexWaitEntries {
		return 0, unix.EINVAL
	}
	deadline, err := waitvDeadline(t, a)
	if err != nil {
		return 0, err
	}
	waiters := make([]abi.FutexWaitv, count)
	if err := abi.CopyInSlice(t, a[0], waiters); err != nil {
		return 0, err
	}
	entries := make([]task.FutexWaitEntry, count)
	for i, w := range waiters {
		if w.Flags&^futexPrivate != futexSize32 || w.Reserved != 0 || w.Val > math.MaxUint32 {
			return 0, unix.EINVAL
		}
		entries[i] = task.FutexWaitEntry{Value: uint32(w.Val), Address: w.Uaddr, Scope: futexScope(uint64(w.Flags))}
	}
	n, err := t.FutexWaitMany(entries, deadline)
	return uint64(n), err
}

func waitvDeadline(t *task.Task, a *amd64.Args) (int64, error) {
	if a[3] == 0 {
		return 0, nil
	}
	id := int32(a[4])
	if id != unix.CLOCK_MONOTONIC && id != unix.CLOCK_REALTIME {
		return 0, unix.EINVAL
	}
	ns, err := loadTimespec(t, a[3])
	if err != nil {
		return 0, err
	}
	return monotonicDeadline(t, id, ns), nil
}
