package wait

import "sync/atomic"

// Load counts runnable goroutines: those that run or wait for a CPU. A goroutine
// is counted between Enter and Leave, except while it sleeps on a Sleeper that
// CountIn has attached to the Load. A Load is safe for concurrent use. Its zero
// value counts no goroutine. No method sleeps.
type Load struct {
	// Meter, if not nil, measures the CPU time of the goroutines. It is set before
	// the first sleep.
	Meter Meter
	// Deadlines has the deadlines of the sleeps on the attached Sleepers.
	Deadlines Deadlines

	runnable atomic.Int32
}

// Meter measures the CPU time of goroutines. The methods act on the goroutine that
// calls them. They do not sleep.
type Meter interface {
	// Pause: the goroutine is about to sleep.
	Pause()
	// Update: the goroutine runs again, or its time is about to be read.
	Update()
}

// Enter adds one goroutine to the count.
func (l *Load) Enter() { l.runnable.Add(1) }

// Leave removes one goroutine from the count.
func (l *Load) Leave() { l.runnable.Add(-1) }

// Runnable returns the count, which may be out of date when the caller uses it.
func (l *Load) Runnable() int { return int(l.runnable.Load()) }

// Update calls the Meter's Update, if there is a Meter.
func (l *Load) Update() {
	if l != nil && l.Meter != nil {
		l.Meter.Update()
	}
}

// pause calls the Meter's Pause, if there is a Meter.
func (l *Load) pause() {
	if l != nil && l.Meter != nil {
		l.Meter.Pause()
	}
}

// CountIn attaches s to l: while a goroutine sleeps on s, l does not count it. Call
// it before the first sleep.
func (s *Sleeper) CountIn(l *Load) { s.spot.load = l }
