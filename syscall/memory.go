package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/fs"
	"slowpath/fs/tmpfs"
	"slowpath/mm"
	"slowpath/task"
)

// memoryCalls are the calls about the address space. Package mm does the work;
// here arguments are decoded and files are found.
var memoryCalls = []Row{
	{9, "mmap", args(Pointer, Uint, Hex, Hex, FD, Uint), sysMmap,
		"MAP_HUGETLB fails with ENOMEM, as on a machine whose pool of huge pages is empty."},
	{10, "mprotect", args(Pointer, Uint, Hex), sysMprotect, ""},
	{11, "munmap", args(Pointer, Uint), sysMunmap, ""},
	{12, "brk", args(Pointer), sysBrk, ""},
	{25, "mremap", args(Pointer, Uint, Uint, Hex, Pointer), sysMremap, ""},
	{26, "msync", args(Pointer, Uint, Hex), sysMsync, ""},
	{27, "mincore", args(Pointer, Uint, Pointer), sysMincore, ""},
	{28, "madvise", args(Pointer, Uint, Int), sysMadvise,
		"Huge pages and merging of equal pages do not exist: their advice fails with EINVAL. There is no swap, so MADV_PAGEOUT frees nothing."},
	{149, "mlock", args(Pointer, Uint), sysMlock, ""},
	{150, "munlock", args(Pointer, Uint), sysMunlock, ""},
	{151, "mlockall", args(Hex), sysMlockall, ""},
	{152, "munlockall", args(), sysMunlockall, ""},
	{325, "mlock2", args(Pointer, Uint, Hex), sysMlock2, ""},
	{329, "pkey_mprotect", args(Pointer, Uint, Hex, Int), sysPkeyMprotect,
		"Protection keys are not used: only key -1 exists, as on a CPU without them."},
	{330, "pkey_alloc", args(Hex, Hex), sysPkeyAlloc,
		"Protection keys are not used: fails with ENOSPC, as on a CPU without them."},
	{331, "pkey_free", args(Int), sysPkeyFree,
		"Protection keys are not used: fails with EINVAL, as on a CPU without them."},
}

// memory returns the task's address space, which from now on obeys the limits
// that the task has at this moment.
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
func sysMmap(t *task.Task, f *amd64.Frame) (uint64, error) {
	r := mm.MapRequest{
		Addr: f.RDI, Length: f.RSI, Prot: mm.Prot(f.RDX) & mm.ProtAll,
		Flags: int(uint32(f.R10)), Offset: f.R9,
	}
	if r.Offset%mm.PageSize != 0 {
		return 0, unix.EINVAL
	}
	if r.Flags&unix.MAP_ANONYMOUS != 0 {
		return mmapAnonymous(t, r)
	}
	file, err := t.FDs.Get(int(int32(f.R8)))
	if err != nil {
		return 0, err
	}
	defer file.DecRef()
	if err := fileMapping(&r, file); err != nil {
		return 0, err
	}
	return memory(t).Mmap(r)
}

// mmapAnonymous maps memory without a file. Descriptor and offset are ignored,
// as mmap(2) says.
func mmapAnonymous(t *task.Task, r mm.MapRequest) (uint64, error) {
	if kind := r.Flags & unix.MAP_TYPE; kind != unix.MAP_SHARED && kind != unix.MAP_PRIVATE {
		return 0, unix.EINVAL
	}
	if r.Flags&unix.MAP_HUGETLB != 0 {
		return 0, unix.ENOMEM
	}
	r.Offset = 0
	return memory(t).Mmap(r)
}

// knownMapFlags are those that MAP_SHARED_VALIDATE accepts
// (LEGACY_MAP_MASK in Linux).
const knownMapFlags = unix.MAP_SHARED | unix.MAP_PRIVATE | unix.MAP_FIXED | unix.MAP_ANONYMOUS |
	unix.MAP_DENYWRITE | unix.MAP_EXECUTABLE | unix.MAP_GROWSDOWN | unix.MAP_LOCKED |
	unix.MAP_NORESERVE | unix.MAP_POPULATE | unix.MAP_NONBLOCK | unix.MAP_STACK |
	unix.MAP_HUGETLB | unix.MAP_32BIT | unix.MAP_HUGE_MASK<<unix.MAP_HUGE_SHIFT

// fileMapping completes a request with the file: EACCES, EINVAL, ENODEV,
// EOPNOTSUPP, or EPERM for a seal and for code from a mount without exec.
func fileMapping(r *mm.MapRequest, file *fs.File) error {
	if r.Length == 0 || r.Flags&unix.MAP_HUGETLB != 0 {
		return unix.EINVAL
	}
	shared := r.Flags&unix.MAP_TYPE != unix.MAP_PRIVATE
	switch r.Flags & unix.MAP_TYPE {
	case unix.MAP_SHARED, unix.MAP_PRIVATE:
	case unix.MAP_SHARED_VALIDATE:
		if r.Flags&^knownMapFlags != 0 {
			return unix.EOPNOTSUPP
		}
	default:
		return unix.EINVAL
	}
	var err error
	r.File = file
	if r.Object, err = file.Mappable(shared && r.Prot&mm.ProtWrite != 0); err != nil {
		return err
	}
	r.MaxProt = allowedProtection(file, r.Object, shared)
	if r.Prot&^r.MaxProt != 0 {
		return unix.EPERM
	}
	return nil
}

// allowedProtection is what the mapping of a file may ever be given: seals and
// the way the file is open limit shared writing, the mount limits execution.
func allowedProtection(file *fs.File, object mm.Mappable, shared bool) mm.Prot {
	allowed := mm.ProtAll
	if shared && (!file.Writable() || tmpfs.MayMapWritable(object) != nil) {
		allowed &^= mm.ProtWrite
	}
	if mount := file.Path().Mount(); mount != nil && mount.NoExec() {
		allowed &^= mm.ProtExec
	}
	return allowed
}

// sysMprotect is mprotect(2).
func sysMprotect(t *task.Task, f *amd64.Frame) (uint64, error) {
	return 0, memory(t).Mprotect(f.RDI, f.RSI, int(f.RDX))
}

// sysMunmap is munmap(2).
func sysMunmap(t *task.Task, f *amd64.Frame) (uint64, error) {
	return 0, t.MM.Munmap(f.RDI, f.RSI)
}

// sysBrk is brk(2), which the kernel answers with the end of the heap.
func sysBrk(t *task.Task, f *amd64.Frame) (uint64, error) {
	return memory(t).Brk(f.RDI), nil
}

// sysMremap is mremap(2).
func sysMremap(t *task.Task, f *amd64.Frame) (uint64, error) {
	return memory(t).Mremap(mm.RemapRequest{
		Addr: f.RDI, OldLength: f.RSI, NewLength: f.RDX, Flags: int(f.R10), NewAddr: f.R8,
	})
}

// sysMsync is msync(2).
func sysMsync(t *task.Task, f *amd64.Frame) (uint64, error) {
	return 0, t.MM.Msync(f.RDI, f.RSI, int(int32(f.RDX)))
}

// sysMincore is mincore(2).
func sysMincore(t *task.Task, f *amd64.Frame) (uint64, error) {
	to := f.RDX
	return 0, t.MM.Mincore(f.RDI, f.RSI, func(vec []byte) error {
		err := t.CopyOut(to, vec)
		to += uint64(len(vec))
		return err
	})
}

// sysMadvise is madvise(2).
func sysMadvise(t *task.Task, f *amd64.Frame) (uint64, error) {
	return 0, t.MM.Madvise(f.RDI, f.RSI, int(int32(f.RDX)))
}
