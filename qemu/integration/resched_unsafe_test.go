package integration

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/qemu/gdbstub"
	"slowpath/task"
)

// rescheduleLimit is the maximum number of instructions of a return to user mode
// with only NEED_RESCHED set, from the return of EnterUser after a timer interrupt to
// the program's next instruction.
const rescheduleLimit = 385

// functions are the kernel's functions, sorted by address.
type functions []elf.Symbol

// kernelFunctions returns the functions in the kernel's symbol table.

func kernelFunctions(t testing.TB) functions {
	t.Helper()
	raw, err := elf.Open(filepath.Join(binaries, "kernel.raw"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	symbols, err := raw.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	all := slices.DeleteFunc(symbols, func(s elf.Symbol) bool { return elf.ST_TYPE(s.Info) != elf.STT_FUNC })
	slices.SortFunc(all, func(a, b elf.Symbol) int { return int(int64(a.Value - b.Value)) })
	return all
}

// at returns the name of the function that contains an address.
func (f functions) at(address uint64) string {
	i, found := slices.BinarySearchFunc(f, address, func(s elf.Symbol, a uint64) int { return int(int64(s.Value - a)) })
	if !found {
		i--
	}
	if i < 0 {
		return ""
	}
	return f[i].Name
}

// disturbers are the functions of events that do not belong to the path: the task moves
// to another CPU, the kernel takes a page fault on memory of its heap that it uses for
// the first time, or another task waits for the CPU, such as the reader of the program.
var disturbers = []string{".TakeCPU", "goos.trapEntry", "(*Scheduler).mustLeave"}

// userPath counts the instructions on a path to user mode by function.
type userPath struct {
	order []string // the functions in the order of their first instruction
	count map[string]int
	total int // without those of the tick's accounting
	tick  int // instructions of the tick's accounting

	// disturbed is set if the Go runtime or one of the disturbers ran on the path, or if
	// NEED_RESCHED was not served.
	disturbed bool
}

func (w *userPath) add(name string) {
	if w.count[name] == 0 {
		w.order = append(w.order, name)
	}
	w.count[name]++
	w.total++
}

// String lists the functions with their instruction counts.
func (w *userPath) String() string {
	var b strings.Builder
	for _, name := range w.order {
		fmt.Fprintf(&b, "%5d %s\n", w.count[name], name)
	}
	fmt.Fprintf(&b, "%5d in all, and %d of the tick's accounting", w.total, w.tick)
	return b.String()
}

// pathToUser single-steps the machine from the address ended, at which EnterUser
// returns after an interrupt, until a program runs or the path is disturbed. It
// counts the instructions of ChargeTicks separately.
func (s *stopped) pathToUser(all functions, ended uint64) (*userPath, error) {
	w := &userPath{count: map[string]int{}}
	_, err := s.reach(ended)
	charging := false
	for at := ended; err == nil && int64(at) < 0 && !w.disturbed; at, err = s.step(0, at) {
		switch name := all.at(at); {
		case strings.HasSuffix(name, ".AfterInterrupt") && w.count[name] == 0:
			err = s.raiseResched()
			w.add(name)
		case strings.HasSuffix(name, ".ChargeTicks"):
			charging = true
			w.tick++
		case charging && !strings.HasSuffix(name, ".AfterInterrupt"):
			w.tick++
		default:
			charging = false
			w.disturbed = w.disturbed || strings.HasPrefix(name, "runtime.") ||
				slices.ContainsFunc(disturbers, func(f string) bool { return strings.HasSuffix(name, f) })
			w.add(name)
		}
	}
	w.disturbed = w.disturbed || !w.passes("(*Scheduler).NeedsReschedule")
	return w, err
}

// raiseResched sets NEED_RESCHED in the flags of the task whose method AfterInterrupt the
// machine has just entered. The scheduler raises it only if another task is to run, so it is
// never alone otherwise, except if that task is taken by another CPU first.
func (s *stopped) raiseResched() error {
	task, err := s.Read(gdbstub.RAX)
	if err != nil {
		return err
	}
	frame, err := s.word(task + uint64(unsafe.Offsetof(task64.Thread)+unsafe.Offsetof(task64.Thread.Frame)))
	if err != nil {
		return err
	}
	flags := frame + uint64(unsafe.Offsetof(task64.Frame.ThreadFlags))
	return s.WriteMemory(flags, binary.LittleEndian.AppendUint32(nil, uint32(entry.NeedResched)))
}

// task64 is only for the offsets of its fields.
var task64 = task.Task{Thread: entry.Thread{Frame: new(amd64.Frame)}}

// word reads eight bytes of memory.
func (s *stopped) word(address uint64) (uint64, error) {
	b, err := s.ReadMemory(address, 8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// passes reports whether a function is on the path, by the end of its name.
func (p *userPath) passes(function string) bool {
	return slices.ContainsFunc(p.order, func(name string) bool { return strings.HasSuffix(name, function) })
}

// undisturbedPath returns a path to user mode that was not disturbed. It takes
// several tries, because single steps take so much time that the Go runtime
// preempts the task.
func undisturbedPath(t testing.TB) *userPath {
	t.Helper()
	const tries = 200
	all, ended := kernelFunctions(t), kernelSymbol(t, "arch/amd64.justReturn")
	w := &userPath{disturbed: true}
	got := stopping(t, 1, func(s *stopped) (err error) {
		if err := s.SetStepMode(gdbstub.StepWithoutInterrupts); err != nil {
			return err
		}
		for n := 0; n < tries && w.disturbed; n++ {
			for range n % 4 { // let some ticks pass without single steps
				if _, err := s.reach(ended); err != nil {
					return err
				}
			}
			if w, err = s.pathToUser(all, ended); err != nil {
				return err
			}
		}
		return nil
	}, program("spin"))
	if got.code != 0 {
		t.Errorf("got %+v", got)
	}
	return w
}

// TestRescheduleMeetsInstructionGoal counts the instructions from a timer interrupt
// to user mode: the user loop, the duty and its handler, the recorder, the
// trampoline.
func TestRescheduleMeetsInstructionGoal(t *testing.T) {
	w := undisturbedPath(t)
	t.Logf("a return to user mode with only NEED_RESCHED set:\n%v", w)
	if w.total > rescheduleLimit || w.disturbed {
		t.Errorf("%d instructions, more than the goal of %d:\n%v", w.total, rescheduleLimit, w)
	}
	for _, part := range []string{"(*Scheduler).NeedsReschedule", "(*Recorder).End", "amd64.leave"} {
		if !w.passes(part) {
			t.Errorf("the path does not include %s", part)
		}
	}
}
