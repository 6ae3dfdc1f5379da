package linux313

import "slowpath/entry"

// action is the kind of a step.
type action uint8

const (
	disableInterrupts action = iota
	enableInterrupts
	loadMask         // EDI = mask
	narrowMask       // EDI &^= mask
	readFlags        // EDX = flags & EDI
	jump             // jump to the label
	jumpIfSnapshot   // jump if EDX has a flag of mask
	jumpUnlessInWord // jump if the flag word has no flag of mask
	call             // call a handler with EDX
	leave            // enter user mode
)

// step is one line of the listing. A label belongs to the step after it.
type step struct {
	label   string
	do      action
	mask    entry.Flag
	to      string
	handler *Handler
	exit    Exit
}

// The steps without arguments.
var (
	cli = step{do: disableInterrupts}
	sti = step{do: enableInterrupts}
	// snapshot sets EDX to the flags that are in the mask EDI. It is the only
	// step that reads the flags into EDX.
	snapshot = step{do: readFlags}
)

func edi(mask entry.Flag) step                { return step{do: loadMask, mask: mask} }
func ediWithout(mask entry.Flag) step         { return step{do: narrowMask, mask: mask} }
func jmp(to string) step                      { return step{do: jump, to: to} }
func ifAny(mask entry.Flag, to string) step   { return step{do: jumpIfSnapshot, mask: mask, to: to} }
func unlessWord(m entry.Flag, to string) step { return step{do: jumpUnlessInWord, mask: m, to: to} }
func do(h *Handler) step                      { return step{do: call, handler: h} }
func out(e Exit) step                         { return step{do: leave, exit: e} }

// every is the mask of a test whether any flag is left.
const every = ^entry.Flag(0)

// at labels the first of several steps.
func at(label string, steps ...step) []step {
	steps[0].label = label
	return steps
}

// listing returns the code of 3.13 as steps, with notify as _TIF_DO_NOTIFY_MASK. A step
// that does not jump falls through to the next.
func listing(notify entry.Flag) []step {
	var all []step
	for _, part := range [][][]step{
		systemCall(), sysretExit(), iretExit(notify), interruptExit(notify), paranoidExit(),
		fastCompat("sysenter", "sysexit"), fastCompat("cstar", "sysretl"), int80(),
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
			jmp("int_ret_from_sys_call")), // IRET, because a tracer may have changed pt_regs
		at("auditsys", do(auditEntry)),
		at("system_call_fastpath", do(theCall)),
	}
}

// sysretExit is the exit path that may end with SYSRET.
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
			jmp("sysret_check")), // EDI is unchanged
		at("sysret_signal", sti,
			ifAny(entry.SyscallAudit, "sysret_audit"),
			jmp("int_check_syscall_exit_work")), // EDX is not reloaded
		at("sysret_audit", do(auditExit), edi(AllWorkMask&^entry.SyscallAudit),
			jmp("sysret_check")),
	}
}

// iretExit is the exit path of a call that ends with IRET.
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
			jmp("int_with_check")), // EDI is unchanged
		at("int_very_careful", sti),
		at("int_check_syscall_exit_work",
			ifAny(ExitMask, "int_trace"),
			jmp("int_signal")),
		at("int_trace", do(traceLeave), ediWithout(ExitMask|entry.SyscallEmu),
			jmp("int_restore_rest")), // removes the flags from the mask, not from the word
		at("int_signal",
			ifAny(notify, "int_notify"),
			jmp("int_notified")),
		at("int_notify", do(notifyResume)),
		at("int_notified", edi(WorkMask)), // reached in both cases
		at("int_restore_rest", cli,
			jmp("int_with_check")),
	}
}

// interruptExit is the exit path of interrupts and ordinary exceptions.
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
			jmp("retint_swapgs")), // returns without doing the work
		at("retint_notify", sti, do(notifyResume), cli, edi(WorkMask),
			jmp("retint_check")),
	}
}

// paranoidExit is the exit path of NMI, #DB, #MC and similar exceptions. It does not
// test _TIF_DO_NOTIFY_MASK.
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

// fastCompat is a 32-bit call made with SYSENTER, or with SYSCALL in compatibility mode. call
// and exit begin the labels of its parts. Unlike a 64-bit call, a call that was traced at
// its entry joins the others again.
func fastCompat(call, exit string) [][]step {
	return [][]step{
		at("ia32_"+call+"_target", sti,
			unlessWord(EntryMask, call+"_do_call"),
			unlessWord(EntryMask&^entry.SyscallAudit, call+"_auditsys")),
		at(call+"_tracesys", do(traceEnter),
			jmp(call+"_do_call")),
		at(call+"_auditsys", do(auditEntry)),
		at(call+"_do_call", do(theCall)),
		at(call+"_dispatch", cli,
			unlessWord(AllWorkMask, exit+"_from_sys_call"),
			unlessWord(AllWorkMask&^entry.SyscallAudit, exit+"_audit"),
			jmp("int_ret_from_sys_call")),
		at(exit+"_audit", sti, do(auditExit), edi(AllWorkMask&^entry.SyscallAudit), cli,
			unlessWord(AllWorkMask&^entry.SyscallAudit, exit+"_from_sys_call"),
			jmp("int_with_check")),
		at(exit+"_from_sys_call", out(SYSEXIT)),
	}
}

// int80 is a call made with INT 0x80.
func int80() [][]step {
	return [][]step{
		at("ia32_syscall", sti,
			unlessWord(EntryMask, "ia32_do_call")),
		at("ia32_tracesys", do(traceEnter)),
		at("ia32_do_call", do(theCall),
			jmp("int_ret_from_sys_call")),
	}
}
