// Package procfs implements /proc (proc(5)): a directory for each process, and
// files about the whole system. The contents of a file are generated when it is
// read. The interfaces System and Task provide the data; the package imports
// neither the task nor the CPU code.
//
// The package also implements the few files of /sys that C libraries and
// language runtimes read.
package procfs

import (
	"strconv"
	"sync"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/mm"
	"slowpath/sysctl"
)

// System provides the data about the whole machine.
type System interface {
	// Processes returns the ids of all processes, in ascending order.
	Processes() []int
	// Task returns the thread with this id, or nil. The id of a process is the
	// id of its main thread.
	Task(id int) Task
	// Info returns a snapshot of the data about the system.
	Info() SystemInfo
	// Sysctls returns the files of /proc/sys, except those that the package has
	// itself.
	Sysctls() []sysctl.Row
	// Random fills p with random bytes.
	Random(p []byte)
}

// SystemInfo is a snapshot of the system. Times are nanoseconds.
type SystemInfo struct {
	Memory           mm.Stats
	CPUs             []CPU
	Version          string // the version of uname(2)
	Release          string
	Uptime           int64
	BootTime         int64 // since 1970-01-01 00:00:00 UTC
	Forks            uint64
	Switches         int64 // context switches
	Interrupts       []Interrupt
	Threads, Running int
	Blocked          int // tasks in uninterruptible sleep
	LastPID          int
	CommitLimit      int64 // pages
	Load             [3]float64
	CommandLine      string
}

// CPU describes a processor for /proc/cpuinfo and /proc/stat.
type CPU struct {
	Vendor, Model            string
	Family, Number, Stepping int
	MHz                      float64
	Flags                    string
	User, Nice, System, Idle int64 // nanoseconds
	IRQ                      int64
	RunTime, Delay, Runs     int64 // of tasks: run time and waits in nanoseconds, how often one was run
}

// Interrupt is a row of /proc/interrupts.
type Interrupt struct {
	Name   string   // "4" for a device, "LOC"
	Counts []uint64 // of each CPU
	Text   string   // the rest of the row
}

// isDevice reports whether the row is a device's: its name is a number.
func (i *Interrupt) isDevice() bool {
	_, err := strconv.Atoi(i.Name)
	return err == nil
}

// sum returns the number of interrupts on all CPUs.
func (i *Interrupt) sum() (sum uint64) {
	for _, n := range i.Counts {
		sum += n
	}
	return sum
}

// Scheduling is what the scheduler knows of a thread: see sched.Details.
type Scheduling struct {
	ExecStart, VRuntime, Migrations, Weight int64
}

// Task provides the data about a thread, which may exit at any time. Its methods then
// return the data that remains. They do not sleep.
type Task interface {
	// ProcessID returns the id of the process that the thread belongs to.
	ProcessID() int
	// Dead reports whether the thread was released: its files fail with ESRCH.
	Dead() bool
	// Info returns a snapshot of the thread.
	Info() TaskInfo
	// Credentials returns the Credentials of Info. It costs less than Info,
	// because many programs read /proc/self/exe when they start.
	Credentials() *cred.Credentials
	// MayBeInspected reports whether a task of the given process and with the
	// given credentials may inspect the thread (ptrace(2),
	// PTRACE_MODE_READ_FSCREDS).
	MayBeInspected(process int, c *cred.Credentials) bool
	// OwnedByRoot reports whether the thread's files belong to root, because its
	// memory is not dumpable.
	OwnedByRoot() bool
	// Executable returns the program's file. It reports false if there is none,
	// like the other functions.
	Executable() (fs.Path, bool)
	// WorkingDirectory and RootDirectory return the thread's directories.
	WorkingDirectory() (fs.Path, bool)
	RootDirectory() (fs.Path, bool)
	// Umask returns the umask.
	Umask() (uint32, bool)
	// RootContext returns a context with the thread's root, which the caller
	// releases, or nil.
	RootContext() *fs.Context
	// Image returns the address space, without a reference, and the program in
	// it. The address space is nil after exit.
	Image() (*mm.AddressSpace, ProgramInfo)
	// File returns the file of a descriptor, with a reference: EBADF.
	File(fd int) (*fs.File, fs.ExecAction, error)
	// NextDescriptor returns the lowest open descriptor that is at least fd, or -1.
	NextDescriptor(fd int) int
	// DescriptorTableSize returns the size of the descriptor table, 0 after exit.
	DescriptorTableSize() int
	// CallState returns what the thread does in the kernel, for a reader with the given
	// thread id.
	CallState(reader int) CallState
	// SleepsIn returns the name of the function of the kernel in which the thread
	// sleeps, or "" if it runs.
	SleepsIn() string
	// KernelStack returns the contents of /proc/pid/stack: ENOMEM.
	KernelStack() ([]byte, error)
	// Threads returns the ids of the process's threads.
	Threads() []int
	// LoginUID returns the contents of loginuid and sessionid.
	LoginUID() (uid, session uint32)
	// SetLoginUID handles a write to loginuid by the thread itself: EPERM.
	SetLoginUID(uid uint32) error
	// TimerSlack returns the contents of timerslack_ns, and SetTimerSlack handles a write to
	// it: 0 restores the default.
	TimerSlack() uint64
	SetTimerSlack(nanoseconds uint64)
	// SetComm handles a write to comm.
	SetComm(name string)
	// SetOOMScoreAdjust handles a write to oom_score_adj by a task with the
	// credentials c. value is in [-1000, 1000]. Error: EACCES.
	SetOOMScoreAdjust(value int, c *cred.Credentials) error
}

// ProgramInfo describes the program of a thread. The numbers are user addresses.
type ProgramInfo struct {
	ArgStart, ArgEnd   uint64
	EnvStart, EnvEnd   uint64
	StartCode, EndCode uint64
	StartData, EndData uint64
	StartStack         uint64
	AuxiliaryVector    []byte
}

// TaskInfo is a snapshot of a thread. Times are nanoseconds.
type TaskInfo struct {
	PID, TID, ParentPID           int
	TracerPID                     int // thread id of the tracer, or 0
	ProcessGroup, Session         int
	Terminal                      uint64 // device number, or 0
	Foreground                    int
	Comm                          string
	State                         byte // R, S, D, T, t, Z, X
	Credentials                   *cred.Credentials
	MinorFaults, ChildMinorFaults int64
	MajorFaults, ChildMajorFaults int64
	User, System                  int64
	ChildUser, ChildSystem        int64
	Nice, Threads, CPU            int
	Policy, Priority              int   // of sched_setscheduler(2)
	KernelPriority                int   // with which it runs, 0 to 139 (task_struct.prio)
	Runs, Waited                  int64 // how often it got a CPU, and how long it waited for one
	ExitSignal, ExitCode          int
	StartTime                     int64 // since boot
	Voluntary, Involuntary        int64 // context switches of the thread
	RunTime                       int64 // of the thread
	Scheduling                    Scheduling
	ReadCalls, WriteCalls         int64
	ReadBytes, WriteBytes         int64
	BlocksIn, BlocksOut           int64 // of 512 bytes
	Pending, SharedPending        uint64
	Blocked, Ignored, Caught      uint64
	QueuedSignals, QueuedLimit    uint64
	NoNewPrivileges               bool
	SeccompMode, SeccompFilters   int
	OOMScore, OOMScoreAdjust      int
	Personality                   uint32 // see personality(2)
	Affinity                      uint64
	Limits                        [16][2]uint64
	ProgramInfo
}

// Filesystem is an instance of procfs.
type Filesystem struct {
	numbers fs.Numbers
	system  System
	extra   Extra
	root    fs.Inode

	bootOnce sync.Once
	boot     [16]byte // boot_id
}

// New returns a procfs that shows system, and the files that extra adds.
func New(system System, extra Extra) *Filesystem {
	f := &Filesystem{system: system, extra: extra}
	f.root = f.newRoot()
	return f
}

// Type implements fs.Filesystem.
func (f *Filesystem) Type() string { return "proc" }

// Root implements fs.Filesystem.
func (f *Filesystem) Root() fs.Inode { return f.root }

// Statistics implements fs.Filesystem. The magic is PROC_SUPER_MAGIC.
func (f *Filesystem) Statistics() fs.Statistics {
	return fs.Statistics{Magic: 0x9fa0, BlockSize: 4096, MaxName: fs.MaxNameLength}
}
