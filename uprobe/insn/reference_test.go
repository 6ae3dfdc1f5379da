package insn

import (
	"debug/elf"
	"os"
	"slices"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// programs are files with much code of different compilers. A test skips those that the
// machine does not have.
var programs = []string{"/bin/busybox", "/lib/x86_64-linux-gnu/libc.so.6", "/usr/local/go/bin/gofmt", "/lib/x86_64-linux-gnu/libm.so.6"}

// encodingsOf returns the distinct instructions of a program's code, each with what follows it up to
// MaxLength bytes. It decodes from the beginning of the section, so it also has
// what is no code, such as tables.
func encodingsOf(t testing.TB, path string) [][]byte {
	t.Helper()
	file, err := elf.Open(path)
	if os.IsNotExist(err) {
		t.Logf("%s is missing", path)
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text, err := file.Section(".text").Data()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	var all [][]byte
	for at := 0; at < len(text); {
		i, err := Decode(text[at:])
		if err != nil {
			at++
			continue
		}
		if code := text[at : at+i.Len()]; !seen[string(code)] {
			seen[string(code)] = true
			all = append(all, text[at:min(at+MaxLength, len(text))])
		}
		at += i.Len()
	}
	return all
}

// referenceLength returns the length by x86asm, or 0 if x86asm refuses the code or is known
// to be wrong about it.
func referenceLength(code []byte, i *Instruction) int {
	newer := i.has(prefixRepeat) && (i.is(map0F, 0x1e, 0x1e) || i.is(map0F, 0xae, 0xae)) // ENDBR64, INCSSPQ
	if i.encoding != legacy || newer || i.layout == controlRegister {
		return 0
	}
	ref, err := x86asm.Decode(code, 64)
	if err != nil || slices.ContainsFunc(ref.Prefix[:], func(p x86asm.Prefix) bool { return p&x86asm.PrefixInvalid != 0 }) {
		return 0
	}
	if lonePrefix := prefixOf[code[0]] != 0 || code[0]&0xf0 == rexPresent; ref.Len == 1 && lonePrefix {
		return 0 // it does not know the instruction after the prefix
	}
	return ref.Len
}

func TestLengthsEqualReference(t *testing.T) {
	for _, path := range programs {
		compared := 0
		for _, code := range encodingsOf(t, path) {
			i, err := Decode(code)
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
		i, err := Decode(code)
		if err != nil {
			return
		}
		if length := referenceLength(code, &i); length != 0 && length != i.Len() {
			t.Errorf("% x: length %d, reference %d", code, i.Len(), length)
		}
	})
}
