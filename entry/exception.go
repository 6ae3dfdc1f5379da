package entry

import (
	"fmt"

	"slowpath/arch/amd64"
)

// Owner says who may own an exception of user mode. An owner is asked in this
// order, and the first that handles the exception ends the chain.
type Owner uint8

// The owners.
const (
	// ByUprobe: the breakpoint or the single step belongs to a probe. The
	// program and its tracer do not see it.
	ByUprobe Owner = iota
	// ByTracer: the exception belongs to the tracer: a single step that it
	// forced, a breakpoint register that it set.
	ByTracer
	// ByProgram: the exception is the program's own. The kernel resolves it, or
	// sends a signal. This owner never declines.
	ByProgram

	owners
)

// String returns the owner's name.
func (o Owner) String() string { return [...]string{"uprobe", "tracer", "program"}[o] }

// ExceptionHandler handles exceptions of user mode for one owner.
type ExceptionHandler[T any] struct {
	Owner Owner
	// Vectors are the exceptions that the owner is interested in.
	Vectors []int
	// Handle handles the exception and returns true, or returns false if it is
	// not the owner's. It runs on the task's goroutine with interrupts on, and
	// may sleep.
	Handle func(t T, f *amd64.Frame, vector int) bool
}

// Exceptions is the chain of owners for each vector below
// amd64.FirstInterrupt. It is immutable and safe for concurrent use.
type Exceptions[T any] struct {
	chains [amd64.FirstInterrupt][owners]func(t T, f *amd64.Frame, vector int) bool
}

// NewExceptions builds the chains. It fails if a vector is out of range, if two
// handlers of one owner claim the same vector, or if a vector has no handler
// ByProgram.
func NewExceptions[T any](handlers ...ExceptionHandler[T]) (*Exceptions[T], error) {
	e := new(Exceptions[T])
	for _, h := range handlers {
		for _, vector := range h.Vectors {
			if vector < 0 || vector >= len(e.chains) {
				return nil, fmt.Errorf("entry: vector %d is not an exception", vector)
			}
			if e.chains[vector][h.Owner] != nil {
				return nil, fmt.Errorf("entry: exception %d has two handlers of the owner %v", vector, h.Owner)
			}
			e.chains[vector][h.Owner] = h.Handle
		}
	}
	for vector := range e.chains {
		if e.chains[vector][ByProgram] == nil {
			return nil, fmt.Errorf("entry: exception %d has no handler of the owner %v", vector, ByProgram)
		}
	}
	return e, nil
}

// Handle offers the exception to its owners in their order.
func (e *Exceptions[T]) Handle(t T, f *amd64.Frame, vector int) {
	for _, handle := range &e.chains[vector] {
		if handle != nil && handle(t, f, vector) {
			return
		}
	}
	panic(fmt.Sprintf("entry: no owner has handled exception %d", vector))
}
