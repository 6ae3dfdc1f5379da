// Package linux313 is an executable model of the exit paths to user mode of Linux 3.13
// on x86-64. It has the masks of arch/x86/include/asm/thread_info.h, the code of
// arch/x86/kernel/entry_64.S and arch/x86/ia32/ia32entry.S as a table of steps, and a
// simulator that executes the steps for the flag word of a task.
//
// In January 2014 Al Viro noticed that these masks and the handlers do not match. The
// model computes the consequences for every flag word. It follows the source and not
// the mail; Findings reports where they differ.
//
// The model omits interrupts that set a flag during the exit, returns to kernel mode, and
// all registers except EDI, which has the mask, and EDX, which has the snapshot of the
// flags.
package linux313

import "slowpath/entry"

// The masks, with the expressions of thread_info.h. Slowpath's flags have the same bit
// numbers.
const (
	// EntryMask is _TIF_WORK_SYSCALL_ENTRY, which is tested at the entry of a call.
	EntryMask = entry.SyscallTrace | entry.SyscallEmu | entry.SyscallAudit | entry.Seccomp |
		entry.SingleStep | entry.SyscallTracepoint | entry.NoHZ
	// ExitMask is _TIF_WORK_SYSCALL_EXIT, the flags of syscall_trace_leave.
	ExitMask = entry.SyscallTrace | entry.SyscallAudit | entry.SingleStep |
		entry.SyscallTracepoint | entry.NoHZ
	// WorkMask is _TIF_WORK_MASK, the flags that delay every return to user
	// mode. It is written as the low 16 bits except five, so it has bits
	// without a meaning.
	WorkMask = 0xffff &^ (entry.SyscallTrace | entry.SyscallAudit | entry.SingleStep |
		entry.Seccomp | entry.SyscallEmu)
	// AllWorkMask is _TIF_ALLWORK_MASK, the flags that delay the return from a
	// system call.
	AllWorkMask = 0xffff&^entry.Seccomp | entry.SyscallTracepoint | entry.NoHZ
	// NotifyMask is _TIF_DO_NOTIFY_MASK, the flags for which do_notify_resume is
	// called.
	NotifyMask = entry.SigPending | entry.MCENotify | entry.NotifyResume | entry.UserReturnNotify
)

// Mask is a mask with its name.
type Mask struct {
	Name  string
	Flags entry.Flag
}

// Masks returns the model's five masks.
func (m *Model) Masks() []Mask {
	return []Mask{
		{"ENTRY", EntryMask}, {"EXIT", ExitMask}, {"WORK", WorkMask},
		{"ALLWORK", AllWorkMask}, {"DO_NOTIFY", m.notify},
	}
}

// NamedFlags are the thirteen flags that have a meaning on these paths.
const NamedFlags = EntryMask | NotifyMask | entry.NeedResched | entry.Uprobe

// AllBits are the bits of all masks: the low 16 bits and two flags above them.
const AllBits = 0xffff | entry.NoHZ | entry.SyscallTracepoint

// Handler is a C function that the assembly calls.
type Handler struct {
	Name   string
	Serves entry.Flag // the flags that it handles
	Clears entry.Flag // the flags that it clears in the word if they are in the snapshot
}

// The handlers. The flags that they clear assume success: no further signal is queued,
// and the last user-return notifier unregisters.
var (
	scheduleUser = &Handler{"schedule_user", entry.NeedResched, entry.NeedResched}
	auditEntry   = &Handler{"audit_syscall_entry", entry.SyscallAudit, 0}
	auditExit    = &Handler{"audit_syscall_exit", entry.SyscallAudit, 0}
	traceEnter   = &Handler{"syscall_trace_enter", EntryMask, 0}
	traceLeave   = &Handler{"syscall_trace_leave", ExitMask, 0}
	notifyResume = &Handler{"do_notify_resume", notified, notified}
	theCall      = &Handler{"the call", 0, 0}
)

// notified are the flags that do_notify_resume tests, in its order: machine check,
// uprobe, signals, task work, user-return notifiers. It tests UPROBE, which NotifyMask
// does not have: that is the bug.
const notified = entry.MCENotify | entry.Uprobe | entry.SigPending | entry.NotifyResume | entry.UserReturnNotify

// Handlers returns the handlers that serve or clear flags.
func Handlers() []*Handler {
	return []*Handler{auditEntry, traceEnter, scheduleUser, auditExit, traceLeave, notifyResume}
}

// DeadBits returns the bits of WorkMask that no handler clears. A task with such a bit
// never returns from a system call.
func DeadBits() entry.Flag {
	cleared := entry.Flag(0)
	for _, h := range Handlers() {
		cleared |= h.Clears
	}
	return WorkMask &^ cleared
}
