//go:build !race

package check

// The minimum numbers of runs of the scopes.
const leastRuns, leastRunsTwice, leastRunsPanics = 170_000_000, 9_000_000, 3_900_000

// exhaustive has every set of duties, every kind, and one raise at every moment.
func exhaustive() Scope { return Scope{Kinds: Kinds(), Words: AllWords(), Raises: 1} }

// twoRaises has two raises, at every pair of moments, for sets of at most two
// duties.
func twoRaises() Scope { return Scope{Kinds: Kinds(), Words: SmallWords(2), Raises: 2} }

// panics has a panic in every handler and call, for every set of duties.
func panics() Scope { return Scope{Kinds: Kinds(), Words: AllWords(), Panics: true} }
