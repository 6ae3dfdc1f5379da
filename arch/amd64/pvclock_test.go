package amd64

import (
	"math/big"
	"testing"
	"unsafe"
)

// TestPVClockTimeHasTheHypervisorsLayout checks the offsets of
// pvclock_vcpu_time_info.
func TestPVClockTimeHasTheHypervisorsLayout(t *testing.T) {
	var p pvclockTime
	if unsafe.Sizeof(p) != 32 || unsafe.Offsetof(p.timestamp) != 8 || unsafe.Offsetof(p.systemTime) != 16 ||
		unsafe.Offsetof(p.multiplier) != 24 || unsafe.Offsetof(p.shift) != 28 || unsafe.Offsetof(p.flags) != 29 {
		t.Errorf("pvclock_vcpu_time_info is %+v in %d bytes", p, unsafe.Sizeof(p))
	}
}

// kvmScale chooses the factors for a frequency as KVM does (arch/x86/kvm/x86.c,
// kvm_get_time_scale, from nanoseconds).
func kvmScale(hz uint64) (multiplier uint32, shift int8) {
	const second = 1_000_000_000
	scaled, base := uint64(second), hz
	for base > scaled*2 || base&0xffffffff00000000 != 0 {
		base >>= 1
		shift--
	}
	for base <= scaled || scaled&0xffffffff00000000 != 0 {
		if scaled&0xffffffff00000000 != 0 || base&0x80000000 != 0 {
			scaled >>= 1
		} else {
			base <<= 1
		}
		shift++
	}
	return uint32(scaled << 32 / base), shift
}

func TestPVClockHertzInvertsKVMsFactors(t *testing.T) {
	for _, hz := range []uint64{2_500_000, 100_000_000, 999_999_999, 1_000_000_000, 1_000_000_001, 2_099_998_000, 2_500_000_000, 3_600_000_000, 5_100_000_000, 70_000_000_000} {
		multiplier, shift := kvmScale(hz)
		got := pvclockHertz(multiplier, shift)
		if difference := int64(got - hz); difference > int64(hz/1e9)+2 || -difference > int64(hz/1e9)+2 {
			t.Errorf("KVM's factors for %d Hz are %#x and %d, which give %d Hz", hz, multiplier, shift, got)
		}
	}
	for _, c := range []struct {
		multiplier uint32
		shift      int8
	}{{0, 0}, {1, 0}, {1 << 31, 40}, {1 << 31, 127}, {1 << 31, -128}, {1, -32}, {1<<32 - 1, 32}} {
		if got := pvclockHertz(c.multiplier, c.shift); got != 0 {
			t.Errorf("%#x and %d give %d Hz", c.multiplier, c.shift, got)
		}
	}
}

// FuzzPVClockHertz: for any factors the result is the exact quotient or 0.
func FuzzPVClockHertz(f *testing.F) {
	f.Add(uint32(0), int8(0))
	f.Add(uint32(0xccccccd0), int8(-1))
	f.Add(uint32(1), int8(-32))
	f.Fuzz(func(t *testing.T, multiplier uint32, shift int8) {
		got := pvclockHertz(multiplier, shift)
		if got == 0 {
			return
		}
		want := new(big.Int).Lsh(big.NewInt(1_000_000_000), 32)
		if shift < 0 {
			want.Lsh(want, uint(-int(shift)))
		}
		want.Div(want, big.NewInt(int64(multiplier)))
		if shift > 0 {
			want.Rsh(want, uint(shift))
		}
		if want.Cmp(new(big.Int).SetUint64(got)) != 0 {
			t.Errorf("%#x and %d give %d, want %v", multiplier, shift, got, want)
		}
	})
}

// TestPVClockScaleIgnoresUnstableFactors: factors are not used while the version is
// odd or 0.
func TestPVClockScaleIgnoresUnstableFactors(t *testing.T) {
	for _, c := range []struct {
		version, want uint32
	}{{0, 0}, {1, 0}, {3, 0}, {2, 7}, {40, 7}} {
		p := pvclockTime{version: c.version, multiplier: 7, shift: -1}
		if got, _ := p.scale(); got != c.want {
			t.Errorf("version %d: the multiplier is %d, want %d", c.version, got, c.want)
		}
	}
}
