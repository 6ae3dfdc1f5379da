package amd64

import (
	"math/rand/v2"
	"testing"
)

func TestInt80KeepsAllRegisters(t *testing.T) {
	f := &Frame{RAX: 5<<32 | 20, RBX: 1<<32 | 1, RCX: 2, RDX: 3, RSI: 4, RDI: 5, RBP: 6, RIP: 7, CS: UserCS, SS: UserSS, Flags: LeaveByIRET | CallOver}
	f.BeginInt80()
	var a Args
	f.Args32(&a)
	if a != (Args{1, 2, 3, 4, 5, 6}) || f.OrigRAX != 20 || !f.InCall32() || f.CS != UserCS {
		t.Errorf("arguments %v, number %d, frame %+v", a, f.OrigRAX, f)
	}
	before := f.RCX
	if f.Settle(); f.RCX != before || f.R11 != 0 {
		t.Error("Settle has changed a complete frame")
	}
	if exit, possible := f.QuickExit(); exit != ByIRETQ || !possible {
		t.Errorf("the exit is %v, %v", exit, possible)
	}
}

// landed returns a frame as the landing of SYSCALL in 32-bit code leaves it, in the vDSO.
func landed() *Frame {
	f := &Frame{
		RAX: 20, RBX: 1, RDX: 3, RSI: 4, RDI: 5, RBP: 2, RSP: 0xfff0_0000_ffff_d000, OrigRAX: 20,
		RIP: 0xf7fd0547, RFLAGS: FlagFixed | FlagZF, CS: 0x1234, SS: 0x4321, Flags: Call32,
	}
	f.SetLandingPad32(0xf7fd0549)
	return f
}

// TestArgumentsAreSeenInIncompleteFrames checks what another task sees of the arguments before
// and after the frame is completed.
func TestArgumentsAreSeenInIncompleteFrames(t *testing.T) {
	f := landed()
	var a Args
	for _, step := range []func(){func() {}, func() { f.RIP += Int80Size }, func() { f.BeginCall32() }} {
		step()
		if sixth, owed := f.PeekArgs32(&a); a != (Args{1, 2, 3, 4, 5, 0}) || !owed || sixth != 0xffffd000 {
			t.Errorf("arguments %v, the sixth at %#x, owed: %v", a, sixth, owed)
		}
	}
	f.SetCallWord(6)
	if _, owed := f.PeekArgs32(&a); a != (Args{1, 2, 3, 4, 5, 6}) || owed {
		t.Errorf("arguments of a complete frame %v, owed: %v", a, owed)
	}
	f = &Frame{RAX: 20, RBX: 1, RCX: 2, RDX: 3, RSI: 4, RDI: 5, RBP: 6, Flags: LeaveByIRET}
	f.BeginInt80()
	if _, owed := f.PeekArgs32(&a); a != (Args{1, 2, 3, 4, 5, 6}) || owed {
		t.Errorf("arguments of INT 0x80 %v, owed: %v", a, owed)
	}
}

func TestCall32LooksLikeInt80(t *testing.T) {
	f := landed()
	if f.BeginCall32() || f.BeginCall32() {
		t.Error("the word is needed")
	}
	if address, owed := f.CallWordOwed(); !owed || address != 0xffffd000 || f.Complete() {
		t.Errorf("the word is at %#x, owed: %v", address, owed)
	}
	f.SetCallWord(6)
	var a Args
	f.Args32(&a)
	if a != (Args{1, 2, 3, 4, 5, 6}) || f.RIP != 0xf7fd0549 || f.CS != User32CS || f.SS != UserSS || f.RFLAGS&FlagIF == 0 || f.OrigRAX != 20 {
		t.Errorf("arguments %v, frame %+v", a, f)
	}
	if _, owed := f.CallWordOwed(); owed {
		t.Error("the word is owed after SetCallWord")
	}
	if exit := f.Exit(); exit != BySYSRET32 {
		t.Errorf("the exit is %v", exit)
	}
	if f.Settle(); f.RCX != 2 || f.CS != User32CS || f.Exit() != ByIRETQ {
		t.Errorf("the settled frame is %+v", f)
	}
	if !f.Complete() {
		t.Error("the settled frame is not complete")
	}
	if f.ChooseExit(); f.Flags&(Call32|LeaveByIRET) != Call32 {
		t.Errorf("SYSRET is not chosen after a slow path: flags %#x", f.Flags)
	}
}

// TestFastCall32IsCompletedLater: the frame of a call of the vDSO stays as the landing has left
// it, but for RIP, until somebody needs it.
func TestFastCall32IsCompletedLater(t *testing.T) {
	f := landed()
	f.RAX = 77
	called := f.CalledByVDSO32()
	f.RIP += Int80Size
	if !called || f.RIP != 0xf7fd0549 {
		t.Fatalf("RIP is %#x", f.RIP)
	}
	f.LoadRegisterArgs32()
	if a := f.LoadedArgs32(); *a != (Args{1, 2, 3, 4, 5, 0}) {
		t.Errorf("arguments %v", *a)
	}
	if exit, possible := f.QuickExit(); exit != BySYSRET32 || !possible {
		t.Errorf("the exit is %v, %v", exit, possible)
	}
	if f.BeginCall32() || f.RIP != 0xf7fd0549 || f.RCX != 2 || f.RAX != 77 || f.CS != User32CS {
		t.Errorf("the frame is %+v", f)
	}
	if _, owed := f.CallWordOwed(); !owed {
		t.Error("the word is not owed")
	}
}

func TestCall32OutsideTheVDSONeedsItsWord(t *testing.T) {
	for name, change := range map[string]func(f *Frame){
		"another address": func(f *Frame) { f.RIP++ },
		"no vDSO":         func(f *Frame) { f.SetLandingPad32(0) },
		"SYSENTER":        func(f *Frame) { f.RIP = 0xffffd000 },
	} {
		f := landed()
		change(f)
		if f.CalledByVDSO32() || !f.BeginCall32() {
			t.Errorf("%s: the word need not be read", name)
		}
	}
}

// TestSysret32IsChosenOnlyIfItEqualsIret checks random frames in 32-bit calls. SYSRET to
// 32-bit code leaves the flat segments, EIP of ECX and RFLAGS of R11.
func TestSysret32IsChosenOnlyIfItEqualsIret(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	chosen := 0
	for range 200000 {
		f := randomFrame(r)
		f.SetLandingPad32(0xf7fd0549)
		f.CS, f.Flags = f.CS^UserCS^User32CS, LeaveByIRET|Call32|CallOver
		if r.IntN(2) == 0 {
			f.RIP = f.landingPad
		}
		f.ChooseExit()
		if f.Flags&LeaveByIRET != 0 {
			continue
		}
		chosen++
		if f.CS != User32CS || f.SS != UserSS || f.RIP != 0xf7fd0549 || f.RFLAGS&(FlagTF|FlagRF) != 0 || f.RFLAGS&0x3c7fd7|FlagFixed != f.RFLAGS {
			t.Fatalf("SYSRET leaves %+v", f)
		}
	}
	if chosen < 1000 {
		t.Fatalf("SYSRET was chosen only %d times", chosen)
	}
}

// TestQuickExitNeedsNoDuty checks all flags of a frame. A frame with a duty that is not of
// EntryDuties, or that is stepped, is not left at once.
func TestQuickExitNeedsNoDuty(t *testing.T) {
	for flags := range FrameFlags(16) {
		for _, duties := range []uint32{0, EntryDuties, 1, EntryDuties | 1<<11} {
			for _, step := range []FrameFlags{0, stepping} {
				f := &Frame{Flags: flags | step}
				f.ThreadFlags.Store(duties)
				usual := f.Flags == Call32 || f.Flags == LeaveByIRET|Call32 || f.Flags == LeaveByIRET|CallOver
				want := f.Flags == 0 && duties&^EntryDuties == 0 || usual && duties == 0
				if _, possible := f.QuickExit(); possible != want {
					t.Errorf("flags %#x, duties %#x: %v", f.Flags, duties, possible)
				}
			}
		}
	}
}

// TestInt80OwesNoWord: a call by SYSCALL that needed no sixth argument leaves the word on the
// stack unread. The next call by INT 0x80 must not read it.
func TestInt80OwesNoWord(t *testing.T) {
	f := NewFrame(0)
	f.BeginCall32()
	if _, owed := f.CallWordOwed(); owed != (f.Flags&Call32 != 0) {
		t.Errorf("after SYSCALL the word is owed: %v", owed)
	}
	f.BeginInt80()
	if _, owed := f.CallWordOwed(); owed {
		t.Error("after INT 0x80 the word on the stack is owed")
	}
}
