package syscall

import (
	"math"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/task"
)

// shortIDCalls32 are the calls of i386 whose user and group ids have 16 bits
// (kernel/uid16.c). -1 in 16 bits stands for no id. An id that does not fit is read as
// overflowID.
var shortIDCalls32 = []Row32{
	{Number: 16, Name: "lchown", Arguments: args(Path, Uint, Uint), Handler: wideIDs(sysLchown, 1, 2)},
	{Number: 182, Name: "chown", Arguments: args(Path, Uint, Uint), Handler: wideIDs(sysChown, 1, 2)},
	{Number: 95, Name: "fchown", Arguments: args(FD, Uint, Uint), Handler: wideIDs(sysFchown, 1, 2)},
	{Number: 23, Name: "setuid", Arguments: args(Uint), Handler: wideIDs(sysSetuid, 0)},
	{Number: 46, Name: "setgid", Arguments: args(Uint), Handler: wideIDs(sysSetgid, 0)},
	{Number: 70, Name: "setreuid", Arguments: args(Uint, Uint), Handler: wideIDs(sysSetreuid, 0, 1)},
	{Number: 71, Name: "setregid", Arguments: args(Uint, Uint), Handler: wideIDs(sysSetregid, 0, 1)},
	{Number: 164, Name: "setresuid", Arguments: args(Uint, Uint, Uint), Handler: wideIDs(sysSetresuid, 0, 1, 2)},
	{Number: 170, Name: "setresgid", Arguments: args(Uint, Uint, Uint), Handler: wideIDs(sysSetresgid, 0, 1, 2)},
	{Number: 138, Name: "setfsuid", Arguments: args(Uint), Handler: wideIDs(sysSetfsuid, 0)},
	{Number: 139, Name: "setfsgid", Arguments: args(Uint), Handler: wideIDs(sysSetfsgid, 0)},
	{Number: 24, Name: "getuid", Handler: shortID(sysGetuid)},
	{Number: 47, Name: "getgid", Handler: shortID(sysGetgid)},
	{Number: 49, Name: "geteuid", Handler: shortID(sysGeteuid)},
	{Number: 50, Name: "getegid", Handler: shortID(sysGetegid)},
	{Number: 165, Name: "getresuid", Arguments: args(Pointer, Pointer, Pointer), Handler: sys32Getresuid},
	{Number: 171, Name: "getresgid", Arguments: args(Pointer, Pointer, Pointer), Handler: sys32Getresgid},
	{Number: 80, Name: "getgroups", Arguments: args(Int, Pointer), Handler: sys32Getgroups},
	{Number: 81, Name: "setgroups", Arguments: args(Int, Pointer), Handler: sys32Setgroups},
}

// wideID converts an id of 16 bits (Linux: low2highuid).
func wideID(register uint64) uint64 {
	if id := uint16(register); id != math.MaxUint16 {
		return uint64(id)
	}
	return math.MaxUint32
}

// wideIDs returns a handler for a call whose arguments at these indices are ids of 16 bits.
func wideIDs(execute Handler, indices ...int) Handler {
	return func(t *task.Task, a *amd64.Args) (uint64, error) {
		wide := *a
		for _, i := range indices {
			wide[i] = wideID(a[i])
		}
		return execute(t, &wide)
	}
}

// shortID returns a handler for a call whose result is an id of 16 bits.
func shortID(execute Handler) Handler {
	return func(t *task.Task, a *amd64.Args) (uint64, error) {
		id, err := execute(t, a)
		return uint64(id16(uint32(id))), err
	}
}

func sys32Getresuid(t *task.Task, a *amd64.Args) (uint64, error) {
	c := t.Credentials()
	return storeIDs(t, a, id16(c.UID), id16(c.EUID), id16(c.SUID))
}

func sys32Getresgid(t *task.Task, a *amd64.Args) (uint64, error) {
	c := t.Credentials()
	return storeIDs(t, a, id16(c.GID), id16(c.EGID), id16(c.SGID))
}

func sys32Getgroups(t *task.Task, a *amd64.Args) (uint64, error) {
	return getGroups(t, a, func(groups []uint32) error {
		short := make([]uint16, len(groups))
		for i, id := range groups {
			short[i] = id16(id)
		}
		return abi.CopyOutSlice(t, a[1], short)
	})
}

func sys32Setgroups(t *task.Task, a *amd64.Args) (uint64, error) {
	return setGroups(t, a, func(ids []uint32) error {
		short := make([]uint16, len(ids))
		err := abi.CopyInSlice(t, a[1], short)
		for i, id := range short {
			ids[i] = uint32(wideID(uint64(id)))
		}
		return err
	})
}
