// Package tracepoint has the hooks that the kernel calls at fixed places (Linux:
// include/linux/tracepoint.h). A Point is a field of the object that calls it. Trace
// events, perf events, audit and the stream of slowpath strace register functions there;
// the places know none of them.
//
// A point without functions costs one load and one comparison. The caller tests Active
// before it computes the arguments.
package tracepoint

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Point is one place. A is the type of what is passed to the functions. The zero value has
// no functions. It must not be copied.
type Point[A any] struct {
	functions atomic.Pointer[[]*func(A)] // the slice is constant; nil if there are none
	mu        sync.Mutex                 // serialises changes
}

// Active reports whether a function is registered. Any context.
func (p *Point[A]) Active() bool { return p.functions.Load() != nil }

// Call calls the functions in the order of their registration. Each point says in which
// context it is called.
func (p *Point[A]) Call(a A) {
	functions := p.functions.Load()
	if functions == nil {
		return
	}
	for _, f := range *functions {
		(*f)(a)
	}
}

// Register adds a function and returns the function that removes it, which may be called
// once. A call of f that has begun may still run when that returns. Both may sleep.
func (p *Point[A]) Register(f func(A)) (unregister func()) {
	entry := &f
	p.change(func(old []*func(A)) []*func(A) { return append(slices.Clone(old), entry) })
	return func() {
		p.change(func(old []*func(A)) []*func(A) {
			return slices.DeleteFunc(slices.Clone(old), func(one *func(A)) bool { return one == entry })
		})
	}
}

// change replaces the list of functions by what next returns for it.
func (p *Point[A]) change(next func([]*func(A)) []*func(A)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var old []*func(A)
	if functions := p.functions.Load(); functions != nil {
		old = *functions
	}
	list := next(old)
	if len(list) == 0 {
		p.functions.Store(nil)
		return
	}
	p.functions.Store(&list)
}
