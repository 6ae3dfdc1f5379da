package hostkernel

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fs/tmpfs"
)

// checkResult checks what must hold after a system call of the task, for errors that
// no data race, panic or leak shows.
func (k *Kernel) checkResult(u *user, f *amd64.Frame) {
	i := u.called
	u.called = nil
	if i == nil || int64(f.RAX) < 0 || u.task.FDs == nil {
		return
	}
	switch i.Number {
	case unix.SYS_FCNTL:
		k.checkSeals(u, i.Args[0])
	case unix.SYS_MMAP:
		k.checkSeals(u, i.Args[4])
	}
}

// checkSeals checks that no file has F_SEAL_WRITE and a writable shared mapping.
func (k *Kernel) checkSeals(u *user, descriptor uint64) {
	file, err := u.task.FDs.Get(int(int32(descriptor)))
	if err != nil {
		return
	}
	defer file.DecRef()
	seals, err := tmpfs.Seals(file)
	if err != nil || seals&unix.F_SEAL_WRITE == 0 {
		return
	}
	object, err := file.Operations().Mappable()
	if err != nil {
		return
	}
	if n := object.Mappings().WritableShared(); n > 0 {
		k.logf("descriptor %d has F_SEAL_WRITE and %d writable shared mappings", descriptor, n)
	}
}
