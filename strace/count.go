package strace

import (
	"cmp"
	"fmt"
	"io"
	"slices"
)

// Count counts calls and prints a table at the end (-c). Times are the elapsed times of
// calls, as those of strace -c -w.
type Count struct {
	silent
	w     io.Writer
	calls map[string]*tally
}

// tally counts the calls with one name.
type tally struct {
	name          string
	calls, errors uint64
	time          uint64 // nanoseconds
}

// NewCount returns a sink that counts.
func NewCount(w io.Writer) *Count { return &Count{w: w, calls: map[string]*tally{}} }

// Leave implements Sink.
func (n *Count) Leave(_ *Thread, c *Call) {
	one := n.calls[c.Row.Name]
	if one == nil {
		one = &tally{name: c.Row.Name}
		n.calls[c.Row.Name] = one
	}
	one.calls++
	one.time += c.End - c.Begin
	if c.Failed() {
		one.errors++
	}
}

// Close implements Sink.
func (n *Count) Close() error {
	var all []*tally
	total := tally{name: "total"}
	for _, one := range n.calls {
		all = append(all, one)
		total.calls += one.calls
		total.errors += one.errors
		total.time += one.time
	}
	slices.SortFunc(all, func(a, b *tally) int {
		return cmp.Or(cmp.Compare(b.time, a.time), cmp.Compare(b.calls, a.calls), cmp.Compare(a.name, b.name))
	})
	const rule = "------ ----------- ----------- --------- --------- ----------------\n"
	fmt.Fprint(n.w, "% time     seconds  usecs/call     calls    errors syscall\n"+rule)
	for _, one := range all {
		one.print(n.w, total.time)
	}
	fmt.Fprint(n.w, rule)
	total.print(n.w, total.time)
	return nil
}

func (t *tally) print(w io.Writer, total uint64) {
	share, each, errors := 0.0, uint64(0), ""
	if total > 0 {
		share = float64(t.time) / float64(total) * 100
	}
	if t.calls > 0 {
		each = t.time / t.calls / 1000
	}
	if t.errors > 0 {
		errors = fmt.Sprint(t.errors)
	}
	fmt.Fprintf(w, "%6.2f %11.6f %11d %9d %9s %s\n", share, float64(t.time)/1e9, each, t.calls, errors, t.name)
}

// silent is a Sink that does nothing.
type silent struct{}

func (silent) Begin(uint64, uint64)               {}
func (silent) Attached(*Thread, *Thread, uint64)  {}
func (silent) Enter(*Thread, *Call)               {}
func (silent) Leave(*Thread, *Call)               {}
func (silent) Unfinished(*Thread, *Call, uint64)  {}
func (silent) Signal(*Thread, []byte, uint64)     {}
func (silent) Superseded(*Thread, uint32, uint64) {}
func (silent) Exited(*Thread, uint32, uint64)     {}
func (silent) Maps(uint32, []byte)                {}
func (silent) Lost(uint64)                        {}
func (silent) Close() error                       { return nil }
