package ptrace

import (
	"golang.org/x/sys/unix"

	"slowpath/task"
)

// call is one ptrace(2) request: who traces whom, and the two free arguments. Each
// tracer has one, because a request takes a fourth fewer instructions without an
// allocation.
type call struct {
	tracer, tracee *task.Task
	addr, data     uint64
}

// need is what a request needs of the tracee.
type need uint8

const (
	// needsStopped: the caller traces the tracee, which is in a ptrace stop. It
	// stays there until the request has ended. ESRCH otherwise.
	needsStopped need = iota
	// needsAttached: the caller traces the tracee, which may run. ESRCH otherwise.
	needsAttached
	// needsTask: the tracee exists. ESRCH otherwise.
	needsTask
	// needsNothing: the request has no tracee.
	needsNothing
)

// request is a row of the table of requests. The result of handle is that of the
// system call.
type request struct {
	name   string
	needs  need
	handle func(c *call) (uint64, error)
}

// requestTable has the rows by number, in two ranges: the requests of all architectures
// begin at firstGeneric. A row without a handler does not exist.
type requestTable struct {
	first, generic [64]request
}

// firstGeneric is PTRACE_SETOPTIONS, the first of the second range.
const firstGeneric = unix.PTRACE_SETOPTIONS

// row returns the row of a request, or that of unknown.
func (r *requestTable) row(number int32) *request {
	rows := &r.first
	if number >= firstGeneric {
		rows, number = &r.generic, number-firstGeneric
	}
	if uint32(number) >= uint32(len(rows)) || rows[number].handle == nil {
		return &unknown
	}
	return &rows[number]
}

// requests is the table, by the request's number (include/uapi/linux/ptrace.h,
// arch/x86/include/uapi/asm/ptrace-abi.h). Each part of it is in the file of its
// requests.
var requests = table(attachRequests, resumeRequests, optionRequests, signalRequests, syscallRequests,
	memoryRequests, userRequests, registerRequests, regsetRequests, rseqRequests, seccompRequests, segmentRequests)

// table returns the table with the rows of all parts.
func table(parts ...map[int32]request) *requestTable {
	t := &requestTable{}
	for _, part := range parts {
		for number, row := range part {
			if number >= firstGeneric {
				t.generic[number-firstGeneric] = row
			} else {
				t.first[number] = row
			}
		}
	}
	return t
}

// unknown is the row of a number without a row.
var unknown = request{handle: func(*call) (uint64, error) { return 0, unix.EIO }}

// Request is ptrace(2), in the layout of t's call. PEEKTEXT, PEEKDATA and PEEKUSER store the word at data, as
// the system call does and not its C function. Only t's own goroutine calls it; it
// may sleep.
//
// Errors: those of ptrace(2). EIO for an unknown request, after the checks that
// the tracee exists, is traced by t, and is stopped.
func Request(t *task.Task, number int32, tid int, addr, data uint64) (uint64, error) {
	rows := requests
	if t.Layout.Narrow() {
		rows = requests32
	}
	r, c := rows.row(number), &of(t).call
	c.tracer, c.addr, c.data = t, addr, data
	switch r.needs {
	case needsStopped:
		if err := c.freeze(tid); err != nil {
			return 0, err
		}
		defer t.Thaw(c.tracee)
	case needsAttached, needsTask:
		c.tracee = t.Kernel().TaskByID(tid)
		if c.tracee == nil || r.needs == needsAttached && !t.Traces(c.tracee) {
			return 0, unix.ESRCH
		}
	}
	return r.handle(c)
}

// freeze finds and freezes the tracee: ESRCH. It tries that of the last request first:
// if it has the id and the caller traces it, it is the one that the table of ids has.
func (c *call) freeze(tid int) error {
	if c.tracee != nil && c.tracee.TID() == tid && c.tracer.Freeze(c.tracee) == nil {
		return nil
	}
	if c.tracee = c.tracer.Kernel().TaskByID(tid); c.tracee == nil {
		return unix.ESRCH
	}
	return c.tracer.Freeze(c.tracee)
}

// only returns the handler of a request that has no result but an error.
func only(handle func(c *call) error) func(c *call) (uint64, error) {
	return func(c *call) (uint64, error) { return 0, handle(c) }
}
