package task

import (
	"sync"
	"sync/atomic"

	"slowpath/arch/amd64"
	"slowpath/cred"
	"slowpath/entry"
	"slowpath/fs"
	"slowpath/mm"
	"slowpath/signal"
	"slowpath/wait"
)

// Task is a thread. Its goroutine runs the user loop; system call handlers run
// on that goroutine and get the task as an argument.
//
// The exported fields belong to the task's own goroutine: only it writes them,
// and only it may read them without further care. Others use the methods that
// say so.
type Task struct {
	// Frame has the registers of user mode, and the work word.
	Frame *amd64.Frame
	// Sleeper is where the goroutine sleeps. Anybody may wake it.
	Sleeper wait.Sleeper
	// MM is the address space; nil for a task of the kernel, and after exit
	// has given it up.
	MM *mm.AddressSpace
	// FDs is the descriptor table; nil after exit.
	FDs *fs.FDTable
	// FS has root, working directory and umask; nil after exit.
	FS *fs.Context
	// AltStack is the alternate signal stack.
	AltStack signal.AltStack
	// Restart is what restart_syscall(2) goes on with.
	Restart RestartBlock
	// Scheduling is what the scheduling calls have set.
	Scheduling Scheduling
	// Visit is what the task is doing in the kernel now.
	Visit entry.Visit
	// Transfer is what package syscall keeps of one transfer for the next.
	Transfer any
	// Accounting counts CPU time, faults and switches. Anybody may read it.
	Accounting Accounting

	kernel      *Kernel
	group       *ThreadGroup
	id          *pid
	credentials atomic.Pointer[cred.Credentials]
	mode        atomic.Uint32 // SleepMode
	killed      atomic.Bool   // SIGKILL is on its way: see Killed
	exitState   atomic.Uint32 // exitState

	workMu sync.Mutex
	work   []func(*Task) // to run before user mode: see AddWork

	levelsMu sync.Mutex // see UpdateLevels
	slots    []any      // see Slot

	// resources guards MM, FDs, FS and comm for readers on other goroutines.
	resources sync.Mutex
	comm      string

	// Only the task's own goroutine touches these.
	exiting       bool // leave the user loop
	exitStatus    Status
	last          bool       // the process ends with this thread: see LastThread
	clearChildTID uint64     // set_tid_address(2)
	vfork         *vforkWait // the parent waits for this task's memory; constant
	rseq          RSeq
	suspendMask   signal.Set // the mask to go back to: rt_sigsuspend(2)
	suspended     bool
	lastFault     signal.Fault
	machineChecks []amd64.MachineCheckRecord // to serve before user mode
	scratch       signal.Scratch

	// Written by the task, read by anybody.
	tid         atomic.Int32
	robustList  atomic.Uint64 // get_robust_list(2)
	parentDeath atomic.Int32  // PR_SET_PDEATHSIG
	personality atomic.Uint32
	timerSlack  atomic.Uint64
	dumpable    atomic.Bool // PR_SET_DUMPABLE
	noNewPrivs  atomic.Bool
	program     atomic.Pointer[Program]

	// The group's lock guards these.
	pending   signal.Pending
	blocked   signal.Set
	waited    signal.Set // what rt_sigtimedwait(2) waits for, though blocked
	ended     bool       // exit has begun: signals go to other threads
	stopping  bool       // must take part in a group stop
	stopped   bool       // takes part in one
	stopTaken bool       // has dequeued a stop signal, and no SIGCONT came since
	counted   bool       // Accounting is part of the group's endedTimes

	// The kernel's lock guards these.
	exitSignal signal.Signal // what the parent is sent; 0 for none
	parentTask *Task         // the thread that made the process
}

// exitState is how far a task has gone in exiting.
type exitState uint32

const (
	alive exitState = iota
	zombie
	dead
)

// Kernel returns the kernel that the task belongs to.
func (t *Task) Kernel() *Kernel { return t.kernel }

// Group returns the process that the task is a thread of.
func (t *Task) Group() *ThreadGroup { return t.group }

// TID returns the thread id (gettid(2)). It changes only when a thread that is
// not the leader calls execve(2).
func (t *Task) TID() int { return int(t.tid.Load()) }

// PID returns the process id (getpid(2)).
func (t *Task) PID() int { return t.group.id.number }

// ParentPID is getppid(2).
func (t *Task) ParentPID() int { return int(t.group.parentPID.Load()) }

// Credentials implements fs.Caller. The value is constant; changes publish
// another. Anybody may call it.
func (t *Task) Credentials() *cred.Credentials { return t.credentials.Load() }

// FSContext implements fs.Caller.
func (t *Task) FSContext() *fs.Context { return t.FS }

// ProcessID implements fs.Caller.
func (t *Task) ProcessID() int32 { return int32(t.PID()) }

// ThreadID implements fs.Caller.
func (t *Task) ThreadID() int32 { return int32(t.TID()) }

// Comm returns the name of the thread, at most 15 bytes (PR_GET_NAME). Anybody
// may call it.
func (t *Task) Comm() string {
	t.resources.Lock()
	defer t.resources.Unlock()
	return t.comm
}

// MaxComm is how many bytes of a name are kept (TASK_COMM_LEN without the NUL).
const MaxComm = 15

// SetComm names the thread.
func (t *Task) SetComm(name string) {
	t.resources.Lock()
	defer t.resources.Unlock()
	t.comm = name[:min(len(name), MaxComm)]
}

// Exiting reports whether the user loop must end. Only the loop asks.
func (t *Task) Exiting() bool { return t.exiting }

// String names the task for the kernel's log.
func (t *Task) String() string { return t.Comm() + "[" + itoa(t.TID()) + "]" }
