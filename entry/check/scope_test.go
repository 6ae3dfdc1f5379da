//go:build !race

package check

// How many runs the scopes must have at least.
const leastRuns, leastRunsTwice = 100_000_000, 4_000_000

// exhaustive is every set of duties, every way in, one raise at every moment.
func exhaustive() Scope { return Scope{Kinds(), AllWords(), 1} }

// twice is two raises, at every two moments, for words of at most two duties.
func twice() Scope { return Scope{Kinds(), SmallWords(2), 2} }
