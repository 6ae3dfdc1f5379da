// Package syscall is the system call interface: the table with one row a call,
// the thin functions that decode arguments and call the layers below, and the
// loop in which a task alternates between user mode and them.
//
// The functions of one family stand in one file with their rows. A call that
// has no row is ENOSYS; a row that does less than Linux 6.1 says what is
// missing and why.
package syscall

import (
	"cmp"
	"slices"
	"strconv"

	"slowpath/arch/amd64"
	"slowpath/task"
)

// Handler executes one system call of t. It runs on t's goroutine, with
// interrupts on, and may sleep. It does not write to the arguments. The error is
// a bare unix.Errno, or one of package abi's restart codes.
type Handler func(t *task.Task, a *amd64.Args) (uint64, error)

// FrameHandler is the handler of a call that needs other registers than its
// arguments. The frame is t's own.
type FrameHandler func(t *task.Task, f *amd64.Frame) (uint64, error)

// Kind says what an argument of a system call is, for those who print it.
type Kind uint8

// The kinds of arguments.
const (
	Int     Kind = iota // a number, signed
	Uint                // a number or a size
	Hex                 // flags, masks, addresses that are not followed
	FD                  // a file descriptor
	DirFD               // a directory's, or AT_FDCWD
	Pointer             // the address of something
	Path                // the address of a string that ends with a zero byte
	Mode                // permission bits, octal
	PID                 // a process or thread
	Signal              // a signal's number
)

// Row is one system call.
type Row struct {
	Number    int
	Name      string
	Arguments []Kind
	// Handler executes the call; FrameHandler does, if the call needs the
	// register frame. One of the two is nil.
	Handler      Handler
	FrameHandler FrameHandler
	// Partial is empty where the call does all that Linux 6.1's does; else it
	// says what is missing and why, as a sentence.
	Partial string
}

// args writes the kinds of a row's arguments.
func args(kinds ...Kind) []Kind { return kinds }

// families are the parts of the table, each in the file of its handlers.
func families() [][]Row {
	return [][]Row{fileCalls, memoryCalls, processCalls, signalCalls, timeCalls, faultCalls}
}

// Table returns every row, by number.
func Table() []Row {
	all := slices.Concat(families()...)
	slices.SortFunc(all, func(a, b Row) int { return cmp.Compare(a.Number, b.Number) })
	return all
}

// Name returns the name of a system call by its number.
func Name(number int) string {
	if number >= 0 && number < handlers && names[number] != "" {
		return names[number]
	}
	return "call " + strconv.Itoa(number)
}

// names is the names of the table by number.
var names = func() (n [handlers]string) {
	for _, r := range Table() {
		n[r.Number] = r.Name
	}
	return n
}()

// handlers is how many numbers the fast path looks up: a power of two above
// the highest that Linux 6.1 has.
const handlers = 512

// dispatch is the table by number, for the loop. It is complete before main
// begins and never changes.
var dispatch = buildDispatch()

func buildDispatch() (d [handlers]Handler) {
	for i := range d {
		d[i] = notImplemented
	}
	for _, rows := range families() {
		for _, r := range rows {
			d[r.Number] = r.dispatched()
		}
	}
	return d
}

// dispatched returns what the dispatch table calls for the row.
func (r *Row) dispatched() Handler {
	if r.FrameHandler == nil {
		return r.Handler
	}
	execute := r.FrameHandler
	return func(t *task.Task, _ *amd64.Args) (uint64, error) { return execute(t, t.Frame) }
}

// notImplemented is a call without a row. It returns its errno as a result,
// which is quicker than an error.
func notImplemented(*task.Task, *amd64.Args) (uint64, error) { return noSuchCall, nil }
