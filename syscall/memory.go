package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/tmpfs"
	"slowpath/mm"
	"slowpath/perf"
	"slowpath/task"
)

// memoryCalls are the calls on the address space. The handlers decode arguments
// and look up files; package mm does the work.
var memoryCalls = []Row{
	{Number: unix.SYS_MMAP, Name: "mmap", Arguments: args(Pointer, Uint, Hex, Hex, FD, Uint), Handler: sysMmap,
		Partial: "MAP_HUGETLB fails with ENOMEM, as on a machine whose pool of huge pages is empty."},
	{Number: unix.SYS_MPROTECT, Name: "mprotect", Arguments: args(Pointer, Uint, Hex), Handler: sysMprotect},
	{Number: unix.SYS_MUNMAP, Name: "munmap", Arguments: args(Pointer, Uint), Handler: sysMunmap},
	{Number: unix.SYS_BRK, Name: "brk", Arguments: args(Pointer), Handler: sysBrk},
	{Number: unix.SYS_MREMAP, Name: "mremap", Arguments: args(Pointer, Uint, Uint, Hex, Pointer), Handler: sysMremap},
	{Number: unix.SYS_MSYNC, Name: "msync", Arguments: args(Pointer, Uint, Hex), Handler: sysMsync},
	{Number: unix.SYS_MINCORE, Name: "mincore", Arguments: args(Pointer, Uint, Pointer), Handler: sysMincore},
	{Number: unix.SYS_MADVISE, Name: "madvise", Arguments: args(Pointer, Uint, Int), Handler: sysMadvise,
		Partial: "Huge pages and merging of equal pages do not exist: their advice fails with EINVAL. There is no swap, so MADV_PAGEOUT frees nothing."},
	{Number: unix.SYS_MLOCK, Name: "mlock", Arguments: args(Pointer, Uint), Handler: sysMlock},
	{Number: unix.SYS_MUNLOCK, Name: "munlock", Arguments: args(Pointer, Uint), Handler: sysMunlock},
	{Number: unix.SYS_MLOCKALL, Name: "mlockall", Arguments: args(Hex), Handler: sysMlockall},
	{Number: unix.SYS_MUNLOCKALL, Name: "munlockall", Handler: sysMunlockall},
	{Number: unix.SYS_MLOCK2, Name: "mlock2", Arguments: args(Pointer, Uint, Hex), Handler: sysMlock2},
	{Number: unix.SYS_PKEY_MPROTECT, Name: "pkey_mprotect", Arguments: args(Pointer, Uint, Hex, Int), Handler: sysPkeyMprotect,
		Partial: "Protection keys are not used: only key -1 exists, as on a CPU without them."},
	{Number: unix.SYS_PKEY_ALLOC, Name: "pkey_alloc", Arguments: args(Hex, Hex), Handler: sysPkeyAlloc,
		Partial: "Protection keys are not used: fails with ENOSPC, as on a CPU without them."},
	{Number: unix.SYS_PKEY_FREE, Name: "pkey_free", Arguments: args(Int), Handler: sysPkeyFree,
		Partial: "Protection keys are not used: fails with EINVAL, as on a CPU without them."},
}

// memory returns the task's address space, after it has applied the task's
// current resource limits to it.
func memory(t *task.Task) *mm.AddressSpace {
	t.MM.SetLimits(memoryLimits(t))
	return t.MM
}

func memoryLimits(t *task.Task) mm.Limits {
	limits := &t.Group().Limits
	l := mm.Limits{
		Space:  limits.Soft(unix.RLIMIT_AS),
		Data:   limits.Soft(unix.RLIMIT_DATA),
		Stack:  limits.Soft(unix.RLIMIT_STACK),
		Locked: mm.Unlimited,
	}
	if !t.Credentials().Has(cred.IPCLock) {
		l.Locked = limits.Soft(unix.RLIMIT_MEMLOCK)
	}
	return l
}

// sysMmap is mmap(2).
func sysMmap(t *task.Task, a *amd64.Args) (uint64, error) {
	r := mm.MapRequest{
		Addr: a[0], Length: a[1], Prot: mm.Prot(a[2]) & mm.ProtAll,
		Flags: int(uint32(a[3])), Offset: a[5], Below4GiB: t.Layout.Narrow(), Stop: t.Stops,
	}
	if r.Offset%mm.PageSize != 0 {
		return 0, unix.EINVAL
	}
	if r.Flags&unix.MAP_ANONYMOUS != 0 {
		return mmapAnonymous(t, r)
	}
	fd := int(int32(a[4]))
	if w := argumentsWatched(t); w != nil {
		w.FileMapped(fd, uint32(a[3]))
	}
	file, err := t.FDs.Get(fd)
	if err != nil {
		return 0, err
	}
	defer file.DecRef()
	release, err := fileMapping(t, &r, file)
	if err != nil {
		return 0, err
	}
	defer release()
	address, err := memory(t).Mmap(r)
	if err == nil && !file.Path().Statistics().ReadOnly {
		file.Inode().Base().Accessed() // mmap(2), "Timestamps changes for file-backed mappings"
	}
	if err == nil {
		perf.Mapped(t, address)
	}
	return address, err
}

// mmapAnonymous maps memory without a file. The descriptor and the offset are
// ignored (mmap(2)).
func mmapAnonymous(t *task.Task, r mm.MapRequest) (uint64, error) {
	if kind := r.Flags & unix.MAP_TYPE; kind != unix.MAP_SHARED && kind != unix.MAP_PRIVATE {
		return 0, unix.EINVAL
	}
	if r.Flags&unix.MAP_HUGETLB != 0 {
		return 0, unix.ENOMEM
	}
	r.Offset, r.Prot = 0, t.ImpliedProtection(r.Prot)
	return memory(t).Mmap(r)
}

// knownMapFlags are those that MAP_SHARED_VALIDATE accepts
// (LEGACY_MAP_MASK in Linux).
const knownMapFlags = unix.MAP_SHARED | unix.MAP_PRIVATE | unix.MAP_FIXED | unix.MAP_ANONYMOUS |
	unix.MAP_DENYWRITE | unix.MAP_EXECUTABLE | unix.MAP_GROWSDOWN | unix.MAP_LOCKED |
	unix.MAP_NORESERVE | unix.MAP_POPULATE | unix.MAP_NONBLOCK | unix.MAP_STACK |
	unix.MAP_HUGETLB | unix.MAP_32BIT | unix.MAP_HUGE_MASK<<unix.MAP_HUGE_SHIFT

// fileMapping adds the file, the object and the maximum protection to a
// request. The caller calls release after Mmap. Errors: EACCES, EINVAL, ENODEV,
// EOPNOTSUPP; EPERM for a seal and for executable memory from a noexec mount.
func fileMapping(t *task.Task, r *mm.MapRequest, file *fs.File) (release func(), err error) {
	if r.Length == 0 || r.Flags&unix.MAP_HUGETLB != 0 {
		return nil, unix.EINVAL
	}
	shared := r.Flags&unix.MAP_TYPE != unix.MAP_PRIVATE
	switch r.Flags & unix.MAP_TYPE {
	case unix.MAP_SHARED, unix.MAP_PRIVATE:
	case unix.MAP_SHARED_VALIDATE:
		if r.Flags&^knownMapFlags != 0 {
			return nil, unix.EOPNOTSUPP
		}
	default:
		return nil, unix.EINVAL
	}
	r.File = file
	if r.Object, err = file.MappableFor(t, fs.MappingShape{
		Length: r.Length, Offset: r.Offset, Shared: shared, Writable: r.Prot&mm.ProtWrite != 0,
	}); err != nil {
		return nil, err
	}
	release = func() {}
	r.MaxProt = mm.ProtAll
	if shared {
		release = limitSharedWriting(r, file)
	}
	if mount := file.Path().Mount(); mount != nil && mount.NoExec() {
		r.MaxProt &^= mm.ProtExec
	}
	if r.MaxProt&mm.ProtExec != 0 {
		r.Prot = t.ImpliedProtection(r.Prot)
	}
	if r.Prot&^r.MaxProt != 0 {
		release()
		return nil, unix.EPERM
	}
	return release, nil
}

// limitSharedWriting removes ProtWrite from the maximum protection of a shared
// mapping, which also limits a later mprotect(2), if the file's open mode or a
// seal forbids writing. Otherwise no such seal can be added until release, and
// after that until the mapping that mm has registered is gone.
func limitSharedWriting(r *mm.MapRequest, file *fs.File) (release func()) {
	if file.Writable() {
		if release, err := tmpfs.ReserveWritable(r.Object); err == nil {
			return release
		}
	}
	r.MaxProt &^= mm.ProtWrite
	return func() {}
}

// sysMprotect is mprotect(2).
func sysMprotect(t *task.Task, a *amd64.Args) (uint64, error) {
	prot := int(a[2])
	implied := prot | int(t.ImpliedProtection(mm.Prot(prot)))
	err := memory(t).Mprotect(a[0], a[1], implied, t.Stops)
	if err == unix.EACCES && implied != prot {
		err = t.MM.Mprotect(a[0], a[1], prot, t.Stops) // a mapping that can never be executable
	}
	return 0, err
}

// sysMunmap is munmap(2).
func sysMunmap(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, t.MM.Munmap(a[0], a[1], t.Stops)
}

// sysBrk is brk(2). It returns the end of the heap, which is unchanged if the
// request failed.
func sysBrk(t *task.Task, a *amd64.Args) (uint64, error) {
	return memory(t).Brk(a[0], t.Stops), nil
}

// sysMremap is mremap(2).
func sysMremap(t *task.Task, a *amd64.Args) (uint64, error) {
	at, err := memory(t).Mremap(mm.RemapRequest{
		Addr: a[0], OldLength: a[1], NewLength: a[2], Flags: int(a[3]), NewAddr: a[4], Below4GiB: t.Layout.Narrow(), Stop: t.Stops,
	})
	if err == nil && at != a[0] {
		t.MoveVDSO(a[0], at)
	}
	return at, err
}

// sysMsync is msync(2).
func sysMsync(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, t.MM.Msync(a[0], a[1], int(int32(a[2])))
}

// sysMincore is mincore(2).
func sysMincore(t *task.Task, a *amd64.Args) (uint64, error) {
	to := a[2]
	return 0, t.MM.Mincore(a[0], a[1], func(vec []byte) error {
		if t.Killed() {
			return unix.EINTR
		}
		err := t.CopyOut(to, vec)
		to += uint64(len(vec))
		return err
	})
}

// sysMadvise is madvise(2).
func sysMadvise(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, t.MM.Madvise(a[0], a[1], int(int32(a[2])), t.Stops)
}
