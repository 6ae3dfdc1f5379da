// Package entry is the way between user mode and the kernel, in Go: the
// duties that a task may owe before it returns to user mode, the one table
// that says when each is consumed and by whom, and the loops that run them.
//
// In Linux 3.13 this was assembly with hand-written masks, and the masks and
// the handlers did not fit each other. Here a mask is the OR of table rows and
// nothing else can write one.
package entry

import (
	"math/bits"
	"strings"
	"sync/atomic"
)

// Flag is a set of duties. Each bit is one duty and one row of the table; the
// numbers are those of 3.13's arch/x86/include/asm/thread_info.h, so that the
// two can be compared.
type Flag uint32

// The duties of Linux 3.13 on x86-64 that Slowpath keeps.
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

// Duties of Slowpath's own, on bits that 3.13 does not use.
const (
	// RestartableSequence is rseq(2)'s; the Linux of today serves it with
	// NOTIFY_RESUME.
	RestartableSequence Flag = 1 << 13
	// RecordExits makes the recorder keep every visit, also of calls that owe
	// nothing else.
	RecordExits Flag = 1 << 14
)

var flagNames = [32]string{
	0: "SYSCALL_TRACE", 1: "NOTIFY_RESUME", 2: "SIGPENDING", 3: "NEED_RESCHED",
	4: "SINGLESTEP", 6: "SYSCALL_EMU", 7: "SYSCALL_AUDIT", 8: "SECCOMP",
	10: "MCE_NOTIFY", 11: "USER_RETURN_NOTIFY", 12: "UPROBE", 13: "RSEQ", 14: "RECORD_EXITS", 19: "NOHZ",
	28: "SYSCALL_TRACEPOINT",
}

// String names the duties of the set, lowest bit first, as Linux spells them
// without TIF_.
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

// Raise sets duties in a work word. Anybody may, at any time; whoever raises a
// duty for a running task then kicks its CPU.
func Raise(work *atomic.Uint32, f Flag) { work.Or(uint32(f)) }

// Claim takes one duty out of the word and reports whether it was there. A
// handler runs only after a successful claim, so each raise is served once.
func Claim(work *atomic.Uint32, f Flag) bool { return work.And(^uint32(f))&uint32(f) != 0 }

// Lower takes duties out of the word without serving them: for level flags,
// whose state is off now.
func Lower(work *atomic.Uint32, f Flag) { work.And(^uint32(f)) }

// Pending returns the duties of the word.
func Pending(work *atomic.Uint32) Flag { return Flag(work.Load()) }
