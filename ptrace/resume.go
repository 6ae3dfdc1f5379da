package ptrace

import (
	"golang.org/x/sys/unix"

	"slowpath/entry"
	"slowpath/signal"
)

// resumeRequests resume a tracee.
var resumeRequests = map[int32]request{
	unix.PTRACE_CONT:              {"CONT", needsStopped, resumption{}.handle},
	unix.PTRACE_SYSCALL:           {"SYSCALL", needsStopped, resumption{until: entry.SyscallTrace}.handle},
	unix.PTRACE_SYSEMU:            {"SYSEMU", needsStopped, resumption{until: entry.SyscallEmu}.handle},
	unix.PTRACE_SINGLESTEP:        {"SINGLESTEP", needsStopped, resumption{steps: true}.handle},
	unix.PTRACE_SYSEMU_SINGLESTEP: {"SYSEMU_SINGLESTEP", needsStopped, resumption{until: entry.SyscallEmu, steps: true}.handle},
	unix.PTRACE_SINGLEBLOCK:       {"SINGLEBLOCK", needsStopped, resumption{steps: true, kind: stepBlock}.handle},
}

// resumption is how a request resumes a tracee.
type resumption struct {
	until entry.Flag // the level that stops it at a system call, or 0
	steps bool       // it single-steps
	kind  stepKind   // of the step
}

// handle implements request: data is the signal to inject (Linux: ptrace_resume).
func (r resumption) handle(c *call) (uint64, error) {
	code, err := c.injected()
	if err != nil {
		return 0, err
	}
	if s := of(c.tracee); entry.Flag(s.levels.Load()) != r.until {
		s.levels.Store(uint32(r.until))
		c.tracee.UpdateLevels()
	}
	if r.steps {
		enableStep(c.tracee, r.kind)
	} else {
		disableStep(c.tracee)
	}
	c.tracee.Resume(code)
	return 0, nil
}

// injected returns the signal in data: EIO if it is none, and not 0.
func (c *call) injected() (code uint32, err error) {
	if c.data > uint64(signal.Last) {
		return 0, unix.EIO
	}
	return uint32(c.data), nil
}
