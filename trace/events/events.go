package events

import (
	"fmt"
	"strconv"
	"sync"

	"slowpath/arch/amd64"
	"slowpath/entry"
	"slowpath/task"
	"slowpath/trace"
)

// Config has what the events are about.
type Config struct {
	Tasks  *task.Kernel
	Events *trace.Registry
	Visits *entry.Recorder
	// CPU returns the number of the CPU that runs the caller.
	CPU func() int
}

// kernel is the kernel whose events these are.
type kernel struct {
	Config
	idle     []idle // one for each CPU
	switches switches
}

// Register adds the events to a registry. It is called once, before the first task is made.
// Error: ENOMEM.
func Register(c Config) error {
	k := &kernel{Config: c}
	for cpu := range c.Tasks.CPUs() {
		k.idle = append(k.idle, idle("swapper/"+strconv.Itoa(cpu)))
	}
	k.switches.init(k)
	task.NewSlot[state](c.Tasks)
	for i := range rows {
		if err := k.add(&rows[i]); err != nil {
			return fmt.Errorf("the event %s:%s cannot be added: %w", rows[i].system, rows[i].name, err)
		}
	}
	return nil
}

// add adds the event of a row.
func (k *kernel) add(r *row) error {
	e := &event{kernel: k, schema: newSchema(r)}
	var disconnect func()
	added, err := k.Events.Add(trace.Definition{
		System: r.system, Name: r.name, Fields: e.schema.fields,
		PrintFormat: func() string { return e.schema.printFormat(r) },
		Print: func(dst, record []byte) []byte {
			dst = append(append(dst, r.name...), ": "...)
			return append(e.schema.print(dst, record), '\n')
		},
		Enable:  func() error { disconnect = r.connect(k, e); return nil },
		Disable: func() { disconnect() },
	})
	e.traced = added
	return err
}

// event is an event that was added.
type event struct {
	kernel *kernel
	schema *schema
	traced *trace.Event
}

// recordBuffers have the bytes of records while they are made.
var recordBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 256); return &b }}

// emit records the event. t is the thread in whose context it happens. f has its registers,
// or is nil: then the caller may hold locks. values are those of the fields.
func (e *event) emit(t trace.Task, f *amd64.Frame, values ...value) { e.emitFor(t, nil, f, values) }

// emitFor is emit for an event that also concerns another thread, or nil.
func (e *event) emitFor(t, other trace.Task, f *amd64.Frame, values []value) {
	b := recordBuffers.Get().(*[]byte)
	*b = e.schema.encode((*b)[:0], values)
	e.traced.RecordFor(t, other, f, *b)
	recordBuffers.Put(b) // after a panic it is left to the collector
}

// idle is the thread 0 of a CPU: what runs there while no task does. It stands for the Go
// scheduler and for the kernel's own goroutines too.
type idle string

// TID implements trace.Task.
func (idle) TID() int { return 0 }

// PID implements trace.Task.
func (idle) PID() int { return 0 }

// Comm implements trace.Task.
func (i idle) Comm() string { return string(i) }

// current returns the thread on whose goroutine the caller runs.
func (k *kernel) current() trace.Task {
	if t := k.Tasks.Current(); t != nil {
		return t
	}
	return k.idle[k.CPU()]
}

// priorityOf returns the priority of a thread as the scheduler's events show it (Linux:
// task_struct.prio).
func priorityOf(t trace.Task) value {
	const normal = 120
	own, ok := t.(*task.Task)
	if !ok {
		return number(normal)
	}
	return number(own.Entity().KernelPriority())
}
