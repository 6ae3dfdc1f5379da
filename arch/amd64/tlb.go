package amd64

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// TLB shootdowns and barriers interrupt other CPUs and wait for their
// acknowledgement. A request counts up flushWanted of the CPU and sends an IPI;
// the CPU reloads CR3 and stores the count in flushDone. The initiator waits
// with interrupts on, or, in package goos, serves requests while it waits, so
// two CPUs may wait for each other.

// anyRoot stands for the page tables of every program. No table is at physical
// address 0.
const anyRoot = 0

// FlushAll flushes the translations of the kernel half on every CPU, and
// returns when that is done. A CPU of nohz_full= that is in user mode does so at its next entry
// into the kernel: see DeferFlushes. Package goos calls it, with interrupts off.
func FlushAll() {
	here := thisCPU()
	var generations [MaxCPUs]uint64
	n := atomic.LoadUint64(&online)
	for i := range n {
		c := cpuBlock(i)
		if deferFlush(i) {
			generations[i] = atomic.LoadUint64(&c.flushDone)
			continue
		}
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

// ServeIPI serves the requests of other CPUs: to save the state of the fpregs
// owner (requestSave), to flush the TLB, to leave page tables (DropRoot).
// Package goos calls it for VectorIPI, and wherever it spins, with interrupts
// off.
//
//go:nosplit
func ServeIPI() {
	c := thisCPU()
	if atomic.SwapUint64(&c.saveWanted, 0) != 0 {
		saveState(c)
	}
	wanted := atomic.LoadUint64(&c.flushWanted)
	if wanted == c.flushDone {
		return
	}
	reloadRoot(c)
	atomic.StoreUint64(&c.flushDone, wanted)
}

// reloadRoot flushes this CPU's TLB. If DropRoot takes the loaded tables away,
// the kernel's replace them. Interrupts are off.
//
//go:nosplit
func reloadRoot(c *perCPU) {
	root := c.root
	if root == atomic.LoadUint64(&dropping) {
		c.userFrame = 0
		root = kernelRoot
	}
	switchRoot(c, root)
}

// switchRoot loads the page tables at root on this CPU. Other CPUs must find the old
// root until CR3 is loaded, because DropRoot frees the tables of a root that no CPU
// has. They must find the new root before CR3 is loaded, because the CPU may keep
// translations from then on, which Shootdown must flush. So both are published during
// the switch. copyUser does the same. Interrupts are off.
//
//go:nosplit
func switchRoot(c *perCPU, root uint64) {
	announceRoot(c, root)
	loadCR3(root)
	rootLoaded(c, root)
}

// announceRoot publishes the root that CR3 is about to hold, in addition to the one
// that it holds.
//
//go:nosplit
func announceRoot(c *perCPU, root uint64) { atomic.StoreUint64(&c.nextRoot, root) }

// rootLoaded publishes that CR3 holds root and no other.
//
//go:nosplit
func rootLoaded(c *perCPU, root uint64) { atomic.StoreUint64(&c.root, root) }

// dropping is the root that DropRoot is removing from all CPUs, or 0. dropLock
// serialises its callers.
var (
	dropping uint64
	dropLock sync.Mutex
)

// flushPages is the largest number of pages that are flushed one by one.
const flushPages = 32

// Shootdown flushes the translations of [start, end) of the page tables at root
// on every CPU, and returns when that is done. Goroutines call it, with
// interrupts on, and with no lock held that ServeIPI or the trampolines need.
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

// DropRoot makes every CPU leave the page tables at root, and returns when that
// is done: the tables may then be freed. No task may use them any more. Callers
// are those of Shootdown.
func DropRoot(root uint64) {
	dropLock.Lock()
	defer dropLock.Unlock()
	atomic.StoreUint64(&dropping, root)
	Shootdown(root, 0, UserLimit)
	atomic.StoreUint64(&dropping, 0)
}

// Barrier executes a serializing instruction, which is a full memory barrier
// too, on every CPU that has the page tables at root loaded, and returns when
// that is done (membarrier(2)). The instruction is MOV to CR3 (SDM vol. 3A,
// 9.3). A CPU that loads the tables later passes one then. Callers are those of
// Shootdown.
func Barrier(root uint64) {
	// The caller's stores must be visible before the CPUs' roots are read:
	// XADD is a full barrier, a plain load could go ahead of the stores.
	atomic.AddUint64(&barriers, 1)
	Shootdown(root, 0, UserLimit)
}

// BarrierAll is Barrier for every CPU that has the page tables of any program
// loaded.
func BarrierAll() { Barrier(anyRoot) }

// barriers counts the calls of Barrier.
var barriers uint64

// requestFlush flushes the TLB if CPU i is this one, or else requests it from
// CPU i. It returns the generation that waitFlush waits for, or 0 if there is
// nothing to wait for. A CPU with other page tables has nothing to flush.
//
//go:nosplit
func requestFlush(i, root, start, end uint64) uint64 {
	c := cpuBlock(i)
	interruptsOff()
	if !hasLoaded(c, root) {
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

// hasLoaded reports whether CPU c may have the page tables at root loaded, or any
// program's for anyRoot. It reads nextRoot before root: a CPU that announces the root
// after the first read loads CR3 after it, so it sees the page tables as they are now.
//
//go:nosplit
func hasLoaded(c *perCPU, root uint64) bool {
	next := atomic.LoadUint64(&c.nextRoot)
	loaded := atomic.LoadUint64(&c.root)
	if root == anyRoot {
		return next != kernelRoot || loaded != kernelRoot
	}
	return next == root || loaded == root
}

//go:nosplit
func flushHere(c *perCPU, start, end uint64) {
	if end-start > flushPages*PageSize {
		reloadRoot(c)
		return
	}
	for a := start; a < end; a += PageSize {
		invlpg(a)
	}
}

// waitFlush returns when CPU i has acknowledged a generation. Interrupts are
// on.
func waitFlush(i, generation uint64) {
	const spins = 1024 // then others may use this CPU
	for n := 1; int64(atomic.LoadUint64(&cpuBlock(i).flushDone)-generation) < 0; n++ {
		Pause()
		if n%spins == 0 {
			runtime.Gosched()
		}
	}
}
