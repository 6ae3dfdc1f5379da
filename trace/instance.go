package trace

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/wait"
)

// Instance is a set of ring buffers with its options, and with the state of each event
// (Linux: struct trace_array). The top instance is at the top of tracefs.
//
// Only root can make instances and grow their buffers. mm.Memory.Reserve bounds the
// buffers, and the registry's owner removes the instances.
type Instance struct {
	registry *Registry
	name     string
	queue    wait.Queue              // readers of all rings
	rings    []*ring                 // one for each CPU
	direct   [amd64.MaxCPUs]*ring    // the same, for StoreShort
	snapshot atomic.Pointer[[]*ring] // nil without one; sizing is held while it changes
	clock    clockIndex
	started  atomic.Uint64 // the time at which the buffer was emptied last
	// obstacles is 0 if records are stored in the common way: see the constants.
	obstacles atomic.Uint64
	options   atomic.Uint32
	cpus      atomic.Uint64 // the CPUs that record
	percent   atomic.Int32  // buffer_percent
	pids      atomic.Pointer[pidFilter]
	errors    errorLog
	expanded  atomic.Bool

	sizing sync.Mutex // held while the rings are resized
	modes  sync.Mutex // held while what obstacles repeats is changed

	// The registry's lock guards these.
	users         int // open files of an instance that can be removed
	removed       bool
	systemFilters map[string]string // texts of bad filters
}

// AllCPUs stands for all CPUs.
const AllCPUs = -1

// The sizes of a ring in pages: at the beginning, and after the first event was enabled.
// defaultKilobytes is the size that the second is made of.
const (
	leastPages       = 2
	defaultKilobytes = 1408
)

// pagesFor returns the pages of a ring for a size in KiB.
func pagesFor(kilobytes uint64) int {
	return max(leastPages, int((kilobytes*1024+pageRoom-1)/pageRoom))
}

// kilobytes returns the size of a ring in KiB.
func kilobytes(pages int) int { return pages * pageRoom / 1024 }

func (r *Registry) newInstance(name string) (*Instance, error) {
	bytes := int64(r.config.CPUs) * (leastPages + 1) * PageSize
	if err := r.config.Memory.Reserve(bytes); err != nil {
		return nil, err
	}
	defer r.config.Memory.Unreserve(bytes)
	i := &Instance{registry: r, name: name, systemFilters: make(map[string]string)}
	for cpu := range r.config.CPUs {
		one := newRing(leastPages, &i.queue)
		i.rings = append(i.rings, one)
		i.direct[cpu] = one
	}
	i.clock.Store(defaultClock)
	i.options.Store(defaultOptions)
	i.cpus.Store(1<<r.config.CPUs - 1)
	i.percent.Store(defaultPercent)
	i.started.Store(i.now())
	return i, nil
}

// Name returns the name of the instance, "" for the top one.
func (i *Instance) Name() string { return i.name }

// Registry returns the registry.
func (i *Instance) Registry() *Registry { return i.registry }

// Use counts an open file of the instance. Without it RemoveInstance may remove the
// instance. Error: ENODEV if it was removed.
func (i *Instance) Use(n int) error {
	i.registry.mu.Lock()
	defer i.registry.mu.Unlock()
	if i.removed && n > 0 {
		return unix.ENODEV
	}
	i.users += n
	return nil
}

// expand gives the rings their default size before the first event is enabled (Linux:
// tracing_update_buffers). Error: ENOMEM.
func (i *Instance) expand() error {
	if i.expanded.Load() {
		return nil
	}
	return i.SetSize(AllCPUs, defaultKilobytes)
}

// Expand gives the rings their default size, as enabling an event does. Error: ENOMEM.
func (i *Instance) Expand() error { return i.expand() }

// Free makes the rings as small as possible. The oldest records are lost.
func (i *Instance) Free() {
	i.sizing.Lock()
	defer i.sizing.Unlock()
	for _, r := range i.rings {
		r.resize(leastPages, nil) // it cannot fail: the ring becomes smaller
	}
}

// Pause stops the storing of records until resume is called.
func (i *Instance) Pause() (resume func()) {
	i.obstacles.Add(pause)
	return func() { i.obstacles.Add(^(pause - 1)) }
}

// Expanded reports whether the rings have left the small size of the beginning.
func (i *Instance) Expanded() bool { return i.expanded.Load() }

// DefaultKilobytes is the size that a ring gets before the first event is enabled, in KiB.
const DefaultKilobytes = defaultKilobytes

// SetSize sets the size of the ring of a CPU, or of each CPU, in KiB. The size is rounded
// up to whole pages. It may sleep. Errors: EINVAL for 0, ENOMEM: the sizes are the old
// ones then.
func (i *Instance) SetSize(cpu int, size uint64) error {
	if size == 0 {
		return unix.EINVAL
	}
	if size > 1<<40 {
		return unix.ENOMEM
	}
	i.sizing.Lock()
	defer i.sizing.Unlock()
	pages := pagesFor(size)
	var before []int
	rings := i.ringsOf(cpu)
	for n, r := range rings {
		before = append(before, r.pages())
		if err := r.resize(pages, i.registry.config.Memory); err != nil {
			for m := range n {
				rings[m].resize(before[m], i.registry.config.Memory)
			}
			return err
		}
	}
	i.expanded.Store(true)
	return nil
}

// ringsOf returns the ring of a CPU, or all rings.
func (i *Instance) ringsOf(cpu int) []*ring {
	if cpu == AllCPUs {
		return i.rings
	}
	return i.rings[cpu : cpu+1]
}

// Size returns the size of the ring of a CPU in KiB. For AllCPUs it is the size of each
// ring; ok is false if they differ.
func (i *Instance) Size(cpu int) (size int, ok bool) {
	rings := i.ringsOf(cpu)
	pages := rings[0].pages()
	for _, r := range rings[1:] {
		if r.pages() != pages {
			return 0, false
		}
	}
	return kilobytes(pages), true
}

// TotalSize returns the size of all rings together in KiB.
func (i *Instance) TotalSize() (total int) {
	for _, r := range i.rings {
		total += kilobytes(r.pages())
	}
	return total
}

// HeldMemory returns how many bytes the rings have. Any goroutine may call it.
func (i *Instance) HeldMemory() (bytes int64) {
	for _, r := range append(i.rings[:len(i.rings):len(i.rings)], i.snapshotRings(AllCPUs)...) {
		bytes += int64(r.pages()+1) * PageSize
	}
	return bytes
}

// On reports whether records are stored (the file tracing_on).
func (i *Instance) On() bool { return i.obstacles.Load()&obstacleOff == 0 }

// SetOn switches the storing of records. Readers that wait for full pages continue when
// it is switched off.
func (i *Instance) SetOn(on bool) {
	i.setOn(on)
	if !on {
		i.wakeReaders()
	}
}

// setOn is SetOn for a trigger. It does not sleep.
func (i *Instance) setOn(on bool) { i.setObstacle(obstacleOff, !on) }

// wakeReaders wakes all readers.
func (i *Instance) wakeReaders() {
	for _, r := range i.rings {
		r.wakeReaders()
	}
}

// Reset removes the records of a CPU, or of all.
func (i *Instance) Reset(cpu int) {
	for _, r := range i.ringsOf(cpu) {
		r.reset()
	}
	i.started.Store(i.now())
}

// Percent returns the contents of the file buffer_percent: how much of a ring is full
// before a reader that waits for full pages is woken. 0 means any record.
func (i *Instance) Percent() int { return int(i.percent.Load()) }

// defaultPercent is the value of Percent at the beginning.
const defaultPercent = 50

// SetPercent sets it. Error: EINVAL above 100.
func (i *Instance) SetPercent(percent uint64) error {
	if percent > 100 {
		return unix.EINVAL
	}
	i.percent.Store(int32(percent))
	return nil
}

// CPUMask returns the CPUs that record, one bit each.
func (i *Instance) CPUMask() uint64 { return i.cpus.Load() }

// SetCPUMask sets them. Bits of CPUs that do not exist are ignored.
func (i *Instance) SetCPUMask(mask uint64) {
	i.modes.Lock()
	defer i.modes.Unlock()
	all := uint64(1)<<i.registry.config.CPUs - 1
	i.cpus.Store(mask & all)
	i.setObstacle(obstacleCPUs, mask&all != all)
}

// store stores a record of the thread in the ring of the current CPU.
func (i *Instance) store(t Task, record []byte) bool {
	cpu := i.registry.config.CPU()
	if obstacles := i.obstacles.Load(); obstacles&obstacleOff != 0 || obstacles >= pause || i.cpus.Load()>>cpu&1 == 0 {
		return false
	}
	i.registry.threads.note(cpu, t, i.options.Load())
	c := i.currentClock()
	return i.rings[cpu].write(func() uint64 { return c.now(i.registry) }, record)
}

// What keeps a record from being stored in the common way. The bit obstacleOff and the
// number of pauses are the state itself. The other bits repeat a state that is not the one
// of the beginning; modes is held while they change.
const (
	obstacleOff     uint64 = 1 << iota // the file tracing_on is 0
	obstaclePIDs                       // pids has a list
	obstacleClock                      // the clock is not the default one
	obstacleCPUs                       // some CPUs do not record
	obstacleThreads                    // the options for the names of threads are not the default ones
	obstacleStack                      // the option stacktrace

	pause uint64 = 1 << 32 // an open file trace stops the storing of records; they are counted
)

// setObstacle sets or clears a bit.
func (i *Instance) setObstacle(bit uint64, on bool) {
	if on {
		i.obstacles.Or(bit)
	} else {
		i.obstacles.And(^bit)
	}
}

// Counts returns the contents of the file stats of a CPU.
func (i *Instance) Counts(cpu int) string {
	c, clock := i.rings[cpu].counts(), i.currentClock()
	text := "entries: " + decimal(c.entries) + "\noverrun: " + decimal(c.overrun) + "\ncommit overrun: 0\nbytes: " + decimal(c.bytes) +
		"\noldest event ts: " + clock.text(c.oldest) + "\nnow ts: " + clock.text(i.now())
	return text + "\ndropped events: " + decimal(c.dropped) + "\nread events: " + decimal(c.read) + "\n"
}

// Entries returns how many records the ring of a CPU, or all rings, have and how many were
// written.
func (i *Instance) Entries(cpu int) (entries, written int64) { return entriesOf(i.ringsOf(cpu)) }

func entriesOf(rings []*ring) (entries, written int64) {
	for _, r := range rings {
		c := r.counts()
		entries += c.entries
		written += c.entries + c.overrun
	}
	return entries, written
}
