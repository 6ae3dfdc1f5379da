package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/fs"
	"slowpath/task"
)

// withPath resolves a path name and runs operation on the result. flags may
// have AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH.
func withPath(t *task.Task, directory, address uint64, flags uint64, operation func(p fs.Path) error) (uint64, error) {
	return withName(t, directory, address, func(at fs.At) error {
		at.Follow = flags&unix.AT_SYMLINK_NOFOLLOW == 0
		at.Empty = flags&unix.AT_EMPTY_PATH != 0
		p, err := at.Lookup()
		if err != nil {
			return err
		}
		return operation(p)
	})
}

func sysChmod(t *task.Task, a *amd64.Args) (uint64, error) {
	return withPath(t, atCWD, a[0], 0, func(p fs.Path) error { return p.ChangeMode(t, uint32(a[1])) })
}

func sysFchmodat(t *task.Task, a *amd64.Args) (uint64, error) {
	return withPath(t, a[0], a[1], 0, func(p fs.Path) error { return p.ChangeMode(t, uint32(a[2])) })
}

func sysFchmod(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		return 0, file.Path().ChangeMode(t, uint32(a[1]))
	})
}

func sysChown(t *task.Task, a *amd64.Args) (uint64, error) {
	return withPath(t, atCWD, a[0], 0, func(p fs.Path) error {
		return p.ChangeOwner(t, uint32(a[1]), uint32(a[2]))
	})
}

func sysLchown(t *task.Task, a *amd64.Args) (uint64, error) {
	return withPath(t, atCWD, a[0], unix.AT_SYMLINK_NOFOLLOW, func(p fs.Path) error {
		return p.ChangeOwner(t, uint32(a[1]), uint32(a[2]))
	})
}

func sysFchown(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		return 0, file.Path().ChangeOwner(t, uint32(a[1]), uint32(a[2]))
	})
}

func sysFchownat(t *task.Task, a *amd64.Args) (uint64, error) {
	if uint32(a[4])&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, unix.EINVAL
	}
	return withPath(t, a[0], a[1], a[4], func(p fs.Path) error {
		return p.ChangeOwner(t, uint32(a[2]), uint32(a[3]))
	})
}

// bothNow sets both times to the current time. A null pointer means the same
// (utimensat(2)).
var bothNow = fs.Times{AccessNow: true, ModifyNow: true}

// readTimes reads two struct timespec, with UTIME_NOW and UTIME_OMIT
// (utimensat(2)).
func readTimes(t *task.Task, address uint64) (fs.Times, error) {
	if address == 0 {
		return bothNow, nil
	}
	values, err := copyInTimespecs(t, address)
	if err != nil {
		return fs.Times{}, err
	}
	var times fs.Times
	for i, to := range [2]struct {
		value     *int64
		now, keep *bool
	}{{&times.Access, &times.AccessNow, &times.AccessKeep}, {&times.Modify, &times.ModifyNow, &times.ModifyKeep}} {
		switch v := values[i]; {
		case v.Nsec == unix.UTIME_NOW:
			*to.now = true
		case v.Nsec == unix.UTIME_OMIT:
			*to.keep = true
		case v.Nsec < 0 || v.Nsec >= second:
			return fs.Times{}, unix.EINVAL
		default:
			*to.value = clampedTime(v)
		}
	}
	return times, nil
}

// clampedTime returns a time in nanoseconds, clamped to the range of int64.
// Linux clamps to the range of the file system in the same way
// (timestamp_truncate).
func clampedTime(v unix.Timespec) int64 {
	const limit = 9_223_372_035 // seconds
	return max(-limit, min(limit, v.Sec))*second + v.Nsec
}

// readTimevals reads two struct timeval.
func readTimevals(t *task.Task, address uint64) (fs.Times, error) {
	if address == 0 {
		return bothNow, nil
	}
	pair, err := copyInTimevals(t, address)
	if err != nil {
		return fs.Times{}, err
	}
	for _, v := range pair {
		if v.Usec < 0 || v.Usec >= 1e6 {
			return fs.Times{}, unix.EINVAL
		}
	}
	return fs.Times{Access: clampedTime(timespecOf(pair[0])), Modify: clampedTime(timespecOf(pair[1]))}, nil
}

// timespecOf converts a struct timeval to a struct timespec.
func timespecOf(v unix.Timeval) unix.Timespec {
	return unix.Timespec{Sec: v.Sec, Nsec: v.Usec * clock.Microsecond}
}

// changeTimes is utimensat(2). A null path name means the file that the
// descriptor refers to.
func changeTimes(t *task.Task, directory, address, flags uint64, times fs.Times) (uint64, error) {
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, unix.EINVAL
	}
	if address == 0 && fd(directory) != unix.AT_FDCWD {
		return withFile(t, directory, func(file *fs.File) (uint64, error) {
			return 0, file.Path().ChangeTimes(t, times)
		})
	}
	return withPath(t, directory, address, flags, func(p fs.Path) error { return p.ChangeTimes(t, times) })
}

func sysUtimensat(t *task.Task, a *amd64.Args) (uint64, error) {
	times, err := readTimes(t, a[2])
	if err != nil {
		return 0, err
	}
	return changeTimes(t, a[0], a[1], a[3]&0xffffffff, times)
}

func sysFutimesat(t *task.Task, a *amd64.Args) (uint64, error) {
	times, err := readTimevals(t, a[2])
	if err != nil {
		return 0, err
	}
	return changeTimes(t, a[0], a[1], 0, times)
}

func sysUtimes(t *task.Task, a *amd64.Args) (uint64, error) {
	times, err := readTimevals(t, a[1])
	if err != nil {
		return 0, err
	}
	return changeTimes(t, atCWD, a[0], 0, times)
}

func sysUtime(t *task.Task, a *amd64.Args) (uint64, error) {
	times := bothNow
	if a[1] != 0 {
		both, err := load(t, t.Layout.Narrow(), a[1], func(n compat.Utimbuf) unix.Utimbuf {
			return unix.Utimbuf{Actime: int64(n.Actime), Modtime: int64(n.Modtime)}
		})
		if err != nil {
			return 0, err
		}
		times = fs.Times{
			Access: clampedTime(unix.Timespec{Sec: both.Actime}),
			Modify: clampedTime(unix.Timespec{Sec: both.Modtime}),
		}
	}
	return changeTimes(t, atCWD, a[0], 0, times)
}
