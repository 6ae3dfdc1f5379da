package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/linkstream"
	"slowpath/probespec"
	"slowpath/task"
	"slowpath/uprobe"
	"slowpath/uprobe/fetch"
)

// hitStream sends hits to the host.
type hitStream = linkstream.Stream[probespec.Hit, *probespec.Encoder]

// fail reports a probe that cannot be set. Failures come before all hits, and their number is
// limited by that of the probes.
func (h *hostProbes) fail(p *probespec.Probe, errno unix.Errno) {
	h.stream.Always(func(e *probespec.Encoder) { e.Failure(probespec.Failure{ID: p.ID, Errno: uint32(errno)}) })
}

// hostProbes are the probes of slowpath run --probe. They exist until the machine ends.
type hostProbes struct {
	timeline *recording // nil without slowpath.exits
	spec     *probespec.Spec
	stream   *hitStream
	maps     *sentMaps
	scratch  sync.Pool // of *scratch
}

// readProbes reads and removes the probe file of the host command. It returns nil if there
// is none, or no link to send the hits.
func (k *kernel) readProbes() (*hostProbes, error) {
	text, err := k.takeFile(probespec.Path)
	if errors.Is(err, unix.ENOENT) || err == nil && k.link == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	spec, err := probespec.Parse(text)
	if err != nil {
		return nil, err
	}
	h := &hostProbes{spec: spec, timeline: k.timeline, stream: linkstream.New(new(probespec.Encoder), k.link.writer.Probes)}
	h.maps = newSentMaps(func(process uint32, text []byte) (written bool) {
		// A hit causes them, which then waits for room itself.
		return h.stream.Always(func(e *probespec.Encoder) { e.Maps(process, text) })
	})
	h.scratch.New = func() any { return new(scratch) }
	return h, nil
}

// add adds the probes. Those that cannot be set are reported to the host. It fails with the
// errno of the first of them that is not optional.
func (h *hostProbes) add(k *kernel) error {
	files := make([]*fs.File, len(h.spec.Files))
	for i, name := range h.spec.Files {
		f, err := k.at(name).Open(unix.O_RDONLY, 0)
		if err != nil {
			return h.failFile(i, err)
		}
		defer f.DecRef() // the probes have their own references
		files[i] = f
	}
	locations, consumers := make([]uprobe.Location, len(h.spec.Probes)), make([]*uprobe.Consumer, len(h.spec.Probes))
	for i := range h.spec.Probes {
		p := &h.spec.Probes[i]
		locations[i] = uprobe.Location{File: files[p.File], Offset: p.Offset}
		consumers[i] = h.consumer(p)
	}
	if _, err := k.probes.AddAll(locations, consumers); err == nil {
		return nil
	}
	return h.addEach(k, locations, consumers)
}

// failFile reports a file that cannot be opened, for each of its probes. It returns the
// error.
func (h *hostProbes) failFile(file int, err error) error {
	defer h.stream.Flush()
	errno, ok := err.(unix.Errno)
	if !ok {
		return fmt.Errorf("the probed file %s cannot be opened: %w", h.spec.Files[file], err)
	}
	for i := range h.spec.Probes {
		if p := &h.spec.Probes[i]; p.File == file {
			h.fail(p, errno)
		}
	}
	return errno
}

// addEach adds the probes one by one, to find those that cannot be set.
func (h *hostProbes) addEach(k *kernel, locations []uprobe.Location, consumers []*uprobe.Consumer) (first error) {
	defer h.stream.Flush()
	for i := range locations {
		_, err := k.probes.Add(locations[i], consumers[i])
		if err == nil {
			continue
		}
		errno, ok := err.(unix.Errno)
		if !ok {
			return err
		}
		p := &h.spec.Probes[i]
		h.fail(p, errno)
		if !p.Optional && first == nil {
			first = errno
		}
	}
	return first
}

// consumer returns the consumer of a probe.
func (h *hostProbes) consumer(p *probespec.Probe) *uprobe.Consumer {
	r := &hitReader{probe: p, arguments: h.spec.Lists[p.Arguments], probes: h}
	if p.Return {
		return &uprobe.Consumer{Return: func(t *task.Task, f *amd64.Frame, entry uint64) {
			r.read(t, f, probespec.Hit{ID: p.ID, TailCall: uprobe.LeftByJump(t, f)}, entry)
		}}
	}
	return &uprobe.Consumer{Hit: func(t *task.Task, f *amd64.Frame) { r.read(t, f, probespec.Hit{ID: p.ID}, f.RIP) }}
}

// hitReader reads what one probe sends at a hit.
type hitReader struct {
	probe     *probespec.Probe
	arguments []fetch.Argument
	probes    *hostProbes
}

// taskMemory is the memory of a task for package fetch.
type taskMemory struct{ *task.Task }

// Load reads user memory. Error: EFAULT.
func (m taskMemory) Load(address uint64, dst []byte) error { return m.CopyIn(address, dst) }

// scratch are buffers for the values and the stack of a hit.
type scratch struct {
	values []byte
	stack  stackBuffer
}

// read adds the values and the stack to a hit, and sends it. at is the address of the probe.
func (r *hitReader) read(t *task.Task, f *amd64.Frame, hit probespec.Hit, at uint64) {
	buffers := r.probes.scratch.Get().(*scratch)
	defer r.probes.scratch.Put(buffers)
	r.probes.timeline.probe(t, r.probe.ID)
	hit.CPU, hit.Process, hit.Thread, hit.Comm = uint32(f.LastCPU()), uint32(t.PID()), uint32(t.TID()), t.Comm()
	buffers.values = probespec.Fetch(r.arguments, &fetch.Hit{
		Frame: f, Memory: taskMemory{t}, FileBase: at - r.probe.Offset, Comm: hit.Comm,
	}, buffers.values)
	hit.Values = buffers.values
	if r.probe.Stack > 0 {
		hit.Registers, hit.Stack = buffers.stack.read(t, f, r.probe.Stack)
		r.probes.maps.send(hit.Process, t.MM)
	}
	r.probes.stream.Put(t, &hit)
}

// stackBuffer is memory for the registers and a part of the stack of a task.
type stackBuffer []byte

// read returns the registers in the order of their DWARF numbers and RIP, and at most size
// bytes from the stack pointer upwards: fewer if the stack ends before. They are valid until
// the next call.
func (b *stackBuffer) read(t *task.Task, f *amd64.Frame, size int) (registers, stack []byte) {
	if len(*b) < probespec.RegisterBytes+size {
		*b = make([]byte, probespec.RegisterBytes+size)
	}
	stack = (*b)[probespec.RegisterBytes:][:size]
	n, _ := t.CopyInSome(stack, f.RSP)
	return appendRegisters((*b)[:0], f), stack[:n]
}

func appendRegisters(b []byte, f *amd64.Frame) []byte {
	for _, v := range [...]uint64{f.RAX, f.RDX, f.RCX, f.RBX, f.RSI, f.RDI, f.RBP, f.RSP, f.R8, f.R9, f.R10, f.R11, f.R12, f.R13, f.R14, f.R15, f.RIP} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}
