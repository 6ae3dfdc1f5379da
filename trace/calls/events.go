package calls

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"slowpath/arch/amd64"
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

	maxArguments = len(entry.Args{})
)

// events are the trace events of system calls. Each is enabled and disabled with the
// registry locked.
type events struct {
	calls    *Calls
	registry *trace.Registry
	// The events that are enabled: those of all calls, and those of each call.
	rawEnter, rawExit atomic.Pointer[trace.Event]
	enter, exit       [entry.Calls]atomic.Pointer[trace.Event]
	counts            [entry.Calls]uint8 // of the arguments of each call

	enabled []enabledEvent // the registry's lock guards it
}

// eventUsers is what the users of the enabled events want. It is constant.
type eventUsers struct {
	enabled []enabledEvent
	numbers *Set // nil stands for all
	exits   bool // an event of an exit is enabled
	entries bool // an event of the entry of one call is enabled
	// rawEnter is the event of all entries if it is enabled, or nil.
	rawEnter *trace.Event
}

// want reports whether some user wants events of the task. Any goroutine may call it; it
// does not sleep.
func (u *eventUsers) want(t *task.Task) bool {
	return slices.ContainsFunc(u.enabled, func(one enabledEvent) bool { return one.Wants(t) })
}

// enabledEvent is an event, the number of its call or anyCall, and whether it is one of the
// exit.
type enabledEvent struct {
	*trace.Event
	number int
	exit   bool
}

// anyCall stands for all calls.
const anyCall = -1

// AddEvents adds the events raw_syscalls:sys_enter and sys_exit, and
// syscalls:sys_enter_NAME and sys_exit_NAME for each row, to r. It must be called once,
// before the first task is made. Errors: those of Registry.Add.
func (s *Calls) AddEvents(r *trace.Registry, rows []Row) error {
	e := &s.traced
	e.registry = r
	for _, d := range e.definitions(rows) {
		var added *trace.Event
		number, exit, at := d.number, d.exit, d.at
		d.Enable = func() error { e.enable(enabledEvent{added, number, exit}, at); return nil }
		d.Disable = func() { e.disable(added, at) }
		d.Refiltered = e.publish
		var err error
		if added, err = r.Add(d.Definition); err != nil {
			return fmt.Errorf("the event %s:%s cannot be added: %w", d.System, d.Name, err)
		}
	}
	return nil
}

// definition is an event, the number of its call or anyCall, whether it is one of the exit,
// and where it is stored while it is enabled.
type definition struct {
	trace.Definition
	number int
	exit   bool
	at     *atomic.Pointer[trace.Event]
}

// definitions returns all events.
func (e *events) definitions(rows []Row) []definition {
	all := make([]definition, 0, 2+2*len(rows))
	all = append(all,
		definition{rawEnterDefinition, anyCall, false, &e.rawEnter}, definition{rawExitDefinition, anyCall, true, &e.rawExit})
	for i := range rows {
		row := &rows[i]
		e.counts[row.Number] = uint8(len(row.Parameters))
		all = append(all,
			definition{row.enterDefinition(), row.Number, false, &e.enter[row.Number]},
			definition{row.exitDefinition(), row.Number, true, &e.exit[row.Number]})
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
		PrintFormat: func() string {
			return `"NR %ld (%lx, %lx, %lx, %lx, %lx, %lx)", REC->id, REC->args[0], REC->args[1], REC->args[2], REC->args[3], REC->args[4], REC->args[5]`
		},
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
		PrintFormat: func() string { return `"NR %ld = %ld", REC->id, REC->ret` },
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
	for i, p := range row.Parameters {
		fields = append(fields, trace.Field{Type: p.Type, Name: p.Name, Offset: valueAt + i*wordSize, Size: wordSize})
	}
	return trace.Definition{
		System: "syscalls", Name: "sys_enter_" + row.Name, Fields: fields, PrintFormat: row.enterFormat, Print: row.printEnter,
		OfProgram: true,
	}
}

// enterFormat returns the print format of the event at the entry.
func (row *Row) enterFormat() string {
	var formats, values strings.Builder
	for i, p := range row.Parameters {
		if i > 0 {
			formats.WriteString(", ")
		}
		formats.WriteString(p.Name + ": 0x%08lx")
		values.WriteString(", ((unsigned long)(REC->" + p.Name + "))")
	}
	return `"` + formats.String() + `"` + values.String()
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
		System: "syscalls", Name: "sys_exit_" + row.Name, Fields: exitFields, OfProgram: true,
		PrintFormat: func() string { return `"0x%lx", REC->ret` },
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
func (e *events) enable(one enabledEvent, at *atomic.Pointer[trace.Event]) {
	e.enabled = append(e.enabled, one)
	at.Store(one.Event)
	e.publish()
}

// disable is Disable of an event.
func (e *events) disable(added *trace.Event, at *atomic.Pointer[trace.Event]) {
	e.enabled = slices.DeleteFunc(e.enabled, func(one enabledEvent) bool { return one.Event == added })
	at.Store(nil)
	e.publish()
}

// publish tells the tasks what the users of the enabled events want. The registry is
// locked.
func (e *events) publish() {
	users := e.users()
	e.calls.store(func(consumers []*Consumer, _ *eventUsers) *plan { return newPlan(consumers, users) })
}

// users returns what the users of the enabled events want, nil if no event is enabled.
func (e *events) users() *eventUsers {
	if len(e.enabled) == 0 {
		return nil
	}
	u := &eventUsers{enabled: slices.Clone(e.enabled), numbers: new(Set), rawEnter: e.rawEnter.Load()}
	for _, one := range e.enabled {
		u.exits = u.exits || one.exit
		u.entries = u.entries || !one.exit && one.number != anyCall
		if one.number == anyCall {
			u.numbers = nil
		} else if u.numbers != nil {
			u.numbers.Add(one.number)
		}
	}
	return u
}

// onlyEvent is one event of the entry.
type onlyEvent struct {
	event *trace.Event // nil if there is none
	// number and mask select the calls: a number is equal in the bits of the mask.
	number, mask uint64
	length       trace.ShortLength
}

// onlyEvent returns the event of the entry that is enabled, if it is only one.
func (u *eventUsers) onlyEvent() (only onlyEvent) {
	for _, one := range u.enabled {
		switch {
		case one.exit:
			continue
		case only.event != nil:
			return onlyEvent{}
		case one.number == anyCall:
			only = onlyEvent{event: one.Event, length: trace.ShortWords(maxArguments)}
		default:
			only = onlyEvent{event: one.Event, number: uint64(one.number), mask: ^uint64(0), length: trace.ShortWords(len(one.Fields) - 1)}
		}
	}
	return only
}

// entered records the events at the entry of a call.
func (e *events) entered(users *eventUsers, t *task.Task, nr int32, args *entry.Args) {
	tsc, arguments := amd64.TSC(), (*trace.Words)(args)
	if raw := users.rawEnter; raw != nil {
		record(raw, tsc, t, t.Frame.LastCPU(), uint64(nr), arguments, trace.ShortWords(maxArguments))
	}
	if users.entries && uint32(nr) < entry.Calls {
		if one := e.enter[nr].Load(); one != nil {
			record(one, tsc, t, t.Frame.LastCPU(), uint64(nr), arguments, trace.ShortWords(int(e.counts[nr])))
		}
	}
}

// exited records the events at the exit of a call, which may have slept and gone on
// another CPU. The number is the one in the frame, as on Linux: rt_sigreturn(2) has replaced
// it. A call that ends the task has no exit on Linux. As there, the events of single calls
// are of the x86-64 ABI (trace_get_syscall_nr).
func (e *events) exited(t *task.Task) {
	if t.Exiting() {
		return
	}
	cpu, tsc, f := e.registry.CPU(), amd64.TSC(), t.Frame
	number, one := int32(f.OrigRAX), e.rawExit.Load()
	if f.InCall32() {
		e.exited32(t)
		return
	}
	if uint32(number) < entry.Calls {
		if other := e.exit[number].Load(); other != nil && one != nil {
			e.recordExit(t, cpu, tsc)
			return
		} else if other != nil {
			one = other
		}
	}
	if result := (trace.Words{f.RAX}); one == nil || !one.StoreShort(tsc, t.TID(), cpu, uint64(number), &result, trace.ShortWords(1)) {
		e.recordExit(t, cpu, tsc)
	}
}

// exited32 is exited for a call of the ABI I386.
//
//go:noinline
func (e *events) exited32(t *task.Task) {
	if raw := e.rawExit.Load(); raw != nil {
		result := trace.Words{t.Frame.RAX}
		record(raw, amd64.TSC(), t, e.registry.CPU(), uint64(int32(t.Frame.OrigRAX)), &result, trace.ShortWords(1))
	}
}

// recordExit records all events at the exit of a call.
func (e *events) recordExit(t *task.Task, cpu int, tsc uint64) {
	number, result := int32(t.Frame.OrigRAX), trace.Words{t.Frame.RAX}
	if raw := e.rawExit.Load(); raw != nil {
		record(raw, tsc, t, cpu, uint64(number), &result, trace.ShortWords(1))
	}
	if uint32(number) < entry.Calls {
		if one := e.exit[number].Load(); one != nil {
			record(one, tsc, t, cpu, uint64(number), &result, trace.ShortWords(1))
		}
	}
}

// record records an event of a call.
func record(e *trace.Event, tsc uint64, t *task.Task, cpu int, number uint64, words *trace.Words, length trace.ShortLength) {
	if !e.StoreShort(tsc, t.TID(), cpu, number, words, length) {
		e.RecordShort(t, t.Frame, number, words, length)
	}
}
