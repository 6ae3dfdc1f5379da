//go:build race

package check

// With the race detector a run takes fifteen times as long. The scopes are
// smaller, because the race detector can only find races of the check itself,
// which has one task per goroutine. "make check" also runs the complete check
// without it.

// The minimum numbers of runs of the scopes.
const leastRuns, leastRunsTwice, leastRunsPanics, leastRunsProbes, leastRuns32 = 100_000, 10_000, 1_000, 3_000, 3_000

// exhaustive has no duty, each duty alone, all duties but one, and all duties.
func exhaustive() Scope {
	words := SmallWords(1)
	for _, word := range words {
		words = append(words, Flags&^word)
	}
	return Scope{Kinds: Kinds(), Words: words, Raises: 1}
}

// probes has the kinds that concern probes, for sets of at most two duties.
func probes() Scope { return Scope{Kinds: probeKinds, Words: SmallWords(2), Raises: 1} }

// calls32 has the kinds that differ from Call32 only while few duties are owed.
func calls32() Scope {
	return Scope{Kinds: []Kind{ListedCall32, SixthArgument32}, Words: SmallWords(2), Raises: 1}
}

// twoRaises has two raises, without a duty at the kernel entry.
func twoRaises() Scope { return Scope{Kinds: Kinds(), Words: SmallWords(0), Raises: 2} }

// panics has a panic in every handler and call, for sets of at most two duties.
func panics() Scope { return Scope{Kinds: Kinds(), Words: SmallWords(2), Panics: true} }
