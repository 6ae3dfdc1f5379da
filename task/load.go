package task

import (
	"math"
	"sync"
	"sync/atomic"

	"slowpath/clock"
)

// loadPeriod is the time between two samples of the load, in nanoseconds
// (LOAD_FREQ).
const loadPeriod = 5 * clock.Second

// loadAverage is the exponentially weighted number of tasks that run, wait for
// a CPU, or sleep without interruption, over 1, 5 and 15 minutes (proc(5),
// /proc/loadavg).
type loadAverage struct {
	due atomic.Int64 // the time of the next sample, on clock.Monotonic

	mu     sync.Mutex
	values [3]float64
}

// loadMinutes are the periods of the three averages.
var loadMinutes = [3]float64{1, 5, 15}

// sampleLoad updates the load averages, once in each loadPeriod. The timer tick of
// every CPU that runs a program calls it. If there was no call in a period, no
// program ran, so the period counts as a sample of 0: an idle machine needs no tick
// (Linux: calc_load_nohz_start).
func (k *Kernel) sampleLoad(now int64) {
	l := &k.load
	due := l.due.Load()
	if now < due || !l.due.CompareAndSwap(due, now-(now-due)%loadPeriod+loadPeriod) {
		return
	}
	running, blocked := k.Running()
	l.mu.Lock()
	defer l.mu.Unlock()
	idle := float64((now - due) / loadPeriod)
	for i, minutes := range loadMinutes {
		keep := math.Exp(-float64(loadPeriod) / float64(clock.Second) / (60 * minutes))
		l.values[i] = l.values[i]*math.Pow(keep, idle+1) + float64(running+blocked)*(1-keep)
	}
}

// LoadAverage returns the three load averages as of the last sample.
func (k *Kernel) LoadAverage() [3]float64 {
	k.sampleLoad(clock.Monotonic())
	l := &k.load
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.values
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
