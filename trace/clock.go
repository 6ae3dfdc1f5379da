package trace

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"slowpath/arch/amd64"
	"slowpath/clock"
)

// traceClock is a clock for the times of records (Documentation/trace/ftrace.rst of
// Linux, "trace_clock").
type traceClock struct {
	name string
	// now reads the clock. It does not sleep.
	now func(r *Registry) uint64
	// nanoseconds says that the clock counts nanoseconds. Others are printed as a number.
	nanoseconds bool
}

// The clocks in the order of the file trace_clock. All CPUs have the same clocks here, so
// local is as exact as global.
var traceClocks = []traceClock{
	{"local", monotonic, true},
	{"global", monotonic, true},
	{"counter", func(r *Registry) uint64 { return r.counter.Add(1) }, false},
	{"uptime", func(*Registry) uint64 { return uint64(clock.Monotonic() / tick) }, false},
	{"perf", monotonic, true},
	{"mono", monotonic, true},
	{"mono_raw", monotonic, true},
	{"boot", monotonic, true},
	{"tai", func(r *Registry) uint64 { return uint64(r.config.Realtime()) }, true},
	{"x86-tsc", func(*Registry) uint64 { return amd64.TSC() }, false},
}

// tick is the unit of the clock uptime: 1/USER_HZ s.
const tick = clock.Second / 100

// defaultClock is the index of the clock that an instance begins with. Linux chooses
// global on its own in a virtual machine, because its local clock is unstable there.
const defaultClock = 0

func monotonic(r *Registry) uint64 { return r.config.Now() }

// Clocks returns the names of the clocks and the index of the current one.
func (i *Instance) Clocks() (names []string, current int) {
	for _, c := range traceClocks {
		names = append(names, c.name)
	}
	return names, int(i.clock.Load())
}

// SetClock selects a clock by name. The records are removed, because their times could
// not be compared with those of new records. Error: EINVAL for an unknown name.
func (i *Instance) SetClock(name string) error {
	for n := range traceClocks {
		if traceClocks[n].name != name {
			continue
		}
		i.useClock(n)
		i.Reset(AllCPUs)
		i.started.Store(i.now())
		return nil
	}
	return unix.EINVAL
}

// useClock makes a clock the current one.
func (i *Instance) useClock(n int) {
	i.modes.Lock()
	defer i.modes.Unlock()
	i.clock.Store(int32(n))
	i.setObstacle(obstacleClock, n != defaultClock)
}

// currentClock returns the clock of the instance.
func (i *Instance) currentClock() *traceClock { return &traceClocks[i.clock.Load()] }

// now reads the clock of the instance.
func (i *Instance) now() uint64 { return i.currentClock().now(i.registry) }

// clockIndex is the index of a clock.
type clockIndex = atomic.Int32
