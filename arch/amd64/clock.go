package amd64

import "math/bits"

// The runtime's clock: nanoseconds since boot are (TSC-clockStart) *
// clockScale >> 32. runtimeClock reads the same variables.
var (
	clockStart uint64 // TSC at boot
	clockScale uint64 // nanoseconds in a tick, times 2^32
	clockWall  uint64 // CLOCK_REALTIME at boot, in nanoseconds since 1970
	clockHertz uint64 // ticks in a second
)

// KeepClock takes the present as the time of boot.
func KeepClock() { clockStart = TSC() }

// SetClock says how many ticks of the TSC a second has. Boot only.
func SetClock(hz uint64) {
	const second = 1_000_000_000
	clockScale, _ = bits.Div64(second>>32, second<<32&(1<<64-1), hz)
	clockHertz = hz
}

// ClockFrequency returns the ticks of the TSC in a second, as SetClock was told.
func ClockFrequency() uint64 { return clockHertz }

// SetWallClock says what time of day it is, in nanoseconds since 1970. Boot
// only.
func SetWallClock(now uint64) { clockWall = now - Nanotime() }

// Nanotime returns nanoseconds since boot. Any context.
//
//go:nosplit
func Nanotime() uint64 {
	hi, lo := bits.Mul64(TSC()-clockStart, clockScale)
	return hi<<32 | lo>>32
}

// ClockParameters returns what makes time of the TSC, for the users' vDSO:
// its value at boot, nanoseconds in a tick times 2^32, and the time of day at
// boot in nanoseconds since 1970.
func ClockParameters() (start, scale, wall uint64) { return clockStart, clockScale, clockWall }

// RuntimeClock returns the address of clock_gettime for the runtime.
func RuntimeClock() uint64 { return codeAddresses[runtimeClockCode] }

// Leaves of CPUID that tell the TSC's frequency (SDM vol. 3B, 18.18.3; the
// second is the hypervisors' convention, in kHz).
const (
	cpuidTSC          = 0x15
	cpuidHypervisor   = 0x40000000
	cpuidHypervisorHz = 0x40000010
)

// TSCFrequency returns the ticks of the TSC in a second as the CPU or the
// hypervisor tells it, or 0 if neither does. Boot only.
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
