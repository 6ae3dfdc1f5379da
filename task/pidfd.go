package task

import (
	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/wait"
)

// pidFD implements a process file descriptor (pidfd_open(2)). It always refers to
// the same process, even if the process id is used again.
type pidFD struct {
	fs.FileBase
	group *ThreadGroup
}

// Readiness implements fs.FileOperations: readable after the process has exited.
func (p *pidFD) Readiness() wait.Events {
	if _, ended := p.group.Exited(); ended {
		return wait.Readable
	}
	return 0
}

// Queue implements fs.FileOperations.
func (p *pidFD) Queue() *wait.Queue { return &p.group.done }

// newPIDFD returns an open file for the process. flags may have O_NONBLOCK.
func newPIDFD(mounts *fs.Mounts, g *ThreadGroup, flags int) *fs.File {
	return mounts.NewAnonymous("pidfd", flags, &pidFD{group: g})
}

// storePIDFD is CLONE_PIDFD: it opens a descriptor of the child in the parent and
// stores its number. Errors: EMFILE, EFAULT.
func (t *Task) storePIDFD(child *Task, address uint64) error {
	file := newPIDFD(t.FS.Mounts(), child.group, 0)
	fd, err := t.FDs.Install(file, 0, t.DescriptorLimit(), fs.CloseOnExec)
	if err != nil {
		file.DecRef()
		return err
	}
	if err := t.StoreUint32(address, uint32(fd)); err != nil {
		t.FDs.Close(fd)
		return err
	}
	return nil
}

// OpenPID is pidfd_open(2). Errors: ESRCH, EMFILE, and EINVAL for the id of a
// thread that is not a leader.
func (t *Task) OpenPID(number, flags int) (int, error) {
	target := t.kernel.TaskByID(number)
	switch {
	case target == nil:
		return 0, unix.ESRCH
	case target.group.id.number != number:
		return 0, unix.EINVAL
	}
	file := newPIDFD(t.FS.Mounts(), target.group, flags)
	fd, err := t.FDs.Install(file, 0, t.DescriptorLimit(), fs.CloseOnExec)
	if err != nil {
		file.DecRef()
	}
	return fd, err
}

// GroupOfPIDFD returns the process that a descriptor refers to: EBADF if it is not
// a process file descriptor.
func (t *Task) GroupOfPIDFD(fd int) (*ThreadGroup, error) {
	file, err := t.FDs.Get(fd)
	if err != nil {
		return nil, unix.EBADF
	}
	defer file.DecRef()
	p, ok := file.Operations().(*pidFD)
	if !ok {
		return nil, unix.EBADF
	}
	return p.group, nil
}
