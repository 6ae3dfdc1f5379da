package task

import (
	"math"
	"sync"

	"slowpath/clock"
)

// loadPeriod is how often the load is sampled, in nanoseconds (LOAD_FREQ).
const loadPeriod = 5 * clock.Second

// loadAverage is the exponentially weighted number of tasks that run or wait
// for a CPU, over 1, 5 and 15 minutes (proc(5), /proc/loadavg).
type loadAverage struct {
	mu      sync.Mutex
	sampled int64
	values  [3]float64
}

// loadMinutes are the periods of the three averages.
var loadMinutes = [3]float64{1, 5, 15}

// LoadAverage returns the three load averages. They are brought up to date
// when they are read: nobody pays for them otherwise.
func (k *Kernel) LoadAverage() [3]float64 {
	running := float64(k.Running())
	now := clock.Monotonic()
	l := &k.load
	l.mu.Lock()
	defer l.mu.Unlock()
	periods := (now - l.sampled) / loadPeriod
	l.sampled += periods * loadPeriod
	for i, minutes := range loadMinutes {
		seconds := float64(periods) * float64(loadPeriod) / float64(clock.Second)
		keep := math.Exp(-seconds / (60 * minutes))
		l.values[i] = l.values[i]*keep + running*(1-keep)
	}
	return l.values
}

// Running returns how many tasks run or are ready to.
func (k *Kernel) Running() int {
	running := 0
	for _, g := range k.Groups() {
		for _, t := range g.Threads() {
			if state := t.StateLetter(); state == 'R' && !t.kernelOnly() {
				running++
			}
		}
	}
	return running
}

// kernelOnly reports whether the task is the kernel's own reaper, which never
// runs.
func (t *Task) kernelOnly() bool { return t.Program() == nil }
