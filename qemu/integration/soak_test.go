package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// long reports whether the long forms of the soak tests run. make soak runs the
// long forms, make test the short ones.
func long() bool { return os.Getenv("SLOWPATH_SOAK") == "long" }

// choose returns the number for the short or the long form.
func choose(short, longer int) int {
	if long() {
		return longer
	}
	return short
}

// TestSoakRepeatedBootsSucceed boots many times with the same program.
func TestSoakRepeatedBootsSucceed(t *testing.T) {
	for i := range choose(20, 1000) {
		cpus := fmt.Sprint(processors[i%len(processors)])
		got := onSlowpath(t, "", "--smp", cpus, "/bin/busybox", "sh", "-c", "echo alive | cat; exit 3")
		if want := (result{3, "alive\n", ""}); got != want {
			t.Fatalf("boot %d gives %+v, want %+v", i, got, want)
		}
	}
}

// TestSoakMixedLoadSucceeds runs processes, threads and mappings on four CPUs.
func TestSoakMixedLoadSucceeds(t *testing.T) {
	seconds := choose(10, 600)
	got := onSlowpath(t, "", "--timeout", fmt.Sprint(2*seconds+60), "--smp", "4", "--mem", "1G", program("mix"), fmt.Sprint(seconds), "6")
	if got.code != 0 || !strings.HasPrefix(got.out, "0 of 6") {
		t.Errorf("got %+v", got)
	}
}

// TestSoakRandomSystemCallsLeaveNothing runs the fuzzer on four CPUs. It fails if the
// machine ends, or if processes, memory or goroutines of the kernel are left.
func TestSoakRandomSystemCallsLeaveNothing(t *testing.T) {
	seconds := choose(8, 1800)
	seed := time.Now().Unix()
	if !long() {
		seed = 1
	}
	got := onSlowpath(t, "", "--timeout", fmt.Sprint(seconds+120), "--smp", "4", "--mem", "512",
		program("fuzzer"), "-seconds", fmt.Sprint(seconds), "-seed", fmt.Sprint(seed))
	if got.code != 0 {
		t.Errorf("exit code %d; the last seed repeats the round with fuzzer -seed N -rounds 1:\n%s\n%s",
			got.code, lastLines(got.out, 40), lastLines(got.errors, 80))
	}
}

// lastLines returns the last n lines of a text.
func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
