package syscall

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/task"
)

// withPlace runs operation on what a path name leads to.
func withPlace(t *task.Task, directory, address uint64, flags uint64, operation func(p fs.Path) error) (uint64, error) {
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
	return withPlace(t, here, a[0], 0, func(p fs.Path) error { return p.ChangeMode(t, uint32(a[1])) })
}

func sysFchmodat(t *task.Task, a *amd64.Args) (uint64, error) {
	return withPlace(t, a[0], a[1], 0, func(p fs.Path) error { return p.ChangeMode(t, uint32(a[2])) })
}

func sysFchmod(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		return 0, file.Path().ChangeMode(t, uint32(a[1]))
	})
}

func sysChown(t *task.Task, a *amd64.Args) (uint64, error) {
	return withPlace(t, here, a[0], 0, func(p fs.Path) error {
		return p.ChangeOwner(t, uint32(a[1]), uint32(a[2]))
	})
}

func sysLchown(t *task.Task, a *amd64.Args) (uint64, error) {
	return withPlace(t, here, a[0], unix.AT_SYMLINK_NOFOLLOW, func(p fs.Path) error {
		return p.ChangeOwner(t, uint32(a[1]), uint32(a[2]))
	})
}

func sysFchown(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		return 0, file.Path().ChangeOwner(t, uint32(a[1]), uint32(a[2]))
	})
}

func sysFchownat(t *task.Task, a *amd64.Args) (uint64, error) {
	if a[4]&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, unix.EINVAL
	}
	return withPlace(t, a[0], a[1], a[4], func(p fs.Path) error {
		return p.ChangeOwner(t, uint32(a[2]), uint32(a[3]))
	})
}

// bothNow are the times that a null pointer means.
var bothNow = fs.Times{AccessNow: true, ModifyNow: true}

// readTimes reads two struct timespec with the special values of utimensat(2).
func readTimes(t *task.Task, address uint64) (fs.Times, error) {
	if address == 0 {
		return bothNow, nil
	}
	var p [32]byte
	if err := t.CopyIn(address, p[:]); err != nil {
		return fs.Times{}, err
	}
	var times fs.Times
	for i, to := range [2]struct {
		value     *int64
		now, keep *bool
	}{{&times.Access, &times.AccessNow, &times.AccessKeep}, {&times.Modify, &times.ModifyNow, &times.ModifyKeep}} {
		seconds := int64(binary.LittleEndian.Uint64(p[16*i:]))
		nanoseconds := int64(binary.LittleEndian.Uint64(p[16*i+8:]))
		switch {
		case nanoseconds == unix.UTIME_NOW:
			*to.now = true
		case nanoseconds == unix.UTIME_OMIT:
			*to.keep = true
		case nanoseconds < 0 || nanoseconds >= 1e9:
			return fs.Times{}, unix.EINVAL
		default:
			*to.value = fileTime(seconds, nanoseconds)
		}
	}
	return times, nil
}

// fileTime is a time in nanoseconds, clamped to what those can hold, as Linux
// clamps to what a file system can.
func fileTime(seconds, nanoseconds int64) int64 {
	const limit = 9_223_372_035 // seconds
	return max(-limit, min(limit, seconds))*1e9 + nanoseconds
}

// readTimevals reads two struct timeval.
func readTimevals(t *task.Task, address uint64) (fs.Times, error) {
	if address == 0 {
		return bothNow, nil
	}
	var p [32]byte
	if err := t.CopyIn(address, p[:]); err != nil {
		return fs.Times{}, err
	}
	var values [2]int64
	for i := range values {
		seconds := int64(binary.LittleEndian.Uint64(p[16*i:]))
		microseconds := int64(binary.LittleEndian.Uint64(p[16*i+8:]))
		if microseconds < 0 || microseconds >= 1e6 {
			return fs.Times{}, unix.EINVAL
		}
		values[i] = fileTime(seconds, microseconds*1000)
	}
	return fs.Times{Access: values[0], Modify: values[1]}, nil
}

// changeTimes is utimensat(2); without a name the descriptor's file is meant.
func changeTimes(t *task.Task, directory, address, flags uint64, times fs.Times) (uint64, error) {
	if flags&^(unix.AT_SYMLINK_NOFOLLOW|unix.AT_EMPTY_PATH) != 0 {
		return 0, unix.EINVAL
	}
	if address == 0 && fd(directory) != unix.AT_FDCWD {
		return withFile(t, directory, func(file *fs.File) (uint64, error) {
			return 0, file.Path().ChangeTimes(t, times)
		})
	}
	return withPlace(t, directory, address, flags, func(p fs.Path) error { return p.ChangeTimes(t, times) })
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
	return changeTimes(t, here, a[0], 0, times)
}

func sysUtime(t *task.Task, a *amd64.Args) (uint64, error) {
	times := bothNow
	if a[1] != 0 {
		var p [16]byte
		if err := t.CopyIn(a[1], p[:]); err != nil {
			return 0, err
		}
		times = fs.Times{
			Access: fileTime(int64(binary.LittleEndian.Uint64(p[:])), 0),
			Modify: fileTime(int64(binary.LittleEndian.Uint64(p[8:])), 0),
		}
	}
	return changeTimes(t, here, a[0], 0, times)
}
