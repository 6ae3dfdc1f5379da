package task

import (
	"sync"
	"sync/atomic"
	"time"

	"slowpath/clock"
)

// loadPeriod is the time between two samples of the load, in nanoseconds
// (LOAD_FREQ).
const loadPeriod = 5 * clock.Second

// loadAverage is the exponentially weighted number of tasks that run, wait for
// a CPU, or sleep without interruption, over 1, 5 and 15 minutes (proc(5),
// /proc/loadavg), with the arithmetic of Linux.
type loadAverage struct {
	due atomic.Int64 // the time of the next sample, on clock.Monotonic

	mu     sync.Mutex
	values [3]uint64 // in units of 1/loadOne
}

const (
	loadShift = 11             // FSHIFT
	loadOne   = 1 << loadShift // FIXED_1
)

// loadKeeps are loadOne/exp(5 s/T) for the three averages (EXP_1, EXP_5, EXP_15).
var loadKeeps = [3]uint64{1884, 2014, 2037}

// nextLoad returns the average after a sample (calc_load). It rounds up while the load grows.
func nextLoad(load, keep, active uint64) uint64 {
	next := load*keep + active*(loadOne-keep)
	if active >= load {
		next += loadOne - 1
	}
	return next / loadOne
}

// mostMissed is after how many samples an average has all but reached the load.
const mostMissed = 1000

// sampleLoad updates the load averages, once in each loadPeriod. If there was no call in some
// periods, the load of now stands for theirs.
func (k *Kernel) sampleLoad(now int64) {
	l := &k.load
	due := l.due.Load()
	if now < due || !l.due.CompareAndSwap(due, now-(now-due)%loadPeriod+loadPeriod) {
		return
	}
	running, blocked := k.Running()
	active := uint64(running+blocked) * loadOne
	l.mu.Lock()
	defer l.mu.Unlock()
	for range min((now-due)/loadPeriod+1, mostMissed) {
		for i, keep := range loadKeeps {
			l.values[i] = nextLoad(l.values[i], keep, active)
		}
	}
}

// SampleLoad samples the load for the load averages for ever. One goroutine runs it. It is the
// only timer of an idle machine.
func (k *Kernel) SampleLoad() {
	for range time.Tick(time.Duration(loadPeriod)) {
		k.sampleLoad(clock.Monotonic())
	}
}

// LoadAverage returns the three load averages as of the last sample.
func (k *Kernel) LoadAverage() (averages [3]float64) {
	k.sampleLoad(clock.Monotonic())
	l := &k.load
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, v := range l.values {
		averages[i] = float64(v) / loadOne
	}
	return averages
}

// Running returns the number of runnable tasks, and the number in uninterruptible
// sleep.
func (k *Kernel) Running() (running, blocked int) {
	for _, g := range k.Groups() {
		for _, t := range g.Threads() {
			switch state := t.StateLetter(); {
			case state == 'R' && !t.isReaper():
				running++
			case state == 'D':
				blocked++
			}
		}
	}
	return running, blocked
}

// isReaper reports whether the task is the kernel's own process 1, which has no
// program and never runs.
func (t *Task) isReaper() bool { return t.Program() == nil }
