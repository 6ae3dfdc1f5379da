package goos

import "slowpath/arch/amd64"

// trapEntry handles an exception in ring 0, or an interrupt. interrupted is the
// current thread's frame, or that of the program that the thread ran in user
// mode.
func trapEntry(interrupted *amd64.Frame) {
	amd64.EndDeferral()
	t := me()
	f := &t.frame
	if interrupted != f {
		f.EndEnterUser(interrupted)
	}
	if f.Vector == amd64.PageFault && amd64.Fixup(f) {
		return // a bad pointer of a user; copyUser reports it
	}
	if interrupted == f && f.Vector < amd64.FirstInterrupt && amd64.FixupExit(f) {
		return // the user loop sends the program a signal
	}
	recordCause(f.Vector)
	if v := f.Vector; v >= amd64.FirstInterrupt || v == amd64.NMI || v == amd64.MachineCheck {
		amd64.CountInterrupt(v)
	}
	acquire()
	switch v := f.Vector; {
	case v == amd64.PageFault && inWindow(f.CR2) && f.Error&amd64.FaultPresent == 0:
		touch(f.CR2, 1)
	case v == amd64.MachineCheck: // recorded
	case v == amd64.DoubleFault: // users cannot cause it
		printRegisters(v, f.Error, f.RIP, f.RSP, f.CR2)
		Fatal(lastWords(v))
	case v == amd64.Debug: // recorded
	case v == amd64.NMI:
		amd64.CountUserNMI() // the user goes on
	case v < amd64.FirstInterrupt:
		raise(t, v)
	default:
		interrupt(t, v)
	}
	deliver()
	release()
}

// recordCause saves the cause of an exception that only this CPU knows, for the
// user loop. Such exceptions come here from user mode only. It runs before
// acquire: while the CPU spins on the lock, another CPU may take the program's
// state.
func recordCause(vector uint64) {
	switch vector {
	case amd64.Debug:
		amd64.RecordDebug()
	case amd64.MachineCheck:
		if !amd64.RecordMachineCheck() {
			Fatal("A machine check corrupted the processor's state. Check the hardware's event log, then restart the machine.")
		}
	}
}

// interrupt handles an interrupt of the timer, another CPU or a device.
func interrupt(t *thread, v uint64) {
	if v == amd64.VectorSpurious {
		return // it has no end of interrupt (SDM vol. 3A, 12.9)
	}
	amd64.EndOfInterrupt()
	amd64.BeginIRQ()
	serveInterrupt(t, v)
	amd64.EndIRQ()
	if isIdle(me()) {
		amd64.BeginIdle()
	}
}

// serveInterrupt serves an interrupt of the timer, another CPU or a device.
func serveInterrupt(t *thread, v uint64) {
	switch {
	case v == amd64.VectorTimer:
		tick(t)
	case v == amd64.VectorIPI:
		handleIPI(t)
	case v-amd64.VectorDevice < irqs:
		deviceInterrupt(v - amd64.VectorDevice)
		if isIdle(t) {
			schedule()
		}
	}
}

// fault is the signal that an exception raises, with its si_code
// (sigaction(2)).
type fault struct{ signal, code uint64 }

const siKernel = 0x80

var faults = [amd64.FirstInterrupt]fault{
	amd64.DivideError:       {sigFPE, 1},
	amd64.InvalidOpcode:     {sigILL, 2},
	amd64.Breakpoint:        {sigTRAP, siKernel},
	amd64.GeneralProtection: {sigSEGV, siKernel},
	amd64.StackFault:        {sigSEGV, siKernel},
	amd64.PageFault:         {sigSEGV, 1},
}

// raise turns an exception of the kernel's Go code into a signal, which the
// runtime turns into a panic. So a bug in a system call ends only the task that
// made the call.
func raise(t *thread, vector uint64) {
	s := faults[vector]
	if s.signal == 0 || isIdle(t) || !t.frame.InterruptsOn() ||
		t.mask>>(s.signal-1)&1 != 0 || actions[s.signal].handler <= 1 {
		failAt(&t.frame)
	}
	pushSignal(t, s.signal, s.code, t.frame.CR2)
}

// failAt ends the machine because of an exception that cannot be handled.
func failAt(f *amd64.Frame) {
	printRegisters(f.Vector, f.Error, f.RIP, f.RSP, f.CR2)
	Fatal("The kernel took an exception in code that must not fault. Please report the registers above.")
}

// fatalEntry ends the machine after an exception in package goos, #DF or #MC.
func fatalEntry() {
	p := amd64.FatalState()
	printRegisters(p[0], p[1], p[2], p[5], amd64.FaultAddress())
	Fatal(lastWords(p[0]))
}

// lastWords returns why the kernel cannot continue after an exception in ring 0.
func lastWords(vector uint64) string {
	switch vector {
	case amd64.MachineCheck:
		return "A machine check interrupted the kernel, whose state is lost. Check the hardware's event log, then restart the machine."
	case amd64.DoubleFault:
		return "The CPU could not deliver an exception: the kernel's descriptor tables or stacks are damaged. Please report the registers above."
	}
	return "The kernel took an exception inside package goos. Please report the registers above."
}
