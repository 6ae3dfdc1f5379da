package calls

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"slowpath/entry"
	"slowpath/task"
	"slowpath/trace"
)

// Row describes a system call for its trace events.
type Row struct {
	Number int
	// Name is the name of the function of Linux without "sys_", and Parameters are its
	// parameters.
	Name       string
	Parameters []Parameter
}

// Parameter is a parameter of a system call: its type in C, and its name.
type Parameter struct{ Type, Name string }

// Offsets in a record: the number of the call, and its arguments or its result. The number
// has 8 bytes in raw_syscalls and 4 in syscalls (Linux: struct syscall_trace_enter).
const (
	numberAt = trace.CommonSize
	valueAt  = numberAt + 8
	wordSize = 8

	maxRecord  = valueAt + maxArguments*wordSize
	exitRecord = valueAt + wordSize

	maxArguments = len(entry.Args{})
)

// events are the trace events of system calls. Each is enabled and disabled with the
// registry locked.
type events struct {
	calls *Calls
	// The events that are enabled: those of all calls, and those of each call.
	rawEnter, rawExit atomic.Pointer[trace.Event]
	enter, exit       [entry.Calls]atomic.Pointer[trace.Event]
	arguments         [entry.Calls]uint8 // the number of arguments of each call

	// The registry's lock guards these.
	enabled     []enabledEvent
	unsubscribe func() // nil while no event is enabled
}

// enabledEvent is an event and the number of its call, or anyCall.
type enabledEvent struct {
	*trace.Event
	number int
}

// anyCall stands for all calls.
const anyCall = -1

// AddEvents adds the events raw_syscalls:sys_enter and sys_exit, and
// syscalls:sys_enter_NAME and sys_exit_NAME for each row, to r. It must be called once,
// before the first task is made. Errors: those of Registry.Add.
func (s *Calls) AddEvents(r *trace.Registry, rows []Row) error {
	e := &events{calls: s}
	for _, d := range e.definitions(rows) {
		var added *trace.Event
		number, at := d.number, d.at
		d.Enable = func() error { e.enable(added, number, at); return nil }
		d.Disable = func() { e.disable(added, at) }
		d.Refiltered = e.subscribe
		var err error
		if added, err = r.Add(d.Definition); err != nil {
			return fmt.Errorf("the event %s:%s cannot be added: %w", d.System, d.Name, err)
		}
	}
	return nil
}

// definition is an event, the number of its call or anyCall, and where it is stored while
// it is enabled.
type definition struct {
	trace.Definition
	number int
	at     *atomic.Pointer[trace.Event]
}

// definitions returns all events.
func (e *events) definitions(rows []Row) []definition {
	all := []definition{{rawEnterDefinition, anyCall, &e.rawEnter}, {rawExitDefinition, anyCall, &e.rawExit}}
	for i := range rows {
		row := &rows[i]
		e.arguments[row.Number] = uint8(len(row.Parameters))
		all = append(all,
			definition{row.enterDefinition(), row.Number, &e.enter[row.Number]},
			definition{row.exitDefinition(), row.Number, &e.exit[row.Number]})
	}
	return all
}

// The events of all calls (Linux: include/trace/events/syscalls.h).
var (
	rawEnterDefinition = trace.Definition{
		System: "raw_syscalls", Name: "sys_enter",
		Fields: []trace.Field{
			{Type: "long", Name: "id", Offset: numberAt, Size: wordSize, Signed: true},
			{Type: "unsigned long[6]", Name: "args", Offset: valueAt, Size: maxArguments * wordSize, Length: maxArguments},
		},
		PrintFormat: `"NR %ld (%lx, %lx, %lx, %lx, %lx, %lx)", REC->id, REC->args[0], REC->args[1], REC->args[2], REC->args[3], REC->args[4], REC->args[5]`,
		Print: func(dst, record []byte) []byte {
			dst = fmt.Appendf(dst, "sys_enter: NR %d (", int64(word(record, numberAt)))
			for i := range maxArguments {
				dst = fmt.Appendf(dst, "%x", word(record, valueAt+i*wordSize))
				if i < maxArguments-1 {
					dst = append(dst, ", "...)
				}
			}
			return append(dst, ")\n"...)
		},
	}
	rawExitDefinition = trace.Definition{
		System: "raw_syscalls", Name: "sys_exit",
		Fields: []trace.Field{
			{Type: "long", Name: "id", Offset: numberAt, Size: wordSize, Signed: true},
			{Type: "long", Name: "ret", Offset: valueAt, Size: wordSize, Signed: true},
		},
		PrintFormat: `"NR %ld = %ld", REC->id, REC->ret`,
		Print: func(dst, record []byte) []byte {
			return fmt.Appendf(dst, "sys_exit: NR %d = %d\n", int64(word(record, numberAt)), int64(word(record, valueAt)))
		},
	}
)

// numberField is the number of the call in the events of one call.
var numberField = trace.Field{Type: "int", Name: "__syscall_nr", Offset: numberAt, Size: 4, Signed: true}

// exitFields are the fields at the exit of one call.
var exitFields = []trace.Field{numberField, {Type: "long", Name: "ret", Offset: valueAt, Size: wordSize, Signed: true}}

// enterDefinition returns the event at the entry of the call (Linux:
// syscall_enter_define_fields, print_syscall_enter).
func (row *Row) enterDefinition() trace.Definition {
	fields := append(make([]trace.Field, 0, 1+len(row.Parameters)), numberField)
	var formats, values strings.Builder
	for i, p := range row.Parameters {
		fields = append(fields, trace.Field{Type: p.Type, Name: p.Name, Offset: valueAt + i*wordSize, Size: wordSize})
		if i > 0 {
			formats.WriteString(", ")
		}
		formats.WriteString(p.Name + ": 0x%08lx")
		values.WriteString(", ((unsigned long)(REC->" + p.Name + "))")
	}
	return trace.Definition{
		System: "syscalls", Name: "sys_enter_" + row.Name, Fields: fields,
		PrintFormat: `"` + formats.String() + `"` + values.String(), Print: row.printEnter,
	}
}

func (row *Row) printEnter(dst, record []byte) []byte {
	dst = append(append(append(dst, "sys_"...), row.Name...), '(')
	for i := range row.Parameters {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = fmt.Appendf(dst, "%s: %x", row.Parameters[i].Name, word(record, valueAt+i*wordSize))
	}
	return append(dst, ")\n"...)
}

// exitDefinition returns the event at the exit of the call (Linux: print_syscall_exit).
func (row *Row) exitDefinition() trace.Definition {
	return trace.Definition{
		System: "syscalls", Name: "sys_exit_" + row.Name, Fields: exitFields,
		PrintFormat: `"0x%lx", REC->ret`,
		Print: func(dst, record []byte) []byte {
			return fmt.Appendf(dst, "sys_%s -> 0x%x\n", row.Name, word(record, valueAt))
		},
	}
}

// word returns a word of a record, 0 beyond its end.
func word(record []byte, at int) uint64 {
	if at+wordSize > len(record) {
		return 0
	}
	return binary.LittleEndian.Uint64(record[at:])
}

// enable is Enable of an event.
func (e *events) enable(added *trace.Event, number int, at *atomic.Pointer[trace.Event]) {
	e.enabled = append(e.enabled, enabledEvent{added, number})
	at.Store(added)
	e.subscribe()
}

// disable is Disable of an event.
func (e *events) disable(added *trace.Event, at *atomic.Pointer[trace.Event]) {
	e.enabled = slices.DeleteFunc(e.enabled, func(one enabledEvent) bool { return one.Event == added })
	at.Store(nil)
	e.subscribe()
}

// subscribe replaces the consumer by one that wants what the users of the enabled events
// want. The registry is locked.
func (e *events) subscribe() {
	before := e.unsubscribe
	e.unsubscribe = nil
	if len(e.enabled) > 0 {
		e.unsubscribe = e.calls.Subscribe(e.consumer())
	}
	if before != nil {
		before()
	}
}

// consumer returns the consumer for the enabled events.
func (e *events) consumer() *Consumer {
	enabled := slices.Clone(e.enabled)
	c := &Consumer{Enter: e.entered, Exit: e.exited, Wants: func(t *task.Task) bool {
		return slices.ContainsFunc(enabled, func(one enabledEvent) bool { return one.Wants(t) })
	}}
	if !slices.ContainsFunc(enabled, func(one enabledEvent) bool { return one.number == anyCall }) {
		c.Numbers = new(Set)
		for _, one := range enabled {
			c.Numbers.Add(one.number)
		}
	}
	return c
}

// entered implements Enter of the consumer.
func (e *events) entered(t *task.Task, c *entry.Call) {
	record := &e.calls.tasks.Of(t).record
	if raw := e.rawEnter.Load(); raw != nil {
		binary.LittleEndian.PutUint64(record[numberAt:], uint64(c.NR))
		putArguments(record, c)
		send(raw, t, record[:])
	}
	if uint32(c.NR) < entry.Calls {
		if one := e.enter[c.NR].Load(); one != nil {
			binary.LittleEndian.PutUint64(record[numberAt:], uint64(uint32(c.NR)))
			putArguments(record, c)
			send(one, t, record[:valueAt+int(e.arguments[c.NR])*wordSize])
		}
	}
}

// exited implements Exit of the consumer. The number is the one in the frame, as on Linux:
// rt_sigreturn(2) has replaced it. A call that ends the task has no exit on Linux.
func (e *events) exited(t *task.Task, _ *entry.Call, result int64) {
	if t.Exiting() {
		return
	}
	record, number := &e.calls.tasks.Of(t).record, int32(t.Frame.OrigRAX)
	binary.LittleEndian.PutUint64(record[valueAt:], uint64(result))
	if raw := e.rawExit.Load(); raw != nil {
		binary.LittleEndian.PutUint64(record[numberAt:], uint64(number))
		send(raw, t, record[:exitRecord])
	}
	if uint32(number) < entry.Calls {
		if one := e.exit[number].Load(); one != nil {
			binary.LittleEndian.PutUint64(record[numberAt:], uint64(uint32(number)))
			send(one, t, record[:exitRecord])
		}
	}
}

// putArguments stores the arguments of a call into a record.
func putArguments(record *[maxRecord]byte, c *entry.Call) {
	for i, argument := range c.Args {
		binary.LittleEndian.PutUint64(record[valueAt+i*wordSize:], argument)
	}
}

// send records an event. Sinks get the registers, so the frame must be complete for them.
func send(one *trace.Event, t *task.Task, record []byte) {
	if one.HasSinks() {
		t.Frame.Settle()
	}
	one.Record(t, t.Frame, record)
}
