package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/clock"
	"slowpath/entry"
	"slowpath/fs"
	"slowpath/linkstream"
	"slowpath/signal"
	"slowpath/task"
	"slowpath/trace/calls"
	"slowpath/tracespec"
)

// callStream sends what tasks do to slowpath strace: their system calls as a plan of the host
// wants them, their signals, and their ends. It exists until the machine ends. A nil
// *callStream sends nothing.
type callStream struct {
	plan   *tracespec.Plan
	calls  [tracespec.MaxCalls]*tracespec.Call // of plan, by number
	stream *linkstream.Stream[tracespec.Record, *tracespec.Encoder]
	maps   *sentMaps
	pool   sync.Pool                 // of *callScratch
	first  atomic.Pointer[task.Task] // the first thread of the program, when it is known
	counts task.Slot[injectionCounts]
}

// callScratch is the memory of one record.
type callScratch struct {
	record   tracespec.Record
	capturer tracespec.Capturer
	stack    stackBuffer
}

// readCallPlan reads and removes the plan of the host command. It returns nil if there is
// none.
func (k *kernel) readCallPlan() (*callStream, error) {
	text, err := k.takeFile(tracespec.Path)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	plan, err := tracespec.Parse(text)
	if err != nil {
		return nil, err
	}
	c := &callStream{plan: plan}
	for number, one := range plan.Calls {
		c.calls[number] = one
	}
	c.pool.New = func() any { return new(callScratch) }
	c.maps = newSentMaps(func(process uint32, text []byte) (written bool) {
		return c.stream.Always(func(e *tracespec.Encoder) {
			e.Append(&tracespec.Record{Kind: tracespec.Maps, Process: process, Data: text}, uint64(clock.Monotonic()))
		})
	})
	return c, nil
}

// start subscribes to the calls and the tracepoints. It is called before the first task is
// made. Without a link it does nothing.
func (c *callStream) start(k *kernel) {
	if c == nil || k.link == nil {
		return
	}
	c.stream = linkstream.New(new(tracespec.Encoder), k.link.writer.Calls)
	c.stream.PutNow(&tracespec.Record{Kind: tracespec.Begin, Wall: uint64(k.wall.Now())})
	consumer := &calls.Consumer{Numbers: new(calls.Set), I386: true, Numbers32: new(calls.Set), Enter: c.enter, Exit: c.leave}
	for number := range c.plan.Calls {
		if number < tracespec.FirstI386 {
			consumer.Numbers.Add(number)
		} else {
			consumer.Numbers32.Add(number - tracespec.FirstI386)
		}
	}
	if len(c.plan.Calls) == tracespec.MaxCalls {
		consumer.Numbers, consumer.Numbers32 = nil, nil // also numbers without a call
	}
	if !c.plan.Follow {
		consumer.Wants = c.maybeFirst
	}
	k.calls.Subscribe(consumer)
	points := &k.tasks.Tracepoints
	points.Executed.Register(c.executed)
	points.Forked.Register(c.forked)
	points.Exiting.Register(c.exiting)
	points.SignalGenerated.Register(c.generated)
	points.SignalDelivered.Register(c.delivered)
	if c.plan.Names {
		points.Renamed.Register(c.renamed)
	}
}

// flush sends the last records.
func (c *callStream) flush() {
	if c != nil && c.stream != nil {
		c.stream.Flush()
	}
}

// maybeFirst reports whether a task may be the first thread of the program. It has no id yet
// when it is made, so it is known by its first call or its first child.
func (c *callStream) maybeFirst(t *task.Task) bool {
	first := c.first.Load()
	return first == nil || first == t
}

// wants reports whether the plan shows a task.
func (c *callStream) wants(t *task.Task) bool { return c.plan.Follow || c.maybeFirst(t) }

// program is a task as package tracespec sees it.
type program struct{ *task.Task }

// Load implements tracespec.Program.
func (p program) Load(address uint64, b []byte) error { return p.CopyIn(address, b) }

// LoadSome implements tracespec.Program.
func (p program) LoadSome(address uint64, b []byte) int {
	n, _ := p.CopyInSome(b, address)
	return n
}

// StackPointer implements tracespec.Program.
func (p program) StackPointer() uint64 { return p.Frame.RSP }

// FileName implements tracespec.Program.
func (p program) FileName(descriptor int32, details bool) string {
	if descriptor == unix.AT_FDCWD {
		name, _ := p.FSContext().WorkingDirectory()
		return name
	}
	f, _, err := p.File(int(descriptor))
	if err != nil {
		return ""
	}
	defer f.DecRef()
	name := f.Name(p.FSContext().Root())
	if details {
		name += fileDetails(f, name)
	}
	return name
}

// fileDetails returns what follows the name of a file (tracespec.Descriptor), or "".
func fileDetails(f *fs.File, name string) string {
	detail := func(kind, text string) string { return "\x00" + kind + "\x00" + text }
	if s, ok := f.Operations().(fs.SocketDescriber); ok {
		return detail(tracespec.DetailSocket, s.DescribeSocket())
	}
	if d, ok := f.Operations().(fs.Describer); ok && name == "anon_inode:[pidfd]" {
		text, _, _ := strings.Cut(strings.TrimPrefix(d.Describe(), "Pid:\t"), "\n")
		return detail(tracespec.DetailProcess, text)
	}
	a := f.Attributes()
	kind := map[uint32]string{unix.S_IFCHR: "char", unix.S_IFBLK: "block"}[a.Mode&unix.S_IFMT]
	if kind == "" || !strings.HasPrefix(name, "/") {
		return ""
	}
	return detail(tracespec.DetailDevice, fmt.Sprintf("%s %d:%d", kind, unix.Major(a.Rdev), unix.Minor(a.Rdev)))
}

// begin sends how the first program has begun, which no call has shown: with its
// environment at an address. It must not sleep.
func (c *callStream) begin(t *task.Task) {
	if c.first.Load() != nil || !c.first.CompareAndSwap(nil, t) {
		return
	}
	if c.plan.Names {
		c.named(t, t.Comm())
	}
	c.stream.PutNow(&tracespec.Record{
		Kind: tracespec.Exec, Thread: uint32(t.TID()), Process: uint32(t.PID()), Other: uint32(t.TID()), Arguments: entry.Args{t.Program().EnvStart},
	})
}

// renamed is a function of Tracepoints.Renamed. It must not sleep.
func (c *callStream) renamed(e task.Renamed) { c.named(e.Task, e.Name) }

// named sends the name of a thread. It must not sleep.
func (c *callStream) named(t *task.Task, name string) {
	if id := t.TID(); id > 0 && c.wants(t) {
		c.stream.PutNow(&tracespec.Record{Kind: tracespec.Named, Thread: uint32(id), Process: uint32(t.PID()), Data: []byte(name)})
	}
}

// unknownCall is the plan of a number without a call.
var unknownCall = new(tracespec.Call)

// planOf returns the plan of a call.
func (c *callStream) planOf(call *entry.Call) *tracespec.Call {
	n := uint32(call.NR)
	if n >= entry.Calls {
		return unknownCall
	}
	if call.ABI == entry.I386 {
		n += tracespec.FirstI386
	}
	if c.calls[n] != nil {
		return c.calls[n]
	}
	return unknownCall
}

// enter is Consumer.Enter.
func (c *callStream) enter(t *task.Task, call *entry.Call) {
	c.begin(t)
	if !c.wants(t) {
		return // its parent was not known when it was made
	}
	plan := c.planOf(call)
	s := c.pool.Get().(*callScratch)
	defer c.pool.Put(s)
	s.record = tracespec.Record{
		Kind: tracespec.Enter, Thread: uint32(t.TID()), Process: uint32(t.PID()), CPU: uint32(t.Frame.LastCPU()),
		Number: call.NR, I386: call.ABI == entry.I386, Arguments: call.Args, Address: t.Frame.RIP,
	}
	if len(plan.Entry) > 0 {
		s.record.Captures = s.capturer.Capture(plan.Entry, (*[6]uint64)(&call.Args), 0, program{t})
	}
	c.stream.Put(t, &s.record)
}

// leave is Consumer.Exit.
func (c *callStream) leave(t *task.Task, call *entry.Call, result int64) {
	if t.Exiting() || !c.wants(t) {
		return // a call of a task that exits never returns: exiting says how it ends
	}
	plan := c.planOf(call)
	s := c.pool.Get().(*callScratch)
	defer c.pool.Put(s)
	s.record = tracespec.Record{Kind: tracespec.Leave, Thread: uint32(t.TID()), CPU: uint32(t.Frame.LastCPU()), Result: result, Killed: t.Killed()}
	if len(plan.Exit) > 0 {
		s.record.Captures = s.capturer.Capture(plan.Exit, (*[6]uint64)(&call.Args), result, program{t})
	}
	if c.plan.Stack > 0 {
		s.record.Registers, s.record.Stack = s.stack.read(t, t.Frame, c.plan.Stack)
		c.maps.send(uint32(t.PID()), t.MM)
	}
	c.stream.Put(t, &s.record)
}

// executed is a function of Tracepoints.Executed.
func (c *callStream) executed(e task.Executed) {
	if c.wants(e.Task) {
		c.stream.Put(e.Task, &tracespec.Record{
			Kind: tracespec.Exec, Thread: uint32(e.Task.TID()), Process: uint32(e.Task.PID()), Other: uint32(e.OldTID), Data: []byte(e.Path),
		})
	}
}

// forked is a function of Tracepoints.Forked. It must not sleep.
func (c *callStream) forked(e task.Forked) {
	c.begin(e.Parent)
	if c.wants(e.Child) {
		c.stream.PutNow(&tracespec.Record{
			Kind: tracespec.Clone, Thread: uint32(e.Parent.TID()), Other: uint32(e.Child.TID()), Process: uint32(e.Child.PID()),
		})
	}
}

// exiting is a function of Tracepoints.Exiting.
func (c *callStream) exiting(t *task.Task) {
	c.begin(t)
	if c.wants(t) {
		c.stream.Put(t, &tracespec.Record{
			Kind: tracespec.Exit, Thread: uint32(t.TID()), Process: uint32(t.PID()), Result: int64(t.ExitStatus()),
		})
	}
}

// generated is a function of Tracepoints.SignalGenerated. It must not sleep.
func (c *callStream) generated(e task.SignalGenerated) {
	if !c.wants(e.Target) || e.Result != task.SignalIgnored && e.Result != task.SignalQueued && e.Result != task.SignalLostInfo {
		return
	}
	kind := tracespec.Generated
	if e.Result == task.SignalIgnored {
		kind = tracespec.Ignored
	}
	c.stream.PutNow(&tracespec.Record{Kind: kind, Thread: uint32(e.Target.TID()), Process: uint32(e.Target.PID()), Data: siginfo(&e.Info)})
}

// delivered is a function of Tracepoints.SignalDelivered.
func (c *callStream) delivered(e task.SignalDelivered) {
	if c.wants(e.Task) {
		c.stream.Put(e.Task, &tracespec.Record{
			Kind: tracespec.Signal, Thread: uint32(e.Task.TID()), Process: uint32(e.Task.PID()), Data: siginfo(&e.Info),
		})
	}
}

// siginfo returns the siginfo_t of a signal.
func siginfo(i *signal.Info) []byte {
	s := i.Siginfo()
	return abi.Bytes(&s)
}
