package wait

import "sync/atomic"

// Load counts goroutines that are awake: those that run or wait for a CPU, of
// all whose Sleepers count in it. With no more of them than CPUs, nobody gains
// if one yields. It is safe for concurrent use; the zero value is empty.
type Load struct{ awake atomic.Int32 }

// Enter counts a goroutine that begins, Leave one that ends.
func (l *Load) Enter() { l.awake.Add(1) }

// Leave counts a goroutine that ends.
func (l *Load) Leave() { l.awake.Add(-1) }

// Awake returns the count. It is old when it is read.
func (l *Load) Awake() int { return int(l.awake.Load()) }

// CountIn makes the sleeps of s count in l. It is called before the first.
func (s *Sleeper) CountIn(l *Load) { s.place.load = l }
