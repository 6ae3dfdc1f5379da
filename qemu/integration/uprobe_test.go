package integration

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"slowpath/qemu/gdbstub"
)

// uprobesOutput is the output of the program uprobes. Linux 6.1 differs in three places: a
// string instruction with REP counts each repetition, a debugger's breakpoint on a probed
// instruction does not stop, and a page that MADV_DONTNEED has dropped loses its breakpoint.
const uprobesOutput = `memcmp(buffer, target, sizeof buffer) == 0: yes
200 200 200 1 200 200 hits
load 0, faults 1, si_addr right 1, RIP wrong 0, hits 2
a page that is faulted in counts 1
divide 2, faults 1, RIP wrong 0, hits 2
signals during steps: too many hits 0 0 0 0, in a slot 0, missed in the handler 0 0
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
a crowd: wrong 0; without the page of slots 42, found 1, hits 2
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

// TestSoakProbesComeAndGo adds and removes probes on four CPUs while threads and children
// execute the probed code: no original byte is lost, no SIGTRAP reaches the program, and no
// memory is lost.
func TestSoakProbesComeAndGo(t *testing.T) {
	seconds := choose(5, 1800)
	got := onSlowpath(t, "", "--timeout", fmt.Sprint(4*seconds+120), "--smp", "4", "--mem", "512", program("uprobes"), "soak", fmt.Sprint(seconds))
	check(t, got, result{0, "wrong 0, traps 0, code equal 1, kilobytes lost > 8192: 0\n", ""})
}

// uprobeFlag is the bit UPROBE of the thread flags word, and threadFlagsAt the offset of the
// word in a frame.
const (
	uprobeFlag    = 1 << 12
	threadFlagsAt = 176
)

// TestUprobeAloneDoesNotKeepFromUserMode sets UPROBE alone in the thread flags word of a
// running program, at the return to user mode from each kind of kernel entry. Linux 3.13
// looped there for ever. The duty must be served once, and user mode be entered at once.
func TestUprobeAloneDoesNotKeepFromUserMode(t *testing.T) {
	all, names := trampolines(t), kernelFunctions(t)
	enter := situation{place: "EnterUser"}.find(t, all)
	paths := []struct {
		name, place string
		cause       func(*stopped) error // makes the entry happen, if the program does not
	}{
		{name: "a system call", place: "landing0"},
		{name: "a page fault", place: "stub 14"},
		{name: "a single step", place: "stub 1"},
		{name: "a breakpoint", place: "stub 3"},
		{name: "an invalid opcode", place: "stub 6"},
		{name: "the timer", place: "stub 72"},
		{name: "an NMI", place: "stub 2", cause: (*stopped).nmi},
	}
	got := stopping(t, 1, func(s *stopped) error {
		if err := s.SetStepMode(gdbstub.StepWithoutInterrupts); err != nil {
			return err
		}
		for _, p := range paths {
			if p.cause != nil {
				if err := p.cause(s); err != nil {
					return err
				}
			}
			if _, err := s.reach(situation{place: p.place}.find(t, all).address); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			w, err := s.serveUprobeAlone(names, enter.address)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			if w.total > 5000 || !w.passes("dutyHandler.func1") {
				t.Errorf("after %s the return to user mode is\n%v", p.name, w)
			}
		}
		return nil
	}, program("paranoid"), "2")
	if got.code != 8 || !strings.HasSuffix(got.out, "nothing changed\n") {
		t.Errorf("got %+v", got)
	}
}

// serveUprobeAlone runs the machine until EnterUser is called, sets UPROBE, and steps until
// the program runs. The flag must be clear then.
func (s *stopped) serveUprobeAlone(all functions, enter uint64) (*userPath, error) {
	if _, err := s.reach(enter); err != nil {
		return nil, err
	}
	frame, err := s.argument()
	if err != nil {
		return nil, err
	}
	flags := []byte{0, uprobeFlag >> 8, 0, 0}
	if err := s.WriteMemory(frame+threadFlagsAt, flags); err != nil {
		return nil, err
	}
	w := &userPath{count: map[string]int{}}
	for at := enter; int64(at) < 0; {
		w.add(all.at(at))
		if w.total > 20000 {
			return w, fmt.Errorf("user mode is not reached:\n%v", w)
		}
		if at, err = s.step(0, at); err != nil {
			return w, err
		}
	}
	if flags, err = s.ReadMemory(frame+threadFlagsAt, 4); err == nil && flags[1]&(uprobeFlag>>8) != 0 {
		err = fmt.Errorf("UPROBE is still set")
	}
	return w, err
}

// argument returns the first argument of a function of assembly at its first instruction.
func (s *stopped) argument() (uint64, error) {
	sp, err := s.Read(gdbstub.RSP)
	if err != nil {
		return 0, err
	}
	word, err := s.ReadMemory(sp+8, 8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(word), nil
}
