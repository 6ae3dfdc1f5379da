package syscall

import (
	"strconv"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/task"
)

// Row32 is a system call of the ABI I386 (arch/x86/entry/syscalls/syscall_32.tbl).
type Row32 struct {
	Number int
	Name   string
	// Row is the name of the 64-bit row whose handler executes the call, "" for Name. It
	// is not used if Handler or FrameHandler is set.
	Row string
	// Layout is that of the structures that the call exchanges with the program. It is
	// Layout64 if they are the same in both ABIs.
	Layout abi.Layout
	// Arguments are those of a call with a handler of its own.
	Arguments    []Kind
	Handler      Handler
	FrameHandler FrameHandler
}

// families32 returns the parts of the table.
func families32() [][]Row32 {
	return [][]Row32{sameCalls32, layoutCalls32, time64Calls32, splitCalls32, shortIDCalls32, oldCalls32, segmentCalls32, portCalls32}
}

// Table32 returns all rows of the ABI I386.
func Table32() (all []Row32) {
	for _, rows := range families32() {
		all = append(all, rows...)
	}
	return all
}

// Name32 returns the name of a system call of the ABI I386 by its number, or "call N" if
// there is no row for it.
func Name32(number int) string {
	if number >= 0 && number < entry.Calls && names32[number] != "" {
		return names32[number]
	}
	return "call " + strconv.Itoa(number)
}

// names32 has the names of the calls of the ABI I386 by number.
var names32 = func() (n [entry.Calls]string) {
	for _, r := range Table32() {
		n[r.Number] = r.Name
	}
	return n
}()

// Dispatch32 returns the calls of the ABI I386 by number, for the user loop.
func Dispatch32() *entry.Dispatch32[*task.Task] {
	rows := map[string]*Row{}
	for _, r := range Table() {
		if r.ABI == entry.X86_64 {
			rows[r.Name] = &r
		}
	}
	d := new(entry.Dispatch32[*task.Task])
	for _, r := range Table32() {
		d[r.Number] = r.dispatched(rows)
	}
	return d
}

// counterpart returns the name of the 64-bit row whose handler executes the call.
func (r *Row32) counterpart() string {
	if r.Row != "" {
		return r.Row
	}
	return r.Name
}

// dispatched returns the row's entry in the dispatch table. rows has the 64-bit rows by
// name.
func (r *Row32) dispatched(rows map[string]*Row) entry.Call32[*task.Task] {
	own := Row{Arguments: r.Arguments, Handler: r.Handler, FrameHandler: r.FrameHandler}
	if name := r.Served(); name != "" {
		own = *rows[name]
	}
	return entry.Call32[*task.Task]{
		Handler:   inLayout(r.Layout, own.dispatched()),
		Arguments: own.argumentCount(), Frame: own.FrameHandler != nil,
	}
}

// Served returns the name of the 64-bit row whose handler executes the call, "" if the call has
// a handler of its own.
func (r *Row32) Served() string {
	if r.Handler != nil || r.FrameHandler != nil {
		return ""
	}
	return r.counterpart()
}

// argumentCount returns the number of arguments of the call. A 64-bit row may name fewer than
// the call's prototype has.
func (r *Row) argumentCount() uint8 {
	n := len(r.Arguments)
	for _, p := range Prototypes() {
		if p.Number == r.Number && r.Name != "" {
			n = max(n, len(p.Parameters))
		}
	}
	return uint8(n)
}

// inLayout returns a handler that executes a call with another layout of structures.
func inLayout(l abi.Layout, execute Handler) Handler {
	if l == abi.Layout64 {
		return execute
	}
	return func(t *task.Task, a *amd64.Args) (uint64, error) {
		t.Layout = l
		defer func() { t.Layout = abi.Layout64 }()
		return execute(t, a)
	}
}

// same returns the row of a call that is the same in both ABIs.
func same(number int, name string) Row32 { return Row32{Number: number, Name: name} }

// as returns the row of a call that the handler of a 64-bit row executes in a layout.
func as(number int, name, row string, l abi.Layout) Row32 {
	return Row32{Number: number, Name: name, Row: row, Layout: l}
}

// handlerName32 is HandlerName for the ABI I386.
func handlerName32(number int) string {
	for _, rows := range families32() {
		for i := range rows {
			r := &rows[i]
			if r.Number != number {
				continue
			}
			if name := r.Served(); name != "" {
				return handlerName(func(wide *Row) bool { return wide.Name == name })
			}
			return functionName(r.Handler, r.FrameHandler)
		}
	}
	return ""
}
