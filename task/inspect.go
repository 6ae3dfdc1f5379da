package task

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/mm"
)

// The methods below give other goroutines access to the parts of a task, which its
// own goroutine replaces in execve(2) and releases in exit. The lock of the
// resources is held during each access (Linux: task_lock). Any goroutine may call
// them; they do not sleep.

// MayInspect reports whether t may read or change the state of target (Linux:
// ptrace_may_access): the threads of its own process always, others by
// cred.Credentials.MayInspect.
func (t *Task) MayInspect(target *Task, as cred.InspectAs) bool {
	return target.MayBeInspected(t.PID(), t.Credentials(), as)
}

// MayBeInspected is MayInspect for a caller that is given by its process id and
// credentials.
func (target *Task) MayBeInspected(process int, c *cred.Credentials, as cred.InspectAs) bool {
	if process == target.PID() {
		return true
	}
	// The credentials are read first: see setCredentials.
	other := target.Credentials()
	return c.MayInspect(other, as, target.dumpableByUser())
}

// InspectMemory returns the address space of target with a reference, which the caller
// drops by DecRef (Linux: mm_access). Errors: EPERM if t may not inspect target, ESRCH
// if target has released its memory.
//
// The memory is taken before the permission is checked: a program that has gained
// privileges by execve(2) has memory that is not dumpable until its credentials are
// published.
func (t *Task) InspectMemory(target *Task, as cred.InspectAs) (*mm.AddressSpace, error) {
	space := target.AddressSpace()
	if space == nil {
		return nil, unix.ESRCH
	}
	if space != t.MM && target.group != t.group {
		other := target.Credentials() // before the dumpable value: see setCredentials
		if !t.Credentials().MayInspect(other, as, space.Dumpable() == mm.DumpableByUser) {
			space.DecRef()
			return nil, unix.EPERM
		}
	}
	return space, nil
}

// TraceeMemory returns the address space of a tracee that t has frozen, without a
// reference: the tracee keeps it until it is thawed (Linux: ptrace_access_vm). EIO if
// there is none, or if it is not dumpable and the tracer had no CAP_SYS_PTRACE when it
// attached.
func (t *Task) TraceeMemory(tracee *Task) (*mm.AddressSpace, error) {
	space := tracee.MM
	if space == nil || space.Dumpable() != mm.DumpableByUser && tracee.tracerLacksPrivilege() {
		return nil, unix.EIO
	}
	return space, nil
}

// dumpableByUser reports whether the memory of the task is SUID_DUMP_USER. It is true
// for a task without memory: there is nothing to protect.
func (t *Task) dumpableByUser() bool {
	t.resources.Lock()
	defer t.resources.Unlock()
	return t.MM == nil || t.MM.Dumpable() == mm.DumpableByUser
}

// OwnedByRoot reports whether the files of the task in /proc belong to root and not
// to the task's user: its memory is not dumpable, or it has none (Linux:
// task_dump_owner).
func (t *Task) OwnedByRoot() bool {
	t.resources.Lock()
	defer t.resources.Unlock()
	return t.MM == nil || t.MM.Dumpable() != mm.DumpableByUser
}

// Dead reports whether the task was released: as a zombie that was reaped, or as a
// thread that has exited.
func (t *Task) Dead() bool { return exitState(t.exitState.Load()) == dead }

// Image returns the address space, without a reference, and the program that is
// loaded in it. Both are nil after the task has released its memory. The caller
// uses AddressSpace.TryIncRef before each access.
func (t *Task) Image() (*mm.AddressSpace, *Program) {
	t.resources.Lock()
	defer t.resources.Unlock()
	if t.MM == nil {
		return nil, nil
	}
	return t.MM, t.program.Load().load()
}

// File returns the open file of a descriptor of the task, with a reference, and what
// execve(2) does with the descriptor: EBADF if it is not open, or the task has
// released its descriptors.
func (t *Task) File(fd int) (*fs.File, fs.ExecAction, error) {
	t.resources.Lock()
	defer t.resources.Unlock()
	if t.FDs == nil {
		return nil, fs.KeepOnExec, unix.EBADF
	}
	f, err := t.FDs.GetPath(fd)
	if err != nil {
		return nil, fs.KeepOnExec, unix.EBADF
	}
	onExec, _ := t.FDs.GetExecAction(fd)
	return f, onExec, nil
}

// NextDescriptor returns the lowest open descriptor of the task that is at least fd, or
// -1 if there is none.
func (t *Task) NextDescriptor(fd int) int {
	t.resources.Lock()
	defer t.resources.Unlock()
	if t.FDs == nil {
		return -1
	}
	return t.FDs.NextOpen(fd)
}

// DescriptorTableSize returns the size of the task's descriptor table (FDSize in
// /proc/pid/status), 0 after its exit.
func (t *Task) DescriptorTableSize() int {
	t.resources.Lock()
	defer t.resources.Unlock()
	if t.FDs == nil {
		return 0
	}
	return t.FDs.Size()
}

// Directories returns the root, the working directory and the umask of the task. It
// reports false if the task has released them.
func (t *Task) Directories() (d Directories, ok bool) {
	t.resources.Lock()
	defer t.resources.Unlock()
	if t.FS == nil {
		return d, false
	}
	return Directories{Root: t.FS.Root(), Working: t.FS.Directory(), Umask: t.FS.Umask()}, true
}

// Directories is a copy of what fs.Context has.
type Directories struct {
	Root, Working fs.Path
	Umask         uint32
}

// RootContext returns a context with the task's root, for a file that shows the
// mounts of the task. The caller releases it. It is nil if the task has released its
// directories.
func (t *Task) RootContext() *fs.Context {
	t.resources.Lock()
	defer t.resources.Unlock()
	if t.FS == nil {
		return nil
	}
	return t.FS.RootOnly()
}
