package ptrace

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/entry"
	"slowpath/signal"
	"slowpath/task"
)

// syscallRequests describe the system call of a tracee.
var syscallRequests = map[int32]request{
	unix.PTRACE_GET_SYSCALL_INFO: {"GET_SYSCALL_INFO", needsStopped, getSyscallInfo},
}

// goodBit is set in the signal of a system call stop with PTRACE_O_TRACESYSGOOD.
const goodBit = 0x80

// traceEntry implements Entry of SYSCALL_TRACE. The tracer may have changed the call. A
// task that was killed during the stop does not execute it.
func traceEntry(t *task.Task, _ *entry.Call) entry.Verdict {
	if reportCall(t, unix.PTRACE_EVENTMSG_SYSCALL_ENTRY) {
		return entry.Skip
	}
	return entry.Proceed
}

// traceExit implements Exit of SYSCALL_TRACE.
func traceExit(t *task.Task, _ *entry.Call) { reportCall(t, unix.PTRACE_EVENTMSG_SYSCALL_EXIT) }

// emulateEntry implements Entry of SYSCALL_EMU: the tracer executes the call, and the
// kernel skips it.
func emulateEntry(t *task.Task, _ *entry.Call) entry.Verdict {
	reportCall(t, unix.PTRACE_EVENTMSG_SYSCALL_ENTRY)
	return entry.Skip
}

// reportCall stops the task at the entry or the exit of a system call, and reports
// whether it was killed (Linux: ptrace_report_syscall).
func reportCall(t *task.Task, message uint64) (killed bool) {
	code := uint32(unix.SIGTRAP)
	if of(t).has(unix.PTRACE_O_TRACESYSGOOD) {
		code |= goodBit
	}
	result := notify(t, code, message)
	if s := signal.Signal(result.Code); result.Stopped && signal.Valid(s) {
		t.Signal(signal.KernelInfo(s))
	}
	return result.Killed
}

// Offsets in struct ptrace_syscall_info (include/uapi/linux/ptrace.h), in bytes.
const (
	infoArch   = 4
	infoIP     = 8
	infoSP     = 16
	infoCall   = 24 // nr and six arguments, or the result
	infoArgs   = 32
	infoData   = 80 // ret_data of seccomp
	infoSize   = 88
	endOfEntry = 80
	endOfExit  = 33
	endOfData  = 84
)

// getSyscallInfo stores at most addr bytes of the description of the call at data, and
// returns the size of all of it.
func getSyscallInfo(c *call) (uint64, error) {
	info := make([]byte, infoSize)
	n := describeCall(info, c.tracee)
	if err := c.tracer.CopyOut(c.data, info[:min(c.addr, n)]); err != nil {
		return 0, err
	}
	return n, nil
}

// describeCall fills in info for a stopped task, and returns how many bytes are valid.
func describeCall(info []byte, t *task.Task) (size uint64) {
	f, put := t.Frame, binary.LittleEndian
	call := entry.CallOf(f)
	put.PutUint32(info[infoArch:], call.ABI.AuditArch())
	put.PutUint64(info[infoIP:], f.RIP)
	put.PutUint64(info[infoSP:], f.RSP)
	op, size := callStop(t.CurrentStop())
	info[0] = op
	switch op {
	case unix.PTRACE_SYSCALL_INFO_ENTRY, unix.PTRACE_SYSCALL_INFO_SECCOMP:
		put.PutUint64(info[infoCall:], uint64(int64(call.NR)))
		for i, a := range call.Args {
			put.PutUint64(info[infoArgs+8*i:], a)
		}
		put.PutUint32(info[infoData:], uint32(t.CurrentStop().Message))
	case unix.PTRACE_SYSCALL_INFO_EXIT:
		result := t.CallResult()
		put.PutUint64(info[infoCall:], result)
		if -result-1 < abi.MaxErrno {
			info[endOfExit-1] = 1
		}
	}
	return size
}

// callStop returns the kind of the stop (PTRACE_SYSCALL_INFO_), and the size of its
// description.
func callStop(stop *task.TraceStop) (op byte, size uint64) {
	code := stop.Kind
	if stop.Info != nil {
		code = uint32(stop.Info.Code) // of a signal, or set by the tracer
	}
	switch code {
	case uint32(unix.SIGTRAP) | goodBit:
		switch stop.Message {
		case unix.PTRACE_EVENTMSG_SYSCALL_ENTRY:
			return unix.PTRACE_SYSCALL_INFO_ENTRY, endOfEntry
		case unix.PTRACE_EVENTMSG_SYSCALL_EXIT:
			return unix.PTRACE_SYSCALL_INFO_EXIT, endOfExit
		}
	case uint32(unix.SIGTRAP) | unix.PTRACE_EVENT_SECCOMP<<8:
		return unix.PTRACE_SYSCALL_INFO_SECCOMP, endOfData
	}
	return unix.PTRACE_SYSCALL_INFO_NONE, infoCall
}
