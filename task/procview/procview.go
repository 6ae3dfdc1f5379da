// Package procview connects package task to /proc: it implements the interfaces of
// package fs/procfs with tasks. Neither of the two packages imports the other.
package procview

import (
	"slices"

	"golang.org/x/sys/unix"

	"slowpath/clock"
	"slowpath/cred"
	"slowpath/entry"
	"slowpath/fs"
	"slowpath/fs/procfs"
	"slowpath/mm"
	"slowpath/sysctl"
	"slowpath/task"
)

// Config holds the contents of /proc that do not come from package task.
type Config struct {
	// CPUs returns the processors with their current times.
	CPUs func() []procfs.CPU
	// Release and Version are the fields of uname(2).
	Release, Version string
	// CommandLine is the kernel's command line (/proc/cmdline).
	CommandLine string
	// Interrupts returns the rows of /proc/interrupts. It may be nil.
	Interrupts func() []procfs.Interrupt
	// CallName returns the name of the function that handles a system call, for
	// /proc/pid/wchan. It may be nil.
	CallName func(abi entry.ABI, number int) string
	// Seccomp returns the mode of a task and the number of its filters (seccomp(2)).
	// nil stands for none.
	Seccomp func(t *task.Task) (mode, filters int)
	// LoginUID returns the loginuid and the sessionid of a task, and SetLoginUID sets the
	// former (package audit). nil stands for unset ids.
	LoginUID    func(t *task.Task) (uid, session uint32)
	SetLoginUID func(t *task.Task, uid uint32) error
	// Sysctls are files of /proc/sys besides those of package task.
	Sysctls []sysctl.Row
}

// interrupts returns the rows of /proc/interrupts.
func (c *Config) interrupts() []procfs.Interrupt {
	if c.Interrupts == nil {
		return nil
	}
	return c.Interrupts()
}

// system implements procfs.System.
type system struct {
	kernel *task.Kernel
	config Config
}

// New returns the system that /proc shows. Any goroutine may call its methods.
func New(k *task.Kernel, c Config) procfs.System { return &system{kernel: k, config: c} }

// Processes implements procfs.System.
func (s *system) Processes() []int {
	var ids []int
	for _, g := range s.kernel.Groups() {
		ids = append(ids, g.PID())
	}
	slices.Sort(ids)
	return ids
}

// Task implements procfs.System.
func (s *system) Task(id int) procfs.Task {
	t := s.kernel.TaskByID(id)
	if t == nil {
		return nil
	}
	return view{t, &s.config}
}

// Info implements procfs.System.
func (s *system) Info() procfs.SystemInfo {
	k := s.kernel
	now := clock.Monotonic()
	running, blocked := k.Running()
	return procfs.SystemInfo{
		Memory: k.Memory().Stats(), CPUs: s.config.CPUs(),
		Version: s.config.Version, Release: s.config.Release, CommandLine: s.config.CommandLine,
		Uptime: now, BootTime: k.Wall().Now() - now, Forks: k.Forks(),
		Switches: k.Scheduler().Switches(), Interrupts: s.config.interrupts(),
		Threads: k.Threads(), Running: running, Blocked: blocked, Load: k.LoadAverage(),
		LastPID: k.LastPID(), CommitLimit: k.Memory().CommitLimit(),
	}
}

// Sysctls implements procfs.System.
func (s *system) Sysctls() []sysctl.Row { return append(s.kernel.Sysctls(), s.config.Sysctls...) }

// Random implements procfs.System.
func (s *system) Random(p []byte) { s.kernel.Random(p) }

// view implements procfs.Task.
type view struct {
	task   *task.Task
	config *Config
}

// CallState implements procfs.Task.
func (v view) CallState(reader int) procfs.CallState {
	c, ok := v.task.CallState(reader == v.task.TID())
	return procfs.CallState{Running: !ok, Number: c.Number, Arguments: c.Args, SP: c.SP, IP: c.IP}
}

// KernelStack implements procfs.Task.
func (v view) KernelStack() ([]byte, error) { return v.task.KernelStack() }

// SleepsIn implements procfs.Task. A task that sleeps outside of a system call handles
// an exception or waits for its tracer.
func (v view) SleepsIn() string {
	c, ok := v.task.CallState(false)
	switch {
	case !ok || v.config.CallName == nil:
		return ""
	case c.Number < 0:
		return "entry.(*Loop).slow"
	}
	return v.config.CallName(c.ABI, int(c.Number))
}

// ProcessID implements procfs.Task.
func (v view) ProcessID() int { return v.task.PID() }

// Dead implements procfs.Task.
func (v view) Dead() bool { return v.task.Dead() }

// MayBeInspected implements procfs.Task.
func (v view) MayBeInspected(process int, c *cred.Credentials) bool {
	return v.task.MayBeInspected(process, c, cred.WithFileIDs)
}

// OwnedByRoot implements procfs.Task.
func (v view) OwnedByRoot() bool { return v.task.OwnedByRoot() }

// Image implements procfs.Task.
func (v view) Image() (*mm.AddressSpace, procfs.ProgramInfo) {
	space, p := v.task.Image()
	return space, programInfo(p)
}

// File implements procfs.Task.
func (v view) File(fd int) (*fs.File, fs.ExecAction, error) { return v.task.File(fd) }

// NextDescriptor implements procfs.Task.
func (v view) NextDescriptor(fd int) int { return v.task.NextDescriptor(fd) }

// DescriptorTableSize implements procfs.Task.
func (v view) DescriptorTableSize() int { return v.task.DescriptorTableSize() }

// WorkingDirectory implements procfs.Task.
func (v view) WorkingDirectory() (fs.Path, bool) {
	d, ok := v.task.Directories()
	return d.Working, ok
}

// RootDirectory implements procfs.Task.
func (v view) RootDirectory() (fs.Path, bool) {
	d, ok := v.task.Directories()
	return d.Root, ok
}

// Umask implements procfs.Task.
func (v view) Umask() (uint32, bool) {
	d, ok := v.task.Directories()
	return d.Umask, ok
}

// RootContext implements procfs.Task.
func (v view) RootContext() *fs.Context { return v.task.RootContext() }

// Threads implements procfs.Task.
func (v view) Threads() []int {
	var ids []int
	for _, t := range v.task.Group().Threads() {
		ids = append(ids, t.TID())
	}
	slices.Sort(ids)
	return ids
}

// TimerSlack implements procfs.Task.
func (v view) TimerSlack() uint64 { return v.task.TimerSlack() }

// SetTimerSlack implements procfs.Task.
func (v view) SetTimerSlack(nanoseconds uint64) { v.task.SetTimerSlack(nanoseconds) }

// SetComm implements procfs.Task.
func (v view) SetComm(name string) { v.task.SetComm(name) }

// SetOOMScoreAdjust implements procfs.Task.
func (v view) SetOOMScoreAdjust(n int, c *cred.Credentials) error {
	return v.task.SetOOMAdjust(int32(n), task.Privilege(c.Has(cred.SysResource)))
}

// Credentials implements procfs.Task.
func (v view) Credentials() *cred.Credentials { return v.task.Credentials() }

// Executable implements procfs.Task.
func (v view) Executable() (fs.Path, bool) {
	if _, p := v.task.Image(); p != nil {
		return p.File, true
	}
	return fs.Path{}, false
}

// Info implements procfs.Task.
func (v view) Info() procfs.TaskInfo {
	t, g := v.task, v.task.Group()
	i := procfs.TaskInfo{
		PID: t.PID(), TID: t.TID(), ParentPID: t.ParentPID(), TracerPID: t.TracerTID(),
		ProcessGroup: g.ProcessGroupID(), Session: g.SessionID(),
		Comm: t.Comm(), State: t.StateLetter(), Credentials: t.Credentials(),
		Threads:    g.ThreadCount(),
		ExitSignal: t.ExitSignal(), StartTime: g.StartTime(),
		NoNewPrivileges: t.NoNewPrivileges(), OOMScore: g.OOMScore(), OOMScoreAdjust: int(g.OOMAdjust.Load()),
		Affinity: t.Affinity(), Personality: t.Personality(^uint32(0)),
	}
	a := t.Attributes()
	i.Nice, i.Policy, i.Priority = int(a.Nice), int(a.Policy), int(a.Priority)
	i.KernelPriority = t.Entity().KernelPriority()
	i.Runs, i.Waited = t.Entity().Statistics()
	i.Scheduling = procfs.Scheduling(t.Kernel().Scheduler().Details(t.Entity()))
	i.CPU = t.Entity().CPU()
	if v.config.Seccomp != nil {
		i.SeccompMode, i.SeccompFilters = v.config.Seccomp(t)
	}
	addTerminal(&i, g)
	addTimes(&i, t)
	addSignals(&i, t)
	_, program := t.Image()
	i.ProgramInfo = programInfo(program)
	for n, limit := range g.Limits.All() {
		i.Limits[n] = [2]uint64{limit.Soft, limit.Hard}
	}
	return i
}

// addTerminal fills in the controlling terminal and its foreground process group.
func addTerminal(i *procfs.TaskInfo, g *task.ThreadGroup) {
	terminal, foreground := g.ControllingTerminal()
	i.Foreground = foreground
	if terminal != nil {
		i.Terminal = terminal.DeviceNumber()
	}
}

// addTimes fills in the times and counters of the thread. A leader shows those of
// its process.
func addTimes(i *procfs.TaskInfo, t *task.Task) {
	used := t.Usage()
	i.RunTime, i.Voluntary, i.Involuntary = used.User+used.System, used.Voluntary, used.Involuntary
	if i.PID == i.TID {
		used = t.Group().Usage()
	}
	children := t.Group().ChildrenUsage()
	i.User, i.System, i.ChildUser, i.ChildSystem = used.User, used.System, children.User, children.System
	i.MinorFaults, i.MajorFaults = used.MinorFaults, used.MajorFaults
	i.ChildMinorFaults, i.ChildMajorFaults = children.MinorFaults, children.MajorFaults
	i.ReadCalls, i.WriteCalls, i.ReadBytes, i.WriteBytes = used.ReadCalls, used.WriteCalls, used.ReadBytes, used.WriteBytes
	i.BlocksIn, i.BlocksOut = used.BlocksIn, used.BlocksOut
}

// addSignals fills in the signal sets and the number of queued signals.
func addSignals(i *procfs.TaskInfo, t *task.Task) {
	all, own := t.Pending()
	ignored, caught := t.Group().Actions().Sets()
	i.Pending, i.SharedPending = uint64(own), uint64(all&^own)
	i.Blocked, i.Ignored, i.Caught = uint64(t.Blocked()), uint64(ignored), uint64(caught)
	i.QueuedSignals = uint64(t.User().Signals.Queued())
	i.QueuedLimit = t.Group().Limits.Soft(unix.RLIMIT_SIGPENDING)
}

// programInfo returns the addresses of the program. A task without memory has none.
func programInfo(p *task.Program) procfs.ProgramInfo {
	if p == nil {
		return procfs.ProgramInfo{}
	}
	return procfs.ProgramInfo{
		ArgStart: p.ArgStart, ArgEnd: p.ArgEnd, EnvStart: p.EnvStart, EnvEnd: p.EnvEnd,
		StartCode: p.StartCode, EndCode: p.EndCode, StartData: p.StartData, EndData: p.EndData, StartStack: p.StartStack, AuxiliaryVector: p.Auxv,
	}
}

// LoginUID implements procfs.Task.
func (v view) LoginUID() (uid, session uint32) {
	if v.config.LoginUID == nil {
		return ^uint32(0), ^uint32(0)
	}
	return v.config.LoginUID(v.task)
}

// SetLoginUID implements procfs.Task.
func (v view) SetLoginUID(uid uint32) error {
	if v.config.SetLoginUID == nil {
		return unix.EPERM
	}
	return v.config.SetLoginUID(v.task, uid)
}
