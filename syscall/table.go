// Package syscall is the system call interface: a table with one row per call,
// and the handlers, which decode the arguments and call the layers below.
//
// The rows of a family are in one file, with most of their handlers. A call
// without a row returns ENOSYS. A row that does less than Linux 6.1 says what
// is missing and why.
package syscall

import (
	"cmp"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/task"
)

// Handler executes one system call of a task.
type Handler = entry.Handler[*task.Task]

// FrameHandler is the handler of a call that needs registers other than the
// arguments. f is t's frame.
type FrameHandler func(t *task.Task, f *amd64.Frame, a *amd64.Args) (uint64, error)

// Kind is the type of an argument of a system call. It decides how a trace
// prints the argument.
type Kind uint8

// The kinds of arguments.
const (
	Int     Kind = iota // a signed number
	Uint                // a number or a size
	Hex                 // flags, masks, addresses that are not followed
	FD                  // a file descriptor
	DirFD               // the descriptor of a directory, or AT_FDCWD
	Pointer             // a user address
	Path                // the user address of a NUL-terminated string
	Mode                // permission bits, octal
	PID                 // a process or thread id
	Signal              // a signal number
)

// Row is one system call.
type Row struct {
	// Number is the call's number in its ABI.
	Number    int
	ABI       entry.ABI
	Name      string
	Arguments []Kind
	// Handler executes the call. If the call needs the register frame,
	// FrameHandler executes it. One of the two is nil.
	Handler      Handler
	FrameHandler FrameHandler
	// Partial is empty if the call does everything that it does in Linux 6.1.
	// Otherwise it says in a sentence what is missing and why.
	Partial string
}

// args returns its arguments as the Arguments of a row.
func args(kinds ...Kind) []Kind { return kinds }

// families returns the parts of the table.
func families() [][]Row {
	return [][]Row{fileCalls, memoryCalls, processCalls, signalCalls, timeCalls, faultCalls, seccompCalls}
}

// Table returns all rows, sorted by number.
func Table() []Row {
	all := slices.Concat(families()...)
	slices.SortFunc(all, func(a, b Row) int { return cmp.Compare(a.Number, b.Number) })
	return all
}

// Name returns the name of a 64-bit system call by its number, or "call N" if
// there is no row for it.
func Name(number int) string {
	if number >= 0 && number < entry.Calls && names[number] != "" {
		return names[number]
	}
	return "call " + strconv.Itoa(number)
}

// names has the names of the 64-bit calls by number.
var names = func() (n [entry.Calls]string) {
	for _, r := range Table() {
		if r.ABI == entry.X86_64 {
			n[r.Number] = r.Name
		}
	}
	return n
}()

// HandlerName returns the name of the function of the kernel that handles a system call, or
// "" if the call has no row.
func HandlerName(abi entry.ABI, number int) string {
	if abi == entry.I386 {
		return handlerName32(number)
	}
	return handlerName(func(r *Row) bool { return r.Number == number })
}

// handlerName returns the name of the function of the 64-bit row that is selected, or "".
func handlerName(selected func(r *Row) bool) string {
	for _, rows := range families() {
		for i := range rows {
			if r := &rows[i]; r.ABI == entry.X86_64 && selected(r) {
				return functionName(r.Handler, r.FrameHandler)
			}
		}
	}
	return ""
}

// functionName returns the name of a row's function, without the module's name.
func functionName(plain Handler, withFrame FrameHandler) string {
	handler := reflect.ValueOf(plain)
	if withFrame != nil {
		handler = reflect.ValueOf(withFrame)
	}
	return strings.TrimPrefix(runtime.FuncForPC(handler.Pointer()).Name(), "slowpath/")
}

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

// dispatched returns the row's entry in the dispatch table.
func (r *Row) dispatched() Handler {
	if r.FrameHandler == nil {
		return r.Handler
	}
	execute := r.FrameHandler
	return func(t *task.Task, a *amd64.Args) (uint64, error) { return execute(t, t.Frame, a) }
}

// notImplemented is the handler of a call without a row. It returns ENOSYS as a
// result, because that takes fewer instructions than an error.
func notImplemented(*task.Task, *amd64.Args) (uint64, error) { return entry.NoCall, nil }
