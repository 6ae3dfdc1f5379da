package report

import (
	"bufio"
	"cmp"
	"io"
	"slices"
	"strconv"

	"slowpath/entry"
	"slowpath/timeline"
)

// Perfetto writes the trace event format that ui.perfetto.dev and Chrome's trace viewer load
// (Google, "Trace Event Format"). Each task and each CPU has a track. Calls and visits are
// slices of the task's track, and what a CPU runs is a slice of the CPU's. A flow leads from
// a wake-up to the run that it causes.
//
// Events are written as they come, because a run may have millions. Only switches and
// wake-ups are kept until the end: the records of different CPUs are not ordered.
type Perfetto struct {
	w     *bufio.Writer
	names Names
	event []byte // the event that is being written
	any   bool   // an event was written
	lost  uint64
	comms map[uint32]string // the last name of each task whose track has a name
	cpus  map[uint8]bool

	switches []switchEvent
	wakes    []wakeEvent
}

// switchEvent is a run or a sleep of a task.
type switchEvent struct {
	time     uint64 // nanoseconds since boot
	task     uint32
	cpu      uint8
	run      bool
	runnable bool // it was preempted
}

// wakeEvent is a wake-up.
type wakeEvent struct {
	time         uint64
	waker, woken uint32
}

// The trace's processes: their threads are the tasks and the CPUs.
const (
	taskTracks = 1
	cpuTracks  = 2
)

// NewPerfetto returns a sink that writes a trace to w.
func NewPerfetto(w io.Writer, names Names) *Perfetto {
	p := &Perfetto{
		w: bufio.NewWriterSize(w, 1<<20), names: names,
		comms: map[uint32]string{}, cpus: map[uint8]bool{},
	}
	p.w.WriteString("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n")
	p.metadata("process_name", taskTracks, 0, "Tasks")
	p.metadata("process_name", cpuTracks, 0, "CPUs")
	return p
}

// Lost counts records that were lost.
func (p *Perfetto) Lost(n uint64) { p.lost += n }

// Record writes the events of a record.
func (p *Perfetto) Record(c timeline.Clock, r *timeline.Record) error {
	if _, named := p.comms[r.Task]; !named && r.Task != 0 && r.Kind != timeline.KindName {
		p.name(r.Task, "")
	}
	now := c.Nanoseconds(r.Time)
	switch r.Kind {
	case timeline.KindCall:
		p.call(c, r, now)
	case timeline.KindVisit:
		p.visit(c, &r.Visit)
	case timeline.KindRun, timeline.KindSleep:
		p.switches = append(p.switches, switchEvent{now, r.Task, r.CPU, r.Kind == timeline.KindRun, r.Sleep.Runnable})
	case timeline.KindWake:
		p.wakes = append(p.wakes, wakeEvent{now, r.Task, r.Wake.Woken})
	case timeline.KindSignal:
		p.signal(r, now)
	case timeline.KindFault:
		p.fault(r, now)
	case timeline.KindName:
		p.rename(r, now)
	case timeline.KindProbe:
		p.instant(p.names.Probe(r.Probe.ID), "probe", r.Task, now)
		p.end()
	case timeline.KindExit:
		p.instant("exit", "task", r.Task, now)
		p.end()
	}
	return nil
}

// Event writing: begin, then fields, then end.

// begin begins an event.
func (p *Perfetto) begin(name, phase string, process int, thread uint32) {
	b := p.event[:0]
	if p.any {
		b = append(b, ",\n"...)
	}
	p.any = true
	b = append(b, `{"name":`...)
	b = quote(b, name)
	b = append(b, `,"ph":"`...)
	b = append(b, phase...)
	b = append(b, `","pid":`...)
	b = strconv.AppendInt(b, int64(process), 10)
	b = append(b, `,"tid":`...)
	p.event = strconv.AppendUint(b, uint64(thread), 10)
}

// microseconds appends a field with a time in microseconds, exact to the nanosecond.
func (p *Perfetto) microseconds(key string, ns uint64) {
	b := append(p.event, `,"`...)
	b = append(b, key...)
	b = append(b, `":`...)
	b = strconv.AppendUint(b, ns/1000, 10)
	b = append(b, '.')
	p.event = append(b, byte('0'+ns/100%10), byte('0'+ns/10%10), byte('0'+ns%10))
}

// text appends a field with a text.
func (p *Perfetto) text(key, value string) { p.event = appendText(append(p.event, ','), key, value) }

// appendText appends "key":"value".
func appendText(b []byte, key, value string) []byte {
	b = append(b, '"')
	b = append(b, key...)
	b = append(b, `":`...)
	return quote(b, value)
}

// number appends a field with a number.
func (p *Perfetto) number(key string, value uint64) {
	p.event = appendNumber(append(p.event, ','), key, value)
}

func appendNumber(b []byte, key string, value uint64) []byte {
	b = append(b, '"')
	b = append(b, key...)
	b = append(b, `":`...)
	return strconv.AppendUint(b, value, 10)
}

// arguments begins the field args. The caller appends its fields and closes it.
func (p *Perfetto) arguments() { p.event = append(p.event, `,"args":{`...) }

// end writes the event.
func (p *Perfetto) end() {
	p.w.Write(append(p.event, '}'))
}

// quote appends a text as a JSON string. Bytes that are not printable ASCII become \u00XX.
func quote(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c > '~':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// metadata names a process or thread of the trace.
func (p *Perfetto) metadata(what string, process int, thread uint32, name string) {
	p.begin(what, "M", process, thread)
	p.arguments()
	p.event = append(appendText(p.event, "name", name), '}')
	p.end()
}

// name names the track of a task.
func (p *Perfetto) name(task uint32, comm string) {
	p.comms[task] = comm
	name := "task " + strconv.Itoa(int(task))
	if comm != "" {
		name = comm + " (" + name + ")"
	}
	p.metadata("thread_name", taskTracks, task, name)
}

func (p *Perfetto) rename(r *timeline.Record, now uint64) {
	if p.comms[r.Task] != r.Name.Comm {
		p.name(r.Task, r.Name.Comm)
	}
	p.instant("name", "task", r.Task, now)
	p.arguments()
	p.event = appendText(p.event, "comm", r.Name.Comm)
	p.number("process", uint64(r.Name.Process))
	p.event = append(p.event, '}')
	p.end()
}

// slice begins a slice of a track.
func (p *Perfetto) slice(name, category string, process int, thread uint32, begin, end uint64) {
	p.begin(name, "X", process, thread)
	p.text("cat", category)
	p.microseconds("ts", begin)
	p.microseconds("dur", max(end, begin)-begin)
}

// instant begins an event without a duration.
func (p *Perfetto) instant(name, category string, task uint32, now uint64) {
	p.begin(name, "i", taskTracks, task)
	p.text("cat", category)
	p.text("s", "t")
	p.microseconds("ts", now)
}

func (p *Perfetto) call(c timeline.Clock, r *timeline.Record, now uint64) {
	p.slice(p.names.Call(int(r.Call.Number)), "syscall", taskTracks, r.Task, now, c.Nanoseconds(r.Time+r.Call.Duration))
	p.arguments()
	names := p.names.Parameters(int(r.Call.Number))
	b := p.event
	for i, a := range r.Call.Arguments {
		b = append(appendText(b, parameter(names, i), number(a)), ',')
	}
	p.event = append(appendText(b, "result", result(&r.Call)), '}')
	p.end()
}

// visit writes a visit to the slow path, and its steps as slices inside it.
func (p *Perfetto) visit(c timeline.Clock, v *entry.Visit) {
	names := entry.Names{Syscall: p.names.Call}
	name, category := names.Name(v), v.Kind.String()
	if v.Kind == entry.BySyscall {
		name, category = "slow path: "+name, "slow path" // the call is a slice of its own
	}
	exit := "SYSRET"
	if v.ByIRET {
		exit = "IRETQ"
	}
	task := uint32(v.Task)
	p.slice(name, category, taskTracks, task, c.Nanoseconds(v.Begin), c.Nanoseconds(v.End))
	p.arguments()
	b := appendText(p.event, "work", v.Owed.String())
	b = appendText(append(b, ','), "served", v.Served.String())
	b = appendText(append(b, ','), "exit", exit)
	p.event = append(appendNumber(append(b, ','), "cpu", uint64(v.CPU)), '}')
	p.end()
	for _, s := range v.Steps[:v.StepCount] {
		p.slice(entry.StepName(s), "step", taskTracks, task, c.Nanoseconds(v.Begin+s.Begin), c.Nanoseconds(v.Begin+s.End))
		p.end()
	}
}

func (p *Perfetto) signal(r *timeline.Record, now uint64) {
	verb := " sent"
	if r.Signal.Delivered {
		verb = " delivered"
	}
	p.instant(signalName(r.Signal.Number)+verb, "signal", r.Signal.Target, now)
	p.arguments()
	p.event = append(p.event, `"code":`...)
	p.event = append(strconv.AppendInt(p.event, int64(r.Signal.Code), 10), '}')
	p.end()
}

func (p *Perfetto) fault(r *timeline.Record, now uint64) {
	p.instant("page fault", "fault", r.Task, now)
	p.arguments()
	b := appendText(p.event, "address", "0x"+strconv.FormatUint(r.Fault.Address, 16))
	b = appendText(append(b, ','), "ip", "0x"+strconv.FormatUint(r.Fault.IP, 16))
	if r.Fault.File != "" {
		b = appendText(append(b, ','), "file", r.Fault.File)
		b = appendNumber(append(b, ','), "offset", r.Fault.Offset)
	}
	p.event = append(appendNumber(append(b, ','), "error", uint64(r.Fault.ErrorCode)), '}')
	p.end()
}

// Close writes the tracks of the CPUs and the flows of wake-ups, and ends the trace.
func (p *Perfetto) Close() error {
	slices.SortStableFunc(p.switches, func(a, b switchEvent) int { return cmp.Compare(a.time, b.time) })
	slices.SortStableFunc(p.wakes, func(a, b wakeEvent) int { return cmp.Compare(a.time, b.time) })
	p.runs()
	p.flows()
	p.w.WriteString("\n],\"otherData\":{\"lost\":")
	p.w.WriteString(strconv.FormatUint(p.lost, 10))
	p.w.WriteString("}}\n")
	return p.w.Flush()
}

// runs writes a slice of a CPU's track for each run of a task.
func (p *Perfetto) runs() {
	running := map[uint8]switchEvent{} // by CPU
	for _, s := range p.switches {
		began, busy := running[s.cpu]
		if busy {
			p.ran(began, s)
			delete(running, s.cpu)
		}
		if s.run {
			running[s.cpu] = s
		}
	}
}

// ran writes the slice of a run, which ends with the next switch of its CPU.
func (p *Perfetto) ran(began, ended switchEvent) {
	if !p.cpus[began.cpu] {
		p.cpus[began.cpu] = true
		p.metadata("thread_name", cpuTracks, uint32(began.cpu), "CPU "+strconv.Itoa(int(began.cpu)))
	}
	name := p.comms[began.task]
	if name == "" {
		name = "task"
	}
	p.slice(name+" ("+strconv.Itoa(int(began.task))+")", "run", cpuTracks, uint32(began.cpu), began.time, ended.time)
	p.arguments()
	b := appendNumber(p.event, "task", uint64(began.task))
	end := "sleep"
	if ended.run || ended.runnable {
		end = "preempted"
	}
	p.event = append(appendText(append(b, ','), "end", end), '}')
	p.end()
}

// flows writes a flow from each wake-up to the first run of the woken task after it.
func (p *Perfetto) flows() {
	runs := map[uint32][]switchEvent{} // of each task, in order
	for _, s := range p.switches {
		if s.run {
			runs[s.task] = append(runs[s.task], s)
		}
	}
	for i, w := range p.wakes {
		later := runs[w.woken]
		for len(later) > 0 && later[0].time < w.time {
			later = later[1:]
		}
		runs[w.woken] = later
		if len(later) == 0 || w.waker == 0 { // a timer or a device has no track
			continue
		}
		p.flow("s", uint64(i), taskTracks, w.waker, w.time)
		p.flow("f", uint64(i), cpuTracks, uint32(later[0].cpu), later[0].time)
	}
}

// flow writes one end of a flow.
func (p *Perfetto) flow(phase string, id uint64, process int, thread uint32, now uint64) {
	p.begin("wake-up", phase, process, thread)
	p.text("cat", "wake-up")
	p.number("id", id)
	if phase == "f" {
		p.text("bp", "e")
	}
	p.microseconds("ts", now)
	p.end()
}
