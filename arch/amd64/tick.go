package amd64

// TickNanoseconds is the period of the timer's tick, which charges a CPU's time
// to a program and ends its time slice.
const TickNanoseconds = 4_000_000

// TickInUser charges a tick to the program that it found in user mode on this
// CPU, and ends the program's time slice: see TakeResched. Package goos calls
// it, with interrupts off.
//
//go:nosplit
func TickInUser() {
	c := thisCPU()
	if c.fpregsOwner == 0 {
		return
	}
	f := frameAt(c.fpregsOwner)
	f.UserTicks.Add(1)
	f.resched = true
}

// TickInKernel charges a tick that found the kernel at work to the program
// whose state this CPU has. Package goos calls it, with interrupts off.
//
//go:nosplit
func TickInKernel() {
	if c := thisCPU(); c.fpregsOwner != 0 {
		frameAt(c.fpregsOwner).SystemTicks.Add(1)
	}
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
