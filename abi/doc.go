// Package abi describes the Linux user interface where golang.org/x/sys/unix
// does not: constants, and the structures that the kernel and a program pass
// each other through memory. CopyIn and CopyOut move such structures.
//
// # Structures
//
// The kernel copies a structure to a program byte for byte, so a Go type is
// fit for it only if it has
//
//   - fields of fixed size: no int, uint, uintptr, pointer, slice or string. A
//     user address is a uint64.
//   - no padding that the compiler inserts, and no blank field. The language
//     does not promise that either is zero, so it could carry kernel memory to
//     the program. Padding is a field named Pad, Pad1 and so on, and is zero
//     unless somebody sets it.
//
// Types of golang.org/x/sys/unix that meet both rules are used as they are:
// Timespec, Timeval, Rusage, Statfs_t, Termios and others. unix.Stat_t,
// Statx_t, Flock_t, Sysinfo_t, Siginfo and SignalfdSiginfo have blank fields,
// and unix.Iovec and Msghdr have pointers; this package has types for these.
//
// layout_test.go holds every structure to these rules, and compares its size
// and the offset and size of each field with what the C compiler says about
// Linux's headers. A structure without a row in its table fails the test.
//
// # Names
//
// A structure has the name of Linux's structure in Go's spelling: struct
// robust_list_head is RobustListHead. That is the layout of the 64-bit ABI. Package
// compat has the structures of the 32-bit ABI by the same names: struct
// compat_robust_list_head is compat.RobustListHead.
//
// The package imports nothing of Slowpath, so that every layer may use it.
package abi
