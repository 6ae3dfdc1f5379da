// The ways into the kernel and out of it. Every register of the interrupted
// program is saved in a Frame (frame.go), every one is loaded from it.
//
// Per-CPU data lies at a constant address (percpu.go). Where the CPU is not
// known from the landing itself, its task register tells: STRQ gives
// 0x30+16*cpu, and a block is 128 bytes, so the block is at base + selector*8.
#include "textflag.h"

// Offsets in Frame.
#define F_RAX 0
#define F_RBX 8
#define F_RCX 16
#define F_RDX 24
#define F_RSI 32
#define F_RDI 40
#define F_RBP 48
#define F_R8 56
#define F_R9 64
#define F_R10 72
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
#define F_WORK 176
#define F_FLAGS 180
#define F_FSBASE 184
#define F_KSP 192
#define F_KBP 200
#define F_CR2 208
#define F_ORIGRAX 216
#define F_XMM 224
#define F_MXCSR 480

// FrameFlags.
#define LEAVE_BY_IRET 1
#define VECTORS_VALID 2
#define CALL_OVER 4
#define STEPPING 0x100

// Offsets in perCPU, and the address of the block of selector 0.
#define P_BASE -0x7fef7000
#define P(off) (P_BASE+off)
#define P_OWNER 0
#define P_USERSS 8
#define P_SCRATCH 16
#define P_KERNELFS 24
#define P_CURRENT 32
#define P_STACK 40
#define P_IN_GOOS 48
#define P_ROOT 64

// RFLAGS: with nothing but its fixed bit, and with interrupts on.
#define FLAGS_FIXED 2
#define KERNEL_FLAGS 0x202

// The first vector that is not an exception.
#define FIRST_IRQ 32

// Exceptions that goos serves on the spot, as interrupts: #DB, NMI and #MC,
// whose cause must be read on the CPU that has it.
#define SERVED_HERE (1<<1|1<<2|1<<18)

// Events (user.go): a system call's number, or negative.
#define EVENT_WORK -257
#define EVENT_HANDOVER -258

// RET that the assembler's check of balanced pushes does not see: here SP is
// not the caller's until the last moment.
#define RETURN BYTE $0xc3

// The registers that SYSCALL leaves alone. base points d bytes into the frame.
#define SAVE13(base, d) \
	MOVQ AX, (F_RAX-d)(base); \
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

// The same without RAX, which is the base.
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

// XMM and MXCSR are saved eagerly: Go uses them everywhere. MOVUPS costs a
// sixth of FXSAVE under emulation. The kernel's own MXCSR goes in.
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

// LANDING is where SYSCALL arrives on one CPU (LSTAR differs from CPU to CPU;
// o is the CPU's block), interrupts off, RSP still the caller's. The Go
// runtime's own system calls come here too: their return address is negative.
#define LANDING(name, o) \
TEXT name(SB), NOSPLIT|NOFRAME, $0; \
	TESTQ CX, CX; /* whose call is it? */ \
	JMI kernel; \
	MOVQ SP, P(o+P_SCRATCH); \
	MOVQ P(o+P_USERSS), SP; /* &frame.SS */ \
	PUSHQ P(o+P_SCRATCH); /* frame.RSP */ \
	PUSHQ R11; /* frame.RFLAGS; SP stays here */ \
	MOVQ CX, (F_RIP-F_RFLAGS)(SP); \
	SAVE13(SP, F_RFLAGS); \
	MOVQ AX, (F_ORIGRAX-F_RFLAGS)(SP); \
	RDFSBASEQ CX; \
	MOVQ CX, (F_FSBASE-F_RFLAGS)(SP); \
	MOVQ P(o+P_KERNELFS), CX; /* the runtime's g hangs on FS */ \
	WRFSBASEQ CX; \
	SAVE_VECTORS(SP, F_RFLAGS); \
	ANDL $STEPPING, R11; \
	MOVL R11, (F_FLAGS-F_RFLAGS)(SP); /* SYSRET will do, unless TF is set */ \
	MOVQ (F_KBP-F_RFLAGS)(SP), BP; \
	MOVQ (F_KSP-F_RFLAGS)(SP), SP; /* back on EnterUser's stack */ \
	MOVL AX, AX; /* the number has 32 bits, and is no event below zero */ \
	MOVQ AX, 16(SP); /* EnterUser's result */ \
	STI; \
	RETURN; \
kernel: \
	MOVQ SP, R11; /* the kernel's flags are known, so R11 is free */ \
	MOVQ P(o+P_CURRENT), SP; /* the runtime thread's frame */ \
	JMP ·kernelSyscall(SB)

LANDING(·landing0, 0x180)
LANDING(·landing1, 0x200)
LANDING(·landing2, 0x280)
LANDING(·landing3, 0x300)
LANDING(·landing4, 0x380)
LANDING(·landing5, 0x400)
LANDING(·landing6, 0x480)
LANDING(·landing7, 0x500)

// kernelSyscall: the runtime called "Linux". SP = its frame, R11 = its RSP.
TEXT ·kernelSyscall(SB), NOSPLIT|NOFRAME, $0
	SAVE13(SP, 0)
	MOVQ R11, F_RSP(SP)
	MOVQ CX, F_RIP(SP)
	MOVQ $KERNEL_FLAGS, F_RFLAGS(SP)
	MOVL $0, F_FLAGS(SP) // a call clobbers the vectors: none to save
	MOVQ ·onSyscall(SB), DX
	JMP ·callGoos(SB)

// callGoos runs the func value in DX in the environment of package goos:
// interrupts off, the CPU's own stack, a g that never asks for more stack.
// Then it continues whichever thread is current.
TEXT ·callGoos(SB), NOSPLIT|NOFRAME, $0
	STRQ BX
	MOVQ $1, P(P_IN_GOOS)(BX*8)
	MOVQ P(P_STACK)(BX*8), SP
	LEAQ ·goosTLS+8(SB), BX
	WRFSBASEQ BX
	LEAQ ·goosG(SB), R14 // the compiler's calling convention keeps g here
	XORPS X15, X15 // and zero here
	CLD
	CALL 0(DX)
	JMP ·Resume(SB)

// Resume continues the runtime thread that is this CPU's current one.
TEXT ·Resume(SB), NOSPLIT|NOFRAME, $0
	STRQ BX
	MOVQ P(P_CURRENT)(BX*8), AX
	MOVQ F_FSBASE(AX), CX
	MOVQ CX, P(P_KERNELFS)(BX*8)
	MOVQ $0, P(P_IN_GOOS)(BX*8)
	TESTL $VECTORS_VALID, F_FLAGS(AX)
	JNE loadVectors // it was interrupted, not calling
	WRFSBASEQ CX
	XORPS X15, X15
	JMP ·leaveByIRET(SB)
loadVectors:
	JMP ·leaveWithVectors(SB)

// leaveWithVectors: AX = frame, CX = its FS base.
TEXT ·leaveWithVectors(SB), NOSPLIT|NOFRAME, $0
	WRFSBASEQ CX
	LOAD_VECTORS
	JMP ·leaveByIRET(SB)

// leaveByIRET loads all of the frame in AX but FS base and vectors.
TEXT ·leaveByIRET(SB), NOSPLIT|NOFRAME, $0
	LOAD12
	MOVQ F_RCX(AX), CX
	MOVQ F_R11(AX), R11
	LEAQ F_RIP(AX), SP // IRETQ pops the frame's own tail
	MOVQ F_RAX(AX), AX
	IRETQ

// func EnterUser(f *Frame) int
TEXT ·EnterUser(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ f+0(FP), AX
	CLI // from here on no wake-up can come unseen
	STRQ CX
	CMPQ AX, P(P_OWNER)(CX*8)
	JNE handover // page tables, x87, upper vectors or GS are another's
	MOVQ SP, F_KSP(AX)
	MOVQ BP, F_KBP(AX)
	CMPQ F_WORK(AX), $0 // Work and Flags in one compare
	JNE slow
sysret:
	MOVQ F_FSBASE(AX), CX
	WRFSBASEQ CX
	LOAD_VECTORS
	LOAD12
	MOVQ F_RIP(AX), CX
	MOVQ F_RFLAGS(AX), R11
	MOVQ F_RSP(AX), SP
	MOVQ F_RAX(AX), AX
	BYTE $0x48; SYSRET // SYSRETQ
slow:
	MOVL F_WORK(AX), CX
	TESTL ·exitMask(SB), CX
	JNE work
	TESTL ·lastMask(SB), CX
	JNE last
	TESTL $STEPPING, F_FLAGS(AX)
	JNE work
	TESTL $CALL_OVER, F_FLAGS(AX)
	JNE leave
	TESTL CX, CX // a level came during the call, whose exit may be due to it
	JNE work
leave: // what is left are levels, which wait for the next call
	TESTL $LEAVE_BY_IRET, F_FLAGS(AX)
	JEQ sysret // RCX and R11 are not in the frame
	MOVQ F_FSBASE(AX), CX
	JMP ·leaveWithVectors(SB)
last: // a nosplit Go function, with interrupts off; R14 and X15 are still the caller's
	MOVQ ·onLastStep(SB), DX
	CALL 0(DX)
	MOVQ f+0(FP), AX
	JMP slow
work:
	MOVQ $EVENT_WORK, ret+8(FP)
	STI
	RET
handover:
	MOVQ $EVENT_HANDOVER, ret+8(FP)
	STI
	RET

// trap is where the stubs of all vectors go (boot/image, vectorStubs),
// interrupts off, on a stack of the interrupt-stack table: vector, error, RIP,
// CS, RFLAGS, RSP, SS.
TEXT ·trap(SB), NOSPLIT|NOFRAME, $0
	PUSHQ AX
	PUSHQ BX
	STRQ BX
	TESTB $3, 40(SP) // CS: from user mode?
	JEQ kernel
	MOVQ P(P_OWNER)(BX*8), AX
	JMP save
kernel:
	CMPQ P(P_IN_GOOS)(BX*8), $0
	JNE nested
	MOVQ P(P_CURRENT)(BX*8), AX
save:
	SAVE13(AX, 0)
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
	MOVQ CR2, CX
	MOVQ CX, F_CR2(AX)
	RDFSBASEQ CX
	MOVQ CX, F_FSBASE(AX)
	SAVE_VECTORS(AX, 0)
	CLD // and AC is off: SMAP guards again (SDM vol. 3A, 6.12.1.3 does neither)
	PUSHQ $FLAGS_FIXED
	POPFQ
	TESTB $3, F_CS(AX)
	JEQ fromKernel
	MOVL $(LEAVE_BY_IRET|CALL_OVER), F_FLAGS(AX)
	MOVQ $-1, F_ORIGRAX(AX) // not in a system call
	MOVQ P(P_KERNELFS)(BX*8), CX
	WRFSBASEQ CX
	MOVQ F_VECTOR(AX), DX
	MOVQ F_KBP(AX), BP
	MOVQ F_KSP(AX), SP // back on EnterUser's stack
	MOVQ DX, 16(SP)
	NOTQ 16(SP) // its result
	CMPQ DX, $FIRST_IRQ
	JGE interrupt
	MOVL $SERVED_HERE, CX
	BTL DX, CX
	JCS interrupt
	STI
	RETURN
interrupt: // serve it as if the thread had been interrupted at EnterUser's end
	MOVQ P(P_CURRENT)(BX*8), AX
	MOVQ SP, F_RSP(AX)
	MOVQ BP, F_RBP(AX)
	LEAQ ·justReturn(SB), CX
	MOVQ CX, F_RIP(AX)
	MOVQ $KERNEL_FLAGS, F_RFLAGS(AX)
	MOVQ DX, F_VECTOR(AX)
	MOVL $0, F_FLAGS(AX)
	MOVQ ·onTrap(SB), DX
	JMP ·callGoos(SB)
fromKernel:
	MOVL $VECTORS_VALID, F_FLAGS(AX)
	MOVQ ·onTrap(SB), DX
	JMP ·callGoos(SB)
nested: // package goos itself faulted: nothing to go back to
	ADDQ $16, SP
	JMP ·fatalTrap(SB)

// justReturn is EnterUser's end for a thread that was interrupted in user mode.
TEXT ·justReturn(SB), NOSPLIT|NOFRAME, $0
	RET

// paranoidTrap: #DB, NMI, #DF and #MC (stacks of their own). From user mode
// they are like any other; in the kernel an NMI, and a #DB, must touch nothing
// but the count.
TEXT ·paranoidTrap(SB), NOSPLIT|NOFRAME, $0
	TESTB $3, 24(SP) // CS
	JNE user
	CMPQ 0(SP), $2
	JHI fatal // not Debug, not NMI
	LOCK
	INCQ ·kernelNMIs(SB)
	ADDQ $16, SP // vector, error
	IRETQ
user:
	JMP ·trap(SB)
fatal:
	JMP ·fatalTrap(SB)

// fatalTrap: #DF or #MC in the kernel, any exception in goos. SP is what the handler may look at.
TEXT ·fatalTrap(SB), NOSPLIT|NOFRAME, $0
	STRQ BX
	MOVQ SP, P(P_SCRATCH)(BX*8)
	MOVQ ·onFatal(SB), DX
	JMP ·callGoos(SB)

// idle is the code of the thread that runs when no other wants to.
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
	LEAQ (DI)(CX*1), R10 // where the copy ends
	PUSHFQ
	POPQ R8 // interrupts were on, AC off
	CLI // so that the CPU and its page tables stay
	STRQ DX
	CMPQ AX, P(P_ROOT)(DX*8)
	JEQ loaded
	MOVQ $0, P(P_OWNER)(DX*8) // EnterUser must look again
	MOVQ AX, P(P_ROOT)(DX*8)
	MOVQ AX, CR3
loaded:
	PUSHQ $0x40002 // RFLAGS.AC: SMAP lets through; without SMAP it does nothing
	POPFQ
	MOVQ CX, DX
	ANDQ $7, DX
	SHRQ $3, CX
	REP; MOVSQ // a fault here or below goes on at copyUserEnd
	MOVQ DX, CX
	REP; MOVSB
	JMP ·copyUserEnd(SB)

// copyUserEnd: R8 = RFLAGS to restore, R10 - DI = what is left.
TEXT ·copyUserEnd(SB), NOSPLIT|NOFRAME, $0-40
	SUBQ DI, R10
	MOVQ R10, 40(SP)
	PUSHQ R8
	POPFQ
	RET

// runtimeClock is clock_gettime for the Go runtime, found through the vDSO
// image that goos makes. C calling convention: DI = clock, SI = *timespec.
TEXT ·runtimeClock(SB), NOSPLIT|NOFRAME, $0
	RDTSC
	SHLQ $32, DX
	ORQ DX, AX
	SUBQ ·clockStart(SB), AX
	MULQ ·clockScale(SB) // DX:AX = nanoseconds * 2^32
	SHRQ $32, AX
	SHLQ $32, DX
	ORQ DX, AX
	TESTL DI, DI // CLOCK_REALTIME is 0
	JNE monotonic
	ADDQ ·clockWall(SB), AX
monotonic:
	XORL DX, DX
	MOVQ $1000000000, CX
	DIVQ CX
	MOVQ AX, 0(SI)
	MOVQ DX, 8(SI)
	XORL AX, AX
	RET

// The addresses that Go needs (percpu.go).
DATA ·landings+0(SB)/8, $·landing0(SB)
DATA ·landings+8(SB)/8, $·landing1(SB)
DATA ·landings+16(SB)/8, $·landing2(SB)
DATA ·landings+24(SB)/8, $·landing3(SB)
DATA ·landings+32(SB)/8, $·landing4(SB)
DATA ·landings+40(SB)/8, $·landing5(SB)
DATA ·landings+48(SB)/8, $·landing6(SB)
DATA ·landings+56(SB)/8, $·landing7(SB)
GLOBL ·landings(SB), RODATA, $64
DATA ·codeAddresses+0(SB)/8, $·trap(SB)
DATA ·codeAddresses+8(SB)/8, $·paranoidTrap(SB)
DATA ·codeAddresses+16(SB)/8, $·idle(SB)
DATA ·codeAddresses+24(SB)/8, $·copyUser(SB)
DATA ·codeAddresses+32(SB)/8, $·copyUserEnd(SB)
DATA ·codeAddresses+40(SB)/8, $_rt0_amd64_linux(SB)
DATA ·codeAddresses+48(SB)/8, $·runtimeClock(SB)
DATA ·codeAddresses+56(SB)/8, $·justReturn(SB)
GLOBL ·codeAddresses(SB), RODATA, $64
