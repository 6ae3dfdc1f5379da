package entry

import (
	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
)

// ABI is a system call convention. It defines the meaning of the call's number
// and the registers of the arguments.
type ABI uint8

// The ABIs.
const (
	// X86_64 is SYSCALL in 64-bit code. It is the zero value.
	X86_64 ABI = iota
	// I386 is the convention of 32-bit code: int $0x80, SYSENTER, and SYSCALL in
	// compatibility mode. 64-bit code can use it too, by int $0x80.
	I386
)

// String returns the ABI's name.
func (a ABI) String() string { return [...]string{"x86-64", "i386"}[a] }

// AuditArch returns the ABI's AUDIT_ARCH value, by which seccomp(2), ptrace(2) and audit name
// it (include/uapi/linux/audit.h).
func (a ABI) AuditArch() uint32 {
	return [...]uint32{unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_I386}[a]
}

// Args are the arguments of a system call.
type Args = amd64.Args

// Call is the system call that a task executes: its number, its ABI and its
// arguments. The duties of the entry and of the exit, and the call itself, read
// it instead of the registers. It keeps its value until the task's next call on
// the slow path, although execve(2) and rt_sigreturn(2) replace the registers.
type Call struct {
	// NR is the number. It is -1 if there is no call, because a tracer cancelled
	// it or rt_sigreturn(2) replaced the registers (ptrace(2)).
	NR   int32
	ABI  ABI
	Args Args
}

// load reads the call from the frame of a task that made one. The table
// loads it again after each duty of the entry, because a tracer may have changed
// the registers.
func (c *Call) load(f *amd64.Frame) {
	c.NR = int32(f.OrigRAX)
	if f.InCall32() {
		c.ABI = I386
		f.Args32(&c.Args)
		return
	}
	c.ABI = X86_64
	f.CopyArgs(&c.Args)
}

// CallOf returns the system call that a frame is in. The caller is the frame's own goroutine,
// or its task is stopped.
func CallOf(f *amd64.Frame) (c Call) {
	c.load(f)
	return c
}

// CallABI returns the ABI of the system call that the task executes or has executed last.
// It is the frame's, also for a call on the fast path, to which Call does not belong. Only
// the task's own goroutine may call it, or another one while the task is stopped.
func (s *Thread) CallABI() ABI {
	if s.Frame.InCall32() {
		return I386
	}
	return X86_64
}

// Handler executes one system call of a task. It runs on the task's goroutine
// with interrupts on, and may sleep. It must not write to the arguments. The
// error is an unwrapped unix.Errno or one of the restart codes of package abi.
type Handler[T any] func(t T, a *Args) (uint64, error)

// Calls is the number of entries of a dispatch table: a power of two above the
// highest system call number of Linux 6.1.
const Calls = 512

// Dispatch has the handlers of one ABI by system call number. Every entry has a
// handler. The handler of a number without a system call returns NoCall.
type Dispatch[T any] [Calls]Handler[T]

// Call32 is one entry of the dispatch table of the ABI I386.
type Call32[T any] struct {
	// Handler executes the call. Its arguments are zero-extended from 32 bits.
	Handler Handler[T]
	// Arguments is the number of the call's arguments. The sixth is on the stack, so it
	// is read from memory only for a call that has six.
	Arguments uint8
	// Frame is set if the handler accesses the frame. Otherwise the frame may be incomplete
	// during the call (see amd64.Frame.BeginCall32).
	Frame bool
}

// needsFrame reports whether the call needs a complete frame.
func (c *Call32[T]) needsFrame() bool { return c.Frame || c.Arguments > 5 }

// Dispatch32 has the entries of the ABI I386 by system call number. An entry without a
// handler is a number without a system call.
type Dispatch32[T any] [Calls]Call32[T]

// NoCall is -ENOSYS, the result of a system call that does not exist.
const NoCall = ^uint64(38) + 1
