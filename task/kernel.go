// Package task implements processes: threads and thread groups, process groups
// and sessions, clone, execve, exit and wait, signal delivery, futexes and
// timers.
//
// # The objects
//
//   - A Task is a thread: a goroutine, a register frame, and pointers to what
//     threads can share (memory, descriptors, directories, signal actions).
//   - A ThreadGroup is a process: its threads, its children, its signals.
//   - ProcessGroup and Session are the objects of job control.
//   - A Kernel owns all of them. There is no global state.
//   - A Subsystem is one part of a task, as a row of functions for fork, exec,
//     exit and levels (subsystem.go has the table and its order).
//
// # How to add a subsystem of a task
//
//  1. Make a folder, for example ptrace, with a type for its state of a task.
//     Other goroutines may read it, so use atomic fields or a lock.
//  2. Give it a function Register(k *task.Kernel): it calls
//     slot = task.NewSlot[state](k); slot.Of(t) is then the state of a task.
//  3. Register also calls k.Register(task.Subsystem{Name: "ptrace", Fork: ...,
//     Exec: ..., Exit: ..., Levels: ...}) with those functions that it needs.
//  4. After a change of what Levels returns, call t.UpdateLevels(), or
//     k.UpdateLevels() if it changed for all tasks.
//  5. Call ptrace.Register right after task.New in cmd/kernel/main.go, and add
//     the folder to the table in ARCHITECTURE.md. subsystem_test.go is an example.
//
// # Locks, from the outermost in
//
//  1. Kernel.mu guards the family: the table of ids, parents and children,
//     groups and sessions, who is a zombie.
//  2. Timers.mu guards the timers of one process. An expiry sends its signal
//     with the lock held.
//  3. ThreadGroup.mu guards the signals of one process: pending queues,
//     blocked sets, stops, and the list of threads. The list changes only with
//     Kernel.mu and ThreadGroup.mu held, so either is enough to read it.
//  4. Task.levelsMu guards the level duties of one task.
//  5. The locks inside signal.Actions, wait.Queue and wait.Sleeper.
//
// No goroutine holds the locks of two thread groups. No goroutine sleeps or
// copies user memory with one of these locks held.
package task

import (
	"log"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"slowpath/clock"
	"slowpath/mm"
	"slowpath/sched"
	"slowpath/wait"
)

// Config is what a Kernel stands on. All fields but Run may be left out: tests
// do.
type Config struct {
	// Run executes a task's user mode until it exits: the user loop. Every
	// task's goroutine calls it once.
	Run func(t *Task)
	// Kick makes the CPU that runs t in user mode look at its work word. It
	// does not sleep, and does nothing if t is not in user mode.
	Kick func(t *Task)
	// Log writes one line of the kernel's log.
	Log func(format string, arguments ...any)
	// InitEnded is told, on a goroutine of its own, how process 1 ended.
	InitEnded func(Status)
	// Memory is where new programs get their memory.
	Memory *mm.Memory
	// MapVDSO maps the vDSO and returns the address of its ELF header.
	MapVDSO func(*mm.AddressSpace) (uint64, error)
	// HWCap and HWCap2 are AT_HWCAP and AT_HWCAP2 (getauxval(3)).
	HWCap, HWCap2 uint64
	// CPUs is how many CPUs there are, 1 if it is 0.
	CPUs int
	// Scheduler knows how many tasks are awake.
	Scheduler *sched.Scheduler
	// NoRandomize gives every program the same layout in memory.
	NoRandomize bool
	// Wall is the time of day.
	Wall *clock.Wall
	// Random fills p with random bytes that nobody can guess (AT_RANDOM,
	// getrandom(2), addresses).
	Random func(p []byte)
}

// Kernel owns every process. It is safe for concurrent use.
type Kernel struct {
	config     Config
	threadsMax int
	subsystems subsystems

	mu      sync.RWMutex
	pids    pidTable
	init    *ThreadGroup  // process 1, which inherits orphans
	threads int           // tasks that are not released yet
	levels  atomic.Uint32 // level duties of every task: see RaiseForAll
	forks   atomic.Uint64

	users   userTable
	names   hostNames
	futexes futexTable
	load    loadAverage
	wallSet wait.Queue // woken when somebody has set the time of day
	oom     sync.Mutex // one OOMKill at a time
}

// New returns a kernel without processes.
func New(c Config) *Kernel {
	if c.Kick == nil {
		c.Kick = func(*Task) {}
	}
	if c.Log == nil {
		c.Log = log.Printf
	}
	if c.Wall == nil {
		c.Wall = new(clock.Wall)
	}
	if c.Random == nil {
		c.Random = func(p []byte) {
			for i := range p {
				p[i] = byte(rand.Uint32())
			}
		}
	}
	c.CPUs = max(c.CPUs, 1)
	if c.Scheduler == nil {
		c.Scheduler = &sched.Scheduler{CPUs: c.CPUs}
	}
	k := &Kernel{config: c, threadsMax: threadsFor(c.Memory), pids: newPIDTable()}
	k.subsystems.add(builtinSubsystems()...)
	k.futexes.seed = rand.Uint64()
	k.names.set(DefaultHostName, DefaultDomainName)
	k.load.due.Store(clock.Monotonic() + loadPeriod)
	return k
}

// Scheduler returns what knows how many tasks want a CPU.
func (k *Kernel) Scheduler() *sched.Scheduler { return k.config.Scheduler }

// Logf writes one line of the kernel's log.
func (k *Kernel) Logf(format string, arguments ...any) { k.config.Log(format, arguments...) }

// Random fills p with random bytes that nobody can guess.
func (k *Kernel) Random(p []byte) { k.config.Random(p) }

// Wall returns the time of day that clock_settime(2) sets.
func (k *Kernel) Wall() *clock.Wall { return k.config.Wall }

// CPUs returns the number of CPUs.
func (k *Kernel) CPUs() int { return k.config.CPUs }

// Memory returns the physical memory.
func (k *Kernel) Memory() *mm.Memory { return k.config.Memory }

func (k *Kernel) kick(t *Task) { k.config.Kick(t) }

// Threads returns the number of tasks, zombies included, as sysinfo(2) counts
// them.
func (k *Kernel) Threads() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.threads
}

// Forks returns how many tasks were made since boot (proc(5), stat:processes).
func (k *Kernel) Forks() uint64 { return k.forks.Load() }

// The names of a machine that nobody has named.
const (
	DefaultHostName   = "slowpath"
	DefaultDomainName = "(none)"
)

// hostNames are what sethostname(2) and setdomainname(2) set.
type hostNames struct {
	mu           sync.Mutex
	host, domain string
}

func (n *hostNames) set(host, domain string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.host, n.domain = host, domain
}

// HostName returns the names that uname(2) gives: nodename and domainname.
func (k *Kernel) HostName() (host, domain string) {
	k.names.mu.Lock()
	defer k.names.mu.Unlock()
	return k.names.host, k.names.domain
}

// SetHostName changes the node name. The caller checks privilege and length.
func (k *Kernel) SetHostName(host string) {
	_, domain := k.HostName()
	k.names.set(host, domain)
}

// SetDomainName changes the domain name. The caller checks privilege and
// length.
func (k *Kernel) SetDomainName(domain string) {
	host, _ := k.HostName()
	k.names.set(host, domain)
}
