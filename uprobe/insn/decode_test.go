package insn

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"unsafe"
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

// decode decodes an instruction that has all bytes of text.
func decode(t testing.TB, text string) Instruction {
	t.Helper()
	code := unhex(t, text)
	i, err := Decode(code)
	if err != nil {
		t.Fatalf("% x: %v", code, err)
	}
	if i.Len() != len(code) {
		t.Fatalf("% x: length %d", code, i.Len())
	}
	return i
}

func TestLength(t *testing.T) {
	for _, text := range []string{
		"90", "f3 90", "66 90", "0f 1f 00", "0f 1f 40 00", "0f 1f 44 00 00", "66 0f 1f 44 00 00",
		"0f 1f 80 00 00 00 00", "66 2e 0f 1f 84 00 00 00 00 00", "f3 0f 1e fa", "55", "41 57",
		"6a 01", "66 6a 01", "68 01 02 03 04", "66 68 01 02", "e8 00 00 00 00", "66 66 48 e8 00 00 00 00",
		"eb 00", "e9 01 02 03 04", "0f 84 01 02 03 04", "e3 01", "67 e3 01", "c3", "c2 08 00", "c8 10 00 01", "c9",
		"48 8d 05 01 02 03 04", "67 48 8d 05 01 02 03 04", "48 b8 01 02 03 04 05 06 07 08", "b8 01 02 03 04",
		"66 b8 01 02", "66 48 b8 01 02 03 04 05 06 07 08", "a0 01 02 03 04 05 06 07 08", "67 a0 01 02 03 04",
		"67 66 a1 01 02 03 04", "f6 00 01", "f6 10", "f7 00 01 02 03 04", "66 f7 00 01 02", "48 f7 05 01 02 03 04 01 02 03 04",
		"48 f7 d8", "c7 44 24 08 01 02 03 04", "66 c7 04 25 01 02 03 04 01 02", "83 ec 08", "48 81 ec 01 02 03 04",
		"0f 0f c1 9e", "0f 20 00", "0f 23 05", "66 0f 78 c0 01 02", "f2 0f 78 c1 01 02", "f2 0f 79 c1", "0f 77",
		"66 0f 38 00 05 01 02 03 04", "66 0f 3a 0f c1 08", "f2 0f 38 f1 c0",
		"c5 f8 77", "c5 f9 6f 05 01 02 03 04", "c5 f1 73 d9 04", "c5 f0 c6 c1 01", "c4 e2 71 00 05 01 02 03 04",
		"c4 e3 71 0f 05 01 02 03 04 08", "62 f1 7c 48 10 05 01 02 03 04", "62 f3 f5 48 03 05 01 02 03 04 01",
		"62 f1 7c 48 10 41 01", "62 f5 7c 48 58 c1", "c7 f8 01 02 03 04", "c6 f8 01",
		"f0 48 0f c7 0f", "64 48 8b 04 25 28 00 00 00", "2e 2e 2e 2e 2e 66 0f 1f 84 00 00 00 00 00",
		"42 8b 04 25 01 02 03 04", "8b 04 65 01 02 03 04", "41 8b 45 00", "41 8b 05 01 02 03 04",
		"48 66 b8 01 02", // a REX that is not last has no effect
	} {
		decode(t, text)
	}
}

func TestInvalid(t *testing.T) {
	for _, text := range []string{
		"06", "0f 04", "0f 0a", "0f 24 c0", "0f a6 c0", "60", "62 00 00 00 00 00", "82 00 00", "9a", "ce", "d4 00", "d6", "ea",
		"66 c5 f8 77", "48 c5 f8 77", "f0 c5 f8 77", "f3 c4 e2 71 00 c1", "c4 e0 71 00 c1", "c4 e4 71 00 c1",
		"62 f4 7c 48 10 00", "62 f9 7c 48 10 00", "62 f1 78 48 10 00", "8f e8 78 c0 c1 01", "ff f8", "fe d0", "c7 08 01 02 03 04",
		"0f b8 c0", strings.Repeat("66 ", 15) + "90", strings.Repeat("2e", 9) + "c7 84 25 01 02 03 04",
	} {
		code := unhex(t, text)
		if _, err := Decode(append(code, make([]byte, MaxLength)...)); !errors.Is(err, ErrInvalid) {
			t.Errorf("% x: %v", code, err)
		}
	}
}

func TestTruncatedCodeIsAnError(t *testing.T) {
	code := unhex(t, "66 2e 0f 1f 84 00 00 00 00 00")
	for n := range code {
		if _, err := Decode(code[:n]); !errors.Is(err, ErrTruncated) {
			t.Errorf("% x: %v", code[:n], err)
		}
	}
}

func TestInstructionIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Instruction{}); size > 64 {
		t.Errorf("%d bytes", size)
	}
}

func TestSteppable(t *testing.T) {
	for text, want := range map[string]Refusal{
		"90": refusalNone, "0f 05": refusalNone, "f0 48 0f b1 0f": refusalNone, "0f ae e8": refusalNone, "0f 01 f9": refusalNone,
		"0f 01 d0": refusalNone, "62 f1 7c 48 10 00": refusalNone, "f2 0f 79 c1": refusalNone, "8e d8": refusalNone,
		"cc": RefusedTrap, "cd 80": RefusedTrap, "f1": RefusedTrap, "0f 0b": RefusedTrap, "f4": RefusedPrivileged,
		"e4 01": RefusedPrivileged, "ee": RefusedPrivileged, "6c": RefusedPrivileged, "fa": RefusedPrivileged, "0f 01 18": RefusedPrivileged,
		"0f 01 c1": RefusedPrivileged, "0f 30": RefusedPrivileged, "0f 78 c1": RefusedPrivileged, "cb": RefusedFar, "cf": RefusedFar, "48 cf": RefusedFar,
		"ff 28": RefusedFar, "ff 18": RefusedFar, "0f 34": RefusedFar, "0f 07": RefusedFar, "8e d0": RefusedMasking,
		"66 e8 00 00 00 00": RefusedBranchPrefix, "66 c3": RefusedBranchPrefix, "66 66 48 e8 00 00 00 00": refusalNone,
		"66 0f 84 00 00 00 00": RefusedBranchPrefix, "66 ff e0": RefusedBranchPrefix, "f3 e1 00": RefusedBranchPrefix, "f3 e2 00": refusalNone, "c7 f8 00 00 00 00": RefusedTransaction,
	} {
		i := decode(t, text)
		if got := i.refusal(); got != want {
			t.Errorf("%s: refusal %d, want %d", text, got, want)
		}
		if err := i.Steppable(); (err == nil) != (want == refusalNone) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestControlFlow(t *testing.T) {
	type kinds struct{ ret, call, jump, conditional, indirect bool }
	for text, want := range map[string]kinds{
		"c3": {ret: true}, "f3 c3": {ret: true}, "c2 08 00": {ret: true}, "cb": {},
		"e8 00 00 00 00": {call: true}, "ff d0": {call: true, indirect: true}, "ff 15 00 00 00 00": {call: true, indirect: true},
		"e9 00 00 00 00": {jump: true}, "eb 00": {jump: true}, "ff e0": {jump: true, indirect: true}, "3e ff 24 c5 00 00 00 00": {jump: true, indirect: true},
		"74 00": {jump: true, conditional: true}, "0f 84 00 00 00 00": {jump: true, conditional: true}, "e2 00": {jump: true, conditional: true},
		"e3 00": {jump: true, conditional: true}, "c4 e2 f9 f7 c0": {}, "c5 f9 84 c0": {}, "ff 30": {}, "ff e8": {}, "90": {},
	} {
		i := decode(t, text)
		if got := (kinds{i.IsReturn(), i.IsCall(), i.IsJump(), i.Conditional(), i.Indirect()}); got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
	jump := decode(t, "eb fe")
	if !jump.Relative() || jump.Target(0x1000) != 0x1000 {
		t.Errorf("the target of eb fe at 1000 is %#x", jump.Target(0x1000))
	}
	call := decode(t, "e8 00 01 00 00")
	if call.Target(0x1000) != 0x1105 {
		t.Errorf("the target of the call is %#x", call.Target(0x1000))
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"90", "f3 0f 1e fa", "62 f1 7c 48 10 05 01 02 03 04", "c4 e3 71 0f 05 01 02 03 04 08", "66 2e 0f 1f 84 00 00 00 00 00"} {
		f.Add(unhex(f, seed))
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		i, err := Decode(code)
		if err != nil {
			return
		}
		if i.Len() < 1 || i.Len() > min(len(code), MaxLength) {
			t.Fatalf("% x: length %d", code, i.Len())
		}
		if again, err := Decode(code[:i.Len()]); err != nil || again != i {
			t.Errorf("% x: decoded differently without what follows: %v", code, err)
		}
		if _, err := Decode(code[:i.Len()-1]); err != ErrTruncated {
			t.Errorf("% x: a byte less: %v", code, err)
		}
		if o := i.OutOfLine(); o.Length != i.Len() || (o.Scratch != NoScratch) != i.ripRelative() {
			t.Errorf("% x: out of line % x", code, o.Code)
		}
	})
}
