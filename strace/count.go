package strace

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Count counts calls and prints a table at the end (-c). Times are the elapsed times of
// calls, as those of strace -c -w.
type Count struct {
	silent
	w       io.Writer
	options CountOptions
	calls   map[string]*tally
}

// CountOptions are the options of the table. The zero value is that of strace.
type CountOptions struct {
	// Columns are the columns in their order (-U), Sort is the one by which the calls are
	// sorted (-S). Parse them by ParseColumns and ParseSort.
	Columns []string
	Sort    string
	// Overhead is subtracted from the time of each call, in nanoseconds (-O).
	Overhead uint64
}

// tally counts the calls with one name.
type tally struct {
	name           string
	calls, errors  uint64
	time, min, max uint64 // nanoseconds
}

func (t *tally) average() uint64 {
	if t.calls == 0 {
		return 0
	}
	return t.time / t.calls
}

// column is a column of the table.
type column struct {
	header string
	width  int
	value  func(t *tally, total uint64) string
	less   func(a, b *tally) int // the order of -S
}

// seconds6 returns nanoseconds as seconds.
func seconds6(ns uint64) string { return fmt.Sprintf("%.6f", float64(ns)/1e9) }

func count(n uint64) string { return strconv.FormatUint(n, 10) }

// descending returns the order by a number, the greatest first.
func descending(value func(t *tally) uint64) func(a, b *tally) int {
	return func(a, b *tally) int { return cmp.Compare(value(b), value(a)) }
}

func totalTime(t *tally) uint64 { return t.time }

// columns are the columns by their names.
var columns = map[string]column{
	"time-percent": {"% time", 6, func(t *tally, total uint64) string {
		if total == 0 {
			return "0.00"
		}
		return fmt.Sprintf("%.2f", float64(t.time)/float64(total)*100)
	}, descending(totalTime)},
	"total-time": {"seconds", 11, func(t *tally, _ uint64) string { return seconds6(t.time) }, descending(totalTime)},
	"min-time":   {"shortest", 8, func(t *tally, _ uint64) string { return seconds6(t.min) }, descending(func(t *tally) uint64 { return t.min })},
	"max-time":   {"longest", 7, func(t *tally, _ uint64) string { return seconds6(t.max) }, descending(func(t *tally) uint64 { return t.max })},
	"avg-time":   {"usecs/call", 11, func(t *tally, _ uint64) string { return count(t.average() / 1000) }, descending((*tally).average)},
	"calls":      {"calls", 9, func(t *tally, _ uint64) string { return count(t.calls) }, descending(func(t *tally) uint64 { return t.calls })},
	"errors": {"errors", 9, func(t *tally, _ uint64) string {
		if t.errors == 0 {
			return ""
		}
		return count(t.errors)
	}, descending(func(t *tally) uint64 { return t.errors })},
	"name": {"syscall", 16, func(t *tally, _ uint64) string { return t.name }, func(a, b *tally) int { return cmp.Compare(a.name, b.name) }},
}

// columnAliases are other names of columns. An underscore is the same as a hyphen.
var columnAliases = map[string]string{
	"time": "time-percent", "time-total": "total-time", "shortest": "min-time", "time-min": "min-time", "longest": "max-time", "time-max": "max-time",
	"time-avg": "avg-time", "count": "calls", "error": "errors", "syscall": "name", "syscall-name": "name",
}

// columnName returns the name of a column, or an error.
func columnName(text string) (string, error) {
	name := strings.ReplaceAll(text, "_", "-")
	if full := columnAliases[name]; full != "" {
		name = full
	}
	if _, ok := columns[name]; !ok {
		return "", fmt.Errorf("there is no column %q; use time-percent, total-time, min-time, max-time, avg-time, calls, errors or name", text)
	}
	return name, nil
}

// ParseColumns parses the list of columns of -U. The name of the call is always one. The
// error is a sentence for the user.
func ParseColumns(text string) (list []string, err error) {
	for _, one := range strings.Split(text, ",") {
		name, err := columnName(one)
		if err != nil {
			return nil, err
		}
		if slices.Contains(list, name) {
			return nil, fmt.Errorf("the column %q is given twice", one)
		}
		list = append(list, name)
	}
	if !slices.Contains(list, "name") {
		list = append(list, "name")
	}
	return list, nil
}

// ParseSort parses the column of -S; none keeps the order of the names. The error is a
// sentence for the user.
func ParseSort(text string) (string, error) {
	if text == "none" || text == "nothing" {
		return "name", nil
	}
	return columnName(text)
}

// NewCount returns a sink that counts.
func NewCount(w io.Writer, o CountOptions) *Count {
	if o.Columns == nil {
		o.Columns = []string{"time-percent", "total-time", "avg-time", "calls", "errors", "name"}
	}
	if o.Sort == "" {
		o.Sort = "total-time"
	}
	return &Count{w: w, options: o, calls: map[string]*tally{}}
}

// Leave implements Sink.
func (n *Count) Leave(_ *Thread, c *Call) {
	passed := c.End - c.Begin
	passed -= min(passed, n.options.Overhead)
	one := n.calls[c.Row.Name]
	if one == nil {
		one = &tally{name: c.Row.Name, min: passed}
		n.calls[c.Row.Name] = one
	}
	one.calls++
	one.time += passed
	one.min, one.max = min(one.min, passed), max(one.max, passed)
	if c.Failed() {
		one.errors++
	}
}

// Close implements Sink.
func (n *Count) Close() error {
	var all []*tally
	total := tally{name: "total"}
	for _, one := range n.calls {
		if total.calls == 0 || one.min < total.min {
			total.min = one.min
		}
		all = append(all, one)
		total.calls += one.calls
		total.errors += one.errors
		total.time += one.time
		total.max = max(total.max, one.max)
	}
	slices.SortFunc(all, func(a, b *tally) int {
		return cmp.Or(columns[n.options.Sort].less(a, b), cmp.Compare(b.calls, a.calls), cmp.Compare(a.name, b.name))
	})
	widths := n.widths(append(all, &total), total.time)
	n.line(widths, func(c column) string { return c.header })
	n.rule(widths)
	for _, one := range all {
		n.line(widths, func(c column) string { return c.value(one, total.time) })
	}
	n.rule(widths)
	n.line(widths, func(c column) string { return c.value(&total, total.time) })
	return nil
}

// widths returns the widths of the columns.
func (n *Count) widths(all []*tally, total uint64) (widths []int) {
	for _, name := range n.options.Columns {
		c := columns[name]
		width := c.width
		for _, one := range all {
			width = max(width, len(c.value(one, total)))
		}
		widths = append(widths, width)
	}
	return widths
}

// line prints a line of the table.
func (n *Count) line(widths []int, value func(c column) string) {
	for i, name := range n.options.Columns {
		if i > 0 {
			io.WriteString(n.w, " ")
		}
		switch last := i == len(widths)-1; {
		case name == "name" && last:
			io.WriteString(n.w, value(columns[name]))
		case name == "name":
			fmt.Fprintf(n.w, "%-*s", widths[i], value(columns[name]))
		default:
			fmt.Fprintf(n.w, "%*s", widths[i], value(columns[name]))
		}
	}
	io.WriteString(n.w, "\n")
}

// rule prints a line of hyphens.
func (n *Count) rule(widths []int) {
	for i, width := range widths {
		if i > 0 {
			io.WriteString(n.w, " ")
		}
		io.WriteString(n.w, strings.Repeat("-", width))
	}
	io.WriteString(n.w, "\n")
}

// silent is a Sink that does nothing.
type silent struct{}

func (silent) Begin(uint64, uint64)               {}
func (silent) Attached(*Thread, *Thread, uint64)  {}
func (silent) Mode(*Thread, bool, uint64)         {}
func (silent) Enter(*Thread, *Call)               {}
func (silent) Leave(*Thread, *Call)               {}
func (silent) Unfinished(*Thread, *Call, uint64)  {}
func (silent) Signal(*Thread, []byte, uint64)     {}
func (silent) Superseded(*Thread, uint32, uint64) {}
func (silent) Exited(*Thread, uint32, uint64)     {}
func (silent) Maps(uint32, []byte)                {}
func (silent) Lost(uint64)                        {}
func (silent) Close() error                       { return nil }
