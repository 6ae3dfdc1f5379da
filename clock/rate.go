package clock

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// one is a ratio of 1.
const one = uint64(1) << 32

// Rate converts Raw to Monotonic: Monotonic is Mono + (raw-Raw)*Ratio/2^32. The vDSO computes
// the same.
type Rate struct {
	Raw, Mono int64
	Ratio     uint64 // nanoseconds of Monotonic in a nanosecond of Raw, times 2^32
}

// at returns the time of Monotonic at a time of Raw.
func (r *Rate) at(raw int64) int64 {
	if raw < r.Raw {
		return r.Mono - scaled(r.Raw-raw, r.Ratio)
	}
	if mono := r.Mono + scaled(raw-r.Raw, r.Ratio); mono >= r.Mono {
		return mono
	}
	return endOfTime
}

// endOfTime is the last time of each clock.
const endOfTime = 1<<63 - 1

// scaled returns ns*ratio/2^32 for ns >= 0.
func scaled(ns int64, ratio uint64) int64 {
	hi, lo := bits.Mul64(uint64(ns), ratio)
	return int64(hi<<32 | lo>>32)
}

// rawAt returns the first time of Raw at which Monotonic is at least mono, or the end of time.
func (r *Rate) rawAt(mono int64) int64 {
	if mono <= r.Mono {
		return r.Raw - int64(unscaled(uint64(r.Mono-mono), r.Ratio))
	}
	left := unscaled(uint64(mono-r.Mono), r.Ratio)
	if left >= uint64(endOfTime-r.Raw) {
		return endOfTime
	}
	raw := r.Raw + int64(left)
	for r.at(raw) < mono {
		raw++
	}
	return raw
}

// unscaled returns ns*2^32/ratio, rounded down.
func unscaled(ns, ratio uint64) uint64 {
	q, _ := bits.Div64(ns>>32, ns<<32, ratio)
	return q
}

// machineClock is the rate of CLOCK_MONOTONIC. The machine has one such clock.
type machineClock struct {
	mu   sync.Mutex // taken to change the rate
	rate atomic.Pointer[Rate]
}

// machine is the machine's clock. A nil rate is that of Raw.
var machine machineClock

// Raw returns CLOCK_MONOTONIC_RAW (clock_gettime(2)): the nanoseconds since boot as the
// processor counts them, which nobody adjusts. Any context.
func Raw() int64 { return nanotime() }

// Monotonic returns CLOCK_MONOTONIC (clock_gettime(2)), the nanoseconds since boot. It never
// goes back, but Wall.Adjust changes its rate. It does not sleep and does not allocate.
func Monotonic() int64 {
	for {
		r, now := machine.rate.Load(), nanotime()
		if machine.rate.Load() != r {
			continue // now could be a time of the new rate
		}
		if r == nil {
			return now
		}
		return r.at(now)
	}
}

// MonotonicAt returns the time of Monotonic at a time of Raw. Any context.
func MonotonicAt(raw int64) int64 {
	if r := machine.rate.Load(); r != nil {
		return r.at(raw)
	}
	return raw
}

// RawAt returns the first time of Raw at which Monotonic is at least mono, if the rate does not
// change. Any context.
func RawAt(mono int64) int64 {
	if r := machine.rate.Load(); r != nil {
		return r.rawAt(mono)
	}
	return mono
}

// CurrentRate returns the rate of Monotonic. Any context.
func CurrentRate() Rate {
	if r := machine.rate.Load(); r != nil {
		return *r
	}
	return Rate{Ratio: one}
}

// rebase is how long before the change a new rate's reference is, in nanoseconds. A processor
// whose TSC is a little behind then computes no negative time.
const rebase = 1_000_000

// setRatio changes the rate from now on. It reports whether the rate was another one.
func (m *machineClock) setRatio(ratio uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := CurrentRate()
	if old.Ratio == ratio {
		return false
	}
	now := nanotime()
	back := min(rebase, now)
	m.rate.Store(&Rate{Raw: now - back, Mono: old.at(now) - scaled(back, ratio), Ratio: ratio})
	return true
}
