package ptrace

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/cred"
	"slowpath/seccomp"
	"slowpath/userdispatch"
)

// Requests of Linux 6.4, which package unix lacks.
const (
	requestSetUserDispatch = 0x4210 // PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG
	requestGetUserDispatch = 0x4211 // PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG
)

// seccompRequests read the filters of a tracee, and its syscall user dispatch.
var seccompRequests = map[int32]request{
	unix.PTRACE_SECCOMP_GET_FILTER:   {"SECCOMP_GET_FILTER", needsStopped, getFilter},
	unix.PTRACE_SECCOMP_GET_METADATA: {"SECCOMP_GET_METADATA", needsStopped, getMetadata},
	requestSetUserDispatch:           {"SET_SYSCALL_USER_DISPATCH_CONFIG", needsStopped, only(setUserDispatch)},
	requestGetUserDispatch:           {"GET_SYSCALL_USER_DISPATCH_CONFIG", needsStopped, only(getUserDispatch)},
}

// getFilter returns the length of the filter with the index addr, and stores its
// instructions at data, unless it is 0.
func getFilter(c *call) (uint64, error) {
	program, err := seccomp.Filter(c.tracer, c.tracee, c.addr)
	if err != nil || c.data == 0 {
		return uint64(len(program)), err
	}
	return uint64(len(program)), abi.CopyOutSlice(c.tracer, c.data, program)
}

// getMetadata reads the index of a filter at data, stores its flags behind it, at most
// addr bytes in all, and returns how many.
func getMetadata(c *call) (uint64, error) {
	if err := seccomp.MayInspect(c.tracer); err != nil {
		return 0, err
	}
	var m abi.SeccompMetadata
	size := min(c.addr, uint64(len(abi.Bytes(&m))))
	if size < uint64(len(abi.Bytes(&m.FilterOff))) {
		return 0, unix.EINVAL
	}
	var err error
	if m.FilterOff, err = abi.CopyIn[uint64](c.tracer, c.data); err != nil {
		return 0, err
	}
	if m.Flags, err = seccomp.Metadata(c.tracer, c.tracee, m.FilterOff); err != nil {
		return 0, err
	}
	return size, c.tracer.CopyOut(c.data, abi.Bytes(&m)[:size])
}

// maySuspendSeccomp checks PTRACE_O_SUSPEND_SECCOMP: EPERM for a tracer without
// privilege, or one that is restricted itself, or that a tracer has freed from it.
func maySuspendSeccomp(c *call) error {
	t := c.tracer
	if !t.Credentials().Has(cred.SysAdmin) || seccomp.CurrentMode(t) != seccomp.Disabled || seccomp.Suspended(t) {
		return unix.EPERM
	}
	return nil
}

// checkSize checks the size of struct ptrace_sud_config in addr: EINVAL.
func checkSize(c *call, config *abi.PtraceSudConfig) error {
	if c.addr != uint64(len(abi.Bytes(config))) {
		return unix.EINVAL
	}
	return nil
}

func setUserDispatch(c *call) error {
	var config abi.PtraceSudConfig
	if err := checkSize(c, &config); err != nil {
		return err
	}
	config, err := abi.CopyIn[abi.PtraceSudConfig](c.tracer, c.data)
	if err != nil {
		return err
	}
	return userdispatch.Set(c.tracee, userdispatch.Config{
		Mode: config.Mode, Selector: config.Selector, Offset: config.Offset, Length: config.Len,
	})
}

func getUserDispatch(c *call) error {
	d := userdispatch.Get(c.tracee)
	config := abi.PtraceSudConfig{Mode: d.Mode, Selector: d.Selector, Offset: d.Offset, Len: d.Length}
	if err := checkSize(c, &config); err != nil {
		return err
	}
	return abi.CopyOut(c.tracer, c.data, config)
}
