package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Count writes, at the end, how often each probe was hit.
type Count struct {
	w      io.Writer
	counts map[string]uint64
}

// NewCount returns a sink that writes counts to w.
func NewCount(w io.Writer) *Count { return &Count{w: w, counts: map[string]uint64{}} }

// Event counts a hit.
func (c *Count) Event(e *Event) error {
	name := e.Name()
	if e.Probe.Site.Return {
		name += "%return"
	}
	c.counts[name]++
	return nil
}

// Close writes the counts, the greatest first.
func (c *Count) Close(*Summary) error {
	names := make([]string, 0, len(c.counts))
	for n := range c.counts {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(c.counts[b], c.counts[a]), strings.Compare(a, b))
	})
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "%10d %s\n", c.counts[n], n)
	}
	_, err := io.WriteString(c.w, b.String())
	return err
}
