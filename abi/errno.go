// Package abi holds the constants of the Linux user interface, and of the
// kernel's inside of it, that golang.org/x/sys/unix does not have.
//
// It imports nothing of Slowpath, so that every layer may use it.
package abi

import "golang.org/x/sys/unix"

// The restart codes of include/linux/errno.h. A system call that a signal
// interrupts returns one of them; signal delivery turns it into EINTR or into
// a second execution of the call before the user can see it. A user program
// never reads them.
const (
	// ERESTARTSYS restarts the call unless a handler without SA_RESTART runs.
	ERESTARTSYS = unix.Errno(512)
	// ERESTARTNOINTR restarts the call always.
	ERESTARTNOINTR = unix.Errno(513)
	// ERESTARTNOHAND restarts the call only if no handler runs.
	ERESTARTNOHAND = unix.Errno(514)
	// ERESTART_RESTARTBLOCK restarts through restart_syscall(2), with the
	// function and the remaining time that the task's restart block holds,
	// unless a handler runs.
	ERESTART_RESTARTBLOCK = unix.Errno(516)
)

// MaxErrno is the largest number that a system call's result means as an
// error: results in [-MaxErrno, -1] are errnos (include/linux/err.h).
const MaxErrno = 4095
