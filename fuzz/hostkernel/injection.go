package hostkernel

import (
	"fmt"
	"sync/atomic"
)

// Point is a place in the kernel at which an Injection panics.
type Point int

// The points. At each of them the kernel waits for nothing and may hold locks.
const (
	// InCopy: a copy between kernel memory and user memory.
	InCopy Point = iota
	// InAllocation: the allocation of a batch of frames.
	InAllocation
	// InShootdown: a flush of the TLBs.
	InShootdown
	// InCall: the beginning of a system call.
	InCall

	// Points is the number of points.
	Points
)

// String returns the name of the point.
func (p Point) String() string {
	return [...]string{"user copy", "frame allocation", "TLB shootdown", "system call"}[p]
}

// Injection makes the kernel panic once at a point, or refuses frames. A program's
// run starts it; loading the program is not affected. The zero value injects
// nothing.
type Injection struct {
	// Point and Pass select the panic: the Pass-th time that a task comes to
	// Point. 0 is never.
	Point Point
	Pass  int
	// Refuse is the number of the first batch of frames that is refused, from 1.
	// 0 is none. RefuseCount batches are refused.
	Refuse, RefuseCount int

	active   atomic.Bool
	passes   atomic.Int64
	batches  atomic.Int64
	panicked atomic.Bool
	refused  atomic.Bool
}

// injected is the value of an injected panic.
type injected struct{ at Point }

func (i injected) String() string { return fmt.Sprintf("injected in a %v", i.at) }

// pass panics if this is the pass that Injection selects.
func (i *Injection) pass(at Point) {
	if i == nil || at != i.Point || i.Pass == 0 || !i.active.Load() {
		return
	}
	if i.passes.Add(1) == int64(i.Pass) {
		i.panicked.Store(true)
		panic(injected{at})
	}
}

// refuses reports whether the allocation of a batch of frames must fail.
func (i *Injection) refuses() bool {
	if i.Refuse == 0 || !i.active.Load() {
		return false
	}
	n := int(i.batches.Add(1))
	if n < i.Refuse || n >= i.Refuse+i.RefuseCount {
		return false
	}
	i.refused.Store(true)
	return true
}

// Happened reports whether the kernel panicked, or a batch was refused.
func (i *Injection) Happened() bool { return i.panicked.Load() || i.refused.Load() }
