package amd64

// Control-register bits that differ from task to task are not switched with
// the task, because most never need it: a CPU keeps what it has, and where a
// frame wants something else the duty of the last step is raised, which loads
// it with interrupts off, right before user mode.

// DenyTSC says whether RDTSC and RDTSCP fault in f's user mode (prctl(2),
// PR_SET_TSC). The caller is f's own goroutine; the CPU follows at the next
// return to user mode.
func (f *Frame) DenyTSC(deny bool) {
	Release(f) // so that TakeCPU compares
	f.noTSC.Store(deny)
}

// TSCDenied reports what DenyTSC has set.
func (f *Frame) TSCDenied() bool { return f.noTSC.Load() }

// raiseUserControl raises the last step's duty if this CPU's control registers
// are not what f wants.
//
//go:nosplit
func raiseUserControl(c *perCPU, f *Frame) {
	if f.noTSC.Load() != (c.noTSC != 0) {
		f.ThreadFlags.Or(lastMask)
	}
}

// LoadUserControl makes this CPU's control registers what f wants. It is the
// handler of USER_RETURN_NOTIFY: interrupts are off until user mode.
//
//go:nosplit
func LoadUserControl(f *Frame) {
	c := thisCPU()
	if f.noTSC.Load() {
		c.noTSC = 1
		writeCR4(readCR4() | cr4TSD)
		return
	}
	c.noTSC = 0
	writeCR4(readCR4() &^ cr4TSD)
}
