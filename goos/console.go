package goos

import "slowpath/arch/amd64"

// The first serial port (16550), and QEMU's isa-debug-exit device, which ends
// the machine.
const (
	com1       = 0x3f8
	comData    = com1
	comEnable  = com1 + 1
	comControl = com1 + 3
	comStatus  = com1 + 5

	transmitterEmpty = 1 << 5
	eightBits        = 3

	debugExit = 0xf4
)

// EarlyConsole initialises COM1 for polled output. Boot only.
func EarlyConsole() {
	amd64.Out8(comEnable, 0)
	amd64.Out8(comControl, eightBits)
}

func putByte(b byte) {
	const polls = 1 << 20 // then the byte is dropped
	for i := 0; amd64.In8(comStatus)&transmitterEmpty == 0 && i < polls; i++ {
		amd64.Pause()
	}
	amd64.Out8(comData, b)
}

// Print writes a string to the first serial port. Any context.
func Print(s string) {
	for i := range len(s) {
		putByte(s[i])
	}
}

// PrintHex writes a name and a hexadecimal number to the first serial port. Any
// context.
func PrintHex(name string, v uint64) {
	Print(name)
	for shift := 60; shift >= 0; shift -= 4 {
		putByte("0123456789abcdef"[v>>uint(shift)&15])
	}
}

func printRegisters(vector, code, rip, rsp, cr2 uint64) {
	PrintHex("\nvector ", vector)
	PrintHex(" error ", code)
	PrintHex(" rip ", rip)
	PrintHex(" rsp ", rsp)
	PrintHex(" cr2 ", cr2)
	Print("\n")
}

// consoleWrite serves write(2) to standard output and error: the runtime's
// tracebacks and the kernel's log.
func consoleWrite(a, n uint64) uint64 {
	for i := range n {
		putByte(*at[byte](a + i))
	}
	return n
}

// Codes for PowerOff. QEMU's exit status is 2*code+1. Any other status means
// that the machine failed.
const (
	// ExitDone: the kernel ended in order. The program's result went over the
	// host link.
	ExitDone = 0x10
	// ExitFatal: Fatal was called.
	ExitFatal = 0x7f
)

// panicNotifier prints more about a failure (Linux: panic_notifier_list).
// failing is set before it runs, so that a failure in it does not run it again.
var (
	panicNotifier func()
	failing       bool
)

// SetPanicNotifier sets a function that runs before the machine fails, and
// prints by Print and PrintHex. It runs in any context, in the environment of
// this package, and must keep to its rules. SetPanicNotifier is called once.
func SetPanicNotifier(f func()) { panicNotifier = f }

// Fatal prints the reason, one complete sentence, and ends the machine. Any
// context.
func Fatal(why string) {
	Print("slowpath: fatal: ")
	Print(why)
	Print("\n")
	failWith(ExitFatal)
}

// failWith runs the panic notifier and ends the machine.
func failWith(code uint8) {
	if panicNotifier != nil && !failing {
		failing = true
		panicNotifier()
	}
	PowerOff(code)
}

// PowerOff ends the machine: QEMU exits with status 2*code+1. Without the exit
// device the CPU spins for ever. Any context.
func PowerOff(code uint8) {
	amd64.Out8(debugExit, code)
	for {
		amd64.Pause()
	}
}
