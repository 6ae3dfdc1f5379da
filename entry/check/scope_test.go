//go:build !race

package check

// How many runs the scopes must have at least.
const leastRuns, leastRunsTwice, leastRunsPanics = 170_000_000, 9_000_000, 3_900_000

// exhaustive is every set of duties, every way in, one raise at every moment.
func exhaustive() Scope { return Scope{Kinds: Kinds(), Words: AllWords(), Raises: 1} }

// twice is two raises, at every two moments, for words of at most two duties.
func twice() Scope { return Scope{Kinds: Kinds(), Words: SmallWords(2), Raises: 2} }

// panics is a panic in every handler and call, for every word.
func panics() Scope { return Scope{Kinds: Kinds(), Words: AllWords(), Panics: true} }
