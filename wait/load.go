package wait

import "sync/atomic"

// Load counts runnable goroutines: those that run or wait for a CPU. A goroutine
// is counted between Enter and Leave, except while it sleeps on a Sleeper that
// CountIn has attached to the Load. A Load is safe for concurrent use. Its zero
// value counts no goroutine. No method sleeps.
type Load struct{ runnable atomic.Int32 }

// Enter adds one goroutine to the count.
func (l *Load) Enter() { l.runnable.Add(1) }

// Leave removes one goroutine from the count.
func (l *Load) Leave() { l.runnable.Add(-1) }

// Runnable returns the count, which may be out of date when the caller uses it.
func (l *Load) Runnable() int { return int(l.runnable.Load()) }

// CountIn attaches s to l: while a goroutine sleeps on s, l does not count it. Call
// it before the first sleep.
func (s *Sleeper) CountIn(l *Load) { s.spot.load = l }
