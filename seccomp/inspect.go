package seccomp

import (
	"golang.org/x/sys/unix"

	"slowpath/cred"
	"slowpath/seccomp/bpf"
	"slowpath/task"
)

// Instruction is one instruction of a filter (struct sock_filter).
type Instruction = bpf.Instruction

// Status returns what /proc/pid/status shows: the mode, and the number of filters. Any
// goroutine may call it.
func Status(t *task.Task) (mode, filters int) {
	s := of(t)
	if s == nil {
		return 0, 0
	}
	return int(min(s.getMode(), Filtered)), int(s.count.Load())
}

// CurrentMode is PR_GET_SECCOMP.
func CurrentMode(t *task.Task) Mode {
	if s := of(t); s != nil {
		return s.getMode()
	}
	return Disabled
}

// Filter is PTRACE_SECCOMP_GET_FILTER: the instructions of a filter of t as they were
// installed. Index 0 is the oldest filter. caller is the tracer. The result must not be
// changed. Any goroutine may call it.
//
// Errors: those of MayInspect, EINVAL if t is not in filter mode, ENOENT for an index that is too large.
func Filter(caller, t *task.Task, index uint64) ([]Instruction, error) {
	f, err := nth(caller, t, index)
	if err != nil {
		return nil, err
	}
	return f.instructions, nil
}

// Metadata is PTRACE_SECCOMP_GET_METADATA: the flags of a filter. Only
// SECCOMP_FILTER_FLAG_LOG is kept. The errors are those of Filter.
func Metadata(caller, t *task.Task, index uint64) (flags uint64, err error) {
	f, err := nth(caller, t, index)
	if err == nil && f.logged {
		flags = flagLog
	}
	return flags, err
}

// MayInspect reports whether a tracer may read filters: EACCES without CAP_SYS_ADMIN,
// and for one that is in a seccomp mode itself.
func MayInspect(caller *task.Task) error {
	if !caller.Credentials().Has(cred.SysAdmin) || CurrentMode(caller) != Disabled {
		return unix.EACCES
	}
	return nil
}

// nth returns a filter by its index (Linux: get_nth_filter).
func nth(caller, t *task.Task, index uint64) (*filter, error) {
	if err := MayInspect(caller); err != nil {
		return nil, err
	}
	s := of(t)
	if s == nil || s.getMode() != Filtered {
		return nil, unix.EINVAL
	}
	f := s.chain.Load()
	if index >= uint64(f.depth()) {
		return nil, unix.ENOENT
	}
	for left := uint64(f.depth()) - index; left > 1; left-- {
		f = f.older
	}
	return f, nil
}

// Suspend is PTRACE_O_SUSPEND_SECCOMP: while it is on, t is not restricted. The caller
// is t's tracer, which has the privilege. It does not sleep.
func Suspend(t *task.Task, on bool) {
	if s := of(t); s != nil && s.suspended.Swap(on) != on {
		t.UpdateLevels()
	}
}

// Suspended reports whether t is not restricted because of Suspend.
func Suspended(t *task.Task) bool {
	s := of(t)
	return s != nil && s.suspended.Load()
}
