package probes

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/mm"
	"slowpath/task"
	"slowpath/trace"
	"slowpath/uprobe"
	"slowpath/uprobe/fetch"
)

// The names of the fields of each event.
const (
	fieldIP       = "__probe_ip"
	fieldReturnIP = "__probe_ret_ip"
	fieldFunction = "__probe_func"
)

// event is a trace event: all definitions with the same group and name.
type event struct {
	set      *Set
	group    string
	name     string
	isReturn bool
	header   int // bytes of a record before the arguments
	fixed    int // bytes of a record before the dynamic part
	traced   atomic.Pointer[trace.Event]

	// mu guards the fields below. It is held while probes are inserted and removed.
	mu       sync.Mutex
	probes   []*probe
	inserted bool
}

// probe is a definition.
type probe struct {
	event *event
	*definition
	file     *fs.File
	needComm bool
	isBare   bool // it has no fetch arguments
	hits     atomic.Uint64
	uprobe   *uprobe.Probe // while the event is enabled; event.mu guards it
}

// newEvent returns an event for a first definition.
func newEvent(s *Set, p *probe) *event {
	e := &event{set: s, group: p.group, name: p.definition.event, isReturn: p.isReturn, header: trace.CommonSize + 8}
	if e.isReturn {
		e.header += 8
	}
	e.fixed = e.header
	for i := range p.arguments {
		e.fixed += p.arguments[i].FixedSize()
	}
	p.event = e
	e.probes = []*probe{p}
	return e
}

// definition returns the event for the registry.
func (e *event) definition() trace.Definition {
	first := e.probes[0]
	return trace.Definition{
		System: e.group, Name: e.name,
		Fields:      e.fields(first.arguments),
		PrintFormat: func() string { return e.printFormat(first.arguments) },
		Print:       func(dst, record []byte) []byte { return e.print(dst, record, first.arguments) },
		Enable:      e.insert,
		Disable:     e.remove,
		Refiltered:  e.refilter,
		OfProgram:   true,
	}
}

// fields returns the fields of a record.
func (e *event) fields(arguments []argument) []trace.Field {
	fields := []trace.Field{{Type: "unsigned long", Name: fieldIP, Offset: trace.CommonSize, Size: 8}}
	if e.isReturn {
		fields = []trace.Field{
			{Type: "unsigned long", Name: fieldFunction, Offset: trace.CommonSize, Size: 8},
			{Type: "unsigned long", Name: fieldReturnIP, Offset: trace.CommonSize + 8, Size: 8},
		}
	}
	for i := range arguments {
		a := &arguments[i]
		cType := a.kind.cType
		if a.Count > 0 {
			cType = fmt.Sprintf("%s[%d]", cType, a.Count)
		}
		fields = append(fields, trace.Field{
			Type: cType, Name: a.Name, Offset: e.header + a.at, Size: a.FixedSize(), Signed: a.Signed || a.kind.isString(),
		})
	}
	return fields
}

// printFormat returns the print format of the file format (Linux: __set_print_fmt).
func (e *event) printFormat(arguments []argument) string {
	var format, values strings.Builder
	if e.isReturn {
		format.WriteString("(%lx <- %lx)")
		values.WriteString(", REC->" + fieldFunction + ", REC->" + fieldReturnIP)
	} else {
		format.WriteString("(%lx)")
		values.WriteString(", REC->" + fieldIP)
	}
	for i := range arguments {
		a := &arguments[i]
		value := ", REC->%s"
		if a.kind.isString() {
			value = ", __get_str(%s)"
		}
		format.WriteString(" " + a.Name + "=")
		if a.Count == 0 {
			format.WriteString(a.kind.format)
			fmt.Fprintf(&values, value, a.Name)
			continue
		}
		format.WriteString("{" + strings.Repeat(a.kind.format+",", a.Count-1) + a.kind.format + "}")
		for n := range a.Count {
			fmt.Fprintf(&values, value, fmt.Sprintf("%s[%d]", a.Name, n))
		}
	}
	return `"` + format.String() + `"` + values.String()
}

// print appends a record as text (Linux: print_uprobe_event).
func (e *event) print(dst, record []byte, arguments []argument) []byte {
	if len(record) < e.fixed {
		return append(append(dst, e.name...), ": (a short record)\n"...)
	}
	first := binary.LittleEndian.Uint64(record[trace.CommonSize:])
	if e.isReturn {
		dst = fmt.Appendf(dst, "%s: (0x%x <- 0x%x)", e.name, binary.LittleEndian.Uint64(record[trace.CommonSize+8:]), first)
	} else {
		dst = fmt.Appendf(dst, "%s: (0x%x)", e.name, first)
	}
	for i := range arguments {
		dst = arguments[i].Print(dst, record, e.header+arguments[i].at)
	}
	return append(dst, '\n')
}

// insert inserts the probes of the event. Errors: those of uprobe.Probes.AddAll.
func (e *event) insert() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.insertProbes(e.probes); err != nil {
		return err
	}
	e.inserted = true
	return nil
}

// insertProbes inserts probes. e.mu is held.
func (e *event) insertProbes(probes []*probe) error {
	locations := make([]uprobe.Location, len(probes))
	consumers := make([]*uprobe.Consumer, len(probes))
	for i, p := range probes {
		locations[i] = uprobe.Location{File: p.file, Offset: p.offset, ReferenceCounter: p.refCounter}
		consumers[i] = p.consumer()
	}
	added, err := e.set.uprobes.AddAll(locations, consumers)
	if err != nil {
		return err
	}
	for i, p := range probes {
		p.uprobe = added[i]
	}
	return nil
}

// remove removes the probes of the event from the programs.
func (e *event) remove() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.inserted = false
	for _, p := range e.probes {
		if p.uprobe != nil {
			p.uprobe.Remove()
			p.uprobe = nil
		}
	}
}

// refilter makes the breakpoints follow what the event's users want.
func (e *event) refilter() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.probes {
		if p.uprobe != nil {
			p.uprobe.Refilter()
		}
	}
}

// append adds a definition to the event. If the event is enabled, its probe is inserted.
// Errors: those of uprobe.Probes.AddAll.
func (e *event) append(p *probe) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	p.event = e
	if e.inserted {
		if err := e.insertProbes([]*probe{p}); err != nil {
			return err
		}
	}
	e.probes = append(e.probes, p)
	return nil
}

// drop removes a definition that is not the only one. Error: EBUSY if the event is
// enabled.
func (e *event) drop(p *probe) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.inserted {
		return unix.EBUSY
	}
	for i, one := range e.probes {
		if one == p {
			e.probes = append(e.probes[:i:i], e.probes[i+1:]...)
			break
		}
	}
	return nil
}

// count returns the number of definitions.
func (e *event) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.probes)
}

// consumer returns the functions that get the hits of the probe.
func (p *probe) consumer() *uprobe.Consumer {
	c := &uprobe.Consumer{WantsSpace: func(as *mm.AddressSpace) bool { return p.event.wantsSpace(as) }}
	if p.isReturn {
		c.Wants = func(t *task.Task) bool { return p.event.wants(t) }
		c.Return = p.returned
	} else if p.isBare {
		c.Hit = p.bareHit()
	} else {
		c.Hit = func(t *task.Task, f *amd64.Frame) { p.record(t, f, f.RIP) } // Event.Record asks the users
	}
	return c
}

// bareHit returns Hit of the consumer for a record without arguments. It is a function literal,
// because its instructions are counted.
//
//go:noinline
func (p *probe) bareHit() func(t *task.Task, f *amd64.Frame) {
	return func(t *task.Task, f *amd64.Frame) {
		tsc := amd64.TSC()
		if e := p.event.traced.Load(); e != nil &&
			e.StoreShort(tsc, t.TID(), f.LastCPU(), f.RIP, (*trace.Words)(f.Args()), trace.ShortWords(0)) {
			p.hits.Add(1)
			return
		}
		p.record(t, f, f.RIP)
	}
}

func (e *event) wants(t *task.Task) bool {
	traced := e.traced.Load()
	return traced != nil && traced.Wants(t)
}

func (e *event) wantsSpace(as *mm.AddressSpace) bool {
	traced := e.traced.Load()
	return traced != nil && traced.WantsSpace(as)
}

// memory is the memory of a task for package fetch.
type memory struct{ *task.Task }

// Load implements fetch.Memory.
func (m memory) Load(address uint64, dst []byte) error { return m.CopyIn(address, dst) }

// workspace is what a hit needs while its record is made.
type workspace struct {
	hit    fetch.Hit
	record [trace.MaxRecord]byte
}

// workspaces has workspaces that no hit uses.
var workspaces = sync.Pool{New: func() any { return new(workspace) }}

// addressSize is the size of the address of a probe, and of a return, in a record.
const addressSize = 8

// returned implements Return of the consumer.
func (p *probe) returned(t *task.Task, f *amd64.Frame, entry uint64) { p.record(t, f, entry) }

// putAddresses stores the address of the probed instruction and, for a return, the address
// that it goes to.
func (e *event) putAddresses(record []byte, f *amd64.Frame, address uint64) {
	binary.LittleEndian.PutUint64(record[trace.CommonSize:], address)
	if e.isReturn {
		binary.LittleEndian.PutUint64(record[trace.CommonSize+addressSize:], f.RIP)
	}
}

// record makes a record of a hit and records it. address is that of the probed
// instruction.
func (p *probe) record(t *task.Task, f *amd64.Frame, address uint64) {
	p.hits.Add(1)
	e := p.event
	traced := e.traced.Load()
	if traced == nil {
		return
	}
	if p.isBare {
		rest, count := trace.Words{f.RIP}, 0
		if e.isReturn {
			count = 1
		}
		if !traced.StoreShort(amd64.TSC(), t.TID(), t.Frame.LastCPU(), address, &rest, trace.ShortWords(count)) {
			traced.RecordShort(t, f, address, &rest, trace.ShortWords(count))
		}
		return
	}
	w := workspaces.Get().(*workspace)
	record := w.record[:e.fixed]
	clear(record)
	e.putAddresses(record, f, address)
	h := &w.hit
	h.Frame, h.Memory, h.FileBase = f, memory{t}, address-p.offset
	if p.needComm {
		h.Comm = t.Comm()
	}
	for i := range p.arguments {
		a := &p.arguments[i]
		record = a.Fetch(h, record, e.header+a.at, len(w.record))
	}
	traced.Record(t, f, record)
	w.hit.Frame, w.hit.Memory = nil, nil
	workspaces.Put(w) // after a panic it is left to the collector
}
