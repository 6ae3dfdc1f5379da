package trace

import (
	"encoding/binary"
	"runtime"

	"slowpath/trace/hist"
)

// idStack is the id of the records of kernel_stack.
const idStack = 4

// Layout of a record of kernel_stack: the number of callers, and their addresses.
const (
	stackSizeAt = CommonSize
	callersAt   = CommonSize + 8

	maxCallers = 32
)

// storeStack stores the functions of the kernel that the goroutine of a thread executes, as a
// record of kernel_stack. skip is how many callers of it are left out.
func (i *Instance) storeStack(t Task, skip int) {
	var callers [maxCallers]uintptr
	n := runtime.Callers(2+skip, callers[:])
	record := make([]byte, callersAt, callersAt+8*maxCallers)
	putCommon(record, idStack, t.TID())
	binary.LittleEndian.PutUint32(record[stackSizeAt:], uint32(n))
	for _, pc := range callers[:n] {
		record = binary.LittleEndian.AppendUint64(record, uint64(pc))
	}
	i.store(t, record)
}

// storeEvent stores a record of an event, and with the option stacktrace the kernel's stack.
func (i *Instance) storeEvent(t Task, record []byte) {
	if i.store(t, record) && i.has(optionStack) {
		i.storeStack(t, stackOfEvent)
	}
}

// stackOfEvent is the number of this package's functions above the place of an event, and
// stackOfTrigger that above a trigger.
const (
	stackOfEvent   = 3
	stackOfTrigger = 4
)

// printStack appends a record of kernel_stack (Linux: trace_stack_print).
func printStack(dst, record []byte) []byte {
	dst = append(dst, "<stack trace>\n"...)
	for at := callersAt; at+8 <= len(record); at += 8 {
		// A return address belongs to the instruction before it.
		name, _, _ := hist.Symbol(binary.LittleEndian.Uint64(record[at:]) - 1)
		dst = append(append(append(dst, " => "...), name...), '\n')
	}
	return dst
}
