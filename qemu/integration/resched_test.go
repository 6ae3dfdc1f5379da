package integration

import (
	"debug/elf"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rescheduleLimit is how many instructions a return to user mode with
// NEED_RESCHED alone may take, from EnterUser's end by the timer's interrupt to
// the program's next instruction.
const rescheduleLimit = 400

// functions are the kernel's, in the order of their addresses.
type functions []elf.Symbol

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

// at returns the name of the function that an address is in.
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

// way is the instructions from one place to user mode, counted by function.
type way struct {
	order []string
	count map[string]int
	total int
	// tick are those of the tick's own accounting, on top of total.
	tick int
	// disturbed is set if the Go runtime did something of its own on the way, if
	// the task came back from another CPU or after another task, or if the
	// interrupt was no tick, so that NEED_RESCHED was not raised.
	disturbed bool
}

func (w *way) add(name string) {
	if w.count[name] == 0 {
		w.order = append(w.order, name)
	}
	w.count[name]++
	w.total++
}

func (w *way) String() string {
	var b strings.Builder
	for _, name := range w.order {
		fmt.Fprintf(&b, "%5d %s\n", w.count[name], name)
	}
	fmt.Fprintf(&b, "%5d in all, and %d of the tick's accounting", w.total, w.tick)
	return b.String()
}

// wayToUser steps the machine from where EnterUser was ended by an interrupt
// until a program runs, or something disturbs the way. What ChargeTicks does is
// the tick's.
func (s *stopped) wayToUser(all functions, ended uint64) (*way, error) {
	w := &way{count: map[string]int{}}
	_, err := s.reach(ended)
	charging := false
	for at := ended; err == nil && int64(at) < 0 && !w.disturbed; at, err = s.step(0, at) {
		switch name := all.at(at); {
		case strings.HasSuffix(name, ".ChargeTicks"):
			charging = true
			w.tick++
		case charging && !strings.HasSuffix(name, "(*Loop).slow"):
			w.tick++
		default:
			charging = false
			w.disturbed = w.disturbed || strings.HasPrefix(name, "runtime.") || strings.HasSuffix(name, ".TakeCPU")
			w.add(name)
		}
	}
	w.disturbed = w.disturbed || !w.passes("(*Scheduler).overloaded")
	return w, err
}

// passes reports whether a function is on the way, by the end of its name.
func (w *way) passes(function string) bool {
	return slices.ContainsFunc(w.order, func(name string) bool { return strings.HasSuffix(name, function) })
}

// undisturbedWay returns a way to user mode on which nothing else came to be
// done. The Go runtime takes the time that steps need for the task's, and
// preempts it.
func undisturbedWay(t testing.TB) *way {
	t.Helper()
	const tries = 200
	all, ended := kernelFunctions(t), kernelSymbol(t, "arch/amd64.justReturn")
	w := &way{disturbed: true}
	got := stopping(t, 1, func(s *stopped) (err error) {
		if err := s.InterruptsInSteps(false); err != nil {
			return err
		}
		for n := 0; n < tries && w.disturbed; n++ {
			for range n % 4 { // ticks of which nobody counts the steps
				if _, err := s.reach(ended); err != nil {
					return err
				}
			}
			if w, err = s.wayToUser(all, ended); err != nil {
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

// TestRescheduleCosts steps through the way from the timer's interrupt to user
// mode: the user loop, the duty and its handler, the recorder, the trampoline.
func TestRescheduleCosts(t *testing.T) {
	w := undisturbedWay(t)
	t.Logf("with NEED_RESCHED alone, out and back:\n%v", w)
	if w.total > rescheduleLimit || w.disturbed {
		t.Errorf("%d instructions, the goal is %d:\n%v", w.total, rescheduleLimit, w)
	}
	for _, part := range []string{"(*Scheduler).overloaded", "(*Recorder).End", "amd64.leave"} {
		if !w.passes(part) {
			t.Errorf("the way does not pass %s", part)
		}
	}
}
