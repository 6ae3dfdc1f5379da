package task

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/mm"
	"slowpath/signal"
)

// Exceptions of user mode (SDM vol. 3A, 6.15).
const (
	vectorDivide     = 0
	vectorDebug      = 1
	vectorBreakpoint = 3
	vectorPageFault  = 14
	vectorX87        = 16
	vectorAlignment  = 17
	vectorSIMD       = 19
)

// trap is what an exception becomes (arch/x86/kernel/traps.c).
type trap struct {
	signal  signal.Signal
	code    int32
	address bool // si_addr is the instruction
}

// traps has the exceptions that always become the same signal. Those that are
// not in it are protection faults to the user.
var traps = [32]trap{
	vectorDivide:     {unix.SIGFPE, signal.FPE_INTDIV, true},
	vectorBreakpoint: {unix.SIGTRAP, signal.SI_KERNEL, false},
	4:                {unix.SIGSEGV, signal.SI_KERNEL, false}, // INTO does not exist in 64-bit mode
	5:                {unix.SIGSEGV, signal.SI_KERNEL, false},
	6:                {unix.SIGILL, signal.ILL_ILLOPN, true},
	9:                {unix.SIGFPE, signal.SI_KERNEL, false},
	10:               {unix.SIGSEGV, signal.SI_KERNEL, false},
	11:               {unix.SIGBUS, signal.SI_KERNEL, false},
	12:               {unix.SIGBUS, signal.SI_KERNEL, false},
	13:               {unix.SIGSEGV, signal.SI_KERNEL, false},
	vectorAlignment:  {unix.SIGBUS, signal.BUS_ADRALN, false},
}

// ExceptionHandlers returns the handlers of the owner entry.ByProgram: a page
// fault is resolved; what cannot be resolved, and every other exception, becomes
// a signal.
func ExceptionHandlers() []entry.ExceptionHandler[*Task] {
	rows := []struct {
		vectors []int
		handle  func(t *Task, f *amd64.Frame, vector int)
	}{
		{[]int{vectorPageFault}, (*Task).pageFault},
		{[]int{vectorDebug}, (*Task).debugTrap},
		{[]int{vectorX87, vectorSIMD}, (*Task).floatingPointError},
		{[]int{amd64.MachineCheck}, (*Task).machineCheck},
		{[]int{amd64.NMI}, (*Task).nonMaskableInterrupt},
	}
	var handlers []entry.ExceptionHandler[*Task]
	var others [amd64.FirstInterrupt]bool
	add := func(vectors []int, handle func(t *Task, f *amd64.Frame, vector int)) {
		handlers = append(handlers, entry.ExceptionHandler[*Task]{
			Owner: entry.ByProgram, Vectors: vectors,
			Handle: func(t *Task, f *amd64.Frame, vector int) bool { handle(t, f, vector); return true },
		})
	}
	for _, r := range rows {
		add(r.vectors, r.handle)
		for _, vector := range r.vectors {
			others[vector] = true
		}
	}
	for vector, handled := range others {
		if !handled {
			add([]int{vector}, (*Task).trap)
		}
	}
	return handlers
}

// trap sends the signal that the exception always becomes.
func (t *Task) trap(f *amd64.Frame, vector int) {
	what := traps[vector]
	if what.signal == 0 {
		what = trap{unix.SIGSEGV, signal.SI_KERNEL, false}
	}
	info := signal.Info{Signo: what.signal, Code: what.code}
	if what.address {
		info = signal.FaultInfo(what.signal, what.code, f.RIP)
	}
	t.fault(f, info)
}

// debugTrap sends the signal of a #DB that is the program's own: it has set TF,
// or executed INT1.
func (t *Task) debugTrap(f *amd64.Frame, _ int) {
	if code := debugCode(f.DebugCause()); code != 0 {
		t.fault(f, signal.FaultInfo(unix.SIGTRAP, code, f.RIP))
	}
}

// floatingPointError sends the signal of an x87 or SSE exception.
func (t *Task) floatingPointError(f *amd64.Frame, vector int) {
	t.fault(f, signal.FaultInfo(unix.SIGFPE, floatingCode(f, vector), f.RIP))
}

// nonMaskableInterrupt does nothing: the NMI was counted on the CPU that took
// it.
func (t *Task) nonMaskableInterrupt(*amd64.Frame, int) {}

// fault sends the task the signal of its exception. The address is that of the
// last page fault that became a signal, whatever CR2 has: others left it there,
// the kernel for one.
func (t *Task) fault(f *amd64.Frame, info signal.Info) {
	what := signal.Fault{Vector: f.Vector, Error: f.Error, Address: t.lastFault.Address}
	if f.Vector == vectorPageFault {
		what.Address = f.CR2
		if f.CR2 >= amd64.UserLimit {
			what.Error |= amd64.FaultPresent // what the kernel has mapped is not told
		}
	}
	t.lastFault = what
	t.ForceSignal(info)
}

// pageFault lets mm resolve the fault, or sends what Linux sends.
func (t *Task) pageFault(f *amd64.Frame, _ int) {
	t.Accounting.MinorFaults.Add(1)
	address := f.CR2
	for {
		switch t.MM.Fault(address, accessOf(f.Error)) {
		case mm.FaultResolved:
			return
		case mm.FaultNoMapping:
			t.fault(f, signal.FaultInfo(unix.SIGSEGV, signal.SEGV_MAPERR, address))
			return
		case mm.FaultDenied:
			t.fault(f, signal.FaultInfo(unix.SIGSEGV, signal.SEGV_ACCERR, address))
			return
		case mm.FaultBus:
			t.fault(f, signal.FaultInfo(unix.SIGBUS, signal.BUS_ADRERR, address))
			return
		case mm.FaultNoMemory:
			if t.Killed() || !t.kernel.OOMKill(t.group) {
				return // it dies, or tries again when others have died
			}
		}
	}
}

// accessOf reads the page fault's error code (SDM vol. 3A, 4.7).
func accessOf(code uint64) mm.Access {
	switch {
	case code&amd64.FaultFetch != 0:
		return mm.AccessExec
	case code&amd64.FaultWrite != 0:
		return mm.AccessWrite
	}
	return mm.AccessRead
}

// debugCode returns the si_code for the cause of a #DB (Linux: exc_debug_user,
// get_si_code). No cause at all is INT1's. 0 is no signal: what is reported is
// nothing that a program asked for.
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

// floatingCode returns the si_code of a floating-point exception: the first of
// the unmasked ones that are flagged (fpu__exception_code in Linux).
func floatingCode(f *amd64.Frame, vector int) int32 {
	const x87Flags = 0x3f
	raised := uint32(0)
	if vector == vectorX87 {
		state := make([]byte, amd64.ExtendedSize())
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
