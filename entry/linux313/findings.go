package linux313

import (
	"fmt"

	"slowpath/entry"
)

// Finding compares one statement of Al Viro's mail of January 2014 ("de-asmify the
// x86-64 system call slowpath") with the result of the model.
type Finding struct {
	Topic string
	Mail  string // the statement of the mail
	Model string // the behaviour of the 3.13 source
	Agree bool   // the two agree
}

// mailDeadBits are the dead bits according to the mail.
const mailDeadBits entry.Flag = 0xe200

// Findings runs the model and compares it with the mail.
func Findings() []Finding {
	m := New()
	return []Finding{deadBits(), loneUprobe(m), lostUprobe(m), emulation(m), tracedCompat(m)}
}

func deadBits() Finding {
	dead := DeadBits()
	return Finding{
		Topic: "dead bits",
		Mail:  fmt.Sprintf("%#x of _TIF_WORK_MASK: bits %s", uint32(mailDeadBits), bitNumbers(mailDeadBits)),
		Model: fmt.Sprintf("%#x, by the masks' arithmetic: bits %s", uint32(dead), bitNumbers(dead)),
		Agree: dead == mailDeadBits,
	}
}

func loneUprobe(m *Model) Finding {
	r := m.Run(SyscallExit, entry.Uprobe)
	return Finding{
		Topic: "lone UPROBE, exit of a call",
		Mail:  "in _TIF_WORK_MASK but not in _TIF_DO_NOTIFY_MASK: the kernel loops for ever",
		Model: fmt.Sprintf("%v: back at %s with %v, after %d handlers", r.Exit, r.Loop, r.Left, len(r.Ran)),
		Agree: r.Exit == Livelock,
	}
}

func lostUprobe(m *Model) Finding {
	r := m.Run(Interrupt, entry.Uprobe)
	return Finding{
		Topic: "lone UPROBE, interrupt",
		Mail:  "the kernel loops for ever",
		Model: fmt.Sprintf("%v: retint_signal returns to user mode with %v undone", r.Exit, r.Dropped()),
		Agree: r.Exit == Livelock,
	}
}

func emulation(m *Model) Finding {
	r := m.Run(SyscallExit, entry.SyscallEmu)
	notified := false
	for _, h := range r.Ran {
		notified = notified || h == notifyResume
	}
	what := "int_signal's test of _TIF_DO_NOTIFY_MASK skips the call"
	if notified {
		what = "do_notify_resume is called"
	}
	return Finding{
		Topic: "lone SYSCALL_EMU",
		Mail:  "it reaches do_notify_resume, which does nothing for it",
		Model: fmt.Sprintf("%v, off the fast path: %s", r.Exit, what),
		Agree: notified,
	}
}

// tracedCompat compares a call of each kind that is traced at its entry, and owes nothing at
// its exit.
func tracedCompat(m *Model) Finding {
	r, compat := m.Run(SystemCall, entry.Seccomp), m.Run(SysenterCall, entry.Seccomp)
	return Finding{
		Topic: "a traced 32-bit call",
		Mail:  "the 32-bit path is similar: a call traced on entry never rejoins the fast exit",
		Model: fmt.Sprintf("%v after tracesys, %v after sysenter_tracesys: it jumps to sysenter_do_call", r.Exit, compat.Exit),
		Agree: r.Exit == compat.Exit,
	}
}

// bitNumbers lists the numbers of the bits that are set.
func bitNumbers(f entry.Flag) string {
	text := ""
	for i := range 32 {
		if f>>i&1 == 0 {
			continue
		}
		if text != "" {
			text += ", "
		}
		text += fmt.Sprint(i)
	}
	return text
}
