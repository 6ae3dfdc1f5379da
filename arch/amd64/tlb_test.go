package amd64

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

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
		if got := hasLoaded(&perCPU{root: c.loaded, nextRoot: c.loaded}, c.root); got != c.want {
			t.Errorf("a CPU with %#x loaded, a barrier for %#x: interrupted is %v", c.loaded, c.root, got)
		}
	}
}

// TestBothRootsArePublishedDuringSwitch: until CR3 is loaded another CPU must not free
// the old page tables, and from then on it must flush the new ones here.
func TestBothRootsArePublishedDuringSwitch(t *testing.T) {
	const old, next, other = 0x2000, 0x3000, 0x4000
	c := &perCPU{root: old, nextRoot: old}
	expect := func(when string, hasOld, hasNext bool) {
		t.Helper()
		if hasLoaded(c, old) != hasOld || hasLoaded(c, next) != hasNext || hasLoaded(c, other) {
			t.Errorf("%s: the CPU has the old root: %v, the new: %v, another: %v", when, hasLoaded(c, old), hasLoaded(c, next), hasLoaded(c, other))
		}
	}
	expect("before the switch", true, false)
	announceRoot(c, next)
	expect("while CR3 is loaded", true, true)
	rootLoaded(c, next)
	expect("after the switch", false, true)
}

// TestCR3IsLoadedOnlyBetweenBothPublications reads the source: switchRoot and copyUser
// store nextRoot, load CR3 and store root, in this order, and nothing else changes the
// root of a CPU that runs.
func TestCR3IsLoadedOnlyBetweenBothPublications(t *testing.T) {
	source := readSources(t, "tlb.go", "takecpu.go", "trampoline_amd64.s")
	order := regexp.MustCompile(`announceRoot\(c, root\)\n\tloadCR3\(root\)\n\trootLoaded\(c, root\)`)
	if !order.MatchString(source["tlb.go"]) {
		t.Error("switchRoot does not publish both roots")
	}
	order = regexp.MustCompile(`MOVQ AX, P\(P_NEXT_ROOT\)\(DX\*8\)[^\n]*\n\tMOVQ AX, CR3\n\tMOVQ AX, P\(P_ROOT\)\(DX\*8\)`)
	if !order.MatchString(source["trampoline_amd64.s"]) || strings.Count(source["trampoline_amd64.s"], "CR3") != 1 {
		t.Error("copyUser does not publish both roots")
	}
	if n := strings.Count(source["tlb.go"]+source["takecpu.go"], "loadCR3("); n != 1 {
		t.Errorf("CR3 is loaded in %d places, want only switchRoot", n)
	}
}

// readSources returns the text of files of this package.
func readSources(t *testing.T, names ...string) map[string]string {
	t.Helper()
	text := map[string]string{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text[name] = string(b)
	}
	return text
}
