package perf

import (
	"golang.org/x/sys/unix"

	"slowpath/mm"
	"slowpath/task"
)

// The records of this file tell the reader of samples what happens to the tasks: new
// mappings of code, names, forks and exits (perf_event_open(2), PERF_RECORD_).

// subscribers calls do for the events that count for t and want the records that bits
// select.
func (p *Perf) subscribers(t *task.Task, bits uint64, do func(e *Event, r *Ring)) {
	own := &of(t).events
	if own.empty() && p.wide.empty() {
		return
	}
	visit := func(events []*Event) {
		for _, e := range events {
			if e.attr.Bits&bits == 0 || !e.countsNow(t) {
				continue
			}
			if r := e.ring.Load(); r != nil {
				do(e, r)
			}
		}
	}
	visit(own.list())
	visit(p.wide.list())
}

// emit writes a record to an event. build appends its body.
func (e *Event) emit(r *Ring, t *task.Task, kind uint32, misc uint16, build func(p []byte) []byte) {
	withRecord(t, func(p []byte) []byte {
		p = finish(e.appendSampleID(build(begin(p, kind, misc)), t))
		e.write(r, t, p)
		return p
	})
}

// lostRecord returns a PERF_RECORD_LOST.
func (e *Event) lostRecord(t *task.Task, n uint64) []byte {
	p := begin(nil, unix.PERF_RECORD_LOST, 0)
	return finish(e.appendSampleID(put64(put64(p, e.id), n), t))
}

// appendSampleID appends the fields that follow each record but a sample, if
// sample_id_all is set.
func (e *Event) appendSampleID(p []byte, t *task.Task) []byte {
	a := e.attr
	if !a.Has(unix.PerfBitSampleIDAll) {
		return p
	}
	for _, field := range []struct {
		what  uint64
		value func() uint64
	}{
		{unix.PERF_SAMPLE_TID, func() uint64 { return taskIDs(t) }},
		{unix.PERF_SAMPLE_TIME, e.now},
		{unix.PERF_SAMPLE_ID, func() uint64 { return e.id }},
		{unix.PERF_SAMPLE_STREAM_ID, func() uint64 { return e.id }},
		{unix.PERF_SAMPLE_CPU, func() uint64 { return uint64(e.perf.cpuOf(t)) }},
		{unix.PERF_SAMPLE_IDENTIFIER, func() uint64 { return e.id }},
	} {
		if a.samples(field.what) {
			p = put64(p, field.value())
		}
	}
	return p
}

// appendName appends a string with its NUL, padded to a multiple of 8 bytes.
func appendName(p []byte, name string) []byte {
	p = append(p, name...)
	return append(p, make([]byte, 8-len(name)%8)...)
}

const (
	miscExec      = 1 << 13 // PERF_RECORD_MISC_COMM_EXEC
	miscDataMap   = 1 << 13 // PERF_RECORD_MISC_MMAP_DATA
	wantsMappings = unix.PerfBitMmap | unix.PerfBitMmap2
	// wantsLife are the bits for forks and exits, which every reader of the others needs.
	wantsLife = unix.PerfBitTask | wantsMappings | unix.PerfBitMmapData | unix.PerfBitComm
)

// Renamed writes the record of a new name of the task, of prctl(2). Only the task's own
// goroutine calls it.
func Renamed(t *task.Task) { renamed(t, 0) }

func renamed(t *task.Task, misc uint16) {
	p := perfOf(t)
	if p == nil {
		return
	}
	if p.events != nil {
		p.events.Renamed()
	}
	p.subscribers(t, unix.PerfBitComm, func(e *Event, r *Ring) {
		misc := misc
		if !e.attr.Has(unix.PerfBitCommExec) {
			misc = 0
		}
		e.emit(r, t, unix.PERF_RECORD_COMM, misc, func(p []byte) []byte {
			return appendName(put64(p, taskIDs(t)), t.Comm())
		})
	})
}

// Mapped writes the record of a new mapping at the address, if an event wants it. Only
// the task's own goroutine calls it, after mmap(2).
func Mapped(t *task.Task, address uint64) {
	p := perfOf(t)
	if p == nil || of(t).events.empty() && p.wide.empty() {
		return
	}
	t.MM.VisitRegions(mm.WithoutPages, func(region *mm.Region) error {
		if address >= region.Start && address < region.End {
			p.mapped(t, *region)
			return errFound
		}
		return nil
	})
}

// errFound ends a visit.
const errFound = unix.EEXIST

// mapped writes the record of one area. The lock of the address space is held, so
// nothing here accesses user memory.
func (p *Perf) mapped(t *task.Task, region mm.Region) {
	data := region.Prot&mm.ProtExec == 0
	p.subscribers(t, wantsMappings|unix.PerfBitMmapData, func(e *Event, r *Ring) {
		if data && !e.attr.Has(unix.PerfBitMmapData) || !data && e.attr.Bits&wantsMappings == 0 {
			return
		}
		kind, misc := uint32(unix.PERF_RECORD_MMAP), uint16(miscUser)
		if e.attr.Has(unix.PerfBitMmap2) {
			kind = unix.PERF_RECORD_MMAP2
		}
		if data {
			misc |= miscDataMap
		}
		e.emit(r, t, kind, misc, func(p []byte) []byte { return appendMapping(p, t, region, kind) })
	})
}

// appendMapping appends the body of a PERF_RECORD_MMAP or PERF_RECORD_MMAP2.
func appendMapping(p []byte, t *task.Task, r mm.Region, kind uint32) []byte {
	p = put64(p, taskIDs(t))
	p = put64(put64(put64(p, r.Start), r.End-r.Start), r.Offset)
	if kind == unix.PERF_RECORD_MMAP2 {
		p = put32(put32(p, unix.Major(r.Device)), unix.Minor(r.Device))
		p = put64(put64(p, r.Inode), 0) // no generations
		flags := uint32(unix.MAP_PRIVATE)
		if r.Shared {
			flags = unix.MAP_SHARED
		}
		p = put32(put32(p, uint32(r.Prot)), flags)
	}
	name := r.Name
	if name == "" {
		name = "//anon"
	}
	return appendName(p, name)
}

// executes implements Exec of the subsystem: it enables the events that wait for execve(2),
// and removes those that end there, so that they count what follows.
//
// The memory of a program with other privileges belongs to nobody who observed the old one
// (Linux: begin_new_exec).
func (p *Perf) executes(t *task.Task, _ *task.Execution) {
	if t.Dumpable() != mm.DumpableByUser {
		p.exposeNoMore(t)
	}
	for _, e := range of(t).events.list() {
		if e.attr.Has(bitRemoveOnExec) {
			p.leaveOne(t, e)
			continue
		}
		e.spaces.set(t, t.MM)
		if err := e.source.refilter(); err != nil {
			p.kernel.Logf("perf event %d counts no more hits of %v after execve: %v; free some memory and open the event again", e.id, t, err)
		}
		if e.takeEnableOnExec() {
			e.setEnabled(enabled)
		}
	}
}

// executed implements Executed of the subsystem: it writes the records of the new program.
func (p *Perf) executed(t *task.Task, _ int) {
	renamed(t, miscExec)
	for _, region := range p.areasToShow(t) {
		p.mapped(t, region)
	}
}

// takeEnableOnExec reports whether the event is to be enabled, once.
func (e *Event) takeEnableOnExec() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	enable := e.enable
	e.enable = false
	return enable
}

// areasToShow returns the areas of a new program, if an event wants to see them.
func (p *Perf) areasToShow(t *task.Task) []mm.Region {
	wanted := false
	p.subscribers(t, wantsMappings|unix.PerfBitMmapData, func(*Event, *Ring) { wanted = true })
	if !wanted {
		return nil
	}
	return t.MM.Regions(mm.WithoutPages)
}

// inherit implements Publish of the subsystem: the child gets the parent's events that
// are inherited.
func (p *Perf) inherit(parent, child *task.Task, a *task.CloneArgs) {
	if of(parent).events.empty() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range of(parent).events.list() {
		onlyThreads := e.attr.Has(bitInheritThread) && a.Flags&unix.CLONE_THREAD == 0
		if e.attr.Has(unix.PerfBitInherit) && !onlyThreads {
			e.attach(child)
			e.spaces.set(child, child.MM)
		}
	}
}

// started implements Started of the subsystem: it writes the record of the fork.
func (p *Perf) started(parent, child *task.Task, _ *task.CloneArgs) {
	p.subscribers(parent, wantsLife, func(e *Event, r *Ring) {
		e.emit(r, parent, unix.PERF_RECORD_FORK, 0, func(p []byte) []byte {
			return appendLife(p, child, parent.PID(), parent.TID(), e.now())
		})
	})
}

// appendLife appends the body of a PERF_RECORD_FORK or PERF_RECORD_EXIT.
func appendLife(p []byte, t *task.Task, parentPID, parentTID int, now uint64) []byte {
	p = put32(put32(p, uint32(t.PID())), uint32(parentPID))
	p = put32(put32(p, uint32(t.TID())), uint32(parentTID))
	return put64(p, now)
}

// exited implements BeforeExit of the subsystem.
func (p *Perf) exited(t *task.Task) {
	p.subscribers(t, wantsLife, func(e *Event, r *Ring) {
		e.emit(r, t, unix.PERF_RECORD_EXIT, 0, func(b []byte) []byte {
			return appendLife(b, t, t.ParentPID(), t.ParentPID(), e.now())
		})
	})
	p.leave(t)
	of(t).record = nil
}

// leave removes a task from all of its events. Those without a task end.
func (p *Perf) leave(t *task.Task) {
	for _, e := range p.detachAll(t) {
		e.end()
	}
}

// detachAll removes a task from all of its events, and returns those without a task.
func (p *Perf) detachAll(t *task.Task) (over []*Event) {
	s := of(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	s.left = true
	for _, e := range s.owned.list() {
		s.owned.remove(e)
		e.owner = nil
	}
	for _, e := range s.events.list() {
		if e.detach(t) {
			over = append(over, e)
		}
	}
	return over
}

// exposeNoMore removes a task from all of its events, but others may be opened for it.
func (p *Perf) exposeNoMore(t *task.Task) {
	for _, e := range of(t).events.list() {
		p.leaveOne(t, e)
	}
}

// leaveOne removes a task from one event.
func (p *Perf) leaveOne(t *task.Task, e *Event) {
	if p.detachOne(t, e) {
		e.end() // without the lock, because it wakes readers
	}
}

func (p *Perf) detachOne(t *task.Task, e *Event) (last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return e.detach(t)
}

// Bits of the header of a PERF_RECORD_SWITCH.
const (
	miscSwitchOut     = 1 << 13 // PERF_RECORD_MISC_SWITCH_OUT
	miscSwitchPreempt = 1 << 14 // PERF_RECORD_MISC_SWITCH_OUT_PREEMPT
)

// miscLeaves has the bits for each reason of leaving a CPU.
var miscLeaves = [...]uint16{task.Sleeps: miscSwitchOut, task.Yields: miscSwitchOut | miscSwitchPreempt}

// connectSwitchRecords makes tasks that leave a CPU, or continue there, write records for the
// events with the bit context_switch. Between two tasks the idle thread runs (package
// trace/events).
func (p *Perf) connectSwitchRecords() (disconnect func()) {
	leaves := p.kernel.OnLeave(func(t *task.Task, why task.Departure) { p.switched(t, miscLeaves[why]) })
	continues := p.kernel.OnContinue(func(t *task.Task) { p.switched(t, 0) })
	return func() { leaves(); continues() }
}

// switched writes the records of a switch. An event for every task shows the other thread
// too, which is the idle thread.
func (p *Perf) switched(t *task.Task, misc uint16) {
	p.subscribers(t, unix.PerfBitContextSwitch, func(e *Event, r *Ring) {
		if !e.wide {
			e.emit(r, t, unix.PERF_RECORD_SWITCH, misc, func(p []byte) []byte { return p })
			return
		}
		e.emit(r, t, unix.PERF_RECORD_SWITCH_CPU_WIDE, misc, func(p []byte) []byte { return put64(p, 0) })
	})
}
