// Package entry implements the entry into the kernel and the return to user
// mode: the duties of a task, the table that defines when and by which handler
// each duty is served, and the loops that serve them.
//
// A duty is what Linux calls work: one bit of the thread flags word (a TIF flag
// that is in one of the work masks), which must be served before the task
// executes a system call or returns to user mode. To raise a duty is to set its
// bit. To claim it is to clear the bit and then run the handler.
//
// In Linux 3.13 this was assembly with hand-written masks, and the masks did not
// match the handlers. Here each mask is computed as the OR of table rows.
package entry

import (
	"math/bits"
	"strings"
	"sync/atomic"
)

// Flag is a set of duties. Each bit is one duty and one row of the table. The bit
// numbers are those of Linux 3.13 (arch/x86/include/asm/thread_info.h), so the
// masks can be compared.
type Flag uint32

// The duties that Slowpath has in common with Linux 3.13 on x86-64.
const (
	SyscallTrace      Flag = 1 << 0
	NotifyResume      Flag = 1 << 1
	SigPending        Flag = 1 << 2
	NeedResched       Flag = 1 << 3
	SingleStep        Flag = 1 << 4
	SyscallEmu        Flag = 1 << 6
	SyscallAudit      Flag = 1 << 7
	Seccomp           Flag = 1 << 8
	MCENotify         Flag = 1 << 10
	UserReturnNotify  Flag = 1 << 11
	Uprobe            Flag = 1 << 12
	NoHZ              Flag = 1 << 19
	SyscallTracepoint Flag = 1 << 28
)

// Duties that only Slowpath has, on bits that Linux 3.13 does not use.
const (
	// RestartableSequence is the work of rseq(2). Linux 6.1 does it in
	// NOTIFY_RESUME.
	RestartableSequence Flag = 1 << 13
	// RecordExits makes the recorder keep every visit, including those without
	// other duties.
	RecordExits Flag = 1 << 14
	// UserDispatch is syscall user dispatch. Linux 6.1 has it in another word
	// (SYSCALL_WORK_SYSCALL_USER_DISPATCH).
	UserDispatch Flag = 1 << 15
)

var flagNames = [32]string{
	0: "SYSCALL_TRACE", 1: "NOTIFY_RESUME", 2: "SIGPENDING", 3: "NEED_RESCHED",
	4: "SINGLESTEP", 6: "SYSCALL_EMU", 7: "SYSCALL_AUDIT", 8: "SECCOMP",
	10: "MCE_NOTIFY", 11: "USER_RETURN_NOTIFY", 12: "UPROBE", 13: "RSEQ", 14: "RECORD_EXITS",
	15: "SYSCALL_USER_DISPATCH", 19: "NOHZ",
	28: "SYSCALL_TRACEPOINT",
}

// String returns the names of the duties in the set, lowest bit first. They are
// the names of Linux without the prefix TIF_.
func (f Flag) String() string {
	if f == 0 {
		return "0"
	}
	var names []string
	for rest := uint32(f); rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros32(rest)
		name := flagNames[i]
		if name == "" {
			name = "BIT" + string(rune('0'+i/10)) + string(rune('0'+i%10))
		}
		names = append(names, name)
	}
	return strings.Join(names, "|")
}

// Raise sets duties in a thread flags word. It may be called in any context and
// for any task. The caller must then kick the CPU that runs the task.
func Raise(work *atomic.Uint32, f Flag) { work.Or(uint32(f)) }

// Claim clears one duty of a thread flags word and reports whether it was set. A
// handler runs only after a successful claim, so each raise is served once.
func Claim(work *atomic.Uint32, f Flag) bool { return work.And(^uint32(f))&uint32(f) != 0 }

// Lower clears duties of a thread flags word without serving them. It is for a
// level after the end of its cause.
func Lower(work *atomic.Uint32, f Flag) { work.And(^uint32(f)) }

// Pending returns the duties that are set in a thread flags word.
func Pending(work *atomic.Uint32) Flag { return Flag(work.Load()) }
