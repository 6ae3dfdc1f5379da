//go:build !race

package check

import (
	"slices"

	"slowpath/entry"
)

// The minimum numbers of runs of the scopes.
const leastRuns, leastRunsTwice, leastRunsPanics, leastRunsProbes, leastRuns32 = 170_000_000, 9_000_000, 3_900_000, 4_500_000, 10_000_000

// exhaustive has every set of duties, every kind, and one raise at every moment. Of the
// sets with SYSCALL_USER_DISPATCH, which comes before the duties that it can skip, it
// has those of at most five duties: all of them would double the time.
func exhaustive() Scope {
	words := slices.DeleteFunc(AllWords(), func(w entry.Flag) bool { return w&entry.UserDispatch != 0 && size(w) > 5 })
	return Scope{Kinds: otherKinds(), Words: words, Raises: 1}
}

// otherKinds are the kinds that do not concern probes, without those of calls32.
func otherKinds() []Kind {
	return slices.DeleteFunc(Kinds(), func(k Kind) bool { return slices.Contains(probeKinds, k) || slices.Contains(special32, k) })
}

// special32 are kinds that differ from Call32 only while few duties are owed.
var special32 = []Kind{ListedCall32, SixthArgument32}

// calls32 has these kinds, for sets of at most five duties.
func calls32() Scope { return Scope{Kinds: special32, Words: SmallWords(5), Raises: 1, Panics: true} }

// probes has the kinds that concern probes, for sets of at most five duties: a breakpoint has
// more outcomes than the others, among them a system call with its own duties.
func probes() Scope { return Scope{Kinds: probeKinds, Words: SmallWords(5), Raises: 1} }

// twoRaises has two raises, at every pair of moments, for sets of at most two
// duties.
func twoRaises() Scope { return Scope{Kinds: Kinds(), Words: SmallWords(2), Raises: 2} }

// panics has a panic in every handler and call, for the same sets of duties.
func panics() Scope { return Scope{Kinds: otherKinds(), Words: exhaustive().Words, Panics: true} }
