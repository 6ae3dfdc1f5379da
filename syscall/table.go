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
	"slowpath/entry"
	"slowpath/task"
)

// Handler executes one system call of a task.
type Handler = entry.Handler[*task.Task]

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
	// Number is the call's number in its ABI.
	Number    int
	ABI       entry.ABI
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
	if number >= 0 && number < entry.Calls && names[number] != "" {
		return names[number]
	}
	return "call " + strconv.Itoa(number)
}

// names is the names of the 64-bit calls by number.
var names = func() (n [entry.Calls]string) {
	for _, r := range Table() {
		if r.ABI == entry.X86_64 {
			n[r.Number] = r.Name
		}
	}
	return n
}()

// Dispatch returns the handlers of an ABI by number, for the user loop.
func Dispatch(abi entry.ABI) (d entry.Dispatch[*task.Task]) {
	for i := range d {
		d[i] = notImplemented
	}
	for _, rows := range families() {
		for _, r := range rows {
			if r.ABI == abi {
				d[r.Number] = r.dispatched()
			}
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
// because that takes fewer instructions than an error.
func notImplemented(*task.Task, *amd64.Args) (uint64, error) { return entry.NoCall, nil }
