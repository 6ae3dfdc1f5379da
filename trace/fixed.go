package trace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"slowpath/abi"
)

// fixedEvent is a kind of record of Linux's own tracers (kernel/trace/trace_entries.h).
// Tools need the formats of all of them, but only kernel_stack, print and raw_data are
// recorded here.
type fixedEvent struct {
	id          int
	name        string
	printFormat string
	print       func(dst, record []byte) []byte
	fields      []Field
}

// FixedSystem is the system of the events that only have a format.
const FixedSystem = "ftrace"

func (f *fixedEvent) definition() Definition {
	d := Definition{System: FixedSystem, Name: f.name, Fields: f.fields, PrintFormat: func() string { return f.printFormat }, Print: f.print, Fixed: true}
	if d.Print == nil {
		d.Print = func(dst, _ []byte) []byte { return append(dst, "type: "+strconv.Itoa(f.id)+"\n"...) }
	}
	return d
}

var fixedEvents = []fixedEvent{
	{1, "function", `" %ps <-- %ps", (void *)REC->ip, (void *)REC->parent_ip`, nil, []Field{
		{Type: "unsigned long", Name: "ip", Offset: 8, Size: 8},
		{Type: "unsigned long", Name: "parent_ip", Offset: 16, Size: 8},
	}},
	{2, "context_switch", `"%u:%u:%u  ==> %u:%u:%u [%03u]", REC->prev_pid, REC->prev_prio, REC->prev_state, REC->next_pid, REC->next_prio, REC->next_state, REC->next_cpu`, nil, []Field{
		{Type: "unsigned int", Name: "prev_pid", Offset: 8, Size: 4},
		{Type: "unsigned int", Name: "next_pid", Offset: 12, Size: 4},
		{Type: "unsigned int", Name: "next_cpu", Offset: 16, Size: 4},
		{Type: "unsigned char", Name: "prev_prio", Offset: 20, Size: 1},
		{Type: "unsigned char", Name: "prev_state", Offset: 21, Size: 1},
		{Type: "unsigned char", Name: "next_prio", Offset: 22, Size: 1},
		{Type: "unsigned char", Name: "next_state", Offset: 23, Size: 1},
	}},
	{3, "wakeup", `"%u:%u:%u  ==+ %u:%u:%u [%03u]", REC->prev_pid, REC->prev_prio, REC->prev_state, REC->next_pid, REC->next_prio, REC->next_state, REC->next_cpu`, nil, []Field{
		{Type: "unsigned int", Name: "prev_pid", Offset: 8, Size: 4},
		{Type: "unsigned int", Name: "next_pid", Offset: 12, Size: 4},
		{Type: "unsigned int", Name: "next_cpu", Offset: 16, Size: 4},
		{Type: "unsigned char", Name: "prev_prio", Offset: 20, Size: 1},
		{Type: "unsigned char", Name: "prev_state", Offset: 21, Size: 1},
		{Type: "unsigned char", Name: "next_prio", Offset: 22, Size: 1},
		{Type: "unsigned char", Name: "next_state", Offset: 23, Size: 1},
	}},
	{4, "kernel_stack", `"\t=> %ps\n\t=> %ps\n\t=> %ps\n" "\t=> %ps\n\t=> %ps\n\t=> %ps\n" "\t=> %ps\n\t=> %ps\n", (void *)REC->caller[0], (void *)REC->caller[1], (void *)REC->caller[2], (void *)REC->caller[3], (void *)REC->caller[4], (void *)REC->caller[5], (void *)REC->caller[6], (void *)REC->caller[7]`, printStack, []Field{
		{Type: "int", Name: "size", Offset: 8, Size: 4, Signed: true},
		{Type: "unsigned long[8]", Name: "caller", Offset: 16, Size: 64, Length: 8},
	}},
	{5, "print", `"%ps: %s", (void *)REC->ip, REC->buf`, printMark, []Field{
		{Type: "unsigned long", Name: "ip", Offset: 8, Size: 8},
		{Type: "char[]", Name: "buf", Offset: 16, Size: 0, Signed: true},
	}},
	{6, "bprint", `"%ps: %s", (void *)REC->ip, REC->fmt`, nil, []Field{
		{Type: "unsigned long", Name: "ip", Offset: 8, Size: 8},
		{Type: "const char *", Name: "fmt", Offset: 16, Size: 8},
		{Type: "u32[]", Name: "buf", Offset: 24, Size: 0},
	}},
	{10, "funcgraph_exit", `"<-- %ps (%d) (start: %llx  end: %llx) over: %d", (void *)REC->func, REC->depth, REC->calltime, REC->rettime, REC->depth`, nil, []Field{
		{Type: "unsigned long", Name: "func", Offset: 8, Size: 8},
		{Type: "int", Name: "depth", Offset: 16, Size: 4, Signed: true},
		{Type: "unsigned int", Name: "overrun", Offset: 20, Size: 4},
		{Type: "unsigned long long", Name: "calltime", Offset: 24, Size: 8},
		{Type: "unsigned long long", Name: "rettime", Offset: 32, Size: 8},
	}},
	{11, "funcgraph_entry", `"--> %ps (%d)", (void *)REC->func, REC->depth`, nil, []Field{
		{Type: "unsigned long", Name: "func", Offset: 8, Size: 8},
		{Type: "int", Name: "depth", Offset: 16, Size: 4, Signed: true},
	}},
	{12, "user_stack", `"\t=> %ps\n\t=> %ps\n\t=> %ps\n" "\t=> %ps\n\t=> %ps\n\t=> %ps\n" "\t=> %ps\n\t=> %ps\n", (void *)REC->caller[0], (void *)REC->caller[1], (void *)REC->caller[2], (void *)REC->caller[3], (void *)REC->caller[4], (void *)REC->caller[5], (void *)REC->caller[6], (void *)REC->caller[7]`, nil, []Field{
		{Type: "unsigned int", Name: "tgid", Offset: 8, Size: 4},
		{Type: "unsigned long[8]", Name: "caller", Offset: 16, Size: 64, Length: 8},
	}},
	{14, "bputs", `"%ps: %s", (void *)REC->ip, REC->str`, nil, []Field{
		{Type: "unsigned long", Name: "ip", Offset: 8, Size: 8},
		{Type: "const char *", Name: "str", Offset: 16, Size: 8},
	}},
	{18, "raw_data", `"id:%04x %08x", REC->id, (int)REC->buf[0]`, printRawMark, []Field{
		{Type: "unsigned int", Name: "id", Offset: 8, Size: 4},
		{Type: "char[]", Name: "buf", Offset: 12, Size: 0, Signed: true},
	}},
}

// markSize is the size of a record of print without its text, and rawMarkSize that of
// raw_data without its data.
const (
	markSize    = CommonSize + 8
	rawMarkSize = CommonSize + 4
)

// The greatest number of bytes that a write to trace_marker and to trace_marker_raw takes
// (Linux: TRACE_BUF_SIZE, RAW_DATA_MAX_SIZE).
const (
	MaxMark    = 1024
	MaxRawMark = 3072
)

// printMark appends a record of print.
func printMark(dst, record []byte) []byte {
	dst = append(dst, abi.MarkerSymbol+": "...)
	if len(record) < markSize {
		return append(dst, '\n')
	}
	return append(dst, cString(record[markSize:])...)
}

// cString returns the bytes up to the first NUL.
func cString(b []byte) []byte {
	if end := bytes.IndexByte(b, 0); end >= 0 {
		return b[:end]
	}
	return b
}

// printRawMark appends a record of raw_data.
func printRawMark(dst, record []byte) []byte {
	if len(record) < rawMarkSize {
		return append(dst, '\n')
	}
	dst = fmt.Appendf(dst, "# %x buf:", binary.LittleEndian.Uint32(record[CommonSize:]))
	for _, c := range record[rawMarkSize:] {
		dst = fmt.Appendf(dst, " %02x", c)
	}
	return append(dst, '\n')
}

// Mark stores a text as a record of print (the file trace_marker). text has at most
// MaxMark bytes. It reports false if nothing is stored, because the instance is off.
func (i *Instance) Mark(t Task, text []byte) bool {
	record := make([]byte, markSize, markSize+max(len(text), leastMark)+2)
	putCommon(record, idPrint, t.TID())
	binary.LittleEndian.PutUint64(record[CommonSize:], abi.MarkerAddress)
	record = append(record, text...)
	if len(text) == 0 || text[len(text)-1] != '\n' {
		record = append(record, '\n')
	}
	return i.storeMark(t, record[:cap(record)])
}

// storeMark stores a record of print, and runs the triggers that the event print has in the
// instance. It reports whether the record was stored.
func (i *Instance) storeMark(t Task, record []byte) bool {
	u := i.registry.print.users.Load()
	if u == nil {
		return i.store(t, record)
	}
	var after []*trigger
	for _, f := range u.files {
		if f.instance == i {
			after = f.runConditional(f.state.Load(), t, record)
		}
	}
	stored := i.store(t, record)
	for _, one := range after {
		one.run(t)
	}
	return stored
}

// leastMark is the room for text in each record: on Linux there is room for the text
// "<faulted>".
const leastMark = 9

// MarkRaw stores binary data as a record of raw_data (the file trace_marker_raw). data
// begins with the number of 4 bytes that identifies it, and has at most MaxRawMark bytes. It
// reports false if nothing is stored, because the instance is off.
func (i *Instance) MarkRaw(t Task, data []byte) bool {
	// As on Linux, the size counts the number twice, and has room for "<faulted>".
	record := make([]byte, rawMarkSize+max(len(data), leastMark+4))
	putCommon(record, idRawData, t.TID())
	copy(record[CommonSize:], data)
	return i.store(t, record)
}

// Marks reports whether the files trace_marker accept records (the option markers).
func (i *Instance) Marks() bool { return i.has(optionMarkers) }
