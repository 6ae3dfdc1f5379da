package linux313

import (
	"fmt"

	"slowpath/entry"
)

// Exit is how a run of the model ends.
type Exit uint8

// The ends of a run.
const (
	// SYSRET and IRET are the instructions that enter 64-bit user mode.
	SYSRET Exit = iota
	IRET
	// SYSEXIT stands for SYSEXIT and SYSRETL, the fast exits of 32-bit calls.
	SYSEXIT
	// Livelock: the CPU goes round in the kernel for ever.
	Livelock
)

// String names the exit.
func (e Exit) String() string {
	return [...]string{"SYSRET", "IRET", "SYSEXIT", "livelock"}[e]
}

// Path is a way out of the kernel, by the label where it begins.
type Path struct {
	Name  string // for readers
	Label string
}

// The paths. A new task, execve and rt_sigreturn join them: the first at
// ret_from_sys_call, the others at int_ret_from_sys_call.
var (
	SystemCall    = Path{"system call from its entry", "system_call"}
	SyscallExit   = Path{"exit of a call", "ret_from_sys_call"}
	SyscallByIRET = Path{"exit of a call by IRET", "int_ret_from_sys_call"}
	CompatExit    = Path{"exit of a 32-bit call", "sysenter_dispatch"}
	Interrupt     = Path{"interrupt", "ret_from_intr"}
	Exception     = Path{"exception", "error_exit"}
	Paranoid      = Path{"NMI, #DB, #MC", "paranoid_exit"}
)

// Paths returns all paths.
func Paths() []Path {
	return []Path{SystemCall, SyscallExit, SyscallByIRET, CompatExit, Interrupt, Exception, Paranoid}
}

// Model is the flow of 3.13, ready to run. It is immutable.
type Model struct {
	steps  []step
	target []int // of a jump, by index of the step
	labels map[string]int
	notify entry.Flag
}

// New returns the flow as it was.
func New() *Model { return build(NotifyMask) }

// Fixed returns the flow with UPROBE in _TIF_DO_NOTIFY_MASK.
func Fixed() *Model { return build(NotifyMask | entry.Uprobe) }

// build resolves the labels. It panics if the listing names one that is not
// there, which is a mistake in this package.
func build(notify entry.Flag) *Model {
	m := &Model{steps: listing(notify), labels: map[string]int{}, notify: notify}
	for i, s := range m.steps {
		if s.label == "" {
			continue
		}
		if _, twice := m.labels[s.label]; twice {
			panic("linux313: label twice: " + s.label)
		}
		m.labels[s.label] = i
	}
	m.target = make([]int, len(m.steps))
	for i, s := range m.steps {
		if s.to != "" {
			m.target[i] = m.place(s.to)
		}
	}
	return m
}

func (m *Model) place(label string) int {
	i, ok := m.labels[label]
	if !ok {
		panic(fmt.Sprintf("linux313: there is no label %q", label))
	}
	return i
}

// Result is the end of a run.
type Result struct {
	Exit Exit
	// Left is the flag word at the end. Level flags stay in it.
	Left entry.Flag
	// Ran are the handlers in the order of their calls; in a livelock, those
	// up to the first repetition.
	Ran []*Handler
	// Loop is the label that a livelock comes back to.
	Loop string
}

// Dropped are the flags of WorkMask with which the run entered user mode:
// duties that were owed and not done.
func (r Result) Dropped() entry.Flag {
	if r.Exit == Livelock {
		return 0
	}
	return r.Left & WorkMask
}

// state is all that the next steps depend on.
type state struct {
	at             int // index of the step
	flags          entry.Flag
	mask, snapshot entry.Flag // EDI, EDX
}

// Run follows a path with the given flag word. A state that comes again proves
// a livelock, since nothing else moves in this model.
func (m *Model) Run(p Path, flags entry.Flag) Result {
	var r Result
	var buffer [8]state
	seen := buffer[:0]
	s := state{at: m.place(p.Label), flags: flags}
	for {
		from := s.at
		if m.steps[s.at].do == leave {
			r.Exit, r.Left = m.steps[s.at].exit, s.flags
			return r
		}
		m.advance(&s, &r)
		if s.at > from {
			continue
		}
		for _, old := range seen { // a loop has a jump backwards
			if old == s {
				r.Exit, r.Left, r.Loop = Livelock, s.flags, m.steps[s.at].label
				return r
			}
		}
		seen = append(seen, s)
	}
}

// advance does one step.
func (m *Model) advance(s *state, r *Result) {
	step, jumps := &m.steps[s.at], false
	switch step.do {
	case loadMask:
		s.mask = step.mask
	case narrowMask:
		s.mask &^= step.mask
	case readFlags:
		s.snapshot = s.flags & s.mask
	case call:
		s.flags &^= step.handler.Clears & s.snapshot
		r.Ran = append(r.Ran, step.handler)
	case jump:
		jumps = true
	case jumpIfSnapshot:
		jumps = s.snapshot&step.mask != 0
	case jumpUnlessInWord:
		jumps = s.flags&step.mask == 0
	}
	if jumps {
		s.at = m.target[s.at]
		return
	}
	s.at++
}

// Totals counts the ends of many runs.
type Totals struct {
	Words   int    // runs
	Exits   [4]int // by Exit
	Dropped int    // runs that entered user mode with duties of WorkMask undone
}

// Sweep runs a path for every subset of bits.
func (m *Model) Sweep(p Path, bits entry.Flag) Totals {
	var t Totals
	for word := entry.Flag(0); ; word = (word - bits) & bits { // the next subset
		r := m.Run(p, word)
		t.Words++
		t.Exits[r.Exit]++
		if r.Dropped() != 0 {
			t.Dropped++
		}
		if word == bits {
			return t
		}
	}
}
