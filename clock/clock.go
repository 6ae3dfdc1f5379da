// Package clock reads the two clocks of which all the others are made: time
// since boot and time of day.
//
// On metal the Go runtime reads them through the vDSO image that goos hands it
// (the TSC, scaled); on the host through the host's. So the same code is
// tested in both places.
package clock

import (
	"sync/atomic"
	"time"
	_ "unsafe" // go:linkname
)

// Nanoseconds in a second, and in the units that system calls use.
const (
	Microsecond = int64(1e3)
	Millisecond = int64(1e6)
	Second      = int64(1e9)
)

// nanotime is CLOCK_MONOTONIC as the runtime reads it. time.Now would read the
// wall clock too, at twice the price.
//
//go:linkname nanotime runtime.nanotime
func nanotime() int64

// Monotonic returns CLOCK_MONOTONIC in nanoseconds: time since boot, never set
// back (clock_gettime(2)). It does not sleep and does not allocate.
func Monotonic() int64 { return nanotime() }

// Wall is a settable clock of the time of day. The zero value follows the
// clock that the machine was started with. It is safe for concurrent use.
type Wall struct {
	// Changed, if it is not nil, is told by Set how far the clock now is from
	// the machine's, in nanoseconds. It is written before the first Set.
	Changed func(offset int64)

	offset atomic.Int64 // nanoseconds added to the machine's own time of day
	sets   atomic.Uint64
}

// Now returns CLOCK_REALTIME in nanoseconds since 1970 (clock_gettime(2)).
func (w *Wall) Now() int64 { return time.Now().UnixNano() + w.offset.Load() }

// Set makes now the time of day, in nanoseconds since 1970
// (clock_settime(2)). The caller checks the privilege.
func (w *Wall) Set(now int64) {
	offset := now - time.Now().UnixNano()
	w.offset.Store(offset)
	w.sets.Add(1)
	if w.Changed != nil {
		w.Changed(offset)
	}
}

// Sets counts the calls of Set: a timer on the wall clock that sees another
// count than at its start has been cancelled (timerfd_create(2),
// TFD_TIMER_CANCEL_ON_SET).
func (w *Wall) Sets() uint64 { return w.sets.Load() }

// Realtime returns the machine's own time of day in nanoseconds since 1970,
// without what a user has set.
func Realtime() int64 { return time.Now().UnixNano() }
