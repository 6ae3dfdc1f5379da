package ptrace

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/seccomp"
	"slowpath/task"
)

// optionRequests set the options of a tracee, and read the message of its event.
var optionRequests = map[int32]request{
	unix.PTRACE_SETOPTIONS:    {"SETOPTIONS", needsStopped, only(setOptions)},
	unix.PTRACE_OLDSETOPTIONS: {"OLDSETOPTIONS", needsStopped, only(setOptions)},
	unix.PTRACE_GETEVENTMSG:   {"GETEVENTMSG", needsStopped, only(getEventMessage)},
}

// checkOptions checks the PTRACE_O_ bits in data: EINVAL for unknown ones, EPERM if the
// tracer may not suspend the filters of its tracee.
func checkOptions(c *call) error {
	if c.data&^unix.PTRACE_O_MASK != 0 {
		return unix.EINVAL
	}
	if c.data&unix.PTRACE_O_SUSPEND_SECCOMP != 0 {
		return maySuspendSeccomp(c)
	}
	return nil
}

func setOptions(c *call) error {
	if err := checkOptions(c); err != nil {
		return err
	}
	storeOptions(c.tracee, uint32(c.data))
	c.tracee.SetExitKill(task.ExitKill(c.data&unix.PTRACE_O_EXITKILL != 0))
	return nil
}

// storeOptions sets the options of a tracee. It does not sleep.
func storeOptions(t *task.Task, options uint32) {
	of(t).options.Store(options)
	seccomp.Suspend(t, options&unix.PTRACE_O_SUSPEND_SECCOMP != 0)
}

func getEventMessage(c *call) error {
	return abi.CopyOut(c.tracer, c.data, c.tracee.CurrentStop().Message)
}

// has reports whether the tracer has set an option. Any goroutine may call it.
func (s *state) has(option uint32) bool { return s.options.Load()&option != 0 }
