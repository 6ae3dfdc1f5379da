// Package signal implements the parts of signals that do not depend on tasks: sets
// of signals, siginfo_t, pending queues, the table of actions, the alternate stack,
// and the signal frame on the user's stack.
//
// Package task selects the thread that gets a signal and executes the default
// actions.
package signal

import (
	"math/bits"
	"strings"

	"golang.org/x/sys/unix"
)

// Signal is a signal number, 1 to Last (signal(7)).
type Signal = unix.Signal

// The range of signal numbers (include/uapi/asm-generic/signal.h).
const (
	// FirstRealtime is the kernel's SIGRTMIN. The SIGRTMIN of glibc is 34,
	// because it uses 32 and 33 internally.
	FirstRealtime Signal = 32
	// Last is SIGRTMAX, the largest signal number.
	Last Signal = 64
)

// Valid reports whether s is the number of a signal.
func Valid(s Signal) bool { return s >= 1 && s <= Last }

// Set is a set of signals in the format of the user interface, a sigset_t of 8
// bytes: bit n-1 stands for signal n.
type Set uint64

// SetSize is the size of a sigset_t in the user interface, in bytes. System
// calls that take a set check their size argument against it.
const SetSize = 8

// SetOf returns the set of the given signals.
func SetOf(signals ...Signal) Set {
	var set Set
	for _, s := range signals {
		set.Add(s)
	}
	return set
}

// Has reports whether s is in the set.
func (set Set) Has(s Signal) bool { return set>>(uint(s)-1)&1 != 0 }

// Add puts s into the set.
func (set *Set) Add(s Signal) { *set |= 1 << (uint(s) - 1) }

// Remove takes s out of the set.
func (set *Set) Remove(s Signal) { *set &^= 1 << (uint(s) - 1) }

// First returns the lowest signal of the set, or 0 if the set is empty.
func (set Set) First() Signal {
	if set == 0 {
		return 0
	}
	return Signal(bits.TrailingZeros64(uint64(set)) + 1)
}

// String lists the set's signals, for logs and test failures.
func (set Set) String() string {
	var names []string
	for rest := set; rest != 0; rest.Remove(rest.First()) {
		names = append(names, Name(rest.First()))
	}
	return "{" + strings.Join(names, " ") + "}"
}

// Name returns the signal's name as in signal(7).
func Name(s Signal) string {
	if s >= FirstRealtime && s <= Last {
		return "SIGRTMIN+" + itoa(int(s-FirstRealtime))
	}
	if name := unix.SignalName(s); name != "" {
		return name
	}
	return "signal " + itoa(int(s))
}

// itoa returns n in decimal.
func itoa(n int) string {
	if n < 0 {
		return "-" + itoa(-n)
	}
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// The sets of signal(7).
var (
	// Unblockable signals cannot be blocked, caught or ignored.
	Unblockable = SetOf(unix.SIGKILL, unix.SIGSTOP)
	// Synchronous signals are caused by an instruction of the thread. They are
	// delivered before other signals, so the ucontext of their handler has the
	// address of that instruction.
	Synchronous = SetOf(unix.SIGSEGV, unix.SIGBUS, unix.SIGILL, unix.SIGTRAP, unix.SIGFPE, unix.SIGSYS)
	// Stops are the signals whose default action stops the process. SIGCONT
	// discards pending Stops, and each of them discards a pending SIGCONT.
	Stops = SetOf(unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
)

// Default is the default action of a signal.
type Default uint8

// The values of Default (signal(7)).
const (
	Terminate Default = iota
	// Core terminates the process and writes a core file, if RLIMIT_CORE allows
	// it (core(5)).
	Core
	Ignore
	Stop
	// Continue resumes a stopped process and has no effect otherwise.
	Continue
)

// defaults lists the signals with another default than Terminate.
var defaults = [Last + 1]Default{
	unix.SIGQUIT: Core, unix.SIGILL: Core, unix.SIGTRAP: Core, unix.SIGABRT: Core,
	unix.SIGBUS: Core, unix.SIGFPE: Core, unix.SIGSEGV: Core, unix.SIGSYS: Core,
	unix.SIGXCPU: Core, unix.SIGXFSZ: Core,
	unix.SIGCHLD: Ignore, unix.SIGURG: Ignore, unix.SIGWINCH: Ignore,
	unix.SIGSTOP: Stop, unix.SIGTSTP: Stop, unix.SIGTTIN: Stop, unix.SIGTTOU: Stop,
	unix.SIGCONT: Continue,
}

// DefaultOf returns the default action of a valid signal.
func DefaultOf(s Signal) Default { return defaults[s] }

// DefaultIgnored reports whether the default action of s has no effect on a running
// process: it is Ignore or Continue.
func DefaultIgnored(s Signal) bool { return defaults[s] == Ignore || defaults[s] == Continue }
