package vdso

import "golang.org/x/sys/unix"

// kernelVsyscall is the function that executes system calls (AT_SYSINFO).
const kernelVsyscall = "__kernel_vsyscall"

// The sizes of functions whose unwind tables are written by hand, in bytes, and the offset
// of the second POP of __kernel_vsyscall.
const (
	vsyscallSize    = 13
	vsyscallPop     = 10
	sigReturnSize   = 8
	rtSigReturnSize = 7
)

// landingOffset is the offset in __kernel_vsyscall of the instruction after INT 0x80, to
// which SYSCALL and SYSENTER return (Linux: int80_landing_pad).
const landingOffset = 9

// functions32 are the functions of Object32 (vdso(7), "i386 functions"). The first three
// come in this order, because unwind tables are sorted by address.
var functions32 = []function{
	{kernelVsyscall, 1, emitVsyscall},
	{"__kernel_sigreturn", 1, emitSigReturn},
	{"__kernel_rt_sigreturn", 1, emitRTSigReturn},
	{"__vdso_clock_gettime", 0, emitClockGettime32},
	{"__vdso_clock_gettime64", 0, emitClockGettime64},
	{"__vdso_clock_getres", 0, emitClockGetres32},
	{"__vdso_gettimeofday", 0, emitGettimeofday32},
	{"__vdso_time", 0, emitTime32},
	{"__vdso_getcpu", 0, emitGetcpu32},
}

// Numbers of system calls of i386.
const (
	i386Sigreturn      = 119
	i386RTSigreturn    = 173
	i386Gettimeofday   = 78
	i386ClockGettime   = 265
	i386ClockGetres    = 266
	i386Getcpu         = 318
	i386ClockGettime64 = 403
)

// Instruction is the instruction by which 32-bit programs make system calls.
type Instruction uint8

// The instructions. A 32-bit kernel entry by SYSCALL exists on AMD's processors, by
// SYSENTER on Intel's, and by INT 0x80 on all.
const (
	ByInt80 Instruction = iota
	BySYSCALL
	BySYSENTER
)

// emitVsyscall emits __kernel_vsyscall (arch/x86/entry/vdso/vdso32/system_call.S). It saves
// the registers that the instruction changes: SYSCALL overwrites ECX, whose value is
// passed in EBP, and SYSENTER does not save ESP, which is passed in EBP. EBP, the sixth
// argument, is then on the stack. The INT 0x80 restarts a call.
func emitVsyscall(a *assembler) {
	a.pushECX()
	a.pushEDX()
	a.pushEBP()
	switch a.instruction {
	case BySYSCALL:
		a.movEBPECX()
		a.syscall()
	case BySYSENTER:
		a.movEBPESP()
		a.sysenter()
	default:
		a.emit(0x90, 0x90, 0x90, 0x90)
	}
	a.int80()
	a.popEBP()
	a.popEDX()
	a.popECX()
	a.ret()
}

// emitSigReturn emits __kernel_sigreturn. Programs and debuggers recognise its bytes.
func emitSigReturn(a *assembler) {
	a.popEAX()
	a.movEAX(i386Sigreturn)
	a.int80()
}

// emitRTSigReturn emits __kernel_rt_sigreturn.
func emitRTSigReturn(a *assembler) {
	a.movEAX(i386RTSigreturn)
	a.int80()
}

// saved32 is the size of the registers that saveRegisters32 pushes, and of the return
// address: the first argument is above them.
const saved32 = 5 * 4

// saveRegisters32 pushes the registers that a C function must preserve.
func saveRegisters32(a *assembler) {
	a.pushEBX()
	a.pushESI()
	a.pushEDI()
	a.pushEBP()
}

// emitReturn32 emits the end of a function that began with saveRegisters32.
func emitReturn32(a *assembler) {
	a.popEBP()
	a.popEDI()
	a.popESI()
	a.popEBX()
	a.ret()
}

// emitSystemCall32 emits the end of a function that makes the system call with its two
// arguments, after saveRegisters32.
func emitSystemCall32(a *assembler, number uint32) {
	a.movEBXStack(saved32)
	a.movECXStack(saved32 + 4)
	a.movEAX(number)
	a.int80()
	emitReturn32(a)
}

// emitBegin32 emits a push of the sequence number, made even. It returns where the code that
// uses the parameters begins, which emitEnd32 ends. EBX is the base.
func emitBegin32(a *assembler, base int) (again int) {
	again = a.here()
	a.movEAXData(base, dataSequence)
	a.andEAXMinus2()
	a.pushEAX()
	return again
}

// emitEnd32 emits a jump back if the parameters have changed or were just changing. It changes ESI.
func emitEnd32(a *assembler, base, again int) {
	a.popESI()
	a.cmpESIData(base, dataSequence)
	a.jnzBackNear(again)
}

// emitRaw32 emits EDX:EAX = CLOCK_MONOTONIC_RAW. EBX is the base. It changes ECX, ESI, EDI and
// EBP.
func emitRaw32(a *assembler, base int) {
	a.lfence()
	a.rdtsc()
	a.subEAXData(base, dataStart)
	a.sbbEDXData(base, dataStart+4)
	emitScale32(a, base, dataScale)
}

// emitMonotonic32 emits EDX:EAX = CLOCK_MONOTONIC for EDX:EAX = CLOCK_MONOTONIC_RAW. EBX is the
// base. It changes ECX, ESI, EDI and EBP.
func emitMonotonic32(a *assembler, base int) {
	a.subEAXData(base, dataRaw)
	a.sbbEDXData(base, dataRaw+4)
	emitScale32(a, base, dataRatio)
	emitAdd32(a, base, dataMono)
}

// emitScale32 emits EDX:EAX = EDX:EAX * factor / 2^32. The product of two 64-bit numbers is the
// sum of four products; the result is its bits 32 to 95. EBX is the base. It changes ECX, ESI,
// EDI and EBP.
func emitScale32(a *assembler, base, factor int) {
	a.movESIEAX()
	a.movEDIEDX()
	a.mulEAXData(base, factor) // low * low
	a.movECXEDX()
	a.movEAXESI()
	a.mulEAXData(base, factor+4) // low * high
	a.addECXEAX()
	a.adcEDX0()
	a.movEBPEDX()
	a.movEAXEDI()
	a.mulEAXData(base, factor) // high * low
	a.addECXEAX()
	a.adcEBPEDX()
	a.movEAXEDI()
	a.mulEAXData(base, factor+4) // high * high
	a.addEBPEAX()
	a.movEAXECX()
	a.movEDXEBP()
}

// emitAdd32 emits EDX:EAX += a word of the data page.
func emitAdd32(a *assembler, base, offset int) {
	a.addEAXData(base, offset)
	a.adcEDXData(base, offset+4)
}

// emitRealtime32 emits EDX:EAX = CLOCK_REALTIME. EBX is the base. It changes ECX, ESI, EDI and
// EBP.
func emitRealtime32(a *assembler, base int) {
	again := emitBegin32(a, base)
	emitRaw32(a, base)
	emitMonotonic32(a, base)
	emitAdd32(a, base, dataWall)
	emitEnd32(a, base, again)
}

// emitSplit32 emits EDI:EAX = EDX:EAX / 10^9, EDX = EDX:EAX % 10^9. It changes ECX and ESI.
func emitSplit32(a *assembler) {
	a.movECX(1_000_000_000)
	a.movESIEAX()
	a.movEAXEDX()
	a.xorEDXEDX()
	a.divECX()
	a.movEDIEAX()
	a.movEAXESI()
	a.divECX()
}

// emitRead32 emits the part of clock_gettime(2) that computes the time: seconds in EDI:EAX
// and nanoseconds in EDX, and the address of the result in ECX. It returns the jumps of a
// clock that the code does not compute.
func emitRead32(a *assembler) (others [2]jump) {
	saveRegisters32(a)
	base := a.baseEBX()
	a.movECXStack(saved32)
	a.cmpECX(unix.CLOCK_TAI)
	others[0] = a.near(ifAbove)
	a.movEAX(realtimeClocks | monotonicClocks)
	a.btEAXECX()
	others[1] = a.near(ifNoCarry)
	again := emitBegin32(a, base)
	emitRaw32(a, base)
	a.movECXStack(saved32 + 4) // above the sequence number
	a.cmpECX(unix.CLOCK_MONOTONIC_RAW)
	raw := a.near(ifZero)
	emitMonotonic32(a, base)
	a.movECXStack(saved32 + 4)
	a.pushEAX()
	a.movEAX(realtimeClocks)
	a.btEAXECX()
	a.popEAX()
	monotonic := a.jnc()
	emitAdd32(a, base, dataWall)
	a.cmpECX(unix.CLOCK_TAI)
	realtime := a.jnz()
	emitAdd32(a, base, dataTAI)
	a.land(monotonic)
	a.land(realtime)
	a.landNear(raw)
	emitEnd32(a, base, again)
	emitSplit32(a)
	a.movECXStack(saved32 + 4)
	return others
}

// emitOthers32 emits the system call for the clocks that emitRead32 leaves out.
func emitOthers32(a *assembler, others [2]jump, number uint32) {
	a.landNear(others[0])
	a.landNear(others[1])
	emitSystemCall32(a, number)
}

// emitClockGettime32 emits int clock_gettime(clockid_t, struct old_timespec32 *).
func emitClockGettime32(a *assembler) {
	others := emitRead32(a)
	a.movAtECX()
	a.movEDXAt4()
	a.xorEAXEAX()
	emitReturn32(a)
	emitOthers32(a, others, i386ClockGettime)
}

// emitClockGettime64 emits int clock_gettime64(clockid_t, struct __kernel_timespec *).
func emitClockGettime64(a *assembler) {
	others := emitRead32(a)
	a.movAtECX()
	a.movEDIAt4()
	a.movEDXAt8()
	a.zeroAt(12)
	a.xorEAXEAX()
	emitReturn32(a)
	emitOthers32(a, others, i386ClockGettime64)
}

// emitClockGetres32 emits int clock_getres(clockid_t, struct old_timespec32 *).
func emitClockGetres32(a *assembler) {
	saveRegisters32(a)
	a.movECXStack(saved32)
	a.cmpECX(unix.CLOCK_TAI)
	high := a.near(ifAbove)
	a.movEAX(fineClocks)
	a.btEAXECX()
	other := a.near(ifNoCarry)
	a.movECXStack(saved32 + 4)
	a.testECXECX()
	noResult := a.jz()
	a.zeroAt(0)
	a.setAt(4, 1)
	a.land(noResult)
	a.xorEAXEAX()
	emitReturn32(a)
	emitOthers32(a, [2]jump{high, other}, i386ClockGetres)
}

// emitGettimeofday32 emits int gettimeofday(struct old_timeval32 *, struct timezone *).
func emitGettimeofday32(a *assembler) {
	saveRegisters32(a)
	a.movECXStack(saved32 + 4)
	a.testECXECX()
	zone := a.near(ifNotZero)
	base := a.baseEBX()
	emitRealtime32(a, base)
	emitSplit32(a)
	a.movESIEAX()
	a.movEAXEDX()
	a.xorEDXEDX()
	a.movECX(1000)
	a.divECX()
	a.movECXStack(saved32)
	a.testECXECX()
	noResult := a.jz()
	a.movAtECX4()
	a.movEAXESI()
	a.movAtECX()
	a.land(noResult)
	a.xorEAXEAX()
	emitReturn32(a)
	a.landNear(zone)
	emitSystemCall32(a, i386Gettimeofday)
}

// emitTime32 emits time_t time(time_t *).
func emitTime32(a *assembler) {
	saveRegisters32(a)
	base := a.baseEBX()
	emitRealtime32(a, base)
	emitSplit32(a)
	a.movECXStack(saved32)
	a.testECXECX()
	noResult := a.jz()
	a.movAtECX()
	a.land(noResult)
	emitReturn32(a)
}

// emitGetcpu32 emits int getcpu(unsigned *, unsigned *).
func emitGetcpu32(a *assembler) {
	saveRegisters32(a)
	emitSystemCall32(a, i386Getcpu)
}
