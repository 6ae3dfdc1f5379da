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
// ARCHITECTURE.md says how to add a subsystem; subsystem_test.go is an example.
//
// # Locks, from the outermost in
//
//  1. Kernel.mu guards the family: the table of ids, parents and children,
//     groups and sessions, and which processes are zombies.
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
	"time"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/mm"
	"slowpath/sched"
	"slowpath/sysctl"
	"slowpath/vdso"
	"slowpath/wait"
)

// Config configures a Kernel. Every field but Run may be left out, as tests
// do.
type Config struct {
	// Run is the user loop: it runs a task in user mode until the task exits.
	// The goroutine of each task calls it once.
	Run func(t *Task)
	// Kick makes the CPU that runs t in user mode enter the kernel, so that it
	// reads the thread flags word. It does not sleep, and does nothing if t is
	// not in user mode.
	Kick func(t *Task)
	// Log writes one line of the kernel's log.
	Log func(format string, arguments ...any)
	// InitEnded is called with the status of process 1 after its exit, on a
	// goroutine of its own.
	InitEnded func(Status)
	// Memory allocates the physical memory of programs.
	Memory *mm.Memory
	// VDSO is the vDSO of programs; nil for none.
	VDSO *vdso.VDSO
	// Vsyscall is what the maps of 64-bit programs show of the vsyscall page.
	Vsyscall mm.Prot
	// HWCap and HWCap2 are AT_HWCAP and AT_HWCAP2 (getauxval(3)).
	HWCap, HWCap2 uint64
	// CPUs is the number of CPUs. 0 stands for 1.
	CPUs int
	// Scheduler runs the tasks. If it is nil, each task has a goroutine in place of a CPU.
	Scheduler *sched.Scheduler
	// Pin makes the runtime's thread of the caller run on a set of CPUs, one bit each
	// (package goos). It is not called on the host.
	Pin func(cpus uint64)
	// EnterNoHZ is amd64.EnterUser for a CPU of nohz_full= (package goos). nil stands for a
	// machine without such CPUs.
	EnterNoHZ func(f *amd64.Frame) (event int)
	// Isolated is the set of CPUs that the first programs, and so their children, are not
	// placed on, one bit each (isolcpus=). Not all CPUs may be isolated.
	Isolated uint64
	// Meter measures the CPU time of the tasks; nil measures none.
	Meter Meter
	// SetSampling makes the timer interrupt programs at least so often, in nanoseconds, until
	// it is called with 0. nil does nothing.
	SetSampling func(interval int64)
	// CurrentOwner returns the task of the calling goroutine, or nil: what
	// CPUTime.SetOwner was called with. nil stands for a function that knows none.
	CurrentOwner func() any
	// NoRandomize switches address space layout randomization off: the initial
	// value of randomize_va_space is 0.
	NoRandomize bool
	// Settings are those of /proc/sys. nil stands for those of Memory, or for
	// sysctl.Defaults.
	Settings *sysctl.Settings
	// Wall is the time of day.
	Wall *clock.Wall
	// OutOfMemory ends the machine with a message: memory is needed, and no process
	// may be killed for it. nil stands for a panic.
	OutOfMemory func(message string)
	// Random fills p with bytes that cannot be predicted (AT_RANDOM,
	// getrandom(2), addresses).
	Random func(p []byte)
}

// Meter measures the CPU time of the goroutines of tasks. They call it themselves.
type Meter interface {
	// Begin makes a the account of the calling goroutine. flags is the thread flags
	// word of its task.
	Begin(a *amd64.CPUTime, flags *atomic.Uint32)
	// End ends that.
	End(a *amd64.CPUTime)
}

// Kernel owns every process. It is safe for concurrent use.
type Kernel struct {
	// Tracepoints are where others watch what tasks do.
	Tracepoints Tracepoints

	config     Config
	subsystems subsystems

	mu      sync.RWMutex
	pids    pidTable
	init    *ThreadGroup  // process 1, which adopts orphans
	threads int           // tasks that are not released yet, zombies included
	levels  atomic.Uint32 // level duties of every task: see RaiseForAll
	forks   atomic.Uint64

	orders  orders // of kcmp(2)
	users   userTable
	names   hostNames
	futexes futexTable
	load    loadAverage
	wallSet wait.Queue // woken when the time of day was set
	second  secondAlarm
	oom     oomState
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
	if c.OutOfMemory == nil {
		c.OutOfMemory = func(message string) { panic(message) }
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
		c.Scheduler = sched.New(sched.MaxCPUs, nil)
	}
	c.completeSettings()
	c.Settings.OnScheduling = c.setSchedulingLimits
	k := &Kernel{config: c, pids: newPIDTable()}
	k.subsystems.add(builtinSubsystems()...)
	k.futexes.seed = rand.Uint64()
	k.names.set(DefaultHostName, DefaultDomainName)
	k.load.due.Store(clock.Monotonic() + loadPeriod)
	return k
}

// completeSettings sets Settings, and the settings that depend on other fields.
func (c *Config) completeSettings() {
	if c.Settings == nil && c.Memory != nil {
		c.Settings = c.Memory.Settings()
	}
	if c.Settings == nil {
		c.Settings = sysctl.Defaults()
	}
	c.Settings.ThreadsMax.Set(int64(threadsFor(c.Memory)))
	if c.NoRandomize {
		c.Settings.RandomizeVASpace.Set(0)
	}
}

// setSchedulingLimits makes the scheduler obey the settings of the real-time policies. Error:
// EBUSY.
func (c *Config) setSchedulingLimits(sliceMS, periodUS, runtimeUS int64) error {
	l := sched.Limits{
		Period: periodUS * clock.Microsecond, Runtime: runtimeUS * clock.Microsecond, RoundRobin: sliceMS * clock.Millisecond,
	}
	if c.Scheduler.SetLimits(l) != nil {
		return unix.EBUSY
	}
	return nil
}

// Settings returns the settings of /proc/sys.
func (k *Kernel) Settings() *sysctl.Settings { return k.config.Settings }

// afterFunc calls f after the delay: see wait.Timers.AfterFunc.
func (k *Kernel) afterFunc(delay time.Duration, f func()) *wait.Alarm {
	return k.config.Scheduler.Load.Timers.AfterFunc(delay, f)
}

// Scheduler returns the scheduler of Config.
func (k *Kernel) Scheduler() *sched.Scheduler { return k.config.Scheduler }

// Logf writes one line of the kernel's log.
func (k *Kernel) Logf(format string, arguments ...any) { k.config.Log(format, arguments...) }

// Random fills p with bytes that cannot be predicted.
func (k *Kernel) Random(p []byte) { k.config.Random(p) }

// Wall returns the time of day that clock_settime(2) sets.
func (k *Kernel) Wall() *clock.Wall { return k.config.Wall }

// CPUs returns the number of CPUs.
func (k *Kernel) CPUs() int { return k.config.CPUs }

// Memory returns the physical memory.
func (k *Kernel) Memory() *mm.Memory { return k.config.Memory }

// SetSampling makes the timer interrupt programs at least each interval nanoseconds, so
// that Tracepoints.Interrupted is called as often. 0 ends that. It does not sleep.
func (k *Kernel) SetSampling(interval int64) {
	if set := k.config.SetSampling; set != nil {
		set(interval)
	}
}

// Current returns the task on whose goroutine the caller runs, or nil if that is no
// task's. It does not sleep.
func (k *Kernel) Current() *Task {
	if k.config.CurrentOwner == nil {
		return nil
	}
	t, _ := k.config.CurrentOwner().(*Task)
	return t
}

func (k *Kernel) kick(t *Task) { k.config.Kick(t) }

// Threads returns the number of tasks, zombies included, as sysinfo(2) counts
// them.
func (k *Kernel) Threads() int {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.threads
}

// Forks returns the number of tasks made since boot (proc(5), processes in
// /proc/stat).
func (k *Kernel) Forks() uint64 { return k.forks.Load() }

// The names before sethostname(2) and setdomainname(2).
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

// HostName returns nodename and domainname of uname(2).
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
