package amd64

// What DebugCause returns: bits of DR6 (SDM vol. 3B, 18.2.3).
const (
	// DebugBreakpoints are the four breakpoints of DR0 to DR3.
	DebugBreakpoints = 0xf
	// DebugStep is a single step: TF was set.
	DebugStep = 1 << 14
)

// dr6Quiet is DR6 when it reports nothing. Bits 11 and 16 report by a 0, and
// the reserved bits read as 1.
const dr6Quiet = 0xffff0ff0

// RecordDebug keeps why the program that this CPU runs took #DB, and clears
// DR6. The processor never clears it, and a later exception would be taken for
// the old step. Package goos calls it for a #DB of user mode, with interrupts
// off.
//
//go:nosplit
func RecordDebug() {
	c := thisCPU()
	f := frameAt(c.userFrame)
	f.debugCause = readDR6() ^ dr6Quiet
	writeDR6(dr6Quiet)
	blockStepEnded(f, &controlsLoaded[c.id])
}

// DebugCause returns the bits of DR6 for the last #DB of f's program; a 1
// reports. User mode can cause DebugStep and DebugBreakpoints. The instruction
// INT1 reports nothing: 0. The caller is f's own goroutine, and f's event is
// Debug.
func (f *Frame) DebugCause() uint64 { return f.debugCause }

// DebugRegisters are the hardware breakpoints of a program (SDM vol. 3B, 18.2).
// The zero value has none.
type DebugRegisters struct {
	// Address is DR0 to DR3.
	Address [4]uint64
	// Control is DR7 without its fixed bit.
	Control uint64
}

// DR7 (SDM vol. 3B, 18.2.4): two enable bits for each breakpoint, then LE, GE,
// RTM and GD, then a condition and a length of two bits each for each
// breakpoint.
const (
	dr7Fixed     = 1 << 10
	dr7Enables   = 3 // local and global, for breakpoint 0
	dr7Exact     = 3 << 8
	dr7Condition = 16 // the first bit of breakpoint 0's condition and length

	// dr7Allowed are the bits that a program may set (Linux: all but
	// DR_CONTROL_RESERVED). GD would make the kernel's own use of the
	// registers fault.
	dr7Allowed = 0xffff0000 | dr7Exact | 0xff

	breakOnExecute = 0
	breakOnPort    = 2
)

// SetDebugRegisters sets f's hardware breakpoints (ptrace(2), PTRACE_POKEUSER,
// u_debugreg), from the next return to user mode on. Reserved bits of DR7 are
// dropped. It reports false and changes nothing if an enabled breakpoint is
// none that Linux allows (arch/x86/kernel/hw_breakpoint.c,
// hw_breakpoint_arch_parse). A breakpoint that fires in the kernel's copies from
// and to the user is ignored. The caller is f's own goroutine, or f's task is
// stopped; interrupts are on.
func (f *Frame) SetDebugRegisters(d DebugRegisters) bool {
	d.Control &= dr7Allowed
	if !d.valid() {
		return false
	}
	Release(f)
	f.controls.debug = d
	return true
}

// DebugRegisters returns f's hardware breakpoints. The caller is f's own
// goroutine, or f's task is stopped.
func (f *Frame) DebugRegisters() DebugRegisters { return f.controls.debug }

// valid reports whether each enabled breakpoint is valid. The CPU ignores the
// others.
func (d *DebugRegisters) valid() bool {
	for i, address := range d.Address {
		if d.Control>>(2*i)&dr7Enables == 0 {
			continue
		}
		if !validBreakpoint(address, d.Control>>(dr7Condition+4*i)&15) {
			return false
		}
	}
	return true
}

// validBreakpoint reports whether a breakpoint is on user memory, aligned to
// its length, not on ports, and one byte long if it is on execution.
func validBreakpoint(address, kind uint64) bool {
	condition, length := kind&3, [...]uint64{1, 2, 8, 4}[kind>>2]
	if condition == breakOnPort || condition == breakOnExecute && length != 1 {
		return false
	}
	return address < UserLimit && address%length == 0
}
