// Wrappers of single instructions for Go, declared in registers.go and, for the
// segment registers, in selectors.go.
#include "textflag.h"

// func Out8(port uint16, v uint8)
TEXT ·Out8(SB), NOSPLIT, $0-3
	MOVW port+0(FP), DX
	MOVB v+2(FP), AX
	OUTB
	RET

// func In8(port uint16) uint8
TEXT ·In8(SB), NOSPLIT, $0-9
	MOVW port+0(FP), DX
	INB
	MOVB AX, ret+8(FP)
	RET

// func Out32(port uint16, v uint32)
TEXT ·Out32(SB), NOSPLIT, $0-8
	MOVW port+0(FP), DX
	MOVL v+4(FP), AX
	OUTL
	RET

// func In32(port uint16) uint32
TEXT ·In32(SB), NOSPLIT, $0-12
	MOVW port+0(FP), DX
	INL
	MOVL AX, ret+8(FP)
	RET

// func outString(port uint16, p *byte, n int)
TEXT ·outString(SB), NOSPLIT, $0-24
	MOVW port+0(FP), DX
	MOVQ p+8(FP), SI
	MOVQ n+16(FP), CX
	REP; OUTSB
	RET

// func writeMSR(msr uint32, v uint64)
TEXT ·writeMSR(SB), NOSPLIT, $0-16
	MOVL msr+0(FP), CX
	MOVQ v+8(FP), AX
	MOVQ AX, DX
	SHRQ $32, DX
	WRMSR
	RET

// func readMSR(msr uint32) uint64
TEXT ·readMSR(SB), NOSPLIT, $0-16
	MOVL msr+0(FP), CX
	RDMSR
	SHLQ $32, DX
	ORQ DX, AX
	MOVQ AX, ret+8(FP)
	RET

// func TSC() uint64
TEXT ·TSC(SB), NOSPLIT, $0-8
	RDTSC
	SHLQ $32, DX
	ORQ DX, AX
	MOVQ AX, ret+0(FP)
	RET

// func cpuid(leaf, sub uint32) (eax, ebx, ecx, edx uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	MOVL sub+4(FP), CX
	CPUID
	MOVL AX, eax+8(FP)
	MOVL BX, ebx+12(FP)
	MOVL CX, ecx+16(FP)
	MOVL DX, edx+20(FP)
	RET

// func loadCR3(v uint64)
TEXT ·loadCR3(SB), NOSPLIT, $0-8
	MOVQ v+0(FP), AX
	MOVQ AX, CR3
	RET

// func FaultAddress() uint64
TEXT ·FaultAddress(SB), NOSPLIT, $0-8
	MOVQ CR2, AX
	MOVQ AX, ret+0(FP)
	RET

// func readDR6() uint64
TEXT ·readDR6(SB), NOSPLIT, $0-8
	MOVQ DR6, AX
	MOVQ AX, ret+0(FP)
	RET

// func writeDR6(v uint64)
TEXT ·writeDR6(SB), NOSPLIT, $0-8
	MOVQ v+0(FP), AX
	MOVQ AX, DR6
	RET

// func writeDebugRegisters(dr0, dr1, dr2, dr3, dr7 uint64)
//
// The assembler does not know DR1 to DR3.
TEXT ·writeDebugRegisters(SB), NOSPLIT, $0-40
	MOVQ dr0+0(FP), AX
	MOVQ AX, DR0
	MOVQ dr1+8(FP), AX
	BYTE $0x0f; BYTE $0x23; BYTE $0xc8 // MOVQ AX, DR1
	MOVQ dr2+16(FP), AX
	BYTE $0x0f; BYTE $0x23; BYTE $0xd0 // MOVQ AX, DR2
	MOVQ dr3+24(FP), AX
	BYTE $0x0f; BYTE $0x23; BYTE $0xd8 // MOVQ AX, DR3
	MOVQ dr7+32(FP), AX
	MOVQ AX, DR7
	RET

// func readCR4() uint64
TEXT ·readCR4(SB), NOSPLIT, $0-8
	MOVQ CR4, AX
	MOVQ AX, ret+0(FP)
	RET

// func writeCR4(v uint64)
TEXT ·writeCR4(SB), NOSPLIT, $0-8
	MOVQ v+0(FP), AX
	MOVQ AX, CR4
	RET

// func invlpg(va uint64)
TEXT ·invlpg(SB), NOSPLIT, $0-8
	MOVQ va+0(FP), AX
	INVLPG (AX)
	RET

// func loadIDT(descriptor unsafe.Pointer)
TEXT ·loadIDT(SB), NOSPLIT, $0-8
	MOVQ descriptor+0(FP), AX
	LIDT (AX)
	RET

// func loadGDT(descriptor unsafe.Pointer)
TEXT ·loadGDT(SB), NOSPLIT, $0-8
	MOVQ descriptor+0(FP), AX
	LGDT (AX)
	RET

// func loadTaskRegister(selector uint64)
TEXT ·loadTaskRegister(SB), NOSPLIT, $0-8
	MOVQ selector+0(FP), AX
	LTR AX
	RET

// func loadLDT(selector uint16)
TEXT ·loadLDT(SB), NOSPLIT, $0-2
	MOVW selector+0(FP), AX
	BYTE $0x0f; BYTE $0x00; BYTE $0xd0 // LLDT AX
	RET

// func taskRegister() uint64
TEXT ·taskRegister(SB), NOSPLIT, $0-8
	STRQ AX
	MOVQ AX, ret+0(FP)
	RET

// func rdrand() (v uint64, ok bool)
TEXT ·rdrand(SB), NOSPLIT, $0-9
	RDRANDQ AX
	SETCS ok+8(FP)
	MOVQ AX, v+0(FP)
	RET

// func Pause()
TEXT ·Pause(SB), NOSPLIT, $0-0
	PAUSE
	RET

// func interruptsOff()
TEXT ·interruptsOff(SB), NOSPLIT, $0-0
	CLI
	RET

// func interruptsOn()
TEXT ·interruptsOn(SB), NOSPLIT, $0-0
	STI
	RET

// func rdgsbase() uint64
TEXT ·rdgsbase(SB), NOSPLIT, $0-8
	RDGSBASEQ AX
	MOVQ AX, ret+0(FP)
	RET

// func wrgsbase(v uint64)
TEXT ·wrgsbase(SB), NOSPLIT, $0-8
	MOVQ v+0(FP), AX
	WRGSBASEQ AX
	RET

// func readDS() uint16
TEXT ·readDS(SB), NOSPLIT, $0-2
	MOVW DS, ret+0(FP)
	RET

// func readES() uint16
TEXT ·readES(SB), NOSPLIT, $0-2
	MOVW ES, ret+0(FP)
	RET

// func readFS() uint16
TEXT ·readFS(SB), NOSPLIT, $0-2
	MOVW FS, ret+0(FP)
	RET

// func readGS() uint16
TEXT ·readGS(SB), NOSPLIT, $0-2
	MOVW GS, ret+0(FP)
	RET

// func readSS() uint16
TEXT ·readSS(SB), NOSPLIT, $0-2
	MOVW SS, ret+0(FP)
	RET

// func loadSS(selector uint16)
TEXT ·loadSS(SB), NOSPLIT, $0-2
	MOVW selector+0(FP), SS
	RET

// func loadDS(selector uint16)
TEXT ·loadDS(SB), NOSPLIT, $0-2
	MOVW selector+0(FP), DS
	RET

// func loadES(selector uint16)
TEXT ·loadES(SB), NOSPLIT, $0-2
	MOVW selector+0(FP), ES
	RET

// func loadGS(selector uint16)
TEXT ·loadGS(SB), NOSPLIT, $0-2
	MOVW selector+0(FP), GS
	RET

// func writeXCR0(v uint64)
TEXT ·writeXCR0(SB), NOSPLIT, $0-8
	MOVQ v+0(FP), AX
	MOVQ AX, DX
	SHRQ $32, DX
	XORL CX, CX
	XSETBV
	RET

// func xsave(area, mask uint64)
TEXT ·xsave(SB), NOSPLIT, $0-16
	MOVQ area+0(FP), CX
	MOVQ mask+8(FP), AX
	MOVQ AX, DX
	SHRQ $32, DX
	XSAVE64 (CX)
	RET

// func xrstor(area, mask uint64)
TEXT ·xrstor(SB), NOSPLIT, $0-16
	MOVQ area+0(FP), CX
	MOVQ mask+8(FP), AX
	MOVQ AX, DX
	SHRQ $32, DX
	XRSTOR64 (CX)
	LDMXCSR ·kernelMXCSR(SB) // the instruction loaded MXCSR too
	RET

// func fxsave(area uint64)
TEXT ·fxsave(SB), NOSPLIT, $0-8
	MOVQ area+0(FP), CX
	FXSAVE64 (CX)
	RET

// func fxrstor(area uint64)
TEXT ·fxrstor(SB), NOSPLIT, $0-8
	MOVQ area+0(FP), CX
	FXRSTOR64 (CX)
	LDMXCSR ·kernelMXCSR(SB) // the instruction loaded MXCSR too
	RET
