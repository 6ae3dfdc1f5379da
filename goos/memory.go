package goos

import (
	"slowpath/arch/amd64"
	"slowpath/mm/frame"
)

// frames is all of the machine's memory. The lock guards it.
var frames frame.Allocator

// window is where the runtime's memory is: addresses are handed out upwards
// and get their frames one by one, at the first touch.
var window = struct{ next uint64 }{amd64.HeapWindow}

// Frames returns the frame allocator. Boot only.
func Frames() *frame.Allocator { return &frames }

// FrameTable returns where the allocator's own table lies, and how many frames
// of memory the machine has: what package mm shares with it.
func FrameTable() (infos uintptr, total int) { return frames.Infos(), frames.TotalFrames() }

// InitFrames makes the allocator, whose table for n frames lies, zeroed, at
// the given address. Boot only.
func InitFrames(table uint64, n frame.Number) { frames.Init(uintptr(table), n) }

// AddFrames gives frames to the allocator. Boot only.
func AddFrames(start, end frame.Number) { frames.AddRange(start, end) }

// mmap serves anonymous mappings only, in the window (mmap(2)).
func mmap(_ *thread, f *amd64.Frame) uint64 {
	const fixed, huge = 0x10, 2 << 20
	a, n := arg0(f), pageUp(arg1(f))
	if arg3(f)&fixed != 0 {
		return a // reserved before, and filled on touch
	}
	if a != 0 {
		return fail(errNOMEM) // a wish for the lower half, which is the users'
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

// madvise gives memory back. The runtime counts on it to read as zero
// afterwards, and it does: the next touch gets a zeroed frame.
func madvise(_ *thread, f *amd64.Frame) uint64 {
	const dontNeed, free = 4, 8
	if advice := arg2(f); advice == dontNeed || advice == free {
		discard(arg0(f), arg1(f))
	}
	return 0
}

func brk(*thread, *amd64.Frame) uint64 { return 0 }

// inWindow reports whether an address may have memory on touch.
func inWindow(a uint64) bool { return a-amd64.HeapWindow < window.next-amd64.HeapWindow }

// touch sees to it that the window's pages of [a, a+n) have memory, since
// this package cannot take a page fault.
func touch(a, n uint64) {
	if !inWindow(a) {
		return
	}
	for p := a &^ (amd64.PageSize - 1); p < a+n; p += amd64.PageSize {
		if e := entry(p, true); *e&amd64.Present == 0 {
			fill(e)
		}
	}
}

// fill puts a zeroed frame behind an entry.
func fill(e *amd64.PTE) {
	*e = amd64.PTE(zeroedFrame()) | amd64.Present | amd64.Writable | amd64.NoExecute
}

// zeroedFrame returns the physical address of a frame for the kernel. There
// is always one: mm leaves a reserve.
func zeroedFrame() uint64 {
	n, ok := frames.Alloc(0)
	if !ok {
		Fatal("The kernel is out of memory; give the machine more with --mem.")
	}
	a := amd64.DirectMap + n.Address()
	clear((*[amd64.PageSize]byte)(pointer(a))[:])
	return n.Address()
}

// entry returns the page-table entry of a window address, making the tables
// above it if asked; else nil where they lack.
func entry(va uint64, create bool) *amd64.PTE {
	table := amd64.KernelRoot()
	for level := amd64.LevelPML4; ; level-- {
		e := (*amd64.PTE)(pointer(amd64.DirectMap + table + 8*uint64(amd64.Index(va, level))))
		if level == amd64.LevelPT {
			return e
		}
		if *e&amd64.Present == 0 {
			if !create {
				return nil
			}
			*e = amd64.PTE(zeroedFrame()) | amd64.Present | amd64.Writable
		}
		table = e.Address()
	}
}

// batch is how many frames are taken back with one flush of all CPUs.
const batch = 64

// discard takes the memory of [a, a+n) back. Frames go to the allocator only
// when no CPU can reach them any more.
func discard(a, n uint64) {
	if !inWindow(a) {
		return
	}
	var taken [batch]frame.Number
	count := 0
	for p, end := a, a+n; p < end; {
		e := entry(p, false)
		if e == nil {
			p = (p + amd64.LargePageSize) &^ (amd64.LargePageSize - 1)
			continue
		}
		if *e&amd64.Present != 0 {
			taken[count] = frame.Number(e.Address() >> frame.Shift)
			count++
			*e = 0
		}
		p += amd64.PageSize
		if count == batch {
			giveBack(taken[:count])
			count = 0
		}
	}
	giveBack(taken[:count])
}

func giveBack(taken []frame.Number) {
	if len(taken) == 0 {
		return
	}
	amd64.FlushAll()
	for _, n := range taken {
		frames.Free(n, 0)
	}
}
