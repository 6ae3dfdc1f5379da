package entry

import (
	"fmt"
	"io"
	"strings"
)

// Write writes the table as text: a row a duty, and the masks that it has.
func (t *Table[T]) Write(w io.Writer) {
	fmt.Fprintf(w, "%-19s %4s  %-6s %-6s %-5s  %-18s  %s\n", "duty", "bit", "kind", "paired", "frame", "served", "raised by")
	for _, d := range t.Duties() {
		kind := "once"
		if d.Level {
			kind = "level"
		}
		fmt.Fprintf(w, "%-19v %4d  %-6s %-6s %-5s  %-18s  %s\n",
			d.Flag, d.Flag.bit(), kind, yes(d.Paired), yes(d.Frame), d.When, d.RaisedBy)
	}
	fmt.Fprintf(w, "masks: entry %#x, exit %#x, before user %#x, last step %#x\n",
		uint32(t.EntryMask()), uint32(t.SyscallExitMask()), uint32(t.UserMask()), uint32(t.LastMask()))
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "-"
}

// bit returns the number of the lowest bit.
func (f Flag) bit() int {
	for i := range 32 {
		if f>>i&1 != 0 {
			return i
		}
	}
	return -1
}

// Names tells what the numbers of visits mean, for printing.
type Names struct {
	// Syscall returns the name of a system call.
	Syscall func(number int) string
	// Nanoseconds converts a reading of the TSC to time since boot.
	Nanoseconds func(tsc uint64) uint64
}

// Name returns what a visit was for: the call, the exception, the interrupt.
func (n Names) Name(v *Visit) string {
	switch {
	case v.Kind == BySyscall:
		return n.Syscall(int(v.Number))
	case v.Kind == ByDuty:
		return "work"
	case v.Number >= 0 && int(v.Number) < len(exceptionNames):
		return exceptionNames[v.Number]
	}
	return fmt.Sprintf("vector %#x", v.Number)
}

// exceptionNames are those of the manual (SDM vol. 3A, table 6-1).
var exceptionNames = [...]string{
	"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "coprocessor overrun",
	"#TS", "#NP", "#SS", "#GP", "#PF", "vector 0xf", "#MF", "#AC", "#MC", "#XM",
}

// StepName returns what a step was.
func StepName(s Step) string {
	if s.Flag == 0 {
		return "call"
	}
	return s.Flag.String()
}

// WriteVisits writes visits as text, a line each: when, where, who, what came,
// what was owed, what was served and how long it took, how it was left.
func (n Names) WriteVisits(w io.Writer, visits []Visit) {
	for i := range visits {
		v := &visits[i]
		var steps strings.Builder
		for _, s := range v.Steps[:v.StepCount] {
			fmt.Fprintf(&steps, " %s:%d", StepName(s), s.End-s.Begin)
		}
		exit := "SYSRET"
		if v.ByIRET {
			exit = "IRETQ"
		}
		begin := n.Nanoseconds(v.Begin)
		fmt.Fprintf(w, "%6d.%09d cpu %d task %-5d %-9s %-18s owed %-24v %6d ticks  %s%s\n",
			begin/1e9, begin%1e9, v.CPU, v.Task, v.Kind, n.Name(v), v.Owed, v.End-v.Begin, exit, steps.String())
	}
}

// WriteCounts writes how often each duty was served, and the visits of each
// kind, since boot.
func (r *Recorder) WriteCounts(w io.Writer) {
	var served [32]uint64
	var kinds [kindCount]uint64
	for i := range r.rings {
		ring := &r.rings[i]
		ring.mu.Lock()
		for bit, n := range ring.served {
			served[bit] += n
		}
		for kind, n := range ring.kinds {
			kinds[kind] += n
		}
		ring.mu.Unlock()
	}
	for kind, n := range kinds {
		fmt.Fprintf(w, "visits by %-12s %d\n", Kind(kind), n)
	}
	for _, d := range Duties() {
		fmt.Fprintf(w, "served %-19v %d\n", d.Flag, served[d.Flag.bit()])
	}
}
