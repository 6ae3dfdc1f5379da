package wait

import "sync/atomic"

// Load counts runnable goroutines: those that run or wait for a CPU. A goroutine
// counts from Enter to Leave, except while it sleeps on a Sleeper that counts in
// the Load. It is safe for concurrent use; the zero value is empty. No method
// sleeps.
type Load struct{ runnable atomic.Int32 }

// Enter counts a goroutine that starts.
func (l *Load) Enter() { l.runnable.Add(1) }

// Leave stops counting a goroutine, which ends.
func (l *Load) Leave() { l.runnable.Add(-1) }

// Runnable returns the count. It may have changed when the caller reads it.
func (l *Load) Runnable() int { return int(l.runnable.Load()) }

// CountIn makes l leave out the goroutine that sleeps on s, while it sleeps. It
// is called before the first sleep.
func (s *Sleeper) CountIn(l *Load) { s.spot.load = l }
