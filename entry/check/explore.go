package check

import (
	"fmt"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"slowpath/entry"
)

// Scope is which runs a check makes.
type Scope struct {
	Kinds []Kind
	// Words are the work words with which tasks arrive.
	Words []entry.Flag
	// Raises is how many flags others change during one run, 0 to 2.
	Raises int
	// Panics adds, for each run, the runs in which one of its handlers or its
	// call panics.
	Panics bool
}

// AllWords returns every set of the duties' flags.
func AllWords() []entry.Flag {
	var words []entry.Flag
	for word := entry.Flag(0); ; word = (word - Flags) & Flags {
		words = append(words, word)
		if word == Flags {
			return words
		}
	}
}

// SmallWords returns the sets of at most n flags, the smallest first.
func SmallWords(n int) []entry.Flag {
	words := slices.DeleteFunc(AllWords(), func(w entry.Flag) bool { return size(w) > n })
	slices.SortStableFunc(words, func(a, b entry.Flag) int { return size(a) - size(b) })
	return words
}

// Small returns a scope that is enough to see every mistake of the mutants: each
// shows itself with two flags.
func Small() Scope { return Scope{Kinds: Kinds(), Words: SmallWords(1), Raises: 1, Panics: true} }

// size returns how many flags a set has.
func size(f entry.Flag) int { return bits.OnesCount32(uint32(f)) }

// Violation is a run that is not right.
type Violation struct {
	Property Property
	Plan     Plan
	Trace    string
}

// Report is what a check found.
type Report struct {
	Combinations int // of word and kind
	Runs         int
	// Longest is the most handlers that one run had, and LongestRun that run.
	Longest    int
	LongestRun string
	MostTests  int // of EnterUser in one run
	// Violated counts the runs that violate a property, First has the first
	// of each.
	Violated [properties]int
	First    [properties]*Violation
}

// Right reports whether no run violates anything.
func (r *Report) Right() bool {
	for _, n := range r.Violated {
		if n != 0 {
			return false
		}
	}
	return true
}

// String is the report's counts in one line.
func (r *Report) String() string {
	return fmt.Sprintf("%d combinations of word and way in, %d runs, at most %d handlers and %d tests in one",
		r.Combinations, r.Runs, r.Longest, r.MostTests)
}

// Check makes all runs of a scope, on all CPUs.
func Check(scope Scope) *Report {
	workers := runtime.GOMAXPROCS(0)
	reports := make([]Report, workers)
	var group sync.WaitGroup
	var next atomic.Int64 // word; some take ten times as long as others
	for w := range workers {
		group.Go(func() {
			e := explorer{task: NewTask(), panics: scope.Panics, report: &reports[w], flags: flagList()}
			for i := next.Add(1) - 1; i < int64(len(scope.Words)); i = next.Add(1) - 1 {
				e.word(scope, scope.Words[i])
			}
		})
	}
	group.Wait()
	total := new(Report)
	for i := range reports {
		total.add(&reports[i])
	}
	return total
}

func (r *Report) add(o *Report) {
	r.Combinations += o.Combinations
	r.Runs += o.Runs
	r.MostTests = max(r.MostTests, o.MostTests)
	if o.Longest > r.Longest {
		r.Longest, r.LongestRun = o.Longest, o.LongestRun
	}
	for p := range o.Violated {
		r.Violated[p] += o.Violated[p]
		if r.First[p] == nil {
			r.First[p] = o.First[p]
		}
	}
}

// flagList returns the duties' flags one by one.
func flagList() []entry.Flag {
	var all []entry.Flag
	for rest := Flags; rest != 0; rest &= rest - 1 {
		all = append(all, rest&-rest)
	}
	return all
}

// explorer makes the runs of one worker.
type explorer struct {
	task   *Task
	panics bool
	report *Report
	flags  []entry.Flag
}

func (e *explorer) word(scope Scope, word entry.Flag) {
	for _, k := range scope.Kinds {
		e.report.Combinations++
		e.from(Plan{Kind: k, Word: word, Choice: NoChoice}, 0, scope.Raises)
	}
}

// from makes the run of a plan that has done raises, once with each of its
// outcomes, and then all plans that have more raises, up to the limit. Where an
// outcome gives a run more moments than the ordinary one has, raises at those
// come with that outcome.
func (e *explorer) from(p Plan, done, limit int) {
	e.run(p)
	moments, choices, handling := e.task.moments, e.task.choices, e.task.handling
	if e.panics {
		for p.Panic = 1; p.Panic <= handling; p.Panic++ {
			e.run(p)
		}
		p.Panic = 0
		e.task.Run(p) // more looks at the plan's own run
	}
	if done < limit {
		e.more(p, done, limit, 0)
	}
	if p.Choice != NoChoice {
		return
	}
	for p.Choice = 0; p.Choice < choices; p.Choice++ {
		e.run(p)
		if done < limit && e.task.moments > moments {
			e.more(p, done, limit, moments)
		}
	}
}

// more adds one raise to the plan that was just run: each flag at each moment
// from first on, but none before the plan's last raise, and no flag that is
// owed then.
func (e *explorer) more(p Plan, done, limit, first int) {
	moments, owed := min(e.task.moments, maxMoments), e.task.owed
	if done > 0 {
		first = max(first, p.Raises[done-1].At)
	}
	for at := first; at < moments; at++ {
		for _, f := range e.flags {
			if owed[at]&f == 0 {
				p.Raises[done] = Raise{f, at}
				e.from(p, done+1, limit)
			}
		}
	}
}

func (e *explorer) run(p Plan) {
	r := e.report
	r.Runs++
	violated := e.task.Run(p)
	if e.task.handlers > r.Longest {
		r.Longest, r.LongestRun = e.task.handlers, p.String()+": "+e.task.trace.String()
	}
	r.MostTests = max(r.MostTests, e.task.tests)
	if violated == Right {
		return
	}
	r.Violated[violated]++
	if r.First[violated] == nil {
		r.First[violated] = &Violation{violated, p, e.task.trace.String()}
	}
}
