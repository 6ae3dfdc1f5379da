package amd64

import "sync/atomic"

// TickNanoseconds is the period of the timer's tick, which samples what a CPU does
// and ends a program's time slice.
const TickNanoseconds = 4_000_000

// TickInUser charges the CPU's time to the program that a tick found in user mode, and
// ends the program's time slice: see TakeResched. Package goos calls it, with
// interrupts off.
//
//go:nosplit
func TickInUser() {
	c := thisCPU()
	a := cpuClocks[c.id].found(accountOf(c.kernelFS), TSC())
	if IsNoHZ(int(c.id)) {
		EndSlice()
		return // LeaveUser divides the time
	}
	if a != nil {
		a.userSample.Add(TickNanoseconds)
	}
	sampledUser(c.id, a, TickNanoseconds)
	EndSlice()
}

// TickInKernel charges the CPU's time to the task whose goroutine a tick found at work
// in the kernel. The task looks at its account before it returns to user mode: see
// CPUTime.TakeTick. Package goos calls it, with interrupts off.
//
//go:nosplit
func TickInKernel() {
	c := thisCPU()
	a := cpuClocks[c.id].found(accountOf(c.kernelFS), TSC())
	if !IsNoHZ(int(c.id)) {
		sampled(c.id, systemSample, TickNanoseconds)
		if a != nil {
			a.systemSample.Add(TickNanoseconds)
		}
	}
	EndSliceInKernel()
}

// EndSlice ends the time slice of the program that was in user mode on this CPU. Package
// goos calls it, with interrupts off.
//
//go:nosplit
func EndSlice() {
	if c := thisCPU(); c.fpregsOwner != 0 {
		frameAt(c.fpregsOwner).resched = true
	}
}

// EndSliceInKernel makes the task whose goroutine was interrupted in the kernel do the
// work of a tick before it returns to user mode: see CPUTime.TakeTick. Package goos calls
// it, with interrupts off.
//
//go:nosplit
func EndSliceInKernel() {
	if account := accountOf(thisCPU().kernelFS); account != 0 {
		a := accountAt(account)
		a.ticked.Store(true)
		a.flags.Or(tickDuty)
	}
}

// deadlines points to the deadlines of each CPU: see SetDeadlines.
var deadlines [MaxCPUs]struct{ timer, slice *atomic.Int64 }

// SetDeadlines sets where the deadlines of a CPU are, in nanoseconds since boot, or 0 for
// none: that of its earliest timer, and the end of the current time slice. At these times the
// timer's interrupt makes EnterUser return. It is called before the first task runs.
//
// Interrupt handlers must not fault, and a page of the Go heap is present only once it was
// written. So SetDeadlines writes both.
func SetDeadlines(cpu int, timer, slice *atomic.Int64) {
	timer.Add(0)
	slice.Add(0)
	deadlines[cpu].timer, deadlines[cpu].slice = timer, slice
}

// TimerDeadline returns the deadline of the CPU's earliest timer, in nanoseconds since boot,
// or 0. Package goos calls it, with interrupts off.
//
//go:nosplit
func TimerDeadline(cpu int) uint64 { return valueOf(deadlines[cpu].timer) }

// SliceDeadline returns the end of the CPU's current time slice, in nanoseconds since boot, or
// 0. Package goos calls it, with interrupts off.
//
//go:nosplit
func SliceDeadline(cpu int) uint64 { return valueOf(deadlines[cpu].slice) }

//go:nosplit
func valueOf(deadline *atomic.Int64) uint64 {
	if deadline == nil {
		return 0
	}
	return uint64(deadline.Load())
}

// TakeResched reports whether somebody else should run instead of f's program,
// and clears that: its time slice has ended. The user loop calls it after an
// interrupt and raises NEED_RESCHED.
//
// Other interrupts of user mode are no reason. A kick, a TLB shootdown, a
// barrier and a request for the state are served when EnterUser returns. A
// thread that is woken or pinned to this CPU is scheduled by package goos in
// the interrupt itself. The Go runtime's requests, to preempt a goroutine after
// 10 ms or to stop the world, are obeyed in the prologue of the first Go
// function that the user loop then calls, which needs no call of Gosched.
//
// The caller is f's own goroutine. No lock is needed: the tick stores the value
// only while the program is in user mode.
func (f *Frame) TakeResched() bool {
	resched := f.resched
	f.resched = false
	return resched
}

// sampleInterval is the interval of SetSampleInterval.
var sampleInterval atomic.Uint64

// SetSampleInterval makes the timer interrupt a CPU that is not idle at least each interval
// nanoseconds, from the next interrupt on. 0 leaves it to the tick. Any context.
func SetSampleInterval(interval uint64) { sampleInterval.Store(interval) }

// SampleInterval returns the interval in nanoseconds, or 0. Any context.
//
//go:nosplit
func SampleInterval() uint64 { return sampleInterval.Load() }
