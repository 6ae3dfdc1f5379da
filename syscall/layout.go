package syscall

import (
	"math"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/task"
)

// The functions below copy structures whose layout depends on the ABI of the call
// (task.Task.Layout).

// load reads a W, or an N in the layout of 32-bit programs if narrow is set.
func load[W, N any](t *task.Task, narrow bool, address uint64, widen func(N) W) (W, error) {
	if !narrow {
		return abi.CopyIn[W](t, address)
	}
	n, err := abi.CopyIn[N](t, address)
	return widen(n), err
}

// store writes a W, or the N that narrow returns in the layout of 32-bit programs.
func store[W, N any](t *task.Task, narrow bool, address uint64, v W, cut func(W) N) error {
	if !narrow {
		return abi.CopyOut(t, address, v)
	}
	return abi.CopyOut(t, address, cut(v))
}

// longSize returns the size of the type long in bytes.
func longSize(t *task.Task) uint64 {
	if t.Layout.Narrow() {
		return 4
	}
	return 8
}

// hasTime32 reports whether times in structures of the call have 32 bits.
func hasTime32(t *task.Task) bool { return t.Layout == abi.Layout32Time32 }

// copyInTimespec reads a struct timespec. In a 32-bit program only the low half of the
// nanoseconds is valid (Linux: get_timespec64).
func copyInTimespec(t *task.Task, address uint64) (unix.Timespec, error) {
	v, err := load(t, hasTime32(t), address, compat.Timespec.Wide)
	if t.Layout == abi.Layout32 {
		v.Nsec = int64(uint32(v.Nsec))
	}
	return v, err
}

// copyOutTimespec writes a struct timespec.
func copyOutTimespec(t *task.Task, address uint64, v unix.Timespec) error {
	return store(t, hasTime32(t), address, v, compat.NarrowTimespec)
}

// copyInTimespecs reads an array of two struct timespec, such as a struct itimerspec.
func copyInTimespecs(t *task.Task, address uint64) (pair [2]unix.Timespec, err error) {
	pair, err = load(t, hasTime32(t), address, func(n [2]compat.Timespec) [2]unix.Timespec {
		return [2]unix.Timespec{n[0].Wide(), n[1].Wide()}
	})
	if t.Layout == abi.Layout32 {
		for i := range pair {
			pair[i].Nsec = int64(uint32(pair[i].Nsec))
		}
	}
	return pair, err
}

// copyOutTimespecs writes an array of two struct timespec.
func copyOutTimespecs(t *task.Task, address uint64, pair [2]unix.Timespec) error {
	return store(t, hasTime32(t), address, pair, func(v [2]unix.Timespec) [2]compat.Timespec {
		return [2]compat.Timespec{compat.NarrowTimespec(v[0]), compat.NarrowTimespec(v[1])}
	})
}

// copyInTimeval reads a struct timeval.
func copyInTimeval(t *task.Task, address uint64) (unix.Timeval, error) {
	return load(t, t.Layout.Narrow(), address, compat.Timeval.Wide)
}

// copyOutTimeval writes a struct timeval.
func copyOutTimeval(t *task.Task, address uint64, v unix.Timeval) error {
	return store(t, t.Layout.Narrow(), address, v, compat.NarrowTimeval)
}

// copyInTimevals reads an array of two struct timeval, such as a struct itimerval.
func copyInTimevals(t *task.Task, address uint64) ([2]unix.Timeval, error) {
	return load(t, t.Layout.Narrow(), address, func(n [2]compat.Timeval) [2]unix.Timeval {
		return [2]unix.Timeval{n[0].Wide(), n[1].Wide()}
	})
}

// copyOutTimevals writes an array of two struct timeval.
func copyOutTimevals(t *task.Task, address uint64, pair [2]unix.Timeval) error {
	return store(t, t.Layout.Narrow(), address, pair, func(v [2]unix.Timeval) [2]compat.Timeval {
		return [2]compat.Timeval{compat.NarrowTimeval(v[0]), compat.NarrowTimeval(v[1])}
	})
}

// copyOutRusage writes a struct rusage.
func copyOutRusage(t *task.Task, address uint64, v unix.Rusage) error {
	return store(t, t.Layout.Narrow(), address, v, func(v unix.Rusage) compat.Rusage {
		return compat.Rusage{
			Utime: compat.NarrowTimeval(v.Utime), Stime: compat.NarrowTimeval(v.Stime),
			Maxrss: int32(v.Maxrss), Minflt: int32(v.Minflt), Majflt: int32(v.Majflt),
			Inblock: int32(v.Inblock), Oublock: int32(v.Oublock), Nvcsw: int32(v.Nvcsw), Nivcsw: int32(v.Nivcsw),
		}
	})
}

// copyInVectors reads an array of struct iovec.
func copyInVectors(t *task.Task, address uint64, vectors []abi.Iovec) error {
	if !t.Layout.Narrow() {
		return abi.CopyInSlice(t, address, vectors)
	}
	narrow := make([]compat.Iovec, len(vectors))
	err := abi.CopyInSlice(t, address, narrow)
	for i, v := range narrow {
		vectors[i] = abi.Iovec{Base: uint64(v.Base), Len: uint64(int64(int32(v.Len)))} // a negative length is EINVAL
	}
	return err
}

// copyInPointer reads a pointer, and returns the address after it.
func copyInPointer(t *task.Task, address uint64) (pointer, next uint64, err error) {
	if t.Layout.Narrow() {
		narrow, err := abi.CopyIn[uint32](t, address)
		return uint64(narrow), address + 4, err
	}
	pointer, err = abi.CopyIn[uint64](t, address)
	return pointer, address + 8, err
}

// copyOutLong writes a number of the type long, or a pointer.
func copyOutLong(t *task.Task, address, v uint64) error {
	return store(t, t.Layout.Narrow(), address, v, func(v uint64) uint32 { return uint32(v) })
}

// copyInMsghdr reads a struct msghdr.
func copyInMsghdr(t *task.Task, address uint64) (abi.Msghdr, error) {
	return load(t, t.Layout.Narrow(), address, func(n compat.Msghdr) abi.Msghdr {
		return abi.Msghdr{
			Name: uint64(n.Name), NameLen: uint32(n.NameLen), Iov: uint64(n.Iov), IovLen: uint64(n.IovLen),
			Control: uint64(n.Control), ControlLen: uint64(n.ControlLen), Flags: n.Flags,
		}
	})
}

// copyInRlimit reads a struct rlimit of setrlimit(2).
func copyInRlimit(t *task.Task, address uint64) (unix.Rlimit, error) {
	return load(t, t.Layout.Narrow(), address, func(n compat.Rlimit) unix.Rlimit {
		return unix.Rlimit{Cur: widenLimit(n.Cur), Max: widenLimit(n.Max)}
	})
}

// copyOutRlimit writes a struct rlimit of getrlimit(2). In a 32-bit program a larger limit
// is infinite.
func copyOutRlimit(t *task.Task, address uint64, v unix.Rlimit) error {
	return store(t, t.Layout.Narrow(), address, v, func(v unix.Rlimit) compat.Rlimit {
		return compat.Rlimit{Cur: uint32(min(v.Cur, math.MaxUint32)), Max: uint32(min(v.Max, math.MaxUint32))}
	})
}

// widenLimit returns a limit of a 32-bit program.
func widenLimit(n uint32) uint64 {
	if n == math.MaxUint32 {
		return math.MaxUint64 // RLIM_INFINITY
	}
	return uint64(n)
}
