package linux313

import (
	"fmt"

	"slowpath/entry"
)

// Exit is the end of a run.
type Exit uint8

// The ends of a run.
const (
	// SYSRET and IRET are the instructions that enter 64-bit user mode.
	SYSRET Exit = iota
	IRET
	// SYSEXIT means SYSEXIT or SYSRETL, the fast exits of 32-bit calls.
	SYSEXIT
	// Livelock means that the kernel loops for ever.
	Livelock
)

// String returns the name of the exit.
func (e Exit) String() string {
	return [...]string{"SYSRET", "IRET", "SYSEXIT", "livelock"}[e]
}

// Path is an exit path of the kernel.
type Path struct {
	Name  string // the name for output
	Label string // the label at which it begins
}

// The paths. A new task joins them at ret_from_sys_call, and execve and rt_sigreturn at
// int_ret_from_sys_call.
var (
	SystemCall    = Path{"system call from its entry", "system_call"}
	SyscallExit   = Path{"exit of a call", "ret_from_sys_call"}
	SyscallByIRET = Path{"exit of a call by IRET", "int_ret_from_sys_call"}
	CompatExit    = Path{"exit of a 32-bit call", "sysenter_dispatch"}
	Interrupt     = Path{"interrupt", "ret_from_intr"}
	Exception     = Path{"exception", "error_exit"}
	Paranoid      = Path{"NMI, #DB, #MC", "paranoid_exit"}
	SysenterCall  = Path{"32-bit call by SYSENTER", "ia32_sysenter_target"}
	CstarCall     = Path{"32-bit call by SYSCALL", "ia32_cstar_target"}
	Int80Call     = Path{"32-bit call by INT 0x80", "ia32_syscall"}
)

// Paths returns all paths.
func Paths() []Path {
	return []Path{SystemCall, SyscallExit, SyscallByIRET, CompatExit, Interrupt, Exception, Paranoid, SysenterCall, CstarCall, Int80Call}
}

// Model is the executable code of 3.13. It is immutable, so several goroutines may use
// it at once.
type Model struct {
	steps  []step
	target []int          // the target of a jump, by the index of the step
	labels map[string]int // the index of the step with a label
	notify entry.Flag     // _TIF_DO_NOTIFY_MASK
}

// New returns the model of the original code.
func New() *Model { return build(NotifyMask) }

// Fixed returns the model with UPROBE added to _TIF_DO_NOTIFY_MASK.
func Fixed() *Model { return build(NotifyMask | entry.Uprobe) }

// build resolves the labels. It panics if a label is missing or defined twice, which is
// a bug in this package.
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

// place returns the index of the step with a label.
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
	Left entry.Flag // the flag word at the end
	Ran  []*Handler // the handlers in the order of their calls, in a livelock up to the first repetition
	Loop string     // the label at which a livelock repeats
}

// Dropped returns the flags of WorkMask that are set although the run has entered user
// mode: work that was not done.
func (r Result) Dropped() entry.Flag {
	if r.Exit == Livelock {
		return 0
	}
	return r.Left & WorkMask
}

// state is the state of a run.
type state struct {
	at             int // index of the next step
	flags          entry.Flag
	mask, snapshot entry.Flag // EDI, EDX
}

// Run executes a path with the given flag word. A repeated state is a livelock, because
// the model is deterministic.
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
		for _, old := range seen { // only backward jumps can close a loop
			if old == s {
				r.Exit, r.Left, r.Loop = Livelock, s.flags, m.steps[s.at].label
				return r
			}
		}
		seen = append(seen, s)
	}
}

// advance executes one step.
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

// Totals counts the results of many runs.
type Totals struct {
	Words   int    // the number of runs
	Exits   [4]int // the number of runs for each Exit
	Dropped int    // the number of runs that entered user mode with work undone
}

// Sweep runs a path with every subset of bits as the flag word.
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
