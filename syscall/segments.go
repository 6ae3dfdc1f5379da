package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/abi/compat"
	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/task"
)

// segmentCalls are the calls of both ABIs that change segment descriptors.
var segmentCalls = []Row{
	{Number: unix.SYS_MODIFY_LDT, Name: "modify_ldt", Arguments: args(Int, Pointer, Uint), Handler: sysModifyLDT,
		Partial: "Segments of 16 bits fail with EINVAL, as on a kernel without CONFIG_X86_16BIT."},
}

// segmentCalls32 are those of the ABI I386 alone.
var segmentCalls32 = []Row32{
	same(123, "modify_ldt"),
	{Number: 243, Name: "set_thread_area", Arguments: args(Pointer), Handler: sys32SetThreadArea},
	{Number: 244, Name: "get_thread_area", Arguments: args(Pointer), Handler: sys32GetThreadArea},
}

// copyInThreadArea reads a struct user_desc of set_thread_area(2): EFAULT, EINVAL.
func copyInThreadArea(t *task.Task, address uint64) (compat.UserDesc, error) {
	d, err := abi.CopyIn[compat.UserDesc](t, address)
	if err != nil {
		return d, err
	}
	return d, task.CheckThreadArea(&d)
}

// sys32SetThreadArea is set_thread_area(2). The entry -1 stands for a free one, whose number
// is stored.
func sys32SetThreadArea(t *task.Task, a *amd64.Args) (uint64, error) {
	d, err := copyInThreadArea(t, a[0])
	if err != nil {
		return 0, err
	}
	if d.EntryNumber == ^uint32(0) {
		if d.EntryNumber, err = t.FreeThreadArea(); err != nil {
			return 0, err
		}
		if err := abi.CopyOut(t, a[0], d.EntryNumber); err != nil {
			return 0, err
		}
	}
	return 0, t.SetThreadArea(d.EntryNumber, &d)
}

// sys32GetThreadArea is get_thread_area(2).
func sys32GetThreadArea(t *task.Task, a *amd64.Args) (uint64, error) {
	number, err := abi.CopyIn[uint32](t, a[0])
	if err != nil {
		return 0, err
	}
	d, err := t.ThreadArea(number)
	if err != nil {
		return 0, err
	}
	return 0, abi.CopyOut(t, a[0], d)
}

// The functions of modify_ldt(2).
const (
	readLDT        = 0
	writeOldLDT    = 1
	readDefaultLDT = 2
	writeLDT       = 0x11
)

// sysModifyLDT is modify_ldt(2). Its errors have 32 bits in 64-bit code too, as on Linux.
func sysModifyLDT(t *task.Task, a *amd64.Args) (uint64, error) {
	n, err := modifyLDT(t, a)
	if err != nil {
		return uint64(uint32(entry.Failure(err))), nil
	}
	return n, nil
}

func modifyLDT(t *task.Task, a *amd64.Args) (uint64, error) {
	const defaultSize = 128 // bytes of read_default_ldt
	switch int32(a[0]) {
	case readLDT:
		return readLocalTable(t, a[1], a[2])
	case readDefaultLDT:
		n := min(a[2], defaultSize)
		return n, t.CopyOut(a[1], make([]byte, n))
	case writeOldLDT, writeLDT:
		if a[2] != uint64(len(abi.Bytes(new(compat.UserDesc)))) {
			return 0, unix.EINVAL
		}
		d, err := abi.CopyIn[compat.UserDesc](t, a[1])
		if err != nil {
			return 0, err
		}
		return 0, t.ModifyLocalTable(&d, int32(a[0]) == writeOldLDT)
	}
	return 0, unix.ENOSYS
}

// readLocalTable copies the table to a buffer, and zeros behind it (Linux: read_ldt). Without
// a table it copies nothing.
func readLocalTable(t *task.Task, address, size uint64) (uint64, error) {
	const entryBytes = 8
	table := t.LocalTable()
	if len(table) == 0 {
		return 0, nil
	}
	raw := make([]byte, min(size, amd64.MaxLDT*entryBytes))
	copy(raw, abi.SliceBytes(table))
	return uint64(len(raw)), t.CopyOut(address, raw)
}
