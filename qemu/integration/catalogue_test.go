package integration

import (
	"fmt"
	"strings"
	"testing"
)

// TestCatalogue runs the programs about the ways in and out of kernels that
// have gone wrong before.
func TestCatalogue(t *testing.T) {
	for _, name := range []string{"sigreturn", "flags", "bases", "numbers", "float", "start"} {
		t.Run(name, func(t *testing.T) { same(t, "", program("catalogue_"+name)) })
	}
	// The C library must leave rseq(2) to the program.
	const tunable = "GLIBC_TUNABLES=glibc.pthread.rseq=0"
	want := execute(t, "", []string{tunable}, program("catalogue_rseq"))
	for _, n := range processors {
		t.Run(fmt.Sprintf("rseq/smp%d", n), func(t *testing.T) {
			check(t, onSlowpath(t, "", "--smp", fmt.Sprint(n), "--env", tunable, program("catalogue_rseq")), want)
		})
	}
}

// TestNoWakeUpIsLost sends signals at every moment of the way out. It counts
// tries; what it finds does not depend on how long one takes: half a
// millisecond on two processors, and on a busy host as long as that lets the
// one virtual CPU wait that the other waits for.
func TestNoWakeUpIsLost(t *testing.T) {
	for _, n := range []int{2, 4} {
		t.Run(fmt.Sprintf("smp%d", n), func(t *testing.T) {
			sendSignals(t, n, choose(10_000, 1_000_000), 0)
		})
	}
	// The program sees signals that come late, on Linux too.
	t.Run("late", func(t *testing.T) { sendSignals(t, 2, 100, 10) })
	t.Run("Linux", func(t *testing.T) {
		checkSignals(t, execute(t, "", nil, program("catalogue_wakeup"), "100", "10"), 100, 10)
	})
}

// sendSignals runs the program with so many tries, of which some are late on
// purpose.
func sendSignals(t *testing.T, processors, tries, late int) {
	t.Helper()
	limit := 120 + tries/100
	got := onSlowpath(t, "", "--timeout", fmt.Sprint(limit), "--smp", fmt.Sprint(processors), program("catalogue_wakeup"), fmt.Sprint(tries), fmt.Sprint(late))
	checkSignals(t, got, tries, late)
}

// checkSignals checks what the program says of its tries. On standard error it
// has figures, which differ from run to run.
func checkSignals(t *testing.T, got result, tries, late int) {
	t.Helper()
	t.Log(strings.TrimSpace(got.errors))
	got.errors = ""
	check(t, got, result{code: 8, out: fmt.Sprintf("%d signals arrived; %d came late\nsome arrived during calls: 1; some after: 1\n", tries, late)})
}
