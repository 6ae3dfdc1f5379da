package ptrace

import (
	"maps"

	"golang.org/x/sys/unix"

	"slowpath/task"
)

// call is one ptrace(2) request: who traces whom, and the two free arguments.
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

// requests is the table, by the request's number (include/uapi/linux/ptrace.h,
// arch/x86/include/uapi/asm/ptrace-abi.h). Each part of it is in the file of its
// requests.
var requests = join(attachRequests, resumeRequests, optionRequests, signalRequests, syscallRequests,
	memoryRequests, userRequests, registerRequests, regsetRequests, rseqRequests, seccompRequests)

// join returns the union of the parts of the table.
func join(parts ...map[int32]request) map[int32]request {
	all := map[int32]request{}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}

// unknown is the row of a number without a row.
var unknown = request{handle: func(*call) (uint64, error) { return 0, unix.EIO }}

// Request is ptrace(2). PEEKTEXT, PEEKDATA and PEEKUSER store the word at data, as
// the system call does and not its C function. Only t's own goroutine calls it; it
// may sleep.
//
// Errors: those of ptrace(2). EIO for an unknown request, after the checks that
// the tracee exists, is traced by t, and is stopped.
func Request(t *task.Task, number int32, tid int, addr, data uint64) (uint64, error) {
	r, known := requests[number]
	if !known {
		r = unknown
	}
	c := &call{tracer: t, addr: addr, data: data}
	if r.needs == needsNothing {
		return r.handle(c)
	}
	if c.tracee = t.Kernel().TaskByID(tid); c.tracee == nil {
		return 0, unix.ESRCH
	}
	switch r.needs {
	case needsAttached:
		if !t.Traces(c.tracee) {
			return 0, unix.ESRCH
		}
	case needsStopped:
		if err := t.Freeze(c.tracee); err != nil {
			return 0, err
		}
		defer t.Thaw(c.tracee)
	}
	return r.handle(c)
}

// only returns the handler of a request that has no result but an error.
func only(handle func(c *call) error) func(c *call) (uint64, error) {
	return func(c *call) (uint64, error) { return 0, handle(c) }
}
