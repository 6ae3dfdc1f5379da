// Command kernel is the kernel. It connects the layers and starts them in this
// order: memory, files, tasks, the link to the host, and the program.
package main

import (
	"errors"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"slowpath/arch/amd64"
	"slowpath/audit"
	"slowpath/boot"
	"slowpath/boot/commandline"
	"slowpath/clock"
	"slowpath/core"
	"slowpath/dev/rtc"
	"slowpath/entropy"
	"slowpath/entry"
	"slowpath/fs"
	"slowpath/fs/hostfile"
	"slowpath/goos"
	"slowpath/klog"
	"slowpath/mm"
	"slowpath/sched"
	"slowpath/syscall"
	"slowpath/sysctl"
	"slowpath/task"
	"slowpath/trace"
	"slowpath/trace/calls"
	"slowpath/uprobe"
	"slowpath/vdso"
	"slowpath/vsyscall"
)

func main() {
	options, optionErr := commandline.Parse(boot.CommandLine())
	k := &kernel{
		options:  options,
		log:      klog.New(logConsole(options), klog.Level(options.LogLevel)),
		wall:     new(clock.Wall),
		entropy:  entropy.New(amd64.Random),
		visits:   entry.NewRecorder(boot.CPUs(), visitsKept),
		settings: sysctl.Defaults(),
	}
	keepForEnd(k.visits)
	k.log.Infof("Slowpath on %s: %d CPUs, %d MiB of memory, kernel image %d KiB.",
		runtime.Version(), boot.CPUs(), boot.Memory()>>20, boot.ImageSize()>>10)
	k.log.Infof("Command line: %s", boot.CommandLine())
	if optionErr != nil {
		k.log.Errorf("%v", optionErr)
	}
	if err := k.run(); err != nil {
		k.log.Errorf("The kernel cannot continue: %v\n%s", err, k.lastVisits())
		k.end(goos.ExitFatal)
	}
}

// kernel has the instances of the kernel's parts.
type kernel struct {
	options  commandline.Options
	log      *klog.Log
	wall     *clock.Wall
	entropy  *entropy.Source
	visits   *entry.Recorder
	memory   *mm.Memory
	settings *sysctl.Settings
	mounts   *fs.Mounts
	root     fs.KernelCaller
	tasks    *task.Kernel
	probes   *uprobe.Probes
	calls    *calls.Calls
	audit    *audit.Audit
	traces   *trace.Registry
	spool    *hostfile.Spool // the programs' output to the host
	link     *link
	timeline *recording  // nil without slowpath.exits or a link
	shown    *callStream // nil without slowpath strace
}

// visitsKept is the number of visits that the recorder keeps for each CPU.
const visitsKept = 512

// run starts the parts and the program, and powers off at the program's end. It
// returns only if that fails.
func (k *kernel) run() error {
	k.setClock()
	amd64.SetNoHZ(k.noHZ())
	k.logIsolation()
	amd64.EnableExtendedState()

	var err error
	if k.memory, err = newMemory(k.settings); err != nil {
		return err
	}
	if vsyscall.Mode(k.options.Vsyscall) == vsyscall.Emulate {
		if err := k.memory.MapVsyscall(vsyscall.Page()); err != nil {
			return err
		}
	}
	if err := k.makeFiles(); err != nil {
		return err
	}
	scheduler := sched.New(boot.CPUs(), newProcessors())
	if err := k.startCPUTime(scheduler); err != nil {
		return err
	}
	k.probes, k.calls, k.audit = uprobe.New(k.memory), calls.New(), k.newAudit()
	owners := core.Owners{Probes: k.probes, Calls: k.calls, Audit: k.audit}
	if err := makeDuties(owners); err != nil {
		return err
	}
	shared, err := k.newVDSO()
	if err != nil {
		return err
	}
	if k.shown, err = k.readCallPlan(); err != nil {
		return err
	}
	calls, calls32 := k.shown.dispatch(syscall.Dispatch(entry.X86_64)), k.shown.dispatch32(syscall.Dispatch32())
	loop, err := core.NewLoopOf(calls, calls32, duties, k.visits, k.probes, vsyscall.Mode(k.options.Vsyscall))
	if err != nil {
		return err
	}
	hwcap, hwcap2 := amd64.HardwareCapabilities()
	k.tasks = task.New(task.Config{
		Run:          loop.Run,
		Kick:         func(t *task.Task) { amd64.Kick(t.Frame) },
		Log:          k.log.Infof,
		Memory:       k.memory,
		OutOfMemory:  k.endFatally,
		Settings:     k.settings,
		VDSO:         shared,
		Vsyscall:     vsyscall.Mode(k.options.Vsyscall).Protection(),
		HWCap:        hwcap,
		HWCap2:       hwcap2,
		Scheduler:    scheduler,
		Pin:          goos.Pin,
		Meter:        meter{},
		CurrentOwner: amd64.CurrentOwner,
		SetSampling:  func(interval int64) { amd64.SetSampleInterval(uint64(interval)) },
		CPUs:         boot.CPUs(),
		EnterNoHZ:    k.noHZEntrance(),
		Isolated:     k.isolated(),
		NoRandomize:  k.options.NoRandomize,
		Wall:         k.wall,
		Random:       k.random,
	})
	start, scale, _ := amd64.ClockParameters()
	if k.traces, err = core.NewTrace(k.tasks, k.calls, amd64.CPU, trace.TSC{Start: start, Scale: scale}); err != nil {
		return err
	}
	if err := core.AddEvents(k.tasks, k.traces, k.visits, amd64.CPU); err != nil {
		return err
	}
	core.RegisterSubsystems(k.tasks, k.mounts, owners, k.traces)
	afterCollections(k.memory.CheckWatch)
	go k.tasks.ReclaimMemory(limitHeap)
	go k.tasks.SampleLoad()
	if err := k.mountSystemFiles(); err != nil {
		return err
	}
	k.shown.register(k.tasks)
	k.spool = hostfile.NewSpool()
	k.link = newLink(k)
	if k.options.Exits && k.link != nil {
		k.timeline = newRecording(k)
	}
	return k.runProgram()
}

// newAudit returns the audit that the command line asks for.
func (k *kernel) newAudit() *audit.Audit {
	return audit.New(audit.Config{
		Boot: audit.Boot(k.options.Audit), Backlog: k.options.AuditBacklog, Panic: k.endFatally,
	})
}

// startCPUTime starts the measurement of CPU time, and makes the timers' interrupts obey
// the deadlines of the scheduler.
func (k *kernel) startCPUTime(s *sched.Scheduler) error {
	if !amd64.StartCPUTime(uint32(entry.NotifyResume)) {
		return errors.New("the Go runtime keeps no profiler label in its g; build the kernel with the Go version that go.mod names")
	}
	s.Load.Meter = meter{}
	for i := range s.CPUs() {
		amd64.SetDeadlines(i, s.Load.Timers.Earliest(i), s.SliceEnd(i))
	}
	s.Run()
	return nil
}

// newVDSO creates the vDSO, through which programs read the clock.
func (k *kernel) newVDSO() (*vdso.VDSO, error) {
	start, scale, wall := amd64.ClockParameters()
	k.wall.Boot = int64(wall)
	v, err := vdso.New(k.memory, vdso.Clock{Start: start, Scale: scale}, k.wall.Parameters(), callInstruction(amd64.Identify().Vendor))
	if err == nil {
		k.wall.Changed = v.Set
	}
	return v, err
}

// callInstruction returns the instruction by which 32-bit programs make system calls on a
// vendor's processors (Linux: X86_FEATURE_SYSCALL32, X86_FEATURE_SYSENTER32).
func callInstruction(vendor string) vdso.Instruction {
	switch vendor {
	case "AuthenticAMD", "HygonGenuine":
		return vdso.BySYSCALL
	case "GenuineIntel", "CentaurHauls", "  Shanghai  ":
		return vdso.BySYSENTER
	}
	return vdso.ByInt80
}

// random fills p with random bytes. It never fails.
func (k *kernel) random(p []byte) { k.entropy.Read(p) }

// setClock sets the wall clock from the real-time clock, or to 1970 if there is
// none.
func (k *kernel) setClock() {
	now, err := rtc.Read(ports{})
	if err != nil {
		k.log.Infof("%v", err)
		now = time.Unix(0, 0)
	}
	amd64.SetWallClock(uint64(now.UnixNano()))
}

// limitHeap lets the Go heap grow by at most room bytes from its present size. As
// less memory is free, the collector runs more often (Kernel.ReclaimMemory).
func limitHeap(room int64) {
	var used runtime.MemStats
	runtime.ReadMemStats(&used)
	debug.SetMemoryLimit(int64(used.Sys-used.HeapReleased) + room)
}

// afterCollections calls f after every collection of the heap.
func afterCollections(f func()) {
	type collected struct{ _ [16]byte }
	runtime.AddCleanup(new(collected), func(struct{}) {
		f()
		afterCollections(f)
	}, struct{}{})
}

// endFatally ends the machine: no process may be killed for memory, or audit has lost
// records and must not go on.
func (k *kernel) endFatally(message string) {
	k.log.Infof("%s", message)
	k.end(goos.ExitFatal)
}

// end powers off with an exit code for the host. After a fatal error it first obeys
// the panic= option.
func (k *kernel) end(code uint8) {
	if code == goos.ExitFatal && k.options.Panic == 0 {
		select {} // panic=0: stay on for a debugger
	}
	if code == goos.ExitFatal && k.options.Panic > 0 {
		time.Sleep(time.Duration(k.options.Panic) * time.Second)
	}
	goos.PowerOff(code)
}

// logConsole returns the writer for kernel messages.
func logConsole(o commandline.Options) io.Writer {
	if o.Console == "ttyS0" {
		return os.Stderr // goos writes it to COM1
	}
	return io.Discard
}
