package main

import (
	"slowpath/arch/amd64"
	"slowpath/boot"
	"slowpath/entry"
	"slowpath/syscall"
	"slowpath/task"
	"slowpath/timeline"
	"slowpath/timeline/buffer"
	"slowpath/trace/calls"
)

// recording sends the host what happens in the machine (slowpath run --exits and --live). A
// nil *recording sends nothing.
type recording struct {
	kernel    *kernel
	buffer    *buffer.Buffer
	begun     task.Slot[beginning]
	arguments [entry.I386 + 1][entry.Calls]uint8 // the number of arguments of each call, by ABI
}

// beginning is when the current system call of a task has begun: a TSC value. Only the task
// accesses it.
type beginning struct{ tsc uint64 }

// newRecording returns a recording that has not begun. No task exists yet.
func newRecording(k *kernel) *recording {
	r := &recording{kernel: k, begun: task.NewSlot[beginning](k.tasks)}
	for _, p := range syscall.Prototypes() {
		r.arguments[entry.X86_64][p.Number] = uint8(len(p.Parameters))
	}
	for number, c := range syscall.Dispatch32() {
		r.arguments[entry.I386][number] = c.Arguments
	}
	return r
}

// begin starts to record. It is called before the first program starts.
func (r *recording) begin() {
	if r == nil {
		return
	}
	start, scale, _ := amd64.ClockParameters()
	writer := r.kernel.link.writer
	r.buffer = buffer.New(buffer.Config{
		CPUs: boot.CPUs(), CPU: amd64.CPU, Clock: timeline.Clock{Start: start, Scale: scale},
		Send: func(batch []byte) { writer.Visits(batch) }, // the link reports its end itself
	})
	r.kernel.visits.Ended.Register(r.visit)
	r.kernel.calls.Subscribe(&calls.Consumer{I386: true, Enter: r.enter, Exit: r.exit})
	points := &r.kernel.tasks.Tracepoints
	points.SignalGenerated.Register(r.signalGenerated)
	points.SignalDelivered.Register(r.signalDelivered)
	points.Forked.Register(func(f task.Forked) { r.name(f.Child, f.Child.Comm()) })
	points.Executed.Register(func(x task.Executed) { r.name(x.Task, x.Task.Comm()) })
	points.Renamed.Register(func(n task.Renamed) { r.name(n.Task, n.Name) })
	points.Exiting.Register(r.exiting)
	points.PageFault.Register(r.fault)
	r.kernel.tasks.OnContinue(r.runs)
	r.kernel.tasks.OnLeave(func(t *task.Task, why task.Departure) { r.sleeps(t, timeline.Sleep{Runnable: why == task.Yields}) })
	r.kernel.tasks.OnWake(r.wakes)
}

// started records the name of the program's first thread, which clone has not made.
func (r *recording) started(t *task.Task) {
	if r != nil {
		r.name(t, t.Comm())
	}
}

// flush sends the last records.
func (r *recording) flush() {
	if r != nil {
		r.buffer.Flush()
	}
}

// header returns the header of a record of what a task does now.
func header(t *task.Task) timeline.Header {
	return timeline.Header{Task: uint32(t.TID()), Time: amd64.TSC()}
}

func (r *recording) enter(t *task.Task, _ *entry.Call) { r.begun.Of(t).tsc = amd64.TSC() }

func (r *recording) exit(t *task.Task, c *entry.Call, result int64) {
	begin, end := r.begun.Of(t).tsc, amd64.TSC()
	call := timeline.Call{Duration: end - begin, Number: c.NR, ABI: c.ABI, Ended: !t.Exiting(), Result: result}
	n := uint8(timeline.MaxArguments)
	if uint32(c.NR) < entry.Calls {
		n = r.arguments[c.ABI][c.NR]
	}
	call.Arguments = c.Args[:n]
	var room [timeline.MaxCall]byte // small, because it is cleared
	r.buffer.Put(t, timeline.AppendCall(room[:0], timeline.Header{Task: uint32(t.TID()), Time: begin}, &call))
}

// visit records a visit of the current task.
func (r *recording) visit(v *entry.Visit) {
	t := r.kernel.tasks.Current()
	if t == nil {
		return // the recorder records visits of tasks
	}
	var room [timeline.MaxRecord]byte
	r.buffer.Put(t, timeline.AppendVisit(room[:0], timeline.Header{Task: uint32(v.Task)}, v))
}

func (r *recording) signalGenerated(s task.SignalGenerated) {
	h := timeline.Header{Time: amd64.TSC()}
	record := timeline.Signal{Number: uint8(s.Signal), Target: uint32(s.Target.TID()), Code: s.Info.Code}
	var room [timeline.MaxRecord]byte
	r.buffer.PutNow(timeline.AppendSignal(room[:0], h, record))
}

func (r *recording) signalDelivered(s task.SignalDelivered) {
	h := header(s.Task)
	record := timeline.Signal{Delivered: true, Number: uint8(s.Info.Signo), Target: h.Task, Code: s.Info.Code}
	var room [timeline.MaxRecord]byte
	r.buffer.Put(s.Task, timeline.AppendSignal(room[:0], h, record))
}

// name records the name of a task. It may be called with locks held.
func (r *recording) name(t *task.Task, comm string) {
	var room [timeline.MaxRecord]byte
	r.buffer.PutNow(timeline.AppendName(room[:0], header(t), &timeline.Name{Process: uint32(t.Group().PID()), Comm: comm}))
}

func (r *recording) exiting(t *task.Task) {
	var room [timeline.MaxRecord]byte
	r.buffer.Put(t, timeline.AppendExit(room[:0], header(t)))
}

// fault records a page fault, with what is mapped at the address.
func (r *recording) fault(f task.PageFault) {
	record := timeline.Fault{Address: f.Address, IP: f.Frame.RIP, ErrorCode: uint32(f.Error)}
	h := header(f.Task)
	record.File, record.Offset = f.Task.MM.MappedAt(f.Address)
	var room [timeline.MaxRecord]byte
	r.buffer.Put(f.Task, timeline.AppendFault(room[:0], h, &record))
}

// runs, sleeps and wakes are called where a task may not sleep.

func (r *recording) runs(t *task.Task) {
	var room [timeline.MaxRecord]byte
	r.buffer.PutNow(timeline.AppendRun(room[:0], header(t)))
}

func (r *recording) sleeps(t *task.Task, why timeline.Sleep) {
	var room [timeline.MaxRecord]byte
	r.buffer.PutNow(timeline.AppendSleep(room[:0], header(t), why))
}

// wakes records a wake-up by the current task, or by a timer or device.
func (r *recording) wakes(woken *task.Task) {
	h := timeline.Header{Time: amd64.TSC()}
	if t := r.kernel.tasks.Current(); t != nil {
		h.Task = uint32(t.TID())
	}
	var room [timeline.MaxRecord]byte
	r.buffer.PutNow(timeline.AppendWake(room[:0], h, timeline.Wake{Woken: uint32(woken.TID())}))
}

// probe records a hit of a probe of the host command.
func (r *recording) probe(t *task.Task, id uint32) {
	if r == nil {
		return
	}
	var room [timeline.MaxRecord]byte
	r.buffer.Put(t, timeline.AppendProbe(room[:0], header(t), timeline.Probe{ID: id}))
}
