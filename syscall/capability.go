package syscall

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/task"
)

var capabilityCalls = []Row{
	{Number: unix.SYS_CAPGET, Name: "capget", Arguments: args(Pointer, Pointer), Handler: sysCapget},
	{Number: unix.SYS_CAPSET, Name: "capset", Arguments: args(Pointer, Pointer), Handler: sysCapset},
}

// The versions of struct __user_cap_header_struct: the first has one element
// of three words, the others have two.
const (
	capabilityVersion1 = 0x19980330
	capabilityVersion2 = 0x20071026
	capabilityVersion3 = 0x20080522
)

// loadCapabilityHeader reads the header: how many elements the data has, and
// whose they are. A version that does not exist is answered with the one that
// the kernel prefers, and EINVAL.
func loadCapabilityHeader(t *task.Task, address uint64) (elements int, pid int32, err error) {
	var raw [8]byte
	if err := t.CopyIn(address, raw[:]); err != nil {
		return 0, 0, err
	}
	pid = int32(binary.LittleEndian.Uint32(raw[4:]))
	switch binary.LittleEndian.Uint32(raw[0:]) {
	case capabilityVersion1:
		return 1, pid, nil
	case capabilityVersion2, capabilityVersion3:
		return 2, pid, nil
	}
	if err := store32(t, address, capabilityVersion3); err != nil {
		return 0, 0, err
	}
	return 0, 0, unix.EINVAL
}

func sysCapget(t *task.Task, a *amd64.Args) (uint64, error) {
	elements, pid, err := loadCapabilityHeader(t, a[0])
	if err == unix.EINVAL && a[1] == 0 {
		return 0, nil // the caller has asked for the version
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
	if a[1] == 0 {
		return 0, unix.EFAULT
	}
	c := target.Credentials()
	words := make([]uint32, 0, 6)
	for i := range elements {
		for _, set := range [...]cred.Capabilities{c.Effective, c.Permitted, c.Inheritable} {
			words = append(words, uint32(set>>(32*i)))
		}
	}
	return 0, store32(t, a[1], words...)
}

func sysCapset(t *task.Task, a *amd64.Args) (uint64, error) {
	elements, pid, err := loadCapabilityHeader(t, a[0])
	if err != nil {
		return 0, err
	}
	if pid != 0 && int(pid) != t.TID() {
		return 0, unix.EPERM
	}
	raw := make([]byte, 12*elements)
	if err := t.CopyIn(a[1], raw); err != nil {
		return 0, err
	}
	var sets [3]cred.Capabilities
	for i := range elements {
		for j := range sets {
			sets[j] |= cred.Capabilities(binary.LittleEndian.Uint32(raw[12*i+4*j:])) << (32 * i)
		}
	}
	return 0, t.SetCapabilities(sets[0], sets[1], sets[2])
}

// mayChooseTID reports whether clone3(2) may be told the child's id.
func mayChooseTID(t *task.Task) bool {
	c := t.Credentials()
	return c.Has(cred.SysAdmin) || c.Has(cred.CheckpointRestore)
}
