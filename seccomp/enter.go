package seccomp

import (
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/entry"
	"slowpath/seccomp/bpf"
	"slowpath/signal"
	"slowpath/task"
)

// Enter is the handler of the entry. For the vsyscall page it is called with a call that the
// program has not made by SYSCALL.
func Enter(t *task.Task, c *entry.Call) entry.Verdict {
	s := of(t)
	switch s.getMode() {
	case Disabled:
		return entry.Proceed
	case Strict:
		return s.strict(t, c)
	case Filtered:
		return s.filter(t, beforeTracer)
	}
	t.EndThread(task.SignalStatus(unix.SIGKILL))
	return entry.Skip
}

// strict allows only the four calls of strict mode, and kills the thread for others.
func (s *state) strict(t *task.Task, c *entry.Call) entry.Verdict {
	if slices.Contains(strictCalls[c.ABI], c.NR) {
		return entry.Proceed
	}
	s.mode.Store(uint32(dead))
	logAction(t, c.NR, unix.SIGKILL, uint32(retKillThread), requested)
	t.EndThread(task.SignalStatus(unix.SIGKILL))
	return entry.Skip
}

// strictCalls are the calls of strict mode, by ABI: read, write, exit, and rt_sigreturn or
// sigreturn (Linux: mode1_syscalls, mode1_syscalls_32).
var strictCalls = [...][]int32{
	entry.X86_64: {unix.SYS_READ, unix.SYS_WRITE, unix.SYS_EXIT, unix.SYS_RT_SIGRETURN},
	entry.I386:   {3, 4, 1, 119},
}

// round says whether the tracer has already decided about the call: then
// SECCOMP_RET_TRACE allows it.
type round bool

const (
	beforeTracer round = false
	afterTracer  round = true
)

// filter runs the filters and executes their verdict.
func (s *state) filter(t *task.Task, r round) entry.Verdict {
	c := entry.CallOf(t.Frame) // not the call of the entry, which a tracer may have changed
	d := bpf.Data{NR: c.NR, Arch: c.ABI.AuditArch(), IP: t.Frame.RIP, Args: (*[6]uint64)(&c.Args)}
	verdict, match := s.chain.Load().run(&d)
	e := event{task: t, state: s, data: &d, verdict: verdict, match: match, round: r}
	switch actionOf(verdict) {
	case retAllow:
		return entry.Proceed
	case retLog:
		e.log(0)
		return entry.Proceed
	case retErrno:
		return e.fail()
	case retTrap:
		return e.trap()
	case retTrace:
		return e.trace()
	case retUserNotify:
		return e.notify()
	}
	return e.kill()
}

// event is a call with the verdict of the filters.
type event struct {
	task    *task.Task
	state   *state
	data    *bpf.Data
	verdict uint32
	match   *filter
	round   round
}

// info returns the lower half of the verdict.
func (e *event) info() uint32 { return e.verdict & dataMask }

// log writes an audit record if the action is to be logged. signal is the signal that
// the task gets, or 0.
func (e *event) log(s signal.Signal) {
	logAction(e.task, e.data.NR, s, e.verdict, request(e.match != nil && e.match.logged))
}

// skip skips the call with a result.
func (e *event) skip(result uint64) entry.Verdict {
	e.task.Frame.RAX = result
	e.log(0)
	return entry.Skip
}

// fail is SECCOMP_RET_ERRNO.
func (e *event) fail() entry.Verdict {
	const maxErrno = 4095
	return e.skip(-uint64(min(e.info(), maxErrno)))
}

// trap is SECCOMP_RET_TRAP. RAX is the number of the call again, so that the handler of
// SIGSYS sees the registers before the call.
func (e *event) trap() entry.Verdict {
	e.task.ForceSignal(e.siginfo())
	return e.skip(e.task.Frame.OrigRAX)
}

// siginfo describes SIGSYS (Linux: force_sig_seccomp).
func (e *event) siginfo() signal.Info {
	return signal.SyscallInfo(signal.SYS_SECCOMP, int32(e.info()), e.data.IP, e.data.NR, e.data.Arch)
}

// trace is SECCOMP_RET_TRACE. Without a tracer the call returns ENOSYS. The tracer may
// change or skip the call, and the filters judge what it has left.
func (e *event) trace() entry.Verdict {
	if e.round == afterTracer {
		return entry.Proceed
	}
	t := e.task
	if !t.SeccompTrace(uint16(e.info())) {
		return e.skip(entry.NoCall)
	}
	if t.Killed() || int32(t.Frame.OrigRAX) < 0 {
		e.log(0)
		return entry.Skip
	}
	return e.state.filter(t, afterTracer)
}

// notify is SECCOMP_RET_USER_NOTIF: the listener decides.
func (e *event) notify() entry.Verdict {
	r := e.match.ask(e.task, e.data)
	if r.proceed {
		return entry.Proceed
	}
	return e.skip(r.result())
}

// kill is SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, and every unknown action,
// which kills the process. A core file is written if the process ends.
func (e *event) kill() entry.Verdict {
	t := e.task
	e.state.mode.Store(uint32(dead))
	e.log(unix.SIGSYS)
	if actionOf(e.verdict) == retKillThread && t.Group().LiveThreads() > 1 {
		t.EndThread(task.SignalStatus(unix.SIGSYS))
		return entry.Skip
	}
	t.Frame.RAX = t.Frame.OrigRAX // as the core file shows it
	t.ForceFatalInfo(e.siginfo())
	return entry.Skip
}
