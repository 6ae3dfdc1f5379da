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

// Scope is the set of runs that a check makes.
type Scope struct {
	// Kinds are the kinds of kernel entry.
	Kinds []Kind
	// Words are the values of the thread flags word at the kernel entry.
	Words []entry.Flag
	// Raises is the maximum number of flags that others change during one run,
	// 0 to 2.
	Raises int
	// Panics adds, for each run, the runs in which one of its handlers or its
	// call panics.
	Panics bool
}

// AllWords returns every set of duties.
func AllWords() []entry.Flag {
	var words []entry.Flag
	for word := entry.Flag(0); ; word = (word - Flags) & Flags {
		words = append(words, word)
		if word == Flags {
			return words
		}
	}
}

// SmallWords returns the sets of at most n duties, the smallest first.
func SmallWords(n int) []entry.Flag {
	words := slices.DeleteFunc(AllWords(), func(w entry.Flag) bool { return size(w) > n })
	slices.SortStableFunc(words, func(a, b entry.Flag) int { return size(a) - size(b) })
	return words
}

// Small returns a scope that is sufficient to catch every mutant. Two duties are
// enough for each of them, of which another CPU raises one, except for a mistake in the
// first test of the flags.
func Small() Scope {
	words := append(SmallWords(1), entry.Seccomp|entry.SyscallTrace, entry.SyscallTracepoint|entry.SyscallAudit)
	return Scope{Kinds: Kinds(), Words: words, Raises: 1, Panics: true}
}

// size returns the number of duties in a set.
func size(f entry.Flag) int { return bits.OnesCount32(uint32(f)) }

// Violation is a run that violates a property.
type Violation struct {
	Property Property
	Plan     Plan
	Trace    string
}

// Report is the result of a check.
type Report struct {
	Combinations int // number of pairs of a thread flags word and a kind
	Runs         int // number of runs
	// Longest is the maximum number of handlers in one run, and LongestRun
	// describes that run.
	Longest    int
	LongestRun string
	MostTests  int // maximum number of EnterUser's tests in one run
	// Violated has the number of runs that violate each property, and First has
	// the first of them.
	Violated [properties]int
	First    [properties]*Violation
}

// Right reports whether no run violates a property.
func (r *Report) Right() bool {
	for _, n := range r.Violated {
		if n != 0 {
			return false
		}
	}
	return true
}

// String returns the numbers of the report in one line.
func (r *Report) String() string {
	return fmt.Sprintf("%d combinations of thread flags and kind, %d runs, at most %d handlers and %d tests per run",
		r.Combinations, r.Runs, r.Longest, r.MostTests)
}

// Check makes all runs of a scope. It uses all CPUs.
func Check(scope Scope) *Report {
	workers := runtime.GOMAXPROCS(0)
	reports := make([]Report, workers)
	var group sync.WaitGroup
	var next atomic.Int64 // index of the next word; the time per word differs by a factor of ten
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

// flagList returns all duties as a list.
func flagList() []entry.Flag {
	var all []entry.Flag
	for rest := Flags; rest != 0; rest &= rest - 1 {
		all = append(all, rest&-rest)
	}
	return all
}

// explorer makes the runs of one worker goroutine.
type explorer struct {
	task   *Task
	panics bool
	report *Report
	flags  []entry.Flag
}

func (e *explorer) word(scope Scope, word entry.Flag) {
	for _, k := range scope.Kinds {
		e.report.Combinations++
		e.explore(Plan{Kind: k, Word: word, Choice: NoChoice}, 0, scope.Raises)
	}
}

// explore makes the run of a plan, and the runs that differ from it by one panic,
// one other outcome, or additional raises. The plan has done raises already, and
// may get up to limit. An outcome may give a run more moments than the ordinary
// outcome does. Raises at those moments are combined with that outcome.
func (e *explorer) explore(p Plan, done, limit int) {
	e.run(p)
	moments, choices, handling := e.task.moments, e.task.choices, e.task.handling
	if e.panics {
		for p.Panic = 1; p.Panic <= handling; p.Panic++ {
			e.run(p)
		}
		p.Panic = 0
		e.task.Run(p) // addRaise uses the state of the run without a panic
	}
	if done < limit {
		e.addRaise(p, done, limit, 0)
	}
	if p.Choice != NoChoice {
		return
	}
	for p.Choice = 0; p.Choice < choices; p.Choice++ {
		e.run(p)
		first := moments
		if e.task.admittedAt >= 0 {
			first = e.task.admittedAt // a call on the fast path has moments of its own
		}
		if done < limit && e.task.moments > first {
			e.addRaise(p, done, limit, first)
		}
	}
}

// addRaise adds one raise to the plan that was just run: each duty, at each
// moment from first on. It adds none before the last raise of the plan, and no
// duty that is pending at that moment.
func (e *explorer) addRaise(p Plan, done, limit, first int) {
	moments, owed := min(e.task.moments, maxMoments), e.task.owed
	if done > 0 {
		first = max(first, p.Raises[done-1].At)
	}
	for at := first; at < moments; at++ {
		for _, f := range e.flags {
			if owed[at]&f == 0 {
				p.Raises[done] = Raise{f, at}
				e.explore(p, done+1, limit)
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
