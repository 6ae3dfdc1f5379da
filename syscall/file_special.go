package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/fs/eventfd"
	"slowpath/fs/pipe"
	"slowpath/fs/tmpfs"
	"slowpath/task"
)

var specialCalls = []Row{
	{Number: unix.SYS_PIPE, Name: "pipe", Arguments: args(Pointer), Handler: sysPipe},
	{Number: unix.SYS_EVENTFD, Name: "eventfd", Arguments: args(Uint), Handler: sysEventfd},
	{Number: unix.SYS_EVENTFD2, Name: "eventfd2", Arguments: args(Uint, Hex), Handler: sysEventfd2},
	{Number: unix.SYS_PIPE2, Name: "pipe2", Arguments: args(Pointer, Hex), Handler: sysPipe2,
		Partial: "O_DIRECT (packet mode) fails with EINVAL: the programs that this kernel targets do not use it."},
	{Number: unix.SYS_MEMFD_CREATE, Name: "memfd_create", Arguments: args(Path, Hex), Handler: sysMemfdCreate,
		Partial: "MFD_HUGETLB fails with EINVAL: there are no huge pages."},
}

// makePipe is pipe2(2). If the descriptors cannot be stored, they are closed.
func makePipe(t *task.Task, address uint64, flags int) (uint64, error) {
	if flags&^(unix.O_CLOEXEC|unix.O_NONBLOCK) != 0 {
		return 0, unix.EINVAL
	}
	r, w, err := pipe.New(t.FS.Mounts(), t, flags)
	if err != nil {
		return 0, err
	}
	return 0, installPair(t, r, w, address, flags&unix.O_CLOEXEC != 0)
}

// reservePair reserves two descriptors and stores them as two ints. Errors: EMFILE,
// ENOMEM, EFAULT.
func reservePair(t *task.Task, address uint64) (first, second int, err error) {
	if first, second, err = t.FDs.ReservePair(t.DescriptorLimit()); err != nil {
		return 0, 0, err
	}
	stored := false
	defer func() { // also if the copy panics: other threads keep the table
		if !stored {
			t.FDs.Cancel(first)
			t.FDs.Cancel(second)
		}
	}()
	err = abi.CopyOut(t, address, [2]int32{int32(first), int32(second)})
	stored = err == nil
	return first, second, err
}

// installPair gives descriptors to two new files and stores them as two ints. It
// opens the descriptors when nothing can fail any more. On an error or a panic both
// files are closed.
func installPair(t *task.Task, a, b *fs.File, address uint64, onExec fs.ExecAction) error {
	installed := false
	defer func() {
		if !installed {
			a.DecRef()
			b.DecRef()
		}
	}()
	if err := t.FS.Mounts().CheckFileMax(t.Credentials()); err != nil {
		return err
	}
	first, second, err := reservePair(t, address)
	if err != nil {
		return err
	}
	t.FDs.Fill(first, a, onExec)
	t.FDs.Fill(second, b, onExec)
	installed = true
	if w := argumentsWatched(t); w != nil {
		w.DescriptorPair(first, second)
	}
	return nil
}

func sysPipe(t *task.Task, a *amd64.Args) (uint64, error) { return makePipe(t, a[0], 0) }

func sysPipe2(t *task.Task, a *amd64.Args) (uint64, error) {
	return makePipe(t, a[0], int(int32(a[1])))
}

func sysEventfd(t *task.Task, a *amd64.Args) (uint64, error) {
	return install(t, eventfd.New(t.FS.Mounts(), uint32(a[0]), 0), fs.KeepOnExec)
}

func sysEventfd2(t *task.Task, a *amd64.Args) (uint64, error) {
	flags := int(int32(a[1]))
	if flags&^(unix.EFD_CLOEXEC|unix.EFD_NONBLOCK|unix.EFD_SEMAPHORE) != 0 {
		return 0, unix.EINVAL
	}
	return install(t, eventfd.New(t.FS.Mounts(), uint32(a[0]), flags), flags&unix.EFD_CLOEXEC != 0)
}

func sysMemfdCreate(t *task.Task, a *amd64.Args) (uint64, error) {
	flags := uint32(a[1])
	if flags&^(unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING) != 0 {
		return 0, unix.EINVAL
	}
	name, err := t.CopyInString(a[0], tmpfs.MaxMemfdName+1)
	if err == unix.ENAMETOOLONG {
		return 0, unix.EINVAL
	}
	if err != nil {
		return 0, err
	}
	c, m := t.Credentials(), t.FS.Mounts()
	file, err := tmpfs.Memfds(m).OpenMemfd(m, name, c.FSUID, c.FSGID, flags&unix.MFD_ALLOW_SEALING != 0)
	if err != nil {
		return 0, err
	}
	return install(t, file, flags&unix.MFD_CLOEXEC != 0)
}
