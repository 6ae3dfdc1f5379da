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
	duties *entry.Table[*task.Task]
	// entryWork selects the duties that take a call off the fast path.
	entryWork entry.Flag
}

// NewLoop returns the loop over a table of duties, and tells EnterUser which
// of them keep a task from user mode.
func NewLoop(duties *entry.Table[*task.Task]) *Loop {
	amd64.SetExitMask(uint32(duties.UserMask()))
	return &Loop{duties: duties, entryWork: duties.EntryMask() | duties.SyscallExitMask()}
}

// Run is the user loop of t, on its goroutine, until it exits. The way of a
// system call that owes nothing is all here: no allocation, no map, one table
// index. Everything else is in the functions below.
func (l *Loop) Run(t *task.Task) {
	f := t.Frame
	entryWork := uint32(l.entryWork)
	for {
		event := amd64.EnterUser(f)
		if event == amd64.EventSyscall && f.Work.Load()&entryWork == 0 && f.RAX < handlers {
			result, err := dispatch[f.RAX](t, f)
			if err == nil {
				f.RAX = result
				continue
			}
			l.fail(f, err)
		} else {
			l.slow(t, f, event)
		}
		if t.Exiting() {
			return
		}
	}
}

// slow is every event but a system call that owes nothing.
func (l *Loop) slow(t *task.Task, f *amd64.Frame, event int) {
	switch {
	case event == amd64.EventSyscall:
		l.syscall(t, f)
	case event == amd64.EventHandover:
		amd64.TakeCPU(f)
	case event == amd64.EventWork:
		l.work(t, f)
	case event < amd64.FirstInterrupt:
		t.Exception(f, event)
	default: // an interrupt: served, but others may want the CPU now
		entry.Raise(&f.Work, entry.NeedResched)
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

// syscall is a call with duties at its entry or exit, or with a number beyond
// the table.
func (l *Loop) syscall(t *task.Task, f *amd64.Frame) {
	f.Settle()
	l.duties.SyscallEntry(t, f)
	if nr := f.OrigRAX; nr < handlers {
		result, err := dispatch[nr](t, f)
		f.RAX = result
		if err != nil {
			l.fail(f, err)
		}
	} else {
		l.fail(f, unix.ENOSYS)
	}
	l.duties.SyscallExit(t, f)
}

// work serves the duties before user mode.
func (l *Loop) work(t *task.Task, f *amd64.Frame) {
	if stuck := l.duties.ExitToUser(t, f, (*task.Task).Exiting); stuck != 0 {
		t.Kernel().Logf("The duties %v of %s come back however often they are served, so it is killed.", stuck, t)
		t.ExitGroup(task.SignalStatus(unix.SIGKILL))
	}
	if !t.Exiting() {
		f.ChooseExit()
	}
}
