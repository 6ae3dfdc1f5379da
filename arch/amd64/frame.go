// Package amd64 is everything of Slowpath that names a register: the register
// frame, the trampolines between user mode and Go, descriptor tables,
// page-table format, local APIC, extended processor state, user copy.
//
// All assembly of the kernel is here or in boot. It is a trampoline and
// nothing else: it saves registers into a Frame and returns to the Go function
// that called EnterUser, or loads them from one. What happens in between is
// Go. The package imports nothing of Slowpath.
//
// The manuals cited are Intel's Software Developer's Manual (SDM) and AMD's
// Architecture Programmer's Manual (APM), by volume and section.
package amd64

import (
	"sync/atomic"
	"unsafe"
)

// Frame holds every register of a suspended program: Linux calls it pt_regs.
// A user task has one, and so has each thread of the Go runtime; the same
// assembly saves and loads both.
//
// The fields from RIP to SS lie in the order in which IRETQ pops them (SDM
// vol. 3A, 6.14.2), so that it can leave straight from the frame. The layout
// is known to trampoline_amd64.s; a test compares the two.
//
// A Frame must not move while a CPU may hold its state: allocate it on the
// heap, keep it reachable, and call Release before it dies.
type Frame struct {
	RAX, RBX, RCX, RBP uint64

	// The arguments of a 64-bit system call, in their order: see Args.
	RDI, RSI, RDX, R10, R8, R9 uint64

	R11, R12, R13, R14, R15 uint64

	// Vector and Error are what the last exception or interrupt pushed.
	Vector, Error uint64

	RIP, CS, RFLAGS, RSP, SS uint64

	// ThreadFlags holds the duties that the task owes, one
	// bit each (package entry). Anybody may set bits. It lies beside Flags so
	// that one 64-bit compare, with interrupts off, allows the fast exit.
	ThreadFlags atomic.Uint32
	// Flags tell how the frame must be left. Only the owner touches them.
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

	area []byte // what extended points into

	debugCause uint64 // of the last #DB: see DebugCause

	// controls is what the program wants of the CPU: see LoadControls. Only
	// its owner changes it, after Release.
	controls controls

	resched bool // see TakeResched

	affinity atomic.Uint64 // see Affinity
	lastCPU  atomic.Uint32 // see LastCPU

	// UserTicks and SystemTicks count the timer interrupts that found the
	// program in user mode, or the kernel at work for it; TickNanoseconds
	// each.
	UserTicks, SystemTicks atomic.Uint32
}

// Args are the six arguments of a system call, in the order in which its manual
// page lists them.
type Args [6]uint64

// Args returns the arguments of the 64-bit system call that the frame is in.
// They are the frame's own registers RDI, RSI, RDX, R10, R8 and R9 (SysV ABI,
// AMD64 supplement, A.2.1): a write changes them. The caller is f's own
// goroutine, or f's task is stopped.
func (f *Frame) Args() *Args { return (*Args)(unsafe.Pointer(&f.RDI)) }

// FrameFlags say how a frame must be left.
type FrameFlags uint32

const (
	// LeaveByIRET is set when SYSRET would not restore the frame: it takes
	// RIP from RCX and RFLAGS from R11 (SDM vol. 2B, SYSRET), so it fits only
	// the return from a system call that changed neither.
	LeaveByIRET FrameFlags = 1 << iota
	// vectorsValid is set in a runtime thread's frame when XMM and MXCSR are
	// part of what must be restored.
	vectorsValid
	// CallOver is set when the frame owes no exit of a system call: it is in
	// none, or the duties of its exit were served. While it is not set, a
	// duty of any kind brings EventDuty.
	CallOver

	// stepping is FlagTF as the SYSCALL landing found it: the program steps
	// over the call. SYSRET would trap before the next instruction, IRETQ
	// traps after it, so EnterUser returns EventDuty until Settle was called.
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
	tssBase   = 0x40 // selector of CPU 0's task-state segment; 16 a CPU
	tssStride = 16
)

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

// UserLimit is the end of what a user may map: one page short of the lower
// half, so that no SYSCALL instruction can end at the first non-canonical
// address (CVE-2014-4699 and its kind).
const UserLimit = 1<<47 - PageSize

// DefaultMXCSR masks all SSE exceptions and rounds to nearest (SDM vol. 1,
// 10.2.3).
const DefaultMXCSR = 0x1f80

// mxcsrMask are the bits of MXCSR that exist; others fault in LDMXCSR.
const mxcsrMask = 0xffff

// Settle makes the frame complete after a system call. SYSCALL overwrote RCX
// and R11 with RIP and RFLAGS, and the fast path does not spend the time to
// say so in the frame. Whoever reads, copies or changes registers calls it
// first; it is done at most once an entry. After it the frame is left by
// IRETQ unless ChooseExit finds that SYSRET serves.
func (f *Frame) Settle() {
	if f.Flags&LeaveByIRET != 0 {
		return
	}
	f.CS = UserCS // the landing may have pushed over it (fsbase.go)
	f.RCX, f.R11 = f.RIP, f.RFLAGS
	f.Flags = f.Flags&^stepping | LeaveByIRET
}

// Stepping reports whether the frame is of a system call over which the
// program single-steps, and is not settled yet.
func (f *Frame) Stepping() bool { return f.Flags&stepping != 0 }

// Sanitize forces into the frame what user mode may have and what the exit
// instructions need, after its registers came from a user (sigreturn(2),
// ptrace(2)). It reports false if RIP, FSBase or GSBase could not be loaded:
// the caller then owes the task a fatal signal.
func (f *Frame) Sanitize() bool {
	f.RFLAGS = f.RFLAGS&(UserFlags|FlagID) | FlagIF | FlagFixed
	f.CS, f.SS = UserCS, UserSS
	f.MXCSR &= mxcsrMask
	f.Flags |= LeaveByIRET
	return f.RIP < UserLimit && Canonical(f.FSBase) && Canonical(f.GSBase)
}

// Canonical reports whether the top 17 bits of a are equal (SDM vol. 1,
// 3.3.7.1): others fault when loaded.
func Canonical(a uint64) bool { return uint64(int64(a)<<16>>16) == a }

// Exit returns the instruction by which the frame must be left as it is: IRETQ
// if LeaveByIRET is set, else SYSRET, as RCX and R11 are not in the frame.
//
//go:nosplit
func (f *Frame) Exit() Exit { return Exit(f.Flags & LeaveByIRET) }

// SysretServes reports whether SYSRET leaves the frame as IRETQ would: RCX
// and R11 hold RIP and RFLAGS, the selectors are the 64-bit user's, RIP is
// canonical, and neither RF nor TF must be set with the return itself (SDM
// vol. 2B, SYSRET; Linux: do_syscall_64).
func (f *Frame) SysretServes() bool {
	return f.RCX == f.RIP && f.R11 == f.RFLAGS &&
		f.CS == UserCS && f.SS == UserSS &&
		f.RIP < UserLimit &&
		f.RFLAGS&^sysretFlags == 0 && f.RFLAGS&(FlagFixed|FlagTF) == FlagFixed
}

// sysretFlags are the bits that SYSRET takes from R11 (SDM vol. 2B, SYSRET):
// neither RF nor VM is among them.
const sysretFlags = 0x3c7fd7

// ChooseExit picks the exit instruction for a complete frame: IRETQ unless
// SYSRET is proven to do the same. A frame that is not settled is left by
// SYSRET in any case: IRETQ would load an RCX and R11 that it does not have.
func (f *Frame) ChooseExit() {
	if f.Flags&LeaveByIRET != 0 && f.SysretServes() {
		f.Flags &^= LeaveByIRET
	}
}
