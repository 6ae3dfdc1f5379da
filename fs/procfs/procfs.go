// Package procfs is /proc (proc(5)): a directory for each process, and files
// about the whole system. Nothing is stored; every text is made when it is
// read. What it shows comes through the interfaces System and Task, so that it
// needs to know neither tasks nor the machine.
//
// The package also has the few files of /sys that C libraries and language
// runtimes read.
package procfs

import (
	"sync"

	"slowpath/cred"
	"slowpath/fs"
	"slowpath/mm"
)

// System is the machine as /proc shows it.
type System interface {
	// Processes returns the ids of all processes, in ascending order.
	Processes() []int
	// Task returns the thread with an id, or nil. A process is the thread with
	// the process's id.
	Task(id int) Task
	// Info returns the data that exists once in the system.
	Info() SystemInfo
	// SetHostName and SetPIDMax take what is written to /proc/sys/kernel,
	// SetOvercommit what is written to /proc/sys/vm/overcommit_memory. They fail
	// with EINVAL.
	SetHostName(name string)
	SetPIDMax(max int) error
	SetOvercommit(policy int) error
	// Random fills p with random bytes.
	Random(p []byte)
}

// SystemInfo is a snapshot of the system. Times are nanoseconds.
type SystemInfo struct {
	Memory               mm.Stats
	CPUs                 []CPU
	HostName, DomainName string
	Version              string // of the kernel, as uname(2) has it
	Release              string
	Uptime               int64
	BootTime             int64 // since 1970
	Forks                uint64
	Threads, Running     int
	Blocked              int // tasks that sleep without interruption
	LastPID, PIDMax      int
	ThreadsMax           int
	Randomize            int // of /proc/sys/kernel/randomize_va_space
	Overcommit           int
	CommitLimit          int64 // pages
	Load                 [3]float64
	CommandLine          string
}

// CPU describes a processor for /proc/cpuinfo and /proc/stat.
type CPU struct {
	Vendor, Model            string
	Family, Number, Stepping int
	MHz                      float64
	Flags                    string
	User, System, Idle       int64 // nanoseconds
}

// Task is a thread as /proc shows it. It may exit at any time; methods then
// return the data that remains.
type Task interface {
	Info() TaskInfo
	// Credentials returns the Credentials of Info, at less cost: many programs
	// read /proc/self/exe when they start.
	Credentials() *cred.Credentials
	// Executable is the program's file; it is not valid if there is none.
	Executable() fs.Path
	// Memory returns the address space with a reference that the caller drops,
	// or nil.
	Memory() *mm.AddressSpace
	// Files returns the descriptor table, or nil.
	Files() *fs.FDTable
	// FSContext has the root and the working directory; nil after exit.
	FSContext() *fs.Context
	// Threads returns the ids of the process's threads.
	Threads() []int
	// SetComm and SetOOMScoreAdjust set what a write to comm and to
	// oom_score_adj changes.
	SetComm(name string)
	SetOOMScoreAdjust(value int)
}

// TaskInfo is a snapshot of a thread. Times are nanoseconds.
type TaskInfo struct {
	PID, TID, ParentPID           int
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
	ExitSignal, ExitCode          int
	StartTime                     int64 // since boot
	Voluntary, Involuntary        int64
	Pending, SharedPending        uint64
	Blocked, Ignored, Caught      uint64
	QueuedSignals, QueuedLimit    uint64
	NoNewPrivileges               bool
	OOMScore, OOMScoreAdjust      int
	Affinity                      uint64
	Limits                        [16][2]uint64
	ArgStart, ArgEnd              uint64
	EnvStart, EnvEnd              uint64
	StartCode, EndCode            uint64
	StartStack                    uint64
	AuxiliaryVector               []byte
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

// New returns /proc over a system, with what the kernel shows besides.
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
