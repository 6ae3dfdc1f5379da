package task

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/mm"
	"slowpath/signal"
)

// trap describes the signal that an exception causes
// (Linux: arch/x86/kernel/traps.c).
type trap struct {
	signal  signal.Signal
	code    int32 // si_code
	address bool  // si_addr is the address of the instruction
}

// traps lists, by vector, the exceptions that always cause the same signal. Every
// other exception causes the SIGSEGV of a general-protection fault.
var traps = [32]trap{
	amd64.DivideError:    {unix.SIGFPE, signal.FPE_INTDIV, true},
	amd64.Breakpoint:     {unix.SIGTRAP, signal.SI_KERNEL, false},
	4:                    {unix.SIGSEGV, signal.SI_KERNEL, false}, // INTO does not exist in 64-bit mode
	5:                    {unix.SIGSEGV, signal.SI_KERNEL, false},
	6:                    {unix.SIGILL, signal.ILL_ILLOPN, true},
	9:                    {unix.SIGFPE, signal.SI_KERNEL, false},
	10:                   {unix.SIGSEGV, signal.SI_KERNEL, false},
	11:                   {unix.SIGBUS, signal.SI_KERNEL, false},
	12:                   {unix.SIGBUS, signal.SI_KERNEL, false},
	13:                   {unix.SIGSEGV, signal.SI_KERNEL, false},
	amd64.AlignmentCheck: {unix.SIGBUS, signal.BUS_ADRALN, false},
}

// ExceptionHandlers returns the handlers of the owner entry.ByProgram. They
// resolve page faults. A page fault that cannot be resolved and every other
// exception cause a signal.
func ExceptionHandlers() []entry.ExceptionHandler[*Task] {
	rows := []struct {
		vectors []int
		handle  func(t *Task, f *amd64.Frame, vector int)
	}{
		{[]int{amd64.PageFault}, (*Task).pageFault},
		{[]int{amd64.GeneralProtection}, (*Task).protectionFault},
		{[]int{amd64.Debug}, (*Task).debugTrap},
		{[]int{amd64.X87Error, amd64.SIMDError}, (*Task).floatingPointError},
		{[]int{amd64.MachineCheck}, (*Task).machineCheck},
		{[]int{amd64.NMI}, (*Task).nonMaskableInterrupt},
	}
	var handlers []entry.ExceptionHandler[*Task]
	var handled [amd64.FirstInterrupt]bool
	add := func(vectors []int, handle func(t *Task, f *amd64.Frame, vector int)) {
		handlers = append(handlers, entry.ExceptionHandler[*Task]{
			Owner: entry.ByProgram, Vectors: vectors,
			Handle: func(t *Task, f *amd64.Frame, vector int) bool { handle(t, f, vector); return true },
		})
	}
	for _, r := range rows {
		add(r.vectors, r.handle)
		for _, vector := range r.vectors {
			handled[vector] = true
		}
	}
	for vector, hasRow := range handled {
		if !hasRow {
			add([]int{vector}, (*Task).trap)
		}
	}
	return handlers
}

// trap sends the signal that traps has for the exception.
func (t *Task) trap(f *amd64.Frame, vector int) {
	what := traps[vector]
	if what.signal == 0 {
		what = trap{unix.SIGSEGV, signal.SI_KERNEL, false}
	}
	info := signal.Info{Signo: what.signal, Code: what.code}
	if what.address {
		info = signal.FaultInfo(what.signal, what.code, f.RIP)
	}
	t.fault(f, &info)
}

// debugTrap sends SIGTRAP for a #DB. No tracer or uprobe has claimed it, so the
// program itself has set TF or executed INT1.
func (t *Task) debugTrap(f *amd64.Frame, _ int) {
	if code := debugCode(f.DebugCause()); code != 0 {
		t.addressFault(f, unix.SIGTRAP, code, f.RIP)
	}
}

// DebugSignal sends SIGTRAP as for a #DB with the given si_code at the current
// instruction (Linux: send_sigtrap). Only the task's own goroutine calls it.
func (t *Task) DebugSignal(code int32) {
	f := t.Frame
	f.Vector, f.Error = amd64.Debug, 0
	t.addressFault(f, unix.SIGTRAP, code, f.RIP)
}

// CheckReturn sends the signal of the exception that a return to user mode would raise,
// after a tracer has chosen the registers. It makes them safe. Only the task's own
// goroutine calls it, before it returns to user mode.
func (t *Task) CheckReturn() {
	if trap := signal.ReturnTrap(t.Frame); trap != nil {
		t.fault(t.Frame, trap)
	}
}

// floatingPointError sends SIGFPE for an x87 or SSE exception.
func (t *Task) floatingPointError(f *amd64.Frame, vector int) {
	t.addressFault(f, unix.SIGFPE, floatingCode(f, vector), f.RIP)
}

// nonMaskableInterrupt does nothing. The CPU has counted the NMI already.
func (t *Task) nonMaskableInterrupt(*amd64.Frame, int) {}

// addressFault is fault for a signal with an address.
func (t *Task) addressFault(f *amd64.Frame, s signal.Signal, code int32, address uint64) {
	info := signal.FaultInfo(s, code, address)
	t.fault(f, &info)
}

// fault sends the task the signal of its exception, and records the exception for
// the signal frame. Only a page fault reads CR2. For other exceptions CR2 may hold
// the address of a page fault of the kernel or of another task, so they repeat the
// address of the task's last page fault that caused a signal (Linux: thread.cr2).
func (t *Task) fault(f *amd64.Frame, info *signal.Info) {
	what := signal.Fault{Vector: f.Vector, Error: f.Error, Address: t.lastFault.Address}
	if f.Vector == amd64.PageFault {
		what.Address = f.CR2
		if f.CR2 >= amd64.UserLimit {
			what.Error |= amd64.FaultPresent // hide which kernel pages are mapped
		}
	}
	t.lastFault = what
	t.faults++
	t.forceSignal(info)
}

// Faults returns how many exceptions of the task have caused a signal. Only the task's own
// goroutine calls it.
func (t *Task) Faults() uint64 { return t.faults }

// EmulatedException sends the signal of an exception, other than a page fault, of an
// instruction that the kernel emulates. Only the task's own goroutine calls it.
func (t *Task) EmulatedException(vector int) {
	f := t.Frame
	f.Vector, f.Error = uint64(vector), 0
	t.trap(f, vector)
}

// EmulatedFault resolves the page fault of an access of an instruction that the kernel
// emulates, or sends its signal. The instruction must then be tried again if Faults has
// not changed. Only the task's own goroutine calls it.
func (t *Task) EmulatedFault(address uint64, access mm.Access) {
	f := t.Frame
	f.Vector, f.CR2, f.Error = amd64.PageFault, address, amd64.FaultUser
	if access == mm.AccessWrite {
		f.Error |= amd64.FaultWrite
	}
	t.pageFault(f, amd64.PageFault)
}

// pageFault resolves the page fault, or sends the signal that Linux sends.
func (t *Task) pageFault(f *amd64.Frame, _ int) {
	t.Accounting.MinorFaults.Add(1)
	address := f.CR2
	if p := &t.kernel.Tracepoints.PageFault; p.Active() {
		p.Call(PageFault{Task: t, Frame: f, Address: address, Error: f.Error})
	}
	if f.DeniedBySMAP() {
		// The access would fault again and again.
		t.addressFault(f, unix.SIGSEGV, signal.SEGV_ACCERR, address)
		return
	}
	for {
		switch t.MM.Fault(address, accessOf(f.Error)) {
		case mm.FaultResolved:
			return
		case mm.FaultNoMapping:
			t.addressFault(f, unix.SIGSEGV, signal.SEGV_MAPERR, address)
			return
		case mm.FaultDenied:
			t.addressFault(f, unix.SIGSEGV, signal.SEGV_ACCERR, address)
			return
		case mm.FaultBus:
			t.addressFault(f, unix.SIGBUS, signal.BUS_ADRERR, address)
			return
		case mm.FaultNoMemory:
			if t.Killed() || !t.kernel.OOMKillAndWait(t.group) {
				return // the task exits, or repeats the access after another process was killed
			}
		}
	}
}

// accessOf returns the kind of access from a page fault's error code
// (SDM vol. 3A, 4.7).
func accessOf(code uint64) mm.Access {
	switch {
	case code&amd64.FaultFetch != 0:
		return mm.AccessExec
	case code&amd64.FaultWrite != 0:
		return mm.AccessWrite
	}
	return mm.AccessRead
}

// debugCode returns the si_code for the cause of a #DB, the bits of DR6 (Linux:
// exc_debug_user, get_si_code). INT1 sets no bit. The result is 0, for no signal,
// if only bits are set that a program cannot request.
func debugCode(cause uint64) int32 {
	switch {
	case cause&amd64.DebugStep != 0:
		return signal.TRAP_TRACE
	case cause&amd64.DebugBreakpoints != 0:
		return signal.TRAP_HWBKPT
	case cause == 0:
		return signal.TRAP_BRKPT
	}
	return 0
}

// floatingCode returns the si_code of a floating-point exception: the first
// unmasked one whose flag is set (Linux: fpu__exception_code).
func floatingCode(f *amd64.Frame, vector int) int32 {
	const x87Flags = 0x3f
	raised := uint32(0)
	if vector == amd64.X87Error {
		state := amd64.AlignedBuffer(amd64.ExtendedSize())
		f.ReadExtended(state)
		control, status := binary.LittleEndian.Uint16(state), binary.LittleEndian.Uint16(state[2:])
		raised = uint32(status&^control) & x87Flags
	} else {
		raised = f.MXCSR &^ (f.MXCSR >> 7) & x87Flags
	}
	for _, cause := range [...]struct {
		flags uint32
		code  int32
	}{
		{1 << 0, signal.FPE_FLTINV}, {1 << 2, signal.FPE_FLTDIV}, {1 << 3, signal.FPE_FLTOVF},
		{1<<1 | 1<<4, signal.FPE_FLTUND}, {1 << 5, signal.FPE_FLTRES},
	} {
		if raised&cause.flags != 0 {
			return cause.code
		}
	}
	return signal.SI_KERNEL
}
