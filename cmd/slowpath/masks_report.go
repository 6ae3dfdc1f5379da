package main

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"slowpath/entry"
	"slowpath/entry/check"
	"slowpath/entry/linux313"
)

// maskReport is the content of slowpath masks. All of it is computed, from the
// model of 3.13 and by running the kernel's own table.
type maskReport struct {
	Linux    linuxSide          `json:"linux_3_13"`
	Fixed    linuxSide          `json:"linux_3_13_with_uprobe_in_do_notify"`
	Slowpath slowpathSide       `json:"slowpath"`
	Flags    []flagRow          `json:"flags"`
	Ways     []way              `json:"ways"`
	Findings []linux313.Finding `json:"findings"`
	Listing  string             `json:"-"`
	ShowFix  bool               `json:"-"`
}

// linuxSide is what one model of 3.13 gives.
type linuxSide struct {
	Masks    []namedMask `json:"masks"`
	DeadBits string      `json:"dead_bits"`
	// Sweeps cover every combination of the 13 named flags, WideSweeps every
	// combination of the 18 bits that are in any mask.
	Sweeps     []linuxSweep `json:"sweeps"`
	WideSweeps []linuxSweep `json:"wide_sweeps"`
}

type slowpathSide struct {
	Masks  []namedMask     `json:"masks"`
	Sweeps []slowpathSweep `json:"sweeps"`
}

type namedMask struct {
	Name  string   `json:"name"`
	Value string   `json:"value"` // hexadecimal
	Flags []string `json:"flags"`
	mask  entry.Flag
}

func newMask(name string, mask entry.Flag) namedMask {
	return namedMask{name, fmt.Sprintf("%#x", uint32(mask)), strings.Split(mask.String(), "|"), mask}
}

// linuxSweep counts, for one path, how the runs of all combinations of flags
// end.
type linuxSweep struct {
	Path     string `json:"path"`
	Words    int    `json:"words"`
	SYSRET   int    `json:"sysret"`
	IRET     int    `json:"iret"`
	SYSEXIT  int    `json:"sysexit"`
	Livelock int    `json:"livelock"`
	Undone   int    `json:"returned_with_work_undone"`
}

// slowpathSweep is the same for Slowpath. Wrong counts the runs that violate a
// property of package check.
type slowpathSweep struct {
	Way     string `json:"way"`
	Words   int    `json:"words"`
	SYSRET  int    `json:"sysret"`
	SYSRETL int    `json:"sysretl"` // to 32-bit code
	IRET    int    `json:"iret"`
	Wrong   int    `json:"violations"`
}

// flagRow is one flag on both sides. Linux is nil if 3.13 has no such flag.
type flagRow struct {
	Name     string        `json:"name"`
	Bit      int           `json:"bit"`
	Linux    *linuxFlag    `json:"linux_3_13"`
	Slowpath slowpathFlag  `json:"slowpath"`
	Alone    []aloneOnPath `json:"alone"`
	flag     entry.Flag
}

type linuxFlag struct {
	Masks     []string `json:"masks"`
	ServedBy  []string `json:"served_by"`
	ClearedBy []string `json:"cleared_by"`
}

type slowpathFlag struct {
	Stages   string `json:"stages"`
	Level    bool   `json:"level"`
	Frame    bool   `json:"frame"`
	Paired   bool   `json:"paired"`
	RaisedBy string `json:"raised_by"`
	Does     string `json:"does"`
}

// aloneOnPath is what happens on one path when only this flag is set.
type aloneOnPath struct {
	Way      string `json:"way"`
	Linux    string `json:"linux_3_13,omitempty"`
	Fixed    string `json:"linux_3_13_fixed,omitempty"`
	Slowpath string `json:"slowpath,omitempty"`
}

// way pairs a path of 3.13 with the kind of kernel entry in Slowpath.
type way struct {
	Name   string `json:"name"`
	path   linux313.Path
	kind   check.Kind
	during bool // the flag is raised during the call, not before it
}

func ways() []way {
	return []way{
		{Name: "call", path: linux313.SystemCall, kind: check.Syscall},
		{Name: "exit", path: linux313.SyscallExit, kind: check.Syscall, during: true},
		{Name: "IRET exit", path: linux313.SyscallByIRET, kind: check.Sigreturn, during: true},
		{Name: "32-bit", path: linux313.CompatExit, kind: check.Call32, during: true},
		{Name: "interrupt", path: linux313.Interrupt, kind: check.Interrupt},
		{Name: "exception", path: linux313.Exception, kind: check.Exception},
		{Name: "NMI", path: linux313.Paranoid, kind: check.NMI},
	}
}

// newMaskReport computes the report. It runs every combination of flags on
// every path, which takes seconds.
func newMaskReport() *maskReport {
	was, fixed := linux313.New(), linux313.Fixed()
	task := check.NewTask()
	r := &maskReport{
		Linux: newLinuxSide(was), Fixed: newLinuxSide(fixed), Slowpath: newSlowpathSide(task),
		Ways: ways(), Findings: linux313.Findings(), Listing: was.Listing(),
	}
	for _, d := range entry.Duties() {
		r.Flags = append(r.Flags, newFlagRow(d, was, fixed, task))
	}
	slices.SortFunc(r.Flags, func(a, b flagRow) int { return a.Bit - b.Bit })
	return r
}

func newLinuxSide(m *linux313.Model) linuxSide {
	var side linuxSide
	for _, mask := range m.Masks() {
		side.Masks = append(side.Masks, newMask(mask.Name, mask.Flags))
	}
	side.DeadBits = fmt.Sprintf("%#x", uint32(linux313.DeadBits()))
	for _, p := range linux313.Paths() {
		side.Sweeps = append(side.Sweeps, newLinuxSweep(m, p, linux313.NamedFlags))
		side.WideSweeps = append(side.WideSweeps, newLinuxSweep(m, p, linux313.AllBits))
	}
	return side
}

func newLinuxSweep(m *linux313.Model, p linux313.Path, bits entry.Flag) linuxSweep {
	t := m.Sweep(p, bits)
	return linuxSweep{
		p.Name, t.Words, t.Exits[linux313.SYSRET], t.Exits[linux313.IRET], t.Exits[linux313.SYSEXIT],
		t.Exits[linux313.Livelock], t.Dropped,
	}
}

func newSlowpathSide(task *check.Task) slowpathSide {
	table := task.Table()
	side := slowpathSide{Masks: []namedMask{
		newMask(entry.AtSyscallEntry.String(), table.EntryMask()),
		newMask(entry.AtSyscallExit.String(), table.SyscallExitMask()),
		newMask(entry.BeforeUser.String(), table.UserMask()),
		newMask(entry.LastStep.String(), table.LastMask()),
	}}
	for _, k := range check.Kinds() {
		side.Sweeps = append(side.Sweeps, newSlowpathSweep(task, k))
	}
	return side
}

func newSlowpathSweep(task *check.Task, k check.Kind) slowpathSweep {
	s := slowpathSweep{Way: k.String()}
	for _, word := range check.AllWords() {
		violated := task.Run(check.Plan{Kind: k, Word: word, Choice: check.NoChoice})
		s.Words++
		if violated != check.Right {
			s.Wrong++
		}
		switch last(task).What {
		case check.BySYSRET:
			s.SYSRET++
		case check.BySYSRET32:
			s.SYSRETL++
		case check.ByIRET:
			s.IRET++
		}
	}
	return s
}

// last returns the last event of a run, which tells how it ended.
func last(task *check.Task) check.Event {
	events := task.Trace().Events()
	return events[len(events)-1]
}

func newFlagRow(d entry.Duty, was, fixed *linux313.Model, task *check.Task) flagRow {
	row := flagRow{
		Name: d.Flag.String(), Bit: bits.TrailingZeros32(uint32(d.Flag)), flag: d.Flag,
		Slowpath: slowpathFlag{d.When.String(), d.Level, d.Frame, d.Paired, d.RaisedBy, d.Does},
	}
	known := linux313.NamedFlags&d.Flag != 0
	if known {
		row.Linux = newLinuxFlag(was, d.Flag)
	}
	for _, w := range ways() {
		alone := aloneOnPath{Way: w.Name}
		if known {
			alone.Linux, alone.Fixed = linuxAlone(was, w, d.Flag), linuxAlone(fixed, w, d.Flag)
		}
		alone.Slowpath = slowpathAlone(task, w, d.Flag)
		row.Alone = append(row.Alone, alone)
	}
	return row
}

func newLinuxFlag(m *linux313.Model, f entry.Flag) *linuxFlag {
	side := &linuxFlag{Masks: []string{}, ServedBy: []string{}, ClearedBy: []string{}}
	for _, mask := range m.Masks() {
		if mask.Flags&f != 0 {
			side.Masks = append(side.Masks, mask.Name)
		}
	}
	for _, h := range linux313.Handlers() {
		if h.Serves&f != 0 {
			side.ServedBy = append(side.ServedBy, h.Name)
		}
		if h.Clears&f != 0 {
			side.ClearedBy = append(side.ClearedBy, h.Name)
		}
	}
	return side
}

// The words for the end of a run. A plus sign after an exit instruction means
// that a handler of the flag ran.
const (
	livelocks = "LIVELOCK"
	undone    = "UNDONE"
	served    = "+"
)

func linuxAlone(m *linux313.Model, w way, f entry.Flag) string {
	r := m.Run(w.path, f)
	switch {
	case r.Exit == linux313.Livelock:
		return livelocks
	case r.Dropped() != 0:
		return undone
	case slices.ContainsFunc(r.Ran, func(h *linux313.Handler) bool { return h.Serves&f != 0 }):
		return r.Exit.String() + served
	}
	return r.Exit.String()
}

func slowpathAlone(task *check.Task, w way, f entry.Flag) string {
	plan := check.Plan{Kind: w.kind, Word: f, Choice: check.NoChoice}
	if w.during {
		plan.Word, plan.Raises[0] = 0, check.Raise{Flag: f}
	}
	if violated := task.Run(plan); violated != check.Right {
		return strings.ToUpper(violated.String())
	}
	end := "IRET"
	switch last(task).What {
	case check.BySYSRET:
		end = "SYSRET"
	case check.BySYSRET32:
		end = "SYSRETL"
	}
	for _, e := range task.Trace().Events() {
		if e.What.IsHandler() && e.Flag == f {
			return end + served
		}
	}
	return end
}
