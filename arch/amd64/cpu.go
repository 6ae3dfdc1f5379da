package amd64

import (
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

var le = binary.LittleEndian

// kernelRoot is the physical address of the page tables without a user half.
var kernelRoot uint64

// online counts the CPUs that have passed InitCPU.
var online uint64

// LoadKernelRoot makes the tables at a physical address the kernel's own and
// loads them. The first CPU calls it once, at boot.
func LoadKernelRoot(root uint64) {
	kernelRoot = root
	loadCR3(root)
}

// LeaveBootRoot loads the kernel's own page tables on another CPU.
func LeaveBootRoot() { loadCR3(kernelRoot) }

// KernelRoot returns the physical address of the kernel's own page tables,
// whose upper half every process shares.
func KernelRoot() uint64 { return kernelRoot }

// InitTables fills what all CPUs share. The first CPU calls it once, before
// InitCPU.
func InitTables() { buildTables() }

// InitCPU makes the CPU that runs it CPU number i: descriptor tables, SYSCALL,
// local APIC, supervisor protections. idle is the frame of its idle thread,
// made current. Interrupts are off and stay off.
func InitCPU(i uint64, idle *Frame) {
	c := cpuBlock(i)
	c.id = i
	c.root = kernelRoot
	c.stack = stackTop(goosStacks[i][:]) - spillRoom
	c.current = frameAddress(idle)
	loadTables(i)
	writeMSR(msrSTAR, (UserSS-8)<<48|KernelCS<<32) // the user's selectors follow from one base
	writeMSR(msrLSTAR, landings[i])
	// Every flag that could disturb the kernel is cleared by SYSCALL.
	writeMSR(msrSFMASK, FlagTF|FlagIF|FlagDF|FlagIOPL|FlagNT|FlagAC)
	writeMSR(msrTSCAux, i)
	writeMSR(msrGSBase, 0)
	controlsLoaded[i].selectors = readSelectors()
	protectSupervisor()
	enableMachineChecks()
	initAPIC(c)
	atomic.AddUint64(&online, 1)
}

// spillRoom is what a Go function may use above its return address: the place
// of its one argument (cmd/compile, abi-internal.md).
const spillRoom = 16

// protectSupervisor turns on FSGSBASE, and what the CPU has against mistakes in
// ring 0: no execution of user pages, no access to them outside copyUser, no
// descriptor table addresses for users (SDM vol. 3A, 2.5).
func protectSupervisor() {
	cr4 := readCR4()
	b, c := leaf7()
	if hasFSGSBASE {
		cr4 |= cr4FSGSBASE
	}
	if b&feature7SMEP != 0 {
		cr4 |= cr4SMEP
	}
	if b&feature7SMAP != 0 {
		cr4 |= cr4SMAP
	}
	if c&feature7UMIP != 0 {
		cr4 |= cr4UMIP
	}
	writeCR4(cr4)
}

// FlushAll makes every CPU forget all translations of the kernel half, and
// returns when it is done. Package goos calls it, with interrupts off; while
// it waits it serves the requests of the others, which may wait for this CPU.
func FlushAll() {
	here := thisCPU()
	var generations [MaxCPUs]uint64
	n := atomic.LoadUint64(&online)
	for i := range n {
		c := cpuBlock(i)
		generations[i] = atomic.AddUint64(&c.flushWanted, 1)
		if c != here {
			sendIPI(c)
		}
	}
	for i := range n {
		c := cpuBlock(i)
		for int64(atomic.LoadUint64(&c.flushDone)-generations[i]) < 0 {
			ServeIPI()
			Pause()
		}
	}
}

// ServeIPI does what other CPUs have asked of this one: to park the live
// state, to forget translations, to leave page tables that are to be freed.
// Package goos calls it for VectorIPI, with interrupts off.
//
//go:nosplit
func ServeIPI() {
	c := thisCPU()
	if atomic.SwapUint64(&c.fetch, 0) != 0 {
		park(c)
	}
	wanted := atomic.LoadUint64(&c.flushWanted)
	if wanted == c.flushDone {
		return
	}
	if c.root == atomic.LoadUint64(&dropping) {
		c.owner = 0
		c.root = kernelRoot
	}
	loadCR3(c.root)
	atomic.StoreUint64(&c.flushDone, wanted)
}

// dropping is the root that DropRoot is taking from all CPUs; dropLock orders
// those who do.
var (
	dropping uint64
	dropLock sync.Mutex
)

// flushPages is up to how many pages are invalidated one by one.
const flushPages = 32

// Shootdown returns when no CPU can use an old translation of [start, end) of
// the page tables at root. Goroutines call it, with interrupts on and no lock
// that ServeIPI or the trampolines could need.
func Shootdown(root, start, end uint64) {
	var generations [MaxCPUs]uint64
	n := atomic.LoadUint64(&online)
	for i := range n {
		generations[i] = requestFlush(i, root, start, end)
	}
	for i := range n {
		waitFlush(i, generations[i])
	}
}

// requestFlush flushes CPU i if it is this one, else asks it to, and returns
// the generation to wait for; 0 is none.
//
//go:nosplit
func requestFlush(i, root, start, end uint64) uint64 {
	c := cpuBlock(i)
	interruptsOff()
	if atomic.LoadUint64(&c.root) != root {
		interruptsOn()
		return 0
	}
	if c == thisCPU() {
		flushHere(c, start, end)
		interruptsOn()
		return 0
	}
	generation := atomic.AddUint64(&c.flushWanted, 1)
	sendIPI(c)
	interruptsOn()
	return generation
}

//go:nosplit
func flushHere(c *perCPU, start, end uint64) {
	if end-start > flushPages*PageSize {
		loadCR3(c.root)
		return
	}
	for a := start; a < end; a += PageSize {
		invlpg(a)
	}
}

// waitFlush waits with interrupts on, so that two CPUs may wait for each other.
func waitFlush(i, generation uint64) {
	for n := 0; int64(atomic.LoadUint64(&cpuBlock(i).flushDone)-generation) < 0; n++ {
		Pause()
		if n%1024 == 1023 {
			runtime.Gosched()
		}
	}
}

// DropRoot returns when no CPU has root loaded: its tables may then be freed.
// No task may use it any more. Goroutines call it, with interrupts on.
func DropRoot(root uint64) {
	dropLock.Lock()
	defer dropLock.Unlock()
	atomic.StoreUint64(&dropping, root)
	var generations [MaxCPUs]uint64
	n := atomic.LoadUint64(&online)
	for i := range n {
		if !leaveHere(i, root) {
			generations[i] = requestFlush(i, root, 0, 0)
		}
	}
	for i := range n {
		waitFlush(i, generations[i])
	}
	atomic.StoreUint64(&dropping, 0)
}

// leaveHere takes root from CPU i if that is the one it runs on.
//
//go:nosplit
func leaveHere(i, root uint64) bool {
	interruptsOff()
	c := thisCPU()
	here := c.id == i
	if here && c.root == root {
		c.owner = 0
		c.root = kernelRoot
		loadCR3(kernelRoot)
	}
	interruptsOn()
	return here
}

// CopyUser copies n bytes between kernel memory and the user address user of
// the page tables at root, within one page, and returns how many were copied:
// fewer than n if the user's page is not there or does not allow it. user+n
// must be at most UserLimit; the first page is never the user's. Goroutines
// call it; for so long interrupts are off.
func CopyUser(root uint64, kernel unsafe.Pointer, user uint64, n int, toUser bool) int {
	if user < PageSize {
		return 0
	}
	// Both stay pointers to the end: the kernel's may point into this
	// goroutine's stack, which can move until the copy begins.
	to, from := kernel, pointer(user)
	if toUser {
		to, from = from, to
	}
	return n - int(copyUser(root, to, from, uint64(n)))
}

//go:noescape
func copyUser(root uint64, to, from unsafe.Pointer, n uint64) (left uint64)

// userAccess is one row of the fixup table: a fault at an instruction of the
// code that begins at start, on a user address, goes on at fixup.
type userAccess struct{ start, fixup, size uint64 }

// Fixup looks the faulting instruction up among those that may touch user
// memory, and if it is there moves the frame on to where the failure is
// reported. Package goos calls it first for a page fault in the kernel.
func Fixup(f *Frame) bool {
	accesses := [...]userAccess{
		{start: codeAddresses[copyUserCode], fixup: codeAddresses[copyUserEndCode], size: 128},
	}
	for _, a := range accesses {
		if f.RIP-a.start < a.size && f.CR2 < 1<<47 {
			f.RIP = a.fixup
			return true
		}
	}
	return false
}

// Rest gives up what this CPU still holds of a user, before it idles: register
// state and page tables. Another CPU that needs the one or changes the other
// then need not wake it. Package goos calls it, with interrupts off.
//
//go:nosplit
func Rest() {
	c := thisCPU()
	park(c)
	c.owner = 0
	if c.root != kernelRoot {
		c.root = kernelRoot
		loadCR3(kernelRoot)
	}
}
