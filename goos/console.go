package goos

import "slowpath/arch/amd64"

// The first serial port (16550), and QEMU's device that ends the machine.
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

// EarlyConsole sets COM1 up for polled output. Boot only.
func EarlyConsole() {
	amd64.Out8(comEnable, 0)
	amd64.Out8(comControl, eightBits)
}

func putByte(b byte) {
	const patience = 1 << 20 // then the byte is lost rather than the machine
	for i := 0; amd64.In8(comStatus)&transmitterEmpty == 0 && i < patience; i++ {
		amd64.Pause()
	}
	amd64.Out8(comData, b)
}

// Print writes to the first serial port, in any context.
func Print(s string) {
	for i := range len(s) {
		putByte(s[i])
	}
}

// PrintHex writes a name and a number to the first serial port, in any context.
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

// consoleWrite is write(2) on the runtime's standard output and error: the
// tracebacks of the runtime, and the kernel's log.
func consoleWrite(a, n uint64) uint64 {
	for i := range n {
		putByte(*at[byte](a + i))
	}
	return n
}

// Exit codes that Fatal and PowerOff hand to QEMU's exit device, which makes
// 2*code+1 of them. A machine that ends in another way has failed too.
const (
	// ExitDone: the kernel ended in order; the program's own result went over
	// the host link.
	ExitDone = 0x10
	// ExitFatal: the lowest layer could not go on.
	ExitFatal = 0x7f
)

// epitaph prints what the kernel above wants known of a machine that fails;
// failing is set once it began, so that what it does wrong itself comes to an
// end.
var (
	epitaph func()
	failing bool
)

// SetEpitaph has a function print, by Print and PrintHex, what it knows when the
// machine is about to fail. It runs in any context and in this package's
// environment, so it keeps to the rules of this package. It is called once.
func SetEpitaph(f func()) { epitaph = f }

// Fatal prints a sentence and ends the machine. Any context.
func Fatal(why string) {
	Print("slowpath: fatal: ")
	Print(why)
	Print("\n")
	failWith(ExitFatal)
}

// failWith ends the machine with its last words.
func failWith(code uint8) {
	if epitaph != nil && !failing {
		failing = true
		epitaph()
	}
	PowerOff(code)
}

// PowerOff ends the machine; QEMU exits with 2*code+1. Where there is no such
// device the CPU stops. Any context.
func PowerOff(code uint8) {
	amd64.Out8(debugExit, code)
	for {
		amd64.Pause()
	}
}
