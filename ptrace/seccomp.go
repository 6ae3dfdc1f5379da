package ptrace

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/cred"
	"slowpath/seccomp"
	"slowpath/userdispatch"
)

// seccompRequests read the seccomp filters of a tracee, and read and change its syscall
// user dispatch.
var seccompRequests = map[int32]request{
	unix.PTRACE_SECCOMP_GET_FILTER:               {"SECCOMP_GET_FILTER", needsStopped, getFilter},
	unix.PTRACE_SECCOMP_GET_METADATA:             {"SECCOMP_GET_METADATA", needsStopped, getMetadata},
	unix.PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG: {"GET_SYSCALL_USER_DISPATCH_CONFIG", needsStopped, only(getDispatch)},
	unix.PTRACE_SET_SYSCALL_USER_DISPATCH_CONFIG: {"SET_SYSCALL_USER_DISPATCH_CONFIG", needsStopped, only(setDispatch)},
}

// getFilter stores the instructions of the filter with the index addr at data, unless
// data is 0, and returns their number.
func getFilter(c *call) (uint64, error) {
	instructions, err := seccomp.Filter(c.tracer, c.tracee, c.addr)
	if err != nil {
		return 0, err
	}
	if c.data != 0 {
		if err := abi.CopyOutSlice(c.tracer, c.data, instructions); err != nil {
			return 0, err
		}
	}
	return uint64(len(instructions)), nil
}

// metadata is struct seccomp_metadata (include/uapi/linux/ptrace.h).
type metadata struct {
	Index uint64 // of the filter; the caller sets it
	Flags uint64 // SECCOMP_FILTER_FLAG_
}

const (
	metadataSize = 16
	indexSize    = 8
)

// getMetadata stores at most addr bytes of the metadata of a filter at data, and returns
// how many.
func getMetadata(c *call) (uint64, error) {
	if c.addr < indexSize {
		return 0, unix.EINVAL
	}
	index, err := abi.CopyIn[uint64](c.tracer, c.data)
	if err != nil {
		return 0, err
	}
	m := metadata{Index: index}
	if m.Flags, err = seccomp.Metadata(c.tracer, c.tracee, index); err != nil {
		return 0, err
	}
	size := min(c.addr, metadataSize)
	return size, c.tracer.CopyOut(c.data, abi.Bytes(&m)[:size])
}

// maySuspend returns EPERM unless the tracer may set PTRACE_O_SUSPEND_SECCOMP: it has
// CAP_SYS_ADMIN, and seccomp does not restrict it.
func maySuspend(c *call) error {
	t := c.tracer
	if !t.Credentials().Has(cred.SysAdmin) || seccomp.CurrentMode(t) != seccomp.Disabled || of(t).has(unix.PTRACE_O_SUSPEND_SECCOMP) {
		return unix.EPERM
	}
	return nil
}

// dispatchConfig is struct ptrace_sud_config (include/uapi/linux/ptrace.h, since Linux
// 6.4).
type dispatchConfig struct {
	Mode, Selector, Offset, Length uint64
}

const dispatchSize = 32

func getDispatch(c *call) error {
	if c.addr != dispatchSize {
		return unix.EINVAL
	}
	return abi.CopyOut(c.tracer, c.data, dispatchConfig(userdispatch.Get(c.tracee)))
}

func setDispatch(c *call) error {
	if c.addr != dispatchSize {
		return unix.EINVAL
	}
	d, err := abi.CopyIn[dispatchConfig](c.tracer, c.data)
	if err != nil {
		return err
	}
	return userdispatch.Set(c.tracee, userdispatch.Config(d))
}
