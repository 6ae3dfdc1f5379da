package goos

import (
	"slowpath/arch/amd64"
	"slowpath/mm/frame"
)

// frames is the allocator of the machine's memory, guarded by lock.
var frames frame.Allocator

// window is the address range of the runtime's memory. mmap hands out addresses
// upwards from next; each page gets its frame at the first touch.
var window = struct{ next uint64 }{amd64.HeapWindow}

// Frames returns the frame allocator. Boot only.
func Frames() *frame.Allocator { return &frames }

// FrameTable returns the address of the allocator's table, which package mm
// shares, and the number of frames of the machine. Any context after boot.
func FrameTable() (infos uintptr, total int) { return frames.Infos(), frames.TotalFrames() }

// InitFrames makes the allocator. Its table for n frames, zeroed, is at the given
// address. Boot only.
func InitFrames(table uint64, n frame.Number) { frames.Init(uintptr(table), n) }

// AddFrames gives the allocator the frames [start, end). Boot only.
func AddFrames(start, end frame.Number) { frames.AddRange(start, end) }

// mmap serves anonymous mappings in the window only (mmap(2)).
func mmap(_ *thread, f *amd64.Frame) uint64 {
	const fixed, huge = 0x10, 2 << 20
	a, n := arg0(f), pageUp(arg1(f))
	if arg3(f)&fixed != 0 {
		return a // reserved before; the first touch fills it
	}
	if a != 0 {
		return fail(errNOMEM) // a hint into the lower half, which is for users
	}
	a = window.next
	if n >= huge {
		a = (a + huge - 1) &^ (huge - 1)
	}
	if a+n > amd64.HeapWindowEnd {
		return fail(errNOMEM)
	}
	window.next = a + n
	return a
}

func pageUp(n uint64) uint64 { return (n + amd64.PageSize - 1) &^ (amd64.PageSize - 1) }

func munmap(_ *thread, f *amd64.Frame) uint64 {
	discard(arg0(f), pageUp(arg1(f)))
	return 0
}

// madvise frees memory (madvise(2)). The runtime expects that it reads as zero
// afterwards: the next touch gets a zeroed frame.
func madvise(_ *thread, f *amd64.Frame) uint64 {
	const dontNeed, free = 4, 8
	if advice := arg2(f); advice == dontNeed || advice == free {
		discard(arg0(f), arg1(f))
	}
	return 0
}

func brk(*thread, *amd64.Frame) uint64 { return 0 }

// inWindow reports whether an address was handed out by mmap.
func inWindow(a uint64) bool { return a-amd64.HeapWindow < window.next-amd64.HeapWindow }

// touch maps those pages of [a, a+n) that are in the window and have no memory,
// since this package cannot take a page fault.
func touch(a, n uint64) {
	if !inWindow(a) {
		return
	}
	for p := a &^ (amd64.PageSize - 1); p < a+n; p += amd64.PageSize {
		if e := makeEntry(p); *e&amd64.Present == 0 {
			fill(e)
		}
	}
}

// fill maps a zeroed frame by an entry.
func fill(e *amd64.PTE) {
	*e = amd64.PTE(zeroedFrame()) | amd64.Present | amd64.Writable | amd64.NoExecute
}

// zeroedFrame returns the physical address of a zeroed frame for the kernel.
// Package mm leaves a reserve for it.
func zeroedFrame() uint64 {
	n, ok := frames.Alloc(0)
	if !ok {
		Fatal("The kernel is out of memory; give the machine more with --mem.")
	}
	a := amd64.DirectMap + n.Address()
	clear((*[amd64.PageSize]byte)(pointer(a))[:])
	return n.Address()
}

// findEntry returns the page-table entry of a window address, or nil if a table
// above it is missing.
func findEntry(va uint64) *amd64.PTE {
	table := amd64.KernelRoot()
	for level := amd64.LevelPML4; ; level-- {
		e := entryAt(table, va, level)
		if level == amd64.LevelPT {
			return e
		}
		if *e&amd64.Present == 0 {
			return nil
		}
		table = e.Address()
	}
}

// makeEntry returns the page-table entry of a window address, and allocates the
// tables above it that are missing.
func makeEntry(va uint64) *amd64.PTE {
	table := amd64.KernelRoot()
	for level := amd64.LevelPML4; level > amd64.LevelPT; level-- {
		e := entryAt(table, va, level)
		if *e&amd64.Present == 0 {
			*e = amd64.PTE(zeroedFrame()) | amd64.Present | amd64.Writable
		}
		table = e.Address()
	}
	return entryAt(table, va, amd64.LevelPT)
}

// entryAt returns the entry for va in the table of a level at a physical
// address.
func entryAt(table, va uint64, level int) *amd64.PTE {
	return (*amd64.PTE)(pointer(amd64.DirectMap + table + 8*uint64(amd64.Index(va, level))))
}

// batch is the number of frames that are freed after one flush of all CPUs.
const batch = 64

// discard frees the memory of [a, a+n). A frame goes to the allocator only when
// no CPU can have a translation to it.
func discard(a, n uint64) {
	if !inWindow(a) {
		return
	}
	var unmapped [batch]frame.Number
	count := 0
	for p, end := a, a+n; p < end; {
		e := findEntry(p)
		if e == nil {
			p = (p + amd64.LargePageSize) &^ (amd64.LargePageSize - 1)
			continue
		}
		if *e&amd64.Present != 0 {
			unmapped[count] = frame.Number(e.Address() >> frame.Shift)
			count++
			*e = 0
		}
		p += amd64.PageSize
		if count == batch {
			freeUnmapped(unmapped[:count])
			count = 0
		}
	}
	freeUnmapped(unmapped[:count])
}

// freeUnmapped flushes all TLBs and frees frames whose entries were cleared.
func freeUnmapped(unmapped []frame.Number) {
	if len(unmapped) == 0 {
		return
	}
	amd64.FlushAll()
	for _, n := range unmapped {
		frames.Free(n, 0)
	}
}
