package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/mm"
	"slowpath/task"
)

// sysMlock is mlock(2).
func sysMlock(t *task.Task, a *amd64.Args) (uint64, error) {
	return lockRange(t, a, 0)
}

// mlockOnFault is MLOCK_ONFAULT of mlock2(2).
const mlockOnFault = 1

// sysMlock2 is mlock2(2).
func sysMlock2(t *task.Task, a *amd64.Args) (uint64, error) {
	flags := int32(a[2])
	if flags&^mlockOnFault != 0 {
		return 0, unix.EINVAL
	}
	return lockRange(t, a, flags)
}

func lockRange(t *task.Task, a *amd64.Args, flags int32) (uint64, error) {
	return 0, memory(t).Mlock(a[0], a[1], mm.LockPopulation(flags&mlockOnFault != 0), t.Stops)
}

// sysMunlock is munlock(2).
func sysMunlock(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, t.MM.Munlock(a[0], a[1])
}

// sysMlockall is mlockall(2).
func sysMlockall(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, memory(t).Mlockall(int(int32(a[0])), t.Stops)
}

// sysMunlockall is munlockall(2).
func sysMunlockall(t *task.Task, a *amd64.Args) (uint64, error) {
	t.MM.Munlockall()
	return 0, nil
}

// sysPkeyMprotect is pkey_mprotect(2): mprotect with the key -1.
func sysPkeyMprotect(t *task.Task, a *amd64.Args) (uint64, error) {
	if int32(a[3]) != -1 {
		return 0, unix.EINVAL
	}
	return sysMprotect(t, a)
}

// sysPkeyAlloc is pkey_alloc(2).
func sysPkeyAlloc(t *task.Task, a *amd64.Args) (uint64, error) {
	const rights = 3 // PKEY_DISABLE_ACCESS, PKEY_DISABLE_WRITE
	if a[0] != 0 || a[1]&^rights != 0 {
		return 0, unix.EINVAL
	}
	return 0, unix.ENOSPC
}

// sysPkeyFree is pkey_free(2). No key is ever allocated.
func sysPkeyFree(*task.Task, *amd64.Args) (uint64, error) { return 0, unix.EINVAL }
