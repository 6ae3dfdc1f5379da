// Package uprobe puts probes on instructions of programs (Linux:
// kernel/events/uprobes.c).
//
// A probe is a place in a file: an inode and an offset. It reaches every process that
// maps the file executable and private, now or later. Package mm writes the breakpoint
// (INT3) into a private copy of the page, when the page is faulted in or when the probe
// is added, so the file and its other mappings never change.
//
// A hit takes these steps. INT3 raises #BP, whose first owner is entry.ByUprobe. It
// finds the probe by the address and raises the duty UPROBE. The duty's handler runs the
// functions of the probe's consumers, and then executes the original instruction:
// package insn emulates it, or the CPU executes a copy in a slot of the process's
// [uprobes] page (execution out of line, XOL), which ends with INT3.
package uprobe

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/fs"
	"slowpath/mm"
	"slowpath/task"
	"slowpath/uprobe/function"
)

// Consumer gets the hits of one probe. It must not change after Add. Hit and Return run
// on the goroutine of the task that hit the probe, with interrupts on. They may sleep,
// and read user memory by the task's CopyIn. They must not call Add, Remove or Refilter.
type Consumer struct {
	// Hit runs before the probed instruction. f is complete, and f.RIP is the probed
	// address. nil for a probe that only wants returns.
	Hit func(t *task.Task, f *amd64.Frame)
	// Return runs when the probed function returns. f has the registers right after
	// the return: RIP is the caller's, RAX the value. entry is the address of the
	// probed instruction. nil if the consumer wants no returns.
	Return func(t *task.Task, f *amd64.Frame, entry uint64)
	// Wants reports whether the consumer wants the hits of a task. nil wants all. It
	// runs on the task's goroutine, and must not sleep.
	Wants func(t *task.Task) bool
	// WantsSpace reports whether breakpoints are needed in an address space. nil wants
	// all. Any goroutine may call it, with the address space locked: it must not sleep,
	// and must not call a method of the address space.
	WantsSpace func(as *mm.AddressSpace) bool
}

// wants reports whether the consumer wants the hits of a task.
func (c *Consumer) wants(t *task.Task) bool { return c.Wants == nil || c.Wants(t) }

// Location is the place of a probe.
type Location struct {
	// File is the open file. Its access mode does not matter.
	File *fs.File
	// Offset is the file offset of the instruction.
	Offset uint64
	// ReferenceCounter is the file offset of a 16-bit counter that is above 0 while the
	// probe exists, in every process that maps it: the semaphore of an SDT marker. 0
	// stands for none.
	ReferenceCounter uint64
}

// Probes are all probes of a kernel. It is safe for concurrent use.
type Probes struct {
	memory *mm.Memory

	mu     sync.Mutex // held while probes are added or removed; it is taken before all others
	sites  map[place]*site
	lastID uint64 // of a site
	images images

	threads threads
}

// Probe is a consumer at a location. Its size is charged to nobody, because only a
// privileged user adds probes; Add refuses a probe when the kernel's heap is short.
type Probe struct {
	probes   *Probes
	file     *fs.File // with a reference
	object   object
	offset   uint64
	consumer *Consumer
	sites    []*site           // those that have a role for the probe
	imaged   bool              // holds the image of the file
	hijacks  bool              // a return probe that replaces the return address
	parts    []function.Extent // the code of the function, of another return probe
	removed  atomic.Bool
}

// probeBytes is about what a probe needs of the kernel's heap: the probe, its site with the
// decoded instruction, its patch, and their places in maps.
const probeBytes = 1024

// New returns an empty set of probes.
func New(m *mm.Memory) *Probes {
	return &Probes{memory: m, sites: make(map[place]*site), images: make(images)}
}

// ENOTSUPP is the error for an instruction that cannot be probed. It is Linux's internal
// errno 524, which reaches programs.
const ENOTSUPP = unix.Errno(524)

// Add puts a probe at l, and keeps a reference to the file. It may sleep.
//
// Errors: EINVAL if the consumer has no function, the file is not a regular file, the
// offset is beyond its end, or the reference counter is not at a multiple of 2 or differs
// from that of another probe at the same place; EIO if the file has no bytes there or
// cannot be mapped; ENOTSUPP if the instruction cannot be probed; ENOEXEC if the file ends
// within it; EOPNOTSUPP for a return probe on a function of Go whose exits are not known;
// ENOMEM. Linux reports a bad instruction only if a process maps the file.
func (p *Probes) Add(l Location, c *Consumer) (*Probe, error) {
	probes, err := p.AddAll([]Location{l}, []*Consumer{c})
	if err != nil {
		return nil, err
	}
	return probes[0], nil
}

// Remove removes the probe. When it returns, no function of the consumer runs any more.
// It may sleep. The caller must not be one of the consumer's functions.
func (b *Probe) Remove() { RemoveAll([]*Probe{b}) }

// Refilter makes the breakpoints follow a change of the answers of Wants and
// WantsSpace. It may sleep. Error: ENOMEM.
func (b *Probe) Refilter() error {
	p := b.probes
	p.mu.Lock()
	defer p.mu.Unlock()
	if b.removed.Load() {
		return nil
	}
	return refresh(b.sites)
}
