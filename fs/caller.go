package fs

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/cred"
)

// Caller is the task on whose behalf an operation runs.
type Caller interface {
	// Credentials decide what the caller may do.
	Credentials() *cred.Credentials
	// FSContext has the root, the working directory and the umask.
	FSContext() *Context
	// ProcessID and ThreadID are what getpid(2) and gettid(2) return.
	ProcessID() int32
	ThreadID() int32
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

// ProcessID implements Caller: 0, which is no process.
func (k KernelCaller) ProcessID() int32 { return 0 }

// ThreadID implements Caller: 0.
func (k KernelCaller) ThreadID() int32 { return 0 }

// CopyIn implements Caller: EFAULT, there is no user memory.
func (k KernelCaller) CopyIn(uint64, []byte) error { return unix.EFAULT }

// CopyOut implements Caller: EFAULT.
func (k KernelCaller) CopyOut(uint64, []byte) error { return unix.EFAULT }
