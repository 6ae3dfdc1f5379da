package linux313

import "slowpath/entry"

// action is what a step does.
type action uint8

const (
	disableInterrupts action = iota
	enableInterrupts
	loadMask         // EDI = mask
	narrowMask       // EDI &^= mask
	readFlags        // EDX = flags & EDI
	jump             // to the label
	jumpIfSnapshot   // if EDX has any of mask
	jumpUnlessInWord // if the flag word itself has none of mask
	call             // a handler, with EDX
	leave            // for user mode
)

// step is one line of the listing. A label is on the first step after it.
type step struct {
	label   string
	do      action
	mask    entry.Flag
	to      string
	handler *Handler
	exit    Exit
}

// Steps that need no argument.
var (
	cli = step{do: disableInterrupts}
	sti = step{do: enableInterrupts}
	// snapshot reads the flags through the mask in EDI: the only step that
	// reads them into EDX.
	snapshot = step{do: readFlags}
)

func edi(mask entry.Flag) step                { return step{do: loadMask, mask: mask} }
func ediWithout(mask entry.Flag) step         { return step{do: narrowMask, mask: mask} }
func jmp(to string) step                      { return step{do: jump, to: to} }
func ifAny(mask entry.Flag, to string) step   { return step{do: jumpIfSnapshot, mask: mask, to: to} }
func unlessWord(m entry.Flag, to string) step { return step{do: jumpUnlessInWord, mask: m, to: to} }
func do(h *Handler) step                      { return step{do: call, handler: h} }
func out(e Exit) step                         { return step{do: leave, exit: e} }

// every is the mask of a test for "any flag left".
const every = ^entry.Flag(0)

// at puts a label on the first of some steps.
func at(label string, steps ...step) []step {
	steps[0].label = label
	return steps
}

// listing returns the flow of 3.13, with notify as _TIF_DO_NOTIFY_MASK. Each
// label's steps stand under it; what is not a jump falls through to the next.
func listing(notify entry.Flag) []step {
	var all []step
	for _, part := range [][][]step{
		systemCall(), sysretExit(), iretExit(notify), interruptExit(notify), paranoidExit(), compatExit(),
	} {
		for _, steps := range part {
			all = append(all, steps...)
		}
	}
	return all
}

// systemCall is the entry of a 64-bit call.
func systemCall() [][]step {
	return [][]step{
		at("system_call", sti,
			unlessWord(EntryMask, "system_call_fastpath"),
			unlessWord(EntryMask&^entry.SyscallAudit, "auditsys")),
		at("tracesys", do(traceEnter), do(theCall),
			jmp("int_ret_from_sys_call")), // always IRET: a tracer may have changed the frame
		at("auditsys", do(auditEntry)),
		at("system_call_fastpath", do(theCall)),
	}
}

// sysretExit is the way out that may end in SYSRET.
func sysretExit() [][]step {
	return [][]step{
		at("ret_from_sys_call", edi(AllWorkMask)),
		at("sysret_check", cli, snapshot,
			ifAny(every, "sysret_careful"),
			out(SYSRET)),
		at("sysret_careful",
			ifAny(entry.NeedResched, "sysret_resched"),
			jmp("sysret_signal")),
		at("sysret_resched", sti, do(scheduleUser),
			jmp("sysret_check")), // EDI as it was
		at("sysret_signal", sti,
			ifAny(entry.SyscallAudit, "sysret_audit"),
			jmp("int_check_syscall_exit_work")), // EDX is not read again
		at("sysret_audit", do(auditExit), edi(AllWorkMask&^entry.SyscallAudit),
			jmp("sysret_check")),
	}
}

// iretExit is the way out of a call that ends in IRET.
func iretExit(notify entry.Flag) [][]step {
	return [][]step{
		at("int_ret_from_sys_call", cli, edi(AllWorkMask)),
		at("int_with_check", snapshot,
			ifAny(every, "int_careful"),
			out(IRET)),
		at("int_careful",
			ifAny(entry.NeedResched, "int_resched"),
			jmp("int_very_careful")),
		at("int_resched", sti, do(scheduleUser), cli,
			jmp("int_with_check")), // EDI as it was
		at("int_very_careful", sti),
		at("int_check_syscall_exit_work",
			ifAny(ExitMask, "int_trace"),
			jmp("int_signal")),
		at("int_trace", do(traceLeave), ediWithout(ExitMask|entry.SyscallEmu),
			jmp("int_restore_rest")), // the flags stay: only the mask forgets them
		at("int_signal",
			ifAny(notify, "int_notify"),
			jmp("int_notified")),
		at("int_notify", do(notifyResume)),
		at("int_notified", edi(WorkMask)), // in both cases
		at("int_restore_rest", cli,
			jmp("int_with_check")),
	}
}

// interruptExit is the way out of interrupts and of ordinary exceptions.
func interruptExit(notify entry.Flag) [][]step {
	return [][]step{
		at("ret_from_intr", cli, jmp("retint_with_reschedule")),
		at("error_exit", cli),
		at("retint_with_reschedule", edi(WorkMask)),
		at("retint_check", snapshot,
			ifAny(every, "retint_careful")),
		at("retint_swapgs", cli, out(IRET)),
		at("retint_careful",
			ifAny(entry.NeedResched, "retint_resched"),
			jmp("retint_signal")),
		at("retint_resched", sti, do(scheduleUser), cli,
			jmp("retint_check")),
		at("retint_signal",
			ifAny(notify, "retint_notify"),
			jmp("retint_swapgs")), // returns with the work undone
		at("retint_notify", sti, do(notifyResume), cli, edi(WorkMask),
			jmp("retint_check")),
	}
}

// paranoidExit is the way out of NMI, #DB, #MC and the like: it has no test
// of _TIF_DO_NOTIFY_MASK.
func paranoidExit() [][]step {
	return [][]step{
		at("paranoid_exit", cli, edi(WorkMask)),
		at("paranoid_userspace", snapshot,
			ifAny(every, "paranoid_work"),
			out(IRET)),
		at("paranoid_work",
			ifAny(entry.NeedResched, "paranoid_schedule"),
			sti, do(notifyResume), cli,
			jmp("paranoid_userspace")),
		at("paranoid_schedule", sti, do(scheduleUser), cli,
			jmp("paranoid_userspace")),
	}
}

// compatExit is the way out of a 32-bit call that came by SYSENTER or by
// SYSCALL from compatibility mode.
func compatExit() [][]step {
	return [][]step{
		at("sysenter_dispatch", cli,
			unlessWord(AllWorkMask, "sysexit_from_sys_call"),
			unlessWord(AllWorkMask&^entry.SyscallAudit, "sysexit_audit"),
			jmp("int_ret_from_sys_call")),
		at("sysexit_audit", sti, do(auditExit), edi(AllWorkMask&^entry.SyscallAudit), cli,
			unlessWord(AllWorkMask&^entry.SyscallAudit, "sysexit_from_sys_call"),
			jmp("int_with_check")),
		at("sysexit_from_sys_call", out(SYSEXIT)),
	}
}
