package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/fs/pipe"
	"slowpath/fs/tmpfs"
	"slowpath/task"
	"slowpath/wait"
)

// fcntlCommand executes one command of fcntl(2) on an open file.
type fcntlCommand func(t *task.Task, f *fs.File, descriptor int, argument uint64) (uint64, error)

// fcntlCommands has the supported commands of fcntl(2). The others fail with
// EINVAL, among them leases and directory notification, which are optional in
// Linux too.
var fcntlCommands = map[int32]fcntlCommand{
	unix.F_DUPFD:         duplicateFrom(fs.KeepOnExec),
	unix.F_DUPFD_CLOEXEC: duplicateFrom(fs.CloseOnExec),
	unix.F_GETFD:         getDescriptorFlags,
	unix.F_SETFD:         setDescriptorFlags,
	unix.F_GETFL:         getStatusFlags,
	unix.F_SETFL:         setStatusFlags,
	unix.F_GETLK:         testLock(processLock, flockLong),
	unix.F_SETLK:         setLock(processLock, flockLong, failIfHeld),
	unix.F_SETLKW:        setLock(processLock, flockLong, waitIfHeld),
	unix.F_OFD_GETLK:     testLock(openFileLock, flock64),
	unix.F_OFD_SETLK:     setLock(openFileLock, flock64, failIfHeld),
	unix.F_OFD_SETLKW:    setLock(openFileLock, flock64, waitIfHeld),
	unix.F_GETOWN:        getOwner,
	unix.F_SETOWN:        setOwner,
	unix.F_GETPIPE_SZ:    getPipeSize,
	unix.F_SETPIPE_SZ:    setPipeSize,
	unix.F_GET_SEALS:     getSeals,
	unix.F_ADD_SEALS:     addSeals,
}

// pathCommand reports whether a command is allowed on a file opened with
// O_PATH.
func pathCommand(command int32) bool {
	switch command {
	case unix.F_DUPFD, unix.F_DUPFD_CLOEXEC, unix.F_GETFD, unix.F_SETFD, unix.F_GETFL:
		return true
	}
	return false
}

func sysFcntl(t *task.Task, a *amd64.Args) (uint64, error) {
	return fcntl(t, a, func(command int32) fcntlCommand { return fcntlCommands[command] })
}

// fcntl is fcntl(2) with a function that returns the implementation of a command, or nil.
func fcntl(t *task.Task, a *amd64.Args, find func(command int32) fcntlCommand) (uint64, error) {
	file, err := t.FDs.GetPath(fd(a[0]))
	if err != nil {
		return 0, err
	}
	defer file.DecRef()
	command := int32(a[1])
	if file.PathOnly() && !pathCommand(command) {
		return 0, unix.EBADF
	}
	run := find(command)
	if run == nil {
		return 0, unix.EINVAL
	}
	return run(t, file, fd(a[0]), a[2])
}

func duplicateFrom(onExec fs.ExecAction) fcntlCommand {
	return func(t *task.Task, f *fs.File, _ int, minimum uint64) (uint64, error) {
		f.IncRef()
		n, err := t.FDs.Install(f, fd(minimum), t.Group().Limits.Soft(unix.RLIMIT_NOFILE), onExec)
		if err != nil {
			f.DecRef()
		}
		return uint64(n), err
	}
}

func getDescriptorFlags(t *task.Task, _ *fs.File, descriptor int, _ uint64) (uint64, error) {
	onExec, err := t.FDs.GetExecAction(descriptor)
	if onExec == fs.CloseOnExec {
		return unix.FD_CLOEXEC, err
	}
	return 0, err
}

func setDescriptorFlags(t *task.Task, _ *fs.File, descriptor int, flags uint64) (uint64, error) {
	return 0, t.FDs.SetExecAction(descriptor, descriptor, flags&unix.FD_CLOEXEC != 0)
}

func getStatusFlags(_ *task.Task, f *fs.File, _ int, _ uint64) (uint64, error) {
	return uint64(f.Flags()), nil
}

func setStatusFlags(_ *task.Task, f *fs.File, _ int, flags uint64) (uint64, error) {
	f.SetFlags(int(int32(flags)))
	return 0, nil
}

func getOwner(_ *task.Task, f *fs.File, _ int, _ uint64) (uint64, error) {
	return uint64(f.Owner()), nil
}

func setOwner(_ *task.Task, f *fs.File, _ int, owner uint64) (uint64, error) {
	f.SetOwner(int64(int32(owner)))
	return 0, nil
}

func getPipeSize(_ *task.Task, f *fs.File, _ int, _ uint64) (uint64, error) {
	p := pipe.Of(f)
	if p == nil {
		return 0, unix.EBADF
	}
	return uint64(p.Capacity()), nil
}

func setPipeSize(t *task.Task, f *fs.File, _ int, size uint64) (uint64, error) {
	p := pipe.Of(f)
	if p == nil {
		return 0, unix.EBADF
	}
	n, err := p.SetCapacity(uint64(uint32(size)), t.Credentials())
	return uint64(n), err
}

func getSeals(_ *task.Task, f *fs.File, _ int, _ uint64) (uint64, error) {
	seals, err := tmpfs.Seals(f)
	return uint64(seals), err
}

func addSeals(_ *task.Task, f *fs.File, _ int, seals uint64) (uint64, error) {
	return 0, tmpfs.AddSeals(f, int(uint32(seals)))
}

// lockOwner is the kind of owner of a record lock (fcntl(2)).
type lockOwner bool

const (
	processLock  lockOwner = false
	openFileLock lockOwner = true // F_OFD_SETLK and its variants
)

// lockConflict is what setLock does if another owner holds a conflicting lock.
type lockConflict bool

const (
	failIfHeld lockConflict = false // F_SETLK: EAGAIN
	waitIfHeld lockConflict = true  // F_SETLKW
)

// readLock reads a struct flock and returns it as a lock of f.
func readLock(t *task.Task, f *fs.File, address uint64, owner lockOwner, width flockWidth) (fs.RecordLock, error) {
	flock, err := copyInFlock(t, address, width)
	if err != nil {
		return fs.RecordLock{}, err
	}
	lock := fs.RecordLock{Owner: t.FDs, Process: t.ProcessID()}
	if owner == openFileLock {
		if flock.PID != 0 {
			return lock, unix.EINVAL
		}
		lock.Owner, lock.Process = f, -1
	}
	switch flock.Type {
	case unix.F_RDLCK:
		lock.Kind = fs.SharedLock
	case unix.F_WRLCK:
		lock.Kind = fs.ExclusiveLock
	case unix.F_UNLCK:
		lock.Kind = fs.Unlocked
	default:
		return lock, unix.EINVAL
	}
	return lock, setRange(&lock, f, flock.Whence, flock.Start, flock.Len)
}

// setRange computes the byte range of a struct flock. A negative length means
// the bytes before start; 0 means all bytes from start on. Errors: EINVAL,
// EOVERFLOW.
func setRange(lock *fs.RecordLock, f *fs.File, whence int16, start, length int64) error {
	var base int64
	switch whence {
	case unix.SEEK_SET:
	case unix.SEEK_CUR:
		base = f.Offset()
	case unix.SEEK_END:
		base = f.Attributes().Size
	default:
		return unix.EINVAL
	}
	if start > 0 && base > fs.EndOfFile-start {
		return unix.EOVERFLOW
	}
	start += base
	end := int64(fs.EndOfFile)
	switch {
	case length > 0:
		if start > 0 && length-1 > fs.EndOfFile-start {
			return unix.EOVERFLOW
		}
		end = start + length - 1
	case length < 0:
		if start < 0 || start+length < 0 {
			return unix.EINVAL
		}
		start, end = start+length, start-1
	}
	if start < 0 {
		return unix.EINVAL
	}
	lock.Start, lock.End = start, end
	return nil
}

func testLock(owner lockOwner, width flockWidth) fcntlCommand {
	return func(t *task.Task, f *fs.File, _ int, address uint64) (uint64, error) {
		lock, err := readLock(t, f, address, owner, width)
		if err != nil {
			return 0, err
		}
		if lock.Kind == fs.Unlocked {
			return 0, unix.EINVAL
		}
		found, blocked := f.Inode().Base().Locks().TestRecord(lock)
		if !blocked {
			return 0, abi.CopyOut(t, address, int16(unix.F_UNLCK)) // only the type changes
		}
		return 0, copyOutFlock(t, address, width, flockOf(&found))
	}
}

// flockOf returns the struct flock that describes a lock.
func flockOf(l *fs.RecordLock) abi.Flock {
	flock := abi.Flock{Type: unix.F_RDLCK, Whence: unix.SEEK_SET, Start: l.Start, PID: l.Process}
	if l.Kind == fs.ExclusiveLock {
		flock.Type = unix.F_WRLCK
	}
	if l.End != fs.EndOfFile {
		flock.Len = l.End - l.Start + 1
	}
	return flock
}

func setLock(owner lockOwner, width flockWidth, conflict lockConflict) fcntlCommand {
	return func(t *task.Task, f *fs.File, descriptor int, address uint64) (uint64, error) {
		lock, err := readLock(t, f, address, owner, width)
		if err != nil {
			return 0, err
		}
		if lock.Kind == fs.SharedLock && !f.Readable() || lock.Kind == fs.ExclusiveLock && !f.Writable() {
			return 0, unix.EBADF
		}
		if lock.Kind != fs.Unlocked && t.Kernel().Memory().Admit(fs.RecordBytes) != nil {
			return 0, unix.ENOLCK
		}
		if err := setRecord(t, f, lock, conflict); err != nil {
			return 0, err
		}
		if owner == processLock && !t.FDs.Refers(descriptor, f) {
			return 0, undoRecord(f, lock)
		}
		return 0, nil
	}
}

func setRecord(t *task.Task, f *fs.File, lock fs.RecordLock, conflict lockConflict) error {
	if conflict == failIfHeld {
		return f.SetRecord(lock)
	}
	defer f.StopWaiting(lock.Owner)
	return await(t, &f.Inode().Base().Locks().Queue, wait.All, func() error { return f.AwaitRecord(lock) })
}

// undoRecord removes a lock that was set while another thread closed the descriptor.
// That close(2) may have released the process's locks before this one was set, so it
// would never be released (Linux: fcntl_setlk). It returns EBADF.
func undoRecord(f *fs.File, lock fs.RecordLock) error {
	lock.Kind = fs.Unlocked
	f.SetRecord(lock)
	return unix.EBADF
}

// sysFlock is flock(2).
func sysFlock(t *task.Task, a *amd64.Args) (uint64, error) {
	kinds := map[uint32]fs.LockKind{unix.LOCK_SH: fs.SharedLock, unix.LOCK_EX: fs.ExclusiveLock, unix.LOCK_UN: fs.Unlocked}
	kind, known := kinds[uint32(a[1])&^unix.LOCK_NB]
	if !known {
		return 0, unix.EINVAL
	}
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		locks := file.Inode().Base().Locks()
		set := func() error { return locks.SetWhole(file, kind) }
		if a[1]&unix.LOCK_NB != 0 {
			return 0, set()
		}
		return 0, await(t, &locks.Queue, wait.All, set)
	})
}

// sysIoctl is ioctl(2). It executes the requests that all files have in common,
// and passes the others to the file.
func sysIoctl(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		request := uint32(a[1])
		switch request {
		case abi.FIOCLEX, abi.FIONCLEX:
			return 0, t.FDs.SetExecAction(fd(a[0]), fd(a[0]), request == abi.FIOCLEX)
		case abi.FIONBIO, abi.FIOASYNC:
			return 0, setFlagByIoctl(t, file, request, a[2])
		case unix.TIOCINQ:
			if at := file.Attributes(); at.IsRegular() {
				return 0, abi.CopyOut(t, a[2], int32(at.Size-file.Offset()))
			}
		case abi.FIGETBSZ:
			if at := file.Attributes(); at.IsRegular() || at.IsDirectory() {
				return 0, abi.CopyOut(t, a[2], int32(at.BlockSize))
			}
		}
		return file.Ioctl(t, request, a[2])
	})
}

func setFlagByIoctl(t *task.Task, f *fs.File, request uint32, address uint64) error {
	on, err := abi.CopyIn[int32](t, address)
	if err != nil {
		return err
	}
	flag := unix.O_NONBLOCK
	if request == abi.FIOASYNC {
		flag = unix.O_ASYNC
	}
	flags := f.Flags() &^ flag
	if on != 0 {
		flags |= flag
	}
	f.SetFlags(flags)
	return nil
}
