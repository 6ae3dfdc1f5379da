package amd64

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestFeatureWordsHave32Names(t *testing.T) {
	var all []string
	for _, w := range featureWords {
		names := strings.Fields(w.names)
		if len(names) != 32 {
			t.Errorf("leaf %#x, register %d has %d names", w.leaf, w.register, len(names))
		}
		all = append(all, slices.DeleteFunc(names, func(n string) bool { return n == "-" })...)
	}
	slices.Sort(all)
	if len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("a name is there twice: %v", all)
	}
}

// TestFeaturesIncludeThoseThatLinuxFinds compares with the host's /proc/cpuinfo,
// which may leave out features that Linux does not enable.
func TestFeaturesIncludeThoseThatLinuxFinds(t *testing.T) {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^flags\s*: (.*)$`).FindSubmatch(text)
	if line == nil {
		t.Fatalf("no flags in %s", text)
	}
	ours := strings.Fields(featureNames(cpuid, ^uint64(0)))
	for _, name := range strings.Fields(string(line[1])) {
		known := slices.ContainsFunc(featureWords[:], func(w featureWord) bool { return slices.Contains(strings.Fields(w.names), name) })
		if known && !slices.Contains(ours, name) {
			t.Errorf("Linux finds %s, featureNames does not", name)
		}
	}
	if !slices.Contains(ours, "sse2") || !slices.Contains(ours, "lm") {
		t.Errorf("a CPU for this test has at least sse2 and lm, not %v", ours)
	}
}

func TestFeaturesWithoutSavedStateAreLeftOut(t *testing.T) {
	everything := func(leaf, _ uint32) (a, b, c, d uint32) { return ^uint32(0), ^uint32(0), ^uint32(0), ^uint32(0) }
	for _, c := range []struct {
		saved       uint64
		avx, avx512 bool
	}{{0, false, false}, {StateAVX, true, false}, {StateAVX | avx512States, true, true}} {
		names := strings.Fields(featureNames(everything, c.saved))
		if slices.Contains(names, "avx2") != c.avx || slices.Contains(names, "avx512f") != c.avx512 {
			t.Errorf("with state %#x: %v", c.saved, names)
		}
	}
	nothing := func(leaf, _ uint32) (a, b, c, d uint32) { return 0, ^uint32(0), ^uint32(0), ^uint32(0) }
	if got := featureNames(nothing, 0); got != "" {
		t.Errorf("a CPU without the leaves has %s", got)
	}
}
