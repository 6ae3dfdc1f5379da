package insn_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"slices"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"slowpath/uprobe/insn"
	"slowpath/uprobe/insn/insntest"
)

// programs are files with much code of different compilers. A test skips those that the
// machine does not have.
var programs = []string{"/bin/busybox", "/lib/x86_64-linux-gnu/libc.so.6", "/usr/local/go/bin/gofmt", "/lib/x86_64-linux-gnu/libm.so.6"}

// found has the results of encodingsOf.
var found = map[string][][]byte{}

// encodingsOf returns the distinct instructions of a program's code, in the short form of the
// tests those of its beginning.
func encodingsOf(t testing.TB, path string) [][]byte {
	t.Helper()
	if all := found[path]; all != nil {
		return all
	}
	limit := 12_000
	if long() {
		limit = math.MaxInt
	}
	all, err := insntest.Encodings(path, limit)
	if errors.Is(err, os.ErrNotExist) {
		t.Logf("%s is missing", path)
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	found[path] = all
	return all
}

// unknown are the opcodes of table 0F about which x86asm is wrong: ENDBR64, INCSSPQ, and MOV
// to and from control and debug registers.
var unknown = []uint8{0x1e, 0xae, 0x20, 0x21, 0x22, 0x23}

// referenceLength returns the length by x86asm, or 0 if x86asm refuses the code or is known
// to be wrong about it.
func referenceLength(code []byte, i *insn.Instruction) int {
	table, opcode := i.Opcode()
	if i.Vector() || table == 1 && slices.Contains(unknown, opcode) {
		return 0
	}
	ref, err := x86asm.Decode(code, 64)
	if err != nil || slices.ContainsFunc(ref.Prefix[:], func(p x86asm.Prefix) bool { return p&x86asm.PrefixInvalid != 0 }) {
		return 0
	}
	if ref.Len == 1 && i.Len() > 1 && isPrefix(code[0]) {
		return 0 // it does not know the instruction after the prefix
	}
	return ref.Len
}

func isPrefix(b byte) bool {
	return b&0xf0 == 0x40 || bytes.IndexByte([]byte{0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3}, b) >= 0
}

func TestLengthsEqualReference(t *testing.T) {
	for _, path := range programs {
		compared := 0
		for _, code := range encodingsOf(t, path) {
			i, err := insn.Decode(code)
			if err != nil {
				continue // the end of the section
			}
			length := referenceLength(code, &i)
			if length == 0 {
				continue
			}
			compared++
			if i.Len() != length {
				t.Errorf("%s: % x: length %d, reference %d", path, code, i.Len(), length)
			}
		}
		t.Logf("%s: %d instructions compared", path, compared)
	}
}

func FuzzLengthEqualsReference(f *testing.F) {
	for _, seed := range []string{"90", "48 b8 01 02 03 04 05 06 07 08", "66 2e 0f 1f 84 00 00 00 00 00", "c7 84 25 01 02 03 04 01 02 03 04"} {
		f.Add(unhex(f, seed))
	}
	f.Fuzz(func(t *testing.T, code []byte) {
		i, err := insn.Decode(code)
		if err != nil {
			return
		}
		if length := referenceLength(code, &i); length != 0 && length != i.Len() {
			t.Errorf("% x: length %d, reference %d", code, i.Len(), length)
		}
	})
}
