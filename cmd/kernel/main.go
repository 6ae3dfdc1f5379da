// Command kernel is what runs on the bare machine. It wires the layers
// together, top to bottom of this page: memory, files, the link to the host,
// tasks, and then the program that the machine exists for.
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
	"slowpath/task"
	"slowpath/vdso"
)

func main() {
	options, optionErr := commandline.Parse(boot.CommandLine())
	k := &kernel{
		options: options,
		log:     klog.New(logConsole(options), klog.Level(options.LogLevel)),
		wall:    new(clock.Wall),
		entropy: entropy.New(amd64.Random),
		visits:  entry.NewRecorder(boot.CPUs(), visitsKept),
	}
	keepForEnd(k.visits)
	k.log.Infof("Slowpath on %s: %d CPUs, %d MiB of memory, kernel image %d KiB.",
		runtime.Version(), boot.CPUs(), boot.Memory()>>20, boot.ImageSize()>>10)
	k.log.Infof("Command line: %s", boot.CommandLine())
	if optionErr != nil {
		k.log.Errorf("%v", optionErr)
	}
	if err := k.run(); err != nil {
		k.log.Errorf("The kernel cannot go on: %v\n%s", err, k.lastVisits())
		k.end(goos.ExitFatal)
	}
}

// kernel is the machine's one instance of everything.
type kernel struct {
	options commandline.Options
	log     *klog.Log
	wall    *clock.Wall
	entropy *entropy.Source
	visits  *entry.Recorder
	memory  *mm.Memory
	mounts  *fs.Mounts
	root    fs.KernelCaller
	tasks   *task.Kernel
	link    *link
}

// visitsKept is how many visits to the kernel are kept for each CPU.
const visitsKept = 512

// run starts everything and returns only if that failed.
func (k *kernel) run() error {
	k.setClock()
	k.limitHeap()
	amd64.EnableExtendedState()

	var err error
	if k.memory, err = newMemory(); err != nil {
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

// newVDSO makes the object through which programs read the clock.
func (k *kernel) newVDSO() (*vdso.VDSO, error) {
	start, scale, wall := amd64.ClockParameters()
	v, err := vdso.New(k.memory, vdso.Clock{Start: start, Scale: scale, Wall: wall})
	if err == nil {
		k.wall.Changed = func(offset int64) { v.SetWall(wall + uint64(offset)) }
	}
	return v, err
}

// random fills p with random bytes; it never fails.
func (k *kernel) random(p []byte) { k.entropy.Read(p) }

// setClock takes the time of day from the board's clock.
func (k *kernel) setClock() {
	now, err := rtc.Read(ports{})
	if err != nil {
		k.log.Infof("%v", err)
		now = time.Unix(0, 0)
	}
	amd64.SetWallClock(uint64(now.UnixNano()))
}

// limitHeap keeps the Go heap within a part of the memory: the collector works
// harder before it takes what the users' programs need.
func (k *kernel) limitHeap() {
	const share, least = 4, 16 << 20
	debug.SetMemoryLimit(max(int64(boot.Memory())/share, least))
}

// end stops the machine with an exit code for the host.
func (k *kernel) end(code uint8) {
	if code == goos.ExitFatal && k.options.Panic == 0 {
		select {} // panic=0: stay, for a debugger
	}
	if code == goos.ExitFatal && k.options.Panic > 0 {
		time.Sleep(time.Duration(k.options.Panic) * time.Second)
	}
	goos.PowerOff(code)
}

// logConsole returns where kernel messages go.
func logConsole(o commandline.Options) io.Writer {
	if o.Console == "ttyS0" {
		return os.Stderr // goos writes it to COM1
	}
	return io.Discard
}
