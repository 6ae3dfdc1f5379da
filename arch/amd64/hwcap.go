package amd64

// hwcap2FSGSBASE is HWCAP2_FSGSBASE: user programs may use WRFSBASE and the other
// instructions of FSGSBASE (arch/x86/include/uapi/asm/hwcap2.h).
const hwcap2FSGSBASE = 1 << 1

// HardwareCapabilities returns AT_HWCAP and AT_HWCAP2 for user programs
// (getauxval(3)): the feature bits of CPUID leaf 1, EDX, and Linux's own bits. Any
// context.
func HardwareCapabilities() (hwcap, hwcap2 uint64) {
	_, _, _, features := cpuid(cpuidFeatures, 0)
	if hasFSGSBASE {
		hwcap2 = hwcap2FSGSBASE
	}
	return uint64(features), hwcap2
}
