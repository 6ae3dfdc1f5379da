package fs

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/cred"
)

// Caller is the task on whose behalf an operation runs.
type Caller interface {
	// Credentials returns the caller's credentials for permission checks.
	Credentials() *cred.Credentials
	// FSContext returns the caller's root, working directory and umask.
	FSContext() *Context
	// ProcessID returns the result of getpid(2).
	ProcessID() int32
	// ThreadID returns the result of gettid(2).
	ThreadID() int32
	// NameWatcher returns who is told of the names that the caller uses, or nil.
	NameWatcher() NameWatcher
	// UserMemory is the caller's memory, for the arguments of ioctl(2).
	abi.UserMemory
}

// KernelCaller is the kernel itself as a caller: user 0 with every capability,
// without user memory. It unpacks the initramfs and opens the first files.
type KernelCaller struct{ Context *Context }

// Credentials implements Caller.
func (k KernelCaller) Credentials() *cred.Credentials { return cred.Root() }

// FSContext implements Caller.
func (k KernelCaller) FSContext() *Context { return k.Context }

// ProcessID implements Caller. It returns 0, which is not the id of a process.
func (k KernelCaller) ProcessID() int32 { return 0 }

// ThreadID implements Caller: 0.
func (k KernelCaller) ThreadID() int32 { return 0 }

// NameWatcher implements Caller: nil.
func (k KernelCaller) NameWatcher() NameWatcher { return nil }

// CopyIn implements Caller. It returns EFAULT, because there is no user memory.
func (k KernelCaller) CopyIn(uint64, []byte) error { return unix.EFAULT }

// CopyOut implements Caller: EFAULT.
func (k KernelCaller) CopyOut(uint64, []byte) error { return unix.EFAULT }
