package integration

import (
	"fmt"
	"testing"
)

// TestThreadsRunOnlyOnAllowedCPUs checks that a thread runs in user mode only on the
// CPUs of its mask. The time limit is wide because virtual CPUs share the host's
// CPUs: when a thread moves to another virtual CPU, it waits until the host runs
// that one.
func TestThreadsRunOnlyOnAllowedCPUs(t *testing.T) {
	want := onHost(t, "", program("affinity"))
	for _, n := range processors {
		t.Run(fmt.Sprintf("smp%d", n), func(t *testing.T) {
			check(t, onSlowpath(t, "", "--timeout", "10m", "--smp", fmt.Sprint(n), program("affinity")), want)
		})
	}
}
