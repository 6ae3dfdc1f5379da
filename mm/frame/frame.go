// Package frame is the allocator of physical memory: a binary buddy system
// over 4 KiB page frames, in blocks of 4 KiB to 4 MiB.
//
// It stands below the Go runtime: goos takes from it the memory of the Go
// heap, with interrupts off and no valid g, and everything else (user pages,
// page tables, page cache) comes from it through goos. So its code keeps to
// the rules of that layer: it allocates nothing, stores no pointers, and uses
// no map, channel, defer, panic or interface. It holds no lock; its caller
// serialises all calls, Info.Refs excepted.
//
// All state is one 16-byte Info per frame. A free block is threaded into the
// list of its order by frame numbers; nothing is ever written into the free
// memory itself, so a stray write of a former owner cannot damage the lists.
//
// See Knuth, The Art of Computer Programming, volume 1, section 2.5
// ("buddy system"), and Linux, Documentation/mm/page_allocation.rst.
package frame

import (
	"sync/atomic"
	"unsafe"
)

const (
	// Size is the number of bytes of a frame.
	Size = 4096
	// Shift converts a physical address to a Number.
	Shift = 12
	// MaxOrder is the order of the largest block, 4 MiB.
	MaxOrder = 10
	// InfoSize is the number of bytes of metadata for each frame.
	InfoSize = unsafe.Sizeof(Info{})
)

// Number names a frame: its physical address divided by Size.
// Frame 0 is never handed out, so 0 means "no frame".
type Number uint32

// None is the Number that names no frame.
const None Number = 0

// Address returns the physical address of the frame's first byte.
func (n Number) Address() uint64 { return uint64(n) << Shift }

// state says what a frame is to the allocator. The zero state is reserved, so
// zeroed metadata describes a machine without any memory.
type state uint8

const (
	reserved  state = iota // not memory, or never given to the allocator
	free                   // first frame of a free block, on the list of its order
	allocated              // first frame of an allocated block
	inner                  // any other frame of a block, free or allocated
)

// Info is the metadata of one frame.
type Info struct {
	// Refs belongs to the owner of an allocated frame; the allocator never
	// touches it. mm counts in it who uses the frame (page tables, page cache).
	Refs atomic.Int32

	next, prev Number // neighbours on the free list, when state is free
	order      uint8  // size of the block, when state is free or allocated
	state      state
	_          [2]byte
}

// Allocator hands out blocks of frames. Its zero value has no memory; Init
// and AddRange give it some. It may be copied only before Init.
type Allocator struct {
	infos     uintptr              // address of the Info of frame 0
	frames    Number               // number of Infos
	lists     [MaxOrder + 1]Number // first free block of each order, or None
	freeCount int                  // free frames
	total     int                  // frames ever added
}

// Init makes an allocator without memory for the frames [0, frames). infos is
// the address of frames*InfoSize zeroed bytes, 8-byte aligned, which belong
// to the allocator from now on.
func (a *Allocator) Init(infos uintptr, frames Number) {
	a.infos = infos
	a.frames = frames
	for i := range a.lists {
		a.lists[i] = None
	}
	a.freeCount, a.total = 0, 0
}

// Info returns the metadata of frame n, or nil when n is outside of [0, frames).
func (a *Allocator) Info(n Number) *Info {
	if n >= a.frames {
		return nil
	}
	return a.info(n)
}

// Infos returns the address of the metadata of frame 0, for InfoAt.
func (a *Allocator) Infos() uintptr { return a.infos }

// Frames returns the number of frames that have metadata: one more than the
// highest Number.
func (a *Allocator) Frames() Number { return a.frames }

// InfoAt returns the metadata of frame n in the table at address infos. It
// checks nothing; mm uses it for frames that it owns.
func InfoAt(infos uintptr, n Number) *Info {
	return (*Info)(pointer(infos + uintptr(n)*InfoSize))
}

// FreeFrames returns how many frames are free.
func (a *Allocator) FreeFrames() int { return a.freeCount }

// TotalFrames returns how many frames the allocator was given by AddRange.
func (a *Allocator) TotalFrames() int { return a.total }

// LargestOrder returns the order of the largest block that Alloc could hand
// out now, or -1 when no memory is free.
func (a *Allocator) LargestOrder() int {
	for order := MaxOrder; order >= 0; order-- {
		if a.lists[order] != None {
			return order
		}
	}
	return -1
}

// AddRange gives the frames [start, end) to the allocator. It reports false,
// and changes nothing, when a frame of the range is 0, has no metadata, or
// was added before.
func (a *Allocator) AddRange(start, end Number) bool {
	if start == None || start >= end || end > a.frames {
		return false
	}
	for n := start; n < end; n++ {
		if a.info(n).state != reserved {
			return false
		}
	}
	for n := start; n < end; n++ {
		a.info(n).state = inner
	}
	for start < end {
		order := largestAligned(start, end)
		a.release(start, order)
		start += 1 << uint(order)
	}
	return true
}

// Alloc takes a block of 1<<order frames, aligned to its size. The contents
// are unspecified. It reports false when there is no such block or the order
// is not in [0, MaxOrder].
func (a *Allocator) Alloc(order int) (Number, bool) {
	if order < 0 || order > MaxOrder {
		return None, false
	}
	have := order
	for have <= MaxOrder && a.lists[have] == None {
		have++
	}
	if have > MaxOrder {
		return None, false
	}
	n := a.lists[have]
	a.unlink(n, have)
	for have > order {
		have--
		a.link(n+1<<uint(have), have)
	}
	info := a.info(n)
	info.state = allocated
	info.order = uint8(order)
	a.freeCount -= 1 << uint(order)
	return n, true
}

// Free gives back a block that Alloc handed out with the same order. It
// reports false, and changes nothing, when there is no such allocated block:
// a double free, a wrong order, an address inside of a block, or no memory.
func (a *Allocator) Free(n Number, order int) bool {
	if !a.isAllocated(n, order) {
		return false
	}
	a.release(n, order)
	return true
}

// Split turns an allocated block of 1<<order frames into as many allocated
// blocks of one frame, so that they can be freed one by one. It reports false
// under the conditions of Free.
func (a *Allocator) Split(n Number, order int) bool {
	if !a.isAllocated(n, order) {
		return false
	}
	for i := Number(0); i < 1<<uint(order); i++ {
		info := a.info(n + i)
		info.state = allocated
		info.order = 0
	}
	return true
}

// isAllocated says whether n is the first frame of an allocated block of
// exactly this order.
func (a *Allocator) isAllocated(n Number, order int) bool {
	if order < 0 || order > MaxOrder || n >= a.frames {
		return false
	}
	info := a.info(n)
	return info.state == allocated && int(info.order) == order
}

// release makes the block free and joins it with its buddies as far as they
// are free too.
func (a *Allocator) release(n Number, order int) {
	size := 1 << uint(order)
	if a.info(n).state == inner { // added for the first time
		a.total += size
	}
	a.freeCount += size
	for order < MaxOrder {
		buddy := n ^ 1<<uint(order)
		if buddy >= a.frames {
			break
		}
		info := a.info(buddy)
		if info.state != free || int(info.order) != order {
			break
		}
		a.unlink(buddy, order)
		info.state = inner
		a.info(n).state = inner
		n &= buddy
		order++
	}
	a.link(n, order)
}

// link puts the block at the front of the list of its order.
func (a *Allocator) link(n Number, order int) {
	first := a.lists[order]
	info := a.info(n)
	info.state = free
	info.order = uint8(order)
	info.next = first
	info.prev = None
	if first != None {
		a.info(first).prev = n
	}
	a.lists[order] = n
}

// unlink takes a free block off the list of its order. Its state is the
// caller's to set.
func (a *Allocator) unlink(n Number, order int) {
	info := a.info(n)
	if info.prev != None {
		a.info(info.prev).next = info.next
	} else {
		a.lists[order] = info.next
	}
	if info.next != None {
		a.info(info.next).prev = info.prev
	}
}

// info returns the metadata of a frame that is known to have some.
func (a *Allocator) info(n Number) *Info { return InfoAt(a.infos, n) }

// largestAligned returns the order of the largest block that begins at start,
// is aligned to its size and does not reach beyond end.
func largestAligned(start, end Number) int {
	order := MaxOrder
	for start&(1<<uint(order)-1) != 0 || end-start < 1<<uint(order) {
		order--
	}
	return order
}

// pointer turns an address of metadata, which is no Go object, into a
// pointer. The detour by memory tells vet and checkptr that this is meant.
func pointer(address uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}
