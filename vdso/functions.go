package vdso

import "golang.org/x/sys/unix"

// function is one function of the object: the name under which libraries know
// it, and what emits its code. The calling convention is that of C (System V
// ABI for AMD64, section 3.2): arguments in RDI, RSI, RDX, result in RAX.
type function struct {
	name string
	emit func(a *assembler)
}

// functions are what the object exports. Each has a second name without the
// prefix, as in Linux (arch/x86/entry/vdso/vdso.lds.S).
var functions = []function{
	{"__vdso_clock_gettime", emitClockGettime},
	{"__vdso_clock_getres", emitClockGetres},
	{"__vdso_gettimeofday", emitGettimeofday},
	{"__vdso_time", emitTime},
	{"__vdso_getcpu", emitGetcpu},
}

// Clocks that the code reads itself, as bits by clock number. Those that count
// CPU time, and those that do not exist, are the kernel's business. The coarse
// clocks are as fine as the others, and TAI is UTC until somebody sets its
// offset, which nobody can.
const (
	realtimeClocks  = 1<<unix.CLOCK_REALTIME | 1<<unix.CLOCK_REALTIME_COARSE | 1<<unix.CLOCK_TAI
	monotonicClocks = 1<<unix.CLOCK_MONOTONIC | 1<<unix.CLOCK_MONOTONIC_RAW | 1<<unix.CLOCK_MONOTONIC_COARSE | 1<<unix.CLOCK_BOOTTIME
	fineClocks      = 1<<unix.CLOCK_REALTIME | 1<<unix.CLOCK_MONOTONIC | 1<<unix.CLOCK_MONOTONIC_RAW | 1<<unix.CLOCK_BOOTTIME | 1<<unix.CLOCK_TAI
)

// emitClockGettime emits int clock_gettime(clockid_t EDI, struct timespec *RSI).
func emitClockGettime(a *assembler) {
	a.cmpEDI(unix.CLOCK_TAI)
	high := a.ja()
	a.movECX(realtimeClocks | monotonicClocks)
	a.btECXEDI()
	unknown := a.jnc()
	emitMonotonic(a)
	a.movECX(realtimeClocks)
	a.btECXEDI()
	monotonic := a.jnc()
	a.addRAXData(dataWall)
	a.land(monotonic)
	emitSplit(a)
	a.movAtRSIRAX()
	a.movAtRSI8RDX()
	a.xorEAXEAX()
	a.ret()
	a.land(high)
	a.land(unknown)
	emitSystemCall(a, unix.SYS_CLOCK_GETTIME)
}

// emitMonotonic emits RAX = nanoseconds since boot. It changes RDX.
func emitMonotonic(a *assembler) {
	a.lfence() // RDTSC may otherwise be executed before what comes before it
	a.rdtsc()
	a.shlRDX32()
	a.orRAXRDX()
	a.subRAXData(dataStart)
	a.mulData(dataScale)
	a.shrdRAXRDX32()
}

// emitSplit emits RAX = RAX / 10^9, RDX = the rest. It changes RCX.
func emitSplit(a *assembler) {
	a.xorEDXEDX()
	a.movECX(1_000_000_000)
	a.divRCX()
}

// emitSystemCall emits the system call that the function stands for, with the
// same arguments: the fourth, in which conventions differ, is never used.
func emitSystemCall(a *assembler, number uint32) {
	a.movEAX(number)
	a.syscall()
	a.ret()
}

// emitClockGetres emits int clock_getres(clockid_t EDI, struct timespec *RSI).
// The resolution of what can be computed here is a nanosecond.
func emitClockGetres(a *assembler) {
	a.cmpEDI(unix.CLOCK_TAI)
	high := a.ja()
	a.movECX(fineClocks)
	a.btECXEDI()
	unknown := a.jnc()
	a.testRSI()
	nowhere := a.jz()
	a.movAtRSI(0)
	a.movAtRSI8(1)
	a.land(nowhere)
	a.xorEAXEAX()
	a.ret()
	a.land(high)
	a.land(unknown)
	emitSystemCall(a, unix.SYS_CLOCK_GETRES)
}

// emitGettimeofday emits int gettimeofday(struct timeval *RDI, struct timezone
// *RSI). The time zone, which hardly anybody asks for, the kernel tells.
func emitGettimeofday(a *assembler) {
	a.testRSI()
	zone := a.jnz()
	a.testRDI()
	nowhere := a.jz()
	emitMonotonic(a)
	a.addRAXData(dataWall)
	emitSplit(a)
	a.movAtRDIRAX()
	a.movEAXEDX()
	a.xorEDXEDX()
	a.movECX(1000)
	a.divECX()
	a.movAtRDI8RAX()
	a.land(nowhere)
	a.xorEAXEAX()
	a.ret()
	a.land(zone)
	emitSystemCall(a, unix.SYS_GETTIMEOFDAY)
}

// emitTime emits time_t time(time_t *RDI).
func emitTime(a *assembler) {
	emitMonotonic(a)
	a.addRAXData(dataWall)
	emitSplit(a)
	a.testRDI()
	nowhere := a.jz()
	a.movAtRDIRAX()
	a.land(nowhere)
	a.ret()
}

// emitGetcpu emits int getcpu(unsigned *RDI, unsigned *RSI). The kernel's CPUs
// share one descriptor table, so no segment limit tells them apart, and RDPID
// is not everywhere: the kernel is asked.
func emitGetcpu(a *assembler) { emitSystemCall(a, unix.SYS_GETCPU) }
