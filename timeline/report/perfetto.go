package report

import (
	"cmp"
	"io"
	"slices"
	"strconv"

	"slowpath/entry"
	"slowpath/timeline"
	"slowpath/traceevent"
)

// Perfetto writes the trace event format that ui.perfetto.dev and Chrome's trace viewer load
// (Google, "Trace Event Format"). Each task and each CPU has a track. Calls and visits are
// slices of the task's track, and what a CPU runs is a slice of the CPU's. A flow leads from
// a wake-up to the run that it causes.
//
// Events are written as they come, because a run may have millions. Only switches and
// wake-ups are kept until the end: the records of different CPUs are not ordered.
type Perfetto struct {
	w     *traceevent.Writer
	names Names
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
	p := &Perfetto{w: traceevent.New(w), names: names, comms: map[uint32]string{}, cpus: map[uint8]bool{}}
	p.w.Metadata("process_name", track(0), "Tasks")
	p.w.Metadata("process_name", cpuTrack(0), "CPUs")
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
		p.w.Instant(p.names.Probe(r.Probe.ID), "probe", track(r.Task), now)
		p.w.End()
	case timeline.KindExit:
		p.w.Instant("exit", "task", track(r.Task), now)
		p.w.End()
	}
	return nil
}

// track returns the track of a task.
func track(task uint32) traceevent.Track {
	return traceevent.Track{Process: taskTracks, Thread: uint64(task)}
}

// cpuTrack returns the track of a CPU.
func cpuTrack(cpu uint8) traceevent.Track {
	return traceevent.Track{Process: cpuTracks, Thread: uint64(cpu)}
}

// name names the track of a task.
func (p *Perfetto) name(task uint32, comm string) {
	p.comms[task] = comm
	name := "task " + strconv.Itoa(int(task))
	if comm != "" {
		name = comm + " (" + name + ")"
	}
	p.w.Metadata("thread_name", track(task), name)
}

func (p *Perfetto) rename(r *timeline.Record, now uint64) {
	if p.comms[r.Task] != r.Name.Comm {
		p.name(r.Task, r.Name.Comm)
	}
	p.w.Instant("name", "task", track(r.Task), now)
	p.w.Arguments()
	p.w.Text("comm", r.Name.Comm)
	p.w.Number("process", uint64(r.Name.Process))
	p.w.End()
}

func (p *Perfetto) call(c timeline.Clock, r *timeline.Record, now uint64) {
	p.w.Slice(p.names.call(&r.Call), "syscall", track(r.Task), now, c.Nanoseconds(r.Time+r.Call.Duration))
	p.w.Arguments()
	names := p.names.parameters(&r.Call)
	for i, a := range r.Call.Arguments {
		p.w.Text(parameter(names, i), number(a))
	}
	p.w.Text("result", result(&r.Call))
	p.w.End()
}

// visit writes a visit to the slow path, and its steps as slices inside it.
func (p *Perfetto) visit(c timeline.Clock, v *entry.Visit) {
	names := entry.Names{Syscall: p.names.Call, Syscall32: p.names.Call32}
	name, category := names.Name(v), v.Kind.String()
	if v.Kind == entry.BySyscall {
		name, category = "slow path: "+name, "slow path" // the call is a slice of its own
	}
	exit := "SYSRET"
	if v.ByIRET {
		exit = "IRETQ"
	}
	task := track(uint32(v.Task))
	p.w.Slice(name, category, task, c.Nanoseconds(v.Begin), c.Nanoseconds(v.End))
	p.w.Arguments()
	p.w.Text("work", v.Owed.String())
	p.w.Text("served", v.Served.String())
	p.w.Text("exit", exit)
	p.w.Number("cpu", uint64(v.CPU))
	p.w.End()
	for _, s := range v.Steps[:v.StepCount] {
		p.w.Slice(entry.StepName(s), "step", task, c.Nanoseconds(v.Begin+s.Begin), c.Nanoseconds(v.Begin+s.End))
		p.w.End()
	}
}

func (p *Perfetto) signal(r *timeline.Record, now uint64) {
	verb := " sent"
	if r.Signal.Delivered {
		verb = " delivered"
	}
	p.w.Instant(signalName(r.Signal.Number)+verb, "signal", track(r.Signal.Target), now)
	p.w.Arguments()
	p.w.Signed("code", int64(r.Signal.Code))
	p.w.End()
}

func (p *Perfetto) fault(r *timeline.Record, now uint64) {
	p.w.Instant("page fault", "fault", track(r.Task), now)
	p.w.Arguments()
	p.w.Text("address", "0x"+strconv.FormatUint(r.Fault.Address, 16))
	p.w.Text("ip", "0x"+strconv.FormatUint(r.Fault.IP, 16))
	if r.Fault.File != "" {
		p.w.Text("file", r.Fault.File)
		p.w.Number("offset", r.Fault.Offset)
	}
	p.w.Number("error", uint64(r.Fault.ErrorCode))
	p.w.End()
}

// Close writes the tracks of the CPUs and the flows of wake-ups, and ends the trace.
func (p *Perfetto) Close() error {
	slices.SortStableFunc(p.switches, func(a, b switchEvent) int { return cmp.Compare(a.time, b.time) })
	slices.SortStableFunc(p.wakes, func(a, b wakeEvent) int { return cmp.Compare(a.time, b.time) })
	p.runs()
	p.flows()
	return p.w.Close(p.lost)
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
		p.w.Metadata("thread_name", cpuTrack(began.cpu), "CPU "+strconv.Itoa(int(began.cpu)))
	}
	name := p.comms[began.task]
	if name == "" {
		name = "task"
	}
	end := "sleep"
	if ended.run || ended.runnable {
		end = "preempted"
	}
	p.w.Slice(name+" ("+strconv.Itoa(int(began.task))+")", "run", cpuTrack(began.cpu), began.time, ended.time)
	p.w.Arguments()
	p.w.Number("task", uint64(began.task))
	p.w.Text("end", end)
	p.w.End()
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
		p.flow("s", uint64(i), track(w.waker), w.time)
		p.flow("f", uint64(i), cpuTrack(later[0].cpu), later[0].time)
	}
}

// flow writes one end of a flow.
func (p *Perfetto) flow(phase string, id uint64, t traceevent.Track, now uint64) {
	p.w.Begin("wake-up", phase, t)
	p.w.Text("cat", "wake-up")
	p.w.Number("id", id)
	if phase == "f" {
		p.w.Text("bp", "e")
	}
	p.w.Time("ts", now)
	p.w.End()
}
