package integration

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// The vectors of which the program paranoid has the stubs run: it steps, has
// breakpoints and wrong instructions, touches fresh pages and is interrupted.
var busyVectors = []uint64{1, 3, 6, vectorPageFault, vectorTimer}

const (
	vectorTimer = 0x48
	vectorIPI   = 0x49
)

// notSwept are the places that a sweep does not come to, with the reason.
var notSwept = map[string]string{
	"paranoidTrap":       "it serves the NMIs themselves: see TestNMIWithinNMI",
	"paranoidTrap.fatal": "the machine ends: see TestMachineCheckInTheKernel",
	"fatalTrap":          "the machine ends: see TestMachineCheckInTheKernel",
	"trap.nested":        "the machine ends: see TestFaultInTheLowestLayer",
	"loadFS":             "the program keeps its segment selectors",
	"readFSBase":         "the processor has FSGSBASE",
	"writeFSBase":        "the processor has FSGSBASE",
}

// reasonNotSwept returns why no sweep on so many CPUs comes to a place, or
// nothing if one must.
func reasonNotSwept(place string, cpus int) string {
	var n uint64
	if _, err := fmt.Sscanf(place, "landing%d", &n); err == nil && n >= uint64(cpus) {
		return "the landing of a CPU that is not there"
	}
	if _, err := fmt.Sscanf(place, "stub %d", &n); err != nil {
		return notSwept[place]
	}
	if slices.Contains(busyVectors, n) || n == vectorIPI && cpus > 1 {
		return ""
	}
	return "the program has no cause for this vector"
}

// sweep injects an NMI at every instruction of a set, each as soon as a CPU
// comes there.
type sweep struct {
	*stopped
	cpus     int
	left     map[uint64]instruction // where none was injected yet in this round
	injected int
	held     int // came while their CPU was serving one, and had to wait for its end
}

// round injects at all of the instructions, in the order in which the machine
// comes to them.
func (w *sweep) round(all []instruction) error {
	w.left = map[uint64]instruction{}
	for _, i := range all {
		w.left[i.address] = i
		if err := w.Insert(i.address); err != nil {
			return err
		}
	}
	for len(w.left) > 0 {
		if err := w.one(); err != nil {
			return fmt.Errorf("%w; not reached are %v", err, slices.Sorted(maps.Keys(placesIn(w.left))))
		}
	}
	return nil
}

// one injects at the next instruction that a CPU comes to. On one CPU the NMI
// must be taken there. On several, each gets all NMIs, and may be serving that
// of another when it comes there: then the instruction stays in the set.
func (w *sweep) one() error {
	cpu, at, err := w.next()
	if err != nil {
		return err
	}
	if err := w.Remove(at); err != nil {
		return err
	}
	if err := w.nmi(); err != nil {
		return err
	}
	w.injected++
	to, err := w.step(cpu, at)
	if err != nil {
		return err
	}
	if to == stub(vectorNMI) {
		delete(w.left, at)
		return nil
	}
	if w.held++; w.cpus == 1 {
		return fmt.Errorf("CPU %d is at %#x, %s, and takes no NMI: it went on to %#x", cpu, at, w.left[at].place, to)
	}
	return w.Insert(at)
}

// placesIn counts instructions by their places.
func placesIn(set map[uint64]instruction) map[string]int {
	count := map[string]int{}
	for _, i := range set {
		count[i.place]++
	}
	return count
}

// swept returns the instructions that a sweep on so many CPUs is to come to,
// and why it does not come to the other places.
func swept(t *testing.T, cpus int) (wanted []instruction, reasons map[string]string) {
	t.Helper()
	reasons = map[string]string{}
	for _, i := range trampolines(t) {
		reason := reasonNotSwept(i.place, cpus)
		if reason == "" {
			wanted = append(wanted, i)
			continue
		}
		reasons[i.place] = reason
	}
	const least = 320
	if len(wanted) < least {
		t.Fatalf("only %d instructions are to be reached", len(wanted))
	}
	return wanted, reasons
}

// TestNMIAtEveryInstruction injects an NMI before every instruction between
// user mode and Go, each several times, while a program checks all of its
// registers. On one CPU the kernel must count as many as were injected.
func TestNMIAtEveryInstruction(t *testing.T) {
	for _, c := range []struct{ cpus, rounds int }{{1, choose(6, 400)}, {2, choose(4, 200)}} {
		t.Run(fmt.Sprintf("smp%d", c.cpus), func(t *testing.T) {
			began := time.Now()
			wanted, reasons := swept(t, c.cpus)
			w := &sweep{cpus: c.cpus}
			got := stopping(t, c.cpus, func(s *stopped) error {
				w.stopped = s
				for range c.rounds {
					if err := w.round(wanted); err != nil {
						return err
					}
				}
				return nil
			}, program("paranoid"), "2")
			user, kernel := nothingChanged(t, got)
			if c.cpus == 1 && (user != 0 || kernel != w.injected) || user+kernel < w.injected {
				t.Errorf("of %d NMIs the kernel counted %d, and %d in user mode", w.injected, kernel, user)
			}
			if w.injected < c.rounds*len(wanted) {
				t.Errorf("%d NMIs at %d instructions: some were missed", w.injected, len(wanted))
			}
			t.Logf("%d NMIs at %d instructions in %v, %d of them held; %d in user mode and %d in the kernel",
				w.injected, len(wanted), time.Since(began).Round(time.Millisecond), w.held, user, kernel)
			logReasons(t, reasons)
		})
	}
}

// logReasons lists the places that were not reached, those with the same reason
// together.
func logReasons(t *testing.T, reasons map[string]string) {
	t.Helper()
	places := map[string][]string{}
	for _, place := range slices.Sorted(maps.Keys(reasons)) {
		places[reasons[place]] = append(places[reasons[place]], place)
	}
	for _, reason := range slices.Sorted(maps.Keys(places)) {
		all := places[reason]
		t.Logf("not at %s to %s (%d): %s", all[0], all[len(all)-1], len(all), reason)
	}
}

// nothingChanged wants the program paranoid to have ended without a complaint,
// and returns how many NMIs the kernel counted.
func nothingChanged(t *testing.T, got result) (user, kernel int) {
	t.Helper()
	const format = "ready\nthe other process: 0\nuser %d\nkernel %d\nnothing changed\n"
	n, err := fmt.Sscanf(got.out, format, &user, &kernel)
	if n != 2 || err != nil || got.code != 8 || got.errors != "" {
		t.Errorf("exit code %d, output\n%s\nerrors\n%s", got.code, shorten(got.out), shorten(got.errors))
	}
	return user, kernel
}
