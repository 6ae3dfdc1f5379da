package procfs

import (
	"fmt"

	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
)

// CallState is what a thread does in the kernel.
type CallState struct {
	// Running means that the thread runs, so the other fields are not known.
	Running bool
	// Number is the number of the system call that the thread is in, or -1.
	Number int64
	// Arguments are those of the call.
	Arguments [6]uint64
	// SP and IP are the stack pointer and the instruction pointer of user mode.
	SP, IP uint64
}

// syscall returns the contents of /proc/pid/syscall (proc(5)). EPERM: the reader may
// not inspect the process.
func (p *process) syscall(who identity) ([]byte, error) {
	if p.checkAccess(who) != nil {
		return nil, unix.EPERM
	}
	c := p.task.CallState(int(who.thread))
	switch {
	case c.Running:
		return []byte("running\n"), nil
	case c.Number < 0:
		return fmt.Appendf(nil, "%d %#x %#x\n", c.Number, c.SP, c.IP), nil
	}
	a := &c.Arguments
	return fmt.Appendf(nil, "%d %#x %#x %#x %#x %#x %#x %#x %#x\n", c.Number, a[0], a[1], a[2], a[3], a[4], a[5], c.SP, c.IP), nil
}

// personality returns the contents of /proc/pid/personality (proc(5)). EPERM: the reader may
// not inspect the process.
func (p *process) personality(who identity) ([]byte, error) {
	if p.checkAccess(who) != nil {
		return nil, unix.EPERM
	}
	return fmt.Appendf(nil, "%08x\n", p.task.Info().Personality), nil
}

// wchan returns the contents of /proc/pid/wchan: the function of the kernel in which
// the thread sleeps, or "0" for a thread that runs and for a reader that may not
// inspect the process.
func (p *process) wchan(who identity) ([]byte, error) {
	if name := p.task.SleepsIn(); name != "" && p.checkAccess(who) == nil {
		return []byte(name), nil
	}
	return []byte("0"), nil
}

// openStack opens /proc/pid/stack. Reads fail with EACCES if the opener has no
// CAP_SYS_ADMIN, EPERM if the reader may not inspect the process, and ESRCH after the
// process was released.
func (p *process) openStack(c fs.Caller) (opened, error) {
	privileged := c.Credentials().Has(cred.SysAdmin)
	return opened{read: func(who identity) ([]byte, error) {
		switch {
		case p.task.Dead():
			return nil, unix.ESRCH
		case !privileged:
			return nil, unix.EACCES
		case p.checkAccess(who) != nil:
			return nil, unix.EPERM
		}
		return p.task.KernelStack()
	}}, nil
}
