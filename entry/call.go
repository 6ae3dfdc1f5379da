package entry

import "slowpath/arch/amd64"

// ABI is the convention by which a program makes a system call: it decides what
// the call's number means and which registers hold the arguments.
type ABI uint8

// The ABIs.
const (
	// X86_64 is SYSCALL in 64-bit code. It is the zero value.
	X86_64 ABI = iota
	// I386 is the convention of 32-bit code: int $0x80, SYSENTER, SYSCALL in
	// compatibility mode. No entry of this kernel uses it yet.
	I386
)

// String returns the ABI's name.
func (a ABI) String() string { return [...]string{"x86-64", "i386"}[a] }

// Args are the arguments of a system call.
type Args = amd64.Args

// Call is the system call that a task is in: its number, its ABI and its
// arguments as one value. The duties of the entry and of the exit, and the call
// itself, read it in place of registers. It keeps its value until the task's
// next call on the slow path, also through execve(2) and rt_sigreturn(2), which
// replace the registers.
type Call struct {
	// NR is the number. -1 is no call: a tracer has cancelled it, or
	// rt_sigreturn(2) has replaced the registers (ptrace(2)).
	NR   int32
	ABI  ABI
	Args Args
}

// load reads the call from the frame of a task that has executed SYSCALL. The
// table loads it again after each duty of the entry, because a tracer may have
// changed the registers.
func (c *Call) load(f *amd64.Frame) { c.NR, c.ABI, c.Args = int32(f.OrigRAX), X86_64, *f.Args() }

// Handler executes one system call of a task. It runs on the task's goroutine
// with interrupts on, and may sleep. It does not write to the arguments. The
// error is a bare unix.Errno, or one of package abi's restart codes.
type Handler[T any] func(t T, a *Args) (uint64, error)

// Calls is how many system call numbers a dispatch table has: a power of two
// above the highest number of Linux 6.1.
const Calls = 512

// Dispatch is the handlers of one ABI by number. Every entry has a handler; a
// number without a system call has one that returns NoCall.
type Dispatch[T any] [Calls]Handler[T]

// NoCall is the result of a system call that does not exist: -ENOSYS.
const NoCall = ^uint64(38) + 1
