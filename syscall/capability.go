package syscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/task"
)

var capabilityCalls = []Row{
	{Number: unix.SYS_CAPGET, Name: "capget", Arguments: args(Pointer, Pointer), Handler: sysCapget},
	{Number: unix.SYS_CAPSET, Name: "capset", Arguments: args(Pointer, Pointer), Handler: sysCapset},
}

// Versions of struct __user_cap_header_struct. Version 1 has one element of
// struct __user_cap_data_struct, the others have two.
const (
	capabilityVersion1 = 0x19980330
	capabilityVersion2 = 0x20071026
	capabilityVersion3 = 0x20080522
)

// loadCapabilityHeader reads the header. It returns the number of data elements
// in that version, and the process id. For an unknown version it stores the
// kernel's preferred version in the header and returns EINVAL.
func loadCapabilityHeader(t *task.Task, address uint64) (elements int, pid int32, err error) {
	header, err := abi.CopyIn[unix.CapUserHeader](t, address)
	if err != nil {
		return 0, 0, err
	}
	switch header.Version {
	case capabilityVersion1:
		return 1, header.Pid, nil
	case capabilityVersion2, capabilityVersion3:
		return 2, header.Pid, nil
	}
	if err := abi.CopyOut(t, address, uint32(capabilityVersion3)); err != nil {
		return 0, 0, err
	}
	return 0, 0, unix.EINVAL
}

func sysCapget(t *task.Task, a *amd64.Args) (uint64, error) {
	elements, pid, err := loadCapabilityHeader(t, a[0])
	if a[1] == 0 && (err == nil || err == unix.EINVAL) {
		return 0, nil // without data the call only queries the version
	}
	if err != nil {
		return 0, err
	}
	target := t
	if pid < 0 {
		return 0, unix.EINVAL
	}
	if pid != 0 {
		if target = t.Kernel().TaskByID(int(pid)); target == nil {
			return 0, unix.ESRCH
		}
	}
	c := target.Credentials()
	var data [2]unix.CapUserData
	for i := range elements {
		data[i] = unix.CapUserData{
			Effective:   uint32(c.Effective >> (32 * i)),
			Permitted:   uint32(c.Permitted >> (32 * i)),
			Inheritable: uint32(c.Inheritable >> (32 * i)),
		}
	}
	return 0, abi.CopyOutSlice(t, a[1], data[:elements])
}

func sysCapset(t *task.Task, a *amd64.Args) (uint64, error) {
	elements, pid, err := loadCapabilityHeader(t, a[0])
	if err != nil {
		return 0, err
	}
	if pid != 0 && int(pid) != t.TID() {
		return 0, unix.EPERM
	}
	var data [2]unix.CapUserData
	if err := abi.CopyInSlice(t, a[1], data[:elements]); err != nil {
		return 0, err
	}
	join := func(low, high uint32) cred.Capabilities { return cred.Capabilities(high)<<32 | cred.Capabilities(low) }
	if err := t.SetCapabilities(
		join(data[0].Effective, data[1].Effective),
		join(data[0].Permitted, data[1].Permitted),
		join(data[0].Inheritable, data[1].Inheritable)); err != nil {
		return 0, err
	}
	if w := argumentsWatched(t); w != nil {
		w.CapabilitiesSet()
	}
	return 0, nil
}

// mayChooseTID reports whether t may choose the child's thread id in clone3(2).
func mayChooseTID(t *task.Task) bool {
	c := t.Credentials()
	return c.Has(cred.SysAdmin) || c.Has(cred.CheckpointRestore)
}
