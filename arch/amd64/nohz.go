package amd64

import "sync/atomic"

// A CPU of nohz_full= runs a single task without interrupts. It has no tick, runs no threads of
// the runtime that are not pinned to it, and flushes its TLB for the kernel's addresses when it
// enters the kernel. The time of its tasks is divided at each crossing between user mode and the
// kernel: see CPUTime.LeaveKernel.

// noHZ is the set of these CPUs, one bit each.
var noHZ atomic.Uint64

// SetNoHZ sets the CPUs that have no tick, one bit each. At least one CPU must remain. It is called
// before the first task runs.
func SetNoHZ(cpus uint64) { noHZ.Store(cpus) }

// IsNoHZ reports whether a CPU has no tick. Any context.
//
//go:nosplit
func IsNoHZ(cpu int) bool { return noHZ.Load()>>uint(cpu)&1 != 0 }

// tickWanted is the set of CPUs of nohz_full= that have a tick all the same: see WantTick.
var tickWanted atomic.Uint64

// WantTick gives a CPU of nohz_full= a tick, because its task has a limit or a timer of CPU time.
// It reports whether the CPU had none. Any context.
func WantTick(cpu int) bool { return tickWanted.Or(1<<uint(cpu))>>uint(cpu)&1 == 0 }

// RefuseTick ends WantTick. Any context.
func RefuseTick(cpu int) {
	if tickWanted.Load()>>uint(cpu)&1 != 0 {
		tickWanted.And(^(uint64(1) << uint(cpu)))
	}
}

// HasTick reports whether a CPU has a tick while it is not idle. Any context.
//
//go:nosplit
func HasTick(cpu int) bool { return (noHZ.Load()&^tickWanted.Load())>>uint(cpu)&1 == 0 }

// The states of deferrals.
const (
	flushAtOnce  = iota // FlushAll interrupts the CPU
	flushLater          // the CPU is in user mode, and flushes at its entry into the kernel
	flushPending        // FlushAll has been called meanwhile
)

// deferrals has the state of each CPU of nohz_full=. The CPU itself sets flushLater, with the
// functions below, and flushAtOnce. FlushAll sets flushPending.
var deferrals [MaxCPUs]atomic.Uint32

// DeferFlushes lets FlushAll leave this CPU alone until EndDeferral. In between, the CPU must be
// in user mode or access only memory that stays mapped: the caller's stack, and the frame that
// EnterUser enters. Package goos calls EndDeferral first if it interrupts the caller.
//
//go:nosplit
func DeferFlushes() {
	interruptsOff()
	deferrals[thisCPU().id].Store(flushLater)
	interruptsOn()
}

// EndDeferral ends DeferFlushes on this CPU. The caller runs with interrupts off or calls
// EndDeferrals.
//
//go:nosplit
func EndDeferral() {
	c := thisCPU()
	d := &deferrals[c.id]
	if d.Load() == flushAtOnce {
		return
	}
	if d.Swap(flushAtOnce) == flushPending {
		reloadRoot(c)
	}
}

// EndDeferrals is EndDeferral with interrupts on.
//
//go:nosplit
func EndDeferrals() {
	interruptsOff()
	EndDeferral()
	interruptsOn()
}

// deferFlush makes CPU i flush its TLB at its next entry into the kernel. It reports false if
// the CPU must be interrupted.
//
//go:nosplit
func deferFlush(i uint64) bool {
	d := &deferrals[i]
	return d.CompareAndSwap(flushLater, flushPending) || d.Load() == flushPending
}

// InterruptThisCPU interrupts the caller's CPU, which then arms its timer again. Any goroutine may
// call it.
//
//go:nosplit
func InterruptThisCPU() {
	interruptsOff()
	sendIPI(thisCPU())
	interruptsOn()
}

// ForgetUser makes EnterUser return EventHandover for f, so that each entry into user mode
// passes through TakeCPU. f's own goroutine calls it.
//
//go:nosplit
func ForgetUser(f *Frame) {
	if holder := atomic.LoadUint64(&f.cpu); holder != 0 {
		atomic.CompareAndSwapUint64(&(*perCPU)(pointer(holder)).userFrame, frameAddress(f), 0)
	}
}

// LeaveKernel charges the time since the last crossing to the kernel, because the task is about
// to enter user mode on a CPU of nohz_full=. The task's own goroutine calls it.
func (a *CPUTime) LeaveKernel() {
	a.crossed(&a.systemSample, systemSample)
	a.setMode(a.userKind())
}

// LeaveUser charges the time since LeaveKernel to user mode. A second call changes nothing. The
// task's own goroutine calls it.
func (a *CPUTime) LeaveUser() {
	if a.mode.Load() == systemSample {
		return
	}
	a.crossed(&a.userSample, a.userKind())
	a.setMode(systemSample)
}

// ChargeKernel charges the time since LeaveUser to the kernel. The task's own goroutine calls it.
func (a *CPUTime) ChargeKernel() {
	if a.mode.Load() == systemSample {
		a.crossed(&a.systemSample, systemSample)
	}
}

// EndExact ends the division by crossings, because the task has left the CPUs of nohz_full=. The
// task's own goroutine calls it.
func (a *CPUTime) EndExact() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.exact = false
}

// crossed charges the time since the last crossing. At the first one it makes the samples those
// that lead to the present division.
func (a *CPUTime) crossed(to *atomic.Int64, kind int32) {
	UpdateCPUTime()
	a.mu.Lock()
	defer a.mu.Unlock()
	total := a.total.Load()
	if !a.exact {
		user, _ := a.divide(total, a.userSample.Load(), a.systemSample.Load())
		a.userSample.Store(user)
		a.systemSample.Store(total - user)
		a.exact, a.marked = true, total
	}
	to.Add(total - a.marked)
	sampled(uint64(a.cpu.Load()), kind, total-a.marked)
	a.marked = total
}

// setMode notes in which mode the task and its CPU are from now on.
func (a *CPUTime) setMode(kind int32) {
	cpu := int32(CPU())
	a.cpu.Store(cpu)
	a.mode.Store(kind)
	cpuUsages[cpu].mode.Store(kind)
}

// userKind returns the kind of the task's samples in user mode.
//
//go:nosplit
func (a *CPUTime) userKind() int32 {
	if a.nice.Load() > 0 {
		return niceSample
	}
	return userSample
}

// unread returns the time that the CPU of a task without a tick has not charged yet. a.mu is held.
func (a *CPUTime) unread() int64 {
	if !a.exact {
		return 0
	}
	k := &cpuClocks[a.cpu.Load()]
	since := atomic.LoadUint64(&k.since)
	if atomic.LoadUint64(&k.account) != accountAddress(a) {
		return 0
	}
	now := TSC()
	if atomic.LoadUint64(&k.since) != since || now < since {
		return 0
	}
	return int64(tscNanoseconds(now - since))
}
