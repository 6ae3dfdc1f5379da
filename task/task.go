package task

import (
	"sync"
	"sync/atomic"

	"slowpath/abi"
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
// The exported fields belong to the task's own goroutine, unless their comment
// says otherwise: no other goroutine reads or writes them. Other goroutines use
// the methods that any goroutine may call.
type Task struct {
	// Thread holds the registers of user mode, the thread flags word, and what
	// the user loop keeps of the task. Any goroutine may read the frame's
	// pointer and use the flags.
	entry.Thread
	// Sleeper is where the goroutine sleeps. Any goroutine may wake it.
	Sleeper wait.Sleeper
	// MM is the address space. It is nil for the kernel's own task, and after
	// exit has released it.
	MM *mm.AddressSpace
	// FDs is the descriptor table; nil after exit.
	FDs *fs.FDTable
	// FS holds root, working directory and umask; nil after exit.
	FS *fs.Context
	// AltStack is the alternate signal stack.
	AltStack signal.AltStack
	// Restart is the restart block of restart_syscall(2).
	Restart RestartBlock
	// Scheduling holds the scheduling attributes. Any goroutine may use it.
	Scheduling Scheduling
	// Layout is that of the structures of the call that the task executes. Only the task's
	// own goroutine uses it.
	Layout abi.Layout
	// Transfer is a buffer that package syscall reuses between transfers.
	Transfer any
	// RemoteTransfer is a buffer that package syscall reuses between transfers to and
	// from other processes.
	RemoteTransfer any
	// Uprobe is the state of package uprobe: a pointer, or nil if the task has not hit a
	// probe. It is a field and no Slot, because each hit of a probe needs it first.
	Uprobe  any
	favored any // see Slot.Favor
	// names is told of the names that the task uses: see SetNameWatcher.
	names fs.NameWatcher
	// Accounting counts CPU time, faults and switches. Any goroutine may read
	// it.
	Accounting Accounting

	tracing

	kernel      *Kernel
	group       *ThreadGroup
	id          *pid
	credentials atomic.Pointer[cred.Credentials]
	user        atomic.Pointer[User] // of the real user id of credentials
	mode        atomic.Uint32        // SleepMode
	killed      atomic.Bool          // must exit: see Killed
	exitState   atomic.Uint32        // exitState

	workMu sync.Mutex
	work   []func(*Task) // task work: see AddWork

	levelsMu sync.Mutex // see UpdateLevels
	slots    []any      // see Slot

	// resources guards MM, FDs and FS for readers on other goroutines.
	resources sync.Mutex
	comm      atomic.Pointer[string]

	// Only the task's own goroutine uses these, and its parent's before it starts.
	exitStatus    Status
	reserved      int64      // bytes of Memory.Reserve until the goroutine has its stack
	last          bool       // the process ends with this thread: see LastThread
	clearChildTID uint64     // set_tid_address(2)
	vfork         *vforkWait // the parent waits for this task's memory; constant
	rseq          RSeq
	suspendMask   signal.Set // the mask to restore after rt_sigsuspend(2)
	suspended     bool
	// registersPoked32: see PokeCall32.
	registersPoked32 bool
	// handlerWatched: see WatchHandler.
	handlerWatched bool
	hasRun         bool        // it has entered user mode: see TakeCPU
	noHZ           atomic.Bool // it was last on a CPU without a tick: see enterNoHZ
	lastFault      signal.Fault
	faults         uint64                     // see Faults
	machineChecks  []amd64.MachineCheckRecord // to serve before user mode
	scratch        signal.Scratch
	lastWaited     *Task    // see waitedTracee
	delivering     delivery // of DeliverSignals

	// Written by the task, read by any goroutine.
	tid          atomic.Int32
	robustList   atomic.Uint64 // get_robust_list(2)
	robustList32 atomic.Uint64 // the same, of 32-bit code
	futex        futexWaiter   // of FutexWait, so that it allocates nothing
	pi           piState       // locks with priority inheritance (futexpi.go)
	parentDeath  atomic.Int32  // PR_SET_PDEATHSIG
	personality  atomic.Uint32
	timerSlack   atomic.Uint64
	defaultSlack atomic.Uint64
	noNewPrivs   atomic.Bool
	program      atomic.Pointer[programCell]
	localTable   atomic.Pointer[localTable]
	ports        Ports // see SetPorts

	// The group's lock guards these.
	pending   signal.Pending
	blocked   signal.Set
	waited    signal.Set // the real mask during rt_sigtimedwait(2)
	ended     bool       // exiting: signals go to other threads
	stopping  bool       // must join the group stop
	awaited   bool       // stopping, and the group stop counts it
	stopped   bool       // has joined it
	stopTaken bool       // a stop signal was dequeued, and no SIGCONT came since
	counted   bool       // Accounting is included in the group's endedTimes

	// The kernel's lock guards these.
	exitSignal signal.Signal // sent to the parent at exit; 0 for none
	parentTask *Task         // the thread of the parent that made the process
}

// exitState is the progress of an exit.
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

// Credentials implements fs.Caller. The value is constant: a change publishes a
// new one. Any goroutine may call it.
func (t *Task) Credentials() *cred.Credentials { return t.credentials.Load() }

// FSContext implements fs.Caller.
func (t *Task) FSContext() *fs.Context { return t.FS }

// NameWatcher implements fs.Caller.
func (t *Task) NameWatcher() fs.NameWatcher { return t.names }

// SetNameWatcher sets who is told of the names that the task uses. It is called before the
// task runs.
func (t *Task) SetNameWatcher(w fs.NameWatcher) { t.names = w }

// ProcessID implements fs.Caller.
func (t *Task) ProcessID() int32 { return int32(t.PID()) }

// ThreadID implements fs.Caller.
func (t *Task) ThreadID() int32 { return int32(t.TID()) }

// Comm returns the name of the thread, at most 15 bytes (PR_GET_NAME). Any
// goroutine may call it. It takes no lock: functions of tracepoints call it with any lock
// held.
func (t *Task) Comm() string {
	if name := t.comm.Load(); name != nil {
		return *name
	}
	return ""
}

// MaxComm is the greatest length of a thread's name in bytes (TASK_COMM_LEN
// without the NUL).
const MaxComm = 15

// SetComm sets the name of the thread, cut to MaxComm bytes. Any goroutine may
// call it.
func (t *Task) SetComm(name string) {
	name = name[:min(len(name), MaxComm)]
	if p := &t.kernel.Tracepoints.Renamed; p.Active() && t.TID() != 0 { // Kernel.Spawn names a task before it has an id
		p.Call(Renamed{Task: t, Name: name})
	}
	t.comm.Store(&name)
}

// String returns name and id of the task for the kernel's log.
func (t *Task) String() string { return t.Comm() + "[" + itoa(t.TID()) + "]" }
