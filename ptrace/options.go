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

// checkOptions checks the PTRACE_O_ bits in data: EINVAL for unknown ones, EPERM for
// PTRACE_O_SUSPEND_SECCOMP without the privilege.
func checkOptions(c *call) error {
	if c.data&^unix.PTRACE_O_MASK != 0 {
		return unix.EINVAL
	}
	if c.data&unix.PTRACE_O_SUSPEND_SECCOMP != 0 {
		return maySuspend(c)
	}
	return nil
}

// apply makes the PTRACE_O_ bits those of t. It does not sleep, and takes only the lock
// of UpdateLevels.
func apply(t *task.Task, options uint32) {
	old := of(t).options.Swap(options)
	if (old^options)&unix.PTRACE_O_SUSPEND_SECCOMP != 0 {
		seccomp.Suspend(t, options&unix.PTRACE_O_SUSPEND_SECCOMP != 0)
	}
}

func setOptions(c *call) error {
	if err := checkOptions(c); err != nil {
		return err
	}
	apply(c.tracee, uint32(c.data))
	c.tracee.SetExitKill(task.ExitKill(c.data&unix.PTRACE_O_EXITKILL != 0))
	return nil
}

func getEventMessage(c *call) error {
	return abi.CopyOut(c.tracer, c.data, c.tracee.CurrentStop().Message)
}

// has reports whether the tracer has set an option. Any goroutine may call it.
func (s *state) has(option uint32) bool { return s.options.Load()&option != 0 }
