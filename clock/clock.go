// Package clock reads the two clocks that all others derive from: time since
// boot and time of day.
//
// In the kernel the Go runtime reads them from the TSC, through the vDSO image
// of package goos; on the host through the host's vDSO. So the host tests the
// same code.
package clock

import (
	"sync"
	"sync/atomic"
	"time"
	_ "unsafe" // go:linkname

	"golang.org/x/sys/unix"
)

// The units of system calls, in nanoseconds.
const (
	Microsecond = int64(1e3)
	Millisecond = int64(1e6)
	Second      = int64(1e9)
)

// nanotime reads CLOCK_MONOTONIC. time.Now would read CLOCK_REALTIME too, at
// twice the cost.
//
//go:linkname nanotime runtime.nanotime
func nanotime() int64

// Wall is CLOCK_REALTIME, which users can set and whose rate they can change (adjtimex(2)). The
// zero value shows the machine's own time of day. It is safe for concurrent use.
type Wall struct {
	// Changed, if not nil, is called with the parameters of the clocks after each change.
	// It is set before the first one, and must not sleep.
	Changed func(Parameters)
	// Boot is the machine's own CLOCK_REALTIME at the time 0 of Raw. 0 stands for that of
	// the Go runtime. It is set before the first use.
	Boot int64

	boot   sync.Once
	offset atomic.Int64 // that was added to Boot, in nanoseconds
	tai    atomic.Int64 // TAI-UTC, in nanoseconds
	sets   atomic.Uint64

	discipline sync.Mutex // guards ntp, and is held for each change
	ntp        ntp

	mu       sync.Mutex // guards watchers
	watchers map[*watcher]struct{}
}

// Parameters are what the clocks are computed from.
type Parameters struct {
	Rate Rate
	// Wall is CLOCK_REALTIME minus Monotonic, and TAI is CLOCK_TAI minus CLOCK_REALTIME, in
	// nanoseconds.
	Wall, TAI int64
}

// watcher is a function of Wall.Watch.
type watcher struct{ f func() }

// Watch calls f after each step of the clock, on the goroutine that sets the clock, until stop is
// called. f may run once more while stop is called. f must not sleep. Neither Watch nor
// stop may be called with a lock held that f takes.
func (w *Wall) Watch(f func()) (stop func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watchers == nil {
		w.watchers = make(map[*watcher]struct{})
	}
	added := &watcher{f}
	w.watchers[added] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.watchers, added)
	}
}

// watching returns the functions of Watch.
func (w *Wall) watching() []*watcher {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]*watcher, 0, len(w.watchers))
	for one := range w.watchers {
		all = append(all, one)
	}
	return all
}

// Now returns CLOCK_REALTIME in nanoseconds since 1970 (clock_gettime(2)). It
// does not sleep.
func (w *Wall) Now() int64 { return Monotonic() + w.base() }

// TAI returns CLOCK_TAI in nanoseconds since 1970 (clock_gettime(2)). It does not sleep.
func (w *Wall) TAI() int64 { return w.Now() + w.tai.Load() }

// base returns CLOCK_REALTIME minus Monotonic.
func (w *Wall) base() int64 {
	w.boot.Do(func() {
		if w.Boot == 0 {
			w.Boot = time.Now().UnixNano() - nanotime()
		}
	})
	return w.Boot + w.offset.Load()
}

// Parameters returns what the clocks are computed from. It does not sleep.
func (w *Wall) Parameters() Parameters {
	return Parameters{Rate: CurrentRate(), Wall: w.base(), TAI: w.tai.Load()}
}

// changed tells the owner of Changed of a change.
func (w *Wall) changed() {
	if w.Changed != nil {
		w.Changed(w.Parameters())
	}
}

// latest is the greatest time of day that can be set: 30 years later the clock still fits
// (Linux: TIME_SETTOD_SEC_MAX).
const latest = (1<<63 - 1) - 30*365*24*3600*Second

// Set sets the time of day, in nanoseconds since 1970 (clock_settime(2)). The
// caller checks the privilege. It calls Changed and the functions of Watch. Error: EINVAL if
// the time is so late that it would overflow, or so early that the time of boot would be
// before 1970.
func (w *Wall) Set(now int64) error {
	if err := w.set(func() int64 { return now }); err != nil {
		return err
	}
	w.announce()
	return nil
}

// set sets the time of day to that which to returns, and resets the state of the adjustment.
func (w *Wall) set(to func() int64) error {
	w.discipline.Lock()
	defer w.discipline.Unlock()
	w.advance()
	return w.step(to())
}

// step is set with the lock held.
func (w *Wall) step(now int64) error {
	mono := Monotonic()
	if now < mono || now > latest {
		return unix.EINVAL
	}
	w.offset.Add(now - mono - w.base())
	w.sets.Add(1)
	w.ntp.clear()
	w.ntp.second = now / Second
	machine.setRatio(w.ntp.ratio())
	w.changed()
	return nil
}

// announce calls the functions of Watch.
func (w *Wall) announce() {
	for _, one := range w.watching() {
		one.f()
	}
}

// Sets returns how often the clock was set, or stepped by Adjust, or TAI was. A timer on this clock is cancelled if
// the count has changed since it was armed (timerfd_create(2),
// TFD_TIMER_CANCEL_ON_SET). It does not sleep.
func (w *Wall) Sets() uint64 { return w.sets.Load() }

// Realtime returns the machine's own time of day, in nanoseconds since 1970,
// whatever users have set. It does not sleep.
func Realtime() int64 { return time.Now().UnixNano() }
