//go:build race

package check

// Under the race detector a run takes fifteen times as long. What it could find
// is in the check itself, which has one task a goroutine; so a part will do:
// make check runs the whole without it.

// How many runs the scopes must have at least.
const leastRuns, leastRunsTwice, leastRunsPanics = 100_000, 10_000, 1_000

// exhaustive is no duty, each alone, all but one, and all.
func exhaustive() Scope {
	words := SmallWords(1)
	for _, word := range words {
		words = append(words, Flags&^word)
	}
	return Scope{Kinds: Kinds(), Words: words, Raises: 1}
}

// twice is two raises, for a task that owes nothing when it arrives.
func twice() Scope { return Scope{Kinds: Kinds(), Words: SmallWords(0), Raises: 2} }

// panics is a panic in every handler and call, for words of at most two duties.
func panics() Scope { return Scope{Kinds: Kinds(), Words: SmallWords(2), Panics: true} }
