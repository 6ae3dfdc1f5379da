#include "textflag.h"

// The interpreter of a program of package fuzz/program. A task keeps its state in
// registers, because it may have no stack of its own:
//
//	R12	the next instruction
//	R13	the header of the program, in shared memory
//
// layout.go describes the header and the instructions.

// func forkRun(header uintptr) (pid int)
TEXT ·forkRun(SB), NOSPLIT, $0-16
	MOVQ	header+0(FP), R13
	MOVQ	$435, AX	// clone3
	LEAQ	1024(R13), DI
	MOVQ	$88, SI
	SYSCALL
	TESTQ	AX, AX
	JZ	child
	MOVQ	AX, pid+8(FP)
	RET
child:
	MOVQ	$436, AX	// close_range(3, ~0, 0)
	MOVQ	$3, DI
	MOVL	$0xffffffff, SI
	MOVQ	$0, DX
	SYSCALL
	MOVQ	$109, AX	// setpgid(0, 0)
	MOVQ	$0, DI
	MOVQ	$0, SI
	SYSCALL
	MOVQ	$39, AX	// getpid
	SYSCALL
	MOVQ	$7, CX
slots:
	MOVQ	AX, 64(R13)(CX*8)
	SUBQ	$1, CX
	JGE	slots
	LEAQ	·routine(SB), AX
	JMP	AX

// routine takes the next routine of the program and executes it.
TEXT ·routine(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ	$1, AX
	LOCK
	XADDQ	AX, 0(R13)
	CMPQ	AX, 8(R13)
	JGE	finish
	MOVQ	256(R13)(AX*8), R12
	LEAQ	·execute(SB), AX
	JMP	AX
finish:
	MOVQ	$60, AX	// exit(0)
	MOVQ	$0, DI
	SYSCALL
	INT	$3

// execute executes instructions up to the end of the routine. The signal handler
// continues here after a fault, at the instruction behind the one that faulted.
TEXT ·execute(SB), NOSPLIT|NOFRAME, $0-0
loop:
	MOVL	0(R12), AX
	ADDQ	$64, R12
	CMPL	AX, $0
	JEQ	call
	CMPL	AX, $1
	JEQ	store
	CMPL	AX, $2
	JEQ	load
	CMPL	AX, $4
	JEQ	yield
	CMPL	AX, $3
	JEQ	loop
	CMPL	AX, $5
	JEQ	call32
	MOVQ	$60, AX	// the end of the routine: exit(0)
	MOVQ	$0, DI
	SYSCALL
	INT	$3
store:
	MOVQ	-48(R12), DI
	MOVQ	-40(R12), SI
	MOVB	SI, (DI)
	JMP	loop
load:
	MOVQ	-48(R12), DI
	MOVB	(DI), SI
	JMP	loop
yield:
	MOVQ	$24, AX
	SYSCALL
	JMP	loop
call:
	MOVQ	$1, AX
	LOCK
	XADDQ	AX, 16(R13)
	MOVL	-60(R12), BX
	MOVQ	-48(R12), DI
	TESTL	$1, BX
	JZ	2(PC)
	MOVQ	64(R13)(DI*8), DI
	MOVQ	-40(R12), SI
	TESTL	$2, BX
	JZ	2(PC)
	MOVQ	64(R13)(SI*8), SI
	MOVQ	-32(R12), DX
	TESTL	$4, BX
	JZ	2(PC)
	MOVQ	64(R13)(DX*8), DX
	MOVQ	-24(R12), R10
	MOVQ	-16(R12), R8
	MOVQ	-8(R12), R9
	MOVQ	-56(R12), AX
	MOVQ	AX, R14
	SYSCALL
	CMPQ	R14, $56
	JEQ	cloned
	CMPQ	R14, $57
	JEQ	cloned
	CMPQ	R14, $58
	JEQ	cloned
	CMPQ	R14, $435
	JEQ	cloned
	JMP	loop
call32:
	MOVQ	$1, AX
	LOCK
	XADDQ	AX, 16(R13)
	MOVL	-60(R12), R8
	MOVQ	-48(R12), BX
	TESTL	$1, R8
	JZ	2(PC)
	MOVQ	64(R13)(BX*8), BX
	MOVQ	-40(R12), CX
	TESTL	$2, R8
	JZ	2(PC)
	MOVQ	64(R13)(CX*8), CX
	MOVQ	-32(R12), DX
	TESTL	$4, R8
	JZ	2(PC)
	MOVQ	64(R13)(DX*8), DX
	MOVQ	-24(R12), SI
	MOVQ	-16(R12), DI
	MOVQ	-8(R12), BP
	MOVQ	-56(R12), AX
	MOVQ	AX, R14
	INT	$0x80
	CMPQ	R14, $120
	JEQ	cloned
	CMPQ	R14, $2
	JEQ	cloned
	CMPQ	R14, $190
	JEQ	cloned
	CMPQ	R14, $435
	JNE	loop
cloned:
	TESTQ	AX, AX
	JZ	new
	JLT	loop
	MOVQ	$1, CX
	LOCK
	XADDQ	CX, 24(R13)
	ANDQ	$3, CX
	MOVQ	AX, 80(R13)(CX*8)
	JMP	loop
new:
	LEAQ	·routine(SB), AX
	JMP	AX

// handler is the signal handler. After a fault it continues at the next instruction.
TEXT ·handler(SB), NOSPLIT|NOFRAME, $0-0
	CMPL	DI, $11
	JEQ	fault
	CMPL	DI, $7
	JEQ	fault
	RET
fault:
	LEAQ	·execute(SB), AX
	MOVQ	AX, 168(DX)	// RIP in the ucontext
	RET

// restorer returns from the signal handler.
TEXT ·restorer(SB), NOSPLIT|NOFRAME, $0-0
	MOVQ	$15, AX
	SYSCALL
	INT	$3

// func handlerAddress() uint64
TEXT ·handlerAddress(SB), NOSPLIT, $0-8
	LEAQ	·handler(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// func restorerAddress() uint64
TEXT ·restorerAddress(SB), NOSPLIT, $0-8
	LEAQ	·restorer(SB), AX
	MOVQ	AX, ret+0(FP)
	RET
