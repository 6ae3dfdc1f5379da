package amd64

import "testing"

// TestBarrierSkipsCPUsWithOtherPageTables: a barrier interrupts the CPUs that
// have the given tables loaded; one for all programs skips only those with the
// kernel's own.
func TestBarrierSkipsCPUsWithOtherPageTables(t *testing.T) {
	defer func(root uint64) { kernelRoot = root }(kernelRoot)
	kernelRoot = 0x1000
	const mine, others = 0x2000, 0x3000
	for _, c := range []struct {
		loaded, root uint64
		want         bool
	}{
		{mine, mine, true}, {others, mine, false}, {0x1000, mine, false},
		{mine, anyRoot, true}, {others, anyRoot, true}, {0x1000, anyRoot, false},
	} {
		if got := hasLoaded(&perCPU{root: c.loaded}, c.root); got != c.want {
			t.Errorf("a CPU with %#x loaded, a barrier for %#x: interrupted is %v", c.loaded, c.root, got)
		}
	}
}
