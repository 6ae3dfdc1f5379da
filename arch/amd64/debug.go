package amd64

// Bits of the result of DebugCause. Their positions are those of DR6 (SDM vol. 3B,
// 18.2.3).
const (
	// DebugBreakpoints are the four breakpoints of DR0 to DR3.
	DebugBreakpoints = 0xf
	// DebugStep is a single step: TF was set.
	DebugStep = 1 << 14
)

// dr6Quiet is the value of DR6 that reports no condition. Bits 11 and 16 are active
// low, and the reserved bits read as 1.
const dr6Quiet = 0xffff0ff0

// RecordDebug saves the cause of a #DB from user mode in the program's frame and
// clears DR6. The CPU never clears DR6, so a later #DB would report the old cause
// again. Package goos calls it, with interrupts off.
//
//go:nosplit
func RecordDebug() {
	c := thisCPU()
	f := frameAt(c.userFrame)
	f.debugCause = readDR6() ^ dr6Quiet
	writeDR6(dr6Quiet)
	blockStepEnded(f, &controlsLoaded[c.id])
}

// DebugCause returns the causes of the last #DB of f's program, as bits of DR6 that
// are all active high. A #DB from user mode has DebugStep and DebugBreakpoints as
// its possible causes, or 0 for the instruction INT1. The caller is f's own
// goroutine, and f's event is Debug.
func (f *Frame) DebugCause() uint64 { return f.debugCause }

// DebugRegisters are the hardware breakpoints of a program (SDM vol. 3B, 18.2).
// The zero value has none.
type DebugRegisters struct {
	// Address is DR0 to DR3.
	Address [4]uint64
	// Control is DR7 without its fixed bit.
	Control uint64
}

// DR7 (SDM vol. 3B, 18.2.4). Bits 0 to 7 are two enable bits for each breakpoint.
// Bits 8 to 15 are LE, GE, the fixed bit, RTM and GD. Bits 16 to 31 are two bits of
// condition and two bits of length for each breakpoint.
const (
	dr7Fixed     = 1 << 10
	dr7Enables   = 3 // local and global, for breakpoint 0
	dr7Exact     = 3 << 8
	dr7Condition = 16 // the first bit of breakpoint 0's condition and length

	// dr7Allowed holds the bits that a program may set (Linux: all but
	// DR_CONTROL_RESERVED). GD is not one of them: with it, the kernel's own
	// accesses to debug registers would raise #DB.
	dr7Allowed = 0xffff0000 | dr7Exact | 0xff

	breakOnExecute = 0
	breakOnPort    = 2
)

// SetDebugRegisters sets f's hardware breakpoints (ptrace(2), PTRACE_POKEUSER,
// u_debugreg). They take effect at the next return to user mode. Reserved bits of
// DR7 are dropped. It returns false and changes nothing if Linux would reject an
// enabled breakpoint (arch/x86/kernel/hw_breakpoint.c, hw_breakpoint_arch_parse).
// The kernel ignores a breakpoint that its own copy from or to user memory hits.
// The caller is f's own goroutine, or f's task is stopped; interrupts are on.
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

// valid reports whether all enabled breakpoints are valid. The CPU ignores disabled
// ones.
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

// validBreakpoint reports whether a breakpoint is on user memory, aligned to its
// length, not on I/O ports, and one byte long if its condition is execution. kind
// holds the breakpoint's four bits of DR7: condition, then length.
func validBreakpoint(address, kind uint64) bool {
	condition, length := kind&3, [...]uint64{1, 2, 8, 4}[kind>>2]
	if condition == breakOnPort || condition == breakOnExecute && length != 1 {
		return false
	}
	return address < UserLimit && address%length == 0
}
