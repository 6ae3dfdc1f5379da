package syscall

import (
	"strings"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/signal"
	"slowpath/task"
)

func signalOf(s signal.Signal) signal.Info { return signal.KernelInfo(s) }

// fd is a descriptor argument: the low 32 bits, signed.
func fd(register uint64) int { return int(int32(register)) }

// nameAt reads a path name and looks up the directory that it starts at. The
// caller releases the directory by releaseStart.
func nameAt(t *task.Task, directory, address uint64) (fs.At, error) {
	name, err := t.CopyInPath(address)
	if err != nil {
		return fs.At{}, err
	}
	return startAt(t, directory, name)
}

func startAt(t *task.Task, directory uint64, name string) (fs.At, error) {
	at := fs.At{Caller: t, Name: name, Follow: true}
	if fd(directory) == unix.AT_FDCWD || strings.HasPrefix(name, "/") {
		return at, nil
	}
	start, err := t.FDs.GetPath(fd(directory))
	at.Start = start
	return at, err
}

// releaseStart drops the reference that nameAt has taken.
func releaseStart(at fs.At) {
	if at.Start != nil {
		at.Start.DecRef()
	}
}

// atCWD is AT_FDCWD, the directory argument for calls that have none.
const atCWD = ^uint64(99)

// withName runs operation on a decoded path name.
func withName(t *task.Task, directory, address uint64, operation func(at fs.At) error) (uint64, error) {
	at, err := nameAt(t, directory, address)
	if err != nil {
		return 0, err
	}
	defer releaseStart(at)
	return 0, operation(at)
}

// withFile runs operation on the file of a descriptor. Error: EBADF, also for a
// file opened with O_PATH.
func withFile(t *task.Task, register uint64, operation func(f *fs.File) (uint64, error)) (uint64, error) {
	f, err := t.FDs.Get(fd(register))
	if err != nil {
		return 0, err
	}
	defer f.DecRef()
	return operation(f)
}

// install gives f, which was just opened, the lowest free descriptor. On an error it
// drops the caller's reference. Errors: EMFILE, ENFILE.
func install(t *task.Task, f *fs.File, onExec fs.ExecAction) (uint64, error) {
	if err := t.FS.Mounts().CheckFileMax(t.Credentials()); err != nil {
		f.DecRef()
		return 0, err
	}
	n, err := t.FDs.Install(f, 0, t.DescriptorLimit(), onExec)
	if err != nil {
		f.DecRef()
	}
	return uint64(n), err
}

// openFlags are the flags that open(2) knows; it ignores others.
const openFlags = unix.O_ACCMODE | unix.O_APPEND | unix.O_ASYNC | unix.O_CLOEXEC | unix.O_CREAT | unix.O_DIRECT |
	unix.O_DIRECTORY | unix.O_DSYNC | unix.O_EXCL | largeFile | unix.O_NOATIME | unix.O_NOCTTY | unix.O_NOFOLLOW |
	unix.O_NONBLOCK | unix.O_PATH | unix.O_SYNC | unix.O_TMPFILE | unix.O_TRUNC

// largeFile is O_LARGEFILE, which is set for every file that a 64-bit program
// opens. A 32-bit program sets it itself: without it, it cannot open large files.
const largeFile = 0o100000

func openAt(t *task.Task, at fs.At, flags int, mode uint32) (uint64, error) {
	if flags&unix.O_PATH == 0 && !t.Layout.Narrow() {
		flags |= largeFile
	}
	return withDescriptor(t, flags&unix.O_CLOEXEC != 0, func() (*fs.File, error) {
		f, err := at.Open(flags&openFlags, mode)
		if err != nil {
			return nil, err
		}
		if flags&(largeFile|unix.O_PATH) == 0 && f.Attributes().Size > maxNonLargeFile {
			f.DecRef()
			return nil, unix.EOVERFLOW
		}
		return f, awaitOpened(t, f)
	})
}

// withDescriptor reserves a descriptor, and opens it with the file that open
// returns. Without a free descriptor open is not called, so a file is not created
// and a connection not accepted. Errors: EMFILE, ENFILE, ENOMEM, and those of open.
func withDescriptor(t *task.Task, onExec fs.ExecAction, open func() (*fs.File, error)) (uint64, error) {
	n, err := t.FDs.Reserve(0, t.DescriptorLimit())
	if err != nil {
		return 0, err
	}
	filled := false
	defer func() { // also if open panics: other threads keep the table
		if !filled {
			t.FDs.Cancel(n)
		}
	}()
	if err := t.FS.Mounts().CheckFileMax(t.Credentials()); err != nil {
		return 0, err
	}
	f, err := open()
	if err != nil {
		return 0, err
	}
	t.FDs.Fill(n, f, onExec)
	filled = true
	return uint64(n), nil
}

func openName(t *task.Task, directory, address, flags, mode uint64) (uint64, error) {
	at, err := nameAt(t, directory, address)
	if err != nil {
		return 0, err
	}
	defer releaseStart(at)
	return openAt(t, at, int(int32(flags)), uint32(mode))
}

func sysOpen(t *task.Task, a *amd64.Args) (uint64, error) {
	return openName(t, atCWD, a[0], a[1], a[2])
}

func sysOpenat(t *task.Task, a *amd64.Args) (uint64, error) {
	return openName(t, a[0], a[1], a[2], a[3])
}

func sysCreat(t *task.Task, a *amd64.Args) (uint64, error) {
	return openName(t, atCWD, a[0], unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC, a[1])
}

// openHowSizeVer0 is the size of the first version of struct open_how.
const openHowSizeVer0 = 24

// sysOpenat2 is openat2(2).
func sysOpenat2(t *task.Task, a *amd64.Args) (uint64, error) {
	how, err := loadExtensible[unix.OpenHow](t, a[2], a[3], openHowSizeVer0)
	if err != nil {
		return 0, err
	}
	if w := argumentsWatched(t); w != nil {
		w.OpenHow(how.Flags, how.Mode, how.Resolve)
	}
	if err := checkHow(how.Flags, how.Mode, how.Resolve); err != nil {
		return 0, err
	}
	at, err := nameAt(t, a[0], a[1])
	if err != nil {
		return 0, err
	}
	defer releaseStart(at)
	at.Resolve = how.Resolve
	return openAt(t, at, int(how.Flags), uint32(how.Mode))
}

// checkHow returns EINVAL for invalid arguments that open(2) would ignore
// (openat2(2)), and EAGAIN for RESOLVE_CACHED.
func checkHow(flags, mode, resolve uint64) error {
	const scopes = unix.RESOLVE_BENEATH | unix.RESOLVE_IN_ROOT
	const known = scopes | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_XDEV | abi.RESOLVE_CACHED
	switch {
	case flags&^openFlags != 0, resolve&^known != 0, resolve&scopes == scopes, mode&^0o7777 != 0:
		return unix.EINVAL
	case mode != 0 && flags&(unix.O_CREAT|unix.O_TMPFILE&^unix.O_DIRECTORY) == 0:
		return unix.EINVAL
	case flags&unix.O_PATH != 0 && flags&^(unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC) != 0:
		return unix.EINVAL
	case resolve&abi.RESOLVE_CACHED != 0:
		return unix.EAGAIN // RESOLVE_CACHED may fail in this way at any time
	}
	return nil
}

// sysClose is close(2). The last reference to an open file is dropped by task
// work, before the task returns to user mode (Linux: fput). No lock is held
// there, so the release may take any lock.
func sysClose(t *task.Task, a *amd64.Args) (uint64, error) {
	file, err := t.FDs.Detach(fd(a[0]))
	if err != nil || file.DropUnlessLast() {
		return 0, err
	}
	t.AddWork(func(*task.Task) { file.DecRef() })
	return 0, nil
}

// sysCloseRange is close_range(2).
func sysCloseRange(t *task.Task, a *amd64.Args) (uint64, error) {
	first, last, flags := uint32(a[0]), uint32(a[1]), uint32(a[2])
	if flags&^(unix.CLOSE_RANGE_UNSHARE|unix.CLOSE_RANGE_CLOEXEC) != 0 || first > last {
		return 0, unix.EINVAL
	}
	if flags&unix.CLOSE_RANGE_UNSHARE != 0 {
		if err := t.UnshareFiles(); err != nil {
			return 0, err
		}
	}
	from, to := int(min(first, fs.MaxDescriptors)), int(min(last, fs.MaxDescriptors))
	if flags&unix.CLOSE_RANGE_CLOEXEC != 0 {
		if from < to {
			return 0, t.FDs.SetExecAction(from, to, fs.CloseOnExec)
		}
		t.FDs.SetExecAction(from, to, fs.CloseOnExec) // EBADF of a single descriptor is ignored
		return 0, nil
	}
	t.FDs.CloseRange(from, to)
	return 0, nil
}

func sysDup(t *task.Task, a *amd64.Args) (uint64, error) {
	file, err := t.FDs.GetPath(fd(a[0]))
	if err != nil {
		return 0, err
	}
	return install(t, file, fs.KeepOnExec)
}

func sysDup2(t *task.Task, a *amd64.Args) (uint64, error) {
	if uint32(a[0]) == uint32(a[1]) {
		file, err := t.FDs.GetPath(fd(a[0]))
		if err != nil {
			return 0, err
		}
		file.DecRef()
		return uint64(uint32(a[1])), nil
	}
	return duplicate(t, a[0], a[1], fs.KeepOnExec)
}

func sysDup3(t *task.Task, a *amd64.Args) (uint64, error) {
	if uint32(a[2])&^unix.O_CLOEXEC != 0 || uint32(a[0]) == uint32(a[1]) {
		return 0, unix.EINVAL
	}
	return duplicate(t, a[0], a[1], a[2]&unix.O_CLOEXEC != 0)
}

func duplicate(t *task.Task, from, to uint64, onExec fs.ExecAction) (uint64, error) {
	file, err := t.FDs.GetPath(fd(from))
	if err != nil {
		return 0, err
	}
	limit := t.Group().Limits.Soft(unix.RLIMIT_NOFILE)
	if err := t.FDs.Replace(fd(to), file, limit, onExec); err != nil {
		file.DecRef()
		return 0, err
	}
	return uint64(fd(to)), nil
}
