// Package linux313 is an executable model of how Linux 3.13 left the kernel on
// x86-64: the masks of arch/x86/include/asm/thread_info.h, the labels of
// arch/x86/kernel/entry_64.S and arch/x86/ia32/ia32entry.S as a table of
// steps, and a simulator that follows them over the flag word of a task.
//
// In January 2014 Al Viro noticed that these masks and these handlers do not
// fit each other. The model says what follows from that, for every flag word.
// It is not bent to what anybody said: where its answer differs from the mail,
// Findings says so.
//
// What the model leaves out: interrupts that raise a flag on the way (a run
// starts with a flag word and nobody adds to it), returns to kernel mode, and
// registers other than the mask, EDI, and the snapshot, EDX.
package linux313

import "slowpath/entry"

// The masks, in the arithmetic of thread_info.h. Slowpath's flags have the
// same numbers.
const (
	// EntryMask is _TIF_WORK_SYSCALL_ENTRY: tested at the entry of a call.
	EntryMask = entry.SyscallTrace | entry.SyscallEmu | entry.SyscallAudit | entry.Seccomp |
		entry.SingleStep | entry.SyscallTracepoint | entry.NoHZ
	// ExitMask is _TIF_WORK_SYSCALL_EXIT: what syscall_trace_leave is for.
	ExitMask = entry.SyscallTrace | entry.SyscallAudit | entry.SingleStep |
		entry.SyscallTracepoint | entry.NoHZ
	// WorkMask is _TIF_WORK_MASK: what keeps any return from user mode. It is
	// written as the low half of the word without five bits, so it holds bits
	// that mean nothing.
	WorkMask = 0xffff &^ (entry.SyscallTrace | entry.SyscallAudit | entry.SingleStep |
		entry.Seccomp | entry.SyscallEmu)
	// AllWorkMask is _TIF_ALLWORK_MASK: what keeps a system call's return
	// from user mode.
	AllWorkMask = 0xffff&^entry.Seccomp | entry.SyscallTracepoint | entry.NoHZ
	// NotifyMask is _TIF_DO_NOTIFY_MASK: what do_notify_resume is called for.
	NotifyMask = entry.SigPending | entry.MCENotify | entry.NotifyResume | entry.UserReturnNotify
)

// Mask is a mask with its name.
type Mask struct {
	Name  string
	Flags entry.Flag
}

// Masks returns the five masks of the model.
func (m *Model) Masks() []Mask {
	return []Mask{
		{"ENTRY", EntryMask}, {"EXIT", ExitMask}, {"WORK", WorkMask},
		{"ALLWORK", AllWorkMask}, {"DO_NOTIFY", m.notify},
	}
}

// NamedFlags are the thirteen flags that have a meaning on these paths.
const NamedFlags = EntryMask | NotifyMask | entry.NeedResched | entry.Uprobe

// AllBits are the bits that the masks can hold: the low half of the word and
// the two flags above it.
const AllBits = 0xffff | entry.NoHZ | entry.SyscallTracepoint

// Handler is a C function that the assembly calls.
type Handler struct {
	Name string
	// Serves are the flags whose duty it does, Clears those that it takes
	// out of the word. It clears what it sees in the snapshot.
	Serves, Clears entry.Flag
}

// The handlers. What they clear assumes that they succeed: no further signal
// is queued, and the last notifier leaves its list.
var (
	scheduleUser = &Handler{"schedule_user", entry.NeedResched, entry.NeedResched}
	auditEntry   = &Handler{"audit_syscall_entry", entry.SyscallAudit, 0}
	auditExit    = &Handler{"audit_syscall_exit", entry.SyscallAudit, 0}
	traceEnter   = &Handler{"syscall_trace_enter", EntryMask, 0}
	traceLeave   = &Handler{"syscall_trace_leave", ExitMask, 0}
	notifyResume = &Handler{"do_notify_resume", notified, notified}
	theCall      = &Handler{"the call", 0, 0}
)

// notified are the flags that do_notify_resume looks at, in its order: a
// machine check, a probe, signals, task work, notifiers. UPROBE is among them
// and not in NotifyMask: that is the mistake.
const notified = entry.MCENotify | entry.Uprobe | entry.SigPending | entry.NotifyResume | entry.UserReturnNotify

// Handlers returns the handlers of the exit paths that take flags out of the
// word or serve them.
func Handlers() []*Handler {
	return []*Handler{auditEntry, traceEnter, scheduleUser, auditExit, traceLeave, notifyResume}
}

// DeadBits are the bits of WorkMask that no handler clears: a task with one of
// them never returns from a system call.
func DeadBits() entry.Flag {
	cleared := entry.Flag(0)
	for _, h := range Handlers() {
		cleared |= h.Clears
	}
	return WorkMask &^ cleared
}
