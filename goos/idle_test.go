package goos

import "testing"

// setCPUs sets up n CPUs, of which those listed are idle, until the test's end.
func setCPUs(t *testing.T, n int, idle ...int) {
	oldCPUs, oldCurrent, oldQueued := cpus, current, queued
	t.Cleanup(func() {
		cpus, current, queued = oldCPUs, oldCurrent, oldQueued
		clear(kickPending[:])
	})
	cpus = n
	for i := range n {
		current[i] = int32(i)
	}
	for _, i := range idle {
		current[i] = int32(firstIdle + i)
	}
}

// TestEachWakeUpKicksAnotherIdleCPU wakes more threads than there are idle CPUs.
func TestEachWakeUpKicksAnotherIdleCPU(t *testing.T) {
	setCPUs(t, 4, 1, 3)
	woken := new(thread)
	for _, want := range []int{1, 3, -1} {
		got := findIdle(0, woken)
		if got != want {
			t.Fatalf("found CPU %d, want %d", got, want)
		}
		if got >= 0 {
			kickPending[got] = true
		}
	}
	kickPending[1] = false // it looked at the run queue and found nothing
	if got := findIdle(0, woken); got != 1 {
		t.Errorf("found CPU %d, want 1, which is idle again", got)
	}
}

// TestPinnedThreadKicksOnlyItsOwnCPUs: an idle CPU outside the thread's affinity
// is not kicked, not even the caller's own.
func TestPinnedThreadKicksOnlyItsOwnCPUs(t *testing.T) {
	setCPUs(t, 4, 1, 3)
	pinned := new(thread)
	pinned.frame.Pin(1<<2 | 1<<3)
	if got := findIdle(0, pinned); got != 3 {
		t.Errorf("found CPU %d, want 3", got)
	}
	if got := findIdle(1, pinned); got != 3 {
		t.Errorf("found CPU %d from an interrupt of CPU 1, want 3", got)
	}
}

// TestInterruptedIdleCPUIsPreferred: an IPI to another idle CPU would be slow.
func TestInterruptedIdleCPUIsPreferred(t *testing.T) {
	setCPUs(t, 4, 1, 2, 3)
	if got := findIdle(2, new(thread)); got != 2 {
		t.Errorf("found CPU %d, want 2, which handles the interrupt", got)
	}
}

// TestKicksSufficeForAsManyThreads: a kick counts for one thread of the run
// queue.
func TestKicksSufficeForAsManyThreads(t *testing.T) {
	setCPUs(t, 4, 2, 3)
	for _, c := range []struct {
		queued int
		kicked []int
		want   bool
	}{
		{0, nil, true}, {1, nil, false}, {1, []int{2}, true}, {2, []int{2}, false}, {2, []int{2, 3}, true}, {3, []int{2, 3}, false},
	} {
		clear(kickPending[:])
		for _, i := range c.kicked {
			kickPending[i] = true
		}
		queued = c.queued
		if got := kicksSuffice(); got != c.want {
			t.Errorf("%d threads on the run queue, CPUs %v kicked: kicksSuffice is %v", c.queued, c.kicked, got)
		}
	}
}

// TestDeadlineOfThreadInterruptsOneCPU: the CPU on which the thread has blocked.
func TestDeadlineOfThreadInterruptsOneCPU(t *testing.T) {
	setCPUs(t, 2)
	oldHead, oldTail := sleepHead, sleepTail
	t.Cleanup(func() { sleepHead, sleepTail = oldHead, oldTail })
	sleepHead, sleepTail = none, none
	for i, s := range []struct {
		cpu      int
		deadline uint64
	}{{1, 300}, {0, 500}, {1, 200}, {0, never}} {
		threads[i] = thread{cpu: s.cpu, deadline: s.deadline}
		addSleeper(&threads[i])
	}
	if first, second := nextDeadline(0), nextDeadline(1); first != 500 || second != 200 {
		t.Errorf("the CPUs are interrupted at %d and %d, want 500 and 200", first, second)
	}
	if other := nextDeadline(2); other != never {
		t.Errorf("a CPU on which no thread has blocked is interrupted at %d", other)
	}
}
