package perf

import (
	"golang.org/x/sys/unix"

	"slowpath/abi"
	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/task"
	"slowpath/uprobe"
)

// source is what an event counts.
type source interface {
	// stop ends the calls of Event.hit and releases the source. It may sleep.
	stop()
	// refilter says that the event counts for other address spaces. It may sleep. Error:
	// ENOMEM if an address space does not get the breakpoint of a probe.
	refilter() error
	// reading returns what is added to the count when the event is read.
	reading(e *Event) uint64
}

// opener makes the source of an event. Errors: those of perf_event_open(2).
type opener func(p *Perf, t *task.Task, e *Event) (source, error)

// openers has the source of each type. Other types do not exist: ENOENT. This machine
// has no hardware counters.
var openers = map[uint32]opener{
	unix.PERF_TYPE_SOFTWARE:   openSoftware,
	unix.PERF_TYPE_TRACEPOINT: openTracepoint,
	abi.UprobePMU:             openUprobe,
}

// uprobeSource is a probe of the uprobe PMU.
type uprobeSource struct{ probe *uprobe.Probe }

// Bits of Attributes.Config for the uprobe PMU, as in /sys/bus/event_source/devices/
// uprobe/format.
const (
	configReturn          = 1 << 0
	referenceCounterShift = 32
)

// openUprobe puts a probe for one event. Config1 is the address of the path, Config2
// the offset in the file (perf_event_open(2), "kprobe and uprobe"). Errors: EACCES,
// EFAULT, those of opening the file, and those of uprobe.Probes.Add.
func openUprobe(p *Perf, t *task.Task, e *Event) (source, error) {
	if !privileged(t) {
		return nil, unix.EACCES
	}
	path, err := t.CopyInPath(e.attr.Ext1)
	if err != nil {
		if err == unix.ENAMETOOLONG {
			err = unix.E2BIG
		}
		return nil, err
	}
	if path == "" {
		return nil, unix.EINVAL
	}
	file, err := (fs.At{Caller: t, Name: path, Follow: true}).Open(unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer file.DecRef()
	consumer := &uprobe.Consumer{WantsSpace: e.wantsSpace}
	if e.attr.Config&configReturn == 0 {
		consumer.Hit = e.uprobeHit()
	} else {
		consumer.Wants, consumer.Return = e.countsFor, e.uprobeReturn
	}
	probe, err := p.probes.Add(uprobe.Location{
		File: file, Offset: e.attr.Ext2, ReferenceCounter: e.attr.Config >> referenceCounterShift,
	}, consumer)
	if err != nil {
		return nil, err
	}
	return uprobeSource{probe}, nil
}

func (s uprobeSource) stop() { s.probe.Remove() }

func (s uprobeSource) refilter() error { return s.probe.Refilter() }

func (uprobeSource) reading(*Event) uint64 { return 0 }

// uprobeHit returns Hit of the consumer. It asks itself whether the event counts for the
// task, which is one comparison for most events.
func (e *Event) uprobeHit() func(t *task.Task, f *amd64.Frame) {
	return func(t *task.Task, f *amd64.Frame) {
		if e.sole.Load() != t && !e.countsFor(t) {
			return
		}
		if e.state.Load() != uint32(enabled) || e.cpu >= 0 && e.cpu != t.Frame.LastCPU() {
			return
		}
		e.count.Add(1)
		if e.sampling {
			e.sampleHit(sample{task: t, frame: f, raw: probeRecord(t, f.RIP)})
		}
	}
}

// uprobeReturn implements Return of the consumer.
func (e *Event) uprobeReturn(t *task.Task, f *amd64.Frame, entry uint64) {
	if !e.countsNow(t) {
		return
	}
	e.count.Add(1)
	if e.sampling {
		e.sampleHit(sample{task: t, frame: f, raw: probeRecord(t, entry, f.RIP)})
	}
}

// probeRecord returns the raw record of a probe without fetch arguments: the common
// fields of trace events, and one or two addresses.
func probeRecord(t *task.Task, addresses ...uint64) []byte {
	var record [8 + 2*8]byte
	p := record[:0]
	p = append(p, 0, 0, 0, 0) // no type, because the event has no name; no flags
	p = put32(p, uint32(t.TID()))
	for _, a := range addresses {
		p = put64(p, a)
	}
	return p
}
