package amd64

import (
	"encoding/binary"
	"sync/atomic"
)

var le = binary.LittleEndian

// kernelRoot is the physical address of the page tables without a user half.
var kernelRoot uint64

// online is the number of CPUs that have passed InitCPU.
var online uint64

// LoadKernelRoot makes the tables at a physical address the kernel's own and
// loads them. The first CPU calls it once, at boot.
func LoadKernelRoot(root uint64) {
	kernelRoot = root
	loadCR3(root)
}

// LeaveBootRoot loads the kernel's own page tables on another CPU.
func LeaveBootRoot() { loadCR3(kernelRoot) }

// KernelRoot returns the physical address of the kernel's own page tables,
// whose upper half every process shares.
func KernelRoot() uint64 { return kernelRoot }

// InitTables fills what all CPUs share. The first CPU calls it once, before
// InitCPU.
func InitTables() { buildTables() }

// InitCPU makes the CPU that runs it CPU number i: descriptor tables, SYSCALL,
// local APIC, supervisor protections. idle is the frame of its idle thread,
// made current. Interrupts are off and stay off.
func InitCPU(i uint64, idle *Frame) {
	c := cpuBlock(i)
	c.id = i
	c.root = kernelRoot
	c.stack = stackTop(goosStacks[i][:]) - spillRoom
	c.current = frameAddress(idle)
	loadTables(i)
	writeMSR(msrSTAR, (UserSS-8)<<48|KernelCS<<32) // the user's selectors follow from one base
	writeMSR(msrLSTAR, landings[i])
	// Every flag that could disturb the kernel is cleared by SYSCALL.
	writeMSR(msrSFMASK, FlagTF|FlagIF|FlagDF|FlagIOPL|FlagNT|FlagAC)
	writeMSR(msrTSCAux, i)
	writeMSR(msrGSBase, 0)
	controlsLoaded[i].selectors = readSelectors()
	protectSupervisor()
	enableMachineChecks()
	initAPIC(c)
	atomic.AddUint64(&online, 1)
}

// spillRoom is what a Go function may use above its return address: the place
// of its one argument (cmd/compile, abi-internal.md).
const spillRoom = 16

// protectSupervisor turns on FSGSBASE, and what the CPU has against mistakes in
// ring 0: no execution of user pages, no access to them outside copyUser, no
// descriptor table addresses for users (SDM vol. 3A, 2.5).
func protectSupervisor() {
	cr4 := readCR4()
	b, c := leaf7()
	if hasFSGSBASE {
		cr4 |= cr4FSGSBASE
	}
	if b&feature7SMEP != 0 {
		cr4 |= cr4SMEP
	}
	if b&feature7SMAP != 0 {
		cr4 |= cr4SMAP
	}
	if c&feature7UMIP != 0 {
		cr4 |= cr4UMIP
	}
	writeCR4(cr4)
}
