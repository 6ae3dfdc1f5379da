// Entry to the kernel and exit from it. Entry saves every register of the
// interrupted program in a Frame (frame.go); exit loads every register from one.
//
// Per-CPU data (perCPU, percpu.go) is at a constant address, in blocks of 128 bytes.
// Each CPU has its own landings, which contain the address of its block.
// Other code reads the CPU's selector, 0x80+16*cpu, from the task register with
// STRQ. The block is then at P_BASE + selector*8.
//
// RDFSBASE and WRFSBASE must have CX as their operand. On a CPU without FSGSBASE each
// is patched to a CALL of readFSBase or writeFSBase (alternatives.go). Use them
// only where R10 and DX are free and the stack has room for the return address.
#include "textflag.h"

// Offsets in Frame.
#define F_RAX 0
#define F_RBX 8
#define F_RCX 16
#define F_RBP 24
#define F_RDI 32
#define F_RSI 40
#define F_RDX 48
#define F_R10 56
#define F_R8 64
#define F_R9 72
#define F_R11 80
#define F_R12 88
#define F_R13 96
#define F_R14 104
#define F_R15 112
#define F_VECTOR 120
#define F_ERROR 128
#define F_RIP 136
#define F_CS 144
#define F_RFLAGS 152
#define F_RSP 160
#define F_SS 168
#define F_THREADFLAGS 176
#define F_FLAGS 180
#define F_FSBASE 184
#define F_KSP 192
#define F_KBP 200
#define F_CR2 208
#define F_ORIGRAX 216
#define F_XMM 224
#define F_MXCSR 480

// FrameFlags.
#define CALL_OVER 1
#define CALL32 2
#define LEAVE_BY_IRET 4
#define VECTORS_VALID 16
#define STEPPING 0x100

// IRET_ALONE are the Flags of a frame that is in no call and must be left by IRETQ.
#define IRET_ALONE (LEAVE_BY_IRET|CALL_OVER)

// EntryDuties (user.go).
#define ENTRY_DUTIES 0x1008c1c0

// Offsets in perCPU, and the address of the block of selector 0.
#define P_BASE -0x7fef7000
#define P(off) (P_BASE+off)
#define P_USERFRAME 0
#define P_USERSS 8
#define P_SCRATCH 16
#define P_KERNELFS 24
#define P_CURRENT 32
#define P_STACK 40
#define P_IN_GOOS 48
#define P_ROOT 64
#define P_NEXT_ROOT 120

// Values of RFLAGS: the fixed bit alone, and the fixed bit with IF.
#define FLAGS_FIXED 2
#define KERNEL_FLAGS 0x202

// IA32_FS_BASE (registers.go).
#define MSR_FSBASE 0xc0000100

// dr6Quiet (debug.go).
#define DR6_QUIET 0xffff0ff0

#define FIRST_IRQ 32 // the first vector that is not an exception

// Exceptions that package goos handles before EnterUser returns, as it does
// interrupts: #DB, NMI, #DF and #MC. The cause of #DB and #MC must be read on the
// CPU that took the exception.
#define SERVED_HERE (1<<1|1<<2|1<<8|1<<18)

// EventHandover (user.go).
#define EVENT_HANDOVER -258

// SYSRETQ is SYSRET with REX.W. Without it, SYSRET returns to 32-bit code at ECX.
#define SYSRETQ BYTE $0x48; SYSRET

// RET as a byte, because the assembler checks before a RET that pushes and pops
// balance. They do not here: the code switches SP.
#define RETURN BYTE $0xc3

// SAVE12 saves the general registers that SYSCALL preserves, except RAX and RSP. base
// points d bytes into the frame.
#define SAVE12(base, d) \
	MOVQ BX, (F_RBX-d)(base); \
	MOVQ DX, (F_RDX-d)(base); \
	MOVQ SI, (F_RSI-d)(base); \
	MOVQ DI, (F_RDI-d)(base); \
	MOVQ BP, (F_RBP-d)(base); \
	MOVQ R8, (F_R8-d)(base); \
	MOVQ R9, (F_R9-d)(base); \
	MOVQ R10, (F_R10-d)(base); \
	MOVQ R12, (F_R12-d)(base); \
	MOVQ R13, (F_R13-d)(base); \
	MOVQ R14, (F_R14-d)(base); \
	MOVQ R15, (F_R15-d)(base)

// LOAD12 loads the same registers from the frame in AX.
#define LOAD12 \
	MOVQ F_RBX(AX), BX; \
	MOVQ F_RDX(AX), DX; \
	MOVQ F_RSI(AX), SI; \
	MOVQ F_RDI(AX), DI; \
	MOVQ F_RBP(AX), BP; \
	MOVQ F_R8(AX), R8; \
	MOVQ F_R9(AX), R9; \
	MOVQ F_R10(AX), R10; \
	MOVQ F_R12(AX), R12; \
	MOVQ F_R13(AX), R13; \
	MOVQ F_R14(AX), R14; \
	MOVQ F_R15(AX), R15

// SAVE_FS saves the program's FS base. CX is lost.
#define SAVE_FS(base, d) \
	RDFSBASEQ CX; \
	MOVQ CX, (F_FSBASE-d)(base)

// SET_FS sets FS base. CX is lost.
#define SET_FS(value) \
	MOVQ value, CX; \
	WRFSBASEQ CX

// TO_CALLER switches to the stack and frame pointer of EnterUser's caller. base may be
// SP.
#define TO_CALLER(base, d) \
	MOVQ (F_KBP-d)(base), BP; \
	MOVQ (F_KSP-d)(base), SP

// LEAVE_CALL loads the frame in AX for SYSRET, which loads RIP from RCX and RFLAGS
// from R11.
#define LEAVE_CALL \
	SET_FS(F_FSBASE(AX)); \
	LOAD_VECTORS; \
	LOAD12; \
	MOVQ F_RIP(AX), CX; \
	MOVQ F_RFLAGS(AX), R11; \
	MOVQ F_RSP(AX), SP; \
	MOVQ F_RAX(AX), AX

// SAVE_VECTORS saves the XMM registers and MXCSR, and loads kernelMXCSR (percpu.go).
// The registers are saved eagerly, because compiled Go code uses them everywhere.
// Under emulation these MOVUPS take a sixth of the time of FXSAVE.
#define SAVE_VECTORS(base, d) \
	MOVUPS X0, (F_XMM-d+0)(base); \
	MOVUPS X1, (F_XMM-d+16)(base); \
	MOVUPS X2, (F_XMM-d+32)(base); \
	MOVUPS X3, (F_XMM-d+48)(base); \
	MOVUPS X4, (F_XMM-d+64)(base); \
	MOVUPS X5, (F_XMM-d+80)(base); \
	MOVUPS X6, (F_XMM-d+96)(base); \
	MOVUPS X7, (F_XMM-d+112)(base); \
	MOVUPS X8, (F_XMM-d+128)(base); \
	MOVUPS X9, (F_XMM-d+144)(base); \
	MOVUPS X10, (F_XMM-d+160)(base); \
	MOVUPS X11, (F_XMM-d+176)(base); \
	MOVUPS X12, (F_XMM-d+192)(base); \
	MOVUPS X13, (F_XMM-d+208)(base); \
	MOVUPS X14, (F_XMM-d+224)(base); \
	MOVUPS X15, (F_XMM-d+240)(base); \
	STMXCSR (F_MXCSR-d)(base); \
	LDMXCSR ·kernelMXCSR(SB)

#define LOAD_VECTORS \
	MOVUPS (F_XMM+0)(AX), X0; \
	MOVUPS (F_XMM+16)(AX), X1; \
	MOVUPS (F_XMM+32)(AX), X2; \
	MOVUPS (F_XMM+48)(AX), X3; \
	MOVUPS (F_XMM+64)(AX), X4; \
	MOVUPS (F_XMM+80)(AX), X5; \
	MOVUPS (F_XMM+96)(AX), X6; \
	MOVUPS (F_XMM+112)(AX), X7; \
	MOVUPS (F_XMM+128)(AX), X8; \
	MOVUPS (F_XMM+144)(AX), X9; \
	MOVUPS (F_XMM+160)(AX), X10; \
	MOVUPS (F_XMM+176)(AX), X11; \
	MOVUPS (F_XMM+192)(AX), X12; \
	MOVUPS (F_XMM+208)(AX), X13; \
	MOVUPS (F_XMM+224)(AX), X14; \
	MOVUPS (F_XMM+240)(AX), X15; \
	LDMXCSR F_MXCSR(AX)

// FROM_BOTH is the beginning of LANDING where system calls of the Go runtime enter too.
// Their return address is in the kernel's half of the address space, so its sign bit is
// set.
#define FROM_BOTH(o) \
	TESTQ CX, CX; \
	JPL user; \
	MOVQ SP, R11; /* EndCall restores RFLAGS, so R11 is free */ \
	MOVQ P(o+P_CURRENT), SP; /* the runtime thread's frame */ \
	JMP ·kernelSyscall(SB); \
user:

// FROM_USER is the beginning of LANDING where only programs enter.
#define FROM_USER(o)

// LANDING is an entry of SYSCALL of one CPU: LSTAR points to that of 64-bit code and
// CSTAR to that of 32-bit code. o is the offset of the CPU's block. The frame's Flags
// become the bits kept of RFLAGS, and event is the upper half of EnterUser's result.
// Interrupts are off, and RSP is the caller's. from is FROM_BOTH or FROM_USER.
#define LANDING(name, o, from, kept, event) \
TEXT name(SB), NOSPLIT|NOFRAME, $0; \
	from(o) \
	MOVQ SP, P(o+P_SCRATCH); \
	MOVQ P(o+P_USERSS), SP; /* &frame.SS */ \
	PUSHQ P(o+P_SCRATCH); /* frame.RSP */ \
	PUSHQ R11; /* frame.RFLAGS, to which SP points from here on */ \
	MOVQ CX, (F_RIP-F_RFLAGS)(SP); \
	SAVE12(SP, F_RFLAGS); \
	MOVQ AX, (F_ORIGRAX-F_RFLAGS)(SP); \
	SAVE_FS(SP, F_RFLAGS); \
	SET_FS(P(o+P_KERNELFS)); /* the runtime finds g through FS base */ \
	SAVE_VECTORS(SP, F_RFLAGS); \
	ANDL $(kept), R11; \
	MOVL R11, (F_FLAGS-F_RFLAGS)(SP); /* LeaveByIRET is clear: SYSRET restores the frame, unless TF is set */ \
	TO_CALLER(SP, F_RFLAGS); \
	MOVL AX, 16(SP); /* EnterUser's result: the number, */ \
	MOVL $(event), 20(SP); /* which is not negative, and the ABI */ \
	STI; \
	RETURN

LANDING(·landing0, 0x400, FROM_BOTH, STEPPING, 0)
LANDING(·landing1, 0x480, FROM_BOTH, STEPPING, 0)
LANDING(·landing2, 0x500, FROM_BOTH, STEPPING, 0)
LANDING(·landing3, 0x580, FROM_BOTH, STEPPING, 0)
LANDING(·landing4, 0x600, FROM_BOTH, STEPPING, 0)
LANDING(·landing5, 0x680, FROM_BOTH, STEPPING, 0)
LANDING(·landing6, 0x700, FROM_BOTH, STEPPING, 0)
LANDING(·landing7, 0x780, FROM_BOTH, STEPPING, 0)

// Bit 1 of RFLAGS, which is always set, becomes CALL32.
LANDING(·compat0, 0x400, FROM_USER, STEPPING|CALL32, 1)
LANDING(·compat1, 0x480, FROM_USER, STEPPING|CALL32, 1)
LANDING(·compat2, 0x500, FROM_USER, STEPPING|CALL32, 1)
LANDING(·compat3, 0x580, FROM_USER, STEPPING|CALL32, 1)
LANDING(·compat4, 0x600, FROM_USER, STEPPING|CALL32, 1)
LANDING(·compat5, 0x680, FROM_USER, STEPPING|CALL32, 1)
LANDING(·compat6, 0x700, FROM_USER, STEPPING|CALL32, 1)
LANDING(·compat7, 0x780, FROM_USER, STEPPING|CALL32, 1)

// SYSENTER_LANDING is the entry of SYSENTER of one CPU. SYSENTER saves neither RIP nor
// RSP nor RFLAGS, and clears of RFLAGS only IF and RF. The 32-bit vDSO has the stack
// pointer in EBP. SYSENTER_LANDING changes the registers to those of SYSCALL of the
// vDSO, where EBP has ECX, and continues there. Its stack is that of a trap. A #DB of
// a program that single-steps returns (paranoidTrap).
#define SYSENTER_LANDING(name, syscall) \
TEXT name(SB), NOSPLIT|NOFRAME, $0; \
	PUSHFQ; \
	POPQ R11; \
	PUSHQ $FLAGS_FIXED; /* clears TF, NT and AC */ \
	POPFQ; \
	MOVL BP, SP; \
	XCHGL CX, BP; /* RCX is not negative */ \
	JMP syscall(SB)

SYSENTER_LANDING(·sysenter0, ·compat0)
SYSENTER_LANDING(·sysenter1, ·compat1)
SYSENTER_LANDING(·sysenter2, ·compat2)
SYSENTER_LANDING(·sysenter3, ·compat3)
SYSENTER_LANDING(·sysenter4, ·compat4)
SYSENTER_LANDING(·sysenter5, ·compat5)
SYSENTER_LANDING(·sysenter6, ·compat6)
SYSENTER_LANDING(·sysenter7, ·compat7)

// kernelSyscall handles a system call of the runtime (Hooks.Syscall). SP = the
// thread's frame, R11 = its RSP.
TEXT ·kernelSyscall(SB), NOSPLIT|NOFRAME, $0
	MOVQ AX, F_RAX(SP)
	SAVE12(SP, 0)
	MOVQ R11, F_RSP(SP)
	MOVQ CX, F_RIP(SP)
	MOVQ ·onSyscall(SB), R12
	JMP ·callGoos(SB)

// callGoos calls the top-level function whose func value is in R12, with the argument
// in AX. The function runs in the environment of package goos: interrupts off, the
// CPU's own stack, and goosG as g, whose stack bound of 0 passes every stack check.
// Then callGoos resumes the CPU's current thread, which the function may have
// changed.
TEXT ·callGoos(SB), NOSPLIT|NOFRAME, $0
	STRQ BX
	MOVQ $1, P(P_IN_GOOS)(BX*8)
	MOVQ P(P_STACK)(BX*8), SP
	SET_FS($·goosTLS+8(SB))
	LEAQ ·goosG(SB), R14 // ABIInternal: R14 is g,
	XORPS X15, X15 // and X15 is zero
	CLD
	CALL 0(R12)
	JMP ·Resume(SB)

// Resume continues the CPU's current runtime thread (perCPU.current).
TEXT ·Resume(SB), NOSPLIT|NOFRAME, $0
	STRQ BX
	MOVQ P(P_CURRENT)(BX*8), AX
	MOVQ F_FSBASE(AX), CX
	MOVQ CX, P(P_KERNELFS)(BX*8)
	MOVQ $0, P(P_IN_GOOS)(BX*8)
	JMP ·leave(SB)

// leave loads all registers from the frame in AX and resumes the interrupted code. It
// does not load the XMM registers after a system call of the runtime, which may
// clobber them. ABIInternal requires X15 to be zero even then; callGoos cleared it.
TEXT ·leave(SB), NOSPLIT|NOFRAME, $0
	SET_FS(F_FSBASE(AX))
	TESTL $(LEAVE_BY_IRET|CALL32|VECTORS_VALID), F_FLAGS(AX)
	JEQ general
	LOAD_VECTORS
general:
	LOAD12
	MOVQ F_RCX(AX), CX
	MOVQ F_R11(AX), R11
	LEAQ F_RIP(AX), SP // IRETQ pops RIP to SS of the frame
	MOVQ F_RAX(AX), AX
	IRETQ

// func EnterUser(f *Frame) int
TEXT ·EnterUser(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ f+0(FP), AX
	CLI // a duty raised from here on arrives as an interrupt in user mode
	STRQ CX
	CMPQ AX, P(P_USERFRAME)(CX*8)
	JNE handover // the CPU has not loaded f's page tables and fpregs
	MOVQ SP, F_KSP(AX)
	MOVQ BP, F_KBP(AX)
	TESTQ $~ENTRY_DUTIES, F_THREADFLAGS(AX) // ThreadFlags and Flags in one test
	JNE slow
sysret:
	LEAVE_CALL
	SYSRETQ
sysret32:
	LEAVE_CALL
	SYSRET
slow:
	MOVQ $(IRET_ALONE<<32), CX
	XORQ F_THREADFLAGS(AX), CX
	JEQ iret
	ROLQ $32, CX // Flags ^ IRET_ALONE, and above them the duties
	CMPQ CX, $(IRET_ALONE^CALL32)
	JEQ sysret32
	CMPQ CX, $(IRET_ALONE^(LEAVE_BY_IRET|CALL32)) // INT 0x80
	JEQ iret
	// lastTest (percpu.go) decides, with interrupts off.
	MOVQ ·lastTest(SB), DX
	PUSHQ AX // ABIInternal: room for the callee to spill its argument, f, there
	CALL 0(DX)
	MOVQ AX, CX
	POPQ AX
	TESTQ CX, CX
	JMI stay
	CMPQ CX, $CALL32
	JEQ sysret32
	JCS sysret
iret:
	JMP ·leave(SB)
handover:
	MOVQ $EVENT_HANDOVER, CX
stay:
	MOVQ CX, ret+8(FP)
	STI
	RET

// trap is the common entry of the stubs of all vectors (boot/image, vectorStubs).
// Interrupts are off. SP is a stack of the interrupt-stack table, on which are, from
// the top: vector, error code, RIP, CS, RFLAGS, RSP, SS.
TEXT ·trap(SB), NOSPLIT|NOFRAME, $0
	PUSHQ AX
	PUSHQ BX
	STRQ BX
	TESTB $3, 40(SP) // CS: from user mode?
	JEQ kernel
	MOVQ P(P_USERFRAME)(BX*8), AX
save:
	SAVE12(AX, 0) // RAX is on the stack
	MOVQ CX, F_RCX(AX)
	MOVQ R11, F_R11(AX)
	POPQ F_RBX(AX)
	POPQ F_RAX(AX)
	POPQ F_VECTOR(AX)
	POPQ F_ERROR(AX)
	POPQ F_RIP(AX)
	POPQ F_CS(AX)
	POPQ F_RFLAGS(AX)
	POPQ F_RSP(AX)
	POPQ F_SS(AX)
	MOVQ CR2, CX
	MOVQ CX, F_CR2(AX)
	SAVE_FS(AX, 0)
	SAVE_VECTORS(AX, 0)
	CLD // the CPU clears neither DF nor AC (SDM vol. 3A, 6.12.1.3), and SMAP needs AC clear
	PUSHQ $FLAGS_FIXED
	POPFQ
	TESTB $3, F_CS(AX)
	JEQ fromKernel
	MOVL $(LEAVE_BY_IRET|CALL_OVER), F_FLAGS(AX)
	MOVQ $-1, F_ORIGRAX(AX) // not in a system call
	SET_FS(P(P_KERNELFS)(BX*8))
	MOVQ F_VECTOR(AX), DX
	TO_CALLER(AX, 0)
	MOVQ DX, 16(SP)
	NOTQ 16(SP) // EnterUser's result: the complement of the vector
	CMPQ DX, $FIRST_IRQ
	JGE serve
	MOVL $SERVED_HERE, CX
	BTL DX, CX
	JCS serve
	STI
	RETURN
fromKernel:
	MOVL $VECTORS_VALID, F_FLAGS(AX)
serve: // AX = the interrupted frame, for Hooks.Trap
	MOVQ ·onTrap(SB), R12
	JMP ·callGoos(SB)
kernel:
	CMPQ P(P_IN_GOOS)(BX*8), $0
	JNE nested
	MOVQ P(P_CURRENT)(BX*8), AX
	JMP save
nested: // an exception in package goos is fatal
	ADDQ $16, SP
	JMP ·fatalTrap(SB)

// justReturn returns from EnterUser after an interrupt of user mode (EndEnterUser).
TEXT ·justReturn(SB), NOSPLIT|NOFRAME, $0
	RET

// paranoidTrap is the entry of #DB, NMI, #DF and #MC. Each has its own stack. If the
// exception interrupted user mode, paranoidTrap continues at trap. In the kernel,
// #DF and #MC are fatal. #DB and NMI can interrupt any instruction of the kernel,
// so paranoidTrap only counts NMIs in kernelNMIs and changes no other state. A #DB in
// the kernel is a breakpoint on memory that copyUser accesses, or the single step of a
// program that executes SYSENTER. Its cause must not stay in DR6.
TEXT ·paranoidTrap(SB), NOSPLIT|NOFRAME, $0
	TESTB $3, 24(SP) // CS
	JNE user
	CMPQ 0(SP), $2
	JHI fatal // #DF or #MC
	JCS debug
	LOCK
	INCQ ·kernelNMIs(SB)
ignore:
	ADDQ $16, SP // vector, error
	IRETQ
debug:
	PUSHQ AX
	MOVQ $DR6_QUIET, AX
	MOVQ AX, DR6
	POPQ AX
	JMP ignore
user:
	JMP ·trap(SB)
fatal:
	JMP ·fatalTrap(SB)

// fatalTrap calls Hooks.Fatal, which ends the machine, after #DF or #MC in the kernel
// or any exception in package goos. FatalState returns the SP of its entry.
TEXT ·fatalTrap(SB), NOSPLIT|NOFRAME, $0
	STRQ BX
	MOVQ SP, P(P_SCRATCH)(BX*8)
	MOVQ ·onFatal(SB), R12
	JMP ·callGoos(SB)

// idle is the code of the idle threads: it halts the CPU until an interrupt.
TEXT ·idle(SB), NOSPLIT|NOFRAME, $0
wait:
	STI
	HLT
	JMP wait

// func copyUser(root uint64, to, from unsafe.Pointer, n uint64) (left uint64)
TEXT ·copyUser(SB), NOSPLIT|NOFRAME, $0-40
	MOVQ root+0(FP), AX
	MOVQ to+8(FP), DI
	MOVQ from+16(FP), SI
	MOVQ n+24(FP), CX
	LEAQ (DI)(CX*1), R10 // the end of the destination
	CLI // the goroutine must stay on this CPU, and the CPU must keep the page tables
	STRQ DX
	CMPQ AX, P(P_ROOT)(DX*8)
	JEQ loaded
	MOVQ $0, P(P_USERFRAME)(DX*8) // EnterUser must return EventHandover
	MOVQ AX, P(P_NEXT_ROOT)(DX*8) // see switchRoot
	MOVQ AX, CR3
	MOVQ AX, P(P_ROOT)(DX*8)
loaded:
	PUSHQ $0x40002 // RFLAGS.AC allows access to user pages; without SMAP it has no effect
	POPFQ
	MOVQ CX, DX
	ANDQ $7, DX
	SHRQ $3, CX
	REP; MOVSQ // a fault from here on continues at copyUserEnd (Fixup)
	MOVQ DX, CX
	REP; MOVSB
	JMP ·copyUserEnd(SB)

// copyUserEnd returns from copyUser. The result, R10 - DI, is the number of bytes not
// copied. It restores RFLAGS: interrupts on, AC off.
TEXT ·copyUserEnd(SB), NOSPLIT|NOFRAME, $0-40
	SUBQ DI, R10
	MOVQ R10, 40(SP)
	PUSHQ $KERNEL_FLAGS
	POPFQ
	RET

// func loadFS(selector uint16)
//
// A load of FS changes FS base, through which the runtime finds g. So loadFS restores
// FS base.
TEXT ·loadFS(SB), NOSPLIT, $0-2
	MOVW selector+0(FP), AX
	RDFSBASEQ CX
	MOVW AX, FS
	WRFSBASEQ CX
	RET

// runtimeClock is clock_gettime(2) for the Go runtime, which finds it in the vDSO
// image of package goos (RuntimeClock). It has the C calling convention: DI = clock
// ID, SI = *timespec. It is assembly because the runtime calls it on a stack that
// is not g's, where preemption is not allowed and a Go function could be preempted.
TEXT ·runtimeClock(SB), NOSPLIT|NOFRAME, $0
	RDTSC
	SHLQ $32, DX
	ORQ DX, AX
	SUBQ ·clockStart(SB), AX
	MULQ ·clockScale(SB) // DX:AX = nanoseconds * 2^32
	SHRQ $32, DX, AX
	TESTL DI, DI // CLOCK_REALTIME is 0
	JNE monotonic
	ADDQ ·clockWall(SB), AX
monotonic:
	XORL DX, DX
	DIVQ ·second(SB)
	MOVQ AX, 0(SI)
	MOVQ DX, 8(SI)
	XORL AX, AX
	RET

// second is a second in nanoseconds.
DATA ·second+0(SB)/8, $1000000000
GLOBL ·second(SB), RODATA, $8

// readFSBase replaces RDFSBASEQ CX, and writeFSBase replaces WRFSBASEQ CX, on a CPU
// without FSGSBASE (alternatives.go). They clobber DX and R10.
TEXT ·readFSBase(SB), NOSPLIT|NOFRAME, $0
	MOVQ AX, R10
	MOVL $MSR_FSBASE, CX
	RDMSR
	SHLQ $32, DX
	LEAQ (DX)(AX*1), CX // RDMSR cleared the upper halves of RAX and RDX
	MOVQ R10, AX
	RET

TEXT ·writeFSBase(SB), NOSPLIT|NOFRAME, $0
	MOVQ AX, R10
	MOVQ CX, AX
	MOVQ CX, DX
	SHRQ $32, DX
	MOVL $MSR_FSBASE, CX
	WRMSR
	MOVQ R10, AX
	RET

// The initial values of goosTLS, landings and codeAddresses (percpu.go). Go finds g at
// -8(FS).
DATA ·goosTLS+0(SB)/8, $·goosG(SB)
GLOBL ·goosTLS(SB), NOPTR, $16
DATA ·landings+0(SB)/8, $·landing0(SB)
DATA ·landings+8(SB)/8, $·landing1(SB)
DATA ·landings+16(SB)/8, $·landing2(SB)
DATA ·landings+24(SB)/8, $·landing3(SB)
DATA ·landings+32(SB)/8, $·landing4(SB)
DATA ·landings+40(SB)/8, $·landing5(SB)
DATA ·landings+48(SB)/8, $·landing6(SB)
DATA ·landings+56(SB)/8, $·landing7(SB)
DATA ·landings+64(SB)/8, $·compat0(SB)
DATA ·landings+72(SB)/8, $·compat1(SB)
DATA ·landings+80(SB)/8, $·compat2(SB)
DATA ·landings+88(SB)/8, $·compat3(SB)
DATA ·landings+96(SB)/8, $·compat4(SB)
DATA ·landings+104(SB)/8, $·compat5(SB)
DATA ·landings+112(SB)/8, $·compat6(SB)
DATA ·landings+120(SB)/8, $·compat7(SB)
DATA ·landings+128(SB)/8, $·sysenter0(SB)
DATA ·landings+136(SB)/8, $·sysenter1(SB)
DATA ·landings+144(SB)/8, $·sysenter2(SB)
DATA ·landings+152(SB)/8, $·sysenter3(SB)
DATA ·landings+160(SB)/8, $·sysenter4(SB)
DATA ·landings+168(SB)/8, $·sysenter5(SB)
DATA ·landings+176(SB)/8, $·sysenter6(SB)
DATA ·landings+184(SB)/8, $·sysenter7(SB)
GLOBL ·landings(SB), RODATA, $192
DATA ·codeAddresses+0(SB)/8, $·trap(SB)
DATA ·codeAddresses+8(SB)/8, $·paranoidTrap(SB)
DATA ·codeAddresses+16(SB)/8, $·idle(SB)
DATA ·codeAddresses+24(SB)/8, $·copyUser(SB)
DATA ·codeAddresses+32(SB)/8, $·copyUserEnd(SB)
DATA ·codeAddresses+40(SB)/8, $_rt0_amd64_linux(SB)
DATA ·codeAddresses+48(SB)/8, $·runtimeClock(SB)
DATA ·codeAddresses+56(SB)/8, $·justReturn(SB)
DATA ·codeAddresses+64(SB)/8, $·readFSBase(SB)
DATA ·codeAddresses+72(SB)/8, $·writeFSBase(SB)
GLOBL ·codeAddresses(SB), RODATA, $80
