package trace

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/clock"
	"slowpath/mm"
)

// Config is the configuration of a Registry. It must not change after NewRegistry.
type Config struct {
	// CPUs is the number of CPUs.
	CPUs int
	// CPU returns the number of the CPU that runs the caller, 0 for the first. The caller
	// may run on another when it returns.
	CPU func() int
	// TSC says how CLOCK_MONOTONIC follows from the TSC, which is the cheapest clock.
	TSC TSC
	// Now returns the same clock in nanoseconds. nil stands for the TSC or, without it, for
	// the Go runtime's clock.
	Now func() uint64
	// Memory bounds what the package allocates. nil admits all.
	Memory *mm.Memory
	// Realtime returns CLOCK_REALTIME in nanoseconds.
	Realtime func() int64
	// CallName returns the name of a system call for histograms, or "". nil knows none.
	CallName func(number uint64) string
	// Release is the release of the kernel (uname(2)).
	Release string
}

// TSC is a clock of nanoseconds that is computed from the TSC: (TSC - Start) * Scale >> 32. A
// Scale of 0 stands for no such clock.
type TSC struct{ Start, Scale uint64 }

// at returns the time in nanoseconds at which the TSC had a value.
func (c *TSC) at(tsc uint64) uint64 {
	hi, lo := bits.Mul64(tsc-c.Start, c.Scale)
	return hi<<32 | lo>>32
}

// clock returns the function that reads the clock of a configuration.
func (c *Config) clock() func() uint64 {
	switch {
	case c.Now != nil:
		return c.Now
	case c.TSC.Scale != 0:
		tsc := c.TSC
		return func() uint64 { return tsc.at(amd64.TSC()) }
	}
	return func() uint64 { return uint64(clock.Monotonic()) }
}

// Registry has all events and instances. Its methods may be called by any goroutine that
// may sleep.
type Registry struct {
	config  Config
	counter atomic.Uint64 // the trace clock counter
	threads threads
	print   *Event // ftrace:print
	// following has the instances with the option event-fork.
	following atomic.Pointer[followers]

	mu        sync.Mutex // Linux: event_mutex; guards the fields below and those of events
	events    []*Event   // in the order of their addition
	byID      map[int]*Event
	byName    map[eventName]*Event
	systems   map[string]int // the number of events of each system
	lastID    int
	instances []*Instance // the first is the top one
	recording int         // event files that are enabled: see threads
}

// eventName identifies an event.
type eventName struct{ system, name string }

// The ids of Linux's own kinds of records (enum trace_type). Other events get ids from
// firstID on. Linux's static events have ids up to about 2,000.
const (
	idPrint   = 5
	idRawData = 18
	firstID   = 3000
	maxID     = 1<<16 - 1 // common_type has 16 bits
)

// NewRegistry returns a registry with the events of the system ftrace, and the top
// instance. Error: ENOMEM.
func NewRegistry(c Config) (*Registry, error) {
	c.Now = c.clock()
	r := &Registry{config: c, byID: make(map[int]*Event), byName: make(map[eventName]*Event), systems: make(map[string]int), lastID: firstID - 1}
	r.threads.init()
	top, err := r.newInstance("")
	if err != nil {
		return nil, err
	}
	r.instances = []*Instance{top}
	for i := range fixedEvents {
		if e := r.add(fixedEvents[i].definition(), fixedEvents[i].id); e.id == idPrint {
			r.print = e
		}
	}
	return r, nil
}

// Top returns the instance at the top of tracefs.
func (r *Registry) Top() *Instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.instances[0]
}

// CPU returns the number of the CPU that runs the caller, which may run on another when it
// returns.
func (r *Registry) CPU() int { return r.config.CPU() }

// CPUs returns the number of CPUs.
func (r *Registry) CPUs() int { return r.config.CPUs }

// eventBytes is about how much memory an event needs, without its fields.
const eventBytes = 2 << 10

// Add adds an event. The caller bounds the number of events. Errors: EEXIST if the system
// has an event with the name, ENODEV if all ids are in use, ENOMEM.
func (r *Registry) Add(d Definition) (*Event, error) {
	if err := r.config.Memory.Admit(eventBytes); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lookup(d.System, d.Name) != nil {
		return nil, unix.EEXIST
	}
	id, ok := r.newID()
	if !ok {
		return nil, unix.ENODEV
	}
	return r.add(d, id), nil
}

// newID returns an id that is not in use. r.mu is held.
func (r *Registry) newID() (int, bool) {
	if r.lastID < maxID {
		r.lastID++
		return r.lastID, true
	}
	for id := firstID; id <= maxID; id++ {
		if r.byID[id] == nil {
			return id, true
		}
	}
	return 0, false
}

// add adds an event with an id. r.mu is held, or r is not shared yet.
func (r *Registry) add(d Definition, id int) *Event {
	e := &Event{Definition: d, registry: r, id: id}
	for _, i := range r.instances {
		e.files = append(e.files, newEventFile(i, e))
	}
	r.events = append(r.events, e)
	r.byID[id] = e
	r.byName[eventName{d.System, d.Name}] = e
	r.systems[d.System]++
	return e
}

// Remove removes an event. Like Linux, it removes all records of the instances in which the
// event was enabled, because another event may get its id. When it returns, the owner's functions are not called any more, except by a call of
// Record or by a print that has begun. Errors: EBUSY if the event is enabled, has
// triggers, or a sink has subscribed to it.
func (r *Registry) Remove(e *Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.removed {
		return nil
	}
	if e.busy() {
		return unix.EBUSY
	}
	e.removed = true
	for _, f := range e.files {
		f.removed = true
		if f.recorded {
			f.instance.Reset(AllCPUs)
		}
	}
	r.forget(e)
	delete(r.byID, e.id)
	delete(r.byName, eventName{e.System, e.Name})
	if r.systems[e.System]--; r.systems[e.System] == 0 {
		delete(r.systems, e.System)
	}
	return nil
}

// forget removes an event from the list. It searches from the end, where those are that
// are removed in the reverse order of their addition. r.mu is held.
func (r *Registry) forget(e *Event) {
	for i, one := range slices.Backward(r.events) {
		if one == e {
			r.events = slices.Delete(r.events, i, i+1)
			return
		}
	}
}

// busy reports whether the event has users. The registry is locked.
func (e *Event) busy() bool {
	return len(e.sinks) > 0 || slices.ContainsFunc(e.files, func(f *EventFile) bool { return f.wanted() || f.references > 0 })
}

// Busy reports whether Remove would fail with EBUSY.
func (e *Event) Busy() bool {
	e.registry.mu.Lock()
	defer e.registry.mu.Unlock()
	return e.busy()
}

// ByID returns the event with an id, or nil.
func (r *Registry) ByID(id int) *Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byID[id]
}

// Lookup returns the event of a system with a name, or nil.
func (r *Registry) Lookup(system, name string) *Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lookup(system, name)
}

// lookup is Lookup with r.mu held.
func (r *Registry) lookup(system, name string) *Event {
	return r.byName[eventName{system, name}]
}

// HasSystem reports whether there is an event of a system.
func (r *Registry) HasSystem(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.systems[name] > 0
}

// hasEvents reports whether there are events that can be enabled.
func (r *Registry) hasEvents() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.events, func(e *Event) bool { return !e.Fixed })
}

// Events returns all events, the newest first, as Linux lists them.
func (r *Registry) Events() []*Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := slices.Clone(r.events)
	slices.Reverse(events)
	return events
}

// NewInstance makes an instance with a name: a directory below instances. Errors: EEXIST,
// ENOMEM.
func (r *Registry) NewInstance(name string) (*Instance, error) {
	i, err := r.newInstance(name)
	if err != nil {
		return nil, err
	}
	if err := i.expand(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(r.instances, func(one *Instance) bool { return one.name == name }) {
		return nil, unix.EEXIST
	}
	r.instances = append(r.instances, i)
	for _, e := range r.events {
		e.files = append(e.files, newEventFile(i, e))
	}
	return i, nil
}

// RemoveInstance disables the events of an instance, and removes it. Errors: ENOENT if it
// was removed, EBUSY if a file of it is open (Instance.Use).
func (r *Registry) RemoveInstance(i *Instance) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case i.removed: // by another call at the same time
		return unix.ENOENT
	case i.users > 0:
		return unix.EBUSY
	}
	for _, e := range r.events {
		at := slices.IndexFunc(e.files, func(f *EventFile) bool { return f.instance == i })
		f := e.files[at]
		f.clearTriggers()
		f.setEnabled(false)
		f.removed = true
		e.files = slices.Delete(slices.Clone(e.files), at, at+1)
	}
	r.instances = slices.DeleteFunc(r.instances, func(one *Instance) bool { return one == i })
	i.removed = true
	r.followForks()
	return nil
}

// Reset disables all events, and removes all triggers, filters and instances. No file of an
// instance is open.
func (r *Registry) Reset() {
	for _, i := range r.Instances() {
		r.RemoveInstance(i)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		for _, f := range e.files {
			f.clearTriggers()
			f.setEnabled(false)
			f.filter.Store(nil)
			f.event.refreshDirect()
		}
	}
}

// Instances returns the instances below the top one.
func (r *Registry) Instances() []*Instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.instances[1:])
}
