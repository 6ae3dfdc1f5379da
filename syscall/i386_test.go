package syscall

import (
	"os"
	"strconv"
	"strings"
	"testing"

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
