// Package calls shows the system calls of tasks to consumers: it owns the duty
// SYSCALL_TRACEPOINT. A task owes the duty while a consumer wants it.
package calls

import (
	"slices"
	"sync"
	"sync/atomic"

	"slowpath/entry"
	"slowpath/task"
)

// Consumer sees system calls. It must not change after Subscribe. Its functions run on the
// goroutine of the task, with interrupts on, and may sleep.
//
// The frame of the task has the registers of the program, but RCX and R11 may have the
// values of an earlier entry into the kernel: SYSCALL destroys them. Enter and Exit must not
// change the frame.
type Consumer struct {
	// Wants reports whether the consumer wants the calls of a task. nil wants all tasks. Any
	// goroutine calls it, with locks held: it must not sleep, and must not call a method of
	// Kernel, ThreadGroup or Task that takes a lock. Call Task.UpdateLevels or
	// Kernel.UpdateLevels after its answer has changed.
	Wants func(t *task.Task) bool
	// Numbers are the calls that are shown. nil shows all, also numbers without a call.
	Numbers *Set
	// Enter is called at the entry of a call, after a tracer and seccomp may have changed
	// it. It may be nil.
	Enter func(t *task.Task, c *entry.Call)
	// Exit is called at the exit of each call for which Enter was called, also if the
	// consumer has been unsubscribed meanwhile. result is the value of RAX: -errno, or one
	// of the restart codes of package abi. If t.Exiting(), the call does not return, and
	// result has no meaning. It may be nil.
	Exit func(t *task.Task, c *entry.Call, result int64)
}

// Set is a set of numbers of 64-bit system calls. The zero value is empty.
type Set [entry.Calls / 64]uint64

// Add adds a number below entry.Calls.
func (s *Set) Add(number int) { s[number/64] |= 1 << (number % 64) }

// Has reports whether the set has a number. It may be any number.
func (s *Set) Has(number int32) bool {
	n := uint32(number)
	return n < entry.Calls && s[n/64]>>(n%64)&1 != 0
}

// Calls owns the duty SYSCALL_TRACEPOINT of a kernel. Its methods may be called by any
// goroutine that may sleep.
type Calls struct {
	kernel *task.Kernel
	tasks  task.Slot[state]

	mu  sync.Mutex           // serialises changes of all
	all atomic.Pointer[plan] // for a task that every consumer wants
}

// plan has the consumers of a task. It is constant.
type plan struct {
	consumers []*Consumer
	admission *entry.Admission // of the calls that no consumer wants to see
}

// newPlan returns the plan for consumers, nil if there are none.
func newPlan(consumers []*Consumer) *plan {
	if len(consumers) == 0 {
		return nil
	}
	p := &plan{consumers: consumers, admission: &entry.Admission{Flag: entry.SyscallTracepoint}}
	for nr := range uint32(entry.Calls) {
		if !slices.ContainsFunc(consumers, func(c *Consumer) bool { return c.shows(int32(nr)) }) {
			p.admission.Admit(nr)
		}
	}
	return p
}

// shows reports whether calls with a number are shown.
func (c *Consumer) shows(number int32) bool { return c.Numbers == nil || c.Numbers.Has(number) }

// state is what a task knows of its consumers.
type state struct {
	// plan is nil if no consumer wants the task. It changes together with the level, with
	// the lock of the task's levels.
	plan atomic.Pointer[plan]
	// shown are the consumers whose Enter was called for the current call. Only the task
	// accesses it.
	shown []*Consumer
	// record is where the events make their records. Only the task accesses it.
	record [maxRecord]byte
}

// New returns the owner of the duty. Register must be called before the first task is made.
func New() *Calls {
	return new(Calls)
}

// Register adds the subsystem to k.
func (s *Calls) Register(k *task.Kernel) {
	s.kernel = k
	s.tasks = task.NewSlot[state](k)
	k.Register(task.Subsystem{
		Name: "system call tracepoints", Levels: s.levels,
		Admission: func(t *task.Task) *entry.Admission {
			if plan := s.tasks.Of(t).plan.Load(); plan != nil {
				return plan.admission
			}
			return nil
		},
	})
}

// Handlers returns the handlers of the duty.
func (s *Calls) Handlers() entry.Handlers[*task.Task] {
	return entry.Handlers[*task.Task]{Flag: entry.SyscallTracepoint, Entry: s.enter, Exit: s.exit}
}

// Subscribe adds a consumer. Its functions are called for calls that begin later. The
// returned function removes it, and may be called once. Enter of a call that begins at the
// same time may still run when that returns, and Exit is called for every Enter.
func (s *Calls) Subscribe(c *Consumer) (unsubscribe func()) {
	s.change(func(old []*Consumer) []*Consumer { return append(slices.Clone(old), c) })
	return func() {
		s.change(func(old []*Consumer) []*Consumer {
			return slices.DeleteFunc(slices.Clone(old), func(one *Consumer) bool { return one == c })
		})
	}
}

// change replaces the list of consumers by what next returns for it.
func (s *Calls) change(next func([]*Consumer) []*Consumer) {
	s.store(next)
	s.kernel.UpdateLevels()
}

func (s *Calls) store(next func([]*Consumer) []*Consumer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Store(newPlan(next(s.all.Load().list())))
}

// levels is Levels of the subsystem. It also stores the plan: the lock of the task's levels
// is held, so the plan is that of the last change.
func (s *Calls) levels(t *task.Task) entry.Flag {
	plan := s.planFor(t)
	s.tasks.Of(t).plan.Store(plan)
	if plan == nil {
		return 0
	}
	return entry.SyscallTracepoint
}

// list returns the consumers. p may be nil.
func (p *plan) list() []*Consumer {
	if p == nil {
		return nil
	}
	return p.consumers
}

// planFor returns the plan of a task.
func (s *Calls) planFor(t *task.Task) *plan {
	all := s.all.Load()
	unwanted := func(c *Consumer) bool { return c.Wants != nil && !c.Wants(t) }
	if !slices.ContainsFunc(all.list(), unwanted) {
		return all
	}
	return newPlan(slices.DeleteFunc(slices.Clone(all.consumers), unwanted))
}

// enter is the handler of the duty at the entry of a call.
func (s *Calls) enter(t *task.Task, c *entry.Call) entry.Verdict {
	own := s.tasks.Of(t)
	own.shown = own.shown[:0]
	for _, one := range own.plan.Load().list() {
		if !one.shows(c.NR) {
			continue
		}
		own.shown = append(own.shown, one) // before Enter, which may panic
		if one.Enter != nil {
			one.Enter(t, c)
		}
	}
	return entry.Proceed
}

// exit is the handler of the duty at the exit of a call.
func (s *Calls) exit(t *task.Task, c *entry.Call) {
	own := s.tasks.Of(t)
	for i, one := range own.shown {
		own.shown[i] = nil
		if one.Exit != nil {
			one.Exit(t, c, int64(t.Frame.RAX))
		}
	}
	own.shown = own.shown[:0]
}
