// Command kernel is the kernel. It connects the layers and starts them in this
// order: memory, files, tasks, the link to the host, and the program.
package main

import (
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"slowpath/arch/amd64"
	"slowpath/boot"
	"slowpath/boot/commandline"
	"slowpath/clock"
	"slowpath/dev/rtc"
	"slowpath/entropy"
	"slowpath/entry"
	"slowpath/fs"
	"slowpath/goos"
	"slowpath/klog"
	"slowpath/mm"
	"slowpath/sched"
	"slowpath/sysctl"
	"slowpath/task"
	"slowpath/vdso"
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
	link     *link
}

// visitsKept is the number of visits that the recorder keeps for each CPU.
const visitsKept = 512

// run starts the parts and the program, and powers off at the program's end. It
// returns only if that fails.
func (k *kernel) run() error {
	k.setClock()
	k.limitHeap()
	amd64.EnableExtendedState()

	var err error
	if k.memory, err = newMemory(k.settings); err != nil {
		return err
	}
	if err := k.makeFiles(); err != nil {
		return err
	}
	scheduler := &sched.Scheduler{CPUs: boot.CPUs(), Threads: threads{}}
	if err := makeDuties(scheduler); err != nil {
		return err
	}
	shared, err := k.newVDSO()
	if err != nil {
		return err
	}
	loop, err := newLoop(k.visits)
	if err != nil {
		return err
	}
	hwcap, hwcap2 := amd64.HardwareCapabilities()
	k.tasks = task.New(task.Config{
		Run:         loop.Run,
		Kick:        func(t *task.Task) { amd64.Kick(t.Frame) },
		Log:         k.log.Infof,
		Memory:      k.memory,
		Settings:    k.settings,
		MapVDSO:     shared.Map,
		HWCap:       hwcap,
		HWCap2:      hwcap2,
		Scheduler:   scheduler,
		CPUs:        boot.CPUs(),
		NoRandomize: k.options.NoRandomize,
		Wall:        k.wall,
		Random:      k.random,
	})
	if err := k.mountSystemFiles(); err != nil {
		return err
	}
	k.link = newLink(k)
	return k.runProgram()
}

// newVDSO creates the vDSO, through which programs read the clock.
func (k *kernel) newVDSO() (*vdso.VDSO, error) {
	start, scale, wall := amd64.ClockParameters()
	v, err := vdso.New(k.memory, vdso.Clock{Start: start, Scale: scale, Wall: wall})
	if err == nil {
		k.wall.Changed = func(offset int64) { v.SetWall(wall + uint64(offset)) }
	}
	return v, err
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

// limitHeap sets the goal for the Go heap's size to a fraction of the memory, so that
// the garbage collector leaves memory to user programs.
func (k *kernel) limitHeap() {
	const share, least = 4, 16 << 20
	debug.SetMemoryLimit(max(int64(boot.Memory())/share, least))
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
