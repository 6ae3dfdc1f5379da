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
	{Number: unix.SYS_FUTEX, Name: "futex", Arguments: args(Pointer, Hex, Uint, Pointer, Pointer, Hex), Handler: sysFutex},
	{Number: unix.SYS_FUTEX_WAITV, Name: "futex_waitv", Arguments: args(Pointer, Uint, Hex, Pointer, Int), Handler: sysFutexWaitv},
}

// The operations and flags of futex(2).
const (
	futexWait       = 0
	futexWake       = 1
	futexRequeue    = 3
	futexCmpRequeue = 4
	futexWakeOp     = 5
	futexLockPI     = 6
	futexUnlockPI   = 7
	futexTrylockPI  = 8
	futexWaitBitset = 9
	futexWakeBitset = 10

	futexWaitRequeuePI = 11
	futexCmpRequeuePI  = 12
	futexLockPI2       = 13

	futexPrivate  = 128
	futexRealtime = 256
)

func sysFutex(t *task.Task, a *amd64.Args) (uint64, error) {
	operation := uint32(a[1]) &^ (futexPrivate | futexRealtime)
	scope := futexScope(a[1])
	value := uint32(a[2])
	if a[1]&futexRealtime != 0 && operation != futexWaitBitset && operation != futexWaitRequeuePI && operation != futexLockPI2 {
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
	case futexLockPI, futexLockPI2:
		return futexLock(t, a, operation)
	case futexTrylockPI:
		return 0, t.FutexLock(a[0], scope, task.TryLock, 0)
	case futexUnlockPI:
		return 0, t.FutexUnlock(a[0], scope)
	case futexWaitRequeuePI:
		deadline, err := futexDeadline(t, a, absoluteTimeout, clockOfFlag(a[1]))
		if err != nil {
			return 0, err
		}
		return 0, t.FutexWaitRequeue(a[0], value, scope, a[4], task.FutexMatchAny, deadline)
	case futexCmpRequeuePI:
		if value != 1 {
			return 0, unix.EINVAL // futex(2): val must be 1
		}
		n, err := t.FutexRequeueLock(a[0], a[4], int(int32(a[3])), scope, uint32(a[5]))
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

// futexLock is FUTEX_LOCK_PI, whose timeout is a time of CLOCK_REALTIME, and
// FUTEX_LOCK_PI2, which has a flag for that.
func futexLock(t *task.Task, a *amd64.Args, operation uint32) (uint64, error) {
	clockID := int32(unix.CLOCK_REALTIME)
	if operation == futexLockPI2 {
		clockID = clockOfFlag(a[1])
	}
	deadline, err := futexDeadline(t, a, absoluteTimeout, clockID)
	if err != nil {
		return 0, err
	}
	return 0, t.FutexLock(a[0], futexScope(a[1]), task.WaitForLock, deadline)
}

// clockOfFlag returns the clock of an absolute timeout (FUTEX_CLOCK_REALTIME).
func clockOfFlag(operation uint64) int32 {
	if operation&futexRealtime != 0 {
		return unix.CLOCK_REALTIME
	}
	return unix.CLOCK_MONOTONIC
}

// futexDeadline returns the deadline of the timeout in the fourth argument, 0 if there is
// none. clockID is the clock of an absolute timeout.
func futexDeadline(t *task.Task, a *amd64.Args, kind timeoutKind, clockID int32) (int64, error) {
	if a[3] == 0 {
		return 0, nil
	}
	ns, err := loadTimespec(t, a[3])
	if err != nil {
		return 0, err
	}
	if kind == relativeTimeout {
		return after(clock.Monotonic(), ns), nil
	}
	return monotonicDeadline(t, clockID, ns), nil
}

// futexSleep is FUTEX_WAIT, which has a relative timeout, and
// FUTEX_WAIT_BITSET, which has an absolute one.
func futexSleep(t *task.Task, a *amd64.Args, scope task.FutexScope, bits uint32, kind timeoutKind) (uint64, error) {
	deadline, err := futexDeadline(t, a, kind, clockOfFlag(a[1]))
	if err != nil {
		return 0, err
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
