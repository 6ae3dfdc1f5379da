package report

import (
	"cmp"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strings"
)

// Latency writes, at the end, how long the calls of each function took.
type Latency struct {
	w         io.Writer
	functions map[string]*histogram
}

// NewLatency returns a sink that writes histograms to w.
func NewLatency(w io.Writer) *Latency {
	return &Latency{w: w, functions: map[string]*histogram{}}
}

// histogram counts durations by powers of two, each divided into steps.
type histogram struct {
	count, sum uint64
	min, max   uint64
	buckets    [64 * steps]uint64
}

// steps is the number of buckets of a power of two. Quantiles are exact to 1/steps.
const steps = 16

// bucket returns the number of the bucket of a duration.
func bucket(ns uint64) int {
	if ns < steps {
		return int(ns)
	}
	power := bits.Len64(ns) - 1 // at least 4
	return (power-3)*steps + int(ns>>(power-4))&(steps-1)
}

// lowest returns the lowest duration of a bucket.
func lowest(n int) uint64 {
	if n < steps {
		return uint64(n)
	}
	power := n/steps + 3
	return (steps + uint64(n%steps)) << (power - 4)
}

func (h *histogram) add(ns uint64) {
	if h.count == 0 || ns < h.min {
		h.min = ns
	}
	h.max = max(h.max, ns)
	h.count++
	h.sum += ns
	h.buckets[bucket(ns)]++
}

// quantile returns the duration below which a fraction of the calls are: the end of the
// bucket, but at most the maximum.
func (h *histogram) quantile(fraction float64) uint64 {
	rank := uint64(fraction * float64(h.count))
	seen := uint64(0)
	for n, count := range h.buckets {
		seen += count
		if seen > rank {
			return min(max(lowest(n), h.min), h.max)
		}
	}
	return h.max
}

// Event counts a return whose entry was seen.
func (l *Latency) Event(e *Event) error {
	if !e.HasElapsed {
		return nil
	}
	h := l.functions[e.Name()]
	if h == nil {
		h = new(histogram)
		l.functions[e.Name()] = h
	}
	h.add(e.Elapsed)
	return nil
}

// Close writes the histograms, that of the greatest sum first.
func (l *Latency) Close(s *Summary) error {
	names := make([]string, 0, len(l.functions))
	for n := range l.functions {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(l.functions[b].sum, l.functions[a].sum), strings.Compare(a, b))
	})
	var b strings.Builder
	for _, n := range names {
		l.functions[n].write(&b, n)
	}
	if s.Unpaired > 0 {
		fmt.Fprintf(&b, "%d returns have no entry: the calls began before the probe was set, or their entries were lost\n", s.Unpaired)
	}
	_, err := io.WriteString(l.w, b.String())
	return err
}

// barWidth is the width of the longest bar in characters.
const barWidth = 40

// write writes the histogram with one line for each power of two.
func (h *histogram) write(b *strings.Builder, name string) {
	fmt.Fprintf(b, "%s: count %d, min %s, mean %s, p50 %s, p99 %s, max %s\n", name, h.count, duration(h.min),
		duration(h.sum/h.count), duration(h.quantile(0.5)), duration(h.quantile(0.99)), duration(h.max))
	var powers [64]uint64
	most := uint64(0)
	for n, count := range h.buckets {
		power := max(0, bits.Len64(lowest(n))-1)
		powers[power] += count
		most = max(most, powers[power])
	}
	first, last := max(0, bits.Len64(h.min)-1), max(0, bits.Len64(h.max)-1)
	for p := first; p <= last; p++ {
		bar := strings.Repeat("#", int((powers[p]*barWidth+most-1)/most))
		fmt.Fprintf(b, "  %8s to %-8s %8d %s\n", duration(1<<p), duration(1<<(p+1)), powers[p], bar)
	}
}
