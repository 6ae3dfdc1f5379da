package integration

import (
	"fmt"
	"testing"
)

// TestAffinity: a thread with a CPU mask runs in user mode on no other CPU. The
// processors of the machine share those of the host, and a turn that goes from
// one to another waits for the host to run it, so the time limit is wide.
func TestAffinity(t *testing.T) {
	want := onHost(t, "", program("affinity"))
	for _, n := range processors {
		t.Run(fmt.Sprintf("smp%d", n), func(t *testing.T) {
			check(t, onSlowpath(t, "", "--timeout", "10m", "--smp", fmt.Sprint(n), program("affinity")), want)
		})
	}
}
