package main

import (
	"runtime/debug"
	"sync/atomic"
	"unsafe"

	"slowpath/arch/amd64"
	"slowpath/goos"
	"slowpath/guard"
	"slowpath/mm"
	"slowpath/mm/frame"
	"slowpath/sched"
	"slowpath/sysctl"
)

// machine implements mm.Machine with goos, for page frames, and arch, for TLBs and
// user copies.
type machine struct{}

func (machine) AllocFrames(dst []frame.Number) int {
	guard.Point()
	return goos.AllocFrames(dst)
}

func (machine) FreeFrames(src []frame.Number)     { goos.FreeFrames(src) }
func (machine) FreeCount() int                    { return goos.FreeCount() }
func (machine) Shootdown(root, start, end uint64) { amd64.Shootdown(root, start, end) }
func (machine) DropRoot(root uint64)              { amd64.DropRoot(root) }
func (machine) CopyUser(root uint64, kernel unsafe.Pointer, user uint64, n int, toUser bool) int {
	guard.Point()
	return amd64.CopyUser(root, kernel, user, n, toUser)
}

func (machine) LoadUser(root, user uint64) (value uint32, ok bool) {
	guard.Point()
	return amd64.LoadUser(root, user)
}

// newMemory returns the memory for user programs: all frames except a reserve for
// the kernel's own heap. It sets the settings that depend on the size of the memory.
func newMemory(settings *sysctl.Settings) (*mm.Memory, error) {
	infos, total := goos.FrameTable()
	settings.SetMemory(int64(total) * (frame.Size / 1024))
	const least = 8 << 20 / frame.Size
	return mm.New(mm.Config{
		Machine:     machine{},
		DirectMap:   amd64.DirectMap,
		Infos:       infos,
		TotalFrames: total,
		Reserve:     max(total/16, least),
		KernelRoot:  amd64.KernelRoot(),
		CollectHeap: debug.FreeOSMemory,
		Settings:    settings,
	})
}

// newProcessors returns the CPUs for the scheduler.
func newProcessors() *sched.Processors {
	return &sched.Processors{Idle: goos.Idle, Kick: goos.KickIdle, Arm: goos.Rearm, Current: amd64.CPU, Now: raw}
}

// raw is clock.Raw without the Go runtime, in a third of the instructions.
func raw() int64 { return int64(amd64.Nanotime()) }

// meter implements task.Meter and wait.Meter: it measures the CPU time of tasks.
type meter struct{}

func (meter) Begin(a *amd64.CPUTime, flags *atomic.Uint32) { amd64.BeginCPUTime(a, flags) }
func (meter) End(a *amd64.CPUTime)                         { amd64.EndCPUTime(a) }
func (meter) Pause()                                       { amd64.PauseCPUTime() }
func (meter) Update()                                      { amd64.UpdateCPUTime() }
