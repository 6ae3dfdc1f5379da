package task

import (
	"math"
	"sync"

	"slowpath/clock"
)

// LoadPeriod is how often the load is to be sampled, in nanoseconds (LOAD_FREQ).
const LoadPeriod = 5 * clock.Second

// loadAverage is the exponentially weighted number of tasks that run, wait for
// a CPU, or sleep without interruption, over 1, 5 and 15 minutes (proc(5),
// /proc/loadavg).
type loadAverage struct {
	mu     sync.Mutex
	values [3]float64
}

// loadMinutes are the periods of the three averages.
var loadMinutes = [3]float64{1, 5, 15}

// SampleLoad counts the tasks for the load averages. The kernel calls it once
// in each LoadPeriod.
func (k *Kernel) SampleLoad() {
	running, blocked := k.Running()
	l := &k.load
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, minutes := range loadMinutes {
		keep := math.Exp(-float64(LoadPeriod) / float64(clock.Second) / (60 * minutes))
		l.values[i] = l.values[i]*keep + float64(running+blocked)*(1-keep)
	}
}

// LoadAverage returns the three load averages as of the last sample.
func (k *Kernel) LoadAverage() [3]float64 {
	l := &k.load
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.values
}

// Running returns how many tasks run or are ready to, and how many sleep
// without interruption.
func (k *Kernel) Running() (running, blocked int) {
	for _, g := range k.Groups() {
		for _, t := range g.Threads() {
			switch state := t.StateLetter(); {
			case state == 'R' && !t.kernelOnly():
				running++
			case state == 'D':
				blocked++
			}
		}
	}
	return running, blocked
}

// kernelOnly reports whether the task is the kernel's own reaper, which never
// runs.
func (t *Task) kernelOnly() bool { return t.Program() == nil }
