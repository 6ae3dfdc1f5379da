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
	c.root, c.nextRoot = kernelRoot, kernelRoot
	c.stack = stackTop(goosStacks[i][:]) - spillRoom
	c.current = frameAddress(idle)
	loadTables(i)
	_, vendor, _, _ := cpuid(0, 0)
	sysretKeepsAttributes = keepsAttributes(vendor)
	writeModelRegisters(i, processorFeatures(), writeMSR)
	controlsLoaded[i].selectors = readSelectors()
	protectSupervisor()
	enableMachineChecks()
	initAPIC(c)
	atomic.AddUint64(&online, 1)
}

// modelFeatures are the features of a CPU that decide which model-specific registers
// it has.
type modelFeatures struct {
	sysenter bool // SYSENTER
	tscAux   bool // RDTSCP or RDPID, which read IA32_TSC_AUX
}

// processorFeatures returns the features of the CPU that runs the caller (SDM vol. 2A,
// CPUID).
func processorFeatures() modelFeatures {
	const featureSEP = 1 << 11      // of leaf 1, EDX
	const featureRDTSCP = 1 << 27   // of leaf 0x80000001, EDX
	const feature7RDPID = 1 << 22   // of leaf 7, ECX
	const extendedLeaf = 0x80000001 // its maximum is in leaf 0x80000000
	_, _, _, basic := cpuid(cpuidFeatures, 0)
	_, leaf7c := leaf7()
	var more uint32
	if highest, _, _, _ := cpuid(0x80000000, 0); highest >= extendedLeaf {
		_, _, _, more = cpuid(extendedLeaf, 0)
	}
	return modelFeatures{
		sysenter: basic&featureSEP != 0,
		tscAux:   more&featureRDTSCP != 0 || leaf7c&feature7RDPID != 0,
	}
}

// writeModelRegisters writes the model-specific registers of system calls, and the
// segment bases, of CPU i. It writes only registers that the CPU has: a write to
// another one raises #GP. Every 64-bit CPU has those without a condition (SDM vol. 3A,
// 5.8.8).
func writeModelRegisters(i uint64, has modelFeatures, write func(msr uint32, v uint64)) {
	write(msrSTAR, (UserSS-8)<<48|KernelCS<<32) // the user's selectors follow from one base
	write(msrLSTAR, landings[landing64][i])
	write(msrCSTAR, landings[landing32][i])
	// SYSCALL clears every flag that would affect the kernel.
	write(msrSFMASK, FlagTF|FlagIF|FlagDF|FlagIOPL|FlagNT|FlagAC)
	write(msrGSBase, 0)
	if has.sysenter {
		write(msrSysenterCS, KernelCS) // the others follow from it
		write(msrSysenterESP, stackTop(trapStacks[i][istTrap-1][:]))
		write(msrSysenterEIP, landings[landingSysenter][i])
	}
	if has.tscAux {
		write(msrTSCAux, i)
	}
}

// spillRoom is the room above a Go function's return address where it may spill its
// one argument (cmd/compile, abi-internal.md).
const spillRoom = 16

// smapEnabled reports whether the CPUs have SMAP. protectSupervisor sets it.
var smapEnabled bool

// DeniedBySMAP reports whether f's page fault is one of a page of user mode that is present,
// and that SMAP keeps the CPU from accessing with the kernel's rights, for f's program in user
// mode. A CPU makes no such access, but QEMU before 9.1 does: far CALL, far RET and IRET of
// user mode access the stack with the kernel's rights. Without SMAP such a fault is as any
// other (SDM vol. 3A, 4.7; Linux: do_user_addr_fault). f is a frame of user mode. Any context.
func (f *Frame) DeniedBySMAP() bool {
	return smapEnabled && f.Error&(FaultPresent|FaultUser) == FaultPresent && f.CR2 < UserLimit
}

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
		smapEnabled = true
	}
	if c&feature7UMIP != 0 {
		cr4 |= cr4UMIP
	}
	writeCR4(cr4)
}
