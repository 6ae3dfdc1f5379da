package entry

import (
	"math"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// Loop is the user loop. It alternates between user mode and the kernel until
// the task exits. All tasks share one Loop, which is immutable after NewLoop.
//
// The kernel and the exhaustive check both run this code. Only the
// implementation of entrance differs.
type Loop[T Task] struct {
	entrance
	calls      Dispatch[T]
	calls32    Dispatch32[T]
	bare32     Dispatch[T] // the handlers of calls32 that need neither arguments nor the frame, others nil
	duties     *Table[T]
	exceptions *Exceptions[T]
	recorder   *Recorder

	// The handlers of a probe's breakpoint on the fast path: see hit.
	breakpoint func(t T, f *amd64.Frame, vector int) bool
	uprobe     func(t T, f *amd64.Frame)
	unhit      Flag // the duties that keep a breakpoint from the fast path

	uprobeBit  uint8
	unobserved Flag // the flags that keep an observed call from the fast path
}

// LoopConfig has the parts of a Loop. All but Calls32 are required.
type LoopConfig[T Task] struct {
	// Calls has the system calls of the ABI X86_64.
	Calls Dispatch[T]
	// Calls32 has the system calls of the ABI I386, or is nil if there are none.
	Calls32 *Dispatch32[T]
	// Duties is the table of duties.
	Duties *Table[T]
	// Exceptions has the handlers of each exception.
	Exceptions *Exceptions[T]
	// Recorder records the visits to the kernel.
	Recorder *Recorder
}

// NewLoop returns the loop of a configuration.
func NewLoop[T Task](c LoopConfig[T]) *Loop[T] {
	l := &Loop[T]{
		calls: c.Calls, duties: c.Duties, exceptions: c.Exceptions, recorder: c.Recorder,
		breakpoint: c.Exceptions.chains[amd64.Breakpoint][ByUprobe],
		uprobe:     c.Duties.handlerOf(Uprobe),
		unhit:      c.Duties.before | RecordExits,
		uprobeBit:  uint8(Uprobe.bit()),
		unobserved: ^c.Duties.observing,
	}
	l.setCalls32(c.Calls32)
	return l
}

// Run runs the user loop of t until t exits. It must run on t's goroutine, with
// interrupts on.
func (l *Loop[T]) Run(t T) {
	s := t.thread()
	defer l.duties.closePairs(t, s)
	l.alternate(t, s)
}

// alternate is Run without the deferred call, which would make each turn longer.
func (l *Loop[T]) alternate(t T, s *Thread) {
	for !s.exiting {
		l.slow(t, s, l.fast(s.Frame, s, t))
		for s.calls && !s.exiting {
			l.slow(t, s, s.beginCall())
		}
	}
}

// fast is the fast path: it alternates between user mode and system calls while
// no duty is set. It returns the first other event. It does not allocate, and
// finds the handler of a call by one table index. A breakpoint of a probe stays on the fast
// path too.
//
// Any thread flag sends a call to flagged, because testing for any flag is
// cheaper than testing for the flags of a call's entry.
func (l *Loop[T]) fast(f *amd64.Frame, s *Thread, t T) int {
	user := l.entrance
	event := user.enter(f)
	for {
		nr := uint(event)
		if nr >= Calls {
			switch {
			case event == breakpointEvent:
				if event = l.hit(f, s, t); event != handled {
					return event
				}
			case event < 0 && event != int80Event:
				return event
			case event < 0 || event >= amd64.Event32:
				slow := false
				if event, slow = l.callsOf32(f, t, event); slow {
					return event
				}
				continue
			case f.ThreadFlags.Load() != 0:
				return event
			default:
				f.RAX = NoCall
			}
			event = user.enter(f)
			continue
		}
		if f.ThreadFlags.Load() != 0 {
			slow := false
			if event, slow = l.flagged(f, s, t, event); slow {
				return event
			}
			continue
		}
		result, err := l.calls[nr](t, f.Args())
		if err != nil {
			f.RAX = Failure(err)
		} else {
			f.RAX = result
		}
		event = user.enter(f)
	}
}

// flagged is the fast path for calls of a task that owes duties: those that admit the call
// (Admission), and those that only observe it, whose handlers are called here, before and
// after the call. It alternates between user mode and such calls, and returns the first other
// event. slow is set for a call of the slow path.
//
// Nothing is deferred: closePairs serves the exits if the call or a handler panics. A duty that
// is raised meanwhile is served as for any call on the fast path. The exits of the duties that
// observe are the first in the order, so those of other duties may follow on the slow path.
//
// It is a function of its own so that fast needs fewer registers. Small functions of it are
// inlined by hand, because its instructions are counted.
func (l *Loop[T]) flagged(f *amd64.Frame, s *Thread, t T, event int) (next int, slow bool) {
	user := l.entrance
	for {
		nr := uint(event)
		if nr >= Calls {
			return event, false
		}
		flags := Pending(&f.ThreadFlags)
		if a := s.admission.Load(); a != nil && a.Flag == flags {
			if a.lists(nr) || a.asks(f, nr) {
				result, err := l.calls[nr](t, f.Args())
				if err != nil {
					result = Failure(err)
				}
				f.RAX = result
				event = user.enter(f)
				continue
			}
		}
		if flags&l.unobserved != 0 {
			return event, true
		}
		f.RAX = NoCall
		r := l.duties.firstObserver
		if flags != r.Duty.Flag {
			if r = l.duties.lastObserver; flags != r.Duty.Flag {
				l.observe(t, s, nr)
				event = user.enter(f)
				continue
			}
		}
		s.entered = flags
		s.fast.count(flags, r.number)
		wanted := r.Watch(t, f)
		if !wanted {
			s.entered = 0
		}
		if Pending(&f.ThreadFlags) != flags {
			l.duties.watch(t, s, r.next)
			wanted = true
		}
		result, err := l.calls[nr](t, f.Args())
		if err != nil {
			result = Failure(err)
		}
		f.RAX = result
		if wanted {
			if s.entered == flags {
				s.entered = 0 // closePairs must not run the handler again if it panics
				r.Exit(t, &s.Call)
			} else {
				l.duties.unwatch(t, s)
			}
		}
		event = user.enter(f)
	}
}

// observe executes a call with the duties that observe it. There are several, or none any more.
func (l *Loop[T]) observe(t T, s *Thread, nr uint) {
	l.duties.watch(t, s, l.duties.firstObserver)
	l.execute(t, s.Frame, nr)
	l.duties.unwatch(t, s)
}

// execute executes a call with a number below Calls.
func (l *Loop[T]) execute(t T, f *amd64.Frame, nr uint) {
	result, err := l.calls[nr](t, f.Args())
	if err != nil {
		result = Failure(err)
	}
	f.RAX = result
}

// watch serves the entries of the duties that observe calls and are owed, from a row on.
func (t *Table[T]) watch(task T, s *Thread, r *row[T]) {
	for ; r != nil; r = r.next {
		if !r.owed(&s.Frame.ThreadFlags) {
			continue
		}
		s.entered |= r.Duty.Flag
		s.fast.count(r.Duty.Flag, r.number)
		if !r.Watch(task, s.Frame) {
			s.entered &^= r.Duty.Flag
		}
	}
}

// unwatch serves the exits of the duties for which watch has left a pair open.
func (t *Table[T]) unwatch(task T, s *Thread) {
	for r := t.lastObserver; r != nil; r = r.previous {
		if s.entered&r.Duty.Flag != 0 {
			s.entered &^= r.Duty.Flag // closePairs must not run the handler again if it panics
			r.Exit(task, &s.Call)
		}
	}
}

// breakpointEvent is the result of EnterUser for #BP.
const breakpointEvent = ^amd64.Breakpoint

// handled is the result of hit that is no event.
const handled = math.MinInt

// hit serves a breakpoint of a probe on the fast path: its owner raises UPROBE, and the
// duty's handler runs. It returns handled, or the event that slow handles. That is the
// breakpoint itself, with nothing done, if the task owes other duties, the breakpoint is
// not a probe's, or every visit is recorded. What the handler raises keeps EnterUser from
// user mode. The frame of an exception is complete.
func (l *Loop[T]) hit(f *amd64.Frame, s *Thread, t T) int {
	if l.breakpoint == nil {
		return breakpointEvent
	}
	if Pending(&f.ThreadFlags)&l.unhit != 0 { // a test of its own takes fewer instructions
		return breakpointEvent
	}
	if !l.breakpoint(t, f, amd64.Breakpoint) {
		return breakpointEvent
	}
	if Pending(&f.ThreadFlags)&l.unhit == Uprobe { // otherwise the slow path serves it in order
		Lower(&f.ThreadFlags, Uprobe)
		s.fast.count(Uprobe, l.uprobeBit)
		l.uprobe(t, f)
	}
	if s.calls || s.exiting {
		return amd64.EventDuty
	}
	return handled
}

// Failure returns the value of RAX for an error. A restart code stays in RAX
// until signal delivery replaces it. A signal is always pending then.
func Failure(err error) uint64 {
	if errno, ok := err.(unix.Errno); ok {
		return -uint64(errno)
	}
	errno := unix.EIO // a handler returned an error that is not an errno
	return -uint64(errno)
}

// slow handles an event that fast returned, and then serves the duties before
// user mode. This is one visit to the kernel, which the recorder may keep.
// EventHandover, which only loads the task's state on a CPU, is not recorded.
func (l *Loop[T]) slow(t T, s *Thread, event int) {
	if event == amd64.EventHandover {
		if event = t.TakeCPU(); event == amd64.EventHandover {
			return
		}
	}
	f, v := s.Frame, &s.Visit
	v.Start(amd64.TSC(), Pending(&f.ThreadFlags))
	switch vector := amd64.Vector(event); {
	case event >= 0:
		v.Kind, v.Number = BySyscall, int32(event)
		if event >= amd64.Event32 {
			v.ABI = I386
			if !completeCall32(t, f) {
				refuse32(f)
				break
			}
		}
		v.Served = l.duties.syscall(t, s, l.call)
	case event == amd64.EventDuty:
		v.Kind, v.Number = ByDuty, -1
		completeCall32(t, f)
	case vector < amd64.FirstInterrupt:
		v.Kind, v.Number = ByException, int32(vector)
		l.exceptions.Handle(t, f, vector)
	default:
		v.Kind, v.Number = ByInterrupt, int32(vector)
		t.AfterInterrupt()
	}
	if !s.exiting {
		if f.Flags&amd64.CallOver == 0 {
			l.endCall(t, s)
		}
		served, stuck := l.duties.exitToUser(t, s)
		v.Served |= served
		if stuck != 0 {
			t.Stuck(stuck)
		}
		f.ChooseExit()
	}
	if s.fast.duties != 0 {
		s.served |= s.fast.duties
		l.recorder.addFast(f, &s.fast)
	}
	l.recorder.End(v, f)
}

// endCall serves the duties of the exit of a call that began on the fast path.
func (l *Loop[T]) endCall(t T, s *Thread) {
	if s.Frame.Stepping() {
		s.Frame.Settle() // a single step returns by IRETQ, which needs a complete frame
	}
	s.Visit.Served |= l.duties.syscallExit(t, s)
}

// call executes the task's system call. A number out of range is ENOSYS, also if a
// tracer has written RAX. If the number is -1 there is no call, and RAX keeps its value:
// -ENOSYS, or what a tracer wrote (Linux: do_syscall_64).
func (l *Loop[T]) call(t T, s *Thread) {
	c := &s.Call
	if uint32(c.NR) >= Calls {
		if c.NR != -1 {
			s.Frame.RAX = NoCall
		}
		return
	}
	handler := l.calls[c.NR]
	if c.ABI == I386 {
		handler = l.calls32[c.NR].Handler
	}
	result, err := handler(t, &c.Args)
	if err != nil {
		result = Failure(err)
	}
	s.Frame.RAX = result
}
