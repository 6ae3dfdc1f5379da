package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/task"
)

// portCalls are the calls for access to I/O ports.
var portCalls = []Row{
	{Number: unix.SYS_IOPL, Name: "iopl", Arguments: args(Uint), Handler: sysIopl},
	{Number: unix.SYS_IOPERM, Name: "ioperm", Arguments: args(Hex, Hex, Int), Handler: sysIoperm},
}

// portCalls32 are those of the ABI I386.
var portCalls32 = []Row32{same(101, "ioperm"), same(110, "iopl")}

// bitmapBytes is the memory of a bitmap of ports.
const bitmapBytes = amd64.PortCount / 8

// sysIoperm is ioperm(2). A set of ports is immutable and belongs to the threads that have
// inherited it, so each change makes a new one.
func sysIoperm(t *task.Task, a *amd64.Args) (uint64, error) {
	first, count, access := a[0], a[1], amd64.PortAccess(int32(a[2]) != 0)
	if first+count <= first || first+count > amd64.PortCount {
		return 0, unix.EINVAL
	}
	if access == amd64.Allowed && !t.Credentials().Has(cred.SysRawIO) {
		return 0, unix.EPERM
	}
	p := t.Ports()
	if access == amd64.Denied && p.Bitmap == nil {
		return 0, nil
	}
	if err := t.Kernel().Memory().Admit(bitmapBytes); err != nil {
		return 0, unix.ENOMEM
	}
	p.Bitmap = p.Bitmap.With(first, count, access)
	t.SetPorts(p)
	return 0, nil
}

// sysIopl is iopl(2). RFLAGS.IOPL stays 0: the level 3 allows all ports by a bitmap.
func sysIopl(t *task.Task, a *amd64.Args) (uint64, error) {
	const levels = 4
	level, p := uint32(a[0]), t.Ports()
	switch {
	case level >= levels:
		return 0, unix.EINVAL
	case level > uint32(p.Level) && !t.Credentials().Has(cred.SysRawIO):
		return 0, unix.EPERM
	}
	p.Level = uint8(level)
	t.SetPorts(p)
	return 0, nil
}
