package amd64

import (
	"sync/atomic"
	"unsafe"
)

// A program's state is what the trampolines do not save and load: extended
// state (fpregs, in Linux's word), GS base and segment selectors. It is in the
// frame, or in the registers of one CPU, whose fpregsOwner the frame then is.
// It stays there until another program needs the CPU, or another CPU the state.

// StateCPU returns the number of the CPU whose registers hold f's state, or -1
// if it is in memory. f enters user mode on that CPU, unless TakeCPU moves the
// state first. Any context.
func (f *Frame) StateCPU() int {
	c := atomic.LoadUint64(&f.cpu)
	if c == 0 {
		return -1
	}
	return int((*perCPU)(pointer(c)).id)
}

// TakeCPU loads f's page tables and state on the CPU that runs the caller. It
// saves the state of the CPU's previous owner, and has the CPU that owns f's
// state save it. The caller is f's own goroutine, with interrupts on. When
// TakeCPU returns, the caller may already run on another CPU: then EnterUser
// returns EventHandover again.
//
// It returns false and loads nothing if the runtime thread of the caller is not
// pinned to f's affinity. Package goos pins it.
func TakeCPU(f *Frame) bool {
	for {
		switch tryTakeCPU(f) {
		case cpuTaken:
			return true
		case threadNotPinned:
			return false
		}
		Pause()
	}
}

// takeResult is the result of one attempt to take a CPU.
type takeResult uint8

const (
	cpuTaken takeResult = iota
	threadNotPinned
	saveRequested // another CPU owns the state
)

//go:nosplit
func tryTakeCPU(f *Frame) takeResult {
	interruptsOff()
	result := takeThis(thisCPU(), f)
	interruptsOn()
	return result
}

// takeThis is tryTakeCPU with interrupts off, on CPU c.
//
//go:nosplit
func takeThis(c *perCPU, f *Frame) takeResult {
	if affinityDiffers(c, f) {
		return threadNotPinned
	}
	if c.fpregsOwner != frameAddress(f) {
		if other := atomic.LoadUint64(&f.cpu); other != 0 {
			requestSave((*perCPU)(pointer(other)))
			return saveRequested
		}
		enableExtendedState(c)
		saveState(c)
		loadState(c, f)
	}
	if c.root != f.root {
		switchRoot(c, f.root)
	}
	raiseControls(c, f)
	fixStackSegment()
	c.userFrame = frameAddress(f)
	c.userSS = uint64(uintptr(unsafe.Pointer(&f.SS)))
	return cpuTaken
}

// saveState saves the state in this CPU's registers into its owner's frame.
// Only the CPU itself does so, with interrupts off, so no lock is needed.
//
//go:nosplit
func saveState(c *perCPU) {
	if c.fpregsOwner == 0 {
		return
	}
	f := frameAt(c.fpregsOwner)
	saveExtended(f.extended)
	f.GSBase = readGSBase()
	keepSelectors(f, &controlsLoaded[c.id], readSelectors())
	c.userFrame, c.fpregsOwner = 0, 0
	atomic.StoreUint64(&f.cpu, 0)
}

// loadState loads f's state, which is in memory, but for the selectors, which
// are a control. The exchange orders it before the load of ThreadFlags in EnterUser
// (see Kick).
//
//go:nosplit
func loadState(c *perCPU, f *Frame) {
	restoreExtended(f.extended)
	writeGSBase(f.GSBase)
	c.fpregsOwner = frameAddress(f)
	f.lastCPU.Store(uint32(c.id))
	atomic.SwapUint64(&f.cpu, uint64(uintptr(unsafe.Pointer(c))))
}

// requestSave interrupts another CPU so that it saves the state in its
// registers. The callers repeat it until the state is saved, so it sends no second
// interrupt for a request that is not served yet: the other CPU could do nothing but
// handle them. Interrupts are off.
//
//go:nosplit
func requestSave(c *perCPU) {
	if atomic.SwapUint64(&c.saveWanted, 1) == 0 {
		sendIPI(c)
	}
}

// Release saves f's state in memory, wherever it is. From then until the task
// enters user mode again the frame is complete in memory: it may be read,
// changed or freed. The caller is f's own goroutine, or f's task is not
// running. Interrupts are on.
func Release(f *Frame) {
	for !tryRelease(f) {
		Pause()
	}
}

// tryRelease reports whether f's state is in memory, and requests that it be
// saved if not.
//
//go:nosplit
func tryRelease(f *Frame) bool {
	if atomic.LoadUint64(&f.cpu) == 0 {
		return true
	}
	interruptsOff()
	c := thisCPU()
	if c.fpregsOwner == frameAddress(f) {
		saveState(c)
	} else if other := atomic.LoadUint64(&f.cpu); other != 0 {
		requestSave((*perCPU)(pointer(other)))
	}
	interruptsOn()
	return atomic.LoadUint64(&f.cpu) == 0
}

// ReleaseCPU saves the state in this CPU's registers and loads the kernel's
// page tables, before the CPU idles. A later TakeCPU or Shootdown elsewhere then
// need not interrupt it. Package goos calls it, with interrupts off.
//
//go:nosplit
func ReleaseCPU() {
	c := thisCPU()
	saveState(c)
	c.userFrame = 0
	if c.root != kernelRoot {
		switchRoot(c, kernelRoot)
	}
}

// Kick interrupts the CPU on which f's program may be in user mode, so that it
// sees a duty that was just raised in f.ThreadFlags. If the program is not in user mode
// nothing is lost: locked instructions order the raise and EnterUser's test.
// Any goroutine may call it.
//
//go:nosplit
func Kick(f *Frame) {
	if atomic.LoadUint64(&f.cpu) == 0 {
		return
	}
	interruptsOff()
	other := atomic.LoadUint64(&f.cpu)
	if c := (*perCPU)(pointer(other)); other != 0 && c != thisCPU() {
		sendIPI(c)
	}
	interruptsOn()
}
