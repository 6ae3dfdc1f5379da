package entry

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// Loop is the user loop: it alternates between user mode and the kernel until
// the task exits. One Loop serves all tasks; it is immutable after NewLoop.
//
// The kernel and the exhaustive check run this code. They differ in entrance
// alone.
type Loop[T Task] struct {
	entrance
	calls      Dispatch[T]
	duties     *Table[T]
	exceptions *Exceptions[T]
	recorder   *Recorder
}

// LoopConfig is what a Loop consists of.
type LoopConfig[T Task] struct {
	// Calls are the system calls of the ABI X86_64.
	Calls Dispatch[T]
	// Duties is the table of duties.
	Duties *Table[T]
	// Exceptions has the owners of each exception.
	Exceptions *Exceptions[T]
	// Recorder keeps the visits to the kernel.
	Recorder *Recorder
}

// NewLoop returns the loop of a configuration.
func NewLoop[T Task](c LoopConfig[T]) *Loop[T] {
	return &Loop[T]{calls: c.Calls, duties: c.Duties, exceptions: c.Exceptions, recorder: c.Recorder}
}

// Run is the user loop of t, on its goroutine, until it exits.
func (l *Loop[T]) Run(t T) {
	s := t.thread()
	for !s.exiting {
		l.slow(t, s, l.fast(s.Frame, t))
	}
}

// fast alternates between user mode and system calls of a task that owes no
// duty. It returns the first event that is anything else. It does not allocate
// and uses no map: a call costs one table index.
//
// A duty of any stage sends a call to the slow path: testing for any flag is
// cheaper than testing for those of a call's entry.
func (l *Loop[T]) fast(f *amd64.Frame, t T) int {
	user := l.entrance
	for {
		event := user.enter(f)
		nr := uint(event)
		if nr >= Calls {
			if event < 0 || f.ThreadFlags.Load() != 0 {
				return event
			}
			f.RAX = NoCall
			continue
		}
		if f.ThreadFlags.Load() != 0 {
			return event
		}
		result, err := l.calls[nr](t, f.Args())
		if err != nil {
			f.RAX = failure(err)
			continue
		}
		f.RAX = result
	}
}

// failure returns what RAX is for an error. A restart code stays in RAX until
// signal delivery, which a pending signal causes, replaces it.
func failure(err error) uint64 {
	if errno, ok := err.(unix.Errno); ok {
		return -uint64(errno)
	}
	errno := unix.EIO // the error of a lower layer that was not translated
	return -uint64(errno)
}

// slow handles every event that fast returns: it does what the event asks for,
// and then serves the duties before user mode. All of that is one visit to the
// kernel, which the recorder may keep. Loading the task's state on a CPU is no
// visit: the program does not notice it.
func (l *Loop[T]) slow(t T, s *Thread, event int) {
	if event == amd64.EventHandover {
		t.TakeCPU()
		return
	}
	f, v := s.Frame, &s.Visit
	v.Start(amd64.TSC(), Pending(&f.ThreadFlags))
	switch vector := amd64.Vector(event); {
	case event >= 0:
		v.Kind, v.Number = BySyscall, int32(event)
		v.Served = l.duties.syscall(t, s, l.call)
	case event == amd64.EventDuty:
		v.Kind, v.Number = ByDuty, -1
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
	l.recorder.End(v, f)
}

// endCall serves the duties of the exit of a call that owed nothing when it
// began.
func (l *Loop[T]) endCall(t T, s *Thread) {
	if s.Frame.Stepping() {
		s.Frame.Settle() // the step ends with IRETQ, which needs a complete frame
	}
	s.Visit.Served |= l.duties.syscallExit(t, s)
}

// call executes the system call that the task is in. A number without a call leaves
// RAX as it is: -ENOSYS, or what a tracer has written.
func (l *Loop[T]) call(t T, s *Thread) {
	c := &s.Call
	if uint32(c.NR) >= Calls {
		return
	}
	result, err := l.calls[c.NR](t, &c.Args)
	if err != nil {
		result = failure(err)
	}
	s.Frame.RAX = result
}
