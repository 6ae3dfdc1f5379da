package task

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/fs"
	"slowpath/wait"
)

// pidFD implements a process file descriptor (pidfd_open(2)). It always refers to
// the same process, even if the process id is used again.
type pidFD struct {
	fs.FileBase
	group *ThreadGroup
	// published is set once the process has an id. Before that, only a descriptor
	// of CLONE_PIDFD exists.
	published atomic.Bool
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

// Describe implements fs.Describer: the id of the process, -1 after it was released.
func (p *pidFD) Describe() string {
	id := -1
	if p.published.Load() {
		if t := p.group.kernel.TaskByID(p.group.id.number); t != nil && t.group == p.group {
			id = p.group.id.number
		}
	}
	return fmt.Sprintf("Pid:\t%d\nNSpid:\t%[1]d\n", id)
}

// pidfdOfClone is the descriptor of CLONE_PIDFD. The zero value is none.
type pidfdOfClone struct {
	file   *pidFD
	number int
}

// storePIDFD is CLONE_PIDFD: it opens a descriptor of the child in the parent and
// stores its number. It is called before the child has an id: nothing can fail after
// that. Errors: EMFILE, EFAULT.
func (t *Task) storePIDFD(child *Task, a *CloneArgs) (pidfdOfClone, error) {
	if a.Flags&unix.CLONE_PIDFD == 0 {
		return pidfdOfClone{}, nil
	}
	p := &pidFD{group: child.group}
	file := t.FS.Mounts().NewAnonymous("pidfd", 0, p)
	fd, err := t.FDs.Install(file, 0, t.DescriptorLimit(), fs.CloseOnExec)
	if err != nil {
		file.DecRef()
		return pidfdOfClone{}, err
	}
	if err := t.StoreUint32(a.PIDFD, uint32(fd)); err != nil {
		t.FDs.Close(fd)
		return pidfdOfClone{}, err
	}
	return pidfdOfClone{p, fd}, nil
}

// publish makes the descriptor usable, because the child has its id.
func (p pidfdOfClone) publish() {
	if p.file != nil {
		p.file.published.Store(true)
	}
}

// discard closes the descriptor, because the child was not made.
func (p pidfdOfClone) discard(t *Task) {
	if p.file != nil {
		t.FDs.Close(p.number)
	}
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
	p := &pidFD{group: target.group}
	p.published.Store(true)
	file := t.FS.Mounts().NewAnonymous("pidfd", flags, p)
	fd, err := t.FDs.Install(file, 0, t.DescriptorLimit(), fs.CloseOnExec)
	if err != nil {
		file.DecRef()
	}
	return fd, err
}

// processDirectory is implemented by the inode of the directory /proc/PID.
type processDirectory interface {
	// ProcessOfDirectory returns the id of the process, and false if the process was
	// released or the inode is another directory.
	ProcessOfDirectory() (id int, ok bool)
}

// GroupToSignal returns the process that a descriptor of pidfd_send_signal(2) refers to:
// that of GroupOfPIDFD, or of the directory /proc/PID. Errors: EBADF, ESRCH.
func (t *Task) GroupToSignal(fd int) (*ThreadGroup, error) {
	file, err := t.FDs.Get(fd)
	if err != nil {
		return nil, unix.EBADF
	}
	defer file.DecRef()
	directory, ok := file.Inode().(processDirectory)
	if !ok {
		return t.GroupOfPIDFD(fd)
	}
	id, ok := directory.ProcessOfDirectory()
	if id == 0 {
		return nil, unix.EBADF
	}
	if target := t.kernel.TaskByID(id); ok && target != nil {
		return target.group, nil
	}
	return nil, unix.ESRCH
}

// GroupOfPIDFD returns the process that a descriptor refers to: EBADF if it is not
// a process file descriptor, ESRCH if the process is still being made.
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
	if !p.published.Load() {
		return nil, unix.ESRCH
	}
	return p.group, nil
}
