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

// Monotonic returns CLOCK_MONOTONIC, the nanoseconds since boot
// (clock_gettime(2)). It never goes back. Monotonic does not sleep and does not
// allocate.
func Monotonic() int64 { return nanotime() }

// Wall is CLOCK_REALTIME, which users can set. The zero value shows the machine's
// own time of day. It is safe for concurrent use.
type Wall struct {
	// Changed, if not nil, is called by Set with the clock's difference from
	// the machine's own, in nanoseconds. It is set before the first Set.
	Changed func(offset int64)

	offset atomic.Int64 // in nanoseconds, from the machine's own time of day
	sets   atomic.Uint64

	mu       sync.Mutex // guards watchers
	watchers map[*watcher]struct{}
}

// watcher is a function of Wall.Watch.
type watcher struct{ f func() }

// Watch calls f after each Set, on the goroutine that sets the clock, until stop is
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
func (w *Wall) Now() int64 { return time.Now().UnixNano() + w.offset.Load() }

// Set sets the time of day, in nanoseconds since 1970 (clock_settime(2)). The
// caller checks the privilege. It calls Changed and the functions of Watch.
func (w *Wall) Set(now int64) {
	offset := now - time.Now().UnixNano()
	w.offset.Store(offset)
	w.sets.Add(1)
	if w.Changed != nil {
		w.Changed(offset)
	}
	for _, one := range w.watching() {
		one.f()
	}
}

// Sets returns how often Set was called. A timer on this clock is cancelled if
// the count has changed since it was armed (timerfd_create(2),
// TFD_TIMER_CANCEL_ON_SET). It does not sleep.
func (w *Wall) Sets() uint64 { return w.sets.Load() }

// Realtime returns the machine's own time of day, in nanoseconds since 1970,
// whatever users have set. It does not sleep.
func Realtime() int64 { return time.Now().UnixNano() }
