package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/task"
)

// Loop is the life of a task: user mode, what it came back for, the duties
// before it may go again. One Loop serves all tasks.
type Loop struct {
	duties   *entry.Table[*task.Task]
	recorder *entry.Recorder
}

// NewLoop returns the loop over a table of duties, whose visits to the kernel
// the recorder keeps.
func NewLoop(duties *entry.Table[*task.Task], r *entry.Recorder) *Loop {
	duties.Observe(func(t *task.Task, flag entry.Flag, begin, end uint64) { t.Visit.Step(flag, begin, end) })
	return &Loop{duties: duties, recorder: r}
}

// Run is the user loop of t, on its goroutine, until it exits.
func (l *Loop) Run(t *task.Task) {
	f := t.Frame
	for !t.Exiting() {
		l.slow(t, f, l.fast(t, f))
	}
}

// fast alternates between user mode and system calls that owe nothing, and
// returns the first event that is something else: no allocation, no map, one
// table index. It is a function of its own so that it spills few registers.
//
// A duty that came during user mode sends a call the slow way even if it is
// not one of a call's entry: asking for any costs less than asking for some.
func (l *Loop) fast(t *task.Task, f *amd64.Frame) int {
	for {
		event := amd64.EnterUser(f)
		if uint32(event) >= handlers {
			if event < 0 || f.ThreadFlags.Load() != 0 {
				return event
			}
			f.RAX = noSuchCall
			continue
		}
		if f.ThreadFlags.Load() != 0 {
			return event
		}
		result, err := dispatch[event](t, f.Args())
		if err != nil {
			l.fail(f, err)
			continue
		}
		f.RAX = result
	}
}

// noSuchCall is what a call returns that there is not: -ENOSYS.
const noSuchCall = ^uint64(unix.ENOSYS) + 1

// slow is every event but a system call that owes nothing: what it asks for,
// and the duties before user mode that are owed then. It is a visit to the
// kernel that is worth a record, but for the hand-over of a CPU, of which the
// program knows nothing.
func (l *Loop) slow(t *task.Task, f *amd64.Frame, event int) {
	if event == amd64.EventHandover {
		for !amd64.TakeCPU(f) {
			t.Kernel().Scheduler().Threads.Pin(f.Affinity())
		}
		t.RaiseRSeq() // another CPU, or another program ran on this one
		return
	}
	v := &t.Visit
	v.Start(amd64.TSC(), t.TID(), entry.Pending(&f.ThreadFlags))
	switch vector := amd64.Vector(event); {
	case event >= 0:
		v.Kind, v.Number = entry.BySyscall, int32(event)
		v.Served = l.duties.Syscall(t, f, l.call, (*task.Task).Exiting)
	case event == amd64.EventDuty: // the duties are all that there is
		v.Kind, v.Number = entry.ByDuty, -1
	case vector < amd64.FirstInterrupt:
		v.Kind, v.Number = entry.ByException, int32(vector)
		l.exception(t, f, vector)
	default: // an interrupt, which package goos has handled
		v.Kind, v.Number = entry.ByInterrupt, int32(vector)
		t.ChargeTicks()
		if f.TakeResched() {
			entry.Raise(&f.ThreadFlags, entry.NeedResched)
		}
	}
	if !t.Exiting() {
		l.work(t, f)
	}
	l.recorder.End(v, f)
}

// exception makes of an exception what the program will know of it.
func (l *Loop) exception(t *task.Task, f *amd64.Frame, vector int) {
	switch vector {
	case amd64.MachineCheck:
		t.MachineCheck(f)
	case amd64.NMI: // served, and of no consequence
	default:
		t.Exception(f, vector)
	}
}

// fail makes an error the result of the call. A restart code stays in RAX for
// signal delivery, which a pending signal is about to bring.
func (l *Loop) fail(f *amd64.Frame, err error) {
	errno, ok := err.(unix.Errno)
	if !ok {
		errno = unix.EIO // a layer below forgot to translate
	}
	f.RAX = -uint64(errno)
}

// call executes the call whose number the frame has, or has now: a tracer may
// have changed it.
func (l *Loop) call(t *task.Task, f *amd64.Frame) {
	nr := uint32(f.OrigRAX)
	if nr >= handlers {
		return // RAX says ENOSYS
	}
	result, err := dispatch[nr](t, f.Args())
	if err != nil {
		l.fail(f, err)
		return
	}
	f.RAX = result
}

// work serves the duties before user mode; before them, those of the exit of a
// call that the fast path began and ended.
func (l *Loop) work(t *task.Task, f *amd64.Frame) {
	if f.Flags&amd64.CallOver == 0 {
		t.Visit.Served |= l.endCall(t, f)
	}
	served, stuck := l.duties.ExitToUser(t, f, (*task.Task).Exiting)
	t.Visit.Served |= served
	if stuck != 0 {
		t.Kernel().Logf("The duties %v of %s come back however often they are served, so it is killed.", stuck, t)
		t.ExitGroup(task.SignalStatus(unix.SIGKILL))
	}
	if !t.Exiting() {
		f.ChooseExit()
	}
}

// endCall ends a call that owed nothing when it began. Whoever steps over it
// wants the frame as IRETQ leaves it.
func (l *Loop) endCall(t *task.Task, f *amd64.Frame) entry.Flag {
	if f.Stepping() {
		f.Settle()
	}
	return l.duties.SyscallExit(t, f, (*task.Task).Exiting)
}
