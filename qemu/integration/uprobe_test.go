package integration

import (
	"fmt"
	"testing"
)

// uprobesOutput is the output of the program uprobes. Linux 6.1 differs in three places: a
// string instruction with REP counts each repetition, a debugger's breakpoint on a probed
// instruction does not stop, and a page that MADV_DONTNEED has dropped loses its breakpoint.
const uprobesOutput = `memcmp(buffer, target, sizeof buffer) == 0: yes
200 200 200 1 200 200 hits
load 0, faults 1, si_addr right 1, RIP wrong 0, hits 2
a page that is faulted in counts 1
divide 2, faults 1, RIP wrong 0, hits 2
signals during steps: too many hits 0 0 0 0, in a slot 0
CALL(any_call, SYS_getppid, 0, 0, 0) == getppid(): yes
CALL(any_call, 1000, 0, 0, 0) == -ENOSYS: yes
a child of a probed fork ended with 500
executed
a probed execve ended with 400
a restarted read: 1 x, interrupted 1
plain == probed: yes
steps of a tracer: 67 and 67, equal 1
PEEK shows 90, then cc
afterwards 1
ours: the debugger's breakpoint stops with 5 at 1
ours: a step over it stops with 5 at 1, hits 1
threads died in their steps
after mprotect 2
CALL(a, 6, 7, 0, 0) == 42: yes
CALL(b, 6, 7, 0, 0) == 42: yes
CALL(b, 6, 7, 0, 0) == 42: yes
CALL(a, 6, 7, 0, 0) == 42: yes
CALL(s, 6, 7, 0, 0) == 42: yes
a file of its own: 4 hits, shared byte f, private byte cc
after the truncation status 7
child of replaced returns: 700
2100 0 100 200 100 51 returns
3 returns on two stacks
64 of 101 nested returns
a child has 100
semaphore 0 1 0
added and removed: wrong 0, code equal 1
byte cc: 524
byte f4: 524
byte cd: 524
byte f1: 524
byte 6: 524
byte cf: 524
`

// TestProbedProgramsRunAsWithoutProbes puts probes on instructions of all kinds, in
// signals, system calls, steps of a tracer, threads that die, and changes of the memory.
func TestProbedProgramsRunAsWithoutProbes(t *testing.T) {
	for _, n := range processors {
		t.Run(fmt.Sprintf("smp%d", n), func(t *testing.T) {
			check(t, onSlowpath(t, "", "--smp", fmt.Sprint(n), program("uprobes")), result{0, uprobesOutput, ""})
		})
	}
}
