package syscall

import "testing"

// TestI386CallsKnowTheirArguments: a call with too few would not get the last ones.
func TestI386CallsKnowTheirArguments(t *testing.T) {
	d := Dispatch32()
	for name, want := range map[string]uint8{
		"getpid": 0, "getppid": 0, "sched_yield": 0, "fork": 0, "exit": 1, "brk": 1, "dup2": 2, "read": 3, "write": 3,
		"clone": 5, "mmap2": 6, "futex": 6, "ipc": 6,
	} {
		for _, r := range Table32() {
			if c := d[r.Number]; r.Name == name && c.Arguments < want || r.Name == name && want == 0 && c.Arguments != 0 {
				t.Errorf("%s has %d arguments, want %d", name, c.Arguments, want)
			}
		}
	}
}
