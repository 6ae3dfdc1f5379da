package syscall

import (
	"math"
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/task"
)

// identityCalls read and change user and group ids (credentials(7)).
var identityCalls = []Row{
	{Number: unix.SYS_GETUID, Name: "getuid", Handler: sysGetuid},
	{Number: unix.SYS_GETEUID, Name: "geteuid", Handler: sysGeteuid},
	{Number: unix.SYS_GETGID, Name: "getgid", Handler: sysGetgid},
	{Number: unix.SYS_GETEGID, Name: "getegid", Handler: sysGetegid},
	{Number: unix.SYS_GETRESUID, Name: "getresuid", Arguments: args(Pointer, Pointer, Pointer), Handler: sysGetresuid},
	{Number: unix.SYS_GETRESGID, Name: "getresgid", Arguments: args(Pointer, Pointer, Pointer), Handler: sysGetresgid},
	{Number: unix.SYS_SETUID, Name: "setuid", Arguments: args(Uint), Handler: sysSetuid},
	{Number: unix.SYS_SETGID, Name: "setgid", Arguments: args(Uint), Handler: sysSetgid},
	{Number: unix.SYS_SETREUID, Name: "setreuid", Arguments: args(Int, Int), Handler: sysSetreuid},
	{Number: unix.SYS_SETREGID, Name: "setregid", Arguments: args(Int, Int), Handler: sysSetregid},
	{Number: unix.SYS_SETRESUID, Name: "setresuid", Arguments: args(Int, Int, Int), Handler: sysSetresuid},
	{Number: unix.SYS_SETRESGID, Name: "setresgid", Arguments: args(Int, Int, Int), Handler: sysSetresgid},
	{Number: unix.SYS_SETFSUID, Name: "setfsuid", Arguments: args(Uint), Handler: sysSetfsuid},
	{Number: unix.SYS_SETFSGID, Name: "setfsgid", Arguments: args(Uint), Handler: sysSetfsgid},
	{Number: unix.SYS_GETGROUPS, Name: "getgroups", Arguments: args(Int, Pointer), Handler: sysGetgroups},
	{Number: unix.SYS_SETGROUPS, Name: "setgroups", Arguments: args(Int, Pointer), Handler: sysSetgroups},
}

func sysGetuid(t *task.Task, a *amd64.Args) (uint64, error) {
	return uint64(t.Credentials().UID), nil
}

func sysGeteuid(t *task.Task, a *amd64.Args) (uint64, error) {
	return uint64(t.Credentials().EUID), nil
}

func sysGetgid(t *task.Task, a *amd64.Args) (uint64, error) {
	return uint64(t.Credentials().GID), nil
}

func sysGetegid(t *task.Task, a *amd64.Args) (uint64, error) {
	return uint64(t.Credentials().EGID), nil
}

// storeIDs stores ids, each at the address in the argument of its index.
func storeIDs[ID uint16 | uint32](t *task.Task, a *amd64.Args, ids ...ID) (uint64, error) {
	for i, id := range ids {
		if err := abi.CopyOut(t, a[i], id); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

func sysGetresuid(t *task.Task, a *amd64.Args) (uint64, error) {
	c := t.Credentials()
	return storeIDs(t, a, c.UID, c.EUID, c.SUID)
}

func sysGetresgid(t *task.Task, a *amd64.Args) (uint64, error) {
	c := t.Credentials()
	return storeIDs(t, a, c.GID, c.EGID, c.SGID)
}

func sysSetuid(t *task.Task, a *amd64.Args) (uint64, error) { return 0, t.SetUID(uint32(a[0])) }
func sysSetgid(t *task.Task, a *amd64.Args) (uint64, error) { return 0, t.SetGID(uint32(a[0])) }

func sysSetreuid(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, t.SetRealUIDs(uint32(a[0]), uint32(a[1]))
}

func sysSetregid(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, t.SetRealGIDs(uint32(a[0]), uint32(a[1]))
}

func sysSetresuid(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, t.SetAllUIDs(uint32(a[0]), uint32(a[1]), uint32(a[2]))
}

func sysSetresgid(t *task.Task, a *amd64.Args) (uint64, error) {
	return 0, t.SetAllGIDs(uint32(a[0]), uint32(a[1]), uint32(a[2]))
}

func sysSetfsuid(t *task.Task, a *amd64.Args) (uint64, error) {
	return uint64(t.SetFSUID(uint32(a[0]))), nil
}

func sysSetfsgid(t *task.Task, a *amd64.Args) (uint64, error) {
	return uint64(t.SetFSGID(uint32(a[0]))), nil
}

func sysGetgroups(t *task.Task, a *amd64.Args) (uint64, error) {
	return getGroups(t, a, func(groups []uint32) error { return abi.CopyOutSlice(t, a[1], groups) })
}

// getGroups is getgroups(2) with a function that stores the ids.
func getGroups(t *task.Task, a *amd64.Args, store func(groups []uint32) error) (uint64, error) {
	size, groups := int32(a[0]), t.Credentials().Groups
	switch {
	case size < 0:
		return 0, unix.EINVAL
	case size == 0:
		return uint64(len(groups)), nil
	case int(size) < len(groups):
		return 0, unix.EINVAL
	}
	return uint64(len(groups)), store(groups)
}

func sysSetgroups(t *task.Task, a *amd64.Args) (uint64, error) {
	return setGroups(t, a, func(ids []uint32) error { return abi.CopyInSlice(t, a[1], ids) })
}

// setGroups is setgroups(2) with a function that reads the ids.
func setGroups(t *task.Task, a *amd64.Args, read func(ids []uint32) error) (uint64, error) {
	count := uint32(a[0])
	if !t.Credentials().Has(cred.SetGID) {
		return 0, unix.EPERM
	}
	if count > cred.MaxGroups {
		return 0, unix.EINVAL
	}
	const perGroup = 8 // bytes here and in the credentials
	if err := t.Kernel().Memory().Admit(int64(count) * perGroup); err != nil {
		return 0, err
	}
	groups := make([]uint32, count)
	if err := read(groups); err != nil {
		return 0, err
	}
	if slices.Contains(groups, math.MaxUint32) {
		return 0, unix.EINVAL // no id
	}
	return 0, t.SetGroups(groups)
}
