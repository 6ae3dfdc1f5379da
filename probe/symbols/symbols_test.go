package symbols

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"slowpath/probe/probetest"
	"slowpath/probe/spec"
)

const cSource = `#include <stdio.h>
static inline __attribute__((always_inline)) int twice(int x)
{
	return x + x;
}
__attribute__((noinline)) int add(int a, int b)
{
	int c = a + b;

	return twice(c);
}
static __attribute__((noinline)) int hidden(int a)
{
	return twice(a) + add(a, 1);
}
int main(int argc, char **argv)
{
	printf("%d\n", add(argc, 2) + hidden(argc));
	return argv == 0;
}
`

const goSource = `package main

import (
	"fmt"
	"os"
)

type T struct{ n int }

//go:noinline
func (t *T) Method(s string) int {
	var buffer [2000]byte
	copy(buffer[:], s)
	return int(buffer[0]) + t.n
}

//go:noinline
func leaf(x int) int { return x + 1 }

//go:noinline
func generic[E any](list []E) int { return len(list) }

//go:noinline
func c(x int) int {
	x *= 3
	return x
}

func small(x int) int { return x * x }

func main() {
	t := &T{3}
	fmt.Println(t.Method("hello"), leaf(4), generic([]int{1}), generic([]string{"a"}), c(3), small(len(os.Args)))
}
`

// open opens a program.
func open(t *testing.T, path string) *Object {
	t.Helper()
	o, err := Open(probetest.Root("/"), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	return o
}

// find returns the sites of a spec.
func find(t *testing.T, o *Object, text string) *Found {
	t.Helper()
	s, err := spec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	found, err := o.Find(s)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return found
}

// refuse returns the error of a spec that cannot be found.
func refuse(t *testing.T, o *Object, text string) string {
	t.Helper()
	s, err := spec.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	found, err := o.Find(s)
	if err == nil {
		t.Fatalf("%s is found: %+v", text, found.Sites)
	}
	return err.Error()
}

func TestFunctionsOfC(t *testing.T) {
	for _, flags := range []string{"-O0", "-O2"} {
		t.Run(flags, func(t *testing.T) {
			o := open(t, probetest.C(t, cSource, flags))
			for _, name := range []string{"add", "main", "add%return", "add@p.c"} {
				if f := find(t, o, name); len(f.Sites) != 1 || f.Sites[0].Name != strings.Split(strings.Split(name, "%")[0], "@")[0] || f.Sites[0].DIE() == 0 {
					t.Errorf("%s: %+v", name, f)
				}
			}
			if f := find(t, o, "ad*"); len(f.Sites) != 1 {
				t.Errorf("ad*: %+v", f)
			}
			if f := find(t, o, "add+4"); f.Sites[0].Name != "add+0x4" || f.Sites[0].Entry {
				t.Errorf("add+4: %+v", f)
			}
			if f := find(t, o, "twice"); len(f.Sites) == 0 || f.Sites[0].Copy == 0 || len(f.Notes) != 1 {
				t.Errorf("the inlined copies are %+v", f)
			}
			if text := refuse(t, o, "twice%return"); !strings.Contains(text, "inlined") {
				t.Error(text)
			}
		})
	}
}

func TestLines(t *testing.T) {
	o := open(t, probetest.C(t, cSource, "-O0"))
	add := find(t, o, "add").Sites[0].Function
	for text, line := range map[string]int{"add:2": 8, "add:5": 11, "p.c:11": 11} {
		f := find(t, o, text)
		if len(f.Sites) != 1 || f.Sites[0].Function != add {
			t.Fatalf("%s: %+v", text, f)
		}
		if file, got := o.Line(f.Sites[0].Address); got != line || filepath.Base(file) != "p.c" {
			t.Errorf("%s is at %s:%d, want line %d", text, file, got, line)
		}
	}
	if f := find(t, o, "p.c:4"); len(f.Sites) != 2 {
		t.Errorf("line 4 is inlined twice, but has the sites %+v", f.Sites)
	}
	if text := refuse(t, o, "p.c:9"); !strings.Contains(text, "are 8 and 11") {
		t.Error(text)
	}
	if text := refuse(t, o, "q.c:9"); !strings.Contains(text, "p.c") {
		t.Error(text)
	}
	if text := refuse(t, o, "add:90"); !strings.Contains(text, "counts from") {
		t.Error(text)
	}
}

func TestUnknownFunctionNamesTheNearest(t *testing.T) {
	o := open(t, probetest.C(t, cSource))
	if text := refuse(t, o, "hiden"); !strings.Contains(text, "there are hidden") {
		t.Error(text)
	}
	if text := refuse(t, o, "zz*"); !strings.Contains(text, "no function with a name like zz*") {
		t.Error(text)
	}
	stripped := open(t, probetest.Build(t, "p.c", cSource, "gcc", "-static", "-s", "-o", "@program", "@source"))
	if text := refuse(t, stripped, "add"); !strings.Contains(text, "stripped") {
		t.Error(text)
	}
}

func TestSeveralFunctionsWithOneName(t *testing.T) {
	directory := t.TempDir()
	for name, text := range map[string]string{
		"a.c": "static __attribute__((noinline)) int same(int x) { return x + 1; }\nint a(int x) { return same(x); }\n",
		"b.c": "static __attribute__((noinline)) int same(int x) { return x + 2; }\nint a(int);\nint main(int argc, char **argv) { (void)argv; return same(a(argc)); }\n",
	} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, g := range []string{"-g", "-g0"} {
		program := filepath.Join(directory, "p"+g)
		if out, err := exec.Command("gcc", g, "-O1", "-o", program, filepath.Join(directory, "a.c"), filepath.Join(directory, "b.c")).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		o := open(t, program)
		if text := refuse(t, o, "same"); !strings.Contains(text, "a.c") || !strings.Contains(text, "@FILE") {
			t.Error(text)
		}
		if f := find(t, o, "same@b.c"); len(f.Sites) != 1 {
			t.Errorf("%+v", f)
		}
		if f := find(t, o, "same*"); len(f.Sites) != 2 {
			t.Errorf("%+v", f)
		}
	}
}

func TestFunctionsOfGo(t *testing.T) {
	for name, flags := range map[string][]string{"with symbols": nil, "stripped": {"-ldflags=-s -w"}} {
		t.Run(name, func(t *testing.T) {
			o := open(t, probetest.Go(t, goSource, flags...))
			method := find(t, o, "main.(*T).Method").Sites[0]
			if method.Address == method.Function.Address || !method.Entry || !method.Function.Go {
				t.Errorf("the probe is not behind the stack check: %+v", method)
			}
			if leaf := find(t, o, "main.leaf").Sites[0]; leaf.Address != leaf.Function.Address {
				t.Errorf("a function without a stack check has its probe at +%d", leaf.Address-leaf.Function.Address)
			}
			if f := find(t, o, "main.(*T).Method%return").Sites[0]; f.Address != f.Function.Address {
				t.Errorf("%+v", f)
			}
			if all := find(t, o, "*"); len(all.Sites) < 1000 {
				t.Errorf("* finds %d functions", len(all.Sites))
			}
			if f := find(t, o, "main.generic[...]"); len(f.Sites) != 2 {
				t.Errorf("the instances of a generic function are %+v", f.Sites)
			}
			if f := find(t, o, "runtime.mallocgc"); len(f.Sites) == 0 {
				t.Error("runtime.mallocgc has no site")
			}
		})
	}
}

func TestGoFunctionThatLooksLikeAFile(t *testing.T) {
	o := open(t, probetest.Go(t, goSource))
	if f := find(t, o, "main.c:1"); len(f.Sites) != 1 || f.Sites[0].Function.Name() != "main.c" {
		t.Errorf("%+v", f)
	}
	if f := find(t, o, "main.small"); len(f.Sites) == 0 || f.Sites[0].Copy == 0 {
		t.Errorf("the inlined copies of a Go function are %+v", f)
	}
}

func TestColdPartsAreNoFunctions(t *testing.T) {
	o := open(t, probetest.C(t, `#include <stdlib.h>
__attribute__((noinline, cold)) void rare(int n) { exit(n); }
__attribute__((noinline)) int often(int n) { if (__builtin_expect(n > 100, 0)) { rare(n); rare(n + 1); } return n + 1; }
int main(int argc, char **argv) { (void)argv; return often(argc); }
`, "-O2"))
	for _, site := range find(t, o, "*").Sites {
		if isCold(site.Name) {
			t.Errorf("%s has a probe", site.Name)
		}
	}
	if !slices.ContainsFunc(o.functions().functions, func(f *Function) bool { return isCold(f.Name()) }) {
		t.Skip("the compiler has made no cold part")
	}
}

func TestEveryInstruction(t *testing.T) {
	o := open(t, probetest.C(t, cSource, "-O1"))
	add := find(t, o, "add").Sites[0].Function
	sites := find(t, o, "add+*").Sites
	last := sites[len(sites)-1]
	if sites[0].Address != add.Address || last.Address < add.Address+1 || last.Address >= add.Address+add.Size || len(sites) < 2 {
		t.Errorf("the instructions are %+v", sites)
	}
	if code := o.Code(last.Address, 1); code[0] != 0xc3 {
		t.Errorf("the last instruction is %#x, not RET", code[0])
	}
}

func TestFunctionsOfCPlusPlus(t *testing.T) {
	o := open(t, probetest.Build(t, "p.cc", `namespace ns { struct C { int n; int method(int); }; }
__attribute__((noinline)) int ns::C::method(int x) { return x + n; }
__attribute__((noinline)) int over(int x) { return x; }
__attribute__((noinline)) int over(long x) { return x; }
int main(int argc, char **) { ns::C c{2}; return c.method(argc) + over(1) + over(2L); }
`, "g++", "-g", "-O1", "-o", "@program", "@source"))
	for _, name := range []string{"ns::C::method", "C::method", "method", "_ZN2ns1C6methodEi"} {
		if f := find(t, o, name); len(f.Sites) != 1 || f.Sites[0].Name != "ns::C::method" {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if text := refuse(t, o, "over"); !strings.Contains(text, "2 functions") {
		t.Error(text)
	}
	if f := find(t, o, "_Z4overl"); len(f.Sites) != 1 {
		t.Errorf("%+v", f)
	}
}

func TestFunctionsOfRust(t *testing.T) {
	o := open(t, probetest.Build(t, "p.rs", `mod inner { #[inline(never)] pub fn work(x: u64) -> u64 { x.wrapping_mul(3) } }
fn main() { println!("{}", inner::work(std::env::args().count() as u64)); }
`, "rustc", "-g", "-o", "@program", "@source"))
	for _, name := range []string{"p::inner::work", "inner::work"} {
		if f := find(t, o, name); len(f.Sites) != 1 || !strings.HasSuffix(f.Sites[0].Name, "inner::work") {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestSeparateDebugFile(t *testing.T) {
	program := probetest.C(t, cSource, "-Wl,--build-id")
	debug := program + ".debug"
	for _, c := range [][]string{
		{"objcopy", "--only-keep-debug", program, debug},
		{"objcopy", "--strip-all", "--add-gnu-debuglink=" + debug, program},
	} {
		cmd := exec.Command(c[0], c[1:]...)
		cmd.Dir = filepath.Dir(program)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v %s", c, err, out)
		}
	}
	o := open(t, program)
	if f := find(t, o, "hidden"); len(f.Sites) != 1 || f.Sites[0].DIE() == 0 {
		t.Errorf("%+v", f)
	}
	root := t.TempDir()
	id := buildID(o.file)
	directory := filepath.Join(root, debugDirectory, ".build-id", hex(id[:1]))
	os.MkdirAll(directory, 0o755)
	os.Rename(debug, filepath.Join(directory, hex(id[1:])+".debug"))
	os.Rename(program, filepath.Join(root, "program"))
	moved, err := Open(probetest.Root(root), "/program")
	if err != nil {
		t.Fatal(err)
	}
	defer moved.Close()
	if f := find(t, moved, "hidden"); len(f.Sites) != 1 {
		t.Errorf("%+v", f)
	}
}

func hex(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

func TestStackCheckIsRecognised(t *testing.T) {
	for name, c := range map[string]struct {
		code []byte
		want int
	}{
		"small":     {[]byte{0x49, 0x3b, 0x66, 0x10, 0x76, 0x20, 0x55}, 6},
		"near jump": {[]byte{0x49, 0x3b, 0x66, 0x10, 0x0f, 0x86, 1, 2, 0, 0, 0x55}, 10},
		"large":     {[]byte{0x4c, 0x8d, 0xa4, 0x24, 0, 0xf0, 0xff, 0xff, 0x4d, 0x3b, 0x66, 0x10, 0x76, 0x20}, 14},
		"none":      {[]byte{0x55, 0x48, 0x89, 0xe5}, 0},
		"cut short": {[]byte{0x49, 0x3b, 0x66, 0x10, 0x76}, 0},
		"empty":     {nil, 0},
	} {
		if got := afterStackCheck(c.code); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}

func TestIndirectFunctionsAreRefused(t *testing.T) {
	o := open(t, probetest.C(t, `static int one(void) { return 1; }
static int (*resolve(void))(void) { return one; }
int chosen(void) __attribute__((ifunc("resolve")));
int main(void) { return chosen(); }
`, "-static"))
	if text := refuse(t, o, "chosen"); !strings.Contains(text, "IFUNC") {
		t.Error(text)
	}
	if f := find(t, o, "*"); len(f.Notes) == 0 {
		t.Error("there is no note about functions that were left out")
	}
}

// FuzzObject changes bytes of a program: parsing must not panic.
func FuzzObject(f *testing.F) {
	program, err := os.ReadFile(probetest.C(f, cSource, "-O1", "-gz=none"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(0x20), uint64(1<<40), uint32(0))
	f.Fuzz(func(t *testing.T, at uint32, value uint64, cut uint32) {
		damaged := bytes.Clone(program)
		for i := range 8 {
			damaged[(int(at)+i)%len(damaged)] ^= byte(value >> (8 * i))
		}
		if cut%8 == 1 {
			damaged = damaged[:len(damaged)-int(cut)%len(damaged)]
		}
		o, err := New("program", bytes.NewReader(damaged), int64(len(damaged)))
		if err != nil {
			return
		}
		for _, text := range []string{"add", "twice", "add:2", "*", "p.c:10"} {
			s, _ := spec.Parse(text)
			o.Find(s)
		}
	})
}
