package amd64

// What DebugCause returns: bits of DR6 (SDM vol. 3B, 18.2.3).
const (
	// DebugBreakpoints are the four breakpoints of DR0 to DR3.
	DebugBreakpoints = 0xf
	// DebugStep is a single step: TF was set.
	DebugStep = 1 << 14
)

// dr6Quiet is DR6 when it reports nothing: some of its bits are 1 for no
// reason, others are 0 when they report.
const dr6Quiet = 0xffff0ff0

// RecordDebug keeps for the program that this CPU runs why it took #DB, and
// clears DR6, which the processor never does: a later exception would be taken
// for a step that was long ago. Package goos calls it for a #DB of user mode,
// with interrupts off.
//
//go:nosplit
func RecordDebug() {
	frameAt(thisCPU().owner).debugCause = readDR6() ^ dr6Quiet
	writeDR6(dr6Quiet)
}

// DebugCause returns why f's program took its last #DB: the bits of DR6, where
// a 1 reports, of which user mode can cause DebugStep and DebugBreakpoints. 0
// is the instruction INT1, which reports nothing. The caller is f's own
// goroutine, and f's event is Debug.
func (f *Frame) DebugCause() uint64 { return f.debugCause }
