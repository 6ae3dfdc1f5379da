package integration

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"
)

// busyVectors are the vectors that the program paranoid causes: it executes single
// steps, breakpoints and undefined instructions, touches unmapped pages and is
// interrupted by the timer. It makes calls by INT 0x80.
var busyVectors = []uint64{1, 3, 6, vectorPageFault, vectorTimer, 0x80}

const (
	vectorTimer = 0x48
	vectorIPI   = 0x49
)

// notSwept are the places that a sweep does not reach, with the reason.
var notSwept = map[string]string{
	"paranoidTrap":        "it serves the NMIs themselves: see TestNMIDuringNMIHandlerIsDelayed",
	"paranoidTrap.ignore": "it serves the NMIs themselves: see TestNMIDuringNMIHandlerIsDelayed",
	"paranoidTrap.fatal":  "the machine ends: see TestMachineCheckInKernelIsFatal",
	"fatalTrap":           "the machine ends: see TestMachineCheckInKernelIsFatal",
	"trap.nested":         "the machine ends: see TestFaultInGoosIsFatal",
	"loadFS":              "the program does not change its segment selectors",
	"readFSBase":          "the processor has FSGSBASE",
	"writeFSBase":         "the processor has FSGSBASE",
}

// reasonNotSwept returns why a sweep with that number of CPUs does not reach a
// place, or nothing if it must.
func reasonNotSwept(place string, cpus int) string {
	var n uint64
	for _, landing := range []string{"landing%d", "compat%d", "sysenter%d"} {
		if _, err := fmt.Sscanf(place, landing, &n); err == nil && n >= uint64(cpus) {
			return "the landing of a CPU that the machine does not have"
		}
	}
	if _, err := fmt.Sscanf(place, "stub %d", &n); err != nil {
		return notSwept[place]
	}
	if slices.Contains(busyVectors, n) || n == vectorIPI && cpus > 1 {
		return ""
	}
	return "the program does not cause this vector"
}

// sweep injects an NMI at every instruction of a set when a CPU reaches it.
type sweep struct {
	*stopped
	cpus     int
	left     map[uint64]instruction // the instructions of this round without an NMI so far
	injected int
	held     int // NMIs that were delayed because the CPU was serving another
}

// round injects an NMI at each of the instructions, in the order in which the
// machine reaches them.
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
			return fmt.Errorf("%w; the machine has not reached %v", err, slices.Sorted(maps.Keys(placesIn(w.left))))
		}
	}
	return nil
}

// one injects an NMI at the next instruction of the set that a CPU reaches. With one
// CPU, the NMI must be taken there. With several, every CPU gets every NMI, so the
// CPU may be serving an earlier one; then the instruction stays in the set.
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
		return fmt.Errorf("CPU %d takes no NMI at %#x, %s: it continued at %#x", cpu, at, w.left[at].place, to)
	}
	return w.Insert(at)
}

// placesIn counts instructions by place.
func placesIn(set map[uint64]instruction) map[string]int {
	count := map[string]int{}
	for _, i := range set {
		count[i.place]++
	}
	return count
}

// swept returns the instructions that a sweep with that number of CPUs must reach,
// and for each other place the reason why it does not.
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
		t.Fatalf("the sweep has only %d instructions, want at least %d", len(wanted), least)
	}
	return wanted, reasons
}

// TestNMIAtEveryInstructionPreservesRegisters injects an NMI before every instruction
// of the trampolines, several times, while a program checks all its registers. With
// one CPU, the kernel must count as many NMIs as were injected.
func TestNMIAtEveryInstructionPreservesRegisters(t *testing.T) {
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
				t.Errorf("of %d NMIs, the kernel counted %d in the kernel and %d in user mode", w.injected, kernel, user)
			}
			if w.injected < c.rounds*len(wanted) {
				t.Errorf("%d NMIs were injected at %d instructions in %d rounds: some are missing", w.injected, len(wanted), c.rounds)
			}
			t.Logf("%d NMIs at %d instructions in %v, %d of them delayed; %d in user mode and %d in the kernel",
				w.injected, len(wanted), time.Since(began).Round(time.Millisecond), w.held, user, kernel)
			logReasons(t, reasons)
		})
	}
}

// logReasons logs the places that a sweep does not reach, grouped by reason.
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

// nothingChanged checks that the program paranoid found no changed register. It
// returns the numbers of NMIs that the kernel counted.
func nothingChanged(t *testing.T, got result) (user, kernel int) {
	t.Helper()
	const format = "ready\nthe other process: 0\nuser %d\nkernel %d\nnothing changed\n"
	n, err := fmt.Sscanf(got.out, format, &user, &kernel)
	if n != 2 || err != nil || got.code != 8 || got.errors != "" {
		t.Errorf("exit code %d, output\n%s\nerrors\n%s", got.code, shorten(got.out), shorten(got.errors))
	}
	return user, kernel
}
