package ptrace

import (
	"golang.org/x/sys/unix"

	"slowpath/task"
)

// attachRequests begin and end the tracing of a task, and stop a running tracee.
var attachRequests = map[int32]request{
	unix.PTRACE_TRACEME:   {"TRACEME", needsNothing, only(traceMe)},
	unix.PTRACE_ATTACH:    {"ATTACH", needsTask, only(attach)},
	unix.PTRACE_SEIZE:     {"SEIZE", needsTask, only(seize)},
	unix.PTRACE_DETACH:    {"DETACH", needsStopped, only(detach)},
	unix.PTRACE_INTERRUPT: {"INTERRUPT", needsAttached, only(func(c *call) error { return c.tracee.InterruptTracee() })},
	unix.PTRACE_LISTEN:    {"LISTEN", needsStopped, only(func(c *call) error { return c.tracee.Listen() })},
	unix.PTRACE_KILL:      {"KILL", needsAttached, only(kill)},
}

func traceMe(c *call) error { return c.tracer.TraceMe() }

func attach(c *call) error { return c.tracer.Attach(c.tracee, task.Attachment{}) }

// seize is PTRACE_SEIZE: data has the options. EIO for an address or an unknown
// option, for which SETOPTIONS returns EINVAL.
func seize(c *call) error {
	if c.addr != 0 || c.data&^unix.PTRACE_O_MASK != 0 {
		return unix.EIO
	}
	if err := checkOptions(c); err != nil {
		return err
	}
	return c.tracer.Attach(c.tracee, task.Attachment{
		Seize: true, ExitKill: c.data&unix.PTRACE_O_EXITKILL != 0,
		Linked: func() { storeOptions(c.tracee, uint32(c.data)) },
	})
}

func detach(c *call) error {
	code, err := c.injected()
	if err != nil {
		return err
	}
	disableStep(c.tracee)
	c.tracee.Detach(code)
	return nil
}

func kill(c *call) error {
	return c.tracee.Signal(userSignal(c.tracer, unix.SIGKILL))
}
