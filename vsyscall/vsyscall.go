// Package vsyscall emulates the vsyscall page, through which old 64-bit programs read the
// clock: three functions at fixed addresses of the kernel's half of the address space (Linux:
// arch/x86/entry/vsyscall/vsyscall_64.c). The page is not executable. A call of a function is a
// page fault of the instruction fetch, and the kernel executes the system call and the return.
package vsyscall

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/mm"
	"slowpath/signal"
	"slowpath/task"
)

// Mode is the value of vsyscall= on the kernel's command line.
type Mode uint8

// The modes.
const (
	// ExecuteOnly lets programs call the functions, but not read the page. It is the default.
	ExecuteOnly Mode = iota
	// Emulate lets programs read the page too.
	Emulate
	// None makes each access of the page a page fault.
	None
)

// Protection returns what /proc/pid/maps shows of the page: ProtNone if there is no page. Any
// context.
func (m Mode) Protection() mm.Prot {
	return [...]mm.Prot{ExecuteOnly: mm.ProtExec, Emulate: mm.ProtRead | mm.ProtExec, None: mm.ProtNone}[m]
}

// functionSize is the distance of the functions in bytes.
const functionSize = 1024

// function is a function of the page: the call that it stands for, and the sizes of what its
// arguments point to.
type function struct {
	number uint32
	sizes  [2]uint64
}

var functions = [...]function{
	{unix.SYS_GETTIMEOFDAY, [2]uint64{abi.TimevalSize, abi.TimezoneSize}},
	{unix.SYS_TIME, [2]uint64{8, 0}},
	{unix.SYS_GETCPU, [2]uint64{4, 4}},
}

// Page returns the contents of the page in the mode Emulate: the system calls, which nobody
// executes. Any context.
func Page() []byte {
	page := make([]byte, mm.PageSize)
	for i := range page {
		page[i] = 0xcc // INT3
	}
	for i, f := range functions {
		code := []byte{0x48, 0xc7, 0xc0, byte(f.number), byte(f.number >> 8), 0, 0, 0x0f, 0x05, 0xc3} // MOV RAX, number; SYSCALL; RET
		copy(page[i*functionSize:], code)
	}
	return page
}

// Config has the parts of the handler.
type Config struct {
	Mode Mode
	// Calls are the 64-bit system calls.
	Calls *entry.Dispatch[*task.Task]
	// Filter is the entry of seccomp.
	Filter func(t *task.Task, c *entry.Call) entry.Verdict
}

// Handler returns the owner of the page faults of calls of the functions.
func Handler(c Config) entry.ExceptionHandler[*task.Task] {
	return entry.ExceptionHandler[*task.Task]{Owner: entry.ByVsyscall, Vectors: []int{amd64.PageFault}, Handle: c.handle}
}

// handle executes the function at RIP. It reports false for a fault that has nothing to do with
// the page, or that is a mere bad access.
func (c *Config) handle(t *task.Task, f *amd64.Frame, _ int) bool {
	const fetch = amd64.FaultUser | amd64.FaultFetch
	if f.CR2&^(mm.PageSize-1) != mm.VsyscallPage || f.Error&(fetch|amd64.FaultWrite) != fetch || c.Mode == None {
		return false
	}
	if f.CR2 != f.RIP || f.RIP%functionSize != 0 || f.RIP/functionSize%4 >= uint64(len(functions)) {
		t.ForceSignal(signal.KernelInfo(unix.SIGSEGV)) // not the start of a function
		return true
	}
	c.execute(t, f, &functions[f.RIP/functionSize%4])
	return true
}

// execute executes a function and returns from it. A bad stack and a bad pointer are SIGSEGV,
// as if the function had accessed them.
func (c *Config) execute(t *task.Task, f *amd64.Frame, function *function) {
	caller, err := abi.CopyIn[uint64](t, f.RSP)
	if err != nil {
		t.ForceSignal(signal.KernelInfo(unix.SIGSEGV))
		return
	}
	for i, pointer := range [...]uint64{f.RDI, f.RSI} {
		if size := function.sizes[i]; pointer > amd64.UserLimit-size {
			t.EmulatedFault(pointer, mm.AccessWrite)
			return
		}
	}
	result, executed := c.call(t, f, function)
	switch {
	case !executed:
		return
	case result == entry.Failure(unix.EFAULT):
		t.ForceSignal(signal.KernelInfo(unix.SIGSEGV))
		return
	}
	f.RAX, f.RIP, f.RSP = result, caller, f.RSP+8
}

// call makes the system call. executed is false if seccomp has ended the task, or has changed
// the call, which is not allowed here.
func (c *Config) call(t *task.Task, f *amd64.Frame, function *function) (result uint64, executed bool) {
	verdict := entry.Proceed
	if entry.Pending(&f.ThreadFlags)&entry.Seccomp != 0 {
		at := f.RIP
		f.OrigRAX, f.RAX = uint64(function.number), entry.NoCall
		verdict = c.Filter(t, t.LoadCall())
		changed := f.RIP != at || verdict == entry.Proceed && f.OrigRAX != uint64(function.number)
		f.OrigRAX = amd64.NotInSyscall
		switch {
		case t.Exiting():
			return 0, false
		case changed:
			t.ForceFatal(unix.SIGSYS)
			return 0, false
		case verdict != entry.Proceed:
			return f.RAX, true
		}
	}
	arguments := amd64.Args{f.RDI, f.RSI} // getcpu's third argument is not passed on
	value, err := c.Calls[function.number](t, &arguments)
	if err != nil {
		value = entry.Failure(err)
	}
	return value, true
}
