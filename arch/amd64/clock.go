package amd64

import "math/bits"

// The clock: nanoseconds since boot = (TSC - clockStart) * clockScale >> 32.
// runtimeClock (trampoline_amd64.s) reads the same variables.
var (
	clockStart uint64 // TSC at boot
	clockScale uint64 // nanoseconds per TSC tick, times 2^32
	clockWall  uint64 // CLOCK_REALTIME at boot, in nanoseconds since 1970
	clockHertz uint64 // TSC ticks per second
)

// KeepClock stores the current TSC as the time of boot, from which Nanotime counts.
// Boot only.
func KeepClock() { clockStart = TSC() }

// SetClock sets the TSC's frequency in ticks per second. Boot only.
func SetClock(hz uint64) {
	const second = 1_000_000_000
	clockScale, _ = bits.Div64(second>>32, second<<32&(1<<64-1), hz)
	clockHertz = hz
}

// ClockFrequency returns the TSC's frequency that SetClock has set, in ticks per
// second. Any context.
func ClockFrequency() uint64 { return clockHertz }

// SetWallClock sets the time of day, in nanoseconds since 1970. Boot only.
func SetWallClock(now uint64) { clockWall = now - Nanotime() }

// Nanotime returns the nanoseconds since boot. Any context.
//
//go:nosplit
func Nanotime() uint64 {
	hi, lo := bits.Mul64(TSC()-clockStart, clockScale)
	return hi<<32 | lo>>32
}

// ClockParameters returns the clock's parameters for the vDSO of programs: the TSC
// at boot, nanoseconds per tick times 2^32, and the time of day at boot in
// nanoseconds since 1970. Any context.
func ClockParameters() (start, scale, wall uint64) { return clockStart, clockScale, clockWall }

// RuntimeClock returns the address of the runtime's clock_gettime. Any context.
func RuntimeClock() uint64 { return codeAddresses[runtimeClockCode] }

// CPUID leaves that report the TSC's frequency: cpuidTSC on CPUs (SDM vol. 3B,
// 18.18.3), and cpuidHypervisorHz, in kHz, by convention in hypervisors.
const (
	cpuidTSC          = 0x15
	cpuidHypervisor   = 0x40000000
	cpuidHypervisorHz = 0x40000010
)

// TSCFrequency returns the TSC's frequency in ticks per second as the CPU or the
// hypervisor reports it, or 0 if neither does. Boot only.
func TSCFrequency() uint64 {
	if highest, _, _, _ := cpuid(0, 0); highest >= cpuidTSC {
		denominator, numerator, crystal, _ := cpuid(cpuidTSC, 0)
		if denominator != 0 && numerator != 0 && crystal != 0 {
			return uint64(crystal) * uint64(numerator) / uint64(denominator)
		}
	}
	if highest, _, _, _ := cpuid(cpuidHypervisor, 0); highest >= cpuidHypervisorHz && highest < cpuidHypervisor+0x10000 {
		khz, _, _, _ := cpuid(cpuidHypervisorHz, 0)
		return uint64(khz) * 1000
	}
	return pvclockFrequency()
}
