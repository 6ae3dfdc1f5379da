// Package amd64 is the part of Slowpath that accesses CPU registers: the register
// frame, the trampolines between user mode and Go, descriptor tables, page-table
// format, local APIC, extended state, user copy.
//
// All assembly of the kernel is here or in boot. It only saves registers into a
// Frame and returns to the Go function that called EnterUser, or loads registers
// from a Frame. The rest is Go. The package imports nothing of Slowpath.
//
// The manuals cited are Intel's Software Developer's Manual (SDM) and AMD's
// Architecture Programmer's Manual (APM), by volume and section.
package amd64

import (
	"sync/atomic"
	"unsafe"
)

// Frame holds every register of a suspended program (Linux: pt_regs). Each task
// has one, and each thread of the Go runtime. The same assembly saves and loads
// both.
//
// The fields from RIP to SS have the order in which IRETQ pops them from the frame
// (SDM vol. 3A, 6.14.2). trampoline_amd64.s knows the layout; a test compares the
// two.
//
// A Frame must not move while a CPU may hold its state. Allocate it on the heap,
// keep it reachable, and call Release before it becomes garbage.
type Frame struct {
	RAX, RBX, RCX, RBP uint64

	// The arguments of a 64-bit system call, in their order: see Args.
	RDI, RSI, RDX, R10, R8, R9 uint64

	R11, R12, R13, R14, R15 uint64

	// Vector and Error are what the last exception or interrupt pushed.
	Vector, Error uint64

	RIP, CS, RFLAGS, RSP, SS uint64

	// ThreadFlags holds the duties that the task owes, one bit each (package
	// entry). Any goroutine may set bits. It is next to Flags, so that one
	// 64-bit compare, with interrupts off, allows the fast exit.
	ThreadFlags atomic.Uint32
	// Flags say how the frame must be left. Only the task's own goroutine
	// accesses them.
	Flags FrameFlags

	FSBase uint64

	kernelSP, kernelBP uint64 // of the Go caller of EnterUser

	// CR2 is the address of the last page fault.
	CR2 uint64
	// OrigRAX is the number of the system call that the frame is in, or -1
	// if the kernel was entered in another way (ptrace(2) shows it as
	// orig_rax).
	OrigRAX uint64

	XMM      [16][16]byte
	MXCSR    uint32
	_        uint32
	GSBase   uint64 // while no CPU holds the state; see Release
	cpu      uint64 // address of the perCPU block that holds the state, or 0
	root     uint64 // physical address of the page tables: CR3
	extended uint64 // address of the XSAVE area, 64-byte aligned

	area []byte // the memory of extended

	debugCause uint64 // of the last #DB: see DebugCause

	// controls is what the program wants of the CPU: see LoadControls. Only
	// its owner changes it, after Release.
	controls controls

	args32     Args   // see LoadedArgs32
	landingPad uint64 // see SetLandingPad32
	callReturn uint64 // where SYSCALL of the 32-bit vDSO returns to, or an invalid address
	wordOwed   bool   // see BeginCall32

	ldt   *LDT   // keeps the memory of controls.ldt
	ports *Ports // what controls.ports names

	resched bool // see TakeResched

	stepForced bool // see ForceStep

	affinity atomic.Uint64 // see Affinity
	lastCPU  atomic.Uint32 // see LastCPU
}

// Args are the six arguments of a system call, in the order in which its manual
// page lists them.
type Args [6]uint64

// Args returns the arguments of the 64-bit system call that the frame is in.
// They are the frame's own registers RDI, RSI, RDX, R10, R8 and R9 (SysV ABI,
// AMD64 supplement, A.2.1): a write changes them. The caller is f's own
// goroutine, or f's task is stopped.
func (f *Frame) Args() *Args { return (*Args)(unsafe.Pointer(&f.RDI)) }

// CopyArgs copies Args to another place. It takes fewer instructions than an assignment, for
// which the compiler assumes that the places overlap.
func (f *Frame) CopyArgs(to *Args) {
	type words struct{ args Args }
	*(*words)(unsafe.Pointer(to)) = *(*words)(unsafe.Pointer(&f.RDI))
}

// FrameFlags say how a frame must be left.
type FrameFlags uint32

const (
	// CallOver is set when no exit of a system call is owed: the frame is in no
	// call, or the duties of the exit were served. While it is clear, any duty
	// makes EnterUser return EventDuty.
	CallOver FrameFlags = 1 << iota
	// Call32 is set when the frame is in a system call of the i386 ABI, or was when
	// it entered the kernel. Its bit is always set in RFLAGS: the landing of 32-bit
	// code stores it with the stepping bit by one AND. If LeaveByIRET is clear, the
	// frame is left by SYSRET to 32-bit code.
	Call32
	// LeaveByIRET is set when SYSRET would not restore the frame. SYSRET loads
	// RIP from RCX and RFLAGS from R11 (SDM vol. 2B, SYSRET), so it works only
	// after a system call that changed neither.
	LeaveByIRET
	// begun32 is set after BeginCall32.
	begun32
	// vectorsValid is set in a runtime thread's frame whose XMM and MXCSR must
	// be restored.
	vectorsValid

	// stepping is FlagTF from the SYSCALL landing: the program single-steps over
	// the call. SYSRET would trap before the next instruction, IRETQ traps after
	// it, so EnterUser returns EventDuty until Settle is called.
	stepping FrameFlags = FlagTF
)

// NotInSyscall is the value of OrigRAX outside system calls.
const NotInSyscall = ^uint64(0)

// Segment selectors. SYSRET and SYSCALL fix their order (SDM vol. 3A, 5.8.8);
// the numbers are Linux's, because programs see the user's.
const (
	KernelCS  = 0x10
	KernelSS  = 0x18
	User32CS  = 0x23
	UserSS    = 0x2b
	UserCS    = 0x33
	ldtAt     = 0x50 // selector of the LDT
	tlsBase   = 0x60 // selector of the first of the TLSEntries segments, without RPL
	cpuNumber = 0x78 // selector of the segment whose limit has the CPU's number
	tssBase   = 0x80 // selector of CPU 0's task-state segment; 16 a CPU
	tssStride = 16
)

// userRPL is the privilege level of a selector of user mode.
const userRPL = 3

// Bits of RFLAGS (SDM vol. 1, 3.4.3).
const (
	FlagCF    = 1 << 0
	FlagFixed = 1 << 1
	FlagPF    = 1 << 2
	FlagAF    = 1 << 4
	FlagZF    = 1 << 6
	FlagSF    = 1 << 7
	FlagTF    = 1 << 8
	FlagIF    = 1 << 9
	FlagDF    = 1 << 10
	FlagOF    = 1 << 11
	FlagIOPL  = 3 << 12
	FlagNT    = 1 << 14
	FlagRF    = 1 << 16
	FlagVM    = 1 << 17
	FlagAC    = 1 << 18
	FlagID    = 1 << 21
)

// UserFlags are the bits of RFLAGS that a user program may choose, through
// sigreturn(2) and ptrace(2) (Linux: FIX_EFLAGS, FLAG_MASK).
const UserFlags = FlagCF | FlagPF | FlagAF | FlagZF | FlagSF | FlagTF | FlagDF | FlagOF | FlagRF | FlagNT | FlagAC

// UserLimit is the end of the user's address space: one page below the end of the
// lower half, so that no SYSCALL instruction can end at the first non-canonical
// address (as in CVE-2014-4699).
const UserLimit = 1<<47 - PageSize

// DefaultMXCSR masks all SSE exceptions and rounds to nearest (SDM vol. 1,
// 10.2.3).
const DefaultMXCSR = 0x1f80

// mxcsrMask holds the bits of MXCSR that the CPU has; others fault in LDMXCSR.
// EnableExtendedState sets it before the first program runs.
var mxcsrMask uint32 = 0xffff

// defaultMXCSRMask is the mask of a CPU that reports none: all bits but DAZ (SDM vol.
// 1, 11.6.6).
const defaultMXCSRMask = 0xffbf

// Settle completes the frame after a system call. SYSCALL overwrites RCX and R11
// with RIP and RFLAGS, which the fast path does not store in the frame to save
// time. Code that reads, copies or changes registers calls Settle first; a second
// call does nothing. After it the frame is left by IRETQ, unless ChooseExit finds
// that SYSRET does the same. The caller is f's own goroutine, or f's task is
// stopped.
func (f *Frame) Settle() {
	if f.Flags&LeaveByIRET != 0 {
		return
	}
	if f.Flags&Call32 == 0 {
		f.RCX = f.RIP
	} else {
		f.BeginCall32()
	}
	f.R11 = f.ProgramFlags()
	f.setCallSegments()
	f.Flags = f.Flags&^stepping | LeaveByIRET
}

// setCallSegments sets CS and SS to those that SYSRET loads. The landing has not stored
// SS, and may have pushed over CS (alternatives.go).
func (f *Frame) setCallSegments() {
	f.CS, f.SS = UserCS, UserSS
	if f.Flags&Call32 != 0 {
		f.CS = User32CS
	}
}

// Stepping reports whether the program single-steps over the system call that the
// frame is in, and Settle was not called yet.
func (f *Frame) Stepping() bool { return f.Flags&stepping != 0 }

// Sanitize makes a frame safe for the exit instructions after a user chose its
// registers: by a signal handler's address, sigreturn(2), an ELF entry point or
// ptrace(2). CS and SS become selectors of user mode. If they have no suitable
// descriptor, IRETQ raises an exception, which becomes the program's (FixupExit).
// Sanitize returns false if RIP, FSBase or GSBase could not be loaded: the caller must
// then send the task a fatal signal. The caller is f's own goroutine, or f's task is
// stopped.
func (f *Frame) Sanitize() bool {
	f.RFLAGS = f.RFLAGS&(UserFlags|FlagID) | FlagIF | FlagFixed
	f.CS, f.SS = f.CS&0xffff|userRPL, f.SS&0xffff|userRPL
	f.MXCSR &= mxcsrMask
	f.Flags |= LeaveByIRET
	return f.RIP < f.codeLimit() && Canonical(f.FSBase) && Canonical(f.GSBase)
}

// codeLimit returns the end of the addresses that RIP may have: 4 GiB in 32-bit code.
func (f *Frame) codeLimit() uint64 {
	if f.Code32() {
		return 1 << 32
	}
	return UserLimit
}

// Code32 reports whether f's program executes 16-bit or 32-bit code: its code segment is
// not the only one of 64-bit code (Linux: user_64bit_mode). The caller is f's own
// goroutine, or f's task is stopped; f is settled.
func (f *Frame) Code32() bool { return f.CS != UserCS }

// Canonical reports whether the top 17 bits of an address are equal (SDM vol. 1,
// 3.3.7.1). Other addresses fault. Any context.
func Canonical(a uint64) bool { return uint64(int64(a)<<16>>16) == a }

// Exit returns the instruction that must leave the frame: IRETQ if LeaveByIRET is
// set, otherwise SYSRET, since the frame of a 64-bit call has no RCX and R11. Any context.
//
//go:nosplit
func (f *Frame) Exit() Exit {
	if f.Flags&LeaveByIRET != 0 {
		return ByIRETQ
	}
	return Exit(f.Flags & Call32)
}

// QuickExit returns the exit instruction that EnterUser chooses without lastTest, which is
// possible for the usual frames that owe no duties. Those of EntryDuties are none after a
// 64-bit call. It is for models of EnterUser, which is assembly.
func (f *Frame) QuickExit() (exit Exit, possible bool) {
	duties := f.ThreadFlags.Load()
	switch {
	case f.Flags == 0:
		possible = duties&^EntryDuties == 0
	case f.Flags == LeaveByIRET|CallOver, f.Flags == Call32, f.Flags == LeaveByIRET|Call32:
		possible = duties == 0
	}
	if !possible {
		return Stay, false
	}
	return f.Exit(), true
}

// SysretServes reports whether SYSRET leaves the frame as IRETQ would: RCX and R11
// hold RIP and RFLAGS, the selectors are the 64-bit user's, RIP is canonical, and
// neither RF nor TF is set (SDM vol. 2B, SYSRET; Linux: do_syscall_64). After a 32-bit
// call by SYSCALL or SYSENTER, RCX and R11 need not be restored: the program continues
// in the vDSO, which pops ECX, and has no R11 (Linux: do_fast_syscall_32). The frame is
// settled.
func (f *Frame) SysretServes() bool {
	if f.Flags&Call32 != 0 {
		return f.CS == User32CS && f.SS == UserSS && f.fast32() && f.flagsServe()
	}
	return f.RCX == f.RIP && f.R11 == f.RFLAGS &&
		f.CS == UserCS && f.SS == UserSS &&
		f.RIP < UserLimit && f.flagsServe()
}

// flagsServe reports whether SYSRET can load RFLAGS.
func (f *Frame) flagsServe() bool {
	return f.RFLAGS&^sysretFlags == 0 && f.RFLAGS&(FlagFixed|FlagTF) == FlagFixed
}

// sysretFlags are the bits that SYSRET loads from R11, without RF and VM (SDM
// vol. 2B, SYSRET).
const sysretFlags = 0x3c7fd7

// ChooseExit chooses the exit instruction of a settled frame: SYSRET if it does the
// same as IRETQ. It does not change a frame that is not settled, which SYSRET
// leaves: it has no RCX and R11 for IRETQ. The caller is f's own goroutine.
func (f *Frame) ChooseExit() {
	if f.Flags&LeaveByIRET == 0 || f.RCX != f.RIP && f.Flags&Call32 == 0 {
		return // most frames; the rest is a call of its own, so that this is inlined
	}
	f.chooseSysret()
}

// chooseSysret is ChooseExit for a settled frame.
//
//go:noinline
func (f *Frame) chooseSysret() {
	if f.SysretServes() && f.sysretServesSS(sysretKeepsAttributes) {
		f.Flags &^= LeaveByIRET
	}
}

// registerOffsets has the places of the general registers by their number in an instruction
// (SDM vol. 2A, table 2-2).
var registerOffsets = [16]uintptr{
	unsafe.Offsetof(Frame{}.RAX), unsafe.Offsetof(Frame{}.RCX), unsafe.Offsetof(Frame{}.RDX), unsafe.Offsetof(Frame{}.RBX),
	unsafe.Offsetof(Frame{}.RSP), unsafe.Offsetof(Frame{}.RBP), unsafe.Offsetof(Frame{}.RSI), unsafe.Offsetof(Frame{}.RDI),
	unsafe.Offsetof(Frame{}.R8), unsafe.Offsetof(Frame{}.R9), unsafe.Offsetof(Frame{}.R10), unsafe.Offsetof(Frame{}.R11),
	unsafe.Offsetof(Frame{}.R12), unsafe.Offsetof(Frame{}.R13), unsafe.Offsetof(Frame{}.R14), unsafe.Offsetof(Frame{}.R15),
}

// Register returns the general register that has the number in an instruction's encoding: 0
// is RAX, 1 RCX, 2 RDX, 3 RBX, 4 RSP, 5 RBP, 6 RSI, 7 RDI, then R8 to R15. Only the low four
// bits of the number count. The caller is f's own goroutine, or f's task is stopped; f is
// settled.
func (f *Frame) Register(number uint8) *uint64 {
	return (*uint64)(unsafe.Add(unsafe.Pointer(f), registerOffsets[number&15]))
}
