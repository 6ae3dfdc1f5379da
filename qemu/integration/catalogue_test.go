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

// TestNoWakeUpIsLost sends signals at every moment of the way out.
func TestNoWakeUpIsLost(t *testing.T) {
	for _, n := range []int{2, 4} {
		t.Run(fmt.Sprintf("smp%d", n), func(t *testing.T) {
			seconds := choose(5, 300)
			got := onSlowpath(t, "", "--timeout", fmt.Sprint(60+2*seconds), "--smp", fmt.Sprint(n), program("catalogue_wakeup"), fmt.Sprint(seconds))
			if got.code != 8 || got.out != "every signal arrived: 1\n" {
				t.Errorf("got %d, %q, %q", got.code, got.out, shorten(got.errors))
			}
			t.Log(strings.TrimSpace(got.errors))
		})
	}
}
