package amd64

import "testing"

func TestMayRunOn(t *testing.T) {
	var f Frame
	for cpu := range MaxCPUs {
		if !f.MayRunOn(cpu) {
			t.Errorf("a frame without affinity may not run on CPU %d", cpu)
		}
	}
	f.Pin(1<<1 | 1<<3)
	for cpu, want := range []bool{false, true, false, true, false} {
		if f.MayRunOn(cpu) != want {
			t.Errorf("CPU %d: %v", cpu, !want)
		}
	}
}

// TestTakeCPUNeedsAThreadWithTheSameAffinity: a CPU whose runtime thread is not
// pinned as the task is does not load the task's state.
func TestTakeCPUNeedsAThreadWithTheSameAffinity(t *testing.T) {
	var task, thread Frame
	c := &perCPU{current: frameAddress(&thread)}
	for _, sets := range [][2]uint64{{1, 0}, {0, 1}, {1, 3}, {2, 1}} {
		task.Pin(sets[0])
		thread.Pin(sets[1])
		if got := takeThis(c, &task); got != threadNotPinned || c.userFrame != 0 || c.fpregsOwner != 0 {
			t.Errorf("a task with affinity %b under a thread with %b: %d, user frame %#x", sets[0], sets[1], got, c.userFrame)
		}
	}
}
