package insn_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"slowpath/arch/amd64"
	"slowpath/uprobe/insn"
	"slowpath/uprobe/insn/insntest"
)

// unhex decodes hexadecimal bytes with spaces between them.
func unhex(t testing.TB, text string) []byte {
	t.Helper()
	code, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func decode(t testing.TB, text string) insn.Instruction {
	t.Helper()
	i, err := insn.Decode(unhex(t, text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return i
}

// testFrame has RSP and RBP in the middle of the test's memory.
func testFrame() *amd64.Frame {
	return &amd64.Frame{RSP: memory.address + 1024, RBP: memory.address + 2048, RFLAGS: amd64.FlagFixed | amd64.FlagIF, RIP: home.address}
}

func emulate(t *testing.T, f *amd64.Frame, m insn.Memory, text string) error {
	t.Helper()
	i := decode(t, text)
	return i.Emulate(f, f.RIP, m)
}

func TestPushedFlagsHideTracersStep(t *testing.T) {
	f, m := testFrame(), insntest.Memory{Start: memory.address, Data: make([]byte, memory.size())}
	f.ForceStep()
	if err := emulate(t, f, m, "9c"); err != nil {
		t.Fatal(err)
	}
	if pushed, _ := m.Load(f.RSP, 8); pushed != amd64.FlagFixed|amd64.FlagIF {
		t.Errorf("pushed %#x", pushed)
	}
}

func TestPoppedFlagsKeepTracersStep(t *testing.T) {
	f, m := testFrame(), insntest.Memory{Start: memory.address, Data: make([]byte, memory.size())}
	f.ForceStep()
	m.Store(f.RSP, 8, amd64.FlagCF|amd64.FlagID|amd64.FlagIOPL|amd64.FlagRF)
	if err := emulate(t, f, m, "9d"); err != nil {
		t.Fatal(err)
	}
	if want := uint64(amd64.FlagCF | amd64.FlagID | amd64.FlagIF | amd64.FlagFixed | amd64.FlagTF); f.RFLAGS != want || !f.StepForced() {
		t.Errorf("RFLAGS %#x, want %#x", f.RFLAGS, want)
	}
	m.Store(f.RSP, 8, amd64.FlagTF)
	if err := emulate(t, f, m, "9d"); err != nil {
		t.Fatal(err)
	}
	if f.RFLAGS&amd64.FlagTF == 0 || f.StepForced() {
		t.Error("the TF that the program loads is not its own")
	}
}

func TestAlignmentCheckIsLeftToCPU(t *testing.T) {
	f, m := testFrame(), insntest.Memory{Start: memory.address, Data: make([]byte, memory.size())}
	f.RFLAGS |= amd64.FlagAC
	f.RSP++
	before := f.RSP
	if err := emulate(t, f, m, "50"); !errors.Is(err, insn.ErrAlignment) || f.RSP != before {
		t.Errorf("%v, RSP %#x", err, f.RSP)
	}
	f.RSP--
	if err := emulate(t, f, m, "50"); err != nil {
		t.Error(err)
	}
}

func TestBranchToBadAddressChangesNothing(t *testing.T) {
	m := insntest.Memory{Start: memory.address, Data: make([]byte, memory.size())}
	for _, text := range []string{"ff d0", "ff e0", "c3"} {
		f := testFrame()
		f.RAX = 1 << 47
		m.Store(f.RSP, 8, f.RAX)
		rsp, rip := f.RSP, f.RIP
		if err := emulate(t, f, m, text); !errors.Is(err, insn.ErrNotCanonical) || f.RSP != rsp || f.RIP != rip {
			t.Errorf("%s: %v, RSP %#x, RIP %#x", text, err, f.RSP, f.RIP)
		}
	}
}

func TestNotEmulatedIsAnError(t *testing.T) {
	for _, text := range []string{"0f 05", "f0 01 18", "01 18", "65 2e 8b 00", "0f ae e8", "c5 f8 77", "87 00", "8d c0", "f3 8b 00"} {
		i := decode(t, text)
		if err := emulate(t, testFrame(), insntest.Memory{}, text); i.Emulated() || !errors.Is(err, insn.ErrNotEmulated) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestBranchesAreEmulated: a slot may hold a branch only if it faults.
func TestBranchesAreEmulated(t *testing.T) {
	g := insntest.New(4)
	for range 20 {
		for _, code := range g.Round() {
			i, err := insn.Decode(code)
			if err != nil || i.Steppable() != nil || bytes.Contains(encoding(&i), []byte{lock}) {
				continue
			}
			if insntest.Branches(&i) && !i.Emulated() {
				t.Errorf("% x is not emulated", encoding(&i))
			}
		}
	}
}

// lock is the prefix. A branch with it is invalid.
const lock = 0xf0

func TestNothingIsAllocated(t *testing.T) {
	var m insn.Memory = insntest.Memory{Start: memory.address, Data: make([]byte, memory.size())}
	f := testFrame()
	code := unhex(t, "48 8b 44 24 08")
	var i insn.Instruction
	if n := testing.AllocsPerRun(100, func() {
		i, _ = insn.Decode(code)
		i.Emulate(f, home.address, m)
		o := i.OutOfLine()
		f.RAX = o.Base(0)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecode(b *testing.B) {
	code := unhex(b, "48 8b 44 24 08")
	for b.Loop() {
		insn.Decode(code)
	}
}

func BenchmarkEmulate(b *testing.B) {
	m := insntest.Memory{Start: memory.address, Data: make([]byte, memory.size())}
	for _, text := range []string{"90", "55", "48 8d 44 24 08", "c3", "48 83 ec 08"} {
		b.Run(text, func(b *testing.B) {
			i := decode(b, text)
			f := testFrame()
			for b.Loop() {
				f.RSP = memory.address + 1024
				i.Emulate(f, home.address, m)
			}
		})
	}
}
