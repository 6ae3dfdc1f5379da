// Package frame is the physical memory allocator: a binary buddy system over
// 4 KiB page frames, in blocks of 4 KiB to 4 MiB.
//
// It runs below the Go runtime. goos allocates the Go heap from it, with
// interrupts off and no valid g. All other memory (user pages, page tables, page
// cache) is allocated from it through goos. Its code therefore allocates
// nothing, stores no pointers, and uses no map, channel, defer, panic or
// interface. It takes no lock: the caller must serialise all calls, except for
// accesses to Info.Refs.
//
// All state is one 16-byte Info per frame. The free lists link frame numbers in
// the Infos. Free memory itself is never written, so a stray write by a former
// owner cannot damage the lists.
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

// Number identifies a frame: it is the physical address divided by Size.
// Frame 0 is never allocated, so 0 means "no frame".
type Number uint32

// None is the Number that means "no frame".
const None Number = 0

// Address returns the physical address of the frame's first byte.
func (n Number) Address() uint64 { return uint64(n) << Shift }

// state is the allocation state of a frame. The zero state is reserved, so
// zeroed metadata describes a machine without memory.
type state uint8

const (
	reserved  state = iota // not memory, or never given to the allocator
	free                   // first frame of a free block, on the list of its order
	allocated              // first frame of an allocated block
	inner                  // any other frame of a block, free or allocated
)

// Info is the metadata of one frame.
type Info struct {
	// Refs belongs to the owner of an allocated frame. The allocator never
	// accesses it. mm counts the references from page tables and page caches
	// in it.
	Refs atomic.Int32

	next, prev Number // neighbours on the free list, when state is free
	order      uint8  // size of the block, when state is free or allocated
	state      state
	_          [2]byte
}

// Allocator allocates blocks of frames. Its zero value has no memory. Init sets
// its metadata and AddRange adds memory. It may be copied only before Init.
type Allocator struct {
	infos     uintptr              // address of the Info of frame 0
	frames    Number               // number of Infos
	lists     [MaxOrder + 1]Number // first free block of each order, or None
	freeCount int                  // free frames
	total     int                  // frames ever added
}

// Init initialises the allocator for frames [0, frames), without memory. infos
// is the address of frames*InfoSize zeroed bytes, 8-byte aligned. The allocator
// owns these bytes from then on.
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
// checks no bounds. mm uses it for frames that it owns.
func InfoAt(infos uintptr, n Number) *Info {
	return (*Info)(pointer(infos + uintptr(n)*InfoSize))
}

// FreeFrames returns how many frames are free.
func (a *Allocator) FreeFrames() int { return a.freeCount }

// TotalFrames returns how many frames AddRange has added.
func (a *Allocator) TotalFrames() int { return a.total }

// LargestOrder returns the order of the largest free block, or -1 when no memory
// is free.
func (a *Allocator) LargestOrder() int {
	for order := MaxOrder; order >= 0; order-- {
		if a.lists[order] != None {
			return order
		}
	}
	return -1
}

// AddRange adds the frames [start, end) as free memory. It returns false and
// changes nothing if the range is empty, or if a frame of the range is 0, has no
// metadata, or was added before.
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

// Alloc allocates a block of 1<<order frames, aligned to its size. The contents
// are unspecified. It returns false if no block is large enough or the order is
// not in [0, MaxOrder].
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

// Free frees a block that Alloc returned for the same order. It returns false
// and changes nothing if n is not such a block: a double free, a wrong order, a
// frame inside a block, or a frame that was never added.
func (a *Allocator) Free(n Number, order int) bool {
	if !a.isAllocated(n, order) {
		return false
	}
	a.release(n, order)
	return true
}

// Split turns an allocated block of 1<<order frames into as many allocated
// blocks of one frame, which can be freed one by one. It returns false under the
// same conditions as Free.
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

// release marks the block as free and merges it with its free buddies.
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

// unlink removes a free block from the list of its order. The caller sets the
// block's new state.
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

// info returns the metadata of frame n, which must be below a.frames.
func (a *Allocator) info(n Number) *Info { return InfoAt(a.infos, n) }

// largestAligned returns the order of the largest block that begins at start,
// is aligned to its size and ends at or below end.
func largestAligned(start, end Number) int {
	order := MaxOrder
	for start&(1<<uint(order)-1) != 0 || end-start < 1<<uint(order) {
		order--
	}
	return order
}

// pointer converts an address of metadata, which is not a Go object, to a
// pointer. The load through memory keeps vet and checkptr from reporting it.
func pointer(address uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}
