package entry

import (
	"fmt"
	"io"
	"strings"
)

// Write writes the table as text: one line per duty, and the masks. It ignores
// errors of w.
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

// bit returns the number of the lowest bit that is set, or -1.
func (f Flag) bit() int {
	for i := range 32 {
		if f>>i&1 != 0 {
			return i
		}
	}
	return -1
}

// Names converts the numbers in visits to text.
type Names struct {
	// Syscall returns the name of a system call.
	Syscall func(number int) string
	// Syscall32 returns the name of a system call of the ABI I386. If it is nil, such a
	// call is named by its number.
	Syscall32 func(number int) string
	// Nanoseconds converts a TSC value to nanoseconds since boot.
	Nanoseconds func(tsc uint64) uint64
}

// Name returns the name of the system call, exception or interrupt that a visit
// began with.
func (n Names) Name(v *Visit) string {
	switch {
	case v.Kind == BySyscall && v.ABI == I386 && n.Syscall32 == nil:
		return fmt.Sprintf("i386 call %d", v.Number)
	case v.Kind == BySyscall && v.ABI == I386:
		return n.Syscall32(int(v.Number))
	case v.Kind == BySyscall:
		return n.Syscall(int(v.Number))
	case v.Kind == ByDuty:
		return "work"
	case v.Number >= 0 && int(v.Number) < len(exceptionNames):
		return exceptionNames[v.Number]
	}
	return fmt.Sprintf("vector %#x", v.Number)
}

// exceptionNames are the mnemonics of exceptions (SDM vol. 3A, table 6-1).
var exceptionNames = [...]string{
	"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "coprocessor overrun",
	"#TS", "#NP", "#SS", "#GP", "#PF", "vector 0xf", "#MF", "#AC", "#MC", "#XM",
}

// StepName returns the name of a step's duty, or "call".
func StepName(s Step) string {
	if s.Flag == 0 {
		return "call"
	}
	return s.Flag.String()
}

// WriteVisits writes visits as text, one line each: the time, the CPU, the task,
// the kind and name, the thread flags at the beginning, the duration, the exit
// instruction, and the steps with their durations. It ignores errors of w.
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

// WriteCounts writes the number of visits of each kind, and of services of each
// duty, since boot. It ignores errors of w.
func (r *Recorder) WriteCounts(w io.Writer) {
	var served [32]uint64
	var kinds [kindCount]uint64
	for i := range r.rings {
		r.rings[i].addCounts(&served, &kinds)
	}
	for kind, n := range kinds {
		fmt.Fprintf(w, "visits by %-12s %d\n", Kind(kind), n)
	}
	for _, d := range Duties() {
		fmt.Fprintf(w, "served %-19v %d\n", d.Flag, served[d.Flag.bit()])
	}
}

// addCounts adds the counters of the ring to those of the arguments.
func (r *visitRing) addCounts(served *[32]uint64, kinds *[kindCount]uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for bit, n := range r.served {
		served[bit] += n
	}
	for kind, n := range r.kinds {
		kinds[kind] += n
	}
}
