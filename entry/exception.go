package entry

import (
	"fmt"

	"slowpath/arch/amd64"
)

// Owner is a possible owner of an exception of user mode. The handlers are
// called in the order of these constants, until one handles the exception.
type Owner uint8

// The owners.
const (
	// ByUprobe: a breakpoint or a single step of a uprobe. The program and its
	// tracer do not see it.
	ByUprobe Owner = iota
	// ByVsyscall: a call of a function of the vsyscall page.
	ByVsyscall
	// ByTracer: a single step or a hardware breakpoint that the tracer requested.
	ByTracer
	// ByProgram: an exception that the program caused. The kernel resolves it or
	// sends a signal. The handler must return true.
	ByProgram

	owners
)

// String returns the owner's name.
func (o Owner) String() string { return [...]string{"uprobe", "vsyscall", "tracer", "program"}[o] }

// ExceptionHandler handles exceptions of user mode for one owner.
type ExceptionHandler[T any] struct {
	Owner Owner
	// Vectors are the exceptions for which Handle is called.
	Vectors []int
	// Handle handles the exception and returns true, or returns false if it does
	// not belong to the owner. It runs on the task's goroutine with interrupts
	// on, and may sleep.
	Handle func(t T, f *amd64.Frame, vector int) bool
}

// Exceptions has a chain of handlers for each vector below
// amd64.FirstInterrupt. It is immutable and safe for concurrent use.
type Exceptions[T any] struct {
	chains [amd64.FirstInterrupt][owners]func(t T, f *amd64.Frame, vector int) bool
}

// NewExceptions builds the chains. It fails if a vector is out of range, if two
// handlers of one owner have the same vector, or if a vector has no handler of
// the owner ByProgram.
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

// Handle calls the handlers of the vector in the order of their owners, until
// one handles the exception. It panics if none does.
func (e *Exceptions[T]) Handle(t T, f *amd64.Frame, vector int) {
	for _, handle := range &e.chains[vector] {
		if handle != nil && handle(t, f, vector) {
			return
		}
	}
	panic(fmt.Sprintf("entry: no owner handled exception %d", vector))
}
