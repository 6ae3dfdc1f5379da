package syscall

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/entry"
)

// TestNumbersOfI386AreLinux compares the table with that of Linux 6.1
// (arch/x86/entry/syscalls/syscall_32.tbl), which strace/decode/calls-i386 lists.
func TestNumbersOfI386AreLinux(t *testing.T) {
	text, err := os.ReadFile("../strace/decode/calls-i386")
	if err != nil {
		t.Fatal(err)
	}
	names := map[int]string{}
	for line := range strings.Lines(string(text)) {
		number, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		names[n] = name
	}
	seen := map[int]bool{}
	for _, r := range Table32() {
		if names[r.Number] != r.Name {
			t.Errorf("row %d is %s, Linux has %q", r.Number, r.Name, names[r.Number])
		}
		if seen[r.Number] {
			t.Errorf("two rows have the number %d", r.Number)
		}
		seen[r.Number] = true
	}
}

// TestEveryRowHasACounterpartInI386: what x86-64 programs can do, i386 programs can do too,
// except for the calls that i386 does not have.
func TestEveryRowHasACounterpartInI386(t *testing.T) {
	only64 := map[string]bool{
		"accept": true, "semget": true, "slowpath_arm": true, "slowpath_exit": true, "slowpath_nil": true, "slowpath_panic": true,
		"newfstatat": true,
	}
	have := map[string]bool{}
	for _, r := range Table32() {
		have[r.Name], have[r.Row] = true, true
	}
	for _, r := range Table() {
		if r.ABI == entry.X86_64 && !have[r.Name] && !only64[r.Name] {
			t.Errorf("%s has no row of i386", r.Name)
		}
	}
}

// TestDispatch32HasTheArgumentsOfEachCall: the sixth argument is read from the stack only for
// a call that has six.
func TestDispatch32HasTheArgumentsOfEachCall(t *testing.T) {
	d := Dispatch32()
	for name, want := range map[string]struct{ number, arguments int }{
		"getppid": {64, 0}, "mmap2": {192, 6}, "pselect6_time64": {413, 6}, "futex": {240, 6}, "read": {3, 3}, "_llseek": {140, 5},
	} {
		if got := d[want.number]; int(got.Arguments) != want.arguments || got.Handler == nil || Name32(want.number) != name {
			t.Errorf("call %d is %s with %d arguments, want %s with %d", want.number, Name32(want.number), got.Arguments, name, want.arguments)
		}
	}
}

// TestHandlersHaveNamesInBothABIs checks the names for calls whose numbers differ.
func TestHandlersHaveNamesInBothABIs(t *testing.T) {
	const read32, close32, socketcall32, mmap2, none = 3, 6, 102, 192, 9999
	for _, c := range []struct {
		number int
		same   int // the 64-bit call with the same handler
	}{{read32, unix.SYS_READ}, {close32, unix.SYS_CLOSE}} {
		if got, want := HandlerName(entry.I386, c.number), HandlerName(entry.X86_64, c.same); got != want || got == "" {
			t.Errorf("call %d of i386 is handled by %q, want %q", c.number, got, want)
		}
	}
	for _, number := range []int{socketcall32, mmap2} {
		if got := HandlerName(entry.I386, number); !strings.HasPrefix(got, "syscall.sys") {
			t.Errorf("call %d of i386 is handled by %q", number, got)
		}
	}
	for _, numbers := range []entry.ABI{entry.I386, entry.X86_64} {
		if got := HandlerName(numbers, none); got != "" {
			t.Errorf("a number without a call is handled by %q", got)
		}
	}
}

// TestCallsWithTimesHaveALayoutOfI386 checks that every call of i386 that takes a time obeys the
// layout of 32-bit programs, in which even a 64-bit time differs: half of its nanoseconds are
// padding (Linux: get_timespec64).
func TestCallsWithTimesHaveALayoutOfI386(t *testing.T) {
	prototypes := map[string]Prototype{}
	for _, p := range Prototypes() {
		prototypes[p.Name] = p
	}
	checked := 0
	for _, r := range Table32() {
		if r.Handler != nil || r.FrameHandler != nil {
			continue
		}
		for _, parameter := range prototypes[r.counterpart()].Parameters {
			if !strings.Contains(parameter.Type, "timespec") && !strings.Contains(parameter.Type, "itimer") && !strings.Contains(parameter.Type, "timeval") {
				continue
			}
			checked++
			if r.Layout == abi.Layout64 {
				t.Errorf("%s has the layout of 64-bit programs, but takes a %s", r.Name, parameter.Type)
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d parameters are times", checked)
	}
}
