package unwind

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"

	"slowpath/arch/amd64"
	"slowpath/probe/probetest"
	"slowpath/probe/spec"
	"slowpath/probe/symbols"
)

// opener opens object files of the host.
type opener struct{ t testing.TB }

func (o opener) Open(name string) (*symbols.Object, error) {
	object, err := symbols.Open(probetest.Root("/"), name)
	if err == nil {
		o.t.Cleanup(object.Close)
	}
	return object, err
}

// registers returns the registers in the order of probespec.
func registers(f *amd64.Frame) (b []byte) {
	for _, v := range [...]uint64{f.RAX, f.RDX, f.RCX, f.RBX, f.RSI, f.RDI, f.RBP, f.RSP, f.R8, f.R9, f.R10, f.R11, f.R12, f.R13, f.R14, f.R15, f.RIP} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// stackAt runs a program and returns the names of the functions on the stack at the first
// hit of a place.
func stackAt(t *testing.T, program, place string) []Frame {
	t.Helper()
	object, err := opener{t}.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	s, err := spec.Parse(place)
	if err != nil {
		t.Fatal(err)
	}
	found, err := object.Find(s)
	if err != nil {
		t.Fatal(err)
	}
	u := New(opener{t})
	var stack []Frame
	probetest.Run(t, program, []uint64{found.Sites[0].Address}, func(h *probetest.Hit) []uint64 {
		if stack == nil {
			var bytes []byte
			for at := h.Frame.RSP; len(bytes) < 16<<10; at += 8 {
				var word [8]byte
				if h.Load(at, word[:]) != nil {
					break
				}
				bytes = append(bytes, word[:]...)
			}
			u.Map(1, h.Maps())
			stack = u.Unwind(1, registers(h.Frame), bytes, AtInstruction)
		}
		return nil
	})
	return stack
}

func names(stack []Frame) string {
	var all []string
	for _, f := range stack {
		all = append(all, f.Function)
	}
	return strings.Join(all, " ")
}

const cSource = `#include <signal.h>
#define NO __attribute__((noinline, noclone))
volatile int sink;
NO void inner(int n) { char b[64]; b[n] = n; sink = b[0];
	sink++; }
NO void middle(int n) { volatile int big[300]; big[n] = n; inner(big[n]); sink = 1; }
NO void outer(int n) { middle(n + 1); sink = 2; }
NO void handler(int n) { inner(n); sink = 3; }
int main(void) {
	outer(1);
	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	return 0;
}
`

func TestFramesOfC(t *testing.T) {
	for name, flags := range map[string][]string{
		"optimised": {"-O2"}, "not optimised": {"-O0"}, "frame pointers only": {"-O0", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables"},
	} {
		t.Run(name, func(t *testing.T) {
			program := probetest.C(t, cSource, append(flags, "-no-pie", "-static", "-fno-stack-protector")...)
			for _, place := range []string{"inner", "inner:1"} {
				if got := names(stackAt(t, program, place)); !strings.HasPrefix(got, "inner middle outer main ") {
					t.Errorf("%s: the stack is %s", place, got)
				}
			}
		})
	}
}

func TestFramesBehindASignal(t *testing.T) {
	program := probetest.C(t, cSource, "-O2", "-no-pie", "-static")
	got := names(stackAt(t, program, "handler"))
	if !strings.HasPrefix(got, "handler ") || !strings.Contains(got, " main ") {
		t.Errorf("the stack is %s", got)
	}
}

const goSource = `package main

import "runtime"

func init() { runtime.LockOSThread() }

//go:noinline
func inner(n int) int { var b [100]byte; b[n] = 1; return int(b[0]) + len(b) + leaf(n) }

//go:noinline
func leaf(n int) int { return n + 1 }

//go:noinline
func outer(n int) int { return inner(n) + 1 }

func main() { if outer(3) == 0 { panic("zero") } }
`

func TestFramesOfGo(t *testing.T) {
	for name, flags := range map[string][]string{"with debug information": nil, "stripped": {"-ldflags=-s -w"}} {
		t.Run(name, func(t *testing.T) {
			program := probetest.Go(t, goSource, flags...)
			for place, want := range map[string]string{
				"main.inner": "main.inner main.outer main.main runtime.main runtime.goexit",
				"main.leaf":  "main.leaf main.inner main.outer main.main runtime.main runtime.goexit",
			} {
				if got := names(stackAt(t, program, place)); !strings.HasPrefix(strings.ReplaceAll(got, ".abi0", ""), want) {
					t.Errorf("%s: the stack is %s", place, got)
				}
			}
		})
	}
}

func TestLinesOfFrames(t *testing.T) {
	stack := stackAt(t, probetest.C(t, cSource, "-O0", "-no-pie", "-static"), "inner")
	for i, line := range []int{4, 6, 7, 10} {
		if f := stack[i]; f.Line != line || !strings.HasSuffix(f.File, "p.c") {
			t.Errorf("frame %d is %v, want line %d", i, f, line)
		}
	}
}

func TestInlinedFunctionsHaveFrames(t *testing.T) {
	program := probetest.C(t, `#define IN static inline __attribute__((always_inline))
volatile int sink;
__attribute__((noinline)) void leaf(void) { sink++; }
IN void deep(int n) {
	sink = n;
	leaf();
	sink = 2; }
IN void shallow(int n) {
	deep(n + 1);
	sink = 3; }
__attribute__((noinline)) void outer(int n) {
	shallow(n);
	sink = 4; }
int main(void) { outer(1); return 0; }
`, "-O2", "-no-pie", "-static")
	stack := stackAt(t, program, "leaf")
	if got := names(stack); !strings.HasPrefix(got, "leaf deep shallow outer main ") {
		t.Fatalf("the stack is %s", got)
	}
	for i, line := range []int{3, 6, 9, 12} {
		if stack[i].Line != line || stack[i].Inlined != (i == 1 || i == 2) {
			t.Errorf("frame %d is %v, inlined %v, want line %d", i, stack[i], stack[i].Inlined, line)
		}
	}
}

func TestUnknownCodeIsShownAsAddress(t *testing.T) {
	u := New(opener{t})
	u.Map(1, []byte("1000-2000 r-xp 0 /no/such/file\ngarbage\n"))
	b := registers(&amd64.Frame{RIP: 0x1234, RSP: 8})
	if got := u.Unwind(1, b, nil, AtInstruction); len(got) != 1 || got[0].String() != "0x1234 (file+0x0)" {
		t.Errorf("got %v", got)
	}
	if got := u.Unwind(2, b, nil, AtInstruction); len(got) != 1 || got[0].String() != "0x1234" {
		t.Errorf("got %v", got)
	}
	if got := u.Unwind(1, b[:8], nil, AfterReturn); got != nil {
		t.Errorf("too few registers give %v", got)
	}
}

// FuzzUnwind unwinds stacks of random bytes through a program with all kinds of rules.
func FuzzUnwind(f *testing.F) {
	program := probetest.C(f, cSource, "-O2", "-no-pie", "-static")
	object, err := symbols.Open(probetest.Root("/"), program)
	if err != nil {
		f.Fatal(err)
	}
	defer object.Close()
	content, _ := os.ReadFile(program)
	f.Add(uint64(0x401000), uint64(64), content[:512], []byte("\x30\x31\x22"))
	f.Fuzz(func(t *testing.T, rip, rbp uint64, stack, expression []byte) {
		u := New(single{object})
		u.Map(1, []byte("401000-4a0000 r-xp 1000 program\n"))
		u.Unwind(1, registers(&amd64.Frame{RIP: rip, RBP: rbp, RSP: 16}), stack, AfterReturn)
		(&state{stack: stack}).evaluate(expression, rip)
	})
}

// single opens the same object file under each path.
type single struct{ object *symbols.Object }

func (s single) Open(string) (*symbols.Object, error) { return s.object, nil }
