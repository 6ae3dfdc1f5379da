package amd64

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// left is the state of a program after the exit instruction. sysretLeaves computes
// it for SYSRET, by the manual (SDM vol. 2B, SYSRET), iretLeaves for IRETQ.
type left struct{ rip, rflags, cs, ss, rcx, r11 uint64 }

func sysretLeaves(f *Frame) (left, bool) {
	flags := f.R11&0x3c7fd7 | FlagFixed
	return left{f.RCX, flags, UserCS, UserSS, f.RCX, f.R11}, Canonical(f.RCX)
}

func iretLeaves(f *Frame) left { return left{f.RIP, f.RFLAGS, f.CS, f.SS, f.RCX, f.R11} }

// TestSysretIsChosenOnlyIfItEqualsIret checks random frames, most of them close to
// the limits of what SYSRET can restore.
func TestSysretIsChosenOnlyIfItEqualsIret(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	chosen := 0
	for range 200000 {
		f := randomFrame(r)
		f.Flags = LeaveByIRET
		f.ChooseExit()
		if f.Flags&LeaveByIRET != 0 {
			continue
		}
		chosen++
		got, ok := sysretLeaves(f)
		if !ok || got != iretLeaves(f) || f.RFLAGS&(FlagTF|FlagRF) != 0 || f.RIP >= UserLimit {
			t.Fatalf("SYSRET leaves %+v, IRETQ %+v", got, iretLeaves(f))
		}
	}
	if chosen < 1000 {
		t.Fatalf("SYSRET was chosen only %d times", chosen)
	}
}

func randomFrame(r *rand.Rand) *Frame {
	pick := func(usual uint64, others ...uint64) uint64 {
		if r.IntN(4) > 0 {
			return usual
		}
		if r.IntN(4) == 0 {
			return r.Uint64()
		}
		return others[r.IntN(len(others))]
	}
	f := &Frame{CS: pick(UserCS, User32CS, KernelCS, 0), SS: pick(UserSS, KernelSS, 0)}
	f.RIP = pick(0x401000, 1<<47, 1<<47-1, 1<<47-2, UserLimit, UserLimit-1, 1<<63, 0xffffffff80000000)
	f.RFLAGS = pick(FlagIF|FlagFixed|FlagZF, FlagIF|FlagFixed|FlagTF, FlagIF|FlagFixed|FlagRF,
		FlagIF|FlagFixed|FlagNT, FlagIF|FlagFixed|FlagAC, FlagIF|FlagFixed|FlagVM)
	f.RCX = pick(f.RIP, f.RIP+1, 0)
	f.R11 = pick(f.RFLAGS, f.RFLAGS^FlagCF, 0)
	return f
}

func TestSanitizeForcesUserState(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 100000 {
		f := randomFrame(r)
		f.RFLAGS, f.MXCSR = r.Uint64(), r.Uint32()
		f.FSBase, f.GSBase = r.Uint64()>>r.IntN(64), r.Uint64()>>r.IntN(64)
		ok := f.Sanitize()
		limit := uint64(1 << 32)
		if f.CS == UserCS {
			limit = UserLimit
		}
		if ok != (f.RIP < limit && Canonical(f.FSBase) && Canonical(f.GSBase)) {
			t.Fatalf("Sanitize reports %v for %+v", ok, f)
		}
		if f.CS&^0xffff != 0 || f.SS&^0xffff != 0 || f.CS&3 != 3 || f.SS&3 != 3 || f.RFLAGS&^(UserFlags|FlagID|FlagIF|FlagFixed) != 0 ||
			f.RFLAGS&FlagIF == 0 || f.MXCSR&^mxcsrMask != 0 || f.Flags&LeaveByIRET == 0 {
			t.Fatalf("a user could leave with %+v", f)
		}
	}
}

func TestSettleCompletesFrameOnce(t *testing.T) {
	f := &Frame{RIP: 1, RFLAGS: 2, RCX: 3, R11: 4}
	f.Settle()
	if f.RCX != 1 || f.R11 != 2 || f.Flags&LeaveByIRET == 0 {
		t.Fatalf("after a system call: %+v", f)
	}
	f.RIP, f.RCX = 5, 6
	f.Settle()
	if f.RCX != 6 {
		t.Fatal("a settled frame was settled again")
	}
}

func TestCanonicalAddresses(t *testing.T) {
	for a, want := range map[uint64]bool{
		0: true, 1<<47 - 1: true, 1 << 47: false, 0xffff7fffffffffff: false,
		0xffff800000000000: true, ^uint64(0): true,
	} {
		if Canonical(a) != want {
			t.Errorf("Canonical(%#x) = %v", a, !want)
		}
	}
}

func TestExtendedStateSurvivesSignalFrame(t *testing.T) {
	saved := extended
	defer func() { extended = saved }()
	extended = extendedFeatures{mask: StateX87 | StateSSE | StateAVX, size: 832}

	f := NewFrame(0)
	for i := range f.XMM {
		f.XMM[i][3] = byte(i + 1)
	}
	f.MXCSR = 0x1fa0
	area := f.extendedBytes()
	area[32] = 0x77 // an x87 register
	area[600] = 0x55
	le.PutUint64(area[extendedHeader:], StateX87|StateAVX)

	b := AlignedBuffer(ExtendedSize())
	f.ReadExtended(b)
	g := NewFrame(0)
	input := AlignedBuffer(len(b))
	copy(input, b)
	if !g.WriteExtended(input, false) {
		t.Fatal("WriteExtended rejects what ReadExtended wrote")
	}
	again := AlignedBuffer(ExtendedSize())
	g.ReadExtended(again)
	if !bytes.Equal(b, again) || g.XMM != f.XMM || g.MXCSR != f.MXCSR {
		t.Fatal("the state differs after a round trip")
	}
	copy(input, b)
	if !g.WriteExtended(input, true) || le.Uint64(g.extendedBytes()[extendedHeader:]) != StateX87 {
		t.Error("an FXSAVE area sets more than x87 and XMM")
	}
}

func TestWriteExtendedRejectsInvalidAreas(t *testing.T) {
	saved := extended
	defer func() { extended = saved }()
	extended = extendedFeatures{mask: StateX87 | StateSSE | StateAVX, size: 832}
	good := func() []byte {
		b := AlignedBuffer(ExtendedSize())
		NewFrame(0).ReadExtended(b)
		return b
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"short":             func(b []byte) []byte { return b[:511] },
		"empty":             func(b []byte) []byte { return nil },
		"MXCSR that faults": func(b []byte) []byte { b[27] = 0xff; return b },
		"unknown component": func(b []byte) []byte { b[extendedHeader+1] = 2; return b },
		"compacted":         func(b []byte) []byte { b[extendedHeader+15] = 0x80; return b },
		"reserved header":   func(b []byte) []byte { b[extendedHeader+40] = 1; return b },
	} {
		f := NewFrame(0)
		f.XMM[5][5] = 5
		if f.WriteExtended(spoil(good()), false) {
			t.Errorf("%s: accepted", name)
		}
		if f.XMM[5][5] != 5 {
			t.Errorf("%s: the state changed although the area was rejected", name)
		}
	}
}

func TestArgsAreTheArgumentRegistersInOrder(t *testing.T) {
	f := &Frame{RDI: 1, RSI: 2, RDX: 3, R10: 4, R8: 5, R9: 6}
	if got := *f.Args(); got != (Args{1, 2, 3, 4, 5, 6}) {
		t.Errorf("the arguments are %v", got)
	}
	f.Args()[3] = 7
	if f.R10 != 7 {
		t.Errorf("R10 is %d after a write to argument 3", f.R10)
	}
}
