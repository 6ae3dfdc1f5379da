package function

import (
	"bytes"
	"debug/elf"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"slowpath/uprobe/insn"
)

// open opens a file as an Image.
func open(t testing.TB, path string) *Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	i, err := Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// run runs a tool, and skips the test if the machine does not have it.
func run(t testing.TB, name string, arguments ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skip(err)
	}
	if out, err := exec.Command(name, arguments...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

const source = `
#include <stdlib.h>
#include <string.h>
int printf(const char *, ...);
__attribute__((noipa)) int leaf(int a) { return a * 3; }
__attribute__((noipa)) int tail(int a) { return leaf(a + 1); }
__attribute__((noipa)) int external(char *a) { return atoi(a); }
int conditional(int a);
asm(".text\n.globl conditional\n.type conditional, @function\nconditional: test %edi, %edi\njne leaf\nret\n.size conditional, .-conditional\n");
__attribute__((noipa)) int table(int a) {
	switch (a) { case 0: return leaf(7); case 1: return tail(3); case 2: return 9; case 3: return leaf(12) + 1; case 4: return 77; case 5: return conditional(1); }
	return 0;
}
__attribute__((noipa, cold)) void report(int a) { printf("%d\n", a); }
__attribute__((noipa)) int cold(int a, int *b) {
	for (int n = 0; n < a; n++) {
		if (__builtin_expect(b[n] > 100, 0)) { report(n); report(b[n]); b[n] = a; }
		b[n] += leaf(n);
	}
	return b[0];
}
__attribute__((noipa)) int failing(int *a) { if (__builtin_expect(!a, 0)) abort(); return *a; }
__attribute__((noipa, noreturn)) void forever(void) { for (;;) leaf(1); }
__attribute__((noipa)) void indirect(void (*f)(void)) { f(); }
int main(int c, char **v) {
	int data[4] = {1, 2, 3, c};
	if (c > 9) forever();
	indirect((void (*)(void))main);
	return tail(c) + external(v[0]) + conditional(c) + table(c) + cold(4, data) + failing(data);
}
`

// compile compiles the source. It returns the program, and the program without symbols.
func compile(t testing.TB, flags ...string) (string, string) {
	t.Helper()
	dir := t.TempDir()
	c, program := filepath.Join(dir, "a.c"), filepath.Join(dir, "a")
	if err := os.WriteFile(c, []byte(source), 0o666); err != nil {
		t.Fatal(err)
	}
	run(t, "gcc", append(flags, "-O2", "-fcf-protection", "-o", program, c)...)
	run(t, "strip", "-o", program+".stripped", program)
	return program, program + ".stripped"
}

// named returns the function with a name.
func named(t *testing.T, i *Image, name string) Function {
	t.Helper()
	for _, s := range i.symbols.all {
		if n, _ := i.symbols.name(i.file, s); n == name {
			f, err := i.At(s.start)
			if err != nil || f.Name != name || f.Start != s.start {
				t.Fatalf("%+v, %v", f, err)
			}
			return f
		}
	}
	t.Fatalf("no function %s", name)
	return Function{}
}

func TestKindsOfExits(t *testing.T) {
	program, _ := compile(t)
	i := open(t, program)
	for name, want := range map[string][]Kind{
		"leaf":        {Return},
		"tail":        {TailJump},
		"external":    nil, // strtol in the linkage table, or inline
		"conditional": {ConditionalTailJump, Return},
		"forever":     {},
		"failing":     {Return},
		"indirect":    {IndirectJump},
	} {
		l, err := i.Layout(named(t, i, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		kinds := []Kind{}
		for _, e := range l.Exits {
			kinds = append(kinds, e.Kind)
		}
		slices.Sort(kinds)
		slices.Sort(want)
		if want != nil && !slices.Equal(kinds, want) {
			t.Errorf("%s: exits %v, want %v", name, kinds, want)
		}
	}
	table, err := i.Layout(named(t, i, "table"))
	if err != nil || !slices.ContainsFunc(table.Exits, func(e Exit) bool { return e.Kind == IndirectJump }) {
		t.Errorf("the jump table has exits %v, %v", table.Exits, err)
	}
}

func TestColdPartBelongsToFunction(t *testing.T) {
	program, stripped := compile(t)
	for _, path := range []string{program, stripped} {
		symbols := open(t, program)
		i := open(t, path)
		f, err := i.At(named(t, symbols, "cold").Start)
		if err != nil {
			t.Fatal(err)
		}
		l, err := i.Layout(f)
		if err != nil || len(l.Parts) != 2 {
			t.Fatalf("%s: parts %x, %v", path, l.Parts, err)
		}
		if len(l.Exits) != 1 || l.Exits[0].Kind != Return {
			t.Errorf("%s: exits %v", path, l.Exits)
		}
	}
}

// TestStrippedFileHasSameExits compares the analysis by symbols with that by call frame
// information, for all functions of a static program with the C library.
func TestStrippedFileHasSameExits(t *testing.T) {
	program, stripped := compile(t, "-static")
	with, without := open(t, program), open(t, stripped)
	compared := 0
	for _, s := range with.symbols.all {
		f, err := with.At(s.start)
		if err != nil {
			t.Fatal(err)
		}
		g, err := without.At(s.start)
		if err != nil || f.Start != g.Start || f.End != g.End {
			continue // without call frame information, or of assembly
		}
		if g.Name != "" || g.Go {
			t.Fatalf("%+v in a file without symbols", g)
		}
		a, errA := with.Layout(f)
		b, errB := without.Layout(g)
		if errA != nil && errors.Is(errA, ErrNotDecoded) || errB != nil {
			continue
		}
		compared++
		if errA != nil || !slices.Equal(a.Exits, b.Exits) {
			t.Errorf("%s: %v, without symbols %v; %v", f.Name, a.Exits, b.Exits, errA)
		}
	}
	if all := len(with.symbols.all); compared < all*9/10 {
		t.Errorf("only %d of %d functions compared", compared, all)
	}
}

// TestGoFunctions decodes every fourth function of this test.
func TestGoFunctions(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	i := open(t, program)
	if !i.Go() || i.golang.count < 1000 {
		t.Fatalf("%d functions of Go", i.golang.count)
	}
	all, decoded, checked, named := 0, 0, 0, false
	for n := uint64(0); n < i.golang.count; n++ {
		address, err := i.golang.entry(i.file, n)
		if err != nil {
			t.Fatal(err)
		}
		offset, ok := i.offset(address)
		if !ok {
			t.Fatalf("function %d is at %#x", n, address)
		}
		f, err := i.At(offset)
		if err != nil || !f.Go || f.Start != offset {
			t.Fatalf("%+v, %v", f, err)
		}
		named = named || f.Name == "slowpath/uprobe/function.TestGoFunctions"
		if n%4 != 0 {
			continue
		}
		all++
		if _, err := i.Layout(f); err == nil {
			decoded++
		}
		if body, err := i.Body(f); err != nil || body < f.Start || body > f.End {
			t.Errorf("%s: body %#x, %v", f.Name, body, err)
		} else if body > f.Start {
			checked++
		}
	}
	if !named {
		t.Error("this test is not among the functions")
	}
	if decoded < all-10 || checked < all/2 {
		t.Errorf("%d functions, %d of them decoded, %d with a check of the stack", all, decoded, checked)
	}
}

// TestReturnsAreExits compares the extents of functions of Go with the symbols, and their
// exits with the returns in their code.
func TestReturnsAreExits(t *testing.T) {
	program := goCommand(t)
	i := open(t, program)
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil {
		t.Skip(err)
	}
	for _, s := range symbols {
		if !strings.HasPrefix(s.Name, "fmt.") || elf.ST_TYPE(s.Info) != elf.STT_FUNC {
			continue
		}
		offset, _ := i.offset(s.Value)
		f, err := i.At(offset)
		if err != nil || f.Name != s.Name || f.End-f.Start < s.Size {
			t.Fatalf("%s: %+v, %v", s.Name, f, err)
		}
		l, err := i.Layout(f)
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		code, _ := i.file.bytes(f.Start, f.End-f.Start)
		for at := 0; at < len(code); {
			in, err := insn.Decode(code[at:])
			if err != nil {
				t.Fatal(err)
			}
			if in.IsReturn() && !slices.Contains(l.Exits, Exit{f.Start + uint64(at), Return}) {
				t.Errorf("%s: the return at %#x is no exit", s.Name, at)
			}
			at += in.Len()
		}
	}
}

func TestGoIsKnownWithoutSections(t *testing.T) {
	data, err := os.ReadFile(goCommand(t))
	if err != nil {
		t.Fatal(err)
	}
	clear(data[60:64]) // e_shnum, e_shstrndx
	i, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil || !i.Go() {
		t.Fatalf("Go: %v, %v", i.Go(), err)
	}
	text := i.segments[0].offset + 4096
	if f, err := i.At(text); !errors.Is(err, ErrUnknown) {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestOffsetOutsideCodeIsUnknown(t *testing.T) {
	program, _ := compile(t)
	i := open(t, program)
	for _, offset := range []uint64{0, 16, 1 << 40, ^uint64(0)} {
		if f, err := i.At(offset); !errors.Is(err, ErrUnknown) {
			t.Errorf("offset %#x: %+v, %v", offset, f, err)
		}
	}
}

// goCommand returns the path of the go command, a large program of Go.
func goCommand(t *testing.T) string {
	path := filepath.Join(runtime.GOROOT(), "bin", "go")
	if _, err := os.Stat(path); err != nil {
		t.Skip(err)
	}
	return path
}

func TestOpenTakesLittleMemory(t *testing.T) {
	program := goCommand(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	i := open(t, program)
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 || !i.Go() {
		t.Errorf("%d bytes allocated", used)
	}
}

// examine calls everything for some offsets of a file.
func examine(data []byte) {
	i, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return
	}
	for offset := 0; offset < len(data); offset += 64 {
		f, err := i.At(uint64(offset))
		if err != nil {
			continue
		}
		i.Layout(f)
		i.Body(f)
	}
}

// TestDamagedFiles changes bytes of programs at random.
func TestDamagedFiles(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 9))
	for _, original := range smallPrograms(t) {
		for range 1000 {
			data := bytes.Clone(original)
			for range 1 + r.IntN(4) {
				// The tables are at the ends.
				at := r.IntN(len(data))
				if r.IntN(2) == 0 {
					at = r.IntN(512)
				} else if r.IntN(2) == 0 {
					at = len(data) - 1 - r.IntN(min(4096, len(data)))
				}
				data[at] = byte(r.Uint32())
			}
			examine(data[:len(data)-r.IntN(2)*r.IntN(len(data))])
		}
	}
}

// smallPrograms returns a program of C, with and without symbols.
func smallPrograms(t testing.TB) [][]byte {
	t.Helper()
	program, stripped := compile(t, "-nostartfiles", "-Wl,-emain", "-Wl,-z,noseparate-code")
	var all [][]byte
	for _, path := range []string{program, stripped} {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data)
	}
	return all
}

func FuzzOpen(f *testing.F) {
	for _, data := range smallPrograms(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { examine(data) })
}
