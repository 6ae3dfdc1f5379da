package amd64

import (
	"math/bits"
	"sync/atomic"
	"unsafe"
)

// KVM reports the TSC's frequency through its paravirtual clock. The kernel passes
// an address, where the hypervisor writes the factors that convert TSC ticks to
// nanoseconds (Linux, Documentation/virt/kvm/x86/cpuid.rst and msr.rst).
const (
	cpuidKVMFeatures  = 0x40000001
	kvmClockSource2   = 1 << 3     // of its EAX: the MSR below is there
	kvmSystemTime     = 0x4b564d01 // MSR_KVM_SYSTEM_TIME_NEW
	kvmSystemTimeOn   = 1
	kvmSignatureWord1 = 0x4b4d564b // "KVMK"
	kvmSignatureWord2 = 0x564b4d56 // "VMKV"
	kvmSignatureWord3 = 0x0000004d // "M"
)

// pvclockTime is pvclock_vcpu_time_info. The hypervisor changes it at any
// time; version is odd while it does.
type pvclockTime struct {
	version    uint32
	_          uint32
	timestamp  uint64
	systemTime uint64
	multiplier uint32 // tsc_to_system_mul
	shift      int8   // tsc_shift
	flags      uint8
	_          [2]uint8
}

// pvclockAlignment aligns a pvclockTime to a cache line, so that it is within one
// page.
const pvclockAlignment = 64

// pvclockSpace has room for an aligned pvclockTime. Boot only.
var pvclockSpace [2 * pvclockAlignment]byte

// pvclockFrequency returns the TSC's frequency in ticks per second from KVM's
// clock, or 0 if there is no such clock. It disables the clock afterwards, since
// only the TSC is read. Boot only.
func pvclockFrequency() uint64 {
	if !hasPVClock() {
		return 0
	}
	address := (uintptr(unsafe.Pointer(&pvclockSpace)) + pvclockAlignment - 1) &^ (pvclockAlignment - 1)
	writeMSR(kvmSystemTime, uint64(address)-ImageBase|kvmSystemTimeOn)
	multiplier, shift := (*pvclockTime)(pointer(uint64(address))).scale()
	writeMSR(kvmSystemTime, 0)
	return pvclockHertz(multiplier, shift)
}

// hasPVClock reports whether the hypervisor is KVM and has the clock.
func hasPVClock() bool {
	if _, _, c, _ := cpuid(cpuidFeatures, 0); c&featureHypervisor == 0 {
		return false
	}
	highest, b, c, d := cpuid(cpuidHypervisor, 0)
	// KVM before Linux 3.10 says 0 where it means the leaf of its features.
	if b != kvmSignatureWord1 || c != kvmSignatureWord2 || d != kvmSignatureWord3 || highest != 0 && highest < cpuidKVMFeatures {
		return false
	}
	features, _, _, _ := cpuid(cpuidKVMFeatures, 0)
	return features&kvmClockSource2 != 0
}

// scale returns the factors, read while the hypervisor does not change them, or 0
// if it keeps changing them or has not written any.
func (p *pvclockTime) scale() (multiplier uint32, shift int8) {
	const tries = 1000
	for range tries {
		before := atomic.LoadUint32(&p.version)
		multiplier, shift = atomic.LoadUint32(&p.multiplier), p.shift
		if before != 0 && before&1 == 0 && atomic.LoadUint32(&p.version) == before {
			return multiplier, shift
		}
		Pause()
	}
	return 0, 0
}

// pvclockHertz converts the factors into ticks per second. A tick has multiplier *
// 2^shift / 2^32 ns. It returns 0 for what cannot be a TSC: a zero multiplier, less
// than a million ticks per second, or more than 2^40.
func pvclockHertz(multiplier uint32, shift int8) uint64 {
	const second, least, most = 1_000_000_000, 1_000_000, 1 << 40
	if multiplier == 0 || shift < -32 || shift > 32 {
		return 0
	}
	hi, lo := uint64(second>>32), uint64(second<<32&(1<<64-1))
	if shift < 0 {
		hi, lo = second>>uint(32+int(shift)), second<<uint(32-int(shift))
	}
	if hi >= uint64(multiplier) {
		return 0
	}
	hz, _ := bits.Div64(hi, lo, uint64(multiplier))
	if shift > 0 {
		hz >>= uint(shift)
	}
	if hz < least || hz > most {
		return 0
	}
	return hz
}
