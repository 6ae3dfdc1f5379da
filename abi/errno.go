package abi

import "golang.org/x/sys/unix"

// The restart codes of include/linux/errno.h. A system call that a signal
// interrupts returns one of them. Signal delivery turns it into EINTR, or
// executes the call a second time. No user program ever sees them.
const (
	// ERESTARTSYS restarts the call unless a handler without SA_RESTART runs.
	ERESTARTSYS = unix.Errno(512)
	// ERESTARTNOINTR always restarts the call.
	ERESTARTNOINTR = unix.Errno(513)
	// ERESTARTNOHAND restarts the call only if no handler runs.
	ERESTARTNOHAND = unix.Errno(514)
	// ERESTART_RESTARTBLOCK restarts through restart_syscall(2), with the
	// function and the remaining time that the task's restart block holds,
	// unless a handler runs.
	ERESTART_RESTARTBLOCK = unix.Errno(516)
)

// MaxErrno is the largest errno. A result of a system call in [-MaxErrno, -1]
// is an error (include/linux/err.h).
const MaxErrno = 4095
