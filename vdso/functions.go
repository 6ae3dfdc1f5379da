package vdso

import "golang.org/x/sys/unix"

// function is one function of an object: its symbol, and the Go function that emits its
// code. The calling convention is that of C. In Object64 (System V ABI for AMD64, section
// 3.2) arguments are in RDI, RSI, RDX and the result in RAX, in Object32 (System V ABI for
// i386, section 3) arguments are on the stack and the result in EAX.
type function struct {
	name    string
	version uint16 // index into the versions of the object
	emit    func(a *assembler)
}

// functions64 are the functions of Object64. Each has a second symbol without the prefix,
// as on Linux (arch/x86/entry/vdso/vdso.lds.S).
var functions64 = []function{
	{"__vdso_clock_gettime", 0, emitClockGettime},
	{"__vdso_clock_getres", 0, emitClockGetres},
	{"__vdso_gettimeofday", 0, emitGettimeofday},
	{"__vdso_time", 0, emitTime},
	{"__vdso_getcpu", 0, emitGetcpu},
}

// The clocks that the code computes itself, as bits by clock number. For CPU time
// clocks and unknown clocks it makes the system call. The coarse clocks are as fine as
// the others.
const (
	realtimeClocks  = 1<<unix.CLOCK_REALTIME | 1<<unix.CLOCK_REALTIME_COARSE | 1<<unix.CLOCK_TAI
	monotonicClocks = 1<<unix.CLOCK_MONOTONIC | 1<<unix.CLOCK_MONOTONIC_RAW | 1<<unix.CLOCK_MONOTONIC_COARSE | 1<<unix.CLOCK_BOOTTIME
	fineClocks      = 1<<unix.CLOCK_REALTIME | 1<<unix.CLOCK_MONOTONIC | 1<<unix.CLOCK_MONOTONIC_RAW | 1<<unix.CLOCK_BOOTTIME | 1<<unix.CLOCK_TAI
)

// emitClockGettime emits int clock_gettime(clockid_t EDI, struct timespec *RSI).
func emitClockGettime(a *assembler) {
	a.cmpEDI(unix.CLOCK_TAI)
	high := a.near(ifAbove)
	a.movECX(realtimeClocks | monotonicClocks)
	a.btECXEDI()
	unknown := a.near(ifNoCarry)
	again := emitBegin(a)
	emitRaw(a)
	a.cmpEDI(unix.CLOCK_MONOTONIC_RAW)
	raw := a.jz()
	emitMonotonic(a)
	a.movECX(realtimeClocks)
	a.btECXEDI()
	monotonic := a.jnc()
	a.addRAXData(dataWall)
	a.cmpEDI(unix.CLOCK_TAI)
	realtime := a.jnz()
	a.addRAXData(dataTAI)
	a.land(raw)
	a.land(monotonic)
	a.land(realtime)
	emitEnd(a, again)
	emitSplit(a)
	a.movAtRSIRAX()
	a.movAtRSI8RDX()
	a.xorEAXEAX()
	a.ret()
	a.landNear(high)
	a.landNear(unknown)
	emitSystemCall(a, unix.SYS_CLOCK_GETTIME)
}

// emitBegin emits R8D = the sequence number, made even. It returns where the code that uses the
// parameters begins, which emitEnd ends.
func emitBegin(a *assembler) (again int) {
	again = a.here()
	a.movR8DData(dataSequence)
	a.andR8DMinus2()
	return again
}

// emitEnd emits a jump back if the parameters have changed or were just changing.
func emitEnd(a *assembler, again int) {
	a.cmpR8DData(dataSequence)
	a.jnzBack(again)
}

// emitRealtime emits RAX = CLOCK_REALTIME. It changes RDX and R8.
func emitRealtime(a *assembler) {
	again := emitBegin(a)
	emitRaw(a)
	emitMonotonic(a)
	a.addRAXData(dataWall)
	emitEnd(a, again)
}

// emitMonotonic emits RAX = CLOCK_MONOTONIC for RAX = CLOCK_MONOTONIC_RAW. It changes RDX.
func emitMonotonic(a *assembler) {
	a.subRAXData(dataRaw)
	a.mulData(dataRatio)
	a.shrdRAXRDX32()
	a.addRAXData(dataMono)
}

// emitRaw emits RAX = CLOCK_MONOTONIC_RAW. It changes RDX.
func emitRaw(a *assembler) {
	a.lfence() // orders RDTSC after earlier instructions (SDM vol. 2B, RDTSC)
	a.rdtsc()
	a.shlRDX32()
	a.orRAXRDX()
	a.subRAXData(dataStart)
	a.mulData(dataScale)
	a.shrdRAXRDX32()
}

// emitSplit emits RAX = RAX / 10^9, RDX = RAX % 10^9. It changes RCX.
func emitSplit(a *assembler) {
	a.xorEDXEDX()
	a.movECX(1_000_000_000)
	a.divRCX()
}

// emitSystemCall emits a system call with the function's first three arguments, which
// are in the same registers in both calling conventions.
func emitSystemCall(a *assembler, number uint32) {
	a.movEAX(number)
	a.syscall()
	a.ret()
}

// emitClockGetres emits int clock_getres(clockid_t EDI, struct timespec *RSI).
// The resolution of the clocks that the code computes is a nanosecond.
func emitClockGetres(a *assembler) {
	a.cmpEDI(unix.CLOCK_TAI)
	high := a.ja()
	a.movECX(fineClocks)
	a.btECXEDI()
	unknown := a.jnc()
	a.testRSI()
	noResult := a.jz()
	a.movAtRSI(0)
	a.movAtRSI8(1)
	a.land(noResult)
	a.xorEAXEAX()
	a.ret()
	a.land(high)
	a.land(unknown)
	emitSystemCall(a, unix.SYS_CLOCK_GETRES)
}

// emitGettimeofday emits int gettimeofday(struct timeval *RDI, struct timezone *RSI).
// It makes the system call if the caller wants the time zone, which is rare.
func emitGettimeofday(a *assembler) {
	a.testRSI()
	zone := a.jnz()
	a.testRDI()
	noResult := a.jz()
	emitRealtime(a)
	emitSplit(a)
	a.movAtRDIRAX()
	a.movEAXEDX()
	a.xorEDXEDX()
	a.movECX(1000)
	a.divECX()
	a.movAtRDI8RAX()
	a.land(noResult)
	a.xorEAXEAX()
	a.ret()
	a.land(zone)
	emitSystemCall(a, unix.SYS_GETTIMEOFDAY)
}

// emitTime emits time_t time(time_t *RDI).
func emitTime(a *assembler) {
	emitRealtime(a)
	emitSplit(a)
	a.testRDI()
	noResult := a.jz()
	a.movAtRDIRAX()
	a.land(noResult)
	a.ret()
}

// emitGetcpu emits int getcpu(unsigned *RDI, unsigned *RSI). It makes the system call:
// the CPUs share one GDT, so a segment limit cannot contain the CPU number as on Linux,
// and not every processor has RDPID.
func emitGetcpu(a *assembler) { emitSystemCall(a, unix.SYS_GETCPU) }
