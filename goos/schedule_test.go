package goos

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// reset empties the tables that the tests fill.
func reset() {
	threads = [len(threads)]thread{}
	queueHead, queueTail, queued = none, none, 0
	sleepHead, sleepTail = none, none
}

// runQueue returns the run queue. The test fails if the tail or the length of the
// queue is wrong.
func runQueue(t *testing.T) []int32 {
	t.Helper()
	var list []int32
	last := none
	for i := queueHead; i != none; i = threads[i].next {
		list, last = append(list, i), i
	}
	if last != queueTail || len(list) != queued {
		t.Fatalf("the queue %v ends at %d, its tail is %d, and %d are counted", list, last, queueTail, queued)
	}
	return list
}

// TestDequeueTakesFirstThreadOfItsCPU compares the queue with a slice: each CPU
// takes the first thread that it may run, and the others keep their order.
func TestDequeueTakesFirstThreadOfItsCPU(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		reset()
		var want []int32
		for range 300 {
			if i := int32(random.IntN(maxThreads)); random.IntN(2) == 0 && !slices.Contains(want, i) {
				threads[i].frame.Pin(uint64(random.IntN(16)))
				enqueue(&threads[i])
				want = append(want, i)
			} else {
				want = dequeueBoth(t, random.IntN(4), want)
			}
			if got := runQueue(t); !slices.Equal(got, want) {
				t.Fatalf("the queue is %v, want %v", got, want)
			}
		}
	}
}

// dequeueBoth dequeues for a CPU from the queue and from its model. It returns
// the new model.
func dequeueBoth(t *testing.T, cpu int, model []int32) []int32 {
	t.Helper()
	at := slices.IndexFunc(model, func(i int32) bool {
		set := threads[i].frame.Affinity()
		return set == 0 || set&(1<<cpu) != 0
	})
	got := dequeue(cpu)
	if at < 0 {
		if got != nil {
			t.Fatalf("CPU %d took thread %d, which may not run on it", cpu, index(got))
		}
		return model
	}
	if got != &threads[model[at]] {
		t.Fatalf("CPU %d did not take thread %d", cpu, model[at])
	}
	return slices.Delete(model, at, at+1)
}

// sleepers returns the list of sleepers. The test fails if its links disagree.
func sleepers(t *testing.T) []int32 {
	t.Helper()
	var list []int32
	last := none
	for i := sleepHead; i != none; i = threads[i].next {
		if threads[i].previous != last {
			t.Fatalf("the predecessor of thread %d is %d, want %d", i, last, threads[i].previous)
		}
		list, last = append(list, i), i
	}
	if last != sleepTail {
		t.Fatalf("the list %v ends at %d, its tail is %d", list, last, sleepTail)
	}
	return list
}

// TestSleepersAreOrderedByDeadline compares the list with a sorted slice. Equal
// deadlines keep their order.
func TestSleepersAreOrderedByDeadline(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	deadlines := []uint64{10, 20, 30, never}
	for range 200 {
		reset()
		var want []int32
		for range 300 {
			i := int32(random.IntN(maxThreads))
			if at := slices.Index(want, i); at >= 0 {
				removeSleeper(&threads[i])
				want = slices.Delete(want, at, at+1)
			} else {
				threads[i].deadline = deadlines[random.IntN(len(deadlines))]
				addSleeper(&threads[i])
				want = append(want, i)
				slices.SortStableFunc(want, byDeadline)
			}
			if got := sleepers(t); !slices.Equal(got, want) {
				t.Fatalf("the list is %v, want %v", got, want)
			}
			checkNextDeadline(t, want)
		}
	}
}

func byDeadline(a, b int32) int {
	switch x, y := threads[a].deadline, threads[b].deadline; {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func checkNextDeadline(t *testing.T, list []int32) {
	t.Helper()
	want := never
	if len(list) > 0 {
		want = threads[list[0]].deadline
	}
	if got := nextDeadline(0); got != want {
		t.Fatalf("the next deadline is %d, want %d", got, want)
	}
}

// TestSleeperIsFoundByKindAndObject: both must match.
func TestSleeperIsFoundByKindAndObject(t *testing.T) {
	reset()
	for i, w := range []struct {
		kind   waitKind
		object uint64
	}{{waitFutex, 1}, {waitIRQ, 2}, {waitFutex, 2}, {waitFutex, 2}} {
		threads[i].wait, threads[i].object, threads[i].deadline = w.kind, w.object, never
		addSleeper(&threads[i])
	}
	if got := sleeper(waitFutex, 2); got != &threads[2] {
		t.Errorf("found %v, want thread 2", got)
	}
	if got := sleeper(waitFutex, 3); got != nil {
		t.Errorf("found thread %d, want none", index(got))
	}
}
