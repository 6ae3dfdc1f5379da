package goos

import "testing"

// processors sets up n CPUs, of which those named are idle, until the test's
// end.
func processors(t *testing.T, n int, idle ...int) {
	oldCPUs, oldCurrent, oldQueued := cpus, current, queued
	t.Cleanup(func() {
		cpus, current, queued = oldCPUs, oldCurrent, oldQueued
		clear(asked[:])
	})
	cpus = n
	for i := range n {
		current[i] = int32(i)
	}
	for _, i := range idle {
		current[i] = int32(firstIdle + i)
	}
}

// TestEachThreadIsGivenAnIdleCPU wakes more threads than there are idle CPUs.
func TestEachThreadIsGivenAnIdleCPU(t *testing.T) {
	processors(t, 4, 1, 3)
	free := new(thread)
	for _, want := range []int{1, 3, -1} {
		got := findIdle(0, free)
		if got != want {
			t.Fatalf("CPU %d is asked, want %d", got, want)
		}
		if got >= 0 {
			asked[got] = true
		}
	}
	asked[1] = false // it has looked, and found nothing
	if got := findIdle(0, free); got != 1 {
		t.Errorf("CPU %d is asked, want the one that idles on", got)
	}
}

// TestABoundThreadIsGivenACPUOfItsOwn: an idle CPU that may not run it is of no
// use to it.
func TestABoundThreadIsGivenACPUOfItsOwn(t *testing.T) {
	processors(t, 4, 1, 3)
	bound := new(thread)
	bound.frame.Confine(1<<2 | 1<<3)
	if got := findIdle(0, bound); got != 3 {
		t.Errorf("CPU %d is asked, want 3", got)
	}
	if got := findIdle(1, bound); got != 3 {
		t.Errorf("CPU %d is asked while CPU 1 serves an interrupt, want 3", got)
	}
}

// TestInterruptedIdleCPULooksItself: waking another would be dear.
func TestInterruptedIdleCPULooksItself(t *testing.T) {
	processors(t, 4, 1, 2, 3)
	if got := findIdle(2, new(thread)); got != 2 {
		t.Errorf("CPU %d is asked, not the one that serves the interrupt", got)
	}
}

// TestTickLeavesThreadsToIdleCPUs: the current thread gives way if, and only
// if, one waits for which no CPU comes.
func TestTickLeavesThreadsToIdleCPUs(t *testing.T) {
	processors(t, 4, 2, 3)
	for _, c := range []struct {
		queued int
		asked  []int
		want   bool
	}{
		{0, nil, true}, {1, nil, false}, {1, []int{2}, true}, {2, []int{2}, false}, {2, []int{2, 3}, true}, {3, []int{2, 3}, false},
	} {
		clear(asked[:])
		for _, i := range c.asked {
			asked[i] = true
		}
		queued = c.queued
		if got := covered(); got != c.want {
			t.Errorf("%d wait, the CPUs %v come: covered is %v", c.queued, c.asked, got)
		}
	}
}
