// Package calls shows the system calls of tasks to consumers: it owns the duty
// SYSCALL_TRACEPOINT. A task owes the duty while a consumer wants it.
package calls

import (
	"slices"
	"sync"
	"sync/atomic"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/task"
	"slowpath/trace"
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
	// I386 says that calls of the ABI I386 are shown too: those of Numbers32, or all if it is
	// nil.
	I386      bool
	Numbers32 *Set
	// Enter is called at the entry of a call, after a tracer and seccomp may have changed
	// it. It may be nil.
	Enter func(t *task.Task, c *entry.Call)
	// Exit is called at the exit of each call for which Enter was called, also if the
	// consumer has been unsubscribed meanwhile. result is the value of RAX: -errno, or one
	// of the restart codes of package abi. If t.Exiting(), the call does not return, and
	// result has no meaning. It may be nil.
	Exit func(t *task.Task, c *entry.Call, result int64)
}

// Set is a set of numbers of system calls of one ABI. The zero value is empty.
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

	mu     sync.Mutex           // serialises changes of all
	all    atomic.Pointer[plan] // for a task that everybody wants
	traced events
}

// plan says who sees the calls of a task. It is constant.
type plan struct {
	consumers []*Consumer
	events    *eventUsers      // nil if no event is enabled, or none for the task
	only      onlyEvent        // the event of the entry, if nothing else is to do at the entry
	exits     bool             // an event of the exit is enabled
	onlyExits bool             // nothing is to do at the entry
	admission *entry.Admission // of the calls that nobody wants to see; nil if there are none
}

// newPlan returns a plan, nil if nobody sees the calls.
func newPlan(consumers []*Consumer, users *eventUsers) *plan {
	if len(consumers) == 0 && users == nil {
		return nil
	}
	p := &plan{consumers: consumers, events: users}
	if users != nil {
		p.exits = users.exits
	}
	if users != nil && len(consumers) == 0 {
		p.only = users.onlyEvent()
		p.onlyExits = users.rawEnter == nil && !users.entries
	}
	admission, some := &entry.Admission{Flag: entry.SyscallTracepoint}, false
	for nr := range uint32(entry.Calls) {
		if !p.shows(int32(nr)) {
			admission.Admit(nr)
			some = true
		}
		if !p.shows32(int32(nr)) {
			admission.Admit32(nr)
			some = true
		}
	}
	if some {
		p.admission = admission
	}
	return p
}

// shows reports whether calls with a number are shown to somebody.
func (p *plan) shows(number int32) bool {
	return p.events != nil && shows(p.events.numbers, number) ||
		slices.ContainsFunc(p.consumers, func(c *Consumer) bool { return shows(c.Numbers, number) })
}

// shows32 is shows for the ABI I386, whose calls are shown to the events of all calls only.
func (p *plan) shows32(number int32) bool {
	return p.events != nil && p.events.numbers == nil ||
		slices.ContainsFunc(p.consumers, func(c *Consumer) bool { return c.I386 && shows(c.Numbers32, number) })
}

// shows reports whether a number is in a set. nil has all numbers.
func shows(numbers *Set, number int32) bool { return numbers == nil || numbers.Has(number) }

// parts returns the parts of a plan. p may be nil.
func (p *plan) parts() ([]*Consumer, *eventUsers) {
	if p == nil {
		return nil, nil
	}
	return p.consumers, p.events
}

// state is what a task knows of those who see its calls.
type state struct {
	// plan is nil if nobody wants the task. It changes together with the level, with the
	// lock of the task's levels.
	plan atomic.Pointer[plan]

	// Only the task accesses these.
	traced bool        // the events of the exit of the current call may be recorded
	shown  []*Consumer // whose Enter was called for the current call
}

// New returns the owner of the duty. Register must be called before the first task is made.
func New() *Calls {
	s := new(Calls)
	s.traced.calls = s
	return s
}

// Register adds the subsystem to k.
func (s *Calls) Register(k *task.Kernel) {
	s.kernel = k
	s.tasks = task.NewSlot[state](k)
	s.tasks.Favor(k)
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

// Handlers returns the handlers of the duty. They are function literals, because a method
// value would be one call more. It is not inlined, because nothing would be inlined into the
// literals then.
//
//go:noinline
func (s *Calls) Handlers() entry.Handlers[*task.Task] {
	return entry.Handlers[*task.Task]{
		Flag: entry.SyscallTracepoint,
		Entry: func(t *task.Task, c *entry.Call) entry.Verdict {
			if c.ABI == entry.I386 {
				s.entered32(t, c)
				return entry.Proceed
			}
			s.entered(t, c.NR, &c.Args, func() *entry.Call { return c })
			return entry.Proceed
		},
		Watch: func(t *task.Task, f *amd64.Frame) bool {
			tsc := amd64.TSC()
			own := t.Favored().(*state)
			p := own.plan.Load()
			if p == nil {
				return false
			}
			own.traced = p.exits
			if e := p.only.event; e != nil && (p.only.number^f.OrigRAX)&p.only.mask == 0 &&
				e.StoreShort(tsc, t.TID(), f.LastCPU(), f.OrigRAX, (*trace.Words)(f.Args()), p.only.length) {
				return p.exits
			}
			if p.onlyExits {
				return p.exits
			}
			return s.entered(t, int32(f.OrigRAX), f.Args(), t.LoadCall)
		},
		Exit: func(t *task.Task, c *entry.Call) {
			own := t.Favored().(*state)
			if len(own.shown) > 0 {
				s.exited(own, t, c)
			} else if own.traced {
				own.traced = false
				s.traced.exited(t)
			}
		},
	}
}

// exited shows the exit of a call to consumers too.
func (s *Calls) exited(own *state, t *task.Task, c *entry.Call) {
	if own.traced {
		own.traced = false
		s.traced.exited(t)
	}
	own.exit(t, c)
}

// entered shows the entry of a call to all who want it. load returns the call for consumers,
// who may keep it until the exit. It reports whether the exit is to be shown too.
func (s *Calls) entered(t *task.Task, nr int32, arguments *entry.Args, load func() *entry.Call) (exit bool) {
	own := t.Favored().(*state)
	p := own.plan.Load()
	if p == nil {
		return false
	}
	if users := p.events; users != nil {
		own.traced = users.exits
		s.traced.entered(users, t, nr, arguments)
	}
	if len(p.consumers) > 0 {
		own.enter(p.consumers, t, load())
	}
	return own.traced || len(own.shown) > 0
}

// entered32 shows the entry of a call of the ABI I386 to the event of all calls, and to
// consumers. The events of single calls have the numbers of x86-64.
func (s *Calls) entered32(t *task.Task, c *entry.Call) {
	own := t.Favored().(*state)
	p := own.plan.Load()
	if p == nil {
		return
	}
	if users := p.events; users != nil {
		own.traced = users.exits
		if raw := users.rawEnter; raw != nil {
			record(raw, amd64.TSC(), t, t.Frame.LastCPU(), uint64(c.NR), (*trace.Words)(&c.Args), trace.ShortWords(maxArguments))
		}
	}
	if len(p.consumers) > 0 {
		own.enter(p.consumers, t, c)
	}
}

// enter shows the entry of a call to consumers.
func (own *state) enter(consumers []*Consumer, t *task.Task, c *entry.Call) {
	own.shown = own.shown[:0]
	for _, one := range consumers {
		if !one.shows(c) {
			continue
		}
		own.shown = append(own.shown, one) // before Enter, which may panic
		if one.Enter != nil {
			one.Enter(t, c)
		}
	}
}

// shows reports whether the consumer wants a call.
func (c *Consumer) shows(call *entry.Call) bool {
	if call.ABI == entry.I386 {
		return c.I386 && shows(c.Numbers32, call.NR)
	}
	return shows(c.Numbers, call.NR)
}

// exit shows the exit of a call to those who saw its entry.
func (own *state) exit(t *task.Task, c *entry.Call) {
	shown := own.shown
	own.shown = own.shown[:0]
	for i, one := range shown {
		shown[i] = nil
		if one.Exit != nil {
			one.Exit(t, c, int64(t.Frame.RAX))
		}
	}
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
	s.store(func(consumers []*Consumer, users *eventUsers) *plan { return newPlan(next(consumers), users) })
}

// store replaces the plan for a task that everybody wants by what next returns for its
// parts, and tells the tasks.
func (s *Calls) store(next func([]*Consumer, *eventUsers) *plan) {
	s.swap(next)
	s.kernel.UpdateLevels()
}

func (s *Calls) swap(next func([]*Consumer, *eventUsers) *plan) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Store(next(s.all.Load().parts()))
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

// planFor returns the plan of a task.
func (s *Calls) planFor(t *task.Task) *plan {
	all := s.all.Load()
	consumers, users := all.parts()
	unwanted := func(c *Consumer) bool { return c.Wants != nil && !c.Wants(t) }
	wanted := users == nil || users.want(t)
	if wanted && !slices.ContainsFunc(consumers, unwanted) {
		return all
	}
	if !wanted {
		users = nil
	}
	return newPlan(slices.DeleteFunc(slices.Clone(consumers), unwanted), users)
}
