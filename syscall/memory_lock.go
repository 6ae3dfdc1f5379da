package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/task"
)

// sysMlock is mlock(2).
func sysMlock(t *task.Task, f *amd64.Frame) (uint64, error) {
	return 0, memory(t).Mlock(f.RDI, f.RSI, false)
}

// mlockOnFault is MLOCK_ONFAULT of mlock2(2).
const mlockOnFault = 1

// sysMlock2 is mlock2(2).
func sysMlock2(t *task.Task, f *amd64.Frame) (uint64, error) {
	flags := int32(f.RDX)
	if flags&^mlockOnFault != 0 {
		return 0, unix.EINVAL
	}
	return 0, memory(t).Mlock(f.RDI, f.RSI, flags != 0)
}

// sysMunlock is munlock(2).
func sysMunlock(t *task.Task, f *amd64.Frame) (uint64, error) {
	return 0, t.MM.Munlock(f.RDI, f.RSI)
}

// sysMlockall is mlockall(2).
func sysMlockall(t *task.Task, f *amd64.Frame) (uint64, error) {
	return 0, memory(t).Mlockall(int(int32(f.RDI)))
}

// sysMunlockall is munlockall(2).
func sysMunlockall(t *task.Task, f *amd64.Frame) (uint64, error) {
	t.MM.Munlockall()
	return 0, nil
}

// sysPkeyMprotect is pkey_mprotect(2): mprotect with the key -1.
func sysPkeyMprotect(t *task.Task, f *amd64.Frame) (uint64, error) {
	if int32(f.R10) != -1 {
		return 0, unix.EINVAL
	}
	return sysMprotect(t, f)
}

// sysPkeyAlloc is pkey_alloc(2).
func sysPkeyAlloc(t *task.Task, f *amd64.Frame) (uint64, error) {
	const rights = 3 // PKEY_DISABLE_ACCESS, PKEY_DISABLE_WRITE
	if f.RDI != 0 || f.RSI&^rights != 0 {
		return 0, unix.EINVAL
	}
	return 0, unix.ENOSPC
}

// sysPkeyFree is pkey_free(2). No key was ever given out.
func sysPkeyFree(*task.Task, *amd64.Frame) (uint64, error) { return 0, unix.EINVAL }
