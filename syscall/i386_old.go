package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/signal"
	"slowpath/task"
)

// oldCalls32 are calls of i386 that x86-64 never had, because newer ones replaced them.
var oldCalls32 = []Row32{
	{Number: 7, Name: "waitpid", Arguments: args(PID, Pointer, Hex), Handler: sys32Waitpid},
	{Number: 18, Name: "oldstat", Arguments: args(Path, Pointer), Handler: sys32Oldstat},
	{Number: 84, Name: "oldlstat", Arguments: args(Path, Pointer), Handler: sys32Oldlstat},
	{Number: 28, Name: "oldfstat", Arguments: args(FD, Pointer), Handler: sys32Oldfstat},
	{Number: 22, Name: "umount", Arguments: args(Path), Handler: sys32Umount},
	{Number: 25, Name: "stime", Arguments: args(Pointer), Handler: sys32Stime},
	{Number: 34, Name: "nice", Arguments: args(Int), Handler: sys32Nice},
	{Number: 48, Name: "signal", Arguments: args(Signal, Pointer), Handler: sys32Signal},
	{Number: 59, Name: "oldolduname", Arguments: args(Pointer), Handler: sys32Oldolduname},
	{Number: 67, Name: "sigaction", Arguments: args(Signal, Pointer, Pointer), Handler: sys32Sigaction},
	{Number: 68, Name: "sgetmask", Handler: sys32Sgetmask},
	{Number: 69, Name: "ssetmask", Arguments: args(Hex), Handler: sys32Ssetmask},
	{Number: 72, Name: "sigsuspend", Arguments: args(Int, Int, Hex), Handler: sys32Sigsuspend},
	{Number: 73, Name: "sigpending", Arguments: args(Pointer), Handler: sys32Sigpending},
	{Number: 89, Name: "readdir", Arguments: args(FD, Pointer, Uint), Handler: sys32Readdir},
	{Number: 109, Name: "olduname", Arguments: args(Pointer), Handler: sys32Olduname},
	{Number: 119, Name: "sigreturn", FrameHandler: sys32Sigreturn},
	{Number: 126, Name: "sigprocmask", Arguments: args(Int, Pointer, Pointer), Handler: sys32Sigprocmask},
}

func sys32Waitpid(t *task.Task, a *amd64.Args) (uint64, error) {
	return sysWait4(t, &amd64.Args{a[0], a[1], a[2]})
}

// copyOutOldStat writes a struct __old_kernel_stat.
func copyOutOldStat(t *task.Task, address uint64, a *fs.Attributes) error {
	s, err := oldStatOf(a)
	if err != nil {
		return err
	}
	return abi.CopyOut(t, address, s)
}

func sys32Oldstat(t *task.Task, a *amd64.Args) (uint64, error) {
	return statName(t, atCWD, a[0], a[1], 0, copyOutOldStat)
}

func sys32Oldlstat(t *task.Task, a *amd64.Args) (uint64, error) {
	return statName(t, atCWD, a[0], a[1], unix.AT_SYMLINK_NOFOLLOW, copyOutOldStat)
}

func sys32Oldfstat(t *task.Task, a *amd64.Args) (uint64, error) {
	return statDescriptor(t, a[0], a[1], copyOutOldStat)
}

func sys32Umount(t *task.Task, a *amd64.Args) (uint64, error) {
	return sysUmount2(t, &amd64.Args{a[0]})
}

// sys32Stime is stime(2): it sets the clock to a number of seconds.
func sys32Stime(t *task.Task, a *amd64.Args) (uint64, error) {
	seconds, err := abi.CopyIn[int32](t, a[0])
	if err != nil {
		return 0, err
	}
	if seconds < 0 {
		return 0, unix.EINVAL
	}
	return 0, setWall(t, int64(seconds)*second)
}

// sys32Nice is nice(2): it adds to the nice value. EPERM if the task may not lower it.
func sys32Nice(t *task.Task, a *amd64.Args) (uint64, error) {
	const furthest = lowestNice - highestNice + 1
	change := min(max(int32(a[0]), -furthest), furthest)
	nice := min(max(t.Attributes().Nice+change, highestNice), lowestNice)
	if change < 0 && !mayRenice(t, t, nice) {
		return 0, unix.EPERM
	}
	t.Renice(nice)
	return 0, nil
}

// setAction32 sets the action of a signal unless next is nil, and returns the old action:
// EINVAL for a signal that is invalid, or whose action cannot change.
func setAction32(t *task.Task, register uint64, next *signal.Action) (old signal.Action, err error) {
	s := signal.Signal(int32(register))
	if !signal.Valid(s) || next != nil && signal.Unblockable.Has(s) {
		return old, unix.EINVAL
	}
	if next == nil {
		return t.Group().Actions().Get(s), nil
	}
	return t.SetAction(s, *next)
}

// sys32Signal is the call 48: the action is reset when the signal is delivered, as in System
// V (signal(2)).
func sys32Signal(t *task.Task, a *amd64.Args) (uint64, error) {
	next := signal.Action{Handler: a[1], Flags: signal.SA_RESETHAND | signal.SA_NODEFER | signal.SA_IA32_ABI}
	old, err := setAction32(t, a[0], &next)
	return old.Handler, err
}

// sys32Sigaction is sigaction(2) with a mask of 32 signals.
func sys32Sigaction(t *task.Task, a *amd64.Args) (uint64, error) {
	var next *signal.Action
	if a[1] != 0 {
		s, err := abi.CopyIn[compat.OldSigaction](t, a[1])
		if err != nil {
			return 0, err
		}
		next = &signal.Action{
			Handler: uint64(s.Handler), Flags: uint64(s.Flags) | signal.SA_IA32_ABI, Restorer: uint64(s.Restorer), Mask: signal.Set(s.Mask),
		}
	}
	old, err := setAction32(t, a[0], next)
	if err != nil || a[2] == 0 {
		return 0, err
	}
	s := old.Sigaction32()
	return 0, abi.CopyOut(t, a[2], compat.OldSigaction{Handler: s.Handler, Mask: s.Mask[0], Flags: s.Flags, Restorer: s.Restorer})
}

// lowSet is the signals of a set of 32 bits.
const lowSet = signal.Set(0xffffffff)

func sys32Sgetmask(t *task.Task, _ *amd64.Args) (uint64, error) {
	return uint64(t.OwnBlocked() & lowSet), nil
}

func sys32Ssetmask(t *task.Task, a *amd64.Args) (uint64, error) {
	old := t.OwnBlocked()
	t.SetBlocked(signal.Set(a[0]))
	return uint64(old & lowSet), nil
}

// sys32Sigsuspend is sigsuspend(2), whose mask is the third argument.
func sys32Sigsuspend(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, t.Suspend(signal.Set(a[2]))
}

func sys32Sigpending(t *task.Task, a *amd64.Args) (uint64, error) {
	all, _ := t.Pending()
	return 0, abi.CopyOut(t, a[0], uint32(all&t.Blocked()))
}

// sys32Sigprocmask is sigprocmask(2), which changes only the first 32 signals.
func sys32Sigprocmask(t *task.Task, a *amd64.Args) (uint64, error) {
	old := t.OwnBlocked()
	if a[1] != 0 {
		low, err := abi.CopyIn[uint32](t, a[1])
		if err != nil {
			return 0, err
		}
		set, err := changedMask(int32(a[0]), old, signal.Set(low))
		if err != nil {
			return 0, err
		}
		t.SetBlocked(set&lowSet | old&^lowSet)
	}
	if a[2] == 0 {
		return 0, nil
	}
	return 0, abi.CopyOut(t, a[2], uint32(old))
}

func sys32Sigreturn(t *task.Task, f *amd64.Frame, _ *amd64.Args) (uint64, error) {
	t.SignalReturn(f, signal.Pop32)
	return f.RAX, nil
}

// sys32Readdir is readdir(2): it stores one entry, and returns 1, or 0 at the end.
func sys32Readdir(t *task.Task, a *amd64.Args) (uint64, error) {
	return withFile(t, a[0], func(file *fs.File) (uint64, error) {
		var entry *fs.DirectoryEntry
		if err := file.ReadDirectory(func(e fs.DirectoryEntry) bool {
			if entry != nil {
				return false
			}
			entry = &e
			return true
		}); err != nil || entry == nil {
			return 0, err
		}
		header := compat.Dirent{Ino: uint32(entry.Inode), Off: uint32(entry.Next), Reclen: uint16(len(entry.Name))}
		record := append(append([]byte(nil), abi.Bytes(&header)[:compatDirentHeader]...), entry.Name...)
		return 1, t.CopyOut(a[1], append(record, 0))
	})
}

// olduname writes the first five names of uname(2) in fields of a size.
func olduname(t *task.Task, address uint64, size int) error {
	name := utsname(t)
	var fields []byte
	for _, field := range [...]*[utsNameSize]byte{&name.Sysname, &name.Nodename, &name.Release, &name.Version, &name.Machine} {
		text := append([]byte(nil), field[:size]...)
		text[size-1] = 0
		fields = append(fields, text...)
	}
	return t.CopyOut(address, fields)
}

func sys32Olduname(t *task.Task, a *amd64.Args) (uint64, error) {
	const size = 65
	return 0, olduname(t, a[0], size)
}

func sys32Oldolduname(t *task.Task, a *amd64.Args) (uint64, error) {
	const size = 9
	return 0, olduname(t, a[0], size)
}
