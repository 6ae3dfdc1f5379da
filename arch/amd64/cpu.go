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

// LoadKernelRoot loads the page tables at a physical address, as the kernel's own.
// The first CPU calls it once, at boot.
func LoadKernelRoot(root uint64) {
	kernelRoot = root
	loadCR3(root)
}

// LeaveBootRoot loads the kernel's own page tables on another CPU. Boot only.
func LeaveBootRoot() { loadCR3(kernelRoot) }

// KernelRoot returns the physical address of the kernel's own page tables, whose
// upper half every process shares. Any context.
func KernelRoot() uint64 { return kernelRoot }

// InitTables fills the descriptor tables that all CPUs share. The first CPU calls
// it once, before InitCPU.
func InitTables() { buildTables() }

// InitCPU initialises the CPU that runs it as CPU i: descriptor tables, SYSCALL,
// local APIC, supervisor protections. idle is the frame of its idle thread, which
// becomes the current thread. Interrupts are off and stay off.
func InitCPU(i uint64, idle *Frame) {
	c := cpuBlock(i)
	c.id = i
	c.root = kernelRoot
	c.stack = stackTop(goosStacks[i][:]) - spillRoom
	c.current = frameAddress(idle)
	loadTables(i)
	writeMSR(msrSTAR, (UserSS-8)<<48|KernelCS<<32) // the user's selectors follow from one base
	writeMSR(msrLSTAR, landings[i])
	// SYSCALL clears every flag that would affect the kernel.
	writeMSR(msrSFMASK, FlagTF|FlagIF|FlagDF|FlagIOPL|FlagNT|FlagAC)
	writeMSR(msrTSCAux, i)
	writeMSR(msrGSBase, 0)
	controlsLoaded[i].selectors = readSelectors()
	protectSupervisor()
	enableMachineChecks()
	initAPIC(c)
	atomic.AddUint64(&online, 1)
}

// spillRoom is the room above a Go function's return address where it may spill its
// one argument (cmd/compile, abi-internal.md).
const spillRoom = 16

// protectSupervisor enables FSGSBASE, SMEP, SMAP and UMIP where the CPU has them:
// ring 0 cannot execute user pages, nor access them outside copyUser, and users
// cannot read the addresses of descriptor tables (SDM vol. 3A, 2.5).
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
